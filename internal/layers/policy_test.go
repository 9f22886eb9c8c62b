package layers

// policy names, for each package, what its code may import beside the standard library: packages of this repository,
// and modules of others. "*" is all. It is a statement of intent: do not loosen it to make a build pass. Its order is
// the picture in docs/ARCHITECTURE.md, from the bottom up. A package that is not here is refused.
var policy = map[string][]string{
	// 0: primitives
	"internal/bin":        {},
	"internal/lzma":       {"internal/bin"},
	"internal/strictjson": {"internal/bin"},
	"internal/yamldoc":    {"gopkg.in/yaml.v3"},
	"internal/decompress": {"internal/bin", "internal/lzma", "github.com/klauspost/compress", "github.com/pierrec/lz4/v4", "github.com/ulikunitz/xz"},
	"internal/keccak":     {},
	"efi":                 {"internal/bin"},

	// 1: formats
	"authenticode": {"internal/bin"},
	"eventlog":     {"internal/bin", "efi"},
	"ovmf":         {"internal/bin", "internal/decompress", "internal/lzma", "efi"},
	"tdvf":         {"internal/bin", "efi", "ovmf"},
	"kernel":       {"internal/bin", "internal/decompress", "github.com/saferwall/pe", "github.com/u-root/u-root"},
	"kernel/shim":  {"internal/bin", "efi", "kernel"},
	"acpi/aml":     {"internal/bin"},
	"quote":        {"internal/bin", "internal/strictjson"},

	// 2: models
	"mr":              {"efi", "eventlog"},
	"qemu":            {"internal/bin"},
	"libvirt":         {"internal/bin"},
	"ovmf/pcibus":     {"internal/bin", "qemu"},
	"ovmf/secureboot": {"internal/bin", "efi", "authenticode"},
	"acpi":            {"internal/bin", "acpi/aml", "qemu", "ovmf/pcibus"},
	"smbios":          {"internal/bin", "qemu"},
	"dstack":          {"internal/bin", "internal/keccak", "internal/strictjson", "eventlog", "mr", "qemu"},
	"dstack/compose":  {"internal/bin", "internal/yamldoc"},
	"dcap":            {"internal/bin", "internal/strictjson", "quote"},

	// 3: composes
	"mr/predict": {
		"internal/bin", "efi", "eventlog", "ovmf", "tdvf", "kernel", "kernel/shim",
		"mr", "qemu", "ovmf/pcibus", "ovmf/secureboot", "acpi", "smbios",
	},

	"manifest/dsse":    {"internal/bin", "internal/strictjson"},
	"manifest":         {"internal/bin", "internal/strictjson", "eventlog", "mr", "manifest/dsse"},
	"manifest/keyfile": {"internal/strictjson", "manifest/dsse", "golang.org/x/crypto"},
	"manifest/export":  {"mr", "manifest", "manifest/dsse", "github.com/fxamacker/cbor/v2", "github.com/veraison/go-cose"},

	// 4: judges
	"verify":  {"internal/bin", "internal/strictjson", "eventlog", "mr", "quote", "dcap", "dstack"},
	"explain": {"internal/bin", "efi", "eventlog", "mr", "smbios"},

	// 5: the edge
	"cmd/tdxkit": {"*"},
	"scripts":    {"*"},

	// tests only
	"fixtures":           {"internal/decompress"},
	"internal/golden":    {},
	"internal/reference": {},
	"internal/layers":    {},
	"internal/testpki":   {"quote"},
	"internal/testsign":  {},
}

// testOnly packages are imported by tests alone, and may do what only the edge and tests may do.
var testOnly = []string{"fixtures", "internal/golden", "internal/reference", "internal/layers", "internal/testpki", "internal/testsign"}

// edge packages meet files, terminal, clock and network. A package below one of them is one of them.
var edge = []string{"cmd", "scripts"}

// testModules are modules that tests import beside those of their package.
var testModules = []string{"github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "github.com/santhosh-tekuri/jsonschema/v6"}

// forbiddenImports are standard packages for the edge alone, with what a library does instead.
var forbiddenImports = map[string]string{
	"flag":         "take a struct",
	"log":          "return an error",
	"log/slog":     "return an error",
	"math/rand":    "take the bytes",
	"math/rand/v2": "take the bytes",
	"net":          "take the bytes",
	"net/http":     "take the bytes",
	"os":           "take the bytes, an io.Reader or an fs.FS",
	"os/exec":      "take the bytes",
	"os/signal":    "take a context",
	"syscall":      "take the bytes",
	"testing":      "belongs in _test.go files and fixtures",
	"unsafe":       "use encoding/binary",
}

// forbiddenCalls are calls for the edge alone, by package and name; the empty package is the language's own.
var forbiddenCalls = map[[2]string]string{
	{"", "panic"}:        "return an error",
	{"", "print"}:        "return a value",
	{"", "println"}:      "return a value",
	{"fmt", "Print"}:     "return a value",
	{"fmt", "Printf"}:    "return a value",
	{"fmt", "Println"}:   "return a value",
	{"time", "Now"}:      "take the time",
	{"time", "Since"}:    "take the time",
	{"time", "Until"}:    "take the time",
	{"time", "Sleep"}:    "wait for what is waited for",
	{"time", "After"}:    "take a context",
	{"time", "NewTimer"}: "take a context",
}

// allowed are the calls that stand in spite of forbiddenCalls, each with its reason.
var allowed = []exception{
	{"efi/guid.go", "MustGUID", "panic", "for GUIDs that are written in the source: it fails when the program starts or never"},
	{"acpi/aml/term.go", "appendNameSeg", "panic", "names of AML objects are written in the source of acpi, none comes from input"},
	{"acpi/aml/term.go", "EISAID", "panic", "identifiers are written in the source of acpi, none comes from input"},
}

// An exception lets one function of one file make one forbidden call.
type exception struct{ file, function, call, reason string }

const (
	longFile    = 500 // lines; a file that is longer is listed
	longestFile = 600 // lines; a file that is longer is refused
)

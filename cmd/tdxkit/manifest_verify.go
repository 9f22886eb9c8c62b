package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
	"github.com/tdxkit/tdxkit/qemu"
)

// trustFlags say whose manifests are taken.
func trustFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "trust", Usage: "trust policy `FILE`: keys, products, thresholds"},
		&cli.StringFlag{Name: "state", Usage: "`FILE` that remembers the newest serial numbers, so that older manifests are refused; it is made if it is not there, and brought up to date"},
		&cli.StringSliceFlag{Name: "rebuild", Usage: "signed rebuild statement `FILE`; may be repeated"},
	}
}

func manifestVerifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "check a signed manifest against a trust policy",
		UsageText: "tdxkit manifest verify --trust FILE [flags] MANIFEST",
		Description: "Exit code 0: taken, 1: refused, with the reason. docs/MANIFEST.md describes the trust policy.\n\n" +
			"Example:\n  tdxkit manifest verify --trust trust.json --state state.json acme.signed.json",
		Flags:  append(trustFlags(), timeFlag(), outputFlag()),
		Action: verifyManifest,
	}
}

// A truster opens manifests by the flags of trustFlags.
type truster struct {
	policy    *manifest.Trust
	options   manifest.OpenOptions
	statePath string
	lock      *os.File // on the state's folder, from before it is read; nil without a state
	changed   bool     // the state
}

// newTruster reads the policy, the state and the rebuild statements. The caller closes what is returned.
func newTruster(c *cli.Context, now time.Time) (*truster, error) {
	if !c.IsSet("trust") {
		return nil, usage("no trust policy is given", "give --trust FILE; docs/MANIFEST.md shows one")
	}
	data, err := readFile(c.String("trust"), roleOther, maxSmallDocument)
	if err != nil {
		return nil, err
	}
	w := &truster{statePath: c.String("state")}
	if w.policy, err = manifest.ParseTrust(data); err != nil {
		return nil, inFile(c.String("trust"), roleOther, err)
	}
	w.options.Now = now
	for _, path := range c.StringSlice("rebuild") {
		data, err := readFile(path, roleOther, maxSmallDocument)
		if err != nil {
			return nil, err
		}
		w.options.Rebuilds = append(w.options.Rebuilds, data)
	}
	if w.statePath == "" {
		return w, nil
	}
	// Two processes that read the state at once would write it one over the other, and forget the newer manifest.
	if w.lock, err = lockBeside(c.Context, w.statePath); err != nil {
		return nil, err
	}
	if w.options.State, err = readState(w.statePath); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// close lets other processes have the state.
func (w *truster) close() {
	if w.lock != nil {
		w.lock.Close()
	}
}

const maxSmallDocument = 1 << 20 // bytes of a trust policy, a state or a rebuild statement

// readState reads the state file; one that is not there is empty.
func readState(path string) (*manifest.State, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return &manifest.State{}, nil
	}
	data, err := readFile(path, roleOther, maxSmallDocument)
	if err != nil {
		return nil, err
	}
	s, err := manifest.ParseState(data)
	return s, inFile(path, roleOther, err)
}

// open opens one manifest.
func (w *truster) open(path string) (*manifest.Opened, error) {
	data, err := readFile(path, roleOther, dsse.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	o, err := w.policy.Open(data, w.options)
	var rejected *manifest.RejectedError
	switch {
	case errors.As(err, &rejected):
		return nil, &mismatchError{path + ": " + rejected.Error()}
	case err != nil:
		return nil, inFile(path, roleOther, err)
	}
	if w.options.State != nil && w.options.State.Accept(o) {
		w.changed = true
	}
	return o, nil
}

// save writes the state, if it changed. A state that cannot be written is an error: the next run would accept a rollback.
func (w *truster) save() error {
	if !w.changed {
		return nil
	}
	return writeAll([]output{{path: w.statePath, data: w.options.State.Append(nil)}}, replaceExisting)
}

// manifestVerdictJSON is the output of manifest verify.
type manifestVerdictJSON struct {
	Schema     string    `json:"schema"`
	Product    string    `json:"product"`
	Version    string    `json:"version"`
	Serial     uint64    `json:"serial"`
	Expires    time.Time `json:"expires"`
	Variants   int       `json:"variants"`
	SHA256     string    `json:"sha256"`
	Signers    []string  `json:"signers"`
	Rebuilders []string  `json:"rebuilders,omitempty"`
}

func verifyManifest(c *cli.Context) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	path, err := oneArg(c, "manifest")
	if err != nil {
		return err
	}
	now, err := readTime(c)
	if err != nil {
		return err
	}
	w, err := newTruster(c, now)
	if err != nil {
		return err
	}
	defer w.close()
	o, err := w.open(path)
	if err != nil {
		return err
	}
	if err := w.save(); err != nil {
		return err
	}
	v := manifestVerdictJSON{
		Schema: "tdxkit.manifest-verdict/v1", Product: o.Product.Name, Version: o.Product.Version, Serial: o.Serial, Expires: o.Expires,
		Variants: o.Len(), SHA256: fmt.Sprintf("%x", o.SHA256), Signers: o.Signers, Rebuilders: o.Rebuilders,
	}
	return p.result(v, func() {
		p.printf("%s %s, serial %d: %d variants, signed by %s\n", v.Product, v.Version, v.Serial, v.Variants, strings.Join(v.Signers, ", "))
		if len(v.Rebuilders) > 0 {
			p.printf("rebuilt by %s\n", strings.Join(v.Rebuilders, ", "))
		}
		p.printf("good until %s\n", v.Expires.Format(time.RFC3339))
	})
}

func manifestRebuildCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "attest-rebuild",
		Usage:     "state, signed, that you rebuilt a manifest's inputs from its source and got the same",
		UsageText: "tdxkit manifest attest-rebuild --key FILE --firmware FILE [--kernel FILE ...] [flags] MANIFEST",
		Description: "The files are those that you built. They are compared with the manifest, whose signatures are not checked here:\n" +
			"what differs is said, and nothing is signed. A trust policy may ask for the statements of so many rebuilders.\n\n" +
			"Example:\n  tdxkit manifest attest-rebuild --key rebuilder.key --firmware OVMF.fd --kernel vmlinuz --initrd initrd \\\n" +
			"    --out rebuild.json acme.signed.json",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "firmware", Usage: "firmware `FILE` that you built"},
			&cli.StringFlag{Name: "kernel", Usage: "kernel `FILE` that you built"},
			&cli.StringFlag{Name: "initrd", Usage: "initrd `FILE` that you built"},
			&cli.StringFlag{Name: "shim", Usage: "shim `FILE` that you built"},
			&cli.StringFlag{Name: "label", Usage: "`WORD` that the manifest adds to the inputs' names"},
			&cli.StringFlag{Name: "issued-at", Usage: "`TIME` of the build, 2006-01-02T15:04:05Z; without it that of SOURCE_DATE_EPOCH, else now"},
		}, keyFlags(), outFlags()),
		Action: func(c *cli.Context) error { return attestRebuild(c, t) },
	}
}

func attestRebuild(c *cli.Context, t *terminal) error {
	m, _, err := readUntrusted(c)
	if err != nil {
		return err
	}
	if m.Source == nil {
		return &inputError{msg: c.Args().First() + ": names no source, so that nothing can be rebuilt from it", hint: "create the manifest with --source"}
	}
	b := &manifest.Rebuild{Product: m.Product, Source: *m.Source, Tool: tool()}
	if b.BuiltAt, err = issueTime(c); err != nil {
		return err
	}
	src := &source{elsewhere: map[role]bool{roleFirmware: true, roleKernel: true, roleInitrd: true, roleShim: true}}
	files := qemu.Files{Firmware: c.String("firmware"), Kernel: c.String("kernel"), Initrd: c.String("initrd"), Shim: c.String("shim")}
	if b.Subjects, err = subjectsOf(src, files, c.String("label")); err != nil {
		return err
	}
	var names []string
	for _, s := range b.Subjects {
		names = append(names, s.Name)
	}
	if err := b.Confirms(&m.Header, names); err != nil {
		return &mismatchError{"the rebuild " + err.Error()}
	}
	data, err := b.Append()
	if err != nil {
		return err
	}
	return signEnvelope(c, t, dsse.New(manifest.PayloadType, data))
}

// readUntrusted reads a statement or an envelope without asking who signed it, to look at it.
func readUntrusted(c *cli.Context) (*manifest.Manifest, []dsse.Signature, error) {
	path, err := oneArg(c, "manifest")
	if err != nil {
		return nil, nil, err
	}
	return readUntrustedFile(path)
}

func readUntrustedFile(path string) (*manifest.Manifest, []dsse.Signature, error) {
	data, err := readFile(path, roleOther, dsse.MaxEnvelope)
	if err != nil {
		return nil, nil, err
	}
	e, err := statementOrEnvelope(data)
	if err != nil {
		return nil, nil, inFile(path, roleOther, err)
	}
	m, err := manifest.Parse(e.UntrustedPayload)
	return m, e.Signatures, inFile(path, roleOther, err)
}

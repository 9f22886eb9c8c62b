package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/libvirt"
	"github.com/tdxkit/tdxkit/qemu"
)

// A source is where shapes come from: a command line as given, or a document that stands for one.
type source struct {
	command func(s shape) ([]string, error) // the whole command line of a shape, program first; for several goroutines
	made    bool                            // the command line was made here, not given
	qemu    string                          // release that the document names, or ""
	assumed []string                        // what a document leaves open
	folder  *os.Root                        // where files of a document are, nil for the current folder
	dir     string                          // its name
	doc     string                          // the document that names those files
	image   *dstack.Image                   // nil unless an image folder was given
	config  *dstack.VMConfig                // nil unless a document of dstack's was given
	notes   []string
	// elsewhere has the files that flags name, which lie outside the document's folder.
	elsewhere map[role]bool
}

// A shape is what a matrix varies. Zero leaves it to the source.
type shape struct {
	cpus   int
	memory uint64 // bytes
}

// partFlags give or override parts of a command line, in the order in which they are appended to it.
var partFlags = []struct{ flag, option string }{
	{"machine", "-machine"}, {"cpu-model", "-cpu"}, {"device", "-device"},
	{"firmware", "-bios"}, {"kernel", "-kernel"}, {"initrd", "-initrd"}, {"shim", "-shim"}, {"cmdline", "-append"},
}

// openSource finds out what the flags and arguments say of the shape.
func openSource(c *cli.Context) (*source, error) {
	if err := oneSource(c); err != nil {
		return nil, err
	}
	var s *source
	var err error
	switch {
	case c.NArg() > 0:
		s = plainSource(c.Args().Slice())
	case c.IsSet("qemu-args"):
		s, err = argsFileSource(c.String("qemu-args"))
	case c.IsSet("libvirt-xml"):
		s, err = libvirtSource(c.String("libvirt-xml"))
	case c.IsSet("image"):
		s, err = imageSource(c)
	case c.IsSet("metadata"):
		s, err = metadataSource(c)
	case c.IsSet("vm-config"):
		s, err = vmConfigSource(c, &dstack.Metadata{
			BIOS: c.String("firmware"), Kernel: c.String("kernel"), Initrd: c.String("initrd"), Cmdline: c.String("cmdline"),
			Rootfs: "rootfs.img.verity",
		})
	case c.IsSet("firmware"):
		s = plainSource([]string{"qemu-system-x86_64", "-nodefaults", "-cpu", "host",
			"-machine", "q35,kernel-irqchip=split,confidential-guest-support=tdx0", "-object", "tdx-guest,id=tdx0"})
		s.made = true
	default:
		return nil, usage("nothing says what is measured",
			"give QEMU's command line after --, or --qemu-args, --libvirt-xml, --image, --metadata, or --firmware with --kernel")
	}
	if err != nil {
		return nil, err
	}
	return s.override(c), nil
}

// oneSource refuses two sources at once.
func oneSource(c *cli.Context) error {
	var given []string
	if c.NArg() > 0 {
		given = append(given, "a command line")
	}
	for _, f := range []string{"qemu-args", "libvirt-xml", "image", "metadata"} {
		if c.IsSet(f) {
			given = append(given, "--"+f)
		}
	}
	if len(given) > 1 {
		return usage(strings.Join(given, " and ")+" are given, want one of them", "")
	}
	if c.IsSet("vm-config") && len(given) == 1 && (c.NArg() > 0 || c.IsSet("qemu-args") || c.IsSet("libvirt-xml")) {
		return usage("--vm-config and "+given[0]+" are given, want one of them", "--vm-config stands for a command line of its own")
	}
	return nil
}

// plainSource takes a command line as it is.
func plainSource(argv []string) *source {
	return &source{command: func(s shape) ([]string, error) {
		args := append([]string(nil), argv...)
		if s.cpus > 0 {
			args = append(args, "-smp", fmt.Sprint(s.cpus))
		}
		if s.memory > 0 {
			args = append(args, "-m", qemuMemory(s.memory))
		}
		return args, nil
	}}
}

// qemuMemory spells a size as -m takes it.
func qemuMemory(n uint64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%dM", n>>20)
	}
	return fmt.Sprintf("%dB", n)
}

func argsFileSource(path string) (*source, error) {
	data, err := readFile(path, roleOther, maxArgsFile)
	if err != nil {
		return nil, err
	}
	argv, err := splitCommandLine(path, string(data))
	if err != nil {
		return nil, err
	}
	return plainSource(argv), nil
}

// libvirtSource reads a domain of libvirt's.
func libvirtSource(path string) (*source, error) {
	data, err := readFile(path, roleOther, bin.MaxJSON)
	if err != nil {
		return nil, err
	}
	args, err := libvirt.Read(data)
	if err != nil {
		return nil, inDocument(path, err)
	}
	s := plainSource(append([]string{"qemu-system-x86_64"}, args...))
	s.made = true
	return s, nil
}

// imageSource reads the folder of a dstack image.
func imageSource(c *cli.Context) (*source, error) {
	dir := c.String("image")
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, inFile(dir, roleOther, err)
	}
	im, err := dstack.ReadImage(root.FS())
	if err != nil {
		return nil, inFolder(dir, err)
	}
	s, err := dstackSource(c, im.Metadata, filepath.Join(dir, dstack.MetadataFile), root)
	if err != nil {
		return nil, err
	}
	s.image = im
	want, got := s.config.OSImageHash, fmt.Sprintf("%x", im.Hash)
	if im.HasHash && want != "" && want != got {
		return nil, &mismatchError{fmt.Sprintf("%s: os_image_hash is %s, that of %s is %s", c.String("vm-config"), want, dir, got)}
	}
	return s, nil
}

// inFolder says in which folder an error of an image is.
func inFolder(dir string, err error) error {
	var fe *bin.FormatError
	var m *dstack.MismatchError
	switch {
	case errors.As(err, &fe):
		return inFile(filepath.Join(dir, fe.Format), roleOther, stripFormat(fe))
	case errors.As(err, &m):
		return &inputError{msg: filepath.Join(dir, m.Error()), err: err, hint: "the image was changed after its " + m.List + " was made"}
	case errors.Is(err, dstack.ErrUnlisted):
		return &inputError{msg: filepath.Join(dir, err.Error()), err: err, hint: "name the files with --firmware, --kernel and --initrd instead"}
	}
	var of *dstack.FileError
	if errors.As(err, &of) {
		return inImageFile(filepath.Join(dir, of.Name), of)
	}
	return inFile(dir, roleOther, err)
}

// inImageFile says which file of an image cannot be read.
func inImageFile(path string, err *dstack.FileError) error {
	in := inFile(path, roleOther, err.Err)
	if i, ok := in.(*inputError); ok && err.Name == dstack.MetadataFile {
		i.hint = "want the folder of a dstack image, with its " + dstack.MetadataFile
	}
	return in
}

// stripFormat drops the name of the document from an error that is about to be put behind the document's path.
func stripFormat(fe *bin.FormatError) error {
	return fmt.Errorf("%s at offset 0x%x: %s%w", fe.Field, fe.Off, fe.Msg, silent{fe})
}

// A silent error keeps its cause and adds nothing to a message.
type silent struct{ err error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.err }

// metadataSource reads a metadata.json of dstack or of tdx-measure.
func metadataSource(c *cli.Context) (*source, error) {
	path := c.String("metadata")
	data, err := readFile(path, roleOther, bin.MaxJSON)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, inFile(dir, roleOther, err)
	}
	if dstack.IsTDXMeasure(data) {
		m, err := dstack.ParseTDXMeasure(data)
		if err != nil {
			return nil, inDocument(path, err)
		}
		l := m.CommandLine()
		s := plainSource(l.Args)
		s.made, s.assumed, s.folder, s.dir, s.doc = true, l.Assumed, root, dir, path
		s.notes = ignoredNote(path, m.Ignored)
		return s, nil
	}
	m, err := dstack.ParseMetadata(data)
	if err != nil {
		return nil, inDocument(path, err)
	}
	return dstackSource(c, m, path, root)
}

func inDocument(path string, err error) error {
	var fe *bin.FormatError
	if errors.As(err, &fe) {
		hint := ""
		if strings.Contains(fe.Msg, "leaves the folder") || strings.Contains(fe.Msg, "is absolute") {
			hint = "files of an image lie in its folder; name others with --firmware, --kernel and --initrd on a QEMU command line"
		}
		return &inputError{msg: path + ": " + stripFormat(fe).Error(), err: err, hint: hint}
	}
	return inFile(path, roleOther, err)
}

func ignoredNote(path string, keys []string) []string {
	if len(keys) == 0 {
		return nil
	}
	return []string{path + ": not understood and left out: " + strings.Join(keys, ", ")}
}

// dstackSource is the guest that dstack's VMM would start from an image, whose metadata.json is at a path.
func dstackSource(c *cli.Context, m *dstack.Metadata, path string, root *os.Root) (*source, error) {
	s, err := vmConfigSource(c, m)
	if err != nil {
		return nil, err
	}
	s.folder, s.dir, s.doc = root, filepath.Dir(path), path
	return s, nil
}

// vmConfigSource is the guest that a vm_config describes, or without one the plainest that dstack's VMM starts.
func vmConfigSource(c *cli.Context, m *dstack.Metadata) (*source, error) {
	s := &source{made: true}
	config := &dstack.VMConfig{NICs: 1, HostShare: "9p"}
	if path := c.String("vm-config"); path != "" {
		data, err := readFile(path, roleOther, bin.MaxJSON)
		if err != nil {
			return nil, err
		}
		if config, err = dstack.ParseVMConfig(data); err != nil {
			return nil, inDocument(path, err)
		}
		s.notes = ignoredNote(path, config.Ignored)
	} else if !c.IsSet("cpus") || !c.IsSet("memory") {
		return nil, usage("an image says nothing of vCPUs and memory", "give --cpus and --memory, or --vm-config")
	}
	s.qemu, s.config, s.assumed = config.QEMU, config, config.Assumed()
	s.command = func(sh shape) ([]string, error) {
		vm := *config
		if sh.cpus > 0 {
			vm.CPUs = uint64(sh.cpus)
		}
		if sh.memory > 0 {
			vm.Memory = sh.memory
		}
		l, err := vm.CommandLine(m)
		if err != nil {
			return nil, err
		}
		return l.Args, nil
	}
	return s, nil
}

// override appends what the part flags say.
func (s *source) override(c *cli.Context) *source {
	base := s.command
	s.elsewhere = map[role]bool{roleFirmware: c.IsSet("firmware"), roleKernel: c.IsSet("kernel"), roleInitrd: c.IsSet("initrd"), roleShim: c.IsSet("shim")}
	parts := partArguments(c)
	s.command = func(sh shape) ([]string, error) {
		args, err := base(sh)
		return append(args, parts...), err
	}
	return s
}

// partArguments are the arguments that the part flags stand for.
func partArguments(c *cli.Context) []string {
	var args []string
	for _, p := range partFlags {
		if !c.IsSet(p.flag) {
			continue
		}
		values := []string{c.String(p.flag)}
		if p.flag == "device" {
			values = c.StringSlice(p.flag)
		}
		for _, v := range values {
			args = append(args, p.option, v)
		}
	}
	return args
}

// parseOptions are what the flags say of the guest beside its command line.
func parseOptions(c *cli.Context) (qemu.ParseOptions, error) {
	o := qemu.ParseOptions{Assume: c.String("assume-qemu"), HostCPU: c.String("host-cpu"), PhysBits: c.Int("phys-bits")}
	if text := c.String("cpuid"); text != "" {
		id := &qemu.CPUID{}
		var rest string
		n, _ := fmt.Sscanf(text, "0x%x,0x%x%s", &id.EAX, &id.EDX, &rest)
		if n != 2 {
			return o, usage(fmt.Sprintf("--cpuid %q: want EAX,EDX of CPUID leaf 1", text), "write it as 0x000806f8,0x0fa9fbff")
		}
		o.CPUID = id
	}
	for _, text := range c.StringSlice("bar") {
		id, bars, err := parseBARs(text)
		if err != nil {
			return o, err
		}
		if o.BARs == nil {
			o.BARs = map[string][]qemu.BAR{}
		}
		o.BARs[id] = append(o.BARs[id], bars...)
	}
	for _, text := range c.StringSlice("vfio") {
		id, name, ok := strings.Cut(text, "=")
		if !ok {
			id, name = qemu.AnyHostDevice, text
		}
		if o.HostDevices == nil {
			o.HostDevices = map[string]string{}
		}
		o.HostDevices[id] = name
	}
	o.ReadFile = func(path string) ([]byte, error) { return readFile(path, roleOther, maxNamedFile) }
	return o, nil
}

// maxNamedFile bounds the files that options of QEMU name for the guest to see: 16 MiB. QEMU takes a size of 32 bits, and
// no firmware asks for more than some KiB.
const maxNamedFile = 16 << 20

// hostDeviceNames are the values of --vfio.
func hostDeviceNames() []string {
	var names []string
	for _, d := range qemu.HostDevices() {
		names = append(names, d.Name)
	}
	return names
}

// barKinds are the spaces of --bar.
var barKinds = map[string]qemu.BARKind{
	"io": qemu.BARIO, "mem32": qemu.BARMem32, "pref32": qemu.BARPref32, "mem64": qemu.BARMem64, "pref64": qemu.BARPref64,
}

// parseBARs reads one --bar, "gpu0=0:16M:mem64,2:128G:pref64".
func parseBARs(text string) (string, []qemu.BAR, error) {
	bad := func(why string) error {
		return usage(fmt.Sprintf("--bar %q: %s", text, why), "write it as gpu0=0:16MiB:mem64,2:128GiB:pref64")
	}
	id, list, ok := strings.Cut(text, "=")
	if !ok || id == "" {
		return "", nil, bad("names no device")
	}
	var bars []qemu.BAR
	for item := range strings.SplitSeq(list, ",") {
		part := strings.Split(item, ":")
		if len(part) != 3 {
			return "", nil, bad(fmt.Sprintf("%q is not NUMBER:SIZE:KIND", item))
		}
		index, err := strconv.Atoi(part[0])
		if err != nil || index < 0 || index > 5 {
			return "", nil, bad(fmt.Sprintf("%q is not a number from 0 to 5", part[0]))
		}
		size, err := parseMemory(part[1])
		if err != nil || size&(size-1) != 0 {
			return "", nil, bad(fmt.Sprintf("%q is not a size that is a power of two", part[1]))
		}
		kind, ok := barKinds[part[2]]
		if !ok {
			return "", nil, bad(fmt.Sprintf("%q is not io, mem32, pref32, mem64 or pref64", part[2]))
		}
		bars = append(bars, qemu.BAR{Index: index, Size: size, Kind: kind})
	}
	return id, bars, nil
}

// standardInput is the name of a file that stands for it. One that is called so is ./- to the shell.
const standardInput = "-"

// readFile reads a whole file that may have at most limit bytes, with one allocation where its size is known.
func readFile(path string, r role, limit int64) ([]byte, error) {
	if path == standardInput {
		return readAll(os.Stdin, "standard input", r, limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, inFile(path, r, err)
	}
	defer f.Close()
	return readOpen(f, path, r, limit)
}

func readOpen(f *os.File, path string, r role, limit int64) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, inFile(path, r, err)
	case info.IsDir():
		return nil, &inputError{msg: path + ": is a folder, want a file"}
	case info.Mode().IsRegular() && info.Size() > limit:
		return nil, &inputError{msg: fmt.Sprintf("%s: has %d bytes, at most %d are read as a %s", path, info.Size(), limit, r)}
	case info.Mode().IsRegular():
		data := makeLarge(int(info.Size()))
		if _, err := io.ReadFull(f, data); err != nil {
			return nil, inFile(path, r, err)
		}
		return data, nil
	}
	return readAll(f, path, r, limit)
}

// readAll reads what has no size to be known before.
func readAll(f *os.File, path string, r role, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, &inputError{msg: fmt.Sprintf("%s: has more than the %d bytes that are read as a %s", path, limit, r)}
	}
	return data, inFile(path, r, err)
}

// openForReading opens a file that is not a folder.
func openForReading(path string, r role) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, inFile(path, r, err)
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		f.Close()
		return nil, &inputError{msg: path + ": is a folder, want a file"}
	}
	return f, nil
}

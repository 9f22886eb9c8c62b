package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/tdvf"
)

func manifestCreateCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "create",
		Usage:     "predict the registers of every shape of an image and write them as a statement, not yet signed",
		UsageText: "tdxkit manifest create [flags] [-- qemu-system-x86_64 ARGS]\ntdxkit manifest create [flags] --from measured.json",
		Description: "The image is given as for measure. --cpus, --memory, --qemu and --devices make a matrix, --shapes FILE several.\n" +
			"The same inputs and time of issue make the same bytes. docs/MANIFEST.md describes the formats.\n\n" +
			"Example:\n  tdxkit manifest create --product acme-node --version 1.2.3 --serial 7 --qemu 10.1.0,11.1.0 --cpus 1-64,128 \\\n" +
			"    --memory 2GiB,4GiB..64GiB --host-cpu sapphire-rapids --out acme.json -- qemu-system-x86_64 -bios OVMF.fd ...",
		Flags:  slices.Concat(sourceFlags(), hostFlags(), createFlags(), dateFlags(), outFlags()),
		Action: func(c *cli.Context) error { return createManifest(c, t) },
	}
}

func createFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "shapes", Usage: "read the matrix from `FILE`, YAML or JSON"},
		&cli.StringFlag{Name: "devices", Usage: "sets of devices, each for every shape, from `FILE`, YAML or JSON"},
		&cli.StringSliceFlag{Name: "from", Usage: "take the variants from `FILE`, output of measure --output json; may be repeated"},
		&cli.StringFlag{Name: "edk2", Usage: "edk2 `RELEASE` of the firmware, \"202505\", where its bytes do not say"},
		&cli.BoolFlag{Name: "events", Usage: "list the events of every variant, for diff and explain"},
		&cli.StringFlag{Name: "product", Usage: "`NAME` that trust policies know the product by"},
		&cli.StringFlag{Name: "version", Usage: "`VERSION` of the product"},
		&cli.StringFlag{Name: "previous", Usage: "the product's last manifest `FILE`, whose serial number must be smaller"},
		&cli.StringFlag{Name: "label", Usage: "`WORD` that is added to the inputs' names, where manifests of several images are to be merged"},
		&cli.StringFlag{Name: "source", Usage: "where the inputs come from, `FILE` in YAML or JSON: repository, commit, recipe, dependencies"},
		&cli.StringFlag{Name: "policy", Usage: "what is asked of the TD beside its registers, `FILE` in YAML or JSON"},
	}
}

func createManifest(c *cli.Context, t *terminal) error {
	h := manifest.Header{Product: manifest.Product{Name: c.String("product"), Version: c.String("version")}, Tool: tool()}
	if h.Product.Name == "" || h.Product.Version == "" {
		return usage("no product is given", "give --product and --version")
	}
	if err := readDates(c, &h); err != nil {
		return err
	}
	if err := checkPrevious(c, &h); err != nil {
		return err
	}
	if err := readHeaderFiles(c, &h); err != nil {
		return err
	}
	if c.IsSet("from") {
		return createFrom(c, &h)
	}
	return createMatrix(c, t, &h)
}

// checkPrevious refuses a serial number that does not grow.
func checkPrevious(c *cli.Context, h *manifest.Header) error {
	path := c.String("previous")
	if path == "" {
		return nil
	}
	m, _, err := readUntrustedFile(path)
	if err != nil {
		return err
	}
	if m.Product.Name != h.Product.Name || m.Serial >= h.Serial {
		return &inputError{msg: fmt.Sprintf("%s: is of %s with serial number %d, want one of %s with less than %d", path, m.Product.Name, m.Serial, h.Product.Name, h.Serial),
			hint: "the serial number of a product's manifests only grows"}
	}
	return nil
}

// readHeaderFiles reads --source and --policy.
func readHeaderFiles(c *cli.Context, h *manifest.Header) error {
	if path := c.String("source"); path != "" {
		data, err := readAsJSON(path)
		if err != nil {
			return err
		}
		if h.Source, err = manifest.ParseSource(data); err != nil {
			return inFile(path, roleOther, err)
		}
	}
	if path := c.String("policy"); path != "" {
		data, err := readAsJSON(path)
		if err != nil {
			return err
		}
		if h.Policy, err = manifest.ParsePolicy(data); err != nil {
			return inFile(path, roleOther, err)
		}
	}
	return nil
}

// A creation is one invocation of create with a matrix.
type creation struct {
	job
	groups []matrixGroup
	image  *predict.Image
	inputs []int // of all platforms
	files  qemu.Files
	events bool
	// platforms are the platforms met so far, so that variants share them.
	platforms map[string]*manifest.Platform
}

func createMatrix(c *cli.Context, t *terminal, h *manifest.Header) error {
	k := &creation{events: c.Bool("events"), platforms: map[string]*manifest.Platform{}}
	var err error
	if k.options, err = predictOptions(c); err != nil {
		return err
	}
	if k.parse, err = parseOptions(c); err != nil {
		return err
	}
	k.options.OmitBytes = true // a manifest has the events' digests alone
	k.parse.TDX, k.term = true, t
	if k.groups, err = readMatrix(c); err != nil {
		return err
	}
	if k.src, err = openSource(c); err != nil {
		return err
	}
	first, err := k.first()
	if err != nil {
		return err
	}
	k.files = first.machine.Files
	defer k.close()
	if err := k.load(c, t, first, h); err != nil {
		return err
	}
	return writeStatement(c, func(w io.Writer) error { return k.write(c.Context, w, h) })
}

// A sketch is a point of the matrix, read and perhaps measured.
type sketch struct {
	point   point
	command []string
	machine *qemu.Machine
	result  *predict.Result
	err     error
}

// first reads the first point, to learn which files are booted.
func (k *creation) first() (*sketch, error) {
	for p := range points(k.groups) {
		s := &sketch{point: p}
		return s, k.read(s)
	}
	return nil, usage("the matrix is empty", "")
}

// read reads a point's command line.
func (k *creation) read(s *sketch) error {
	var err error
	if s.command, err = k.src.command(s.point.shape); err != nil {
		return err
	}
	s.command = append(s.command, s.point.extra...)
	releases := []string{s.point.qemu}
	if s.point.qemu == "" {
		if k.src.qemu == "" {
			return usage("no QEMU release is given", "give --qemu; a manifest's variants are each for one release")
		}
		releases = []string{k.src.qemu, k.src.qemu + "-tdx"}
	}
	for _, r := range releases {
		m, parseErr := qemu.ParseCommand(s.command, r, k.parse)
		if parseErr == nil {
			s.machine = m
			return nil
		}
		err = cmp.Or(err, parseErr)
	}
	return err
}

// load reads the files of the boot and fills in what the header says of them.
func (k *creation) load(c *cli.Context, t *terminal, first *sketch, h *manifest.Header) error {
	g := guest{machine: []*qemu.Machine{first.machine}, command: first.command}
	k.noteSource(t, g)
	if err := k.open(first.machine.Files); err != nil { // once, so that what is hashed twice is one file
		return err
	}
	var l *loaded
	var both errgroup.Group
	both.Go(func() (err error) { l, err = k.job.load(c.Context, t, g, true); return err })
	both.Go(func() (err error) {
		h.Subjects, err = subjectsIn(k.parts, first.machine.Files, c.String("label"))
		return err
	})
	if err := both.Wait(); err != nil {
		return err
	}
	if got := h.Subjects[0].SHA384; got != l.firmwareSHA384 {
		return inFile(k.firmware, roleFirmware, errChanged)
	}
	if i := slices.IndexFunc(h.Subjects, func(s manifest.Subject) bool { return s.Role() == "initrd" }); i >= 0 && h.Subjects[i].SHA384 != l.image.Initrd.Digest {
		return inFile(first.machine.Files.Initrd, roleInitrd, errChanged)
	}
	for i := range h.Subjects {
		k.inputs = append(k.inputs, i)
	}
	k.image = l.image
	h.Launch = launchOf(l.image.Firmware)
	return k.addImageFiles(h)
}

// addImageFiles adds what identifies a dstack image beside what is booted: its metadata, and the list of its files whose
// SHA-256 digest is os_image_hash.
func (k *creation) addImageFiles(h *manifest.Header) error {
	if k.src.image == nil {
		return nil
	}
	for _, name := range []string{"metadata.json", "sha256sum.txt"} {
		f, err := k.src.folder.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return inFile(filepath.Join(k.src.dir, name), roleOther, err)
		}
		s, err := hashSubject(name, f)
		f.Close()
		if err != nil {
			return inFile(filepath.Join(k.src.dir, name), roleOther, err)
		}
		h.Subjects = append(h.Subjects, s)
	}
	return nil
}

// subjectsOf hashes the inputs of a boot, with both hashes.
func subjectsOf(src *source, files qemu.Files, label string) ([]manifest.Subject, error) {
	open, err := src.openParts(files)
	if err != nil {
		return nil, err
	}
	defer open.close()
	return subjectsIn(open, files, label)
}

// subjectsIn is subjectsOf files that are open, which somebody else may be reading.
func subjectsIn(open *parts, files qemu.Files, label string) ([]manifest.Subject, error) {
	var list []manifest.Subject
	for _, p := range open.all() {
		if p == nil {
			continue
		}
		s, err := hashSubject(string(p.role), io.NewSectionReader(p, 0, p.size))
		if err != nil {
			return nil, inFile(p.path, p.role, err)
		}
		list = append(list, s)
	}
	if files.HasAppend {
		s, err := hashSubject("cmdline", strings.NewReader(files.Append))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if label != "" {
		for i := range list {
			list[i].Name += "/" + label
		}
	}
	return list, nil
}

func hashSubject(name string, r io.Reader) (manifest.Subject, error) {
	a, b := sha256.New(), sha512.New384()
	if _, err := io.Copy(io.MultiWriter(a, b), r); err != nil {
		return manifest.Subject{}, err
	}
	return manifest.Subject{Name: name, SHA256: [32]byte(a.Sum(nil)), SHA384: mr.Digest(b.Sum(nil))}, nil
}

// launchOf is what other tools compute MRTD and the TD HOB from.
func launchOf(f *predict.Firmware) *manifest.Launch {
	hob := f.Metadata.Find(tdvf.TDHOB)
	if hob == nil {
		return nil
	}
	l := &manifest.Launch{SinglePass: f.MRTD(tdvf.SinglePass), TwoPass: f.MRTD(tdvf.TwoPass), HOBBase: hob.MemoryAddress}
	for _, s := range f.Metadata.Sections {
		if s.Type == tdvf.TDHOB || s.Type == tdvf.TempMem {
			l.Accepted = append(l.Accepted, manifest.Region{Start: s.MemoryAddress, Len: s.MemoryDataSize})
		}
	}
	slices.SortFunc(l.Accepted, func(a, b manifest.Region) int { return cmp.Compare(a.Start, b.Start) })
	return l
}

// write predicts all points on all processors and writes them in order.
func (k *creation) write(ctx context.Context, w io.Writer, h *manifest.Header) error {
	out, err := manifest.NewWriter(w, h)
	if err != nil {
		return err
	}
	err = inOrder(ctx, points(k.groups), k.predict, func(sketches iter.Seq[*sketch]) error { return k.collect(out, sketches) })
	if err != nil {
		return err
	}
	return out.Close()
}

// predict reads and measures a point.
func (k *creation) predict(p point) *sketch {
	s := &sketch{point: p}
	if s.err = k.read(s); s.err != nil {
		return s
	}
	if s.machine.Files != k.files {
		s.err = usage(fmt.Sprintf("the shape %s boots other files than the first one", k.name(s)), "make a manifest of each image, and merge them")
		return s
	}
	s.result, s.err = predict.Measure(k.image, s.machine, k.options)
	s.err = k.inPart(s.err)
	return s
}

func (k *creation) name(s *sketch) string {
	return s.point.id(s.machine.Release.String(), s.machine.Topology.CPUs, s.machine.RAM)
}

// collect writes the variants.
func (k *creation) collect(out *manifest.Writer, sketches iter.Seq[*sketch]) error {
	noted := false
	for s := range sketches {
		if s.err != nil {
			return s.err
		}
		if !noted {
			k.noteResult(s.result)
			noted = true
		}
		m := s.machine
		v := manifest.Variant{ID: k.name(s), Platform: k.platform(s), CPUs: m.Topology.CPUs, Memory: m.RAM}
		for _, reg := range predict.Registers {
			d, ok := s.result.Values[reg]
			if !ok {
				return &inputError{msg: fmt.Sprintf("%s: %s is not known: %s", v.ID, reg, s.result.Unknown[reg]),
					hint: "a variant has all four registers"}
			}
			v.Registers[reg] = d
		}
		if k.events {
			v.Events = s.result.Events
		}
		if err := out.Add(&v); err != nil {
			return err
		}
	}
	return nil
}

// platform returns the platform of a point; points that have the same one share it.
func (k *creation) platform(s *sketch) *manifest.Platform {
	args := sharedArguments(s.command)
	key := fmt.Sprintf("%s %s %q %q", s.machine.Release, s.machine.Type, s.point.devices, args)
	if p := k.platforms[key]; p != nil {
		return p
	}
	p := &manifest.Platform{
		QEMU: s.machine.Release.String(), Machine: s.machine.Type, Devices: s.point.devices, Arguments: args, Inputs: k.inputs,
	}
	k.platforms[key] = p
	return p
}

// sharedArguments leaves out of a command line the program, what the subjects stand for, and what makes the matrix.
func sharedArguments(command []string) []string {
	var out []string
	for i := 1; i < len(command); i++ {
		switch a := command[i]; "-" + strings.TrimLeft(a, "-") {
		case "-bios", "-kernel", "-initrd", "-append":
			i++
		case "-smp", "-m":
			if i++; i < len(command) && strings.Contains(command[i], ",") { // topology, or slots for memory
				out = append(out, a, command[i])
			}
		default:
			out = append(out, a)
		}
	}
	return out
}

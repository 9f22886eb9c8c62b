package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/tdvf"
)

func measureCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "measure",
		Usage:     "predict the registers of a TD from its files and QEMU's command line",
		UsageText: "tdxkit measure [flags] [-- qemu-system-x86_64 ARGS]",
		Description: "The shape of the guest is the command line that starts it. Files in it are relative to the current folder.\n\n" +
			"Example:\n  tdxkit measure --qemu 10.1.0 --events -- qemu-system-x86_64 -nodefaults -smp 4 -m 8G \\\n" +
			"    -machine q35,confidential-guest-support=tdx0,kernel-irqchip=split -object tdx-guest,id=tdx0 \\\n" +
			"    -cpu host -bios OVMF.fd -kernel vmlinuz -initrd initrd.img -append console=ttyS0\n" +
			"  tdxkit measure --image dstack-0.5.8 --qemu 9.2.1 --cpus 1-8 --memory 2GiB..16GiB --output json",
		Flags:  slices.Concat(sourceFlags(), hostFlags(), measureFlags()),
		Action: func(c *cli.Context) error { return measure(c, t) },
	}
}

// sourceFlags say what is booted, and in which shape.
func sourceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "qemu-args", Usage: "read QEMU's command line from `FILE`: shell words, one argument a line, or a JSON array"},
		&cli.StringFlag{Name: "libvirt-xml", Usage: "`FILE` is the XML of a domain of libvirt's, from virsh dumpxml"},
		&cli.StringFlag{Name: "metadata", Usage: "`FILE` is the metadata.json of a dstack image or of tdx-measure"},
		&cli.StringFlag{Name: "image", Usage: "`DIR` is a dstack image, held to its sha256sum.txt"},
		&cli.StringFlag{Name: "vm-config", Usage: "`FILE` is the vm_config of a dstack guest"},
		&cli.StringFlag{Name: "firmware", Usage: "firmware image `FILE`, in place of -bios"},
		&cli.StringFlag{Name: "kernel", Usage: "kernel `FILE`, in place of -kernel"},
		&cli.StringFlag{Name: "initrd", Usage: "initrd `FILE`, in place of -initrd"},
		&cli.StringFlag{Name: "shim", Usage: "shim `FILE` that starts the kernel, in place of -shim"},
		&cli.StringFlag{Name: "cmdline", Usage: "kernel command line `TEXT`, in place of -append"},
		&cli.StringFlag{Name: "cpus", Usage: "vCPU counts `LIST`, \"4\" or \"1-64,128\""},
		&cli.StringFlag{Name: "memory", Usage: "memory sizes `LIST`, \"8GiB\" or \"2GiB,4GiB..64GiB\" (a range doubles)"},
		&cli.StringFlag{Name: "machine", Usage: "machine `PROPERTIES`, added to -machine"},
		&cli.StringFlag{Name: "cpu-model", Usage: "CPU `MODEL`, in place of -cpu"},
		&cli.StringSliceFlag{Name: "device", Usage: "a further `DEVICE`, as -device takes it; may be repeated"},
	}
}

// hostFlags say what the host adds.
func hostFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "qemu", Usage: "QEMU `RELEASE` that runs the guest, \"10.1.0\"; \"8.2.2-tdx\" for builds with Intel's patches"},
		&cli.StringFlag{Name: "assume-qemu", Usage: "treat an unknown release as `RELEASE`"},
		&cli.StringFlag{Name: "host-cpu", Usage: "processor `NAME` behind -cpu host"},
		&cli.StringFlag{Name: "cpuid", Usage: "CPUID leaf 1 `EAX,EDX` that the guest sees with -cpu host, in hexadecimal with 0x; HT follows from -smp"},
		&cli.StringSliceFlag{Name: "bar", Usage: "BARs of a device that the host passes on, `ID=N:SIZE:KIND,...`: id= or host= of the device, number, size, and io, mem32, pref32, mem64 or pref64; may be repeated"},
		&cli.StringSliceFlag{Name: "vfio", Usage: "what a device is that the host passes on, `ID=NAME`, or NAME for all: " + strings.Join(hostDeviceNames(), ", ") + "; may be repeated"},
		&cli.IntFlag{Name: "phys-bits", Usage: "guest physical address `BITS` where -cpu does not say"},
	}
}

func measureFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "edk2", Usage: "edk2 `RELEASE` of the firmware, \"202505\", where its bytes do not say"},
		&cli.StringFlag{Name: "only", Usage: "registers `LIST`, \"mrtd,rtmr1\""},
		&cli.BoolFlag{Name: "events", Usage: "list every event with its reason"},
		&cli.StringFlag{Name: "event-log", Usage: "write the predicted log to `FILE` as a CCEL"},
		&cli.BoolFlag{Name: "force", Usage: "replace the file of --event-log"},
		&cli.StringFlag{Name: "name", Usage: "`NAME` of the measurement; a matrix adds the shape"},
		outputFlag(),
	}
}

// A job is one invocation of measure.
type job struct {
	src      *source
	shapes   []shape
	releases []string // candidates; one where the release is given
	stated   bool     // the release is given
	parse    qemu.ParseOptions
	options  predict.Options
	name     string
	firmware string // paths of the files, for messages
	kernel   string
	parts    *parts    // the files, open
	term     *terminal // for notes on a prediction; nil leaves them out
}

// A guest is one shape, read.
type guest struct {
	shape   shape
	name    string
	command []string
	machine []*qemu.Machine // one for each release that takes the command line
}

func measure(c *cli.Context, t *terminal) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	j, err := newJob(c)
	if err != nil {
		return err
	}
	guests, err := j.guests()
	if err != nil {
		return err
	}
	if c.IsSet("event-log") {
		if len(guests) > 1 {
			return usage("--event-log takes one shape, the matrix has "+fmt.Sprint(len(guests)), "")
		}
		if err := checkFree([]output{{path: c.String("event-log")}}, force(c.Bool("force"))); err != nil {
			return err
		}
	}
	j.noteSource(t, guests[0])
	j.term = t
	j.options.OmitBytes = !c.Bool("events")
	if len(guests) == 1 && j.stated {
		defer debug.SetGCPercent(debug.SetGCPercent(-1)) // what a single prediction leaves behind is less than a collection costs
	}
	defer j.close()
	l, err := j.load(c.Context, t, guests[0], digestFirmware(p.json))
	if err != nil {
		return err
	}
	return j.run(c, p, l, guests)
}

// newJob reads the flags.
func newJob(c *cli.Context) (*job, error) {
	j := &job{name: c.String("name")}
	var err error
	if j.options, err = predictOptions(c); err != nil {
		return nil, err
	}
	if j.parse, err = parseOptions(c); err != nil {
		return nil, err
	}
	j.parse.TDX = true
	if j.shapes, err = matrix(c); err != nil {
		return nil, err
	}
	if j.src, err = openSource(c); err != nil {
		return nil, err
	}
	if j.src.config != nil {
		j.options.PageOrder = pageOrder(j.src.config.TwoPass)
	}
	switch {
	case c.IsSet("qemu"):
		j.releases, j.stated = []string{c.String("qemu")}, true
	case j.src.qemu != "":
		// The VMM that wrote the document runs TDs, so a release that starts none without patches is a patched one.
		j.releases, j.stated = []string{j.src.qemu, j.src.qemu + "-tdx"}, true
	case j.parse.Assume != "":
		return nil, usage("--assume-qemu stands in for the release of --qemu, which is not given", "")
	default:
		for _, r := range qemu.Releases() {
			j.releases = append(j.releases, strings.Replace(r, ".x", ".0", 1))
		}
	}
	return j, nil
}

// pageOrder is the order that dstack's flag of two passes stands for, nil where it is not set.
func pageOrder(twoPass *bool) *tdvf.Order {
	if twoPass == nil {
		return nil
	}
	order := tdvf.SinglePass
	if *twoPass {
		order = tdvf.TwoPass
	}
	return &order
}

func predictOptions(c *cli.Context) (predict.Options, error) {
	var o predict.Options
	if list := c.String("only"); list != "" {
		for name := range strings.SplitSeq(list, ",") {
			r, err := mr.ParseRegister(strings.TrimSpace(name))
			if err != nil || !slices.Contains(predict.Registers, r) {
				return o, usage(fmt.Sprintf("--only %q: %q is not a register that is predicted", list, name), "want some of mrtd, rtmr0, rtmr1, rtmr2")
			}
			o.Only = append(o.Only, r)
		}
	}
	if text := c.String("edk2"); text != "" {
		r, err := predict.ParseRelease(text)
		if err != nil {
			return o, usage("--edk2: "+err.Error(), "write it as 202505")
		}
		o.EDK2 = r
	}
	return o, nil
}

// matrix returns the shapes of --cpus and --memory.
func matrix(c *cli.Context) ([]shape, error) {
	cpus, memory := []int{0}, []uint64{0}
	var err error
	if c.IsSet("cpus") {
		if cpus, err = parseCPUs(c.String("cpus")); err != nil {
			return nil, err
		}
	}
	if c.IsSet("memory") {
		if memory, err = parseMemoryList(c.String("memory")); err != nil {
			return nil, err
		}
	}
	if len(cpus)*len(memory) > maxShapes {
		return nil, usage(fmt.Sprintf("the matrix has %d shapes, want at most %d", len(cpus)*len(memory), maxShapes), "")
	}
	var shapes []shape
	for _, n := range cpus {
		for _, m := range memory {
			shapes = append(shapes, shape{n, m})
		}
	}
	return shapes, nil
}

// guests reads the command lines of all shapes, so that what is wrong with one is said before anything is printed.
func (j *job) guests() ([]guest, error) {
	guests := make([]guest, len(j.shapes))
	errs := make([]error, len(j.shapes))
	var g errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			for i := w; i < len(guests); i += workers {
				if guests[i], errs[i] = j.guest(j.shapes[i]); errs[i] != nil {
					return errs[i]
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err == nil {
		return guests, nil
	}
	for _, err := range errs { // the first of them in order
		if err != nil {
			return nil, err
		}
	}
	return guests, nil
}

// guest reads one shape.
func (j *job) guest(s shape) (guest, error) {
	g := guest{shape: s}
	var err error
	if g.command, err = j.src.command(s); err != nil {
		return guest{}, err
	}
	if g.machine, err = j.machines(g.command); err != nil {
		return guest{}, err
	}
	m := g.machine[0]
	g.name = fmt.Sprintf("%dcpu-%s", m.Topology.CPUs, formatMemory(m.RAM))
	if j.name != "" && len(j.shapes) > 1 {
		g.name = j.name + "-" + g.name
	} else if j.name != "" {
		g.name = j.name
	}
	return g, nil
}

// machines reads a command line against each candidate release. A release that starts no TD is passed over. Where the
// release is stated its error counts, else the newest one's where none takes the command line.
func (j *job) machines(command []string) ([]*qemu.Machine, error) {
	var list []*qemu.Machine
	var last error
	for _, r := range j.releases {
		m, err := qemu.ParseCommand(command, r, j.parse)
		if err != nil {
			if last == nil || !j.stated {
				last = err
			}
			continue
		}
		list = append(list, m)
		if j.stated {
			break
		}
	}
	if len(list) == 0 {
		return nil, last
	}
	return list, nil
}

// noteSource says what a document left open, and which command line was made of it.
func (j *job) noteSource(t *terminal, g guest) {
	if !j.src.made {
		return
	}
	for _, n := range j.src.notes {
		t.note("%s", n)
	}
	t.note("command line: %s", quoteCommandLine(g.command))
	for _, a := range j.src.assumed {
		t.note("assumed: %s", a)
	}
	if j.stated && g.machine[0].Release.String() != j.releases[0] {
		t.note("QEMU %s", g.machine[0].Release)
	}
}

// open opens the files.
func (j *job) open(files qemu.Files) error {
	parts, err := j.src.openParts(files)
	if err != nil {
		return err
	}
	j.parts = parts
	j.firmware = parts.firmware.path
	if parts.kernel != nil {
		j.kernel = parts.kernel.path
	}
	return nil
}

// load opens the files, if they are not, reads them, and hashes what all guests share as the first one has it. Predictions
// may read more of the kernel, until close.
func (j *job) load(ctx context.Context, t *terminal, g guest, digest digestFirmware) (*loaded, error) {
	if j.parts == nil {
		if err := j.open(g.machine[0].Files); err != nil {
			return nil, err
		}
	}
	l := loader{t: t, src: j.src, parts: j.parts, machine: g.machine[0], options: j.options, digest: digest}
	return l.load(ctx)
}

// close closes the files.
func (j *job) close() {
	if j.parts != nil {
		j.parts.close()
	}
}

// An outcome is the prediction of one guest.
type outcome struct {
	guest  guest
	result *predict.Result
	err    error
}

// run predicts all guests on all processors and prints them in order.
func (j *job) run(c *cli.Context, p *printer, l *loaded, guests []guest) error {
	if len(guests) > 1 {
		// The shapes that are read stay in memory: collect less often.
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	predict := func(g guest) outcome {
		r, err := j.predict(l.image, g)
		return outcome{g, r, j.inPart(err)}
	}
	return inOrder(c.Context, slices.Values(guests), predict, func(outcomes iter.Seq[outcome]) error {
		return j.print(c, p, l, outcomes)
	})
}

// inPart says which file an error of a prediction is about.
func (j *job) inPart(err error) error {
	var fe *bin.FormatError
	switch {
	case errors.Is(err, kernel.ErrBoot), errors.Is(err, kernel.ErrPatch), errors.Is(err, kernel.ErrRead):
		return inFile(j.kernel, roleKernel, err)
	case errors.As(err, &fe):
		return inFile(j.firmware, roleFirmware, err)
	}
	return err
}

// predict measures one guest. Where the release is not given, only what is the same with every candidate is known; if
// something asked for differs, that is an error.
func (j *job) predict(img *predict.Image, g guest) (*predict.Result, error) {
	first, err := predict.Measure(img, g.machine[0], j.options)
	if err != nil || j.stated {
		return first, err
	}
	differ := map[mr.Register]bool{}
	for _, m := range g.machine[1:] {
		r, err := predict.Measure(img, m, j.options)
		if err != nil {
			return nil, err
		}
		for _, reg := range predict.Registers {
			a, inFirst := first.Values[reg]
			b, inThis := r.Values[reg]
			if inFirst != inThis || a != b {
				differ[reg] = true
			}
		}
	}
	if len(differ) == 0 {
		return first, nil
	}
	var names []string
	for _, reg := range predict.Registers {
		if differ[reg] {
			names = append(names, reg.String())
		}
	}
	return nil, usage("--qemu is not given, and "+strings.Join(names, ", ")+" differ by it",
		"known releases: "+strings.Join(qemu.Releases(), ", "))
}

// print prints outcomes in order. A register that was asked for and is not known is an error, after all that is known
// has been printed.
func (j *job) print(c *cli.Context, p *printer, l *loaded, outcomes iter.Seq[outcome]) error {
	var doc *document
	var missing []string
	for o := range outcomes {
		if o.err != nil {
			return o.err
		}
		if doc == nil {
			if err := writeEventLog(c, o); err != nil {
				return err
			}
			doc = p.begin("tdxkit.measurements/v1", "measurements")
			j.noteResult(o.result)
		}
		for _, reg := range predict.Registers {
			if why, ok := o.result.Unknown[reg]; ok {
				missing = append(missing, fmt.Sprintf("%s: %s is not known: %s", o.guest.name, reg, why))
			}
		}
		if err := doc.add(j.record(c, l, o), func() { p.measurement(c, len(j.shapes) > 1, o) }); err != nil {
			return err
		}
	}
	if err := doc.end(); err != nil || len(missing) == 0 {
		return err
	}
	more := ""
	if len(missing) > 1 {
		more = fmt.Sprintf(" (%d more registers are not known)", len(missing)-1)
	}
	return &inputError{msg: missing[0] + more, hint: "--only leaves registers out"}
}

// noteResult passes on what a prediction says of itself. Shapes of one image say the same.
func (j *job) noteResult(r *predict.Result) {
	if j.term == nil {
		return
	}
	for _, n := range r.Notes {
		j.term.note("%s", n)
	}
}

// writeEventLog writes the predicted log where --event-log asks for it.
func writeEventLog(c *cli.Context, o outcome) error {
	path := c.String("event-log")
	if path == "" {
		return nil
	}
	for _, reg := range predict.Registers[1:] {
		if _, ok := o.result.Values[reg]; !ok {
			return &inputError{msg: fmt.Sprintf("%s: a log needs all of RTMR0 to RTMR2, and %s is not known", path, reg), hint: o.result.Unknown[reg]}
		}
	}
	return writeAll([]output{{path: path, data: mr.ToLog(o.result.Events).AppendCCEL(nil)}}, force(c.Bool("force")))
}

// Oracle holds the tables that this repository predicts against those of real QEMUs: it makes random command lines,
// starts each QEMU with them, stopped, plays firmware over qtest, reads what firmware would read, and compares byte for
// byte. docs/ORACLE.md says how to run it.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

func main() {
	log.SetFlags(0)
	var o options
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the generator")
	flag.Uint64Var(&o.first, "first", 0, "number of the first shape")
	flag.Uint64Var(&o.n, "n", 200, "how many shapes")
	flag.IntVar(&o.jobs, "j", 2, "how many QEMUs at a time")
	flag.IntVar(&o.budget, "shrink", 300, "how many shapes to try to shorten one that differs")
	flag.IntVar(&o.mostShrunk, "most", 20, "how many that differ are shortened for each release")
	flag.StringVar(&o.keep, "keep", "", "folder for what QEMU says of shapes that differed, shortened, or of the one that is given")
	flag.IntVar(&o.sample, "sample", 0, "how many shapes of each release that were equal are kept too")
	flag.StringVar(&o.kernel, "kernel", "fixtures/kernel/vmlinuz-6.12-cloud", "a kernel for -kernel")
	flag.StringVar(&o.firmware, "firmware", "", "an OVMF of edk2 202505 or later: let it place what is on PCI, in place of our model of it")
	flag.IntVar(&o.iasl, "iasl", 20, "how many shapes' tables go through iasl, where it is installed")
	flag.IntVar(&o.wild, "wild", 0, "how many words of each shape are changed to what no generator would write")
	flag.BoolVar(&o.verbose, "v", false, "say what becomes of each shape")
	flag.BoolVar(&o.properties, "properties", false, "in place of random shapes, each property of each driver, one at a time")
	flag.IntVar(&o.each, "each", 1000, "with -properties: of one that several drivers have, on so many of them")
	flag.StringVar(&o.driver, "driver", "", "with -properties: of this driver alone")
	flag.StringVar(&o.lines, "lines", "", "in place of random shapes, those of a file of JSON objects with args and files")
	list := flag.String("qemu", os.Getenv("TDXKIT_QEMU"), "QEMUs: programs and folders, separated by colons (default: of PATH)")
	flag.Parse()
	ok, err := run(&o, *list, flag.Args(), os.Stdout)
	if err != nil {
		log.Fatal("oracle: ", err)
	}
	if !ok {
		os.Exit(1)
	}
}

// files are what the run gives to QEMU.
type files struct{ kernel, firmware string }

// options are the flags.
type options struct {
	seed, first, n   uint64
	jobs             int
	budget           int
	mostShrunk, iasl int
	sample, wild     int
	keep             string
	files
	verbose    bool
	properties bool
	driver     string
	lines      string
	each       int
	tpm        bool
}

// run compares with every QEMU and reports whether nothing differed. A command line that is given takes the place of
// the generator.
func run(o *options, list string, args []string, w io.Writer) (bool, error) {
	emulators, err := findEmulators(list)
	if err != nil {
		return false, err
	}
	if len(emulators) == 0 {
		fmt.Fprintf(w, "left out: no %s in PATH, and TDXKIT_QEMU names none\n", program)
		return true, nil
	}
	for _, path := range []*string{&o.kernel, &o.firmware} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return false, err
		}
	}
	if _, err := exec.LookPath("iasl"); err != nil && o.iasl > 0 {
		o.iasl = 0
		fmt.Fprintln(w, "left out: what iasl says of the tables, for there is no iasl")
	}
	_, err = exec.LookPath("swtpm")
	if o.tpm = err == nil; !o.tpm {
		fmt.Fprintln(w, "left out: TPMs, for there is no swtpm")
	}
	ok := true
	for _, e := range emulators {
		if _, _, err := qemu.TraitsOf(e.release); err != nil {
			fmt.Fprintf(w, "left out: QEMU %s: %v\n", e.release, err)
			continue
		}
		r := &report{w: w, e: e, o: o}
		switch {
		case o.properties:
			if err := r.sweep(); err != nil {
				return false, err
			}
		case o.lines != "":
			if err := r.lines(o.lines); err != nil {
				return false, err
			}
		case len(args) > 0:
			o.sample = 1
			r.one(o.first, given(args))
		default:
			r.all()
		}
		r.print()
		ok = ok && len(r.different) == 0 && len(r.asl.ours) == 0 && r.count[failed] == 0
	}
	return ok, nil
}

// given makes a shape of a command line.
func given(args []string) shape {
	var s shape
	for i := 0; i < len(args); i++ {
		o := option{name: strings.TrimLeft(args[i], "-")}
		if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			o.words = []string{args[i]}
			if !strings.HasPrefix(args[i], "{") {
				o.words = strings.Split(args[i], ",")
			}
		}
		s.options = append(s.options, o)
	}
	return s
}

// compareReleases orders releases by number.
func compareReleases(a, b string) int {
	v, _ := qemu.ParseVersion(a)
	w, _ := qemu.ParseVersion(b)
	return cmp.Or(v.Major-w.Major, v.Minor-w.Minor, v.Micro-w.Micro)
}

// An outcome is what became of one shape.
type outcome uint8

const (
	equal          outcome = iota
	refusedByUs            // QEMU takes it
	refusedByQEMU          // we take it
	refusedByBoth          //
	differs                //
	failed                 // the run itself
	equalButSMBIOS         // equal, and the CPU is one that SMBIOS is not known of
)

// A judgement is what became of one shape, and why.
type judgement struct {
	outcome     outcome
	err         error // of what was refused or failed
	differences []difference
	prediction  *prediction
	record      *record
}

// judge runs one shape on both sides.
func (e *emulator) judge(s shape, f files) judgement {
	firmware := pcibus.Stable202308
	if f.firmware != "" {
		firmware = pcibus.Stable202505
	}
	p, ours := predictFor(s, e.release, firmware)
	if f.firmware != "" && ours == nil {
		if why := bootable(p); why != "" {
			return judgement{outcome: refusedByBoth, err: errors.New(why)}
		}
	}
	v, theirs := e.start(s, f)
	var no refusal
	switch {
	case theirs != nil && !errors.As(theirs, &no):
		return judgement{outcome: failed, err: theirs}
	case theirs != nil && ours != nil:
		return judgement{outcome: refusedByBoth, err: ours}
	case theirs != nil:
		return judgement{outcome: refusedByQEMU, err: theirs}
	}
	defer v.stop()
	if ours != nil {
		return judgement{outcome: refusedByUs, err: ours}
	}
	var r *record
	var err error
	if f.firmware != "" {
		r, err = observeBoot(v)
	} else {
		r, err = observe(v, p)
	}
	if err != nil {
		return judgement{outcome: failed, err: fmt.Errorf("%w: %w", err, refusal(v.stderr.String()))}
	}
	j := judgement{differences: p.compare(r), prediction: p, record: r}
	switch {
	case len(j.differences) > 0:
		j.outcome = differs
	case p.tables == nil:
		j.outcome = equalButSMBIOS
	}
	return j
}

// A report collects the outcomes of one release.
type report struct {
	w io.Writer
	e *emulator
	o *options

	mu        sync.Mutex
	count     [equalButSMBIOS + 1]int
	why       [equalButSMBIOS + 1]map[string]int
	different map[string]int // by what differs first
	asl       aslCount
	shrunk    int
	kept      int
}

// all runs the shapes of the seed.
func (r *report) all() {
	release, _ := qemu.ParseVersion(r.e.release)
	inParallel(r.o.jobs, r.o.first, r.o.n, func(n uint64) {
		r.one(n, wild(generate(r.o.seed, n, release, r.o.tpm), r.o.wild, r.o.seed, n))
	})
}

// inParallel calls do with n numbers from first on, some jobs at a time.
func inParallel(jobs int, first, n uint64, do func(uint64)) {
	numbers := make(chan uint64)
	var wg sync.WaitGroup
	for range max(1, jobs) {
		wg.Go(func() {
			for i := range numbers {
				do(i)
			}
		})
	}
	for i := first; i < first+n; i++ {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
}

// one judges a shape and notes what became of it.
func (r *report) one(n uint64, s shape) {
	j := r.e.judge(s, r.o.files)
	if !r.note(n, s, j) {
		return
	}
	// Shortening takes long; other shapes go on.
	first := j.differences[0].what
	s = shrink(s, r.budget(), func(c shape) bool {
		now := r.e.judge(c, r.o.files)
		same := now.outcome == differs && now.differences[0].what == first
		if same {
			j = now
		}
		return same
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.w, "\nDIFFERENT: QEMU %s, seed %d, shape %d\n  %s\n", r.e.release, r.o.seed, n, quote(s.args()))
	const most = 6
	for _, x := range j.differences[:min(most, len(j.differences))] {
		fmt.Fprintf(r.w, "  %s: %s\n", x.what, x.detail)
	}
	if more := len(j.differences) - most; more > 0 {
		fmt.Fprintf(r.w, "  and %d more\n", more)
	}
	if r.o.keep != "" {
		if err := keep(r.o.keep, r.e.release, r.o.seed, n, s, j.record); err != nil {
			fmt.Fprintln(r.w, "  not kept:", err)
		}
	}
}

// note counts a judgement and reports whether the two sides differ.
func (r *report) note(n uint64, s shape, j judgement) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[j.outcome]++
	if r.o.verbose {
		fmt.Fprintf(r.w, "%s seed %d shape %d: %s %v\n    %s\n", r.e.release, r.o.seed, n, outcomeNames[j.outcome], j.err, quote(s.args()))
	}
	if j.err != nil {
		if r.why[j.outcome] == nil {
			r.why[j.outcome] = map[string]int{}
		}
		r.why[j.outcome][reason(j.err)]++
	}
	if j.outcome == differs {
		if r.different == nil {
			r.different = map[string]int{}
		}
		r.different[j.differences[0].what]++
		return true
	}
	if j.record != nil && r.o.keep != "" && r.kept < r.o.sample {
		r.kept++
		if err := keep(r.o.keep, r.e.release, r.o.seed, n, s, j.record); err != nil {
			fmt.Fprintln(r.w, "not kept:", err)
		}
	}
	if j.record != nil && r.asl.shapes < r.o.iasl {
		if err := r.asl.checkASL(n, j.prediction, j.record.files); err != nil {
			fmt.Fprintln(r.w, "iasl:", err)
		}
	}
	return false
}

// budget returns how many shapes may be tried to shorten the next one that differs.
func (r *report) budget() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shrunk++; r.shrunk > r.o.mostShrunk {
		return 0
	}
	return r.o.budget
}

// reason shortens an error to what many shapes have in common: the option and what is wrong, without its argument.
func reason(err error) string {
	var o *qemu.OptionError
	if errors.As(err, &o) {
		kind, _, _ := strings.Cut(o.Arg, ",")
		if i := strings.Index(kind, "="); i > 0 && o.Option != "-global" {
			kind = kind[:i]
		}
		return fmt.Sprintf("%s %s: %s", o.Option, kind, o.Msg)
	}
	var r refusal
	if errors.As(err, &r) {
		return digits.ReplaceAllString(deviceWords.ReplaceAllString(r.Error(), "$1 ...:"), "N")
	}
	return digits.ReplaceAllString(err.Error(), "N")
}

var (
	deviceWords = regexp.MustCompile(`(-device \{?[^, ]*)[^ ]*:`)
	digits      = regexp.MustCompile(`\b(0x[0-9a-f]+|[0-9]+)\b`)
)

var outcomeNames = [...]string{"equal", "refused by us alone", "refused by QEMU alone", "refused by both", "DIFFERENT", "failed", "equal, SMBIOS left out"}

// print sums up.
func (r *report) print() {
	total := 0
	for _, n := range r.count {
		total += n
	}
	same := r.count[equal] + r.count[equalButSMBIOS]
	fmt.Fprintf(r.w, "\nQEMU %s: %d shapes: %d equal (%d of them without SMBIOS, whose CPU is not known), %d different; "+
		"refused: %d by us alone, %d by QEMU alone, %d by both; %d failed\n",
		r.e.release, total, same, r.count[equalButSMBIOS], r.count[differs], r.count[refusedByUs], r.count[refusedByQEMU], r.count[refusedByBoth], r.count[failed])
	if n := same + r.count[differs]; n > 0 {
		fmt.Fprintf(r.w, "QEMU %s: pass rate %d of %d (%.2f %%)\n", r.e.release, same, n, 100*float64(same)/float64(n))
	}
	table := func(title string, m map[string]int) {
		if len(m) == 0 {
			return
		}
		fmt.Fprintf(r.w, "  %s:\n", title)
		keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(m[b]-m[a], cmp.Compare(a, b)) })
		for _, k := range keys {
			fmt.Fprintf(r.w, "  %6d  %s\n", m[k], k)
		}
	}
	r.asl.print(r)
	table("different in", r.different)
	for _, o := range []outcome{refusedByUs, refusedByQEMU, refusedByBoth, failed} {
		table(outcomeNames[o], r.why[o])
	}
}

// quote writes a command line so that a shell reads it back.
func quote(args []string) string {
	var out []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \"'{}$\\()&;<>*?#~|`") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

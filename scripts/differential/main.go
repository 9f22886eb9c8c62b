// Command differential holds tdxkit's judgement against other verifiers: go-tdx-guest, oasis-core, and dcap-qvl's JavaScript
// twin where node and the package are there. It judges every quote of fixtures/quotes with every collateral at five times: in the
// middle of the window in which all is valid, at both ends of it and a second outside of each. A difference that no row of
// explained covers is printed, and makes it fail. It is a module of its own, so that tdxkit depends on none of this.
//
//	cd scripts/differential && npm install --no-save @phala/dcap-qvl@0.3.9 && go run . ../../fixtures/quotes
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/quote"
)

// A trial is one judgement that every verifier is asked for.
type trial struct {
	quote, collateral string // names
	at                time.Time
	place             string // of the time in the window

	q    *quote.Quote
	c    *dcap.Collateral
	text []byte
	root []byte // DER; nil for Intel's
}

// options are the terms of tdxkit's judgement.
func (t trial) options() dcap.Options {
	o := dcap.Options{Time: t.at}
	if t.root != nil {
		o.Roots = []dcap.Fingerprint{sha256.Sum256(t.root)}
	}
	return o
}

// An opinion is what a verifier made of a trial.
type opinion struct {
	accepted bool
	status   string // where the verifier tells it
	why      string
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: differential FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(1)
	}
}

func run(dir string, out io.Writer) error {
	trials, withoutLists, err := load(dir)
	if err != nil {
		return err
	}
	js, err := askJavaScript(trials)
	if err != nil {
		fmt.Fprintln(out, "dcap-qvl-js is left out:", err)
	}
	made, err := worlds() // dcap-qvl-js takes no other root than Intel's
	if err != nil {
		return err
	}
	trials = append(trials, made...)
	complete := len(trials)
	trials = append(trials, withoutLists...) // which oasis-core alone can judge
	counts := map[string]int{}
	for i, t := range trials {
		r, err := dcap.Judge(t.q, t.c, t.options())
		ours := opinion{accepted: err == nil, status: r.Status.String()}
		if err != nil {
			ours.why = err.Error()
		}
		opinions := map[string]opinion{"oasis-core": askOasis(t)}
		if i < complete {
			opinions["go-tdx-guest"] = askGoogle(t)
		}
		if i < len(js) {
			opinions["dcap-qvl-js"] = js[i]
		}
		for name, theirs := range opinions {
			counts[name+" "+compare(out, t, r, name, ours, theirs)]++
		}
	}
	for _, k := range slices.Sorted(mapsKeys(counts)) {
		fmt.Fprintf(out, "%5d %s\n", counts[k], k)
	}
	for k := range counts {
		if strings.HasSuffix(k, "unexplained") {
			return fmt.Errorf("there are differences that no row explains")
		}
	}
	return nil
}

func mapsKeys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// compare says whether two opinions agree, or which row explains that they do not.
func compare(out io.Writer, t trial, r *dcap.Result, name string, ours, theirs opinion) string {
	same := ours.accepted == theirs.accepted
	if name == "dcap-qvl-js" { // it tells a status and leaves the rest to the caller
		same = (len(r.Failed(dcap.TCBStatus)) == 0) == theirs.accepted && (!theirs.accepted || ours.status == theirs.status)
	}
	if same {
		return "agrees"
	}
	for _, e := range explained {
		if e.who == name && e.when(t, r, theirs) {
			return "differs: " + e.why
		}
	}
	fmt.Fprintf(out, "%s with %s, %s (%s)\n  tdxkit: %v %s %s\n  %s: %v %s %s\n", t.quote, t.collateral, t.at.Format(time.RFC3339), t.place,
		ours.accepted, ours.status, ours.why, name, theirs.accepted, theirs.status, theirs.why)
	return "unexplained"
}

// only reports whether the checks that failed are all among ids.
func only(r *dcap.Result, ids ...dcap.CheckID) bool {
	for _, c := range r.Checks {
		if c.Status == dcap.Fail && !slices.Contains(ids, c.ID) {
			return false
		}
	}
	return true
}

// explained are the differences that are known, each with its reason. README.md tells of them at length.
var explained = []struct {
	who, why string
	when     func(trial, *dcap.Result, opinion) bool
}{
	{"go-tdx-guest", "it does not compare issueDate and thisUpdate", func(t trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && (t.place == "before" || t.place == "world") &&
			only(r, dcap.TCBInfoTime, dcap.QEIdentityTime, dcap.PCKCRLTime, dcap.RootCRLTime)
	}},
	{"go-tdx-guest", "it leaves DEBUG to its package validate", func(t trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && r.Check(dcap.TDDebug).Status == dcap.Fail &&
			only(r, dcap.TDDebug, dcap.TCBInfoTime, dcap.QEIdentityTime, dcap.PCKCRLTime, dcap.RootCRLTime)
	}},
	{"go-tdx-guest", "it looks at the module's level in place of the platform's", func(t trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && r.Module.Status == dcap.UpToDate && r.Platform.Status != dcap.UpToDate && r.Platform.Status != dcap.NoStatus
	}},
	{"go-tdx-guest", "it does not compare the module with the identity of its version", func(t trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && r.Check(dcap.ModuleMatch).Status == dcap.Fail && only(r, dcap.ModuleMatch)
	}},
	{"go-tdx-guest", "it does not look at TEE_TCB_SVN2", func(t trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && t.q.TD.TEETCBSVN2 != t.q.TD.TEETCBSVN && only(r, dcap.TCBCurrent, dcap.TCBStatus)
	}},
	{"go-tdx-guest", "it does not look at MIGRATABLE and MRSERVICETD", func(t trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && only(r, dcap.TDMigratable, dcap.TDServiceTD)
	}},
	{"dcap-qvl-js", "it does not compare nextUpdate of the PCK CRL", func(t trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && t.place == "after" && only(r, dcap.PCKCRLTime, dcap.TCBStatus)
	}},
	{"dcap-qvl-js", "it does not compare thisUpdate of the PCK CRL", func(t trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && t.place == "before" && only(r, dcap.PCKCRLTime, dcap.TCBStatus)
	}},
	{"oasis-core", "it does not read version 5", func(t trial, _ *dcap.Result, theirs opinion) bool {
		return !theirs.accepted && t.q.Header.Version == 5 && strings.Contains(theirs.why, "unsupported quote version 5")
	}},
	{"oasis-core", "it does not look at revocation lists", func(_ trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && only(r, dcap.RootCRL, dcap.RootCRLTime, dcap.PCKCRL, dcap.PCKCRLTime, dcap.PCKCARevocation, dcap.PCKRevocation,
			dcap.TCBInfoRevocation, dcap.QEIdentityRevocation)
	}},
	{"oasis-core", "it takes 30 days in place of nextUpdate", func(_ trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && only(r, dcap.TCBInfoTime, dcap.QEIdentityTime)
	}},
	{"oasis-core", "it accepts a platform that is SWHardeningNeeded", func(_ trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && r.Status == dcap.SWHardeningNeeded && only(r, dcap.TCBStatus)
	}},
	{"oasis-core", "it does not compare the module with the identity of its version", func(_ trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && only(r, dcap.ModuleMatch)
	}},
	{"oasis-core", "it does not look at MIGRATABLE", func(_ trial, r *dcap.Result, theirs opinion) bool {
		return theirs.accepted && only(r, dcap.TDMigratable)
	}},
}

// load pairs every quote with every collateral, those that have revocation lists and those that have none.
func load(dir string) (trials, withoutLists []trial, err error) {
	quotes, _ := filepath.Glob(filepath.Join(dir, "*.bin"))
	collaterals, _ := filepath.Glob(filepath.Join(dir, "collateral-*.json"))
	for _, cf := range collaterals {
		text, err := os.ReadFile(cf)
		if err != nil {
			return nil, nil, err
		}
		c, err := dcap.ParseCollateral(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", cf, err)
		}
		dst := &trials
		if c.RootCRL == nil {
			dst = &withoutLists
		}
		for _, qf := range quotes {
			data, err := os.ReadFile(qf)
			if err != nil {
				return nil, nil, err
			}
			q, err := quote.Parse(data)
			if err != nil {
				continue
			}
			r, _ := dcap.Judge(q, c, dcap.Options{Time: time.Unix(1, 0)})
			nb, na := r.Window()
			base := trial{quote: filepath.Base(qf), collateral: filepath.Base(cf), q: q, c: c, text: text}
			for _, p := range []struct {
				place string
				at    time.Time
			}{{"before", nb.Add(-time.Second)}, {"first", nb}, {"middle", nb.Add(na.Sub(nb) / 2)}, {"last", na}, {"after", na.Add(time.Second)}} {
				t := base
				t.place, t.at = p.place, p.at
				*dst = append(*dst, t)
			}
		}
	}
	return trials, withoutLists, nil
}

// askJavaScript asks dcap-qvl's JavaScript twin about all trials in one process.
func askJavaScript(trials []trial) ([]opinion, error) {
	cmd := exec.Command("node", "dcap-qvl.js")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer stdin.Close()
		enc := json.NewEncoder(stdin)
		for _, t := range trials {
			var c map[string]any
			if json.Unmarshal(t.text, &c) != nil {
				return
			}
			delete(c, "pck_certificate_chain") // it would be taken in place of the quote's own
			if enc.Encode(map[string]any{"quote": base64.StdEncoding.EncodeToString(t.q.Raw), "collateral": c, "time": t.at.Unix()}) != nil {
				return
			}
		}
	}()
	var opinions []opinion
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o struct{ Status, Error string }
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, err
		}
		opinions = append(opinions, opinion{accepted: o.Error == "", status: o.Status, why: o.Error})
	}
	if err := cmd.Wait(); err != nil {
		return nil, err
	}
	if len(opinions) != len(trials) {
		return nil, fmt.Errorf("%d answers to %d questions", len(opinions), len(trials))
	}
	return opinions, nil
}

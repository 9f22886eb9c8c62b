package dcap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/quote"
)

// moduleIdentity returns what the TCB info says of modules of the major version in svn[1]. Version 0 is covered by
// tdxModule; a later one must be among tdxModuleIdentities. TdxModuleCheck.cpp, findTdxModuleIdentity; QuoteVerifier.cpp,
// verify, 4.1.2.5.12.
func (t *TCBInfo) moduleIdentity(svn [16]byte) (*ModuleIdentity, error) {
	if svn[1] == 0 {
		return &t.Module, nil
	}
	id := fmt.Sprintf("TDX_%02X", svn[1])
	for i := range t.Modules {
		if t.Modules[i].ID == id {
			return &t.Modules[i], nil
		}
	}
	return nil, fmt.Errorf("the TCB info has no identity %s", id)
}

// platformLevel returns the first level that the platform reaches in every component. Of a module of a later major version
// the first two TDX components are left to the module's own levels. PCS API v4, "Get TDX TCB Info"; EvaluateTcb.cpp,
// tdxEvaluateTCB.
func (t *TCBInfo) platformLevel(pck *PCK, svn [16]byte) Component {
	first := 0
	if svn[1] > 0 {
		first = 2
	}
	for i, l := range t.Levels {
		if reaches(pck.SGX[:], l.SGX[:]) && pck.PCESVN >= l.PCESVN && reaches(svn[first:], l.TDX[first:]) {
			return Component{l.Status, i, l.Date, l.Advisories}
		}
	}
	return Component{}
}

// reaches reports whether no SVN is below its level's.
func reaches(svns, level []uint8) bool {
	for i := range svns {
		if svns[i] < level[i] {
			return false
		}
	}
	return true
}

// svnLevel returns the first level that svn reaches.
func svnLevel(levels []SVNLevel, svn uint16) Component {
	for i, l := range levels {
		if svn >= l.ISVSVN {
			return Component{l.Status, i, l.Date, l.Advisories}
		}
	}
	return Component{}
}

// moduleMatch compares the module with its identity, both that of launch and that of now. SEAMATTRIBUTES must be zero: a
// bit there is a module under debug.
func (j *judge) moduleMatch() finding {
	t := &j.q.TD
	if t.SEAMAttributes != [8]byte{} {
		return differs("SEAMATTRIBUTES 0000000000000000", fmt.Sprintf("SEAMATTRIBUTES %x", t.SEAMAttributes))
	}
	svns := [][16]byte{t.TEETCBSVN}
	if j.q.Kind == quote.TD15Body {
		svns = append(svns, t.TEETCBSVN2)
	}
	var f finding
	for _, svn := range svns {
		id, err := j.tcb.moduleIdentity(svn)
		if err != nil {
			return failed(err.Error())
		}
		var masked [8]byte
		for i := range masked {
			masked[i] = t.SEAMAttributes[i] & id.Mask[i]
		}
		f = same(fmt.Sprintf("MRSIGNERSEAM %x SEAMATTRIBUTES %x", id.MRSIGNER, id.Attributes),
			fmt.Sprintf("MRSIGNERSEAM %x SEAMATTRIBUTES %x", t.MRSIGNERSEAM, masked))
		if f.status != Pass {
			return f
		}
	}
	return f
}

func (j *judge) tcbPlatform() finding {
	j.r.Platform = j.tcb.platformLevel(j.r.PCK, j.q.TD.TEETCBSVN)
	return level(j.r.Platform, fmt.Sprintf("SGX %x PCESVN %d TDX %x", j.r.PCK.SGX, j.r.PCK.PCESVN, j.q.TD.TEETCBSVN))
}

func (j *judge) tcbModule() finding {
	svn := j.q.TD.TEETCBSVN
	if svn[1] == 0 {
		return passed("covered by the platform's level")
	}
	id, err := j.tcb.moduleIdentity(svn)
	if err != nil {
		return failed(err.Error())
	}
	j.r.Module = svnLevel(id.Levels, uint16(svn[0]))
	return level(j.r.Module, fmt.Sprintf("%s SVN %d", id.ID, svn[0]))
}

func (j *judge) tcbQE() finding {
	svn := j.q.Certification.QE.Report.ISVSVN
	j.r.QE = svnLevel(j.qe.Levels, svn)
	return level(j.r.QE, fmt.Sprintf("SVN %d", svn))
}

// level passes if a level matched; what its status is worth is tcb.status's to say.
func level(c Component, svn string) finding {
	if c.Status == NoStatus {
		return failed("no TCB level matches " + svn)
	}
	return passed(fmt.Sprintf("%v (level %d, %s), %s", c.Status, c.Level, c.Date.Format("2006-01-02"), svn))
}

// tcbCurrent evaluates a TD report 1.5 a second time, by the SVNs of the module that runs now. EvaluateTcb.cpp and
// TcbLevelCheck.cpp, checkTcbLevel, 4.1.2.5.1.20.
func (j *judge) tcbCurrent() finding {
	r := j.r
	r.Status = j.converged(r.Platform, r.Module, j.q.TD.TEETCBSVN)
	r.TCBDate = earliest(r.Platform.Date, r.Module.Date, r.QE.Date)
	r.Advisories = merged(r.Platform.Advisories, r.Module.Advisories, r.QE.Advisories)
	if j.q.Kind != quote.TD15Body {
		return passed("not told by a TD report 1.0")
	}
	svn := j.q.TD.TEETCBSVN2
	now := &Current{Platform: j.tcb.platformLevel(r.PCK, svn)}
	if svn[1] > 0 {
		id, err := j.tcb.moduleIdentity(svn)
		if err != nil {
			return failed(err.Error())
		}
		now.Module = svnLevel(id.Levels, uint16(svn[0]))
	}
	now.Status = j.converged(now.Platform, now.Module, svn)
	r.Current = now
	r.TCBDate = earliest(r.TCBDate, now.Platform.Date, now.Module.Date)
	r.Advisories = merged(r.Advisories, now.Platform.Advisories, now.Module.Advisories)
	if now.Status == NoStatus {
		return failed(fmt.Sprintf("no TCB level matches TEE_TCB_SVN2 %x", svn))
	}
	r.Status = relaunch(r.Status, now.Status)
	return passed(now.Status.String())
}

// converged joins the platform's status with those of the module, where svn says that it has levels of its own, and the QE.
func (j *judge) converged(platform, module Component, svn [16]byte) Status {
	if svn[1] == 0 {
		return converge(platform.Status, j.r.QE.Status)
	}
	return converge(platform.Status, module.Status, j.r.QE.Status)
}

func (j *judge) tcbStatus() finding {
	if slices.Contains(j.opts.Accept, j.r.Status) && j.r.Status != NoStatus {
		return passed(j.r.Status.String())
	}
	if len(j.opts.Accept) == 0 {
		return differs("none: the list of what is accepted is empty", j.r.Status.String())
	}
	var want []string
	for _, s := range j.opts.Accept {
		want = append(want, s.String())
	}
	return differs(strings.Join(want, " or "), j.r.Status.String())
}

// merged returns all strings sorted, each once.
func merged(lists ...[]string) []string {
	out := slices.Concat(lists...)
	slices.Sort(out)
	return slices.Compact(out)
}

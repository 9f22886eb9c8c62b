package qemu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Version is a QEMU release. TDX marks the out-of-tree builds with Intel's TDX patches of before 10.1, whose
// release is spelt "8.2.2-tdx".
type Version struct {
	Major, Minor, Micro int
	TDX                 bool
}

// String returns the version as --qemu spells it.
func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro)
	if v.TDX {
		s += "-tdx"
	}
	return s
}

// Less reports whether v is older than w by major and minor number.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// A family is a series of releases that evidence stands for: every micro release of it has the same traits.
type family struct {
	Major, Minor int
	TDX          bool
	// NoTD says that this series, without further patches, starts no TD.
	NoTD bool
	Cite string
}

// families are the known releases, oldest first. 8.0, 8.1 and 11.0 are absent on purpose: no tables of theirs were seen.
var families = []family{
	{7, 2, false, true, "tables of Debian's 7.2"},
	{8, 2, false, true, "tables of 8.2 without TDX patches equal those of 9.0"},
	{8, 2, true, false, "quote of a dstack host with 8.2.2; tables of Intel's own branch"},
	{9, 0, false, true, "tables of 9.0.2"},
	{9, 0, true, false, "tables and boots of Intel's 9.0.2 branch"},
	{9, 1, false, false, "Canonical's TDX host on 9.1 has the tables of 9.2"},
	{9, 2, false, false, "quote of a dstack host with 9.2.1"},
	{10, 0, false, false, "tables of 10.0.2 and 10.0.13, boots with 10.0.13"},
	{10, 1, false, false, "tables of 10.0.13 and 10.2.2 are equal"},
	{10, 2, false, false, "tables and boots with 10.2.2"},
	{11, 1, false, false, "tables of 11.1.3"},
}

func (f family) String() string {
	s := fmt.Sprintf("%d.%d.x", f.Major, f.Minor)
	if f.TDX {
		s += "-tdx"
	}
	return s
}

// Releases returns the known release series, oldest first, spelt "10.1.x".
func Releases() []string {
	var s []string
	for _, f := range families {
		s = append(s, f.String())
	}
	return s
}

// ParseVersion reads a release: "10.1.0", "10.1", "8.2.2-tdx". It does not ask whether the release is known.
func ParseVersion(s string) (Version, error) {
	var v Version
	num, tdx := strings.CutSuffix(s, "-tdx")
	v.TDX = tdx
	parts := strings.Split(num, ".")
	fields := []*int{&v.Major, &v.Minor, &v.Micro}
	if len(parts) < 2 || len(parts) > len(fields) {
		return Version{}, releaseErr(s, "is not a QEMU release", "write it as 10.1.0 or 8.2.2-tdx")
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || strconv.FormatUint(n, 10) != p {
			return Version{}, releaseErr(s, "is not a QEMU release", "write it as 10.1.0 or 8.2.2-tdx")
		}
		*fields[i] = int(n)
	}
	return v, nil
}

// firstDevelopment is the micro version of the builds on the way to the next release; 90 and up are its candidates.
const firstDevelopment = 50

func releaseErr(s, msg, hint string) error {
	return &OptionError{Option: "QEMU release", Arg: strconv.Quote(s), Msg: msg, Hint: hint, Err: ErrUnknown}
}

// familyOf returns the series that v belongs to.
func familyOf(v Version) (family, bool) {
	for _, f := range families {
		if f.Major == v.Major && f.Minor == v.Minor && f.TDX == v.TDX {
			return f, true
		}
	}
	return family{}, false
}

// TraitsOf returns what a release does. It refuses a release that no evidence stands for, naming the nearest known ones:
// a guess would be a wrong digest.
func TraitsOf(release string) (Version, Traits, error) {
	v, err := ParseVersion(release)
	if err != nil {
		return Version{}, Traits{}, err
	}
	if v.Micro >= firstDevelopment {
		return Version{}, Traits{}, releaseErr(release, "is a build between releases", "nearest known: "+strings.Join(neighbours(v), ", ")+"; --assume-qemu says to treat it as one of them")
	}
	if _, ok := familyOf(v); !ok {
		return Version{}, Traits{}, releaseErr(release, "is not a release that evidence is at hand for",
			"nearest known: "+strings.Join(neighbours(v), ", ")+"; --assume-qemu says to treat it as one of them")
	}
	return v, traitsOf(v), nil
}

// AssumeRelease returns an unknown release with the traits of a known one, on the user's word.
func AssumeRelease(release, as string) (Version, Traits, error) {
	v, err := ParseVersion(release)
	if err != nil {
		return Version{}, Traits{}, err
	}
	_, t, err := TraitsOf(as)
	return v, t, err
}

// neighbours returns the known series just before and after v.
func neighbours(v Version) []string {
	var before, after []string
	for _, f := range families {
		w := Version{Major: f.Major, Minor: f.Minor}
		switch {
		case v.TDX && !f.TDX && !f.NoTD && w.Less(Version{Major: 10, Minor: 1}):
		case w.Less(v):
			before = append(before, f.String())
		default:
			after = append(after, f.String())
		}
	}
	return slices.Concat(before[max(0, len(before)-2):], after[:min(2, len(after))])
}

// traitsOf walks the changes back from the newest known behaviour to v.
func traitsOf(v Version) Traits {
	var t Traits
	for _, c := range changes {
		if c.oldIn(v) {
			c.Old(&t)
		}
	}
	return t
}

package qemu

import "fmt"

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

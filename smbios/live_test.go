package smbios

import (
	"cmp"
	"fmt"
	"path"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/qemu"
)

// A liveShape is a command line with -smbios options and what QEMU made of it.
type liveShape struct {
	ID      string
	QEMU    string
	Args    []string
	Files   map[string]string // contents of the files that the command line names, in hex
	Tables  string            // in hex
	Anchor  string            // in hex
	Refused string            // QEMU's words, where it did not start
}

func liveShapes(t testing.TB) []liveShape {
	t.Helper()
	var all []liveShape
	decode(t, fixtures.File(t, "smbios", "shapes.json.zst"), &all)
	return all
}

// beyond are shapes that QEMU takes and Build refuses, because what QEMU makes of them is an accident or is not modelled.
var beyond = map[string]string{
	"rel3":      "a release of three numbers, of which QEMU reads two",
	"relbig":    "a release number that QEMU cuts to 8 bits",
	"trunc":     "a speed that QEMU cuts to 16 bits",
	"t41none":   "a device that is not there: QEMU 9.0 and newer leave the structure half made",
	"t41behind": "a device behind a bridge, likewise",
	"ipmi-two":  "two IPMI interfaces, which get one handle",
}

// TestOptionsAreQEMUs compares shapes with -smbios options, odd sizes and topologies.
func TestOptionsAreQEMUs(t *testing.T) {
	for _, s := range liveShapes(t) {
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			m, err := parseLive(t, &s)
			if why := cmp.Or(s.Refused, beyond[path.Base(s.ID)]); why != "" {
				if err == nil {
					m.CPU.Known = true
					_, err = Build(m)
				}
				if err == nil {
					t.Errorf("got no error, want one: %s", why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tables := unhex(t, s.Tables)
			got, err := Build(cpuidOf(t, tables).with(m))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, tablesFile, got.Structures, tables)
			compare(t, anchorFile, got.EntryPoint, unhex(t, s.Anchor))
		})
	}
}

// parseLive reads a shape's command line, with what its files hold.
func parseLive(t *testing.T, s *liveShape) (*qemu.Machine, error) {
	t.Helper()
	return qemu.ParseArgs(s.Args, s.QEMU, qemu.ParseOptions{ReadFile: func(name string) ([]byte, error) {
		content, ok := s.Files[name]
		if !ok {
			return nil, fmt.Errorf("the shape has no file %s", name)
		}
		return unhex(t, content), nil
	}})
}

package ovmf

import (
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
)

func TestDump(t *testing.T) {
	for _, n := range fixtures.FirmwareNames() {
		img, err := Parse(fixtures.Firmware(t, n))
		if err != nil {
			t.Fatal(n, err)
		}
		vs, err := img.Volumes()
		if err != nil {
			t.Fatal(n, err)
		}
		for _, v := range vs {
			t.Logf("%s %x %x %s %s %d", n, v.Off, len(v.Data), v.FileSystem, v.Name, len(v.Files))
		}
		st, err := img.Store()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range st.Variables {
			t.Logf("   %s %s %s %d", v.GUID, v.Name, v.State, len(v.Data))
		}
	}
}

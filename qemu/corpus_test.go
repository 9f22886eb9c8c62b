package qemu

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oracleRelease spells the release of an oracle of the ACPI corpus, and the one whose traits it stands for.
func oracleRelease(name string) (release, assume string) {
	switch name {
	case "7.2":
		return "7.2.0", ""
	case "like-8.2-tdx":
		return "10.0.13", "8.2.2-tdx"
	case "like-9.0":
		return "10.0.13", "9.0.2"
	case "like-9.2":
		return "10.0.13", "9.2.1"
	}
	return name, ""
}

func TestQuick(t *testing.T) {
	root := os.Getenv("TDXKIT_TRUTH_UNPACKED")
	if root == "" {
		t.Skip()
	}
	ok, bad := 0, map[string]string{}
	files, _ := filepath.Glob(root + "/acpi/*/*/config.json")
	emu, _ := filepath.Glob(root + "/emu/*/*/config.json")
	for _, f := range append(files, emu...) {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Args     []string `json:"args"`
			QEMUArgs []string `json:"qemu_args"`
			Version  string   `json:"qemu_version"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		rel, as := c.Version, ""
		if rel == "" {
			rel, as = oracleRelease(filepath.Base(filepath.Dir(filepath.Dir(f))))
		}
		if _, err := ParseArgs(append(c.Args, c.QEMUArgs...), rel, ParseOptions{Assume: as}); err != nil {
			bad[strings.TrimPrefix(f, root)] = err.Error()
		} else {
			ok++
		}
	}
	t.Logf("%d parsed, %d not", ok, len(bad))
	for f, e := range bad {
		t.Log(f, e)
	}
}

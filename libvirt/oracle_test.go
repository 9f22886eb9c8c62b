package libvirt_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tdxkit/tdxkit/libvirt"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestOracle compares what a domain says with what libvirt itself makes of it. Pairs of NAME.xml, from virsh dumpxml,
// and NAME.args, from virsh domxml-to-native, are in testdata; scripts/oracle-libvirt makes more, and
// TDXKIT_LIBVIRT_PAIRS names their folder.
func TestOracle(t *testing.T) {
	dirs := []string{"testdata"}
	if more := os.Getenv("TDXKIT_LIBVIRT_PAIRS"); more != "" {
		dirs = append(dirs, more)
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no pairs: %v", dir, err)
		}
		counts := map[string]int{}
		for _, f := range files {
			xml, line := readFile(t, f), readFile(t, strings.TrimSuffix(f, ".xml")+".args")
			counts[comparePair(t, filepath.Base(f), xml, string(line))]++
		}
		t.Logf("%s: %d pairs: %v", dir, len(files), counts)
		if counts["equal"] == 0 {
			t.Error("no pair is equal")
		}
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bootIndex is what is taken out of both sides where QEMU's path of a device is not modelled, to compare the rest.
var bootIndex = regexp.MustCompile(`,"bootindex":[0-9]+`)

// comparePair reads both sides of a pair into machines and compares these.
func comparePair(t *testing.T, name string, xml []byte, line string) string {
	args, err := libvirt.Read(xml)
	if err != nil {
		if !strings.Contains(err.Error(), "give the XML of the running domain") {
			t.Errorf("%s: %v", name, err)
		}
		return "refused: depends on the host's processor"
	}
	theirs := words(t, line)
	options := qemu.ParseOptions{PhysBits: 52, BARs: map[string][]qemu.BAR{
		"hostdev0": {{Index: 0, Size: 16 << 20, Kind: qemu.BARMem64}, {Index: 2, Size: 128 << 30, Kind: qemu.BARPref64}},
		"hostdev1": {{Index: 0, Size: 1 << 20, Kind: qemu.BARMem32}},
	}}
	result := "equal"
	got, gotErr := qemu.ParseArgs(args, "11.1.3", options)
	want, wantErr := qemu.ParseArgs(theirs, "11.1.3", options)
	if gotErr != nil && wantErr != nil && strings.Contains(gotErr.Error(), "bootindex") {
		result = "equal but for the boot order, which qemu refuses"
		for _, side := range [][]string{args, theirs} {
			for i := range side {
				side[i] = bootIndex.ReplaceAllString(side[i], "")
			}
		}
		got, gotErr = qemu.ParseArgs(args, "11.1.3", options)
		want, wantErr = qemu.ParseArgs(theirs, "11.1.3", options)
	}
	if gotErr != nil || wantErr != nil {
		if gotErr == nil || wantErr == nil || category(gotErr) != category(wantErr) {
			t.Errorf("%s: ours is read with %v, libvirt's with %v", name, gotErr, wantErr)
		}
		return "refused by qemu on both sides"
	}
	// Props repeat what an option said, in its words.
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(qemu.PCIDevice{}, "Props"), cmpopts.IgnoreFields(qemu.IOMMU{}, "Props"),
		cmpopts.IgnoreFields(qemu.ISADevice{}, "Props")); d != "" {
		t.Errorf("%s: libvirt's, ours:\n%s", name, d)
	}
	for i := range want.ISA {
		for _, key := range []string{"index", "iobase", "irq", "ioport"} {
			if g, w := got.ISA[i].Props[key], want.ISA[i].Props[key]; g != w {
				t.Errorf("%s: %s has %s=%q, want %q", name, want.ISA[i].Driver, key, g, w)
			}
		}
	}
	return result
}

// category is what an error of qemu's is about, without the argument's own spelling.
func category(err error) string {
	s := err.Error()
	if i := strings.LastIndex(s, ": "); i >= 0 {
		s = s[i:]
	}
	return s
}

// words splits libvirt's line as a shell does, and drops the environment and the program.
func words(t *testing.T, line string) []string {
	t.Helper()
	var out []string
	var word strings.Builder
	quoted, inWord := false, false
	for _, r := range strings.TrimSpace(line) {
		switch {
		case r == '\'':
			quoted, inWord = !quoted, true
		case !quoted && (r == ' ' || r == '\n'):
			if inWord {
				out, inWord = append(out, word.String()), false
				word.Reset()
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	out = append(out, word.String())
	for len(out) > 0 && !strings.HasPrefix(out[0], "/") {
		out = out[1:]
	}
	if quoted || len(out) == 0 {
		t.Fatalf("not a command line: %.80q", line)
	}
	return out[1:]
}

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitCommandLine(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"JSON", ` ["-append", "a \"b\" $c", ""]`, []string{"-append", `a "b" $c`, ""}},
		{"words", "qemu -m 2G\t-smp  2\n", []string{"qemu", "-m", "2G", "-smp", "2"}},
		{"quotes", `-append "a b" 'c d' e"f g"'h'`, []string{"-append", "a b", "c d", "ef gh"}},
		{"dollar in single quotes", `-append '$x "y"'`, []string{"-append", `$x "y"`}},
		{"continued lines", "qemu -m 2G \\\n  -smp 2 \\\n", []string{"qemu", "-m", "2G", "-smp", "2"}},
		{"continued lines of DOS", "qemu -m 2G \\\r\n  -smp 2\r\n", []string{"qemu", "-m", "2G", "-smp", "2"}},
		{"lines of options", "-m 2G\n-smp 2", []string{"-m", "2G", "-smp", "2"}},
		{"escaped blank", `-append a\ b`, []string{"-append", "a b"}},
		{"one a line", "-append\nconsole=ttyS0 root=/dev/vda $x\n-m\n2G\n", []string{"-append", "console=ttyS0 root=/dev/vda $x", "-m", "2G"}},
		{"one a line with program", "qemu-system-x86_64\r\n-m\r\n2G", []string{"qemu-system-x86_64", "-m", "2G"}},
		{"quote in libvirt's quotes", `LC_ALL=C /usr/bin/qemu -append 'a '\''b'\'' $c' -device '{"driver":"edu","addr":"0x1"}'`,
			[]string{"LC_ALL=C", "/usr/bin/qemu", "-append", "a 'b' $c", "-device", `{"driver":"edu","addr":"0x1"}`}},
		{"libvirt's log", "2026-01-01 00:00:00.000+0000: starting up libvirt version: 12.8.0 (Debian), qemu version: 11.1.3\nLC_ALL=C \\\n/usr/bin/qemu \\\n-m 1G\n" +
			"2026-01-02: starting up\nLC_ALL=C \\\nHOME=/a \\\n/usr/bin/qemu \\\n-m 2G \\\n-msg timestamp=on\nchar device redirected to /dev/pts/1 (label charserial0)\n",
			[]string{"LC_ALL=C", "HOME=/a", "/usr/bin/qemu", "-m", "2G", "-msg", "timestamp=on"}},
		{"comment", "# made by hand\n-m 2G", []string{"-m", "2G"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := splitCommandLine("f", tc.text)
			if d := cmp.Diff(tc.want, got); err != nil || d != "" {
				t.Errorf("%v, -want +got\n%s", err, d)
			}
		})
	}
}

func TestSplitCommandLineRejects(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"blank", " \n\t", "is empty"},
		{"NUL", "-m\x002G", "NUL"},
		{"number in JSON", `["-m", 2]`, "JSON array of strings"},
		{"object in JSON", `[{}]`, "JSON array of strings"},
		{"two arrays", `["-m"] ["2G"]`, "JSON array of strings"},
		{"variable", "-bios $X", "'$'"},
		{"variable in double quotes", `-bios "$X"`, "'$'"},
		{"command", "-bios `which x`", "'`'"},
		{"redirection", "-m 2G > log", "'>'"},
		{"second command", "-m 2G; reboot", "';'"},
		{"background", "-m 2G &", "'&'"},
		{"pattern", "-bios *.fd", "'*'"},
		{"home", "-bios ~/x", "'~'"},
		{"open quote", "-append 'a", "EOF found"},
		{"open escape", `-append a\`, "ends with a backslash"},
		{"not UTF-8", "-append \xbf", "is not UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := splitCommandLine("f", tc.text)
			if err == nil || !strings.HasPrefix(err.Error(), "f: ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%q, error %v, want %q", got, err, tc.want)
			}
		})
	}
}

func FuzzSplitCommandLine(f *testing.F) {
	for _, s := range []string{`["-m","2G"]`, "qemu -append 'a b' \\\n -m 2G", "-append\na b\n-m\n2G", `"a\"b" c\ d`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		args, err := splitCommandLine("f", text)
		if err != nil || len(args) == 0 {
			return
		}
		if strings.ContainsRune(strings.Join(args, ""), '\n') || strings.ContainsRune(strings.Join(args, ""), 0) {
			return // quoted for a shell such words are read as lines, and QEMU takes no NUL
		}
		back, err := splitCommandLine("f", quoteCommandLine(args))
		if d := cmp.Diff(args, back); err != nil || d != "" {
			t.Errorf("%q is quoted as %q: %v\n%s", args, quoteCommandLine(args), err, d)
		}
	})
}

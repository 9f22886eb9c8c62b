package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/qemu"
)

func TestExitCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{usage("x", ""), exitUsage},
		{fmt.Errorf("y: %w", usage("x", "")), exitUsage},
		{&qemu.OptionError{Err: qemu.ErrUsage}, exitUsage},
		{&qemu.OptionError{Err: qemu.ErrUnknown}, exitUsage},
		{&qemu.OptionError{Err: qemu.ErrUnsupported}, exitInput},
		{&mismatchError{"x"}, exitMismatch},
		{&inputError{msg: "x", err: &dstack.MismatchError{}}, exitMismatch},
		{&rejectionError{"x", ""}, exitMismatch},
		{fmt.Errorf("y: %w", &rejectionError{"x", ""}), exitMismatch},
		{&inputError{msg: "x"}, exitInput},
		{&bin.FormatError{Err: bin.ErrTruncated}, exitInput},
		{errors.New("x"), exitInput},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("%T %v: exit code %d, want %d", tc.err, tc.err, got, tc.want)
		}
	}
}

func TestSplitHint(t *testing.T) {
	option := &qemu.OptionError{Option: "-device", Arg: "nonsense", Msg: "unknown device", Hint: "did you mean virtio (a) or virtio (b)?"}
	for _, tc := range []struct {
		err       error
		msg, hint string
	}{
		{usage("no verb", "want one"), "no verb", "want one"},
		{&rejectionError{"rejected: x", "give y"}, "rejected: x", "give y"},
		{option, "-device nonsense: unknown device", "did you mean virtio (a) or virtio (b)?"},
		{fmt.Errorf("in f: %w", option), "in f: -device nonsense: unknown device", "did you mean virtio (a) or virtio (b)?"},
		{inFile("f", roleInitrd, kernel.ErrEmptyInitrd), "f: initrd is empty", "leave the initrd out to boot without one"},
		{inFile("f", roleKernel, fs.ErrNotExist), "f: file does not exist", "give the kernel with --kernel"},
		{inFile("f", roleOther, fs.ErrNotExist), "f: file does not exist", ""},
		{inFile("f", roleOther, &fs.PathError{Op: "open", Path: "g", Err: fs.ErrPermission}), "f: permission denied", ""},
		{errors.New("plain"), "plain", ""},
	} {
		msg, hint := splitHint(tc.err, oneLine(tc.err.Error()))
		if msg != tc.msg || hint != tc.hint {
			t.Errorf("%v: %q, %q; want %q, %q", tc.err, msg, hint, tc.msg, tc.hint)
		}
	}
	if err := inFile("f", roleOther, nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
}

// TestOneLine checks that nothing in a name or a file can move the cursor or forge a line.
func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", " a\nb\r\x1b[2Jc\x7f ": "a?b??[2Jc?", "\u009b2J": "?2J", "größe": "größe",
		"a\u202efdp.exe": "a?fdp.exe", "a\u2028b\u200b\u2066": "a?b??",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestMarshalOnATerminal checks that JSON of hostile strings moves no cursor either, and still says the same.
func TestMarshalOnATerminal(t *testing.T) {
	hostile := "\x1b[2J\u009b2J\x7f\u202e\u2028\U000e0041 größe <&>"
	b, err := marshal(map[string]string{hostile: hostile}, "")
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.ReplaceAll(string(b), "\n", ""); s != oneLine(s) {
		t.Errorf("%q has what a terminal acts on", b)
	}
	var got map[string]string
	if err := json.Unmarshal(b, &got); err != nil || got[hostile] != hostile {
		t.Errorf("%s is read as %q, %v", b, got, err)
	}
}

package main

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/tdvf"
)

// The exit codes.
const (
	exitDone     = 0
	exitMismatch = 1 // rejected, or not what was expected
	exitUsage    = 2
	exitInput    = 3 // bad input, or not supported
)

// A usageError is a command line that does not say what is wanted.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }

func usage(msg, hint string) error { return &usageError{msg, hint} }

// A mismatchError says that a value is not the expected one.
type mismatchError struct{ msg string }

func (e *mismatchError) Error() string { return e.msg }

// An inputError says what is wrong with an input, and what to try.
type inputError struct {
	msg, hint string
	err       error
}

func (e *inputError) Error() string { return e.msg }
func (e *inputError) Unwrap() error { return e.err }

// exitCode maps an error to the exit code.
func exitCode(err error) int {
	var u *usageError
	var m *mismatchError
	var s *dstack.MismatchError
	var j *rejectionError
	switch {
	case errors.As(err, &u), errors.Is(err, qemu.ErrUsage), errors.Is(err, qemu.ErrUnknown):
		return exitUsage
	case errors.As(err, &m), errors.As(err, &s), errors.As(err, &j):
		return exitMismatch
	}
	return exitInput
}

// splitHint parts the hint from an error's message.
func splitHint(err error, msg string) (string, string) {
	var u *usageError
	var o *qemu.OptionError
	var i *inputError
	var j *rejectionError
	switch {
	case errors.As(err, &u):
		return msg, u.hint
	case errors.As(err, &j):
		return msg, j.hint
	case errors.As(err, &i) && i.hint != "":
		return msg, i.hint
	case errors.As(err, &o) && o.Hint != "":
		return strings.Replace(msg, " ("+oneLine(o.Hint)+")", "", 1), oneLine(o.Hint)
	}
	return msg, ""
}

// A role is what a file is read as.
type role string

// The roles.
const (
	roleFirmware role = "firmware"
	roleKernel   role = "kernel"
	roleInitrd   role = "initrd"
	roleShim     role = "shim"
	roleOther    role = "file"
)

// inFile says which file an error is about, and what to try.
func inFile(path string, r role, err error) error {
	if err == nil {
		return nil
	}
	msg := path + ": " + err.Error()
	var pe *fs.PathError
	switch {
	case errors.As(err, &pe):
		msg = path + ": " + pe.Err.Error()
	case errors.Is(err, errChanged):
		msg = path + ": " + errChanged.Error()
	}
	return &inputError{msg: msg, hint: hintFor(r, err), err: err}
}

// hintFor returns what to try where a file cannot be read in its role.
func hintFor(r role, err error) string {
	var fe *bin.FormatError
	switch {
	case errors.Is(err, fs.ErrNotExist) && r != roleOther:
		return "give the " + string(r) + " with --" + string(r)
	case errors.Is(err, kernel.ErrEmptyInitrd):
		return "leave the initrd out to boot without one"
	case errors.Is(err, tdvf.ErrOutsideRAM):
		return "give the guest more memory with -m or --memory"
	case !errors.As(err, &fe):
		return ""
	case r == roleFirmware && errors.Is(err, bin.ErrTruncated):
		return "the file looks cut short; give the whole image, variables and code together"
	case r == roleFirmware:
		return "want a whole OVMF image built for TDX, such as Debian's /usr/share/ovmf/OVMF.fd"
	case r == roleShim:
		return "want a shim for x86-64, such as Debian's /usr/lib/shim/shimx64.efi.signed"
	case r == roleKernel && errors.Is(err, bin.ErrTruncated):
		return "the file looks cut short"
	case r == roleKernel:
		return "want a bzImage for x86-64 with an EFI stub, such as /boot/vmlinuz-* of a distribution"
	}
	return ""
}

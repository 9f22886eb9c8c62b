package explain

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/mr"
)

// A subject is a kind of thing that is measured: how it is recognised, called and compared.
type subject struct {
	is      func(*mr.Event) bool
	name    func(*mr.Delta) string
	differs func(*context, *mr.Delta, *Finding)
	absent  string // a hint where the evidence lacks it
	extra   string // a hint where only the evidence has it
}

// named is the name of a subject that has one.
func named(s string) func(*mr.Delta) string { return func(*mr.Delta) string { return s } }

// keyed is the name that the event's data gives, after a word.
func keyed(word string) func(*mr.Delta) string {
	return func(d *mr.Delta) string {
		e := either(d)
		k := key(e)
		if k == "" {
			k = e.Measured.What
		}
		return strings.TrimSpace(word + " " + clip(k))
	}
}

func ofType(types ...eventlog.Type) func(*mr.Event) bool {
	return func(e *mr.Event) bool { return slices.Contains(types, e.Type) }
}

// keyIs recognises events of a type whose data or maker names one thing.
func keyIs(t eventlog.Type, k string) func(*mr.Event) bool {
	return func(e *mr.Event) bool { return e.Type == t && key(e) == k }
}

const smbiosAbsent = "firmware of edk2 202505 and later measures it; machine types differ in which entry point they publish"

// subjects are in the order in which they are tried; the last takes all.
var subjects = []subject{
	{ofType(eventlog.EVEFIHandoffTables2), named("TD HOB"), hobDiffers, "", ""},
	{ofType(eventlog.EVEFIPlatformFirmwareBlob2), named("CFV"), cfvDiffers, "", ""},
	{ofType(eventlog.EVEFIVariableDriverConfig, eventlog.EVEFIVariableAuthority), keyed("variable"), variableDiffers,
		"firmware without Secure Boot, or of another release", "firmware with Secure Boot, or of another release"},
	{ofType(eventlog.EVEFIVariableBoot), keyed("boot variable"), bootVariableDiffers,
		"the firmware offers fewer boot options, or is of another release", "the firmware offers more boot options, or is of another release"},
	{func(e *mr.Event) bool {
		return e.Type == eventlog.EVPlatformConfigFlags && (len(e.Data) == 0 || string(e.Data) == eventlog.ACPIData)
	}, acpiName, acpiDiffers,
		"the VMM hands over fewer ACPI files", "the VMM hands over more ACPI files"},
	{ofType(eventlog.EVPlatformConfigFlags), keyed("fw_cfg item"), fwCfgDiffers,
		"the VMM does not provide it, or the firmware is of edk2 before 202505", "the VMM provides it, and the firmware is of edk2 202505 or later"},
	{ofType(eventlog.EVEFIBootServicesApplication), imageName, kernelDiffers, "no image was started: firmware without -kernel boots from a disk", "a further image was started: a boot loader, or a second kernel"},
	{keyIs(eventlog.EVEFIHandoffTables, "SMBIOS"), named("SMBIOS"), smbiosDiffers, smbiosAbsent, smbiosAbsent},
	{keyIs(eventlog.EVEFIHandoffTables, "SMBIOS 3"), named("SMBIOS with a 64-bit entry point"), smbiosDiffers, smbiosAbsent, smbiosAbsent},
	{keyIs(eventlog.EVEventTag, "LOADED_IMAGE::LoadOptions"), named("command line"), commandLineDiffers,
		"the kernel's EFI stub measures it in a TD from Linux 6.9 on", "the kernel's EFI stub measures it in a TD from Linux 6.9 on"},
	{keyIs(eventlog.EVEventTag, "Linux initrd"), named("initrd"), initrdDiffers, "no initrd was loaded", "an initrd was loaded"},
	{func(e *mr.Event) bool { return !e.Type.Known() }, func(d *mr.Delta) string { return fmt.Sprintf("event %q", clip(either(d).Measured.What)) }, runtimeDiffers, "", ""},
	{func(*mr.Event) bool { return true }, func(d *mr.Delta) string {
		return strings.TrimSpace(either(d).Type.String() + " " + clip(key(either(d))))
	}, otherDiffers, "", ""},
}

// imageName is "kernel" for what QEMU hands over as one, else the image's path.
func imageName(d *mr.Delta) string {
	for _, e := range []*mr.Event{d.Want, d.Got} {
		if e == nil {
			continue
		}
		if k := key(e); k != "" && !strings.HasSuffix(k, "kernel") {
			return "image " + clip(k)
		}
	}
	return "kernel"
}

// subjectOf recognises what a difference is about by the side that says more: a prediction that was read from a file has
// no event data.
func subjectOf(d *mr.Delta) *subject {
	for _, e := range []*mr.Event{d.Want, d.Got} {
		if e == nil || len(e.Data) == 0 && (d.Want != nil && d.Got != nil) {
			continue
		}
		for i := range subjects {
			if subjects[i].is(e) {
				return &subjects[i]
			}
		}
	}
	for i := range subjects {
		if subjects[i].is(either(d)) {
			return &subjects[i]
		}
	}
	return &subjects[len(subjects)-1]
}

// both says a difference with both values.
func (f *Finding) both(want, got string) {
	f.Want, f.Got = want, got
	f.Text = fmt.Sprintf("%s: the evidence has %s, the expectation %s.", f.Subject, clip(got), clip(want))
}

// digests says a difference of which only the digests are known.
func (f *Finding) digests(d *mr.Delta, what string) {
	f.Want, f.Got = digestOf(d.Want), digestOf(d.Got)
	verb := "differs"
	if f.Subject == "ACPI tables" {
		verb = "differ"
	}
	f.Text = fmt.Sprintf("%s %s: %s; the evidence has %s, the expectation %s.", f.Subject, verb, what,
		shortDigest(d.Got.Measured.Digest), shortDigest(d.Want.Measured.Digest))
}

func cfvDiffers(c *context, d *mr.Delta, f *Finding) {
	w, wok := payload(d.Want).(eventlog.Blob2)
	g, gok := payload(d.Got).(eventlog.Blob2)
	switch {
	case wok && gok && w.Blob != g.Blob:
		f.both(fmt.Sprintf("%d bytes at 0x%x", w.Length, w.Base), fmt.Sprintf("%d bytes at 0x%x", g.Length, g.Base))
		f.Hint = "firmware of another layout"
	case c.differ(func(x *mr.Delta) bool { return either(x).Type == eventlog.EVEFIVariableDriverConfig }):
		f.digests(d, "the firmware's variable store holds other Secure Boot keys, see the variables")
	default:
		f.digests(d, "the firmware's variable store holds other variables, though none of Secure Boot")
		f.Hint = "another firmware file, or one whose variables were changed"
	}
}

// variableValue says what a variable holds: signatures where it is a list of them.
func variableValue(e *mr.Event) (string, bool) {
	v, ok := payload(e).(eventlog.Variable)
	if !ok {
		return "", false
	}
	switch {
	case len(v.Data) == 0:
		return "nothing", true
	case v.Name == "SecureBoot" && len(v.Data) == 1:
		return map[byte]string{0: "off", 1: "on"}[v.Data[0]&1], true
	}
	if lists, err := efi.ParseSignatureLists(v.Data, 0); err == nil {
		n := 0
		for _, l := range lists {
			n += len(l.Signatures)
		}
		return fmt.Sprintf("%d signatures in %d bytes (SHA-384 %s)", n, len(v.Data), shortDigest(mr.Sum(v.Data))), true
	}
	return fmt.Sprintf("%d bytes (SHA-384 %s)", len(v.Data), shortDigest(mr.Sum(v.Data))), true
}

func variableDiffers(_ *context, d *mr.Delta, f *Finding) {
	w, wok := variableValue(d.Want)
	g, gok := variableValue(d.Got)
	if wok && gok && w != g {
		f.both(w, g)
	} else {
		f.digests(d, "the log does not say how")
	}
	f.Hint = "Secure Boot's keys are in the firmware file"
}

func bootVariableDiffers(_ *context, d *mr.Delta, f *Finding) {
	w, wok := payload(d.Want).(eventlog.Variable)
	g, gok := payload(d.Got).(eventlog.Variable)
	if wok && gok && !bytes.Equal(w.Data, g.Data) {
		f.both(w.String(), g.String())
	} else {
		f.digests(d, "the log does not say how")
	}
	f.Hint = "the firmware's own applications, or what it found to boot from"
}

// fwCfgDiffers: the log names an item without its value.
func fwCfgDiffers(_ *context, d *mr.Delta, f *Finding) {
	if w, g := d.Want.Measured.Bytes, d.Got.Measured.Bytes; len(w) > 0 && len(g) > 0 {
		f.both(hexValue(w), hexValue(g))
	} else {
		f.digests(d, "the value is another one")
	}
	f.Hint = "an option of the VMM's command line (-boot, -device with bootindex, -fw_cfg)"
}

func hexValue(b []byte) string {
	if len(b) == 0 {
		return "nothing"
	}
	if s := strings.TrimRight(string(b), "\x00\n"); s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Sprintf("%q", s)
	}
	return "0x" + hex.EncodeToString(b[:min(len(b), 32)])
}

// kernelDiffers: what is hashed is the file, which QEMU up to 10.1 writes the boot's parameters into.
func kernelDiffers(c *context, d *mr.Delta, f *Finding) {
	w, wok := payload(d.Want).(eventlog.ImageLoad)
	g, gok := payload(d.Got).(eventlog.ImageLoad)
	memory := c.differ(func(x *mr.Delta) bool { return either(x).Type == eventlog.EVEFIHandoffTables2 })
	initrd := c.differ(func(x *mr.Delta) bool { return key(either(x)) == "Linux initrd" })
	sizes := wok && gok && w.Length > 0 && g.Length > 0
	switch {
	case sizes && w.Length != g.Length:
		f.both(fmt.Sprintf("an image of %d bytes", w.Length), fmt.Sprintf("an image of %d bytes", g.Length))
		f.Text = strings.TrimSuffix(f.Text, ".") + "; its Authenticode digest differs."
		f.Hint = "another kernel file"
	case memory || initrd:
		f.digests(d, "its Authenticode digest")
		f.Hint = "QEMU up to 10.1 writes the initrd's size and place, which follows the memory size, into the kernel's header: the same file has another digest where they differ"
	default:
		f.digests(d, "its Authenticode digest")
		f.Hint = "another kernel file, or the same one behind a QEMU that patches its header (up to 10.1) and one that does not (10.2 and later)"
	}
}

// loadOptions returns the text that a stub hashes, without its terminator.
func loadOptions(e *mr.Event) (string, bool) {
	if len(e.Measured.Bytes) < 2 {
		return "", false
	}
	s, err := efi.DecodeUTF16(e.Measured.Bytes, 0)
	return strings.TrimRight(s, "\x00"), err == nil
}

// commandLineDiffers: a log names the command line and does not hold it. A few that are near the expected one are tried.
func commandLineDiffers(_ *context, d *mr.Delta, f *Finding) {
	w, wok := loadOptions(d.Want)
	g, gok := loadOptions(d.Got)
	if wok && !gok {
		g, gok = guessCommandLine(w, d.Got.Measured.Digest)
	}
	switch {
	case wok && gok:
		f.both(fmt.Sprintf("%q", w), fmt.Sprintf("%q", g))
		f.Details = tokenDiff(strings.Fields(w), strings.Fields(g))
	case wok:
		f.digests(d, fmt.Sprintf("%q was expected", clip(w)))
	default:
		f.digests(d, "the log does not hold it")
	}
}

// guessCommandLine tries texts that differ from the expected one in what people and tools leave out or add.
func guessCommandLine(want string, got mr.Digest) (string, bool) {
	bare := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(want, "initrd=initrd"), "initrd=initrd"))
	for _, s := range []string{bare, bare + " ", bare + "\n", bare + " initrd=initrd", "initrd=initrd " + bare, bare + "  initrd=initrd", want + " ", want + "\n", ""} {
		if mr.Sum(efi.AppendUTF16Z(nil, s)) == got {
			return s, true
		}
	}
	return "", false
}

// tokenDiff lists the words that only one of two command lines has.
func tokenDiff(want, got []string) []string {
	var out []string
	for _, w := range want {
		if !slices.Contains(got, w) {
			out = append(out, "only expected: "+clip(w))
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			out = append(out, "only in the evidence: "+clip(g))
		}
	}
	return out
}

func initrdDiffers(_ *context, d *mr.Delta, f *Finding) {
	f.digests(d, "SHA-384 of the file")
	f.Hint = "another initrd file"
}

// runtimeDiffers is about events that software in the guest extends RTMR3 with.
func runtimeDiffers(_ *context, d *mr.Delta, f *Finding) {
	f.both(hexValue(d.Want.Data), hexValue(d.Got.Data))
}

func otherDiffers(_ *context, d *mr.Delta, f *Finding) {
	f.digests(d, "the digest")
	if w, g := payload(d.Want), payload(d.Got); w != nil && g != nil && w.String() != g.String() {
		f.both(w.String(), g.String())
	}
}

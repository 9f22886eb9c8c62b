package predict

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/authenticode"
	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/ovmf/secureboot"
)

var testOwner = efi.MustGUID("a0baa8a3-041d-48a8-bc87-c36d121b5e3d")

// sigList is an EFI_SIGNATURE_LIST of one entry.
func sigList(kind efi.GUID, data []byte) []byte {
	size := uint32(16 + len(data))
	b := append([]byte{}, kind[:]...)
	for _, n := range []uint32{28 + size, 0, size} {
		b = append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
	return append(append(b, testOwner[:]...), data...)
}

// enrolled is firmware with a platform key and the given databases; nil leaves one out.
func enrolled(t *testing.T, db, dbx []byte) *Firmware {
	t.Helper()
	variables := []ovmf.Variable{{GUID: efi.GlobalVariable, Name: "PK", State: ovmf.VariableAdded, Data: sigList(efi.CertX509, []byte("key"))}}
	for name, data := range map[string][]byte{"db": db, "dbx": dbx} {
		if data != nil {
			variables = append(variables, ovmf.Variable{GUID: efi.ImageSecurityDatabase, Name: name, State: ovmf.VariableAdded, Data: data})
		}
	}
	f, err := NewFirmware(withVariables(t, "inteltdx-2026.08-blank", variables...))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// signerOf is the certificate that signed the kernel.
func signerOf(t *testing.T, k *kernel.Image) []byte {
	t.Helper()
	table, tableErr := k.CertificateTable()
	signatures, err := authenticode.Split(table, 0)
	if tableErr != nil || err != nil || len(signatures) != 1 {
		t.Fatal("the kernel has no signature, or several", err)
	}
	s, err := authenticode.Parse(signatures[0])
	if err != nil {
		t.Fatal(err)
	}
	return s.Signer.Raw
}

// debianCA is the authority above Debian's kernels, which Debian's shim carries: two le32 sizes and two le32 offsets from
// the section's start, of the certificate and of a list of what is refused.
func debianCA(t *testing.T) []byte {
	t.Helper()
	data := fixtures.File(t, "kernel", "shimx64-16.1.efi.zst")
	pe, err := kernel.ParsePE(data)
	if err != nil {
		t.Fatal(err)
	}
	b, ok, _ := pe.SectionData(".vendor_cert")
	if !ok {
		t.Fatal("the shim has no certificate")
	}
	size, off := int(b[0])|int(b[1])<<8, int(b[8])
	return b[off : off+size]
}

// TestSecureBoot boots a kernel that Debian signed with db and dbx in which its signer is, its authority, its digest or none.
func TestSecureBoot(t *testing.T) {
	k := anyKernel(t)
	h := sha256.New()
	if err := k.WriteAuthenticode(h, nil); err != nil {
		t.Fatal(err)
	}
	digest, signer, ca := h.Sum(nil), signerOf(t, k), debianCA(t)
	byCA, bySigner, byDigest := sigList(efi.CertX509, ca), sigList(efi.CertX509, signer), sigList(efi.CertSHA256, digest)
	for _, tc := range []struct {
		name    string
		db, dbx []byte
		entry   []byte
		why     string
	}{
		{"by the authority", append(bytes.Clone(byCA), bySigner...), nil, ca, ""},
		{"by the signer", bySigner, sigList(efi.CertSHA256, make([]byte, 32)), signer, ""},
		{"by digest", byDigest, nil, digest, ""},
		{"no db", nil, nil, nil, "does not start the kernel: no signature of it leads"},
		{"authority in dbx", bySigner, byCA, nil, "does not start the kernel: dbx has its signer"},
		{"digest in dbx", byCA, byDigest, nil, "does not start the kernel: its digest is in dbx"},
		{"odd certificate in db", append(sigList(efi.CertX509, []byte("odd")), byCA...), nil, nil, "whether the firmware starts the kernel with Secure Boot on is not known"},
		{"cut db", byCA[:len(byCA)-1], nil, nil, "db of the firmware's variable store"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Measure(NewImage(enrolled(t, tc.db, tc.dbx), k, nil), parse(t, "10.2.2", plainArgs()), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if tc.why != "" {
				for _, reg := range allRTMRs {
					if why := r.Unknown[reg]; !strings.Contains(why, tc.why) || strings.Contains(why, "legacy") {
						t.Errorf("%s is unknown because %q, want %q", reg, why, tc.why)
					}
				}
				return
			}
			if len(r.Unknown) > 0 {
				t.Fatal(r.Unknown)
			}
			checkAuthority(t, r.Events, tc.entry)
		})
	}
}

// TestImageHashes tells the releases that look for an image without a signature by more than SHA-256.
func TestImageHashes(t *testing.T) {
	for _, tc := range []struct {
		between interval
		want    secureboot.Hashes
	}{
		{interval{202311, 0}, secureboot.AllHashes},
		{interval{202302, 202308}, secureboot.SHA256Alone},
		{interval{202308, 202311}, secureboot.UnknownHashes},
	} {
		p := &platform{profile: &Profile{AllImageHashes: tc.between.since(202311)}}
		if got := p.imageHashes(); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.between, got, tc.want)
		}
	}
}

// secureBootEvents are those of a boot with Secure Boot on.
func secureBootEvents(t *testing.T) []mr.Event {
	t.Helper()
	img := NewImage(enrolled(t, sigList(efi.CertX509, debianCA(t)), nil), anyKernel(t), nil)
	r, err := Measure(img, parse(t, "10.2.2", plainArgs()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Events
}

// checkAuthority wants one entry of db between the ACPI blobs and the kernel.
func checkAuthority(t *testing.T, events []mr.Event, entry []byte) {
	t.Helper()
	for i, e := range events {
		if e.Rule != "rtmr0.authority" {
			continue
		}
		v, err := efi.ParseVariableData(e.Data, 0)
		if err != nil {
			t.Fatal(err)
		}
		if v.Name != "db" || v.GUID != efi.ImageSecurityDatabase || !bytes.Equal(v.Data, append(testOwner[:], entry...)) || e.Measured.Digest != mr.Sum(e.Data) {
			t.Errorf("the authority is %s of %s, %x", v.Name, v.GUID, v.Data)
		}
		if events[i-1].Rule != "rtmr0.acpi" || events[i+1].Rule != "rtmr1.kernel" || e.Type != eventlog.EVEFIVariableAuthority {
			t.Errorf("the authority, %s, is between %s and %s", e.Type, events[i-1].Rule, events[i+1].Rule)
		}
		return
	}
	t.Error("no authority is measured")
}

// TestPatchedKernel has QEMU change the kernel's header, after which its signature does not hold; before edk2 202511 the
// firmware has another way to start it.
func TestPatchedKernel(t *testing.T) {
	f := enrolled(t, sigList(efi.CertX509, debianCA(t)), nil)
	m := parse(t, "10.0.2", plainArgs())
	m.Traits.NoNamedBlobs = true
	img := NewImage(f, anyKernel(t), &Initrd{Size: 1 << 20})
	r, err := Measure(img, m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if why := r.Unknown[mr.RTMR1]; !strings.Contains(why, "no signature of it leads") {
		t.Errorf("RTMR1 is unknown because %q", why)
	}
	p := &platform{Image: img, machine: m, profile: &Profile{Measures: Yes, SecureBoot: Yes, PKEnrolled: Yes, between: interval{202505, 0}}}
	if why, err := notStarted(p); err != nil || !strings.Contains(why, "legacy loader") {
		t.Errorf("%q, %v; want a word on the legacy loader", why, err)
	}
	p.profile.SecureBoot = Unknown
	if why, err := notStarted(p); err != nil || !strings.Contains(why, "do not say whether Secure Boot is on") {
		t.Errorf("%q, %v", why, err)
	}
	p.profile.SecureBoot = No
	if why, err := notStarted(p); err != nil || why != "" {
		t.Errorf("without Secure Boot: %q, %v", why, err)
	}
}

// TestLoggedAuthority compares the entry of db that is predicted for Debian's shim with the one that firmware logged when
// it started that shim from a disk.
func TestLoggedAuthority(t *testing.T) {
	pe, err := kernel.ParsePE(fixtures.File(t, "kernel", "shimx64-16.1.efi.zst"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := firmware(t, "inteltdx-2026.08").databases()
	if err != nil {
		t.Fatal(err)
	}
	table, err := pe.CertificateTable()
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Judge(secureboot.Image{Digest: digester(pe, nil), Certificates: table})
	if err != nil || len(v.Authorities) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	for _, v2 := range vectors(t, "inteltdx-2026.08") {
		if v2.name != "disk-grub" {
			continue
		}
		for _, e := range v2.events {
			if e.Type != uint32(eventlog.EVEFIVariableAuthority) {
				continue
			}
			if want := hex.EncodeToString(authority(v.Authorities[0]).Append(nil)); e.Data != want {
				t.Errorf("predicted %.200s, logged %.200s", want, e.Data)
			}
			return
		}
	}
	t.Error("no boot of the fixtures logs an authority")
}

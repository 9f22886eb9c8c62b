package authenticode_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/authenticode"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/testsign"
	"github.com/tdxkit/tdxkit/kernel"
)

type template = x509.Certificate

// isUnsure reports whether err says in words that have want in them that the outcome is not known.
func isUnsure(err error, want string) bool {
	var u *authenticode.UnsureError
	return errors.As(err, &u) && strings.Contains(u.Reason, want)
}

// TestSigns has chains that lead to the anchor, chains that do not, and chains of which it cannot be told.
func TestSigns(t *testing.T) {
	image := bytes.Repeat([]byte{7}, 32)
	key := func(name string) *rsa.PrivateKey { return testsign.Key(t, name) }
	make := func(name, k string, parent *testsign.Authority, edit func(*template)) *testsign.Authority {
		return testsign.NewAuthority(t, name, key(k), parent, edit)
	}
	root := make("root", "root", nil, nil)
	middle := make("middle", "middle", root, nil)
	signer := make("signer", "signer", middle, func(c *template) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
	under := func(edit func(*template)) []*testsign.Authority {
		m := make("middle", "middle", root, edit)
		return []*testsign.Authority{make("signer", "signer", m, nil), m}
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain := []*testsign.Authority{signer, middle}
	extension := func(critical bool, value []byte, id ...int) func(*template) {
		return func(c *template) { c.ExtraExtensions = []pkix.Extension{{Id: id, Critical: critical, Value: value}} }
	}
	critical := func(id ...int) func(*template) { return extension(true, []byte{5, 0}, id...) }
	// An authority that renewed its key: the old key signed a certificate for the new one under the same name, and has one
	// of its own from the root.
	old := make("renewed", "old", root, func(c *template) { c.SerialNumber = big.NewInt(100) })
	renewed := make("renewed", "new", old, nil)
	for _, tc := range []struct {
		name   string
		chain  []*testsign.Authority // the signer, and what else the signature carries
		anchor []byte
		want   bool
		unsure string
	}{
		{"the root", chain, root.Raw, true, ""},
		{"an authority between", chain, middle.Raw, true, ""},
		{"an authority that the signature lacks", chain[:1], middle.Raw, true, ""},
		{"the signer itself", chain, signer.Raw, true, ""},
		{"a signer that signs itself", []*testsign.Authority{root}, root.Raw, true, ""},
		{"the root among the certificates", append(chain, root), root.Raw, true, ""},
		{"a path as long as allowed", under(func(c *template) { c.MaxPathLenZero = true }), root.Raw, true, ""},

		{"nobody's root", chain, make("other", "other", nil, nil).Raw, false, ""},
		{"a root of the same name and another key", chain, make("root", "other", nil, func(c *template) { c.SubjectKeyId = nil }).Raw, false, ""},
		{"an authority of the same name and another key", chain[:1], make("middle", "other", root, func(c *template) { c.IsCA = false }).Raw, false, ""},
		{"a path with a gap", chain[:1], root.Raw, false, ""},
		{"a path that ends in another root", append(chain, root), make("else", "other", nil, nil).Raw, false, ""},
		{"no authority", under(func(c *template) { c.IsCA = false }), root.Raw, false, ""},
		{"an authority that may not sign certificates", under(func(c *template) { c.KeyUsage = x509.KeyUsageDigitalSignature }), root.Raw, false, ""},

		{"an authority without basic constraints", under(func(c *template) { c.BasicConstraintsValid, c.IsCA = false, false }), root.Raw, false, "basic constraints"},
		{"a critical extension", under(critical(1, 2, 3)), root.Raw, false, "extension 1.2.3"},
		{"name constraints", under(func(c *template) { c.PermittedDNSDomains = []string{"a"} }), root.Raw, false, "extension 2.5.29.30"},
		{"two authorities of one name", append(under(nil), make("middle", "middle", root, func(c *template) { c.NotAfter = c.NotAfter.AddDate(1, 0, 0) })), root.Raw, false, "two certificates"},
		{"two roots of one name", []*testsign.Authority{root}, make("root", "other", nil, nil).Raw, false, "their own issuers"},
		{"a short key", []*testsign.Authority{testsign.NewAuthority(t, "signer", small, middle, nil)}, middle.Raw, false, "1024 bits"},
		{"an elliptic curve above", []*testsign.Authority{make("signer", "signer", testsign.NewAuthority(t, "ec", curve, nil, nil), nil), testsign.NewAuthority(t, "ec", curve, nil, nil)},
			root.Raw, false, "not RSA"},
		{"an anchor on an elliptic curve", []*testsign.Authority{make("signer", "signer", testsign.NewAuthority(t, "ec", curve, nil, nil), nil)},
			testsign.NewAuthority(t, "ec", curve, nil, nil).Raw, false, "not RSA"},
		{"the signer itself, below an authority that is none", under(func(c *template) { c.IsCA = false }), nil, false, "that is no authority"},
		{"the signer itself, with a wrong issuer", []*testsign.Authority{signer, make("middle", "other", root, func(c *template) { c.SubjectKeyId = middle.SubjectKeyId })}, nil, false, "that is wrong"},
		{"the signer itself, below an odd authority", under(critical(1, 2, 3)), nil, false, "extension 1.2.3"},
		{"a root whose name is in other letters", chain, make("ROOT", "root", nil, nil).Raw, false, "written in two ways"},
		{"a root whose name has more spaces", []*testsign.Authority{make("signer", "signer", make("a  root", "root", nil, nil), nil)}, make("a root", "root", nil, nil).Raw, false, "written in two ways"},
		{"a root that has another key below", []*testsign.Authority{make("signer", "signer", renewed, nil), renewed, old}, root.Raw, false, "their own issuers"},
		{"an anchor that may not sign certificates, and another", chain, make("middle", "middle", root, func(c *template) { c.KeyUsage = x509.KeyUsageDigitalSignature }).Raw, false, "two certificates"},
		{"no key usage at all", under(extension(false, []byte{3, 2, 7, 0}, 2, 5, 29, 15)), root.Raw, false, "extension 2.5.29.15"},
		{"a path below no authority", []*testsign.Authority{make("signer", "signer", middle, func(c *template) {
			c.BasicConstraintsValid, c.IsCA = false, false
			extension(false, []byte{0x30, 3, 2, 1, 0}, 2, 5, 29, 19)(c)
		})}, middle.Raw, false, "limits its path"},
		{"blocks of addresses", under(extension(false, []byte{0x30, 0}, 1, 3, 6, 1, 5, 5, 7, 1, 7)), root.Raw, false, "extension 1.3.6.1.5.5.7.1.7"},
		{"a proxy", under(extension(false, []byte{0x30, 0}, 1, 3, 6, 1, 5, 5, 7, 1, 14)), root.Raw, false, "extension 1.3.6.1.5.5.7.1.14"},
		{"an anchor that is no certificate", chain, []byte{0x30, 0}, false, "cannot be read"},
		{"PSS", []*testsign.Authority{make("signer", "signer", middle, func(c *template) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS })}, middle.Raw, false, "is signed with"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var certs [][]byte
			for _, a := range tc.chain {
				certs = append(certs, a.Raw)
			}
			s, err := authenticode.Parse(testsign.Signing{Image: image, Signer: tc.chain[0], Certificates: certs}.Make(t))
			if err != nil {
				t.Fatal(err)
			}
			if tc.anchor == nil {
				tc.anchor = tc.chain[0].Raw
			}
			got, err := s.Signs(image, tc.anchor)
			if got != tc.want || (tc.unsure == "") != (err == nil) || err != nil && !isUnsure(err, tc.unsure) {
				t.Errorf("%v, %v; want %v, unsure because of %q", got, err, tc.want, tc.unsure)
			}
		})
	}
}

// TestSignature has one case for each way in which a signature itself is wrong, or out of the ordinary.
func TestSignature(t *testing.T) {
	image := bytes.Repeat([]byte{7}, 32)
	root := testsign.NewAuthority(t, "root", testsign.Key(t, "root"), nil, nil)
	other := testsign.NewAuthority(t, "root", testsign.Key(t, "other"), nil, nil)
	at := func(f func(*testsign.SignedData)) testsign.Signing { return testsign.Signing{Edit: f} }
	sha1 := asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	for _, tc := range []struct {
		name   string
		s      testsign.Signing
		unsure string // empty: the signature does not verify
	}{
		{"another image", testsign.Signing{Image: bytes.Repeat([]byte{8}, 32)}, ""},
		{"altered content", testsign.Signing{EditContent: func(b []byte) []byte { b = bytes.Clone(b); b[8] ^= 1; return b }}, ""},
		{"altered attributes", testsign.Signing{EditSigned: func(b []byte) []byte { b = bytes.Clone(b); b[9] ^= 1; return b }}, ""},
		{"altered signature", at(func(s *testsign.SignedData) { s.SignerInfos[0].EncryptedDigest[5] ^= 1 }), ""},
		{"short signature", at(func(s *testsign.SignedData) {
			s.SignerInfos[0].EncryptedDigest = s.SignerInfos[0].EncryptedDigest[1:]
		}), ""},
		{"two signers", at(func(s *testsign.SignedData) { s.SignerInfos = append(s.SignerInfos, s.SignerInfos[0]) }), "2 signers"},
		{"no signer", at(func(s *testsign.SignedData) { s.SignerInfos = nil }), "0 signers"},
		{"SHA-1", at(func(s *testsign.SignedData) { s.SignerInfos[0].DigestAlgorithm.Algorithm = sha1 }), "digest algorithm is 1.3.14"},
		{"an unlisted digest", at(func(s *testsign.SignedData) { s.DigestAlgorithms[0].Algorithm = sha1 }), "1 digest algorithms"},
		{"a digest beside the signer's", at(func(s *testsign.SignedData) {
			s.DigestAlgorithms = append(s.DigestAlgorithms, pkix.AlgorithmIdentifier{Algorithm: sha1})
		}), "2 digest algorithms"},
		{"an attribute of two values", testsign.Signing{Attributes: []testsign.Attribute{
			{Type: sha1, Values: []asn1.RawValue{{FullBytes: []byte{5, 0}}, {FullBytes: []byte{4, 0}}}},
		}}, "has 2 values"},
		{"no RSA", at(func(s *testsign.SignedData) { s.SignerInfos[0].EncryptionAlgorithm.Algorithm = sha1 }), "want RSA"},
		{"no certificate of the signer", at(func(s *testsign.SignedData) { s.SignerInfos[0].Issuer.Serial = big.NewInt(999) }), "not in the signature"},
		{"two certificates of the signer", testsign.Signing{Certificates: [][]byte{root.Raw, other.Raw}}, "two certificates"},
		{"many certificates", testsign.Signing{Certificates: slices.Repeat([][]byte{root.Raw}, 33)}, "33 certificates"},
		{"a broken certificate", testsign.Signing{Certificates: [][]byte{root.Raw[:40]}}, "cannot be read"},
		{"no attributes", at(func(s *testsign.SignedData) { s.SignerInfos[0].AuthenticatedAttributes = asn1.RawValue{} }), "no authenticated attributes"},
		{"no digest", testsign.Signing{EditAttributes: func(a []testsign.Attribute) []testsign.Attribute { return a[:1] }}, "no digest"},
		{"two digests", testsign.Signing{EditAttributes: func(a []testsign.Attribute) []testsign.Attribute { return append(a, a[1]) }}, "more than one digest"},
		{"a digest that is no string", testsign.Signing{EditAttributes: func(a []testsign.Attribute) []testsign.Attribute {
			return []testsign.Attribute{{Type: testsign.Digest, Values: a[0].Values}}
		}}, "no string of bytes"},
		{"an attribute that is none", at(func(s *testsign.SignedData) {
			s.SignerInfos[0].AuthenticatedAttributes = testsign.Raw(asn1.ClassContextSpecific, 0, []byte{5, 0})
		}), "attribute cannot be read"},
		{"other content", at(func(s *testsign.SignedData) { s.ContentInfo.Type = sha1 }), "want Authenticode"},
		{"content that is no sequence", at(func(s *testsign.SignedData) {
			s.ContentInfo.Content = testsign.Raw(asn1.ClassContextSpecific, 0, []byte{4, 1, 0})
		}), "not one sequence"},
		{"much content", at(func(s *testsign.SignedData) {
			big := testsign.Marshal(t, testsign.Raw(asn1.ClassUniversal, asn1.TagSequence, make([]byte, 0x10000)))
			s.ContentInfo.Content = testsign.Raw(asn1.ClassContextSpecific, 0, big)
		}), "at most 65535"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.s.Image == nil {
				tc.s.Image = image
			}
			tc.s.Signer = root
			s, err := authenticode.Parse(tc.s.Make(t))
			ok := false
			if err == nil {
				ok, err = s.Signs(image, root.Raw)
			}
			if ok || (tc.unsure == "") != (err == nil) || err != nil && !isUnsure(err, tc.unsure) {
				t.Errorf("%v, %v; want no, unsure because of %q", ok, err, tc.unsure)
			}
		})
	}
	good := testsign.Signing{Image: image, Signer: root}.Make(t)
	for name, data := range map[string][]byte{"nothing": nil, "cut": good[:len(good)-1], "no signed data": testsign.Marshal(t, testsign.ContentInfo{Type: sha1, Content: testsign.Raw(asn1.ClassContextSpecific, 0, nil)})} {
		if _, err := authenticode.Parse(data); !isUnsure(err, "signature") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := authenticode.Parse(append(good, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Signs(image, root.Raw); !ok || err != nil {
		t.Errorf("with padding: %v, %v", ok, err)
	}
}

// TestSplit walks attribute certificate tables.
func TestSplit(t *testing.T) {
	guid, _ := hex.DecodeString("9dd2af4adf68ee498aa9347d375665a7")
	a, b := []byte("first"), []byte("the second")
	for _, tc := range []struct {
		name  string
		table []byte
		want  []string
		err   string
	}{
		{"two", testsign.Table(a, b), []string{"first", "the second"}, ""},
		{"one by GUID", testsign.Entry(0x0ef1, append(guid, a...)), []string{"first"}, ""},
		{"another GUID", append(testsign.Entry(0x0ef1, append(make([]byte, 16), a...)), testsign.Table(b)...), []string{"the second"}, ""},
		{"another type", append(testsign.Entry(1, a), testsign.Table(b)...), []string{"the second"}, ""},
		{"an empty one of another type", append(testsign.Entry(1, nil), testsign.Table(b)...), []string{"the second"}, ""},
		{"cut header", append(testsign.Table(a), 1, 0, 0, 0, 0, 0, 0, 0), nil, "dwLength"},
		{"cut body", testsign.Table(b)[:16], nil, "dwLength"},
		{"cut padding", testsign.Table(a)[:8+5+2], nil, "dwLength"},
		{"empty signature", append(testsign.Entry(2, nil), testsign.Table(b)...), nil, "dwLength"},
		{"empty signature by GUID", append(testsign.Entry(0x0ef1, guid), testsign.Table(b)...), nil, "dwLength"},
		{"length of nothing", make([]byte, 16), nil, "dwLength"},
	} {
		got, err := authenticode.Split(tc.table, 0x100)
		var fe *bin.FormatError
		if tc.err != "" {
			if !errors.As(err, &fe) || fe.Field != tc.err || fe.Off < 0x100 {
				t.Errorf("%s: %v, want an error of %s", tc.name, err, tc.err)
			}
			continue
		}
		var text []string
		for _, s := range got {
			text = append(text, string(s))
		}
		if err != nil || !slices.Equal(text, tc.want) {
			t.Errorf("%s: %q, %v; want %q", tc.name, text, err, tc.want)
		}
	}
}

// TestImageHash finds the hash where firmware looks for it.
func TestImageHash(t *testing.T) {
	with := func(oid string) []byte { return append(append([]byte{0x30, 0x82}, make([]byte, 30)...), oid...) }
	for _, tc := range []struct {
		name string
		data []byte
		want crypto.Hash
		err  bool
	}{
		{"SHA-256", with("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), crypto.SHA256, false},
		{"SHA-384", with("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), crypto.SHA384, false},
		{"SHA-512", with("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), crypto.SHA512, false},
		{"SHA-224", with("\x60\x86\x48\x01\x65\x03\x04\x02\x04"), 0, false},
		{"SHA-1", with("\x2b\x0e\x03\x02\x1a"), 0, true},
		{"cut", with("\x60\x86\x48\x01\x65\x03\x04\x02"), 0, false},
		{"nothing", nil, 0, false},
		{"a length of one byte", append([]byte{0x30, 0x81}, with("\x60\x86\x48\x01\x65\x03\x04\x02\x01")[2:]...), 0, false},
	} {
		if got, err := authenticode.ImageHash(tc.data); got != tc.want || (err != nil) != tc.err {
			t.Errorf("%s: %v, %v; want %v", tc.name, got, err, tc.want)
		}
	}
}

// TestRealSignatures verifies a shim that Microsoft signed twice and a kernel that Debian signed.
func TestRealSignatures(t *testing.T) {
	for _, tc := range []struct {
		name string
		file []byte
		want []string
	}{
		{"shim", fixtures.File(t, "kernel", "shimx64-16.1.efi.zst"), []string{"Microsoft Windows UEFI Driver Publisher", "Microsoft UEFI CA 2023 signer"}},
		{"kernel", fixtures.Kernel(t, "vmlinuz-6.12-cloud"), []string{"Debian Secure Boot Signer 2022 - linux"}},
	} {
		pe, err := kernel.ParsePE(tc.file)
		if err != nil {
			t.Fatal(err)
		}
		table, err := pe.CertificateTable()
		if err != nil {
			t.Fatal(err)
		}
		signatures, err := authenticode.Split(table, pe.Certificates.Off)
		if err != nil || len(signatures) != len(tc.want) {
			t.Fatalf("%s: %d signatures, %v", tc.name, len(signatures), err)
		}
		for i, data := range signatures {
			hash, err := authenticode.ImageHash(data)
			if err != nil || hash != crypto.SHA256 {
				t.Fatalf("%s: %v, %v", tc.name, hash, err)
			}
			h := hash.New()
			if err := pe.WriteAuthenticode(h, nil); err != nil {
				t.Fatal(err)
			}
			s, err := authenticode.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if s.Signer.Subject.CommonName != tc.want[i] {
				t.Errorf("%s: signed by %s", tc.name, s.Signer.Subject)
			}
			digest := h.Sum(nil)
			if ok, err := s.Signs(digest, s.Signer.Raw); !ok || err != nil {
				t.Errorf("%s: signature %d does not verify: %v", tc.name, i, err)
			}
			digest[0] ^= 1
			if ok, err := s.Signs(digest, s.Signer.Raw); ok || err != nil {
				t.Errorf("%s: signature %d verifies another image, %v", tc.name, i, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	pe, err := kernel.ParsePE(fixtures.Kernel(f, "vmlinuz-6.12-cloud"))
	if err != nil {
		f.Fatal(err)
	}
	table, err := pe.CertificateTable()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(table)
	f.Fuzz(func(t *testing.T, b []byte) {
		signatures, err := authenticode.Split(b, 0)
		if err != nil {
			return
		}
		for _, data := range signatures {
			_, _ = authenticode.ImageHash(data)
			if s, err := authenticode.Parse(data); err == nil {
				_, _ = s.Signs(make([]byte, 32), s.Signer.Raw)
			}
		}
	})
}

package secureboot_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/testsign"
	"github.com/tdxkit/tdxkit/ovmf/secureboot"
)

// digest is that of a made-up image.
func digest(h crypto.Hash) ([]byte, error) {
	return bytes.Repeat([]byte{byte(h)}, h.Size()), nil
}

func of(h crypto.Hash) []byte { d, _ := digest(h); return d }

var (
	owner = efi.MustGUID("77fa9abd-0359-4d32-bd60-28f4e78f784b")
	other = efi.MustGUID("a0baa8a3-041d-48a8-bc87-c36d121b5e3d")
)

func list(kind efi.GUID, data ...[]byte) efi.SignatureList {
	l := efi.SignatureList{Type: kind}
	for _, d := range data {
		l.Signatures = append(l.Signatures, efi.Signature{Owner: owner, Data: d})
	}
	return l
}

func tbs(h crypto.Hash, a *testsign.Authority, at ...byte) []byte {
	x := h.New()
	x.Write(a.RawTBSCertificate)
	return append(x.Sum(nil), append(at, make([]byte, 16-len(at))...)...)
}

// TestJudge has a case for each way through the firmware's checks.
func TestJudge(t *testing.T) {
	type dbs = secureboot.Database
	root := testsign.NewAuthority(t, "root", testsign.Key(t, "root"), nil, nil)
	second := testsign.NewAuthority(t, "second", testsign.Key(t, "other"), nil, nil)
	signer := testsign.NewAuthority(t, "signer", testsign.Key(t, "signer"), root, nil)
	sign := func(a *testsign.Authority) []byte {
		return testsign.Signing{Image: of(crypto.SHA256), Signer: a}.Make(t)
	}
	one, two := testsign.Table(sign(signer)), testsign.Table(sign(signer), sign(second))
	odd := testsign.Table(testsign.Signing{Image: of(crypto.SHA256), Signer: signer, Edit: func(s *testsign.SignedData) { s.SignerInfos = nil }}.Make(t))
	sha1 := append([]byte{0x30, 0x82}, append(make([]byte, 30), 0x2b, 0x0e, 0x03, 0x02, 0x1a)...)
	x, hash := efi.CertX509, efi.CertSHA256
	pem := []byte("no certificate")
	for _, tc := range []struct {
		name    string
		table   []byte
		db, dbx dbs
		dbt     dbs
		hashes  secureboot.Hashes
		want    [][]byte // data of the entries that are measured
		refusal string
		unsure  string
	}{
		{name: "by the authority", table: one, db: dbs{list(x, root.Raw)}, want: [][]byte{root.Raw}},
		{name: "by the signer", table: one, db: dbs{list(x, signer.Raw)}, want: [][]byte{signer.Raw}},
		{name: "by the first entry that fits", table: one, db: dbs{list(x, second.Raw), list(x, signer.Raw), list(x, root.Raw)}, want: [][]byte{signer.Raw}},
		{name: "by digest", table: one, db: dbs{list(x, second.Raw), list(hash, of(crypto.SHA256))}, want: [][]byte{of(crypto.SHA256)}},
		{name: "by certificate before digest", table: one, db: dbs{list(hash, of(crypto.SHA256)), list(x, root.Raw)}, want: [][]byte{root.Raw}},
		{name: "as many signatures as allowed", table: bytes.Repeat(one, 32), db: dbs{list(x, root.Raw)}, want: [][]byte{root.Raw}},
		{name: "by the second signature", table: two, db: dbs{list(x, second.Raw)}, want: [][]byte{second.Raw}},
		{name: "by the first of two signatures", table: two, db: dbs{list(x, second.Raw), list(x, root.Raw)}, want: [][]byte{root.Raw}},
		{name: "dbx has others", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(x, second.Raw), list(hash, of(crypto.SHA512)[:32])}, want: [][]byte{root.Raw}},
		{name: "unsigned, by digest", db: dbs{list(hash, of(crypto.SHA256))}, want: [][]byte{of(crypto.SHA256)}},
		{name: "unsigned, by two digests", hashes: secureboot.AllHashes, db: dbs{list(hash, of(crypto.SHA256)), list(efi.CertSHA512, of(crypto.SHA512))}, want: [][]byte{of(crypto.SHA512), of(crypto.SHA256)}},
		{name: "unsigned, by SHA-384", hashes: secureboot.AllHashes, db: dbs{list(efi.CertSHA384, of(crypto.SHA384))}, want: [][]byte{of(crypto.SHA384)}},

		{name: "unsigned, by SHA-384 before 202311", hashes: secureboot.SHA256Alone, db: dbs{list(efi.CertSHA384, of(crypto.SHA384))}, refusal: "it is not signed"},
		{name: "unsigned, by two digests before 202311", hashes: secureboot.SHA256Alone, db: dbs{list(hash, of(crypto.SHA256)), list(efi.CertSHA512, of(crypto.SHA512))}, want: [][]byte{of(crypto.SHA256)}},
		{name: "unsigned, SHA-1 in dbx before 202311", hashes: secureboot.SHA256Alone, db: dbs{list(hash, of(crypto.SHA256))}, dbx: dbs{list(efi.CertSHA1, make([]byte, 20))}, want: [][]byte{of(crypto.SHA256)}},
		{name: "not in db", table: one, db: dbs{list(x, second.Raw)}, refusal: "no signature of it leads"},
		{name: "no db", table: one, refusal: "no signature of it leads"},
		{name: "a digest of another kind", table: one, db: dbs{list(efi.CertX509SHA256, of(crypto.SHA256)), list(efi.CertSHA512, of(crypto.SHA512))}, refusal: "no signature of it leads"},
		{name: "authority in dbx", table: one, db: dbs{list(x, signer.Raw)}, dbx: dbs{list(x, root.Raw)}, refusal: "dbx has its signer"},
		{name: "signer in dbx", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(x, signer.Raw)}, refusal: "dbx has its signer"},
		{name: "signer's digest in dbx", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(efi.CertX509SHA256, tbs(crypto.SHA256, signer))}, refusal: "dbx has its signer"},
		{name: "signer's digest in dbx as of a time, without dbt", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(efi.CertX509SHA384, tbs(crypto.SHA384, signer, 0xe7, 7))}, refusal: "dbx has its signer"},
		{name: "signer's digest in dbx as of always, with dbt", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(efi.CertX509SHA512, tbs(crypto.SHA512, signer))}, dbt: dbs{list(x, second.Raw)}, refusal: "dbx has its signer"},
		{name: "db's certificate's digest in dbx", table: one, db: dbs{list(x, root.Raw), list(x, signer.Raw)}, dbx: dbs{list(efi.CertX509SHA256, tbs(crypto.SHA256, root))}, refusal: "no signature of it leads"},
		{name: "image's digest in dbx", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(hash, of(crypto.SHA256))}, refusal: "its digest is in dbx"},
		{name: "second signer in dbx", table: two, db: dbs{list(x, root.Raw)}, dbx: dbs{list(x, second.Raw)}, refusal: "dbx has its signer"},
		{name: "unsigned, not in db", db: dbs{list(x, root.Raw)}, refusal: "it is not signed"},
		{name: "unsigned, in dbx", db: dbs{list(hash, of(crypto.SHA256))}, dbx: dbs{list(hash, of(crypto.SHA256))}, refusal: "its digest is in dbx"},
		{name: "unsigned, in dbx by SHA-512", hashes: secureboot.AllHashes, db: dbs{list(efi.CertSHA384, of(crypto.SHA384))}, dbx: dbs{list(efi.CertSHA512, of(crypto.SHA512))}, refusal: "its digest is in dbx"},
		{name: "cut table", table: two[:len(two)-8], db: dbs{list(x, root.Raw)}, refusal: "dwLength"},
		{name: "a table of other things", table: testsign.Entry(1, []byte("old")), db: dbs{list(x, root.Raw)}, refusal: "no signature of a kind"},
		{name: "a signature of SHA-224", table: testsign.Table(bytes.Replace(sign(signer), []byte("\x65\x03\x04\x02\x01"), []byte("\x65\x03\x04\x02\x04"), 1)), db: dbs{list(x, root.Raw)}, refusal: "no signature of a kind"},

		{name: "unsigned, by two digests, of some release", db: dbs{list(hash, of(crypto.SHA256)), list(efi.CertSHA512, of(crypto.SHA512))}, unsure: "only edk2 202311"},
		{name: "unsigned, in dbx by SHA-512, of some release", db: dbs{list(hash, of(crypto.SHA256))}, dbx: dbs{list(efi.CertSHA512, of(crypto.SHA512))}, unsure: "only edk2 202311"},
		{name: "odd signature", table: odd, db: dbs{list(x, root.Raw)}, unsure: "0 signers"},
		{name: "odd second signature", table: append(bytes.Clone(one), odd...), db: dbs{list(x, root.Raw)}, unsure: "0 signers"},
		{name: "many signatures", table: bytes.Repeat(one, 33), db: dbs{list(x, root.Raw)}, unsure: "33 signatures"},
		{name: "SHA-1", table: testsign.Table(sha1), db: dbs{list(x, root.Raw)}, unsure: "SHA-1"},
		{name: "odd certificate in db", table: one, db: dbs{list(x, pem), list(x, root.Raw)}, unsure: "cannot be read"},
		{name: "odd certificate in dbx", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(x, pem)}, unsure: "cannot be read"},
		{name: "dbx as of a time, with dbt", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(efi.CertX509SHA256, tbs(crypto.SHA256, signer, 0xe7, 7))}, dbt: dbs{list(x, second.Raw)}, unsure: "as of a time"},
		{name: "short digest in dbx", table: one, db: dbs{list(x, root.Raw)}, dbx: dbs{list(efi.CertX509SHA256, tbs(crypto.SHA256, signer)[:40])}, unsure: "entries of 40 bytes"},
		{name: "unsigned, SHA-1 in dbx", db: dbs{list(hash, of(crypto.SHA256))}, dbx: dbs{list(efi.CertSHA1, make([]byte, 20))}, unsure: "SHA-1 digests"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := secureboot.Databases{DB: tc.db, DBX: tc.dbx, DBT: tc.dbt}
			v, err := d.Judge(secureboot.Image{Digest: digest, Certificates: tc.table, Hashes: tc.hashes})
			if tc.unsure != "" {
				var u *secureboot.UnsureError
				if !errors.As(err, &u) || !strings.Contains(u.Reason, tc.unsure) {
					t.Fatalf("%+v, %v; want an error of %q", v, err, tc.unsure)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (tc.refusal != "") != (v.Refusal != "") || !strings.Contains(v.Refusal, tc.refusal) || len(v.Authorities) != len(tc.want) {
				t.Fatalf("%d authorities, refused because of %q; want %d and %q", len(v.Authorities), v.Refusal, len(tc.want), tc.refusal)
			}
			for i, a := range v.Authorities {
				if a.Owner != owner || !bytes.Equal(a.Data, tc.want[i]) {
					t.Errorf("authority %d is not the one that is wanted", i)
				}
			}
		})
	}
}

// TestOwners has one digest under two owners, of which the firmware takes the first.
func TestOwners(t *testing.T) {
	l := list(efi.CertSHA256, of(crypto.SHA256), of(crypto.SHA256))
	l.Signatures[1].Owner = other
	d := secureboot.Databases{DB: secureboot.Database{l, list(efi.CertSHA512, of(crypto.SHA512))}}
	v, err := d.Judge(secureboot.Image{Digest: digest, Hashes: secureboot.AllHashes})
	if err != nil || len(v.Authorities) != 2 || v.Authorities[1].Owner != owner {
		t.Errorf("%+v, %v; want the digests of SHA-512 and SHA-256, the first owner's", v, err)
	}
}

// TestDigestFails passes on what is wrong with the image.
func TestDigestFails(t *testing.T) {
	wrong := errors.New("wrong")
	img := secureboot.Image{Digest: func(crypto.Hash) ([]byte, error) { return nil, wrong }}
	for name, table := range map[string][]byte{"unsigned": nil, "signed": testsign.Table(testsign.Signing{Image: of(crypto.SHA256),
		Signer: testsign.NewAuthority(t, "root", testsign.Key(t, "root"), nil, func(*x509.Certificate) {})}.Make(t))} {
		img.Certificates = table
		if _, err := new(secureboot.Databases).Judge(img); !errors.Is(err, wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

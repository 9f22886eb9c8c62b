package dcap_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/quote"
)

// BenchmarkJudge is a whole offline judgement of a real quote: both files are parsed, nine signatures verified.
func BenchmarkJudge(b *testing.B) {
	data := fixtures.File(b, "quotes", "near-mpc.bin")
	text := fixtures.File(b, "quotes", "collateral-b0c06f-2026-08-14.json")
	opts := dcap.Options{Time: at(b, "2026-08-28T00:00:00Z")}
	b.SetBytes(int64(len(data) + len(text)))
	b.ReportAllocs()
	for b.Loop() {
		q, err := quote.Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		c, err := dcap.ParseCollateral(text)
		if err != nil {
			b.Fatal(err)
		}
		r, err := dcap.Judge(q, c, opts)
		if err != nil || r.Signatures != 9 {
			b.Fatal(r.Signatures, err)
		}
	}
}

// BenchmarkECDSAFloor verifies nine signatures and does nothing else.
func BenchmarkECDSAFloor(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	hash := sha256.Sum256([]byte("data"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for range 9 {
			if !ecdsa.VerifyASN1(&key.PublicKey, hash[:], sig) {
				b.Fatal("not verified")
			}
		}
	}
}

func BenchmarkParseCollateral(b *testing.B) {
	text := fixtures.File(b, "quotes", "collateral-b0c06f-2026-08-14.json")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dcap.ParseCollateral(text); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleJudge() {
	s := testpki.Default()
	s.Quote.QE.ISVSVN = 3 // a quoting enclave of last year
	world := s.Build()

	q, err := quote.Parse(world.Quote)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := dcap.ParseCollateral(world.Collateral())
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := dcap.Judge(q, c, dcap.Options{Time: testpki.Now, Roots: []dcap.Fingerprint{world.RootFingerprint()}})
	fmt.Println(err)
	fmt.Println("platform", r.Platform.Status, "module", r.Module.Status, "QE", r.QE.Status, r.Advisories)
	// Output:
	// dcap: rejected: tcb.status: is OutOfDate, want UpToDate
	// platform UpToDate module UpToDate QE OutOfDate [INTEL-SA-00999]
}

package dcap_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/url"
	"reflect"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/testpki"
)

// FuzzCollateral reads collateral and, where it can be read, judges with it: nothing but the genuine collateral may be
// accepted.
func FuzzCollateral(f *testing.F) {
	w := testpki.Default().Build()
	q, genuine := mustQuote(f, w.Quote), mustCollateral(f, w.Collateral())
	f.Add(w.Collateral())
	bundle, err := genuine.AppendBundle(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bundle)
	f.Add([]byte(`{"quote_collateral":` + string(w.Collateral()) + `}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := dcap.ParseCollateral(data)
		if err != nil {
			var fe *bin.FormatError
			if c != nil || !errors.As(err, &fe) {
				t.Fatalf("got %v, %T", c, err)
			}
			return
		}
		if b, err := c.AppendBundle(nil); err == nil {
			if again, err := dcap.ParseCollateral(b); err != nil || !reflect.DeepEqual(again, c) {
				t.Fatalf("the bundle of what was read differs: %v", err)
			}
		}
		if r, err := dcap.Judge(q, c, options(w)); err == nil {
			if !r.Accepted() {
				t.Fatal("no error, and not accepted")
			}
			if string(c.TCBInfo) != string(genuine.TCBInfo) || string(c.QEIdentity) != string(genuine.QEIdentity) {
				t.Fatal("accepted with a text that nobody signed")
			}
		}
	})
}

// FuzzSigned reads texts that a signature would have to cover.
func FuzzSigned(f *testing.F) {
	s := testpki.Default()
	f.Add([]byte(s.TCBInfo.JSON()))
	f.Add([]byte(s.QEIdentity.JSON()))
	f.Add(mustCollateral(f, fixtures.File(f, "quotes", "collateral-b0c06f-2026-08-14.json")).TCBInfo)
	f.Fuzz(func(t *testing.T, data []byte) {
		if info, err := dcap.ParseTCBInfo(data); (info == nil) == (err == nil) {
			t.Fatalf("got %v, %v", info, err)
		} else if err == nil {
			for _, l := range info.Levels {
				if l.Status == dcap.NoStatus {
					t.Fatal("a level without status")
				}
			}
		}
		if qe, err := dcap.ParseQEIdentity(data); (qe == nil) == (err == nil) {
			t.Fatalf("got %v, %v", qe, err)
		}
	})
}

// FuzzPEM reads chains and revocation lists.
func FuzzPEM(f *testing.F) {
	w := testpki.Default().Build()
	f.Add([]byte(testpki.PEM(w.PCKChain)))
	f.Add(w.PCKCRL)
	f.Fuzz(func(t *testing.T, data []byte) {
		if chain, err := dcap.ParseChain(data); err == nil {
			again, err := dcap.ParseChain([]byte(testpki.PEM(chain)))
			if err != nil || !reflect.DeepEqual(again, chain) {
				t.Fatalf("written anew, it differs: %v", err)
			}
		}
		if der, err := dcap.ParseCRL(data); err == nil && len(der) == 0 {
			t.Fatal("an empty list")
		}
	})
}

// FuzzResponses takes answers of Intel's service apart: what is taken for signed must stand in the answer, byte for byte.
func FuzzResponses(f *testing.F) {
	w := testpki.Default().Build()
	sig := hex.EncodeToString(w.TCBInfoSig)
	f.Add([]byte(`{"tcbInfo":`+string(w.TCBInfo)+`,"signature":"`+sig+`"}`), url.PathEscape(testpki.PEM(w.SigningChain)))
	f.Add([]byte(`{"signature":"`+sig+`", "enclaveIdentity" : {} }`), "%2B+%")
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		for _, parse := range []func([]byte) ([]byte, []byte, error){dcap.ParseTCBInfoResponse, dcap.ParseQEIdentityResponse} {
			text, sig, err := parse(body)
			var fe *bin.FormatError
			switch {
			case err != nil && (text != nil || sig != nil || !errors.As(err, &fe)):
				t.Fatalf("got %q, %x, %v", text, sig, err)
			case err == nil && (!bytes.Contains(body, text) || text[0] != '{' || len(sig) != 64):
				t.Fatalf("took %q, %x out of %q", text, sig, body)
			}
		}
		if chain, err := dcap.ParseChainHeader(header); (len(chain) == 0) != (err != nil) {
			t.Fatalf("got %d certificates, %v", len(chain), err)
		}
	})
}

package dcap_test

import (
	"bytes"
	"os"
	"reflect"
	"sync"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/quote"
)

// flipMode says how thorough the flip tests are: by default one bit in every few bytes, with TDXKIT_FLIPS=bytes one bit in
// every byte (a minute or two), with TDXKIT_FLIPS=bits every bit (a quarter of an hour).
func flipMode(stride int) (step, bits int) {
	switch os.Getenv("TDXKIT_FLIPS") {
	case "bits":
		return 1, 8
	case "bytes":
		return 1, 1
	}
	return stride, 1
}

// flips calls accepted with altered copies of data, and returns how many there were and where it said yes. Stride is the
// default distance of the bytes that are altered; the last bytes, where a format may be lax, are altered in any case.
func flips(data []byte, stride int, accepted func(altered []byte) bool) (n int, offsets []int) {
	step, bits := flipMode(stride)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for part := range 2 {
		wg.Go(func() {
			altered := bytes.Clone(data)
			for i := part; i < len(data); i += 2 {
				if i/2%step != 0 && i < len(data)-80 {
					continue
				}
				for b := range bits {
					altered[i] ^= 1 << ((i + b) % 8)
					yes := accepted(altered)
					altered[i] = data[i]
					mu.Lock()
					n++
					if yes {
						offsets = append(offsets, i)
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return n, offsets
}

// TestFlipQuote turns bits in every byte of quotes: none has a meaning that the judgement does not see.
func TestFlipQuote(t *testing.T) {
	w, v5 := testpki.Default().Build(), testpki.Default().V5().Build()
	for _, tc := range []struct {
		name              string
		quote, collateral []byte
		opts              dcap.Options
	}{
		{"near-mpc", fixtures.File(t, "quotes", "near-mpc.bin"), fixtures.File(t, "quotes", "collateral-b0c06f-2026-08-14.json"),
			dcap.Options{Time: at(t, "2026-08-28T00:00:00Z")}},
		{"version 4", w.Quote, w.Collateral(), options(w)},
		{"version 5", v5.Quote, v5.Collateral(), options(v5)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := mustCollateral(t, tc.collateral)
			if _, err := dcap.Judge(mustQuote(t, tc.quote), c, tc.opts); err != nil {
				t.Fatal(err)
			}
			n, got := flips(tc.quote, 13, func(altered []byte) bool {
				q, err := quote.Parse(altered)
				if err != nil {
					return false
				}
				_, err = dcap.Judge(q, c, tc.opts)
				return err == nil
			})
			if len(got) > 0 {
				t.Errorf("accepted with a bit turned at %v", got)
			}
			t.Logf("%d turned bits, each refused", n)
		})
	}
}

// TestFlipCollateral turns bits in every byte of collateral. A turned bit may be accepted only where it changes nothing
// that is read: the case of a hex digit, or white space for white space.
func TestFlipCollateral(t *testing.T) {
	w := testpki.Default().Build()
	bundle, err := mustCollateral(t, w.Collateral()).AppendBundle(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name              string
		quote, collateral []byte
		opts              dcap.Options
		stride            int
	}{
		{"near-mpc", fixtures.File(t, "quotes", "near-mpc.bin"), fixtures.File(t, "quotes", "collateral-b0c06f-2026-08-14.json"),
			dcap.Options{Time: at(t, "2026-08-28T00:00:00Z")}, 61},
		{"bundle", w.Quote, bundle, options(w), 23},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q, want := mustQuote(t, tc.quote), mustCollateral(t, tc.collateral)
			want.PCKChain = nil // not looked at where the quote brings a chain
			var mu sync.Mutex
			meaningless := 0
			n, got := flips(tc.collateral, tc.stride, func(altered []byte) bool {
				c, err := dcap.ParseCollateral(altered)
				if err != nil {
					return false
				}
				c.PCKChain = nil
				if reflect.DeepEqual(c, want) {
					mu.Lock()
					meaningless++
					mu.Unlock()
					return false
				}
				_, err = dcap.Judge(q, c, tc.opts)
				return err == nil
			})
			if len(got) > 0 {
				t.Errorf("accepted with a bit turned that has a meaning, at %v", got)
			}
			t.Logf("%d turned bits, of which %d change nothing that is read; the others are refused", n, meaningless)
		})
	}
}

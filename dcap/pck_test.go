package dcap

import (
	"reflect"
	"testing"

	"github.com/tdxkit/tdxkit/internal/testpki"
)

// FuzzPCKExtension reads the description of a platform. One that is taken holds every member that a judgement compares.
func FuzzPCKExtension(f *testing.F) {
	want := testpki.Default().PCK
	f.Add(want.Extension().Value)
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := parseSGXExtension(der)
		if (p == nil) == (err == nil) {
			t.Fatalf("got %+v, %v", p, err)
		}
		if err != nil {
			return
		}
		again := testpki.PCKSpec{FMSPC: p.FMSPC, PCEID: p.PCEID, SGX: p.SGX, PCESVN: p.PCESVN}
		q, err := parseSGXExtension(again.Extension().Value)
		if err != nil || q.FMSPC != p.FMSPC || q.PCEID != p.PCEID || !reflect.DeepEqual(q.SGX, p.SGX) || q.PCESVN != p.PCESVN {
			t.Fatalf("written anew, %+v is read as %+v, %v", p, q, err)
		}
	})
}

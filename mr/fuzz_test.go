package mr

import (
	"testing"

	"github.com/tdxkit/tdxkit/internal/reference"
)

// FuzzReplay compares Replay with the definition of a register, written out: the input is cut into extensions of a
// register number and 48 bytes of digest each.
func FuzzReplay(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 49*3))
	f.Add(append([]byte{1, 2, 3, 4}, make([]byte, 49*5)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var events []Event
		digests := map[Register][][48]byte{}
		for ; len(data) >= 49; data = data[49:] {
			e := Event{Register: RTMR0 + Register(data[0]%4), Measured: Measured{Digest: Digest(data[1:49])}}
			events = append(events, e)
			digests[e.Register] = append(digests[e.Register], e.Measured.Digest)
		}
		got, err := Replay(events)
		if err != nil {
			t.Fatal(err)
		}
		for r := RTMR0; r <= RTMR3; r++ {
			if want := reference.Replay(digests[r]...); got[r] != want {
				t.Errorf("%s = %s, want %x", r, got[r], want)
			}
		}
	})
}

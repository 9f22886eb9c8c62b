package eventlog_test

import (
	"bytes"
	"testing"
	"unicode"

	"github.com/tdxkit/tdxkit/eventlog"
)

// FuzzParse asserts that a log which parses writes back to its bytes but for the fill, and that these parse to the same.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"dstack", "td-shim", "csv-sm3", "intel-2022"} {
		data := load(f, name)
		f.Add(data[:min(len(data), 3000)])
	}
	f.Add(twoBanks().AppendCCEL(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := eventlog.Parse(data)
		if err != nil {
			return
		}
		written := l.AppendCCEL(nil)
		if !bytes.Equal(written, data[:len(data)-l.Padding]) {
			t.Fatalf("%x is written back as %x", data, written)
		}
		again, err := eventlog.Parse(written)
		if err != nil || len(again.Events) != len(l.Events) || again.Padding != 0 {
			t.Fatalf("%x parses, and what it is written as does not: %v", data, err)
		}
	})
}

// FuzzDecode asserts that decoded data writes back to its bytes, and that its text prints.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"dstack", "gke-uki", "td-shim", "alibaba-aael"} {
		for _, e := range parse(f, load(f, name)).Events {
			f.Add(uint32(e.Type), e.Data)
		}
	}
	f.Fuzz(func(t *testing.T, typ uint32, data []byte) {
		e := eventlog.Event{Type: eventlog.Type(typ), Data: data}
		eventlog.Recompute(e)
		text := eventlog.Describe(e)
		p, err := eventlog.Decode(e)
		if err == nil {
			if got := p.Append(nil); !bytes.Equal(got, data) {
				t.Fatalf("%v %x is written back as %x", e.Type, data, got)
			}
			text += p.Key()
		}
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Fatalf("%v %x: text %q has %U", e.Type, data, text, r)
			}
		}
	})
}

// fullArea returns a log that fills the 64 KiB of an area, made of a real one's records.
func fullArea(t testing.TB) []byte {
	l := parse(t, load(t, "dstack"))
	records := l.Events
	for i := 0; len(l.AppendCCEL(nil)) < 64<<10; i++ {
		l.Events = append(l.Events, records[i%len(records)])
	}
	l.Events = l.Events[:len(l.Events)-1]
	return l.AppendCCEL(nil)
}

func BenchmarkParse(b *testing.B) {
	data := fullArea(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eventlog.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecompute(b *testing.B) {
	data := fullArea(b)
	l := parse(b, data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range l.Events {
			eventlog.Recompute(e)
		}
	}
}

package smbios

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/qemu"
)

func FuzzParse(f *testing.F) {
	f.Add(sample())
	f.Add(everything(f).Structures)
	f.Add(slicesOf(structure(128, 4, 1, nil), end))
	f.Fuzz(func(t *testing.T, table []byte) {
		all, err := Parse(table)
		if (err == nil) == (len(all) == 0) {
			t.Fatalf("%d structures, error %v", len(all), err)
		}
		// A table is its structures, written out again.
		var again []byte
		for i := range all {
			s := &all[i]
			again = append(again, s.Formatted...)
			for _, x := range s.Strings {
				again = append(append(again, x...), 0)
			}
			if len(s.Strings) == 0 {
				again = append(again, 0)
			}
			again = append(again, 0)
			if s.String() == "" {
				t.Error("no text")
			}
		}
		if err == nil && !bytes.Equal(again, table) {
			t.Errorf("got %x from %x", again, table)
		}
	})
}

func FuzzFilter(f *testing.F) {
	f.Add(sample())
	f.Add(everything(f).Structures)
	f.Add(slicesOf(structure(3, 9, 1, map[int]byte{7: 1, 8: 1}, "one"), end))
	f.Fuzz(func(t *testing.T, table []byte) {
		got, err := Filter(table)
		want, wantErr := referenceFilter(table)
		if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
			t.Fatalf("got %x, %v\nwant %x, %v", got, err, want, wantErr)
		}
		if err != nil {
			return
		}
		if len(got) != len(table) {
			t.Errorf("%d bytes from %d", len(got), len(table))
		}
		// Strings that became zeros leave a table that cannot be read; one that can be is filtered already.
		if again, err := Filter(got); err == nil && !bytes.Equal(again, got) {
			t.Errorf("filtered twice: %x, want %x", again, got)
		}
	})
}

// FuzzBuild checks that whatever a machine looks like, its tables are refused or can be read, published and filtered.
func FuzzBuild(f *testing.F) {
	f.Add(uint64(2<<30), uint8(1), uint8(2), uint8(1), 1, "serial=S", "64")
	f.Add(uint64(5<<40), uint8(9), uint8(200), uint8(2), 11, "value=a,value=,value=b", "auto")
	f.Add(uint64(1), uint8(0), uint8(0), uint8(0), 4, "processor-id=1,max-speed=0x10", "32")
	f.Add(uint64(3<<30), uint8(3), uint8(1), uint8(1), 8, "port_type=1", "")
	f.Fuzz(func(t *testing.T, ram uint64, sockets, cores, threads uint8, typ int, options, entryPoint string) {
		m := plain(qemu.SMBIOSEntry{Type: typ, Fields: fields(options)})
		m.RAM = ram % (64 << 40)
		m.Topology.Sockets, m.Topology.Cores, m.Topology.Threads = int(sockets), int(cores), int(threads)
		m.SMBIOS.EntryPoint = entryPoint
		if ram%3 == 0 {
			m.Type = "pc-q35-8.0"
		}
		q, err := Build(m)
		if err != nil {
			return
		}
		if len(q.Structures) > maxTable21 && q.Major() == 2 {
			t.Errorf("%d bytes of SMBIOS 2.8", len(q.Structures))
		}
		if strings.Contains(string(q.EntryPoint[:5]), "_SM3_") != (q.Major() == 3) {
			t.Errorf("entry point %q of major version %d", q.EntryPoint, q.Major())
		}
		published, err := Published(q, FirmwareInfo{})
		if err != nil {
			return
		}
		if _, err := Filter(published); err != nil {
			t.Error(err)
		}
	})
}

func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func BenchmarkTables(b *testing.B) {
	m := plain()
	fw := FirmwareInfo{Vendor: "EDK II"}
	var size int
	b.ReportAllocs()
	for b.Loop() {
		q, err := Build(m)
		if err != nil {
			b.Fatal(err)
		}
		published, err := Published(q, fw)
		if err != nil {
			b.Fatal(err)
		}
		filtered, err := Filter(published)
		if err != nil {
			b.Fatal(err)
		}
		size = len(filtered)
	}
	b.SetBytes(int64(size))
}

func BenchmarkParse(b *testing.B) {
	table := everything(b).Structures
	b.SetBytes(int64(len(table)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(table); err != nil {
			b.Fatal(err)
		}
	}
}

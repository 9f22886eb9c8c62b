package mr_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/mr"
)

// A script makes lists of events out of short words: "0:var:db:a" is the variable db with value a in RTMR0.
func events(words ...string) []mr.Event {
	var list []mr.Event
	for _, w := range words {
		f := strings.Split(w, ":")
		e := mr.Event{Register: mr.RTMR0 + mr.Register(f[0][0]-'0'), Measured: mr.Measured{Digest: mr.Sum([]byte(f[3]))}}
		switch f[1] {
		case "var":
			e.Type = eventlog.EVEFIVariableDriverConfig
			e.Data = efi.VariableData{GUID: efi.GlobalVariable, Name: f[2], Data: []byte(f[3])}.Append(nil)
		case "cfg":
			e.Type = eventlog.EVPlatformConfigFlags
			e.Data = eventlog.AppendFwCfgFlags(nil, f[2])
		case "acpi":
			e.Type, e.Data = eventlog.EVPlatformConfigFlags, []byte(eventlog.ACPIData)
		case "act":
			e.Type, e.Data = eventlog.EVEFIAction, []byte(f[2])
		case "sep":
			e.Type, e.Data = eventlog.EVSeparator, make([]byte, 4)
		case "img":
			e.Type, e.Data = eventlog.EVEFIBootServicesApplication, eventlog.AppendImageLoad(nil, 0, 0, 0, efi.DevicePath{efi.FilePath(f[2])}.Append(nil))
		case "bare": // a record of a log that keeps no data
			e.Type = eventlog.EVEFIVariableDriverConfig
		case "run": // a workload's event, named beside its data
			e.Type, e.Measured.What, e.Data = 0x08000001, f[2], []byte(f[3])
		}
		if len(f) > 4 {
			e.Rule = mr.RuleID(f[4])
		}
		list = append(list, e)
	}
	return list
}

func TestDiff(t *testing.T) {
	for _, tc := range []struct {
		name      string
		want, got []mr.Event
		text      []string // of each difference: its kind, and a part of its sentence
	}{
		{"nothing", nil, nil, nil},
		{"equal", events("0:var:db:a", "1:act:x:x"), events("0:var:db:a", "1:act:x:x"), nil},
		{"order between registers", events("0:var:db:a", "1:act:x:x"), events("1:act:x:x", "0:var:db:a"), nil},
		{"value", events("0:var:PK:p", "0:var:db:a"), events("0:var:PK:p", "0:var:db:b"),
			[]string{"differs rtmr0: EV_EFI_VARIABLE_DRIVER_CONFIG, db has digest 98a906…, want 54a59b…; the log says db = b, want db = a."}},
		{"missing", events("0:var:PK:p", "0:var:KEK:k", "0:var:db:a"), events("0:var:PK:p", "0:var:db:a"),
			[]string{"missing rtmr0: EV_EFI_VARIABLE_DRIVER_CONFIG, KEK is missing after EV_EFI_VARIABLE_DRIVER_CONFIG, PK."}},
		{"missing first", events("0:var:PK:p", "0:var:db:a"), events("0:var:db:a"), []string{"missing rtmr0: EV_EFI_VARIABLE_DRIVER_CONFIG, PK is missing as the first event."}},
		{"extra", events("0:var:PK:p"), events("0:var:PK:p", "0:var:dbt:t"),
			[]string{"extra rtmr0: EV_EFI_VARIABLE_DRIVER_CONFIG, dbt is extended after EV_EFI_VARIABLE_DRIVER_CONFIG, PK and not expected."}},
		{"all is extra", nil, events("2:sep::s", "2:act:x:x"), []string{"extra rtmr2: EV_SEPARATOR", "extra rtmr2: EV_EFI_ACTION"}},
		{"all is missing", events("2:sep::s", "2:act:x:x"), nil, []string{"missing rtmr2: EV_SEPARATOR", "missing rtmr2: EV_EFI_ACTION"}},
		{"moved within a register", events("0:var:PK:p", "0:var:KEK:k", "0:var:db:a"), events("0:var:KEK:k", "0:var:db:a", "0:var:PK:p"),
			[]string{"moved rtmr0: EV_EFI_VARIABLE_DRIVER_CONFIG, PK is extended after EV_EFI_VARIABLE_DRIVER_CONFIG, db, want it as the first event."}},
		{"moved to another register", events("0:var:db:a", "1:sep::s"), events("0:var:db:a", "0:sep::s"),
			[]string{"moved rtmr1: EV_SEPARATOR, separator is extended to rtmr0, want rtmr1."}},
		{"moved and changed", events("0:var:PK:p", "0:var:KEK:k", "0:var:db:a"), events("0:var:KEK:k", "0:var:db:a", "0:var:PK:q"),
			[]string{"moved rtmr0: EV_EFI_VARIABLE_DRIVER_CONFIG, PK is extended after EV_EFI_VARIABLE_DRIVER_CONFIG, db, want it as the first event, and has digest"}},
		{"same bytes about two things", events("0:cfg:BootMenu:z", "0:cfg:bootorder:o"), events("0:cfg:bootorder:o"),
			[]string{"missing rtmr0: EV_PLATFORM_CONFIG_FLAGS, BootMenu"}},
		{"ACPI with a blob between", events("0:acpi::l", "0:acpi::r", "0:acpi::t"), events("0:acpi::l", "0:acpi::r", "0:acpi::log", "0:acpi::t"),
			[]string{"extra rtmr0: EV_PLATFORM_CONFIG_FLAGS, ACPI DATA"}},
		{"ACPI of another shape", events("0:acpi::l", "0:acpi::r", "0:acpi::t"), events("0:acpi::L", "0:acpi::R", "0:acpi::T"),
			[]string{"differs rtmr0", "differs rtmr0", "differs rtmr0"}},
		{"rules", events("0:acpi::l:rtmr0.acpi-loader", "0:acpi::t:rtmr0.acpi-tables"), events("0:acpi::l", "0:acpi::T"),
			[]string{"differs rtmr0: rtmr0.acpi-tables (EV_PLATFORM_CONFIG_FLAGS, ACPI DATA) has digest"}},
		{"two predictions", events("0:acpi::l:a", "0:acpi::t:b"), events("0:acpi::t:b"), []string{"missing rtmr0: a (EV_PLATFORM_CONFIG_FLAGS, ACPI DATA)"}},
		{"log without data", events("0:var:PK:p", "0:var:db:a"), events("0:bare::p", "0:bare::b"), []string{"differs rtmr0: EV_EFI_VARIABLE_DRIVER_CONFIG, db has digest"}},
		{"log without data, one less", events("0:var:PK:p", "0:var:KEK:k", "0:var:db:a"), events("0:bare::p", "0:bare::a"), []string{"missing rtmr0: EV_EFI_VARIABLE_DRIVER_CONFIG, KEK"}},
		{"image from another path", events("1:img:a.efi:x"), events("1:img:b.efi:y"), []string{"differs rtmr1: EV_EFI_BOOT_SERVICES_APPLICATION, a.efi has digest"}},
		{"same image from another path", events("1:img:a.efi:x"), events("1:img:b.efi:x"), nil},
		{"same bytes as another type", events("0:act:x:a"), events("0:sep::a"), []string{"differs rtmr0: EV_EFI_ACTION, x is logged as EV_SEPARATOR, want EV_EFI_ACTION."}},
		{"other action", events("1:act:Calling:c"), events("1:act:Returning:r"), []string{"missing rtmr1: EV_EFI_ACTION, Calling", "extra rtmr1: EV_EFI_ACTION, Returning"}},
		{"workload", events("3:run:app-id:1", "3:run:ready:"), events("3:run:app-id:2", "3:run:extra:", "3:run:ready:"),
			[]string{"differs rtmr3: 0x08000001, app-id has digest", "extra rtmr3: 0x08000001, extra"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			deltas := mr.Diff(tc.want, tc.got)
			var got []string
			for _, d := range deltas {
				got = append(got, d.Kind.String()+" "+d.Text)
			}
			if !slices.EqualFunc(got, tc.text, func(got, want string) bool { return alike(got, want) }) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tc.text, "\n"))
			}
			checkDeltas(t, tc.want, tc.got, deltas)
		})
	}
}

// alike reports whether got begins with want; where want shortens a digest further, digits between are left out.
func alike(got, want string) bool {
	parts := strings.Split(want, "…")
	for i, p := range parts {
		at := strings.Index(got, p)
		if at < 0 || (i == 0 && at != 0) {
			return false
		}
		got = got[at+len(p):]
	}
	return true
}

// checkDeltas asserts what holds of all differences: the indices point at the events, each event is in one at most, and
// the two lists without them hold the same extensions of each register in the same order.
func checkDeltas(t *testing.T, want, got []mr.Event, deltas []mr.Delta) {
	t.Helper()
	left := func(list []mr.Event, index func(mr.Delta) int, event func(mr.Delta) *mr.Event) string {
		taken := map[int]bool{}
		for _, d := range deltas {
			if i := index(d); i >= 0 {
				if taken[i] || event(d) != &list[i] {
					t.Errorf("%s: index %d is twice in the differences, or not of its event", d.Text, i)
				}
				taken[i] = true
			} else if event(d) != nil {
				t.Errorf("%s: an event without an index", d.Text)
			}
		}
		var s []string
		for i, e := range list {
			if !taken[i] {
				s = append(s, fmt.Sprint(e.Register, e.Measured.Digest))
			}
		}
		slices.SortStableFunc(s, func(a, b string) int { return strings.Compare(a[:5], b[:5]) })
		return strings.Join(s, "\n")
	}
	w := left(want, func(d mr.Delta) int { return d.WantIndex }, func(d mr.Delta) *mr.Event { return d.Want })
	g := left(got, func(d mr.Delta) int { return d.GotIndex }, func(d mr.Delta) *mr.Event { return d.Got })
	if w != g {
		t.Errorf("without the differences, the lists are not equal:\n%s\nand\n%s", w, g)
	}
}

// TestDiffRandom edits lists of events at random and holds Diff to checkDeltas, to silence about equal
// lists, and to a difference wherever registers differ.
func TestDiffRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		kinds := []string{"var:db", "var:PK", "acpi:", "sep:", "act:x", "img:a", "img:b", "bare:"}
		return fmt.Sprintf("%d:%s:%d", r.IntN(2), kinds[r.IntN(len(kinds))], r.IntN(4))
	}
	for range 2000 {
		var want []string
		for range r.IntN(12) {
			want = append(want, word())
		}
		got := slices.Clone(want)
		for range r.IntN(4) {
			switch at := r.IntN(len(got) + 1); r.IntN(3) {
			case 0:
				got = slices.Insert(got, at, word())
			case 1:
				got = slices.Delete(got, at, min(at+1, len(got)))
			default:
				if at < len(got) {
					got[at] = word()
				}
			}
		}
		w, g := events(want...), events(got...)
		deltas := mr.Diff(w, g)
		checkDeltas(t, w, g, deltas)
		if len(deltas) == 0 && replay(t, w) != replay(t, g) {
			t.Errorf("%v and %v: registers differ, and no event does", want, got)
		}
		if deltas := mr.Diff(w, events(want...)); len(deltas) > 0 {
			t.Errorf("%v and itself: got %+v", want, deltas)
		}
	}
}

// TestDiffLong has lists whose table of alignments would be too large.
func TestDiffLong(t *testing.T) {
	var want []mr.Event
	for i := range 3000 {
		want = append(want, events(fmt.Sprintf("2:run:%d:%d", i, i))...)
	}
	got := slices.Clone(want)
	for _, i := range []int{0, 1500, 2999} {
		got[i].Measured.Digest = mr.Digest{}
	}
	deltas := mr.Diff(want, got)
	checkDeltas(t, want, got, deltas)
	if len(deltas) != 3 {
		t.Errorf("got %d differences, want 3", len(deltas))
	}
	got = got[1:]
	checkDeltas(t, want, got, mr.Diff(want, got))
}

// TestDiffCaptured compares the log of one machine with that of one alike, which its authors altered: a separator went
// from RTMR1 to RTMR0. Their firmware's variable stores differ too.
func TestDiffCaptured(t *testing.T) {
	want, got := captured(t, "gcp-cos113"), captured(t, "gcp-cos113-altered")
	deltas := mr.Diff(want, got)
	checkDeltas(t, want, got, deltas)
	var text []string
	for _, d := range deltas {
		text = append(text, d.Text)
	}
	if len(text) != 2 || !strings.HasPrefix(text[0], "rtmr0: EV_EFI_PLATFORM_FIRMWARE_BLOB2, Fv(48DB5E17-707C-472D-91CD-1613E7EF51B0) has digest") ||
		text[1] != "rtmr1: EV_SEPARATOR, separator is extended to rtmr0, want rtmr1." {
		t.Errorf("got %q, want the variable store and a separator that moved", text)
	}
}

func TestDeltaKind(t *testing.T) {
	for k, want := range map[mr.DeltaKind]string{mr.Differs: "differs", mr.Moved: "moved", 0: "delta(0)", 9: "delta(9)"} {
		if got, _ := k.MarshalText(); string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	want, got := captured(b, "alibaba"), captured(b, "alibaba-aael")
	b.ReportAllocs()
	for b.Loop() {
		mr.Diff(want, got)
	}
}

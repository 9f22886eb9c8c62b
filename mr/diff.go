package mr

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/eventlog"
)

// A DeltaKind says in which way two lists of events differ at one place.
type DeltaKind uint8

// The kinds of differences. The zero value is none of them.
const (
	Differs DeltaKind = iota + 1 // the event is in both, with another digest or type
	Missing                      // expected and not there
	Extra                        // there and not expected
	Moved                        // the event is in both, at another place or in another register
)

var deltaNames = [...]string{Differs: "differs", Missing: "missing", Extra: "extra", Moved: "moved"}

// String returns the kind's name, "missing".
func (k DeltaKind) String() string {
	if int(k) < len(deltaNames) && deltaNames[k] != "" {
		return deltaNames[k]
	}
	return fmt.Sprintf("delta(%d)", uint8(k))
}

// MarshalText returns what String returns.
func (k DeltaKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// A Delta is one difference between events that are wanted and events that were got.
type Delta struct {
	Kind      DeltaKind
	Register  Register // of Want, or of Got where nothing is wanted
	Want, Got *Event   // one is nil for Missing and Extra; they point into the lists that were compared
	WantIndex int      // of Want in its list, or -1
	GotIndex  int      // of Got in its list, or -1
	Text      string   // a sentence that says it
}

// Diff returns how got differs from want, in the order of registers and, within a register, of the boot. Equal lists
// have no differences. Events are aligned by what they are about and not by their number: by the event's type, the
// name that its data gives (a variable's, a fw_cfg item's, an action's text), the rule where both have one, and the
// digest. An event without data, as some logs keep it, is aligned by its type and digest.
//
// Events of one register are paired in order so that as much as possible agrees; what is left over on both sides and
// is the same event is reported as Moved.
func Diff(want, got []Event) []Delta {
	var d differ
	for r := range Register(numRegisters) {
		d.register(r, itemsOf(want, r), itemsOf(got, r))
	}
	d.joinMoved()
	slices.SortStableFunc(d.found, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.Register, b.Register), cmp.Compare(a.place, b.place))
	})
	deltas := make([]Delta, len(d.found))
	for i, f := range d.found {
		deltas[i] = f.Delta
	}
	return deltas
}

// An item is an event with what Diff knows of it.
type item struct {
	*Event
	index int    // in its list
	key   string // what the event is about; empty where nothing says it
	after string // how the event before it in its register is called; empty for the first
}

func itemsOf(events []Event, r Register) []item {
	var items []item
	after := ""
	for i := range events {
		if e := &events[i]; e.Register == r && e.Type != eventlog.EVNoAction {
			it := item{Event: e, index: i, key: keyOf(e), after: after}
			items = append(items, it)
			after = it.name()
		}
	}
	return items
}

// keyOf returns the name that the event's data gives to what it is about. Data of a type that the TCG does not define
// is a value and no name.
func keyOf(e *Event) string {
	if len(e.Data) == 0 || !e.Type.Known() {
		return ""
	}
	p, err := eventlog.Decode(eventlog.Event{Type: e.Type, Data: e.Data})
	if err != nil {
		return ""
	}
	return p.Key()
}

// about returns what the event is about in its data's words, else in its maker's.
func (it item) about() string {
	if it.key != "" {
		return it.key
	}
	return it.Measured.What
}

// placed is a difference with its place in the alignment of its register.
type placed struct {
	Delta
	place     int
	want, got item
}

type differ struct{ found []placed }

// register compares the events of one register.
func (d *differ) register(r Register, want, got []item) {
	for place, p := range align(want, got) {
		f := placed{place: place, Delta: Delta{Register: r, WantIndex: -1, GotIndex: -1}}
		if p.want >= 0 {
			f.want = want[p.want]
			f.Want, f.WantIndex = f.want.Event, f.want.index
		}
		if p.got >= 0 {
			f.got = got[p.got]
			f.Got, f.GotIndex = f.got.Event, f.got.index
		}
		switch {
		case p.got < 0:
			f.Kind, f.Text = Missing, fmt.Sprintf("%v: %s is missing %s.", r, f.want.name(), f.want.where())
		case p.want < 0:
			f.Kind, f.Text = Extra, fmt.Sprintf("%v: %s is extended %s and not expected.", r, f.got.name(), f.got.where())
		case f.Want.Measured.Digest == f.Got.Measured.Digest && f.Want.Type == f.Got.Type:
			continue
		default:
			f.Kind, f.Text = Differs, fmt.Sprintf("%v: %s %s.", r, f.want.name(), differences(f.want, f.got))
		}
		d.found = append(d.found, f)
	}
}

// moveKey is what a missing and an extra event must have in common to be one that moved.
type moveKey struct {
	register Register // numRegisters where the digests agree, and any register will do
	typ      eventlog.Type
	key      string
	digest   Digest
}

// joinMoved joins missing events with extra ones that are the same: of the same type and digest, in any register; or
// of the same type and about the same thing, in the same register.
func (d *differ) joinMoved() {
	for _, keyOf := range []func(Register, item) moveKey{
		func(r Register, e item) moveKey { return moveKey{r, e.Type, e.about(), e.Measured.Digest} },
		func(_ Register, e item) moveKey {
			return moveKey{numRegisters, e.Type, e.about(), e.Measured.Digest}
		},
		func(r Register, e item) moveKey { return moveKey{r, e.Type, e.about(), Digest{}} },
	} {
		d.join(keyOf)
	}
	d.found = slices.DeleteFunc(d.found, func(f placed) bool { return f.Kind == 0 })
}

func (d *differ) join(keyOf func(Register, item) moveKey) {
	extra := map[moveKey][]int{}
	for i, f := range d.found {
		if f.Kind == Extra {
			k := keyOf(f.Register, f.got)
			extra[k] = append(extra[k], i)
		}
	}
	for i := range d.found {
		f := &d.found[i]
		if f.Kind != Missing {
			continue
		}
		k := keyOf(f.Register, f.want)
		if len(extra[k]) == 0 || (k.key == "" && k.digest == Digest{}) {
			continue
		}
		g := &d.found[extra[k][0]]
		extra[k] = extra[k][1:]
		f.Kind, f.Got, f.GotIndex, f.got = Moved, g.Got, g.GotIndex, g.got
		f.Text = movedText(f.want, f.got)
		g.Kind = 0
	}
}

func movedText(want, got item) string {
	s := fmt.Sprintf("%v: %s is extended ", want.Register, want.name())
	if want.Register != got.Register {
		s += fmt.Sprintf("to %v, want %v", got.Register, want.Register)
	} else {
		s += fmt.Sprintf("%s, want it %s", got.where(), want.where())
	}
	if want.Measured.Digest != got.Measured.Digest {
		s += ", and " + differences(want, got)
	}
	return s + "."
}

const (
	shortDigest = 16 // hexadecimal digits of a digest in a sentence
	longestName = 80 // characters of a name in a sentence, which a log may make as long as it likes
)

// name calls an event by its rule, type and key: "rtmr0.acpi-tables (EV_PLATFORM_CONFIG_FLAGS, ACPI DATA)".
func (it item) name() string {
	about := it.Type.String()
	if a := it.about(); a != "" {
		about += ", " + cut(a)
	}
	if it.Rule == "" {
		return about
	}
	return fmt.Sprintf("%s (%s)", it.Rule, about)
}

// where says what stands before the event.
func (it item) where() string {
	if it.after == "" {
		return "as the first event"
	}
	return "after " + it.after
}

// differences says in what two events that are about the same differ.
func differences(want, got item) string {
	var s []string
	if w, g := want.Measured.Digest, got.Measured.Digest; w != g {
		s = append(s, fmt.Sprintf("has digest %s…, want %s…", g.String()[:shortDigest], w.String()[:shortDigest]))
	}
	if want.Type != got.Type {
		s = append(s, fmt.Sprintf("is logged as %v, want %v", got.Type, want.Type))
	} else if w, g := dataText(want.Event), dataText(got.Event); w != "" && g != "" && w != g {
		s = append(s, fmt.Sprintf("the log says %s, want %s", cut(g), cut(w)))
	}
	return strings.Join(s, "; ")
}

// dataText returns what an event's data says, or the empty string without data.
func dataText(e *Event) string {
	if len(e.Data) == 0 {
		return ""
	}
	return eventlog.Describe(eventlog.Event{Type: e.Type, Data: e.Data})
}

func cut(s string) string {
	if r := []rune(s); len(r) > longestName {
		return string(r[:longestName]) + "…"
	}
	return s
}

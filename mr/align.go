package mr

import "github.com/tdxkit/tdxkit/eventlog"

// A pair is an event wanted and one got that belong together, as indices into the lists of one register; -1 is none.
type pair struct{ want, got int }

// maxTable bounds the table of an alignment, in cells of 4 bytes. Two logs of 2,000 events that agree nowhere at their
// ends fit; beyond it events are paired by their number.
const maxTable = 4 << 20

// align pairs the events of one register in order so that the sum of likeness is greatest. Events that agree at both
// ends are paired first, which never makes the sum smaller.
func align(want, got []item) []pair {
	var head, tail []pair
	lo := 0
	for lo < len(want) && lo < len(got) && likeness(want[lo], got[lo]) == same {
		head = append(head, pair{lo, lo})
		lo++
	}
	w, g := len(want), len(got)
	for w > lo && g > lo && likeness(want[w-1], got[g-1]) == same {
		w, g = w-1, g-1
	}
	for i := range len(want) - w {
		tail = append(tail, pair{w + i, g + i})
	}
	middle := alignByTable
	if int64(w-lo+1)*int64(g-lo+1) > maxTable {
		middle = alignByNumber
	}
	for _, p := range middle(want[lo:w], got[lo:g]) {
		if p.want >= 0 {
			p.want += lo
		}
		if p.got >= 0 {
			p.got += lo
		}
		head = append(head, p)
	}
	return append(head, tail...)
}

// alignByTable fills a table whose cell (i, j) is the greatest sum of likeness of the events from i and j on, and walks
// it from the start.
func alignByTable(want, got []item) []pair {
	cols := len(got) + 1
	best := make([]int32, (len(want)+1)*cols)
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			b := max(best[(i+1)*cols+j], best[i*cols+j+1])
			if l := likeness(want[i], got[j]); l > 0 {
				b = max(b, int32(l)+best[(i+1)*cols+j+1])
			}
			best[i*cols+j] = b
		}
	}
	var pairs []pair
	i, j := 0, 0
	for i < len(want) && j < len(got) {
		here := best[i*cols+j]
		l := likeness(want[i], got[j])
		switch {
		case l > 0 && here == int32(l)+best[(i+1)*cols+j+1]:
			pairs = append(pairs, pair{i, j})
			i, j = i+1, j+1
		case here == best[(i+1)*cols+j]:
			pairs = append(pairs, pair{i, -1})
			i++
		default:
			pairs = append(pairs, pair{-1, j})
			j++
		}
	}
	for ; i < len(want); i++ {
		pairs = append(pairs, pair{i, -1})
	}
	for ; j < len(got); j++ {
		pairs = append(pairs, pair{-1, j})
	}
	return pairs
}

// alignByNumber pairs the events with the same number, where they are alike at all.
func alignByNumber(want, got []item) []pair {
	var pairs []pair
	for i := range max(len(want), len(got)) {
		switch {
		case i < len(want) && i < len(got) && likeness(want[i], got[i]) > 0:
			pairs = append(pairs, pair{i, i})
			continue
		case i < len(want):
			pairs = append(pairs, pair{i, -1})
		}
		if i < len(got) {
			pairs = append(pairs, pair{-1, i})
		}
	}
	return pairs
}

// The degrees of likeness of two events of one register; none is not a pair. Two pairs about the same thing count for
// more than one with the same digest, and that for more than two whose events may be anything.
const (
	none      = 0
	weak      = 1 // the same type, and a name that says where and not what
	sameBytes = 2 // the same digest, about another thing or of another type
	perhaps   = 3 // the same type, and one of them does not say what it is about
	sameThing = 4 // the same type, about the same thing
	same      = 7 // that, and the same digest
)

// likeness judges whether two events are the same one.
func likeness(w, g item) int {
	if w.Rule != "" && g.Rule != "" && w.Rule != g.Rule {
		return none
	}
	agree, known := sameKey(w, g)
	digest := w.Measured.Digest == g.Measured.Digest
	switch {
	case digest && w.Type == g.Type && (agree || !known):
		return same
	case digest:
		return sameBytes
	case w.Type != g.Type:
		return none
	case !known:
		return perhaps
	case agree:
		return sameThing
	case namesPlace(w.Type):
		return weak
	}
	return none
}

// sameKey reports whether two events are about the same thing, and whether that is known: both logs or both makers
// name it.
func sameKey(w, g item) (agree, known bool) {
	switch {
	case w.key != "" && g.key != "":
		return w.key == g.key, true
	case w.Measured.What != "" && g.Measured.What != "":
		return w.Measured.What == g.Measured.What, true
	}
	return false, false
}

// namesPlace reports whether the name in the event's data is where something was found and not what it is.
func namesPlace(t eventlog.Type) bool {
	switch t {
	case eventlog.EVEFIBootServicesApplication, eventlog.EVEFIBootServicesDriver, eventlog.EVEFIRuntimeServicesDriver,
		eventlog.EVEFIPlatformFirmwareBlob2, eventlog.EVIPL:
		return true
	}
	return false
}

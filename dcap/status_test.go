package dcap

import (
	"strings"
	"testing"
)

// short are the statuses as the tables below spell them.
var short = map[string]Status{"-": NoStatus, "U": UpToDate, "S": SWHardeningNeeded, "C": ConfigurationNeeded,
	"CS": ConfigurationAndSWHardeningNeeded, "T": TDRelaunchAdvised, "TC": TDRelaunchAdvisedConfigurationNeeded, "O": OutOfDate,
	"OC": OutOfDateConfigurationNeeded, "R": Revoked}

// table holds f to a table: the first row names the second argument, the first column the first.
func table(t *testing.T, name, text string, f func(a, b Status) Status) {
	t.Helper()
	rows := strings.Split(strings.TrimSpace(text), "\n")
	head := strings.Fields(rows[0])
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		if len(cells) != len(head)+1 {
			t.Fatalf("%s: row %q has %d cells, want %d", name, row, len(cells), len(head)+1)
		}
		for i, want := range cells[1:] {
			if got := f(short[cells[0]], short[head[i]]); got != short[want] {
				t.Errorf("%s(%v, %v) is %v, want %v", name, short[cells[0]], short[head[i]], got, short[want])
			}
		}
	}
}

// TestRelaunch writes out all pairs of the status at launch (rows) and now (columns). Where both Intel's rule and ours
// speak, a module that is in order now but was not at launch is TDRelaunchAdvised; what is worse now counts as now.
func TestRelaunch(t *testing.T) {
	table(t, "relaunch", `
	     U  S  C  CS O  OC R
	U    U  S  C  CS O  OC R
	S    S  S  CS CS O  OC R
	C    C  CS C  CS O  OC R
	CS   CS CS CS CS O  OC R
	O    T  T  TC TC O  OC R
	OC   TC TC TC TC OC OC R
	R    R  R  R  R  R  R  R`, relaunch)
}

// TestConverge writes out the platform's status (rows) under that of one component (columns), the other in order, in either
// place.
func TestConverge(t *testing.T) {
	const want = `
	     -  U  O  R
	-    -  -  -  -
	U    -  U  O  R
	S    -  S  O  R
	C    -  C  OC R
	CS   -  CS OC R
	O    -  O  O  R
	OC   -  OC OC R
	R    -  R  R  R`
	table(t, "converge", want, func(p, c Status) Status { return converge(p, c, UpToDate) })
	table(t, "converge", want, func(p, c Status) Status { return converge(p, UpToDate, c) })
	table(t, "converge", want, func(p, c Status) Status { return converge(p, c) })
}

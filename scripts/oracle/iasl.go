package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/acpi"
)

// An aslCount is what iasl said of the tables of some shapes.
type aslCount struct {
	shapes, tables int
	complaints     map[string]int // of QEMU's tables, by iasl's number
	ours           []string       // of ours alone
}

// checkASL disassembles and compiles every table of a shape, QEMU's and ours, and notes what iasl says of ours alone.
func (c *aslCount) checkASL(number uint64, p *prediction, files map[string][]byte) error {
	dir, err := os.MkdirTemp("", "iasl")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	theirs, ours := splitTables(files[acpi.TablesFile]), splitTables(p.blobs.Tables)
	for i := range ours {
		said, err := iasl(dir, ours[i])
		if err != nil {
			return err
		}
		known := said
		if i >= len(theirs) || string(theirs[i]) != string(ours[i]) {
			if known = nil; i < len(theirs) {
				if known, err = iasl(dir, theirs[i]); err != nil {
					return err
				}
			}
		}
		c.tables++
		for _, s := range said {
			if !slices.Contains(known, s) {
				c.ours = append(c.ours, fmt.Sprintf("shape %d, %s: %s", number, tableName(ours[i]), s))
			}
		}
		for _, s := range known {
			if c.complaints == nil {
				c.complaints = map[string]int{}
			}
			c.complaints[tableName(ours[i])+": "+s]++
		}
	}
	c.shapes++
	return nil
}

// complaint matches what iasl complains of, beside remarks: "Warning  3144 - Method Local is set but never used".
var complaint = regexp.MustCompile(`(?m)(Error|Warning)\s+[0-9]+ - .*`)

// iasl disassembles a table and compiles what comes out, and returns the complaints, each once. A table that cannot be
// disassembled, or whose source does not compile, is a complaint too.
func iasl(dir string, table []byte) ([]string, error) {
	input, source := filepath.Join(dir, "table.dat"), filepath.Join(dir, "table.dsl")
	if err := os.WriteFile(input, acpi.Checksummed(table), 0o644); err != nil {
		return nil, err
	}
	os.Remove(source)
	seen := map[string]bool{}
	note := func(text []byte) {
		for _, s := range complaint.FindAllString(string(text), -1) {
			seen[strings.Join(strings.Fields(s), " ")] = true
		}
	}
	out, err := exec.Command("iasl", "-d", input).CombinedOutput()
	note(out)
	if _, gone := os.Stat(source); gone != nil {
		seen[fmt.Sprintf("cannot be disassembled: %v", err)] = true
	} else {
		out, err = exec.Command("iasl", source).CombinedOutput()
		note(out)
		if err != nil {
			seen[fmt.Sprintf("cannot be compiled: %v", err)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// print sums up what iasl said.
func (c *aslCount) print(r *report) {
	if c.shapes == 0 {
		return
	}
	total := 0
	for _, n := range c.complaints {
		total += n
	}
	fmt.Fprintf(r.w, "QEMU %s: iasl: %d tables of %d shapes: %d complaints about QEMU's own, %d about ours alone\n",
		r.e.release, c.tables, c.shapes, total, len(c.ours))
	for _, k := range slices.Sorted(maps.Keys(c.complaints)) {
		fmt.Fprintf(r.w, "  %6d  %s\n", c.complaints[k], k)
	}
	for _, s := range c.ours {
		fmt.Fprintf(r.w, "  ours alone: %s\n", s)
	}
}

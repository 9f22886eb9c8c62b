package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/qemu"
)

func acpiDiffCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "say in words what differs between two sets of tables, or two shapes",
		UsageText: "tdxkit acpi diff [--qemu RELEASE[,RELEASE]] [flags] A B",
		Description: "A and B are each a folder of tdxkit acpi's, a file of tables, one table, or a shape: a file with QEMU's command\n" +
			"line as --qemu-args takes it, or the XML of a libvirt domain. Shapes need --qemu; two releases are A's and B's.\n" +
			"Exit code 0 says that there is no difference, 1 that there is one.\n\n" +
			"Example:\n  tdxkit acpi diff tables-before tables-after\n" +
			"  tdxkit acpi diff --qemu 9.2.1,10.1.0 vm.args vm.args",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "edk2", Usage: "edk2 `RELEASE` of the firmware of shapes, where its bytes do not say"},
			outputFlag(),
		}, hostFlags()),
		Action: func(c *cli.Context) error { return diffACPI(c, t) },
	}
}

type acpiDiffJSON struct {
	Schema      string               `json:"schema"`
	A           string               `json:"a"`
	B           string               `json:"b"`
	Equal       bool                 `json:"equal"`
	Differences []acpiDifferenceJSON `json:"differences"`
}

type acpiDifferenceJSON struct {
	Table    string  `json:"table,omitempty"`
	Path     string  `json:"path,omitempty"`
	Offset   *int    `json:"offset,omitempty"`   // in A; absent where there is nothing
	OffsetB  *int    `json:"offset_b,omitempty"` // in B
	A        *string `json:"a,omitempty"`
	B        *string `json:"b,omitempty"`
	Sentence string  `json:"what"`
}

// A tableSet is one side of a comparison. Loader and RSDP may be missing.
type tableSet struct{ tables, loader, rsdp []byte }

func diffACPI(c *cli.Context, t *terminal) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	if c.NArg() != 2 {
		return usage(fmt.Sprintf("%d arguments are given, want A and B", c.NArg()), "flags go before A and B")
	}
	releases := strings.Split(c.String("qemu"), ",")
	if len(releases) > 2 {
		return usage(fmt.Sprintf("--qemu %q: want one release, or A's and B's", c.String("qemu")), "")
	}
	a, err := readTableSet(c, t, c.Args().Get(0), releases[0])
	if err != nil {
		return err
	}
	b, err := readTableSet(c, t, c.Args().Get(1), releases[len(releases)-1])
	if err != nil {
		return err
	}
	list, err := diffTableSets(c, a, b)
	if err != nil {
		return err
	}
	v := &acpiDiffJSON{Schema: "tdxkit.acpi-diff/v1", A: c.Args().Get(0), B: c.Args().Get(1), Equal: len(list) == 0, Differences: []acpiDifferenceJSON{}}
	for _, d := range list {
		v.Differences = append(v.Differences, newACPIDifferenceJSON(d))
	}
	if err := p.result(v, func() {
		for _, d := range list {
			p.printf("%s\n", oneLine(d.String()))
		}
	}); err != nil || len(list) == 0 {
		return err
	}
	return &mismatchError{fmt.Sprintf("%s and %s differ, in %d places", v.A, v.B, len(list))}
}

func newACPIDifferenceJSON(d acpi.Difference) acpiDifferenceJSON {
	j := acpiDifferenceJSON{Table: d.Table, Path: d.Path, Sentence: d.String()}
	if d.Offset >= 0 {
		j.Offset, j.A = &d.Offset, &d.A
	}
	if d.OffsetB >= 0 {
		j.OffsetB, j.B = &d.OffsetB, &d.B
	}
	return j
}

// diffTableSets compares tables, then what firmware measures beside them where both sides have it.
func diffTableSets(c *cli.Context, a, b *tableSet) ([]acpi.Difference, error) {
	list, err := acpi.Diff(a.tables, b.tables)
	if err != nil {
		which := 0
		if _, errA := acpi.Diff(a.tables, a.tables); errA == nil {
			which = 1
		}
		return nil, inFile(c.Args().Get(which), roleOther, err)
	}
	if a.loader != nil && b.loader != nil && !bytes.Equal(a.loader, b.loader) {
		d, err := diffLoader(a.loader, b.loader)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	if a.rsdp != nil && b.rsdp != nil && !bytes.Equal(a.rsdp, b.rsdp) {
		d, err := diffRSDP(a.rsdp, b.rsdp)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// diffRSDP tells the root table's address in two root pointers, or their bytes where the difference is elsewhere.
func diffRSDP(a, b []byte) (acpi.Difference, error) {
	var va, vb acpiJSON
	if err := errors.Join(va.readRSDP(a), vb.readRSDP(b)); err != nil {
		return acpi.Difference{}, err
	}
	if va.RSDT != vb.RSDT {
		const addressOff = 16
		return acpi.Difference{Table: "RSDP", Path: "RSDT address", Offset: addressOff, OffsetB: addressOff, A: va.RSDT, B: vb.RSDT}, nil
	}
	return acpi.Difference{Table: "RSDP", A: fmt.Sprintf("% x", a), B: fmt.Sprintf("% x", b)}, nil
}

// diffLoader tells the first command in which two loader scripts differ, and how many do.
func diffLoader(a, b []byte) (acpi.Difference, error) {
	var va, vb acpiJSON
	for _, side := range []struct {
		v    *acpiJSON
		data []byte
	}{{&va, a}, {&vb, b}} {
		if err := side.v.readLoader(side.data); err != nil {
			return acpi.Difference{}, err
		}
	}
	show := func(v acpiJSON, i int) string {
		if i >= len(v.Commands) {
			return "nothing"
		}
		return v.Commands[i].Command + " " + v.Commands[i].Text
	}
	first, count := -1, 0
	for i := range max(len(va.Commands), len(vb.Commands)) {
		if show(va, i) != show(vb, i) {
			if count++; first < 0 {
				first = i
			}
		}
	}
	if first < 0 {
		return acpi.Difference{Table: "loader", Path: "padding", A: fmt.Sprintf("%d bytes", len(a)), B: fmt.Sprintf("%d bytes", len(b))}, nil
	}
	return acpi.Difference{Table: "loader", Path: fmt.Sprintf("command %d, the first of %d", first, count), Offset: first * loaderCommand, OffsetB: first * loaderCommand,
		A: show(va, first), B: show(vb, first)}, nil
}

// readTableSet reads one side: a folder, a file of tables, or a shape.
func readTableSet(c *cli.Context, t *terminal, path, release string) (*tableSet, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return readTableFolder(path)
	}
	data, err := readFile(path, roleOther, maxTables)
	if err != nil {
		return nil, err
	}
	if isTables(data) {
		return &tableSet{tables: data}, nil
	}
	if release == "" {
		return nil, &inputError{msg: path + ": is no file of tables", hint: "if it is a shape, give the release with --qemu"}
	}
	return buildTableSet(c, t, path, data, release)
}

// isTables reports whether a file begins like a table.
func isTables(data []byte) bool {
	if len(data) < 8 {
		return false
	}
	for _, b := range data[:4] {
		if !(b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_') {
			return false
		}
	}
	return int64(binary.LittleEndian.Uint32(data[4:])) <= int64(len(data))
}

// readTableFolder reads the files that tdxkit acpi writes.
func readTableFolder(dir string) (*tableSet, error) {
	s := &tableSet{}
	for _, f := range []struct {
		name string
		data *[]byte
	}{{"tables.bin", &s.tables}, {"loader.bin", &s.loader}, {"rsdp.bin", &s.rsdp}} {
		data, err := readFile(filepath.Join(dir, f.name), roleOther, maxTables)
		if errors.Is(err, fs.ErrNotExist) && f.name != "tables.bin" {
			continue
		}
		if err != nil {
			return nil, err
		}
		*f.data = data
	}
	return s, nil
}

// buildTableSet makes the tables of a shape.
func buildTableSet(c *cli.Context, t *terminal, path string, data []byte, release string) (*tableSet, error) {
	var src *source
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) {
		src, err = libvirtSource(path)
	} else {
		src, err = argsFileSource(path)
	}
	if err != nil {
		return nil, err
	}
	command, err := src.command(shape{})
	if err != nil {
		return nil, err
	}
	options, err := parseOptions(c)
	if err != nil {
		return nil, err
	}
	m, err := qemu.ParseCommand(command, release, options)
	if err != nil {
		return nil, err
	}
	blobs, err := buildACPI(c, t, m, src)
	if err != nil {
		return nil, err
	}
	return &tableSet{tables: blobs.Tables, loader: blobs.Loader, rsdp: blobs.RSDP}, nil
}

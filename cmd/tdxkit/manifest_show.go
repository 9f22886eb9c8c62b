package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
)

func manifestShowCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "print a manifest, signed or not; signatures are not checked",
		UsageText: "tdxkit manifest show [flags] MANIFEST",
		Description: "Example:\n  tdxkit manifest show acme.signed.json\n" +
			"  tdxkit manifest show --variant qemu10.1.0-4cpu-8GiB --output json acme.signed.json",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "registers", Usage: "print registers in full"},
			&cli.StringFlag{Name: "variant", Usage: "print the variant called `ID` with its events"},
			outputFlag(),
		},
		Action: showManifest,
	}
}

func showManifest(c *cli.Context) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	m, signatures, err := readUntrusted(c)
	if err != nil {
		return err
	}
	if id := c.String("variant"); id != "" {
		return showVariant(p, m, id)
	}
	if p.json {
		return showJSON(p, m)
	}
	showHeader(p, &m.Header, signatures)
	width := 12
	if c.Bool("registers") {
		width = 96
	}
	rows := [][]string{{"variant", "qemu", "machine", "vcpus", "memory", "mrtd", "rtmr0", "rtmr1", "rtmr2"}}
	for _, v := range m.All() {
		row := []string{v.ID, v.Platform.QEMU, v.Platform.Machine, fmt.Sprint(v.CPUs), formatMemory(v.Memory)}
		for _, d := range v.Registers {
			row = append(row, d.String()[:width])
		}
		rows = append(rows, row)
	}
	p.printf("\n")
	p.table(rows)
	return p.w.Flush()
}

func showHeader(p *printer, h *manifest.Header, signatures []dsse.Signature) {
	rows := [][]string{
		{"product", h.Product.Name + " " + h.Product.Version}, {"serial", fmt.Sprint(h.Serial)},
		{"issued", h.IssuedAt.Format(time.RFC3339)}, {"good from", h.NotBefore.Format(time.RFC3339)}, {"expires", h.Expires.Format(time.RFC3339)},
		{"made by", h.Tool.Name + " " + h.Tool.Version},
	}
	if s := h.Source; s != nil {
		rows = append(rows, []string{"source", s.Repository + " " + s.Commit})
		for _, d := range s.Dependencies {
			rows = append(rows, []string{"built with", strings.TrimSpace(d.Name + " " + d.Version)})
		}
	}
	for _, s := range h.Subjects {
		rows = append(rows, []string{s.Name, "sha384 " + s.SHA384.String()})
	}
	for _, s := range policyLines(h.Policy) {
		rows = append(rows, []string{"policy", s})
	}
	if len(signatures) == 0 {
		rows = append(rows, []string{"signatures", "none"})
	}
	for _, s := range signatures {
		rows = append(rows, []string{"signature", "claims to be by key " + s.KeyID + ", not checked"})
	}
	p.table(rows)
}

func policyLines(p *manifest.Policy) []string {
	if p == nil {
		return nil
	}
	var out []string
	for _, f := range []struct {
		name string
		m    *manifest.Mask
	}{{"TD attributes", p.Attributes}, {"XFAM", p.XFAM}} {
		if f.m != nil {
			out = append(out, fmt.Sprintf("%s %x under mask %x", f.name, f.m.Value, f.m.Mask))
		}
	}
	for _, f := range []struct {
		name string
		r    *manifest.FieldRule
	}{{"MRCONFIGID", p.MRConfigID}, {"MROWNER", p.MROwner}} {
		if f.r != nil {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", f.name, f.r.Rule, joinDigests(f.r.Values))))
		}
	}
	if t := p.MinimumTCB; t != nil {
		if t.EvaluationDataNumber > 0 {
			out = append(out, fmt.Sprintf("TCB evaluation data number %d or later", t.EvaluationDataNumber))
		}
		if !t.Date.IsZero() {
			out = append(out, "TCB of "+t.Date.Format(time.DateOnly)+" or later")
		}
		if len(t.Statuses) > 0 {
			out = append(out, "TCB status "+strings.Join(t.Statuses, " or "))
		}
		if t.TEETCBSVN != nil {
			out = append(out, fmt.Sprintf("TEE_TCB_SVN %x or later", *t.TEETCBSVN))
		}
	}
	if len(p.MRSEAM) > 0 {
		out = append(out, "MRSEAM "+joinDigests(p.MRSEAM))
	}
	return out
}

func joinDigests(list []mr.Digest) string {
	var words []string
	for _, d := range list {
		words = append(words, d.String())
	}
	return strings.Join(words, " or ")
}

func showVariant(p *printer, m *manifest.Manifest, id string) error {
	for _, v := range m.All() {
		if v.ID == id {
			return p.result(newVariantJSON(&v), func() {
				for r, d := range v.Registers {
					p.printf("%-5s  %s\n", mr.Register(r), d)
				}
				for _, e := range v.Events {
					p.printf("\n%s  %s  %s\n  %s\n  %s\n", p.bold(e.Register.String()), e.Type, oneLine(string(e.Rule)), e.Measured.Digest, oneLine(e.Measured.What))
				}
			})
		}
	}
	return &inputError{msg: fmt.Sprintf("the manifest has no variant %q", id), hint: "manifest show lists them"}
}

// manifestJSON is the output of show: the manifest with every variant written out.
type manifestJSON struct {
	Schema   string        `json:"schema"`
	Product  string        `json:"product"`
	Version  string        `json:"version"`
	Serial   uint64        `json:"serial"`
	Issued   time.Time     `json:"issued_at"`
	From     time.Time     `json:"not_before"`
	Expires  time.Time     `json:"expires"`
	Subjects []subjectJSON `json:"subjects"`
	Variants []variantJSON `json:"variants"`
}

type subjectJSON struct {
	Name   string    `json:"name"`
	SHA256 string    `json:"sha256"`
	SHA384 mr.Digest `json:"sha384"`
}

type variantJSON struct {
	ID          string        `json:"id"`
	QEMU        string        `json:"qemu"`
	Machine     string        `json:"machine"`
	Devices     string        `json:"devices,omitempty"`
	CPUs        int           `json:"cpus"`
	MemoryBytes uint64        `json:"memory_bytes"`
	Registers   registersJSON `json:"registers"`
	Events      []eventJSON   `json:"events,omitempty"`
}

func newVariantJSON(v *manifest.Variant) variantJSON {
	out := variantJSON{ID: v.ID, QEMU: v.Platform.QEMU, Machine: v.Platform.Machine, Devices: v.Platform.Devices, CPUs: v.CPUs, MemoryBytes: v.Memory}
	for i, d := range v.Registers {
		out.Registers.set(mr.Register(i), d)
	}
	for _, e := range v.Events {
		out.Events = append(out.Events, newEventJSON(e))
	}
	return out
}

func showJSON(p *printer, m *manifest.Manifest) error {
	v := manifestJSON{Schema: "tdxkit.manifest/v1", Product: m.Product.Name, Version: m.Product.Version, Serial: m.Serial,
		Issued: m.IssuedAt, From: m.NotBefore, Expires: m.Expires}
	for _, s := range m.Subjects {
		v.Subjects = append(v.Subjects, subjectJSON{s.Name, fmt.Sprintf("%x", s.SHA256), s.SHA384})
	}
	for _, variant := range m.All() {
		v.Variants = append(v.Variants, newVariantJSON(&variant))
	}
	return p.result(v, nil)
}

func manifestDiffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "say which inputs, events and registers moved between two manifests, and for which shapes",
		UsageText: "tdxkit manifest diff [flags] OLD NEW",
		Description: "Shapes are paired by QEMU release, set of devices, vCPUs and memory, and by the image. Signatures are not checked.\n" +
			"Exit code 0 if no register moved, 1 if some did.\n\n" +
			"Example:\n  tdxkit manifest diff acme-1.2.2.json acme-1.2.3.json",
		Flags:  []cli.Flag{outputFlag()},
		Action: diffManifests,
	}
}

// diffJSON is the output of diff.
type diffJSON struct {
	Schema  string            `json:"schema"`
	Header  []string          `json:"header,omitempty"`
	Inputs  []inputChangeJSON `json:"inputs,omitempty"`
	Moved   []moveJSON        `json:"moved,omitempty"`
	Same    int               `json:"same"`
	Added   []string          `json:"added,omitempty"`
	Removed []string          `json:"removed,omitempty"`
}

type inputChangeJSON struct {
	Name string     `json:"name"`
	Old  *mr.Digest `json:"old_sha384,omitempty"`
	New  *mr.Digest `json:"new_sha384,omitempty"`
}

type moveJSON struct {
	Registers []mr.Register   `json:"registers"`
	Events    []eventMoveJSON `json:"events,omitempty"`
	Variants  []string        `json:"variants"`
}

type eventMoveJSON struct {
	Kind     mr.DeltaKind `json:"kind"`
	Register mr.Register  `json:"register"`
	Rule     mr.RuleID    `json:"rule"`
	What     string       `json:"what"`
}

func diffManifests(c *cli.Context) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	if c.NArg() != 2 {
		return usage(fmt.Sprintf("%d manifests are given, want two", c.NArg()), "tdxkit manifest diff OLD NEW")
	}
	a, _, err := readUntrustedFile(c.Args().Get(0))
	if err != nil {
		return err
	}
	b, _, err := readUntrustedFile(c.Args().Get(1))
	if err != nil {
		return err
	}
	d := manifest.Compare(a, b)
	if err := p.result(newDiffJSON(d), func() { p.manifestDiff(d) }); err != nil {
		return err
	}
	if len(d.Moves) == 0 {
		return nil
	}
	moved := 0
	for _, m := range d.Moves {
		moved += len(m.Variants)
	}
	return &mismatchError{fmt.Sprintf("registers of %d of %d shapes moved", moved, moved+d.Same)}
}

func newDiffJSON(d *manifest.Diff) diffJSON {
	v := diffJSON{Schema: "tdxkit.manifest-diff/v1", Header: d.Header, Same: d.Same, Added: d.Added, Removed: d.Removed}
	for _, i := range d.Inputs {
		c := inputChangeJSON{Name: i.Name}
		if i.Old != nil {
			c.Old = &i.Old.SHA384
		}
		if i.New != nil {
			c.New = &i.New.SHA384
		}
		v.Inputs = append(v.Inputs, c)
	}
	for _, m := range d.Moves {
		o := moveJSON{Registers: m.Registers, Variants: m.Variants}
		for _, e := range m.Events {
			o.Events = append(o.Events, eventMoveJSON(e))
		}
		v.Moved = append(v.Moved, o)
	}
	return v
}

// manifestDiff prints a diff as text.
func (p *printer) manifestDiff(d *manifest.Diff) {
	for _, s := range d.Header {
		p.printf("%s\n", oneLine(s))
	}
	for _, i := range d.Inputs {
		switch {
		case i.New == nil:
			p.printf("input %s: removed\n", oneLine(i.Name))
		case i.Old == nil:
			p.printf("input %s: added, sha384 %.16s…\n", oneLine(i.Name), i.New.SHA384)
		default:
			p.printf("input %s: sha384 %.16s…, was %.16s…\n", oneLine(i.Name), i.New.SHA384, i.Old.SHA384)
		}
	}
	for _, m := range d.Moves {
		p.printf("\n%s moved for %d shapes: %s\n", p.bold(joinRegisters(m.Registers)), len(m.Variants), someOf(m.Variants))
		for _, e := range m.Events {
			p.printf("  %s %s %s: %s\n", e.Register, e.Kind, oneLine(string(e.Rule)), oneLine(e.What))
		}
	}
	p.printf("\n%d shapes have the same registers, %d are new, %d are gone\n", d.Same, len(d.Added), len(d.Removed))
}

func joinRegisters(list []mr.Register) string {
	var words []string
	for _, r := range predict.Registers {
		if slices.Contains(list, r) {
			words = append(words, r.String())
		}
	}
	return strings.Join(words, ", ")
}

// someOf names the first of many.
func someOf(ids []string) string {
	const most = 6
	if len(ids) <= most {
		return oneLine(strings.Join(ids, ", "))
	}
	return oneLine(strings.Join(ids[:most-1], ", ")) + ", …, " + oneLine(ids[len(ids)-1])
}

func manifestMergeCommand() *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "write one statement with the variants of several manifests of a product",
		UsageText: "tdxkit manifest merge --serial N [flags] MANIFEST MANIFEST...",
		Description: "They are of one product and version, and agree in source, launch facts, policy and in inputs of the same name. The\n" +
			"result is not signed, whatever the parts are.\n\n" +
			"Example:\n  tdxkit manifest merge --serial 8 --out acme.json acme-release.json acme-debug.json",
		Flags: append(dateFlags(), outFlags()...),
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return usage(fmt.Sprintf("%d manifests are given, want two or more", c.NArg()), "")
			}
			h := manifest.Header{Tool: tool()}
			if err := readDates(c, &h); err != nil {
				return err
			}
			var list []*manifest.Manifest
			for _, path := range c.Args().Slice() {
				m, _, err := readUntrustedFile(path)
				if err != nil {
					return err
				}
				list = append(list, m)
			}
			return writeStatement(c, func(w io.Writer) error { return manifest.Merge(w, h, list...) })
		},
	}
}

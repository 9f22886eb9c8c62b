package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

// measurementsSchema is the schema of measure --output json.
const measurementsSchema = "tdxkit.measurements/v1"

// maxMeasurements bounds one file of measurements: 10,000 with their events have 100 MiB.
const maxMeasurements = 512 << 20

// createFrom writes a manifest of measurements that were made before. The inputs are hashed here, since measurements
// name their digests only in part: --firmware, --kernel, --initrd and --cmdline have to say them again.
func createFrom(c *cli.Context, h *manifest.Header) error {
	for _, f := range []string{"shapes", "devices", "cpus", "memory", "qemu", "image", "metadata", "vm-config", "qemu-args"} {
		if c.IsSet(f) || c.Args().Present() {
			return usage("--from takes no shapes, and "+cmpFlag(c, f)+" is given", "the files of --from have the shapes")
		}
	}
	if !c.IsSet("firmware") {
		return usage("--from needs the inputs", "give --firmware, and --kernel, --initrd and --cmdline as they were measured")
	}
	src := &source{elsewhere: map[role]bool{roleFirmware: true, roleKernel: true, roleInitrd: true, roleShim: true}}
	var err error
	h.Subjects, err = subjectsOf(src, qemu.Files{
		Firmware: c.String("firmware"), Kernel: c.String("kernel"), Initrd: c.String("initrd"), Shim: c.String("shim"),
		Append: c.String("cmdline"), HasAppend: c.IsSet("cmdline"),
	}, c.String("label"))
	if err != nil {
		return err
	}
	return writeStatement(c, func(w io.Writer) error {
		out, err := manifest.NewWriter(w, h)
		if err != nil {
			return err
		}
		for _, path := range c.StringSlice("from") {
			if err := addMeasurements(out, h, path, c.Bool("events")); err != nil {
				return err
			}
		}
		return out.Close()
	})
}

func cmpFlag(c *cli.Context, f string) string {
	if c.IsSet(f) {
		return "--" + f
	}
	return "a command line"
}

// measurementsJSON is the output of measure, read back.
type measurementsJSON struct {
	Schema       string                `json:"schema"`
	Measurements []readMeasurementJSON `json:"measurements"`
}

// A readMeasurementJSON is what of a measurement makes a variant. Members that explain are passed over.
type readMeasurementJSON struct {
	Name      string        `json:"name"`
	Platform  platformJSON  `json:"platform"`
	Registers registersJSON `json:"registers"`
	Events    []struct {
		Rule     mr.RuleID     `json:"rule"`
		Register string        `json:"register"`
		Type     eventlog.Type `json:"type"`
		Digest   mr.Digest     `json:"digest"`
		What     string        `json:"what"`
	} `json:"events"`
}

// addMeasurements adds the variants of one file.
func addMeasurements(out *manifest.Writer, h *manifest.Header, path string, events bool) error {
	data, err := readFile(path, roleOther, maxMeasurements)
	if err != nil {
		return err
	}
	var doc measurementsJSON
	if err := json.Unmarshal(data, &doc); err != nil {
		return inFile(path, roleOther, err)
	}
	if doc.Schema != measurementsSchema {
		return &inputError{msg: fmt.Sprintf("%s: is not a document of schema %s", path, measurementsSchema), hint: "make it with measure --output json"}
	}
	for i := range doc.Measurements {
		v, err := doc.Measurements[i].variant(h, events)
		if err == nil {
			err = out.Add(v)
		}
		if err != nil {
			return inFile(path, roleOther, err)
		}
	}
	return nil
}

// variant turns a measurement into a variant.
func (m *readMeasurementJSON) variant(h *manifest.Header, events bool) (*manifest.Variant, error) {
	v := &manifest.Variant{CPUs: m.Platform.CPUs, Memory: m.Platform.MemoryBytes,
		Platform: &manifest.Platform{QEMU: m.Platform.QEMU, Machine: m.Platform.Machine}}
	v.ID = fmt.Sprintf("qemu%s-%s", m.Platform.QEMU, m.Name)
	for i := range h.Subjects {
		v.Platform.Inputs = append(v.Platform.Inputs, i)
	}
	switch {
	case m.Platform.QEMU == "":
		return nil, fmt.Errorf("measurement %q names no QEMU release: measure with --qemu", m.Name)
	case m.Platform.FirmwareSHA384 != h.Subjects[0].SHA384.String():
		return nil, fmt.Errorf("measurement %q is of a firmware with sha384 %s, --firmware has %s", m.Name, m.Platform.FirmwareSHA384, h.Subjects[0].SHA384)
	}
	for i, d := range []*mr.Digest{m.Registers.MRTD, m.Registers.RTMR0, m.Registers.RTMR1, m.Registers.RTMR2} {
		if d == nil {
			return nil, fmt.Errorf("measurement %q has no %s: a variant has all four registers", m.Name, predict.Registers[i])
		}
		v.Registers[i] = *d
	}
	if !events {
		return v, nil
	}
	if len(m.Events) == 0 {
		return nil, fmt.Errorf("measurement %q has no events: measure with --events", m.Name)
	}
	for _, e := range m.Events {
		reg, err := mr.ParseRegister(e.Register)
		if err != nil {
			return nil, err
		}
		v.Events = append(v.Events, mr.Event{Rule: e.Rule, Register: reg, Type: e.Type, Measured: mr.Measured{What: e.What, Digest: e.Digest}})
	}
	return v, nil
}

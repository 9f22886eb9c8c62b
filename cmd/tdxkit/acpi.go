package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/smbios"
)

func acpiCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "acpi",
		Usage:     "write the ACPI and SMBIOS tables that QEMU hands to the firmware",
		UsageText: "tdxkit acpi --qemu RELEASE --out DIR [flags] -- qemu-system-x86_64 ARGS",
		Description: "Writes tables.bin, loader.bin, rsdp.bin and smbios.bin, all of them or none. The tables depend on where the\n" +
			"firmware puts PCI resources; without -bios that is where edk2 202308 and later put them in a TD.\n\n" +
			"Example:\n  tdxkit acpi --qemu 10.1.0 --out tables -- qemu-system-x86_64 -machine q35,smm=off -smp 4 -m 8G -nodefaults",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "`DIR` for the four files; it is made if need be"},
			&cli.StringFlag{Name: "tables", Usage: "write each table to `DIR` as well, with its checksum, for iasl -d"},
			&cli.BoolFlag{Name: "force", Usage: "replace files that exist"},
			&cli.StringFlag{Name: "edk2", Usage: "edk2 `RELEASE` of the firmware, where its bytes do not say"},
			outputFlag(),
		}, sourceFlags(), hostFlags()),
		Subcommands: []*cli.Command{acpiDiffCommand(t)},
		Action:      func(c *cli.Context) error { return writeACPI(c, t) },
	}
}

type acpiOutputJSON struct {
	Schema string           `json:"schema"`
	QEMU   string           `json:"qemu"`
	Files  []acpiFileResult `json:"files"`
}

type acpiFileResult struct {
	File   string `json:"file"`
	Size   int    `json:"size"`
	SHA384 string `json:"sha384"`
}

func writeACPI(c *cli.Context, t *terminal) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	if !c.IsSet("out") {
		return usage("--out is not given", "it names the folder for tables.bin, loader.bin, rsdp.bin and smbios.bin")
	}
	m, src, err := acpiMachine(c, t)
	if err != nil {
		return err
	}
	blobs, err := buildACPI(c, t, m, src)
	if err != nil {
		return err
	}
	outputs, err := acpiOutputs(c, t, m, blobs)
	if err != nil {
		return err
	}
	for _, dir := range []string{c.String("out"), c.String("tables")} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return inFile(dir, roleOther, err)
		}
	}
	if err := writeAll(outputs, force(c.Bool("force"))); err != nil {
		return err
	}
	v := &acpiOutputJSON{Schema: "tdxkit.acpi/v1", QEMU: m.Release.String()}
	rows := [][]string{}
	for _, o := range outputs {
		v.Files = append(v.Files, acpiFileResult{o.path, len(o.data), digestHex(o.data)})
		rows = append(rows, []string{o.path, fmt.Sprint(len(o.data)), digestHex(o.data)})
	}
	return p.result(v, func() { p.table(rows) })
}

// acpiMachine reads the one shape that is asked for.
func acpiMachine(c *cli.Context, t *terminal) (*qemu.Machine, *source, error) {
	shapes, err := matrix(c)
	if err != nil {
		return nil, nil, err
	}
	if len(shapes) > 1 {
		return nil, nil, usage(fmt.Sprintf("the matrix has %d shapes, tables are written for one", len(shapes)), "")
	}
	src, err := openSource(c)
	if err != nil {
		return nil, nil, err
	}
	j := &job{src: src, stated: true}
	switch {
	case c.IsSet("qemu"):
		j.releases = []string{c.String("qemu")}
	case src.qemu != "":
		j.releases = []string{src.qemu, src.qemu + "-tdx"}
	default:
		return nil, nil, usage("--qemu is not given, and the tables differ by it", "known releases: "+strings.Join(qemu.Releases(), ", "))
	}
	if j.parse, err = parseOptions(c); err != nil {
		return nil, nil, err
	}
	command, err := src.command(shapes[0])
	if err != nil {
		return nil, nil, err
	}
	machines, err := j.machines(command)
	if err != nil {
		return nil, nil, err
	}
	j.noteSource(t, guest{command: command, machine: machines})
	return machines[0], src, nil
}

// buildACPI builds the blobs for the firmware that the command line names, or for present OVMF.
func buildACPI(c *cli.Context, t *terminal, m *qemu.Machine, src *source) (*acpi.Blobs, error) {
	options, err := predictOptions(c)
	if err != nil {
		return nil, err
	}
	if m.ACPIOff {
		return nil, usage("-machine acpi=off: there are no tables", "")
	}
	if m.Files.Firmware == "" {
		t.note("assumed: PCI resources where edk2 202308 and later put them in a TD, for no firmware is given")
		return predict.ACPI(nil, m, options.EDK2)
	}
	part, err := src.open(roleFirmware, m.Files.Firmware)
	if err != nil {
		return nil, err
	}
	defer part.file.Close()
	data, err := readOpen(part.file, part.path, roleFirmware, bin.MaxFirmware)
	if err != nil {
		return nil, err
	}
	img, err := ovmf.Parse(data)
	if err != nil {
		return nil, inFile(part.path, roleFirmware, err)
	}
	return predict.ACPI(img, m, options.EDK2)
}

// acpiOutputs are the files to write.
func acpiOutputs(c *cli.Context, t *terminal, m *qemu.Machine, blobs *acpi.Blobs) ([]output, error) {
	dir := c.String("out")
	outputs := []output{
		{path: filepath.Join(dir, "tables.bin"), data: blobs.Tables},
		{path: filepath.Join(dir, "loader.bin"), data: blobs.Loader},
		{path: filepath.Join(dir, "rsdp.bin"), data: blobs.RSDP},
	}
	sm, err := smbios.Build(m)
	switch {
	case errors.Is(err, smbios.ErrCPUUnknown):
		t.note("smbios.bin is left out: %v", err)
	case err != nil:
		return nil, err
	default:
		outputs = append(outputs, output{path: filepath.Join(dir, "smbios.bin"), data: sm.Structures})
	}
	if tables := c.String("tables"); tables != "" {
		split := blobs.Split()
		for _, name := range slices.Sorted(maps.Keys(split)) {
			outputs = append(outputs, output{path: filepath.Join(tables, name+".dat"), data: acpi.Checksummed(split[name])})
		}
	}
	return outputs, nil
}

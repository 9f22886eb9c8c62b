package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

const dstackMRName = "dstack-mr"

// dstackQEMU is the release that dstack-mr takes where none is given.
// Dstack-TEE/dstack 312dc605, dstack-mr/src/machine.rs, versioned_options.
const dstackQEMU = "9.1.0"

// dstackMRCommand speaks as dstack-mr does, in the three ways that there are: that of dstack's tutorial (--cpu, --ram), of
// the tool in Go (-cpu, -memory, -json) and of the one in Rust (measure -c -m --json metadata.json).
func dstackMRCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      dstackMRName,
		Usage:     "registers of a dstack image, with the flags and the output of dstack-mr",
		UsageText: "tdxkit dstack-mr --cpu N --ram MIB --metadata metadata.json\ntdxkit dstack-mr measure -c N -m SIZE [--json] metadata.json",
		Description: "The binary does the same when its name is dstack-mr.\n\nExample:\n" +
			"  tdxkit dstack-mr --cpu 2 --ram 2048 --metadata dstack-0.5.8/metadata.json",
		Flags:  slices.Concat(dstackCommonFlags(), dstackGoFlags()),
		Action: func(c *cli.Context) error { return dstackMR(c, t, goStyle) },
		Subcommands: []*cli.Command{{
			Name:        "measure",
			Usage:       "as the tool in Rust",
			UsageText:   "tdxkit dstack-mr measure -c N -m SIZE [--json] metadata.json",
			Description: "Example:\n  tdxkit dstack-mr measure -c 2 -m 2G --json dstack-0.5.8/metadata.json",
			Flags:       slices.Concat(dstackCommonFlags(), dstackRustFlags()),
			Action:      func(c *cli.Context) error { return dstackMR(c, t, rustStyle) },
		}},
	}
}

// A style is whose output is imitated.
type style uint8

const (
	goStyle style = iota
	rustStyle
)

func dstackCommonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "cpu", Aliases: []string{"c"}, Value: 1, Usage: "vCPU count `N`"},
		&cli.StringFlag{Name: "memory", Aliases: []string{"m"}, Value: "2G", Usage: "memory `SIZE`, \"2G\""},
		&cli.BoolFlag{Name: "json", Usage: "print JSON"},
		outputFlag(),
		&cli.StringFlag{Name: "qemu-version", Usage: "QEMU `RELEASE`, " + dstackQEMU + " without"},
	}
}

func dstackGoFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "ram", Usage: "memory in `MIB`"},
		&cli.StringFlag{Name: "metadata", Usage: "`FILE` of the image"},
		&cli.StringFlag{Name: "fw", Usage: "firmware `FILE`"},
		&cli.StringFlag{Name: "kernel", Usage: "kernel `FILE`"},
		&cli.StringFlag{Name: "initrd", Usage: "initrd `FILE`"},
		&cli.StringFlag{Name: "cmdline", Usage: "kernel command line `TEXT`"},
		&cli.StringFlag{Name: "mrkp", Value: strings.Repeat("0", 64), Usage: "measurement of the key provider, `HEX`"},
	}
}

func dstackRustFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "two-pass-add-pages", Usage: "`BOOL`: pages are added before they are measured"},
		&cli.StringFlag{Name: "pic", Usage: "`BOOL`: for compatibility; a TD has no PIC"},
		&cli.StringFlag{Name: "smm", Value: "false", Usage: "`BOOL`: for compatibility; a TD has no SMM"},
		&cli.StringFlag{Name: "pci-hole64-size", Usage: "`SIZE` of the 64-bit PCI hole"},
		&cli.BoolFlag{Name: "hugepages", Usage: "memory is in huge pages"},
		&cli.IntFlag{Name: "num-gpus", Usage: "`N` GPUs"},
		&cli.IntFlag{Name: "num-nvswitches", Usage: "`N` NVSwitches"},
		&cli.IntFlag{Name: "num-nics", Value: 1, Usage: "`N` network devices"},
		&cli.IntFlag{Name: "num-verity-volumes", Usage: "`N` further disks"},
		&cli.StringFlag{Name: "swtpm", Value: "false", Usage: "`BOOL`: a software TPM is attached"},
		&cli.StringFlag{Name: "hotplug-off", Value: "false", Usage: "`BOOL`: PCI hotplug is off"},
		&cli.StringFlag{Name: "root-verity", Value: "true", Usage: "`BOOL`: the root disk is a virtio disk, not a CD-ROM"},
		&cli.StringFlag{Name: "dstack-os-version", Usage: "for compatibility; the firmware's bytes say what it measures"},
	}
}

func dstackMR(c *cli.Context, t *terminal, s style) error {
	j, command, err := dstackJob(c, s)
	if err != nil {
		return err
	}
	machine, err := j.machines(command)
	if err != nil {
		return err
	}
	g := guest{command: command, machine: machine}
	j.noteSource(t, g)
	if !c.IsSet("qemu-version") {
		t.note("assumed: QEMU %s, as dstack-mr does; --qemu-version names another", dstackQEMU)
	}
	defer j.close()
	l, err := j.load(c.Context, t, g, false)
	if err != nil {
		return err
	}
	r, err := predict.Measure(l.image, machine[0], j.options)
	if err != nil {
		return j.inPart(err)
	}
	for _, reg := range predict.Registers {
		if why, ok := r.Unknown[reg]; ok {
			return &inputError{msg: fmt.Sprintf("%s is not known: %s", reg, why), hint: "tdxkit measure has flags for what is left open"}
		}
	}
	return printDstackMR(c, s, r)
}

// dstackJob reads the flags.
func dstackJob(c *cli.Context, s style) (*job, []string, error) {
	metadata, path, err := dstackMetadata(c, s)
	if err != nil {
		return nil, nil, err
	}
	config, err := dstackConfig(c, s)
	if err != nil {
		return nil, nil, err
	}
	if s == rustStyle && c.String("root-verity") == "false" {
		metadata.Rootfs = "rootfs.iso"
	}
	launch, err := config.CommandLine(metadata)
	if err != nil {
		return nil, nil, inDocument(path, err)
	}
	j := &job{src: &source{made: true, assumed: launch.Assumed}, stated: true, parse: qemu.ParseOptions{TDX: true}}
	args := launch.Args
	if path != "" {
		j.src.dir, j.src.doc = filepath.Dir(path), path
		if j.src.folder, err = os.OpenRoot(j.src.dir); err != nil {
			return nil, nil, inFile(j.src.dir, roleOther, err)
		}
		args = j.src.replace(c, args)
	}
	release := c.String("qemu-version")
	if release == "" {
		release = dstackQEMU
	}
	j.releases = []string{release, release + "-tdx"}
	if text := c.String("two-pass-add-pages"); text != "" {
		two, err := parseBool("two-pass-add-pages", text)
		if err != nil {
			return nil, nil, err
		}
		j.options.PageOrder = pageOrder(&two)
	}
	return j, args, nil
}

// replace appends the files that the flags of the tool in Go put in place of the image's.
func (s *source) replace(c *cli.Context, args []string) []string {
	s.elsewhere = map[role]bool{roleFirmware: c.IsSet("fw"), roleKernel: c.IsSet("kernel"), roleInitrd: c.IsSet("initrd")}
	for _, f := range []struct{ flag, option string }{{"fw", "-bios"}, {"kernel", "-kernel"}, {"initrd", "-initrd"}, {"cmdline", "-append"}} {
		if c.IsSet(f.flag) {
			args = append(args, f.option, c.String(f.flag))
		}
	}
	return args
}

// dstackMetadata reads metadata.json, and what flags put in its place. Files are then named from the current folder.
func dstackMetadata(c *cli.Context, s style) (*dstack.Metadata, string, error) {
	path := c.String("metadata")
	if s == rustStyle {
		var err error
		if path, err = oneArg(c, "metadata.json"); err != nil {
			return nil, "", err
		}
	} else if c.Args().Present() {
		return nil, "", usage(fmt.Sprintf("unexpected argument %q", c.Args().First()), "metadata.json goes behind --metadata, or dstack-mr measure takes it")
	}
	m := &dstack.Metadata{BIOS: c.String("fw"), Kernel: c.String("kernel"), Initrd: c.String("initrd"), Cmdline: c.String("cmdline"), Rootfs: "rootfs.img.verity"}
	if path == "" {
		if m.BIOS == "" || m.Kernel == "" || m.Initrd == "" {
			return nil, "", usage("--metadata is not given", "or give --fw, --kernel, --initrd and --cmdline")
		}
		return m, "", nil
	}
	data, err := readFile(path, roleOther, bin.MaxJSON)
	if err != nil {
		return nil, "", err
	}
	if m, err = dstack.ParseMetadata(data); err != nil {
		return nil, "", inDocument(path, err)
	}
	return m, path, nil
}

// dstackConfig is the shape that the flags give.
func dstackConfig(c *cli.Context, s style) (*dstack.VMConfig, error) {
	v := &dstack.VMConfig{CPUs: uint64(max(0, c.Int("cpu"))), NICs: 1, HostShare: "9p"}
	var err error
	if c.IsSet("ram") && c.IsSet("memory") {
		return nil, usage("--ram and --memory are given, want one of them", "")
	}
	if n := c.Int("ram"); c.IsSet("ram") {
		if n < 1 || int64(n) > 1<<31 {
			return nil, usage(fmt.Sprintf("--ram %d: want a number of MiB above 0", n), "")
		}
		v.Memory = uint64(n) << 20
	} else if v.Memory, err = dstackSize("memory", c.String("memory")); err != nil {
		return nil, err
	}
	if v.CPUs == 0 || v.CPUs > 4096 {
		return nil, usage(fmt.Sprintf("--cpu %d: want 1 to 4096", c.Int("cpu")), "")
	}
	if v.Memory == 0 || v.Memory%(1<<20) != 0 {
		return nil, usage(fmt.Sprintf("--memory %s: want a whole number of MiB above 0", c.String("memory")), "")
	}
	if s == goStyle {
		return v, nil
	}
	if text := c.String("pci-hole64-size"); text != "" {
		if v.PCIHole64, err = dstackSize("pci-hole64-size", text); err != nil {
			return nil, err
		}
	}
	v.Hugepages = c.Bool("hugepages")
	for name, to := range map[string]*uint64{
		"num-gpus": &v.GPUs, "num-nvswitches": &v.NVSwitches, "num-nics": &v.NICs, "num-verity-volumes": &v.VerityVols,
	} {
		n := c.Int(name)
		if n < 0 || n > 31 {
			return nil, usage(fmt.Sprintf("--%s %d: want 0 to 31", name, n), "")
		}
		*to = uint64(n)
	}
	for name, to := range map[string]*bool{"swtpm": &v.SWTPM, "hotplug-off": &v.HotplugOff, "smm": new(bool), "root-verity": new(bool)} {
		if *to, err = parseBool(name, c.String(name)); err != nil {
			return nil, err
		}
	}
	if text := c.String("pic"); text != "" {
		pic, err := parseBool("pic", text)
		if err != nil {
			return nil, err
		}
		v.PIC = &pic
	}
	return v, nil
}

func parseBool(name, text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, usage(fmt.Sprintf("--%s %q: want true or false", name, text), "")
}

// dstackSize reads a size as dstack-mr does: a number of bytes, decimal or hexadecimal, or one with K, M, G or T.
func dstackSize(name, text string) (uint64, error) {
	if n, err := strconv.ParseUint(strings.ToLower(text), 0, 64); err == nil && !strings.Contains(text, "_") {
		return n, nil
	}
	n, err := parseMemory(strings.ToUpper(text))
	if err != nil {
		return 0, usage(fmt.Sprintf("--%s %q: is not a size", name, text), "write it as 512M or 2G")
	}
	return n, nil
}

// printDstackMR prints registers, and what dstack derives of them, as the tool of that style does.
func printDstackMR(c *cli.Context, s style, r *predict.Result) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	mrtd, rtmr0, rtmr1, rtmr2 := r.Values[mr.MRTD], r.Values[mr.RTMR0], r.Values[mr.RTMR1], r.Values[mr.RTMR2]
	pairs := [][2]string{{"mrtd", mrtd.String()}, {"rtmr0", rtmr0.String()}, {"rtmr1", rtmr1.String()}, {"rtmr2", rtmr2.String()}}
	if s == goStyle {
		provider, err := hex.DecodeString(strings.TrimPrefix(c.String("mrkp"), "0x"))
		if err != nil || len(provider) != sha256.Size {
			return usage(fmt.Sprintf("--mrkp %q: want 64 hexadecimal digits", c.String("mrkp")), "")
		}
		pairs = append(pairs,
			[2]string{"mr_aggregated", sha256Hex(mrtd[:], rtmr0[:], rtmr1[:], rtmr2[:])},
			[2]string{"mr_enclave", sha256Hex(mrtd[:], rtmr0[:], rtmr1[:], rtmr2[:], provider)},
			[2]string{"mr_image", sha256Hex(mrtd[:], rtmr1[:], rtmr2[:])})
	}
	if c.Bool("json") || p.json {
		p.printf("{\n")
		for i, kv := range pairs {
			comma := ","
			if i == len(pairs)-1 {
				comma = ""
			}
			p.printf("  %q: %q%s\n", kv[0], kv[1], comma)
		}
		p.printf("}\n")
		return p.w.Flush()
	}
	if s == rustStyle {
		p.printf("Machine measurements:\n")
	}
	for _, kv := range pairs {
		name := kv[0]
		if !strings.Contains(name, "_") {
			name = strings.ToUpper(name)
		}
		p.printf("%s: %s\n", name, kv[1])
	}
	return p.w.Flush()
}

func sha256Hex(parts ...[]byte) string {
	h := sha256.New()
	for _, b := range parts {
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

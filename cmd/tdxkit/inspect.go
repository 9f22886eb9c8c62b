package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func inspectCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:        "inspect",
		Usage:       "show what is inside a file",
		UsageText:   "tdxkit inspect KIND [--output text|json] FILE",
		Description: "Example:\n  tdxkit inspect firmware /usr/share/ovmf/OVMF.fd",
		Subcommands: []*cli.Command{
			inspectKind("firmware", "TDX metadata, volumes, variables, and what the build measures", "OVMF.fd", inspectFirmware),
			inspectKind("kernel", "setup header, Authenticode digest, and what the EFI stub measures", "/boot/vmlinuz-6.12", inspectKernel),
			inspectInitrdCommand(t),
			inspectKind("image", "a dstack image folder, held to its sha256sum.txt", "dstack-0.5.8", inspectImage),
			inspectKind("acpi", "ACPI tables, a table loader or a root pointer as QEMU hands them over", "tables.bin", inspectACPI),
			inspectKind("smbios", "an SMBIOS structure table", "smbios.bin", inspectSMBIOS),
			inspectKind("eventlog", "a TCG crypto-agile event log (CCEL), or a dstack guest's as JSON", "/sys/firmware/acpi/tables/data/CCEL", inspectEventLog),
			inspectKind("quote", "every field of a quote, and the platform that made it; nothing is verified", "quote.json", inspectQuote),
			inspectKind("collateral", "TCB levels, module and QE identities, dates; nothing is verified", "collateral.json", inspectCollateral),
		},
	}
}

// inspectKind is a verb with one file.
func inspectKind(name, what, example string, show func(*printer, string) error) *cli.Command {
	return inspectKindAs(name, what, "inspect", example, show)
}

// inspectKindAs is inspectKind below another verb.
func inspectKindAs(name, what, verb, example string, show func(*printer, string) error) *cli.Command {
	arg := "FILE"
	if name == "image" {
		arg = "DIR"
	}
	return &cli.Command{
		Name:        name,
		Usage:       what,
		UsageText:   fmt.Sprintf("tdxkit %s %s [--output text|json] %s", verb, name, arg),
		Description: fmt.Sprintf("Example:\n  tdxkit %s %s --output json %s", verb, name, example),
		Flags:       []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			p, err := newPrinter(c)
			if err != nil {
				return err
			}
			path, err := oneArg(c, arg)
			if err != nil {
				return err
			}
			return show(p, path)
		},
	}
}

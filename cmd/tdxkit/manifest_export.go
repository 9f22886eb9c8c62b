package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
	"github.com/tdxkit/tdxkit/manifest/export"
)

func manifestExportCommand(t *terminal) *cli.Command {
	var list []string
	for _, f := range export.Formats {
		list = append(list, fmt.Sprintf("  %-16s for %s. Lost: %s.", f.Name, f.What, f.Loses))
	}
	return &cli.Command{
		Name:      "export",
		Usage:     "write a manifest as other verifiers read it",
		UsageText: "tdxkit manifest export --to FORMAT [flags] MANIFEST",
		Description: "With --trust the manifest is checked first; without it nobody's signature is, and the result is as good as the file.\n" +
			"Formats of several files need --out FOLDER.\n\n" + strings.Join(list, "\n") + "\n\n" +
			"Example:\n  tdxkit manifest export --to corim --trust trust.json --key corim.key --out acme.corim acme.signed.json",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "`FORMAT`, one of the list above"},
			&cli.StringFlag{Name: "signer", Usage: "public key `FILE` of the one signature that sigstore-bundle takes"},
		}, trustFlags(), []cli.Flag{timeFlag()}, keyFlags(), outFlags()),
		Action: func(c *cli.Context) error { return exportManifest(c, t) },
	}
}

func exportManifest(c *cli.Context, t *terminal) error {
	f, err := export.Find(c.String("to"))
	if err != nil {
		return usage("--to: "+err.Error(), "")
	}
	in, err := exportInput(c)
	if err != nil {
		return err
	}
	if f.Signs {
		signers, err := openSigners(c)
		if err != nil {
			return err
		}
		if len(signers) > 1 {
			return usage(fmt.Sprintf("%s is signed once, and %d keys are given", f.Name, len(signers)), "")
		}
		in.Signer = signers[0]
	}
	if path := c.String("signer"); path != "" {
		if in.Key, err = readPublicKey(path); err != nil {
			return err
		}
	}
	files, err := f.Write(in)
	if err != nil {
		return inFile(c.Args().First(), roleOther, err)
	}
	t.note("lost in %s: %s", f.Name, f.Loses)
	if !f.Many {
		return writeOut(c, files[0].Data)
	}
	return writeFolder(c, files)
}

// exportInput reads the manifest, and checks it where a trust policy is given.
func exportInput(c *cli.Context) (*export.Input, error) {
	path, err := oneArg(c, "manifest")
	if err != nil {
		return nil, err
	}
	data, err := readFile(path, roleOther, dsse.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	e, err := statementOrEnvelope(data)
	if err != nil {
		return nil, inFile(path, roleOther, err)
	}
	in := &export.Input{Envelope: e}
	if c.IsSet("trust") {
		now, err := readTime(c)
		if err != nil {
			return nil, err
		}
		w, err := newTruster(c, now)
		if err != nil {
			return nil, err
		}
		defer w.close()
		o, err := w.open(path)
		if err != nil {
			return nil, err
		}
		in.Manifest = o.Manifest
		return in, w.save()
	}
	in.Manifest, err = manifest.Parse(e.UntrustedPayload)
	return in, inFile(path, roleOther, err)
}

// writeFolder writes the files of an export into a folder, which is made if it is not there.
func writeFolder(c *cli.Context, files []export.File) error {
	dir := c.String("out")
	if dir == "" {
		return usage(fmt.Sprintf("the format has %d files", len(files)), "give a folder with --out")
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var outputs []output
	for _, f := range files {
		outputs = append(outputs, output{path: filepath.Join(dir, f.Name), data: f.Data})
	}
	return writeAll(outputs, force(c.Bool("force")))
}

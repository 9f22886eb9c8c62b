package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/verify"
)

func reportDataCommand() *cli.Command {
	return &cli.Command{
		Name:      "report-data",
		Usage:     "the REPORTDATA that content leads to, by dstack's rules",
		UsageText: "tdxkit report-data [--binding RULE] (HEX | --text TEXT)",
		Description: "Rules: padded (GetQuote and RawQuote: the content, zeros behind it), raw (exactly 64 bytes), or a hash and a tag, as " +
			"sha512:app-data (TdxQuote's own). Hashes: " + strings.Join(dstack.Hashes(), ", ") + ".\n\nExample:\n  tdxkit report-data --binding sha512:app-data 48656c6c6f",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "binding", Value: "padded", Usage: "the `RULE`"},
			&cli.StringFlag{Name: "text", Usage: "the content as `TEXT`"},
		},
		Action: reportData,
	}
}

func reportData(c *cli.Context) error {
	b, err := dstack.ParseBinding(c.String("binding"))
	if err != nil {
		return usage("--"+err.Error(), "")
	}
	content := []byte(c.String("text"))
	if !c.IsSet("text") {
		arg, err := oneArg(c, "HEX")
		if err != nil {
			return err
		}
		if content, err = hex.DecodeString(strings.TrimPrefix(arg, "0x")); err != nil {
			return usage(fmt.Sprintf("%q is not hexadecimal", arg), "give text with --text")
		}
		if len(content) == 0 {
			return usage("HEX is empty", "REPORTDATA of nothing is zero, which binds to nothing")
		}
	} else if err := noArgs(c); err != nil {
		return err
	}
	data, err := b.ReportData(content)
	if err != nil {
		return usage(err.Error(), "a hash takes content of any length")
	}
	_, err = fmt.Fprintf(c.App.Writer, "%x\n", data)
	return err
}

func nonceCommand() *cli.Command {
	return &cli.Command{
		Name:        "nonce",
		Usage:       "make a nonce to ask a TD with",
		UsageText:   "tdxkit nonce [--size BYTES] [--out FILE]",
		Description: "With --out, the file also says when the nonce was made, and verify --nonce @FILE can hold it to a policy's max_nonce_age.\n\nExample:\n  tdxkit nonce --out nonce.json",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "size", Value: 32, Usage: "number of `BYTES`, 16 to 64"},
			&cli.StringFlag{Name: "out", Usage: "write nonce and time to `FILE`, too"},
			&cli.BoolFlag{Name: "force", Usage: "replace the file of --out"},
		},
		Action: nonce,
	}
}

type nonceJSON struct {
	Schema string `json:"schema"`
	Nonce  string `json:"nonce"`
	Issued string `json:"issued"`
}

func nonce(c *cli.Context) error {
	if err := noArgs(c); err != nil {
		return err
	}
	n := c.Int("size")
	if n < verify.MinNonce || n > 64 {
		return usage(fmt.Sprintf("--size %d: want %d to 64", n, verify.MinNonce), "REPORTDATA has 64 bytes")
	}
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		return err
	}
	if path := c.String("out"); path != "" {
		v := nonceJSON{nonceSchema, hex.EncodeToString(b), time.Now().UTC().Format("2006-01-02T15:04:05Z")}
		data, err := marshal(v, "")
		if err != nil {
			return err
		}
		if err := writeAll([]output{{path: path, data: append(data, '\n')}}, force(c.Bool("force"))); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.App.Writer, "%x\n", b)
	return err
}

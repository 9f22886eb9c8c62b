package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/internal/bin"
)

func collateralCommand() *cli.Command {
	out := []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "write the bundle to `FILE` in place of stdout"},
		&cli.BoolFlag{Name: "force", Usage: "replace the file of --out"},
	}
	return &cli.Command{
		Name:      "collateral",
		Usage:     "Intel's collateral: what a verdict needs beside the evidence",
		UsageText: "tdxkit collateral show|bundle|fetch",
		Subcommands: []*cli.Command{
			inspectKindAs("show", "what a bundle says; no signature is verified", "collateral", "collateral.json", inspectCollateral),
			{
				Name:        "bundle",
				Usage:       "write collateral of another form as a bundle of ours",
				UsageText:   "tdxkit collateral bundle [--out FILE] FILE",
				Description: "Takes what dcap-qvl and Phala's API write.\n\nExample:\n  tdxkit collateral bundle --out collateral.json dcap-qvl.json",
				Flags:       out,
				Action:      collateralBundle,
			},
			{
				Name:      "fetch",
				Usage:     "get the collateral of a platform from Intel, or from a PCCS",
				UsageText: "tdxkit collateral fetch (--quote FILE | --fmspc HEX --ca platform) [--url BASE] [--out FILE]",
				Description: "Nothing that comes is believed: verify checks Intel's signatures. A PCCS serves the root's revocation list itself, " +
					"at rootcacrl.\n\nExample:\n  tdxkit collateral fetch --quote quote.json --out collateral.json",
				Flags: append([]cli.Flag{
					&cli.StringFlag{Name: "quote", Usage: "`FILE` with a quote of the platform"},
					&cli.StringFlag{Name: "fmspc", Usage: "the platform's FMSPC `HEX`, 12 digits"},
					&cli.StringFlag{Name: "ca", Value: "platform", Usage: "the platform's PCK `CA`: platform or processor"},
					&cli.StringFlag{Name: "url", Value: intelPCS, Usage: "base `URL` of the service"},
					&cli.StringFlag{Name: "root-crl-url", Usage: "`URL` of the root's revocation list; default Intel's for Intel's service, rootcacrl of a PCCS otherwise"},
					&cli.DurationFlag{Name: "timeout", Value: 30 * time.Second, Usage: "give up after `TIME`"},
				}, out...),
				Action: collateralFetch,
			},
		},
	}
}

const (
	intelPCS     = "https://api.trustedservices.intel.com"
	intelRootCRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
)

func collateralBundle(c *cli.Context) error {
	path, err := oneArg(c, "FILE")
	if err != nil {
		return err
	}
	data, err := readFile(path, roleOther, bin.MaxCollateral)
	if err != nil {
		return err
	}
	col, err := dcap.ParseCollateral(data)
	if err != nil {
		return inFile(path, roleOther, err)
	}
	return writeBundle(c, path, col)
}

// writeBundle writes what came from a file or a service.
func writeBundle(c *cli.Context, from string, col *dcap.Collateral) error {
	b, err := col.AppendBundle(nil)
	if err != nil {
		return inFile(from, roleOther, err)
	}
	if path := c.String("out"); path != "" {
		return writeAll([]output{{path: path, data: b}}, force(c.Bool("force")))
	}
	_, err = c.App.Writer.Write(b)
	return err
}

// A service is where collateral comes from.
type service struct {
	ctx    context.Context
	client *http.Client
	base   string
}

func collateralFetch(c *cli.Context) error {
	if err := noArgs(c); err != nil {
		return err
	}
	fmspc, ca, err := platformOf(c)
	if err != nil {
		return err
	}
	base := strings.TrimRight(c.String("url"), "/")
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return usage(fmt.Sprintf("--url %q: want http or https and a host", base), "")
	}
	root := c.String("root-crl-url")
	switch {
	case root != "":
	case base == intelPCS:
		root = intelRootCRL
	default:
		root = base + "/sgx/certification/v4/rootcacrl"
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	s := &service{ctx, &http.Client{}, base}
	r := &dcap.Responses{}
	for _, get := range []struct {
		url     string
		body    *[]byte
		headers []string
		chain   *string
	}{
		{base + "/tdx/certification/v4/tcb?fmspc=" + fmspc, &r.TCBInfo, []string{"TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"}, &r.TCBInfoChain},
		{base + "/tdx/certification/v4/qe/identity", &r.QEIdentity, []string{"SGX-Enclave-Identity-Issuer-Chain"}, &r.QEIdentityChain},
		{base + "/sgx/certification/v4/pckcrl?encoding=der&ca=" + ca, &r.PCKCRL, []string{"SGX-PCK-CRL-Issuer-Chain"}, &r.PCKCRLChain},
		{root, &r.RootCRL, nil, nil},
	} {
		header, err := s.get(get.url, get.body)
		if err != nil {
			return err
		}
		for _, name := range get.headers {
			if *get.chain == "" {
				*get.chain = header.Get(name)
			}
		}
	}
	col, err := r.Collateral()
	if err != nil {
		return &inputError{msg: base + ": " + err.Error(), err: err}
	}
	return writeBundle(c, base, col)
}

// get reads one response into body.
func (s *service) get(address string, body *[]byte) (http.Header, error) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, usage(err.Error(), "")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, &inputError{msg: err.Error(), hint: "--url names another service, such as a PCCS", err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &inputError{msg: fmt.Sprintf("%s: %s", address, resp.Status)}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, bin.MaxCollateral+1))
	switch {
	case err != nil:
		return nil, &inputError{msg: address + ": " + err.Error(), err: err}
	case len(data) > bin.MaxCollateral:
		return nil, &inputError{msg: fmt.Sprintf("%s: answers with more than %d bytes", address, bin.MaxCollateral)}
	}
	*body = data
	return resp.Header, nil
}

// platformOf returns FMSPC and CA of the platform: as given, or as the quote's PCK certificate has them.
func platformOf(c *cli.Context) (fmspc, ca string, err error) {
	if c.IsSet("quote") == c.IsSet("fmspc") {
		return "", "", usage("want one of --quote and --fmspc", "")
	}
	if !c.IsSet("quote") {
		fmspc, ca = strings.ToLower(c.String("fmspc")), c.String("ca")
		if b, err := hex.DecodeString(fmspc); err != nil || len(b) != 6 {
			return "", "", usage(fmt.Sprintf("--fmspc %q: want 12 hexadecimal digits", fmspc), "")
		}
		if ca != "platform" && ca != "processor" {
			return "", "", usage(fmt.Sprintf("--ca %q: want platform or processor", ca), "")
		}
		return fmspc, ca, nil
	}
	q, _, err := readQuote(c.String("quote"))
	if err != nil {
		return "", "", err
	}
	id, ca, err := dcap.UntrustedPlatform(q)
	if err != nil {
		err = inFile(c.String("quote"), roleOther, fmt.Errorf("%w; --fmspc and --ca name the platform", err))
	}
	return hex.EncodeToString(id[:]), ca, err
}

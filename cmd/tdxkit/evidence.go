package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/quote"
	"github.com/tdxkit/tdxkit/tdvf"
	"github.com/tdxkit/tdxkit/verify"
)

// readEvidence reads a file that holds a quote. Where none is found in it, the file itself is what is to be judged: the
// judge says what is wrong with it, and the error says what was looked for.
func readEvidence(path string) (*quote.Evidence, error, error) {
	data, err := readFile(path, roleOther, bin.MaxEvidence)
	if err != nil {
		return nil, nil, err
	}
	e, notFound := quote.Extract(data)
	if notFound != nil {
		return &quote.Evidence{Quote: data}, inFile(path, roleOther, notFound), nil
	}
	return e, nil, nil
}

// readQuote reads and parses the quote in a file.
func readQuote(path string) (*quote.Quote, *quote.Evidence, error) {
	e, notFound, err := readEvidence(path)
	if err = errors.Join(err, notFound); err != nil {
		return nil, nil, err
	}
	q, err := quote.Parse(e.Quote)
	return q, e, inFile(path, roleOther, err)
}

// quoted returns the registers of a quote.
func quoted(q *quote.Quote) mr.Values {
	t := &q.TD
	return mr.Values{t.MRTD, t.RTMR[0], t.RTMR[1], t.RTMR[2], t.RTMR[3]}
}

// logFormats read an event log, by the name of --format.
var logFormats = map[string]func([]byte) ([]mr.Event, error){
	"auto":   verify.ParseLog,
	"dstack": dstack.ParseEventLog,
	"ccel":   parseCCEL,
}

// readEvents reads an event log of a format of logFormats.
func readEvents(path, format string) ([]mr.Event, error) {
	parse, ok := logFormats[format]
	if !ok {
		return nil, usage(fmt.Sprintf("--format %q: want auto, ccel or dstack", format), "")
	}
	data, err := readFile(path, roleOther, bin.MaxEventLog)
	if err != nil {
		return nil, err
	}
	events, err := parse(data)
	return events, inFile(path, roleOther, err)
}

// timeFlag and readTime are the time of a judgement. Without the flag it is that of the clock.
func timeFlag() cli.Flag {
	return &cli.StringFlag{Name: "time", Value: "now", Usage: "judge as of `TIME`, 2006-01-02T15:04:05Z"}
}

func readTime(c *cli.Context) (time.Time, error) {
	s := c.String("time")
	if s == "now" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usage(fmt.Sprintf("--time %q: want RFC 3339, as 2006-01-02T15:04:05Z, or now", s), "")
	}
	return t, nil
}

// hexFlag decodes a flag of hexadecimal digits, with or without 0x.
func hexFlag(name, s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(s), "0x"))
	if err != nil || len(b) == 0 {
		return nil, usage(fmt.Sprintf("--%s: want hexadecimal digits", name), "text is not taken: tdxkit report-data --text makes digits of it")
	}
	return b, nil
}

const nonceSchema = "tdxkit.nonce/v1"

// readNonce decodes --nonce: hexadecimal digits, or @ and the file that the nonce verb wrote, which knows its time.
func readNonce(s string) ([]byte, time.Time, error) {
	path, file := strings.CutPrefix(s, "@")
	if !file {
		b, err := hexFlag("nonce", s)
		return b, time.Time{}, err
	}
	data, err := readFile(path, roleOther, bin.MaxJSON)
	if err != nil {
		return nil, time.Time{}, err
	}
	doc, err := strictjson.Parse("nonce", data)
	if err != nil {
		return nil, time.Time{}, inFile(path, roleOther, err)
	}
	r := strictjson.NewReader("nonce", doc)
	schema, text, issued := r.String("schema"), r.String("nonce"), r.Time("issued")
	if r.Err() == nil && schema != nonceSchema {
		r.Failf("schema", bin.ErrUnsupported, "is %.60q, want %q", schema, nonceSchema)
	}
	r.End()
	nonce, err := hex.DecodeString(text)
	if r.Err() == nil && err != nil {
		r.Failf("nonce", bin.ErrMalformed, "is not hexadecimal")
	}
	return nonce, issued, inFile(path, roleOther, r.Err())
}

// readExpect reads --expect: files of measurements, or registers that together are one variant.
func readExpect(list []string) ([]verify.Variant, error) {
	var variants []verify.Variant
	registers := map[mr.Register]mr.Digest{}
	for _, s := range list {
		name, text, isValue := strings.Cut(s, "=")
		reg, err := mr.ParseRegister(name)
		if !isValue || err != nil {
			data, err := readFile(s, roleOther, bin.MaxEventLog)
			if err != nil {
				return nil, err
			}
			more, err := verify.ParseVariants(data)
			if err != nil {
				return nil, inFile(s, roleOther, err)
			}
			variants = append(variants, more...)
			continue
		}
		d, err := mr.ParseDigest(text)
		if err != nil {
			return nil, usage(fmt.Sprintf("--expect %s: %v", name, err), "")
		}
		if _, ok := registers[reg]; ok {
			return nil, usage(fmt.Sprintf("--expect: %s occurs twice", reg), "several variants go into a file")
		}
		registers[reg] = d
	}
	switch {
	case len(registers) == 0:
		return variants, nil
	case len(variants) > 0:
		return nil, usage("--expect: registers and files do not go together", "registers that are given one by one are a variant of their own")
	}
	return []verify.Variant{{Name: "given on the command line", Registers: registers}}, nil
}

// sourceGiven reports whether flags or arguments say what is to be predicted. A vm_config alone is evidence.
func sourceGiven(c *cli.Context) bool {
	for _, name := range []string{"qemu-args", "libvirt-xml", "metadata", "image", "firmware"} {
		if c.IsSet(name) {
			return true
		}
	}
	return c.NArg() > 0
}

// noIdleFlags refuses flags that would say nothing: those of a prediction where nothing is predicted, and those of manifests
// without one. Whoever gives --kernel expects it to be compared.
func noIdleFlags(c *cli.Context) error {
	for _, set := range []struct {
		flags []cli.Flag
		idle  bool
		hint  string
	}{
		{slices.Concat(sourceFlags(), hostFlags(), []cli.Flag{&cli.StringFlag{Name: "edk2"}}), !sourceGiven(c), "a prediction takes --image, --metadata, --libvirt-xml, --qemu-args, --firmware or QEMU's command line after --"},
		{manifestFlags(), !c.IsSet("manifest"), "it goes with --manifest"},
	} {
		for _, f := range set.flags {
			if name := f.Names()[0]; set.idle && c.IsSet(name) && name != "vm-config" { // which is evidence, too
				return usage("--"+name+" is given, and nothing to use it for", set.hint)
			}
		}
	}
	return nil
}

// A prediction is what a source leads to.
type prediction struct {
	variants []verify.Variant
	twoPass  map[tdvf.Order]mr.Digest // MRTD by the order of pages
}

// predictVariants predicts every shape of the flags and arguments.
func predictVariants(c *cli.Context, t *terminal) (*prediction, error) {
	j, err := newJob(c)
	if err != nil {
		return nil, err
	}
	guests, err := j.guests()
	if err != nil {
		return nil, err
	}
	j.noteSource(t, guests[0])
	defer j.close()
	l, err := j.load(c.Context, t, guests[0], digestFirmware(false))
	if err != nil {
		return nil, err
	}
	p := &prediction{twoPass: map[tdvf.Order]mr.Digest{}}
	for _, o := range []tdvf.Order{tdvf.SinglePass, tdvf.TwoPass} {
		p.twoPass[o] = l.image.Firmware.MRTD(o)
	}
	for _, g := range guests {
		r, err := j.predict(l.image, g)
		if err != nil {
			return nil, j.inPart(err)
		}
		v := verify.Variant{Name: g.name, Registers: r.Values, Events: r.Events}
		if im := j.src.image; im != nil && im.HasHash {
			v.OSImageHash = im.Hash[:]
		}
		for _, reg := range predict.Registers {
			if why, ok := r.Unknown[reg]; ok {
				t.note("%s of %s is not known: %s", reg, g.name, why)
			}
		}
		p.variants = append(p.variants, v)
	}
	return p, nil
}

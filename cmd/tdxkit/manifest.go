package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/manifest"
)

func manifestCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:  "manifest",
		Usage: "make, sign, check and export reference values",
		Subcommands: []*cli.Command{
			manifestCreateCommand(t), manifestSignCommand(t), manifestVerifyCommand(), manifestRebuildCommand(t),
			manifestShowCommand(), manifestDiffCommand(), manifestMergeCommand(), manifestExportCommand(t), manifestKeygenCommand(t),
		},
	}
}

// outFlags say where a result goes.
func outFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "write the result to `FILE`; stdout without it"},
		&cli.BoolFlag{Name: "force", Usage: "replace FILE"},
	}
}

// writeOut writes a result to the file of --out, all or nothing, or to stdout.
func writeOut(c *cli.Context, data []byte) error {
	if path := c.String("out"); path != "" {
		return writeAll([]output{{path: path, data: data}}, force(c.Bool("force")))
	}
	_, err := c.App.Writer.Write(data)
	return err
}

// A spool is a temporary file beside the place where a result is to go, which is written as the result comes.
type spool struct {
	*os.File
	path  string
	force force
}

// newSpool opens a spool for a path that is free, or that force says to replace.
func newSpool(path string, force force) (*spool, error) {
	if err := checkFree([]output{{path: path}}, force); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &spool{f, path, force}, nil
}

// commit moves what was written to its place.
func (s *spool) commit() error {
	if err := s.Chmod(modePublic); err != nil {
		return err
	}
	if err := s.Sync(); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	return place(s.Name(), s.path, s.force)
}

// discard removes what is left of the spool; after commit that is a second name of the result, or nothing.
func (s *spool) discard() {
	s.Close()
	removeIfThere(s.Name())
}

// writeStatement lets write fill the file of --out as it goes, or stdout.
func writeStatement(c *cli.Context, write func(io.Writer) error) error {
	path := c.String("out")
	if path == "" {
		return write(c.App.Writer)
	}
	s, err := newSpool(path, force(c.Bool("force")))
	if err != nil {
		return err
	}
	defer s.discard()
	if err := write(s); err != nil {
		return err
	}
	return s.commit()
}

// dateFlags give the times of a statement.
func dateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Uint64Flag{Name: "serial", Usage: "serial `NUMBER`, larger than that of every manifest of the product before it"},
		&cli.StringFlag{Name: "issued-at", Usage: "`TIME` of issue, 2006-01-02T15:04:05Z; without it that of SOURCE_DATE_EPOCH, else now"},
		&cli.StringFlag{Name: "not-before", Usage: "`TIME` from which on the manifest is good; without it the time of issue"},
		&cli.StringFlag{Name: "expires", Usage: "`TIME` from which on it is no longer good; without it a year after it becomes good"},
	}
}

// readDates reads the serial number and the times.
func readDates(c *cli.Context, h *manifest.Header) error {
	if !c.IsSet("serial") {
		return usage("no serial number is given", "give --serial, larger than that of every manifest of the product before it")
	}
	h.Serial = c.Uint64("serial")
	var err error
	if h.IssuedAt, err = issueTime(c); err != nil {
		return err
	}
	h.NotBefore = h.IssuedAt
	if c.IsSet("not-before") {
		if h.NotBefore, err = parseTime("--not-before", c.String("not-before")); err != nil {
			return err
		}
	}
	h.Expires = h.NotBefore.AddDate(1, 0, 0)
	if c.IsSet("expires") {
		if h.Expires, err = parseTime("--expires", c.String("expires")); err != nil {
			return err
		}
	}
	return nil
}

// issueTime is the time of --issued-at, else of SOURCE_DATE_EPOCH, else now.
// reproducible-builds.org, SOURCE_DATE_EPOCH specification 1.1.
func issueTime(c *cli.Context) (time.Time, error) {
	if c.IsSet("issued-at") {
		return parseTime("--issued-at", c.String("issued-at"))
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Now().UTC().Truncate(time.Second), nil
	}
	n, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, usage(fmt.Sprintf("SOURCE_DATE_EPOCH %q: want seconds since 1970", epoch), "")
	}
	return time.Unix(n, 0).UTC(), nil
}

// parseTime reads a time in the one form that manifests have.
func parseTime(flag, s string) (time.Time, error) {
	t, err := time.Parse(strictjson.TimeForm, s)
	if err != nil || t.Format(strictjson.TimeForm) != s {
		return t, usage(fmt.Sprintf("%s %q: is not a time", flag, s), "write it as 2026-11-01T12:00:00Z")
	}
	return t, nil
}

// tool is this program, as its statements have it.
func tool() manifest.Tool { return manifest.Tool{Name: "tdxkit", Version: version()} }

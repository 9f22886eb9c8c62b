package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"
)

// run is the whole program: it returns the exit code. Results go to stdout, everything else to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && strings.HasPrefix(filepath.Base(args[0]), dstackMRName) {
		args = append([]string{args[0], dstackMRName}, args[1:]...)
	}
	t := &terminal{err: stderr, live: isTerminal(stderr)}
	app := newApp(t)
	app.Reader, app.Writer, app.ErrWriter = stdin, stdout, io.Discard
	err := app.RunContext(ctx, args)
	t.clear()
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	msg, hint := splitHint(err, oneLine(err.Error()))
	fmt.Fprintf(stderr, "tdxkit: %s\n", msg)
	if hint != "" {
		fmt.Fprintf(stderr, "tdxkit: hint: %s\n", hint)
	}
	return exitCode(err)
}

// oneLine keeps a message on one line of printable text, whatever a file's name or content put into it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unseen(r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
}

// unseen reports whether r is no letter to be seen but moves the cursor, ends a line or turns the order of letters round.
func unseen(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cf, r)
}

// newApp returns the command line's definition. It shares nothing with another one.
func newApp(t *terminal) *cli.App {
	app := &cli.App{
		Name:    "tdxkit",
		Usage:   "predict the measurement registers of Intel TDX guests, and verify their evidence",
		Version: version(),
		Description: "Exit codes: 0 done or accepted, 1 mismatch or rejected, 2 usage, 3 input refused or not supported.\n" +
			"Results go to stdout; notes, errors (tdxkit: ...) and hints (tdxkit: hint: ...) to stderr.",
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              flagError,
		Action:                    noVerb,
		Commands: []*cli.Command{
			measureCommand(t), inspectCommand(t), acpiCommand(t), replayCommand(), verifyRTMR3Command(), dstackMRCommand(t),
			verifyCommand(t), explainCommand(t), composeHashCommand(), reportDataCommand(), nonceCommand(), collateralCommand(),
			manifestCommand(t),
		},
	}
	for _, c := range app.Commands {
		prepare(c)
	}
	return app
}

// prepare sets what all verbs have in common.
func prepare(c *cli.Command) {
	c.OnUsageError = flagError
	c.HideHelpCommand = true
	if len(c.Subcommands) > 0 && c.Action == nil {
		c.Action = noVerb
	}
	if action := c.Action; action != nil && c.Name != dstackMRName { // whose flags are another tool's
		c.Action = func(ctx *cli.Context) error {
			if err := noEmptyFlag(ctx); err != nil {
				return err
			}
			return action(ctx)
		}
	}
	for _, s := range c.Subcommands {
		prepare(s)
	}
}

// noEmptyFlag refuses a flag that is given without a value: in a script that is a variable nobody set, and what it would
// have asked for, such as a policy or the memory of serial numbers, would silently not be asked.
// An empty command line is one.
func noEmptyFlag(c *cli.Context) error {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) || name == "cmdline" {
			continue
		}
		var values []string
		switch f.(type) {
		case *cli.StringFlag:
			values = []string{c.String(name)}
		case *cli.StringSliceFlag:
			values = c.StringSlice(name)
		}
		if slices.Contains(values, "") {
			return usage("--"+name+" is given without a value", "leave it out if it is not meant")
		}
	}
	return nil
}

// noVerb is the action where a verb is missing or not known.
func noVerb(c *cli.Context) error {
	var names []string
	commands := c.App.Commands
	if len(c.Command.Subcommands) > 0 && c.Command.Name != c.App.Name {
		commands = c.Command.Subcommands
	}
	for _, s := range commands {
		if !s.Hidden {
			names = append(names, s.Name)
		}
	}
	known := "want one of " + strings.Join(names, ", ")
	if !c.Args().Present() {
		return usage("no verb is given", known)
	}
	if c.Args().First() == "help" {
		known = "tdxkit --help, or tdxkit VERB --help"
	}
	return usage(fmt.Sprintf("unknown verb %q", c.Args().First()), known)
}

// flagError makes the flag package's errors usage errors with a suggestion.
func flagError(c *cli.Context, err error, _ bool) error {
	const undefined = "flag provided but not defined: -"
	name, ok := strings.CutPrefix(err.Error(), undefined)
	if !ok {
		return usage(err.Error(), "tdxkit "+strings.TrimSpace(strings.TrimPrefix(c.Command.HelpName, "tdxkit"))+" --help lists the flags")
	}
	name = strings.TrimLeft(name, "-")
	hint := ""
	if near := cli.SuggestFlag(c.Command.Flags, name, false); near != "" {
		hint = "did you mean " + near + "? QEMU's own options go after --"
	}
	return usage("unknown flag --"+name, hint)
}

// noArgs refuses positional arguments.
func noArgs(c *cli.Context) error {
	if c.Args().Present() {
		return usage(fmt.Sprintf("unexpected argument %q", c.Args().First()), "")
	}
	return nil
}

// oneArg returns the one positional argument, which what names.
func oneArg(c *cli.Context, what string) (string, error) {
	switch c.NArg() {
	case 0:
		return "", usage("no "+what+" is given", "")
	case 1:
		return c.Args().First(), nil
	}
	return "", usage(fmt.Sprintf("unexpected argument %q", c.Args().Get(1)), "flags go before the "+what)
}

// version returns the module's version and the revision that the build was made from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, revision, dirty := info.Main.Version, "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ", modified"
		}
	}
	if v == "" {
		v = "(devel)"
	}
	if revision != "" {
		v += " (" + revision[:min(12, len(revision))] + dirty + ")"
	}
	return v
}

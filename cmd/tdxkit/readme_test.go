package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestREADME runs the demo that the README shows and looks for every line of the output shown there, in order. A line
// with an ellipsis stands for lines left out.
func TestREADME(t *testing.T) {
	t.Chdir("../..")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	args, err := os.ReadFile("fixtures/demo/args")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "What `make demo` prints:\n\n```\n")
	shown, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("README.md does not show the output of make demo")
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"tdxkit"}, strings.Fields(string(args))...), strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	left := stdout.String()
	for _, part := range strings.Split(shown, "…\n") {
		_, after, ok := strings.Cut(left, part)
		if !ok {
			t.Fatalf("the demo's output lacks, at this place:\n%s", part)
		}
		left = after
	}
}

// TestREADMECommands holds every command that the README shows to the program: it exists, and has the flags shown. No two
// sections have one heading.
func TestREADMECommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m)^#+ .*$`).FindAllString(string(readme), -1) {
		if headings[h] {
			t.Errorf("two sections are called %q", h)
		}
		headings[h] = true
	}
	text := strings.ReplaceAll(string(readme), "\\\n", " ")
	shown := regexp.MustCompile("(?m)(?:^    |`)tdxkit ([a-z][^`\n]*)").FindAllStringSubmatch(text, -1)
	if len(shown) < 10 {
		t.Fatalf("only %d commands were found", len(shown))
	}
	for _, s := range shown {
		line, _, _ := strings.Cut(s[1], " -- ")
		commands, flags := newApp(&terminal{err: io.Discard}).Commands, []cli.Flag(nil)
		words := strings.Fields(line)
		for len(commands) > 0 && len(words) > 0 {
			name, _, _ := strings.Cut(words[0], `\|`) // of alternatives the first
			i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == name })
			if i < 0 {
				break
			}
			commands, flags, words = commands[i].Subcommands, commands[i].Flags, words[1:]
		}
		if flags == nil {
			t.Errorf("%q: no such command", line)
		}
		for _, w := range words {
			name, isFlag := strings.CutPrefix(w, "--")
			if isFlag && !slices.ContainsFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) {
				t.Errorf("%q has no --%s", line, name)
			}
		}
	}
}

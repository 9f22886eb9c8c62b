package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/shlex"
	"github.com/urfave/cli/v2"
)

// leaves calls f for every verb that does something, with the names that lead to it.
func leaves(list []*cli.Command, path []string, f func(path []string, c *cli.Command)) {
	for _, c := range list {
		here := append(slices.Clone(path), c.Name)
		if len(c.Subcommands) > 0 {
			leaves(c.Subcommands, here, f)
		}
		if len(c.Subcommands) == 0 {
			f(here, c)
		}
	}
}

// TestHelpHasExamples asks for an example of every verb, in its help or in that of the verb above it, in which each command
// and each flag is one that there is.
func TestHelpHasExamples(t *testing.T) {
	app := newApp(&terminal{err: io.Discard})
	verbs := map[string]*cli.Command{}
	leaves(app.Commands, nil, func(path []string, c *cli.Command) { verbs[strings.Join(path, " ")] = c })
	above := map[string]*cli.Command{}
	for _, c := range app.Commands {
		verbs[c.Name] = c
		above[c.Name] = c
	}
	leaves(app.Commands, nil, func(path []string, c *cli.Command) {
		name := strings.Join(path, " ")
		_, example, found := strings.Cut(c.Description, "Example:\n")
		if !found {
			_, example, found = strings.Cut(above[path[0]].Description, "Example:\n")
		}
		if !found {
			t.Errorf("%s: its help has no example", name)
			return
		}
		lines := strings.Split(strings.ReplaceAll(example, "\\\n", " "), "\n")
		own := false
		for _, line := range lines {
			words, err := shlex.Split(line)
			if err != nil {
				t.Errorf("%s: %q: %v", name, line, err)
			}
			if len(words) < 2 || words[0] != "tdxkit" {
				continue
			}
			verb := words[1]
			if len(words) > 2 && verbs[verb+" "+words[2]] != nil {
				verb += " " + words[2]
			}
			if verbs[verb] == nil {
				t.Errorf("%s: the example names the verb %q", name, verb)
				continue
			}
			own = own || verb == name || strings.HasPrefix(name, verb+" ") || strings.HasPrefix(verb, path[0])
			for _, w := range words {
				if w == "--" {
					break
				}
				flag, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
				if strings.HasPrefix(w, "--") && !slices.ContainsFunc(verbs[verb].Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), flag) }) {
					t.Errorf("%s: the example has the flag %s, which %s has not", name, w, verb)
				}
			}
		}
		if !own {
			t.Errorf("%s: its example is of other verbs:\n%s", name, example)
		}
	})
}

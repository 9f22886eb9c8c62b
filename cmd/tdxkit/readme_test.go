package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
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

// Gendocs writes the documents that are made from tables in the code: docs/EVENTS.md and docs/QUIRKS.md. It is run by
// `go generate` from the folder of the table.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

func main() {
	log.SetFlags(0)
	root, err := repoRoot()
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range map[string]string{"EVENTS.md": events(), "QUIRKS.md": quirks()} {
		if err := os.WriteFile(filepath.Join(root, "docs", name), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// repoRoot is the nearest folder above that holds go.mod.
func repoRoot() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the current folder")
		}
	}
	return "", err
}

const generated = "<!-- Made by `go generate ./...` from the tables in the code; do not edit. -->\n\n"

func events() string {
	var b bytes.Buffer
	b.WriteString("# What a direct-boot TD measures\n\n" + generated)
	b.WriteString("One row a rule of `mr/predict`, in boot order. `tdxkit measure --events` prints, for one image and shape, the events that these rules give.\n")
	for _, r := range append([]predict.Rule{predict.MRTDRule}, predict.Rules()...) {
		fmt.Fprintf(&b, "\n## %s\n\n", r.ID)
		row := func(k, v string) {
			if v != "" {
				fmt.Fprintf(&b, "- %s: %s\n", k, v)
			}
		}
		row("register", strings.ToUpper(r.Register.String()))
		if r.Type != 0 {
			row("event type", r.Type.String())
		}
		row("hashed", r.What)
		row("decided by", r.From)
		row("when", r.When)
		row("source", r.Cite.String())
	}
	return b.String()
}

func quirks() string {
	var b bytes.Buffer
	b.WriteString("# What changes a measurement from release to release\n\n" + generated)
	b.WriteString("## QEMU\n\nNewest first: a row is a change of behaviour, and the first release that has it. Before that release, the old behaviour holds.\n\n| change | since | source |\n|---|---|---|\n")
	for _, c := range qemu.Changes() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.ID, c.Since, c.Cite)
	}
	b.WriteString("\n## edk2\n\nRead from the firmware's bytes where they say; else `--edk2` decides.\n\n| change | since | told by | source |\n|---|---|---|---|\n")
	for _, c := range predict.EDK2Changes() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Since, c.Told, c.Cite)
	}
	b.WriteString("\n## shim\n\nThe releases whose measurements are known, as a shim says of itself; others are refused.\n\n| release | evidence |\n|---|---|\n")
	for _, r := range predict.ShimReleases() {
		fmt.Fprintf(&b, "| %s | %s |\n", r.Release, r.Seen)
	}
	return b.String()
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A keptShape is config.json of a stored shape; the files that QEMU handed out lie beside it.
type keptShape struct {
	Release string
	Seed    uint64
	Number  uint64
	Args    []string
	// Inputs are the files that the command line names.
	Inputs map[string][]byte `json:",omitempty"`
	CPU    cpuFacts
}

// keep stores what QEMU says of a shape, so that a test can compare without QEMU.
func keep(dir, release string, seed, n uint64, s shape, r *record) error {
	dir = filepath.Join(dir, fmt.Sprintf("%s-%d-%d", release, seed, n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config, err := json.MarshalIndent(keptShape{release, seed, n, s.args(), s.files, r.cpu}, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), append(config, '\n'), 0o644); err != nil {
		return err
	}
	for name, data := range r.files {
		if err := os.WriteFile(filepath.Join(dir, fileName(name)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// fileName makes a file's name of a fw_cfg file's.
func fileName(item string) string { return strings.ReplaceAll(item, "/", "_") }

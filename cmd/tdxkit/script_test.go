package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tdxkit/tdxkit/fixtures"
)

func TestMain(m *testing.M) {
	program := func() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }
	testscript.Main(m, map[string]func(){"tdxkit": program, "dstack-mr": program, "curl": curl})
}

// TestScripts runs the transcripts in testdata/script. Beside testscript's own commands they have
//
//	exits N COMMAND ARGS   run a command that ends with exit code N
//	edit FROM TO OFF HEX   copy a file with bytes changed at an offset
//	cut FROM TO N          copy the first N bytes of a file
//	schema NAME FILE       hold a JSON file to a schema of docs/schema
//	trust KEY.pub...       write trust.json: two of these keys sign acme-node; with the word rebuilt the last one rebuilds
//	private FILE           a file that its owner alone can read
//	firstlines N A B       compare the first lines of two files
//
// and the variables FD (OVMF 2025.02), FD2026 (OVMF 2026.08), FDSB (OVMF for TDX 2026.08 with Secure Boot on), SHIM (16.1), KERNEL (Linux 6.12), INITRD, QUOTES and LOGS (folders of real
// quotes and event logs) and COMPOSE (the app-compose.json of near-mpc).
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"KERNEL": "vmlinuz-6.12-cloud", "INITRD": "initrd.gz"}
	for env, name := range files {
		files[env] = filepath.Join(dir, name)
		write(t, files[env], fixtures.Kernel(t, name))
	}
	for env, name := range map[string]string{"FD": "ovmf-2025.02", "FD2026": "ovmf-2026.08", "FDSB": "inteltdx-2026.08"} {
		files[env] = filepath.Join(dir, name+".fd")
		write(t, files[env], fixtures.Firmware(t, name))
	}
	files["SHIM"] = filepath.Join(dir, "shimx64.efi")
	write(t, files["SHIM"], fixtures.File(t, "kernel", "shimx64-16.1.efi.zst"))
	files["QUOTES"] = filepath.Join(fixtures.Dir(), "quotes")
	files["LOGS"] = filepath.Join(dir, "logs")
	ccel := filepath.Join(files["LOGS"], "gcp-cos113.bin")
	if err := os.Mkdir(files["LOGS"], 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, ccel, fixtures.File(t, "eventlog", "gcp-cos113.bin.zst"))
	var near struct {
		AppCompose string `json:"app_compose"`
	}
	if err := json.Unmarshal(fixtures.File(t, "quotes", "near-mpc.tcb_info.json"), &near); err != nil {
		t.Fatal(err)
	}
	files["COMPOSE"] = filepath.Join(dir, "app-compose.json")
	write(t, files["COMPOSE"], []byte(near.AppCompose))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			for env, path := range files {
				e.Setenv(env, path)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "edit": edit, "cut": cut,
			"schema": checkSchema, "trust": writeTrust, "private": isPrivate, "firstlines": firstLines,
		},
	})
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: edit FROM TO OFF HEX")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	off, err := strconv.ParseInt(args[2], 0, 64)
	ts.Check(err)
	change, err := hex.DecodeString(args[3])
	ts.Check(err)
	if off < 0 {
		off += int64(len(data))
	}
	copy(data[off:], change)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
}

func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut FROM TO N")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data[:n], 0o644))
}

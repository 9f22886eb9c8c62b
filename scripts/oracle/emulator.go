package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// An emulator is one QEMU.
type emulator struct {
	release string   // "10.0.13"
	command []string // what runs it
	env     []string
}

const program = "qemu-system-x86_64"

// findEmulators returns the QEMUs that a list of binaries and folders names, or the one that PATH has. A folder may hold
// the program, a Debian system that was unpacked into it, or such systems in folders of their own.
func findEmulators(list string) ([]*emulator, error) {
	var found []*emulator
	add := func(e *emulator) error {
		out, err := e.run("--version")
		if err != nil {
			return fmt.Errorf("%s: %w", e.command[0], err)
		}
		m := regexp.MustCompile(`version (\d+\.\d+\.\d+)`).FindStringSubmatch(out)
		if m == nil {
			return fmt.Errorf("%s: says no version", e.command[0])
		}
		e.release = m[1]
		found = append(found, e)
		return nil
	}
	if list == "" {
		if path, err := exec.LookPath(program); err == nil {
			return found, add(&emulator{command: []string{path}})
		}
		return nil, nil
	}
	for _, path := range filepath.SplitList(list) {
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		roots, _ := filepath.Glob(filepath.Join(path, "*", "usr", "bin", program))
		if isFile(filepath.Join(path, "usr", "bin", program)) {
			roots = []string{filepath.Join(path, "usr", "bin", program)}
		}
		switch {
		case len(roots) > 0:
			for _, r := range roots {
				if err := add(unpacked(filepath.Dir(filepath.Dir(filepath.Dir(r))))); err != nil {
					return nil, err
				}
			}
		case isFile(filepath.Join(path, program)):
			err = add(&emulator{command: []string{filepath.Join(path, program)}})
		case isFile(path):
			err = add(&emulator{command: []string{path}})
		default:
			err = fmt.Errorf("%s: neither a QEMU nor a folder that holds one", path)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b *emulator) int { return compareReleases(a.release, b.release) })
	return found, nil
}

func isFile(path string) bool {
	s, err := os.Stat(path)
	return err == nil && s.Mode().IsRegular()
}

// unpacked is the QEMU of a Debian system in a folder, run with the libraries, modules and ROMs that are there.
func unpacked(root string) *emulator {
	const arch = "x86_64-linux-gnu"
	in := func(elem ...string) string { return filepath.Join(append([]string{root}, elem...)...) }
	loader := in("usr", "lib64", "ld-linux-x86-64.so.2")
	for _, l := range []string{in("usr", "lib", arch, "ld-linux-x86-64.so.2"), in("lib", arch, "ld-linux-x86-64.so.2")} {
		if isFile(l) {
			loader = l
		}
	}
	var libraries []string
	for _, dir := range []string{"lib", "usr/lib"} {
		for _, sub := range []string{"", "pulseaudio", "nss", "ceph"} {
			libraries = append(libraries, in(dir, arch, sub))
		}
	}
	e := &emulator{command: []string{loader, "--library-path", strings.Join(libraries, ":"), in("usr", "bin", program)}}
	for _, dir := range []string{"usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"} {
		e.command = append(e.command, "-L", in(dir))
	}
	e.env = []string{"QEMU_MODULE_DIR=" + in("usr", "lib", arch, "qemu")}
	return e
}

// run starts the program and returns what it prints.
func (e *emulator) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, e.command[0], slices.Concat(e.command[1:], args)...)
	c.Env = append(os.Environ(), e.env...)
	out, err := c.Output()
	return string(out), err
}

// A vm is a stopped QEMU under qtest.
type vm struct {
	*qtest
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{}
	stderr bytes.Buffer
	others []*exec.Cmd // swtpm
}

// start starts a shape: no guest code runs, and nobody but qtest touches the machine.
func (e *emulator) start(s shape, f files) (*vm, error) {
	dir, err := os.MkdirTemp("", "oracle")
	if err != nil {
		return nil, err
	}
	v := &vm{dir: dir, ended: make(chan struct{})}
	for name, data := range s.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			v.stop()
			return nil, err
		}
	}
	args := s.args()
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, kernelMark, f.kernel)
	}
	if slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, tpmSocket) }) {
		if err := v.startTPM(); err != nil {
			v.stop()
			return nil, err
		}
	}
	args = slices.Concat(e.command[1:], []string{
		"-qtest", "unix:q,server=on,wait=off", "-qtest-log", "/dev/null", "-qmp", "unix:m,server=on,wait=off", "-display", "none", "-S",
		"-accel", "tcg,tb-size=64",
	}, args)
	if f.firmware != "" {
		args = append(args, "-bios", f.firmware, "-trace", "fw_cfg_select", "-D", firmwareTrace)
	}
	v.cmd = exec.Command(e.command[0], args...)
	v.cmd.Dir, v.cmd.Env = dir, append(os.Environ(), e.env...)
	v.cmd.Stdout, v.cmd.Stderr = &v.stderr, &v.stderr
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := v.cmd.Start(); err != nil {
		v.cmd = nil
		v.stop()
		return nil, err
	}
	go func() {
		_ = v.cmd.Wait() // how it ended shows in stderr
		close(v.ended)
	}()
	conn, err := dialUnix(filepath.Join(dir, "q"), v.ended)
	if err != nil {
		v.stop()
		return nil, refusal(v.stderr.String())
	}
	v.qtest = &qtest{conn, bufio.NewReader(conn)}
	if _, err := v.do("inl 0xcf8"); err != nil { // a refusal may come after the socket is there
		v.stop()
		return nil, refusal(v.stderr.String())
	}
	return v, nil
}

// startTPM starts a TPM for a shape that has one.
func (v *vm) startTPM() error {
	c := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+v.dir, "--ctrl", "type=unixio,path="+filepath.Join(v.dir, tpmSocket))
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	v.others = append(v.others, c)
	for range 400 {
		if _, err := os.Stat(filepath.Join(v.dir, tpmSocket)); err == nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("swtpm makes no socket")
}

// stop ends the VM and removes its folder.
func (v *vm) stop() {
	if v.qtest != nil {
		v.conn.Close()
	}
	if v.cmd != nil {
		_ = v.cmd.Process.Kill()
		<-v.ended
	}
	for _, c := range v.others {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	os.RemoveAll(v.dir)
}

// A refusal is what QEMU said to a command line that it does not take.
type refusal string

func (r refusal) Error() string {
	lines := strings.Split(strings.TrimSpace(string(r)), "\n")
	for _, l := range slices.Backward(lines) {
		if !strings.Contains(strings.ToLower(l), "warning:") && !strings.HasPrefix(l, " ") {
			return l
		}
	}
	return lines[len(lines)-1]
}

// A qmp asks QEMU for properties of its objects.
type qmp struct {
	conn net.Conn
	enc  *json.Encoder
	dec  *json.Decoder
}

// close ends the connection, of which QEMU takes one at a time.
func (q *qmp) close() error { return q.conn.Close() }

func (v *vm) openQMP() (*qmp, error) {
	conn, err := dialUnix(filepath.Join(v.dir, "m"), v.ended)
	if err != nil {
		return nil, err
	}
	q := &qmp{conn, json.NewEncoder(conn), json.NewDecoder(conn)}
	_, err = q.ask("qmp_capabilities", nil)
	return q, err
}

// ask runs a command and returns what it returns.
func (q *qmp) ask(command string, arguments map[string]any) (json.RawMessage, error) {
	message := map[string]any{"execute": command}
	if arguments != nil {
		message["arguments"] = arguments
	}
	if err := q.enc.Encode(message); err != nil {
		return nil, err
	}
	for {
		var m struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		switch err := q.dec.Decode(&m); {
		case err != nil:
			return nil, err
		case m.Error != nil:
			return nil, fmt.Errorf("QMP: %s: %s", command, m.Error.Desc)
		case m.Return != nil:
			return m.Return, nil
		}
	}
}

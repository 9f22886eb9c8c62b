package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/internal/yamldoc"
	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
	"github.com/tdxkit/tdxkit/mr"
)

// A project is a repository of an image's builder, as docs/ci expects it, with a TD that runs what was published.
type project struct {
	t        *testing.T
	dir      string
	server   *httptest.Server
	world    *testpki.World
	scenario *testpki.Scenario
	tamper   atomic.Bool // whether the TD runs something else
	key      string
}

// newProject makes the repository, the TD and a service of collateral. What is not there to be run is a stub: make, go, gh.
func newProject(t *testing.T) *project {
	t.Helper()
	for _, tool := range []string{"bash", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("left out: the examples for CI need %s", tool)
		}
	}
	p := &project{t: t, dir: t.TempDir()}
	for _, d := range []string{"build", "deploy", "bin", "tmp", "home"} {
		if err := os.Mkdir(filepath.Join(p.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range map[string][]byte{
		"build/OVMF.fd": fixtures.Firmware(t, "ovmf-2026.08"), "build/vmlinuz": fixtures.Kernel(t, "vmlinuz-6.12-cloud"), "build/initrd": fixtures.Kernel(t, "initrd.gz"),
	} {
		write(t, filepath.Join(p.dir, name), data)
	}
	tdxkit, err := exec.LookPath("tdxkit")
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"make": "exit 0", "go": "exit 0", "gh": "exit 0", "tdxkit": fmt.Sprintf(fetchByFMSPC, tdxkit)} {
		path := filepath.Join(p.dir, "bin", name)
		write(t, path, []byte("#!/bin/bash\n"+script+"\n"))
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.startTD()
	p.writeDeploy()
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "one"}} {
		if out, err := p.command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git: %v: %s", err, out)
		}
	}
	return p
}

// fetchByFMSPC is tdxkit, but for collateral fetch --quote, which reads the platform off a certificate of Intel's: that of a
// test's platform is not one.
const fetchByFMSPC = `args=("$@")
if [[ "$1 $2" == "collateral fetch" ]]; then
	for i in "${!args[@]}"; do
		if [[ "${args[i]}" == --quote ]]; then args[i]=--fmspc args[i+1]=b0c06f000000; fi
	done
fi
exec %q "${args[@]}"`

func (p *project) writeDeploy() {
	key, err := dsse.GenerateKey(dsse.ECDSAP256SHA256, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	private, err := key.PEM()
	if err != nil {
		p.t.Fatal(err)
	}
	p.key = string(private)
	marshalled := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			p.t.Fatal(err)
		}
		return b
	}
	for name, data := range map[string][]byte{
		"qemu.args":    []byte(strings.ReplaceAll(strings.TrimPrefix(qemuLine, "-- "), "FILE:", "build/")),
		"shapes.yaml":  []byte("schema: tdxkit.shapes/v1\nshapes:\n  - {qemu: 10.2.2, cpus: 1-4, memory: 2GiB..8GiB}\n"),
		"demands.yaml": []byte("mrConfigId: {rule: zero}\nminimumTcb: {statuses: [UpToDate]}\n"),
		"policy.json":  marshalled(map[string]any{"schema": "tdxkit.policy/v1", "unsafe_roots": []string{fmt.Sprintf("%x", p.world.RootFingerprint())}}),
		"trust.json": marshalled(map[string]any{"schema": manifest.TrustSchema,
			"keys":     []any{map[string]string{"name": "release", "publicKey": string(key.Public().PEM())}},
			"products": []any{map[string]any{"name": "acme-node", "threshold": 1, "keys": []string{"release"}}}}),
	} {
		write(p.t, filepath.Join(p.dir, "deploy", name), data)
	}
}

// startTD starts a TD that answers with a quote, and a service that has the collateral of its platform, good now.
func (p *project) startTD() {
	s := testpki.Default()
	now := time.Now().UTC().Truncate(time.Second)
	issued, next := now.AddDate(0, 0, -10), now.AddDate(0, 0, 10)
	s.TCBInfo.IssueDate, s.TCBInfo.NextUpdate, s.QEIdentity.IssueDate, s.QEIdentity.NextUpdate = issued, next, issued, next
	s.PCKCRL = testpki.CRLSpec{ThisUpdate: issued, NextUpdate: next}
	s.RootCRL = testpki.CRLSpec{ThisUpdate: issued, NextUpdate: next}
	s.Quote.TD.RTMR[3] = [48]byte{}
	p.scenario, p.world = s, s.Build()
	w := p.world
	chain := func(certs [][]byte) string { return url.PathEscape(testpki.PEM(certs)) }
	signed := func(name string, text, sig []byte) []byte {
		return []byte(`{"` + name + `":` + string(text) + `,"signature":"` + hex.EncodeToString(sig) + `"}`)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/tdx/certification/v4/tcb", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("TCB-Info-Issuer-Chain", chain(w.SigningChain))
		rw.Write(signed("tcbInfo", w.TCBInfo, w.TCBInfoSig))
	})
	mux.HandleFunc("/tdx/certification/v4/qe/identity", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("SGX-Enclave-Identity-Issuer-Chain", chain(w.SigningChain))
		rw.Write(signed("enclaveIdentity", w.QEIdentity, w.QEIdentitySig))
	})
	mux.HandleFunc("/sgx/certification/v4/pckcrl", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("SGX-PCK-CRL-Issuer-Chain", chain(w.PCKChain[1:]))
		rw.Write(w.PCKCRL)
	})
	mux.HandleFunc("/sgx/certification/v4/rootcacrl", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Write([]byte(hex.EncodeToString(w.RootCRL)))
	})
	mux.HandleFunc("/quote", p.quote)
	p.server = httptest.NewServer(mux)
	p.t.Cleanup(p.server.Close)
}

// quote answers with a quote of a TD that runs a shape of the published manifest.
func (p *project) quote(rw http.ResponseWriter, r *http.Request) {
	nonce, err := hex.DecodeString(r.URL.Query().Get("report_data"))
	if err != nil || len(nonce) == 0 {
		http.Error(rw, "no report_data", http.StatusBadRequest)
		return
	}
	m, _, err := readUntrustedFile(filepath.Join(p.dir, "build", "manifest.signed.json"))
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	v := m.Variant(m.Len() / 2)
	q := p.scenario.Quote
	q.TD.MRTD = v.Registers[mr.MRTD]
	for i := range 3 {
		q.TD.RTMR[i] = v.Registers[1+i]
	}
	if p.tamper.Load() {
		q.TD.RTMR[2][0] ^= 1
	}
	copy(q.TD.REPORTDATA[:], nonce)
	json.NewEncoder(rw).Encode(map[string]string{"quote": hex.EncodeToString(p.world.SignQuote(q))})
}

// command is a program that runs in the project; one of its stubs comes first.
func (p *project) command(name string, args ...string) *exec.Cmd {
	if stub := filepath.Join(p.dir, "bin", name); !strings.ContainsRune(name, filepath.Separator) {
		if _, err := os.Stat(stub); err == nil {
			name = stub
		}
	}
	c := exec.Command(name, args...)
	c.Dir = p.dir
	c.Env = append(os.Environ(), "PATH="+filepath.Join(p.dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"HOME="+filepath.Join(p.dir, "home"), "RUNNER_TEMP="+filepath.Join(p.dir, "tmp"), "GITHUB_STEP_SUMMARY="+filepath.Join(p.dir, "summary.md"))
	return c
}

// shell runs a step as a runner does.
func (p *project) shell(script string, env map[string]string) (string, error) {
	c := p.command("bash", "-euo", "pipefail", "-c", script)
	for k, v := range env {
		c.Env = append(c.Env, k+"="+v)
	}
	out, err := c.CombinedOutput()
	return string(out), err
}

// example reads a file of docs/ci.
func example(t *testing.T, v any, elem ...string) {
	t.Helper()
	path := filepath.Join(append([]string{fixtures.Dir(), "..", "docs", "ci"}, elem...)...)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yamldoc.Decode(data, v, yamldoc.AllKeys); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

type workflow struct {
	Jobs map[string]struct {
		Env   map[string]string `yaml:"env"`
		Steps []struct {
			Name string            `yaml:"name"`
			Uses string            `yaml:"uses"`
			Run  string            `yaml:"run"`
			Env  map[string]string `yaml:"env"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

var expression = regexp.MustCompile(`\$\{\{\s*([\w.]+)\s*\}\}`)

// TestGitHubWorkflow runs the shell steps of docs/ci/github-release.yml: publish, then verify a TD that runs what was
// published, then one that runs something else.
func TestGitHubWorkflow(t *testing.T) {
	p := newProject(t)
	var w workflow
	example(t, &w, "github-release.yml")
	values := map[string]string{
		"github.ref_name": "v1.2.3", "github.run_number": "7", "github.server_url": "https://github.com", "github.repository": "acme/node",
		"github.sha": strings.Repeat("ab", 20), "github.token": "t", "secrets.TDXKIT_KEY": p.key, "vars.TD_URL": p.server.URL,
	}
	run := func(job string) (failed string, output string) {
		j, ok := w.Jobs[job]
		if !ok {
			t.Fatalf("the workflow has no job %s", job)
		}
		for _, step := range j.Steps {
			env := map[string]string{}
			for _, list := range []map[string]string{j.Env, step.Env, {"PCS_URL": p.server.URL}} {
				for k, v := range list {
					env[k] = expression.ReplaceAllStringFunc(v, func(e string) string {
						value, ok := values[expression.FindStringSubmatch(e)[1]]
						if !ok {
							t.Fatalf("%s: the expression %s is not known", job, e)
						}
						return value
					})
				}
			}
			if strings.Contains(step.Run, "${{") {
				t.Errorf("%s: the step %q has an expression in its script, where what it stands for would be run", job, step.Name)
			}
			if step.Run == "" {
				continue
			}
			if out, err := p.shell(step.Run, env); err != nil {
				return step.Name, out
			}
		}
		return "", ""
	}
	for _, job := range []string{"publish", "verify"} {
		if step, out := run(job); step != "" {
			t.Fatalf("%s: %s: %s", job, step, out)
		}
	}
	if s := content(t, filepath.Join(p.dir, "summary.md")); !strings.Contains(s, "ACCEPTED") {
		t.Errorf("the summary says\n%s", s)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "tmp", "release.key")); err == nil {
		t.Error("the key is left on the runner")
	}
	p.tamper.Store(true)
	for _, name := range []string{"nonce.json", "collateral.json"} {
		if err := os.Remove(filepath.Join(p.dir, "build", name)); err != nil {
			t.Fatal(err)
		}
	}
	if step, out := run("verify"); step != "Verify" || !strings.Contains(out, "registers.rtmr2") {
		t.Errorf("a TD that runs something else: failed at %q: %s", step, out)
	}
}

// TestGitLabTemplate runs the scripts of docs/ci/gitlab-ci.yml.
func TestGitLabTemplate(t *testing.T) {
	p := newProject(t)
	var w struct {
		Manifest    struct{ Script []string } `yaml:"manifest"`
		Attestation struct{ Script []string } `yaml:"attestation"`
	}
	example(t, &w, "gitlab-ci.yml")
	write(t, filepath.Join(p.dir, "tmp", "key"), []byte(p.key))
	env := map[string]string{
		"PRODUCT": "acme-node", "PCS_URL": p.server.URL, "TD_URL": p.server.URL, "TDXKIT_KEY": filepath.Join(p.dir, "tmp", "key"), "CI_COMMIT_TAG": "v1.2.3",
		"CI_PIPELINE_IID": "7", "CI_PROJECT_URL": "https://gitlab.com/acme/node", "CI_COMMIT_SHA": strings.Repeat("ab", 20),
	}
	for _, script := range [][]string{w.Manifest.Script, w.Attestation.Script} {
		if len(script) < 4 {
			t.Fatalf("the script has %d lines", len(script))
		}
		if out, err := p.shell(strings.Join(script, "\n"), env); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if s := content(t, filepath.Join(p.dir, "build", "verdict.xml")); !strings.Contains(s, `failures="0"`) {
		t.Error(s)
	}
}

var template = regexp.MustCompile(`\{\{\s*(\w+)(?:\.stdout \| trim)?\s*\}\}`)

// TestAnsibleRole runs the commands of the Ansible role in their order, and reads the verdict as it does. Where
// ansible-playbook is installed, it runs the playbook itself too.
func TestAnsibleRole(t *testing.T) {
	p := newProject(t)
	if out, err := p.shell(`tdxkit manifest create --product acme-node --version 1 --serial 7 --shapes deploy/shapes.yaml --host-cpu sapphire-rapids `+
		`--qemu-args deploy/qemu.args --out build/manifest.json && printf '%s' "$KEY" > tmp/key && tdxkit manifest sign --key tmp/key --out build/manifest.signed.json build/manifest.json`,
		map[string]string{"KEY": p.key}); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var tasks []struct {
		Name    string
		Command struct{ Argv []string }    `yaml:"ansible.builtin.command"`
		GetURL  struct{ URL, Dest string } `yaml:"ansible.builtin.get_url"`
		Assert  struct{ That []string }    `yaml:"ansible.builtin.assert"`
	}
	example(t, &tasks, "ansible", "roles", "tdxkit_verify", "tasks", "main.yml")
	vars := map[string]string{}
	example(t, &vars, "ansible", "roles", "tdxkit_verify", "defaults", "main.yml")
	for k, v := range map[string]string{"td_url": p.server.URL + "/quote", "pcs_url": p.server.URL, "dir": "build", "manifest": "build/manifest.signed.json",
		"trust": "deploy/trust.json", "policy": "deploy/policy.json", "state": "build/state.json"} {
		if _, ok := vars["tdxkit_verify_"+k]; !ok {
			t.Errorf("the role has no default for tdxkit_verify_%s", k)
		}
		vars["tdxkit_verify_"+k] = v
	}
	fill := func(s string) string {
		return template.ReplaceAllStringFunc(s, func(e string) string {
			v, ok := vars[template.FindStringSubmatch(e)[1]]
			if !ok {
				t.Fatalf("the template %s is not known", e)
			}
			return v
		})
	}
	play := func() (code int, stdout string) {
		for _, task := range tasks {
			if task.GetURL.URL != "" {
				p.download(fill(task.GetURL.URL), fill(task.GetURL.Dest))
			}
			if len(task.Command.Argv) == 0 {
				continue
			}
			var argv []string
			for _, a := range task.Command.Argv {
				argv = append(argv, fill(a))
			}
			c := p.command(argv[0], argv[1:]...)
			var out, errs bytes.Buffer
			c.Stdout, c.Stderr = &out, &errs
			err := c.Run()
			if code, stdout = c.ProcessState.ExitCode(), out.String(); err != nil && (code != exitMismatch || !slices.Contains(argv, "verify")) {
				t.Fatalf("%s: %v: %s", task.Name, err, errs.String())
			}
			vars["tdxkit_verify_nonce"] = strings.TrimSpace(stdout)
		}
		return code, stdout
	}
	for _, tampered := range []bool{false, true} {
		p.tamper.Store(tampered)
		code, stdout := play()
		var verdict struct {
			Schema   string
			Accepted bool
			Variant  string
		}
		if err := json.Unmarshal([]byte(stdout), &verdict); err != nil {
			t.Fatal(err)
		}
		if verdict.Schema != "tdxkit.verdict/v1" || verdict.Accepted == tampered || (code == exitDone) == tampered || (verdict.Variant == "") != tampered {
			t.Errorf("the TD runs something else: %v; exit code %d, %+v", tampered, code, verdict)
		}
	}
	p.playbook()
}

// playbook runs ansible-playbook, where there is one.
func (p *project) playbook() {
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		p.t.Log("left out: ansible-playbook is not installed; the role's commands were run without it")
		return
	}
	ansible := filepath.Join(fixtures.Dir(), "..", "docs", "ci", "ansible")
	for _, tampered := range []bool{false, true} {
		p.tamper.Store(tampered)
		c := p.command("ansible-playbook", filepath.Join(ansible, "verify.yml"), "-e", "td_url="+p.server.URL)
		for k, v := range map[string]string{"pcs_url": p.server.URL, "manifest": "build/manifest.signed.json", "trust": "deploy/trust.json",
			"policy": "deploy/policy.json", "state": "build/state.json", "dir": "build"} {
			if !strings.Contains(v, "://") {
				v = filepath.Join(p.dir, v)
			}
			c.Args = append(c.Args, "-e", "tdxkit_verify_"+k+"="+v)
		}
		out, err := c.CombinedOutput()
		if (err == nil) == tampered {
			p.t.Errorf("the TD runs something else: %v: %v\n%s", tampered, err, out)
		}
	}
}

// download gets a file as get_url does.
func (p *project) download(from, to string) {
	r, err := http.Get(from)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %s %v", from, r.Status, data, err)
	}
	write(p.t, filepath.Join(p.dir, to), data)
}

// curl is the stub of the program that the examples download with: the last argument is the URL, --output names the file.
func curl() {
	to := os.Args[slices.Index(os.Args, "--output")+1]
	r, err := http.Get(os.Args[len(os.Args)-1])
	if err != nil || r.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, "curl:", err)
		os.Exit(22)
	}
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		os.Exit(23)
	}
}

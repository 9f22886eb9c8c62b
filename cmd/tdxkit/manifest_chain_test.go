package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
)

// A chain is a folder in which an image was built, published as a signed manifest of 2,000 shapes, and started.
type chain struct {
	t        *testing.T
	dir      string
	manifest *manifest.Manifest
	guest    int // number of the variant that runs
}

// tdx runs the command with the words of a line, in which FILE: stands before paths in the folder.
func (k *chain) tdx(line string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	args := strings.Fields(strings.ReplaceAll(line, "FILE:", k.dir+string(filepath.Separator)))
	code = run(context.Background(), append([]string{"tdxkit"}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func (k *chain) must(line string) {
	k.t.Helper()
	if code, _, stderr := k.tdx(line); code != exitDone {
		k.t.Fatalf("%s: exit code %d: %s", line, code, stderr)
	}
}

func (k *chain) path(name string) string { return filepath.Join(k.dir, name) }

func (k *chain) write(name string, data []byte) { write(k.t, k.path(name), data) }

func (k *chain) json(name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		k.t.Fatal(err)
	}
	k.write(name, data)
}

const chainNonce = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// qemuLine is the guest's command line but for its vCPUs and memory.
const qemuLine = "-- qemu-system-x86_64 -accel kvm -cpu host -nodefaults -machine q35,kernel-irqchip=split,confidential-guest-support=tdx0 " +
	"-object tdx-guest,id=tdx0 -bios FILE:OVMF.fd -kernel FILE:vmlinuz -initrd FILE:initrd -append console=ttyS0"

// newChain publishes the image.
func newChain(t *testing.T) *chain {
	k := &chain{t: t, dir: t.TempDir()}
	k.write("OVMF.fd", fixtures.Firmware(t, "ovmf-2026.08"))
	k.write("vmlinuz", fixtures.Kernel(t, "vmlinuz-6.12-cloud"))
	k.write("initrd", fixtures.Kernel(t, "initrd.gz"))
	k.json("demands.json", map[string]any{
		"attributes": map[string]string{"mask": "ffffffffffffffff", "value": "0000001000000000"},
		"mrConfigId": map[string]string{"rule": "zero"},
		"minimumTcb": map[string]any{"evaluationDataNumber": 20, "statuses": []string{"UpToDate"}},
	})
	const create = "manifest create --product acme-node --version 1 --serial 4 --issued-at 2026-02-01T00:00:00Z --policy FILE:demands.json " +
		"--host-cpu sapphire-rapids --events --qemu 10.2.2,11.1.3 --cpus 1-100 --memory 1GiB..512GiB --out FILE:m.json "
	k.must(create + qemuLine)
	data, err := os.ReadFile(k.path("m.json"))
	if err != nil {
		t.Fatal(err)
	}
	if k.manifest, err = manifest.Parse(data); err != nil {
		t.Fatal(err)
	}
	if k.manifest.Len() != 2000 {
		t.Fatalf("the manifest has %d variants, want 2000", k.manifest.Len())
	}
	k.guest = 1234
	var keys []map[string]string
	for _, name := range []string{"alice", "bob", "mallory"} {
		k.must("manifest keygen --out FILE:" + name)
		pem, err := os.ReadFile(k.path(name + ".pub"))
		if err != nil {
			t.Fatal(err)
		}
		if name != "mallory" {
			keys = append(keys, map[string]string{"name": name, "publicKey": string(pem)})
		}
	}
	k.json("trust.json", map[string]any{"schema": manifest.TrustSchema, "keys": keys, "products": []any{
		map[string]any{"name": "acme-node", "threshold": 2, "keys": []string{"alice", "bob"}, "minimumSerial": 3},
	}})
	k.must("manifest sign --key FILE:alice --key FILE:bob --out FILE:signed.json FILE:m.json")
	k.must("manifest sign --key FILE:alice --out FILE:once.json FILE:m.json")
	k.must("manifest sign --key FILE:alice --key FILE:mallory --out FILE:mallory.json FILE:m.json")
	return k
}

// evidence writes what a TD of a platform in good order shows, changed: quote.bin, collateral.json and the policy that
// trusts the platform's root.
func (k *chain) evidence(change func(*quote.TD)) {
	s := testpki.Default()
	td := &s.Quote.TD
	td.RTMR[3] = [48]byte{}
	v := k.manifest.Variant(k.guest)
	td.MRTD = v.Registers[mr.MRTD]
	for i := range 3 {
		td.RTMR[i] = v.Registers[1+i]
	}
	nonce, err := hex.DecodeString(chainNonce)
	if err != nil {
		k.t.Fatal(err)
	}
	copy(td.REPORTDATA[:], nonce)
	if change != nil {
		change(td)
	}
	w := s.Build()
	k.write("quote.bin", w.Quote)
	k.write("collateral.json", w.Collateral())
	k.json("policy.json", map[string]any{"schema": "tdxkit.policy/v1", "unsafe_roots": []string{fmt.Sprintf("%x", w.RootFingerprint())}})
}

const verifyLine = "verify --quote FILE:quote.bin --collateral FILE:collateral.json --policy FILE:policy.json --nonce " + chainNonce + " "

// verifyAt is verifyLine at the time of the evidence.
func verifyAt(at time.Time) string { return verifyLine + "--time " + at.Format(time.RFC3339) + " " }

// TestChain is the whole way of an image: files, registers of 2,000 shapes, a manifest with two signatures, a verdict on a
// TD that runs one of the shapes; and every single change on the way, refused for its reason.
func TestChain(t *testing.T) {
	k := newChain(t)
	t.Run("changes", func(t *testing.T) { k.t = t; k.changes(t) })
	t.Run("folder", func(t *testing.T) { k.t = t; k.folder(t) })
	t.Run("explains", func(t *testing.T) { k.t = t; k.explains(t) })
}

func (k *chain) changes(t *testing.T) {
	k.evidence(nil)
	line := verifyAt(testpki.Now)
	good := line + "--trust FILE:trust.json --manifest FILE:signed.json"
	code, stdout, stderr := k.tdx(good)
	if code != exitDone || !strings.Contains(stdout, "ACCEPTED") {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	id := k.manifest.Variant(k.guest).ID
	if !strings.Contains(stdout, "acme-node 1, "+id) || !strings.Contains(stderr, "manifest of acme-node 1, serial 4, signed by alice, bob") {
		t.Errorf("the verdict does not name the variant %s:\n%s\n%s", id, stdout, stderr)
	}

	other := k.manifest.Variant(77)
	for _, tc := range []struct {
		name   string
		change func(*quote.TD)
		line   string
		code   int
		want   string // in what is printed
	}{
		{"another MRTD", func(td *quote.TD) { td.MRTD[0] ^= 1 }, good, exitMismatch, "rejected: registers.variant, registers.mrtd"},
		{"another RTMR0", func(td *quote.TD) { td.RTMR[0][47] ^= 1 }, good, exitMismatch, "registers.rtmr0"},
		{"another RTMR1", func(td *quote.TD) { td.RTMR[1][0] ^= 0x80 }, good, exitMismatch, "registers.rtmr1"},
		{"another RTMR2", func(td *quote.TD) { td.RTMR[2][9] ^= 1 }, good, exitMismatch, "registers.rtmr2"},
		{"RTMR0 of one variant, MRTD of none", func(td *quote.TD) { td.RTMR[0], td.MRTD = other.Registers[1], [48]byte{1} }, good, exitMismatch, "nearest is acme-node 1, " + other.ID},
		{"events in RTMR3 that nothing explains", func(td *quote.TD) { td.RTMR[3][0] = 1 }, good, exitMismatch, "registers.rtmr3"},
		{"attributes that the manifest does not take", func(td *quote.TD) { td.Attributes |= 1 << 30 }, good, exitMismatch, "td.attributes-policy"},
		{"MRCONFIGID where the manifest asks for zero", func(td *quote.TD) { td.MRCONFIGID[0] = 1 }, good, exitMismatch, "td.mrconfigid"},
		{"another nonce", func(td *quote.TD) { td.REPORTDATA[0] ^= 1 }, good, exitMismatch, "report-data.binding"},
		{"a manifest that one of two signed", nil, line + "--trust FILE:trust.json --manifest FILE:once.json", exitMismatch, "1 of the 2 signatures"},
		{"a manifest that a stranger signed too", nil, line + "--trust FILE:trust.json --manifest FILE:mallory.json", exitMismatch, "unknown key"},
		{"a manifest that nobody signed", nil, line + "--trust FILE:trust.json --manifest FILE:m.json", exitInput, "not a member known"},
		{"a manifest that has expired", nil, strings.Replace(good, testpki.Now.Format(time.RFC3339), "2027-03-01T00:00:00Z", 1), exitMismatch, "it expired at 2027-02-01"},
		{"no trust policy", nil, line + "--manifest FILE:signed.json", exitUsage, "no trust policy"},
		{"another expectation beside it", nil, good + " --expect mrtd=" + strings.Repeat("0", 96), exitUsage, "another expectation"},
		{"a policy that nothing fits which the manifest takes", nil, strings.Replace(good, "policy.json", "contradicts.json", 1), exitInput, "TD attributes: the policy and the manifest contradict each other"},
		{"a policy that takes other TCB statuses alone", nil, strings.Replace(good, "policy.json", "outofdate.json", 1), exitInput, "TCB status: the policy and the manifest contradict each other"},
		{"an older manifest than was seen", nil, good + " --state FILE:newer.json", exitMismatch, "and 9 was accepted before"},
		{"a folder of nothing", nil, line + "--trust FILE:trust.json --manifest FILE:empty", exitMismatch, "none of 0 manifests is good"},
		{"a manifest that is not there", nil, line + "--trust FILE:trust.json --manifest FILE:none.json", exitInput, "no such file"},
		{"a good manifest beside one that is not there", nil, good + " --manifest FILE:none.json", exitInput, "no such file"},
		{"a folder without a good one", nil, line + "--trust FILE:trust.json --manifest FILE:bad", exitMismatch, "none of 2 manifests is good"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k.t = t
			k.evidence(tc.change)
			k.write("newer.json", []byte(`{"schema":"tdxkit.manifest-state/v1","products":[{"name":"acme-node","serial":9,"sha256":"`+strings.Repeat("0", 64)+`"}]}`))
			k.write("contradicts.json", []byte(`{"schema":"tdxkit.policy/v1","td":{"attributes":{"mask":"0x10000000","value":"0x0"}}}`))
			k.write("outofdate.json", []byte(`{"schema":"tdxkit.policy/v1","tcb":{"statuses":["OutOfDate"]}}`))
			for _, dir := range []string{"bad", "empty"} {
				if err := os.MkdirAll(k.path(dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"once.json", "mallory.json"} {
				data, err := os.ReadFile(k.path(name))
				if err != nil {
					t.Fatal(err)
				}
				k.write(filepath.Join("bad", name), data)
			}
			code, stdout, stderr := k.tdx(tc.line)
			if code != tc.code || !strings.Contains(stdout+stderr, tc.want) || strings.Contains(stdout, "ACCEPTED") {
				t.Errorf("exit code %d, want %d, saying %q\n%s\n%s", code, tc.code, tc.want, stdout, stderr)
			}
		})
	}
}

// folder imports a folder of manifests of several products, of which some are not good, and remembers the newest.
func (k *chain) folder(t *testing.T) {
	k.evidence(nil)
	if err := os.Mkdir(k.path("all"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"once.json", "signed.json"} {
		data, err := os.ReadFile(k.path(name))
		if err != nil {
			t.Fatal(err)
		}
		k.write(filepath.Join("all", name), data)
	}
	code, stdout, stderr := k.tdx(verifyAt(testpki.Now) + "--trust FILE:trust.json --manifest FILE:all --state FILE:state.json")
	if code != exitDone || !strings.Contains(stderr, "left out: ") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	state, err := os.ReadFile(k.path("state.json"))
	if err != nil || !strings.Contains(string(state), `"serial":4`) {
		t.Errorf("%s, %v", state, err)
	}
}

// explains gives a TD's log beside its quote: where no variant matches, it is said in words what differs from the
// nearest one.
func (k *chain) explains(t *testing.T) {
	v := k.manifest.Variant(k.guest)
	shape := fmt.Sprintf("--qemu %s --cpus %d --memory %s --host-cpu sapphire-rapids ", v.Platform.QEMU, v.CPUs, formatMemory(v.Memory))
	// The TD boots with another command line.
	k.must("measure " + shape + "--event-log FILE:log.bin " + strings.Replace(qemuLine, "console=ttyS0", "init=/bin/sh", 1))
	k.must("measure " + shape + "--output json " + qemuLine) // for its exit code
	code, out, errs := k.tdx("replay --event-log FILE:log.bin --output json")
	if code != exitDone {
		t.Fatal(errs)
	}
	var replayed struct{ Registers map[string]mr.Digest }
	if err := json.Unmarshal([]byte(out), &replayed); err != nil {
		t.Fatal(err)
	}
	k.evidence(func(td *quote.TD) { td.RTMR[2] = replayed.Registers["rtmr2"] })
	code, stdout, stderr := k.tdx(verifyAt(testpki.Now) + "--event-log FILE:log.bin --trust FILE:trust.json --manifest FILE:signed.json")
	if code != exitMismatch || !strings.Contains(stderr, "nearest is acme-node 1, "+v.ID+", which differs in rtmr2") || !strings.Contains(stderr, "note: rtmr2: ") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = k.tdx("explain --event-log FILE:log.bin --quote FILE:quote.bin --trust FILE:trust.json --manifest FILE:signed.json --time " + testpki.Now.Format(time.RFC3339))
	if code != exitMismatch || !strings.Contains(stdout, "rtmr2") || strings.Contains(stdout, "rtmr0") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

package verify_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/verify"
)

// A world is a platform with a guest and everyone who has a say in it. Its parts are free to be changed before evidence is
// made of them.
type world struct {
	scenario *testpki.Scenario
	compose  []byte     // app-compose.json of the guest
	boot     []mr.Event // of firmware and kernel
	runtime  []mr.Event // of RTMR3
	nonce    []byte
	image    [32]byte // os_image_hash
}

// A kit is what a verifier has at hand.
type kit struct {
	p   verify.Policy
	x   verify.Expectation
	e   verify.Evidence
	now time.Time
}

func (k *kit) judge() *verify.Verdict { return verify.Judge(&k.p, &k.x, &k.e, k.now) }

var testNonce = []byte("0123456789abcdef0123456789abcdef")

// newWorld returns a guest of dstack on a platform in good order.
func newWorld() *world {
	w := &world{scenario: testpki.Default(), nonce: testNonce, image: sha256.Sum256([]byte("image")),
		compose: []byte(`{"manifest_version":2,"name":"app","runner":"docker-compose","docker_compose_file":"services: {}"}`)}
	w.boot = []mr.Event{
		hashed(mr.RTMR0, eventlog.EVEFIHandoffTables2, eventlog.AppendHandoffTables2(nil, "TdxTable", eventlog.TDHOBTable, 0x809000), []byte("HOB of 2 GiB")),
		hashed(mr.RTMR0, eventlog.EVEFIVariableDriverConfig, variable("SecureBoot", ""), nil),
		hashed(mr.RTMR0, eventlog.EVSeparator, make([]byte, 4), nil),
		hashed(mr.RTMR0, eventlog.EVPlatformConfigFlags, []byte("ACPI DATA"), []byte("tables")),
		hashed(mr.RTMR1, eventlog.EVEFIBootServicesApplication, eventlog.AppendImageLoad(nil, 0, 0, 0, nil), []byte("kernel")),
		hashed(mr.RTMR0, eventlog.EVEFIVariableBoot, variable("BootOrder", "\x00\x00"), []byte("\x00\x00")),
		hashed(mr.RTMR1, eventlog.EVEFIAction, []byte("Calling EFI Application from Boot Option"), nil),
		hashed(mr.RTMR2, eventlog.EVEventTag, eventlog.AppendLinuxTag(nil, 0x8F3B22ED), []byte("command line")),
	}
	w.setRuntime(w.compose)
	return w
}

// setRuntime makes the events of a guest that runs compose.
func (w *world) setRuntime(compose []byte) {
	hash := sha256.Sum256(compose)
	w.runtime = nil
	for _, e := range []struct {
		name    string
		payload []byte
	}{
		{dstack.SystemPreparing, nil}, {dstack.AppID, hash[:20]}, {dstack.ComposeHash, hash[:]}, {dstack.InstanceID, make([]byte, 20)},
		{dstack.BootMRDone, nil}, {dstack.OSImageHash, w.image[:]}, {dstack.KeyProvider, []byte(`{"name":"kms","id":"3059"}`)},
		{dstack.SystemReady, nil}, {"app-started", []byte("yes")},
	} {
		w.runtime = dstack.AppendRuntimeEvent(w.runtime, e.name, e.payload)
	}
	w.scenario.Quote.TD.MRCONFIGID = dstack.ConfigIDV1(hash)
}

// hashed is an event whose digest is that of what, or of its data where what is nil.
func hashed(r mr.Register, typ eventlog.Type, data, what []byte) mr.Event {
	if what == nil {
		what = data
	}
	return mr.Event{Register: r, Type: typ, Data: data, Measured: mr.Measured{Digest: mr.Sum(what)}}
}

func variable(name, value string) []byte {
	return efi.VariableData{GUID: efi.GlobalVariable, Name: name, Data: []byte(value)}.Append(nil)
}

// log returns the guest's log as its agent writes it.
func (w *world) log() []byte { return logJSON(append(slices.Clone(w.boot), w.runtime...)) }

func logJSON(events []mr.Event) []byte {
	list := []map[string]any{}
	for _, e := range events {
		list = append(list, map[string]any{"imr": uint8(e.Register - mr.RTMR0), "event_type": uint32(e.Type), "digest": e.Measured.Digest.String(),
			"event": e.Measured.What, "event_payload": hex.EncodeToString(e.Data)})
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return b
}

// build makes evidence of the world, and what its owner expects.
func (w *world) build(t testing.TB) *kit {
	t.Helper()
	values, err := mr.Replay(append(slices.Clone(w.boot), w.runtime...))
	if err != nil {
		t.Fatal(err)
	}
	td := &w.scenario.Quote.TD
	for i := range td.RTMR {
		td.RTMR[i] = values[mr.RTMR0+mr.Register(i)]
	}
	copy(td.REPORTDATA[:], w.nonce)
	pki := w.scenario.Build()
	return &kit{
		p: verify.Policy{Roots: []dcap.Fingerprint{pki.RootFingerprint()}},
		x: verify.Expectation{Nonce: testNonce, AppCompose: newWorldCompose(), Variants: []verify.Variant{
			{Name: "4 CPUs", OSImageHash: w.image[:], Registers: map[mr.Register]mr.Digest{
				mr.MRTD: td.MRTD, mr.RTMR0: td.RTMR[0], mr.RTMR1: td.RTMR[1], mr.RTMR2: td.RTMR[2]}}}},
		e: verify.Evidence{Quote: pki.Quote, Collateral: pki.Collateral(), EventLog: w.log(),
			VMConfig: fmt.Appendf(nil, `{"os_image_hash":"%x","cpu_count":4,"memory_size":2147483648}`, w.image)},
		now: testpki.Now,
	}
}

// newWorldCompose is the application that the verifier expects, whatever a world runs.
func newWorldCompose() []byte {
	return []byte(`{"manifest_version":2,"name":"app","runner":"docker-compose","docker_compose_file":"services: {}"}`)
}

package dstack

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
)

// Names of the events that a guest's system extends RTMR3 with before an application runs.
const (
	SystemPreparing = "system-preparing"
	RootfsHash      = "rootfs-hash" // images before 0.4
	AppID           = "app-id"
	ComposeHash     = "compose-hash"
	InitScriptHash  = "init-script-hash"
	GPUPolicyHash   = "gpu-policy-hash"
	GPUAttestation  = "gpu-attestation"
	InstanceID      = "instance-id"
	BootMRDone      = "boot-mr-done"
	OSImageHash     = "os-image-hash" // as the KMS answered, where there is one
	KeyProvider     = "key-provider"
	StorageFS       = "storage-fs"
	SystemReady     = "system-ready"
)

// A systemEvent is a place in the boot of the system: how often its event may occur, and how long its payload is.
type systemEvent struct {
	Name      string
	Min, Max  int
	Len, Most int // bytes of the payload: from Len to Most
}

// Bounds of payloads that have no fixed length, in bytes.
const (
	maxKeyProvider = 4 << 10 // a KMS's public key in hexadecimal has 182
	maxGPUReport   = 1 << 20 // the summary of a node's GPUs
	maxInitScripts = 64      // dstack allows 5
)

// systemEvents is the boot of the system in order. An event of another name or at another place ends it with an error.
// Dstack-TEE/dstack 312dc605ebaa, dstack/dstack-util/src/system_setup.rs: measure_app_info, measure_gpu, request_app_keys,
// verify_app and setup_fs. The places of rootfs-hash and of what is optional are as in logs of real guests.
var systemEvents = []systemEvent{
	{SystemPreparing, 1, 1, 0, 0},
	{RootfsHash, 0, 1, 32, 32},
	{AppID, 1, 1, 20, 20},
	{ComposeHash, 1, 1, 32, 32},
	{InitScriptHash, 0, maxInitScripts, 32, 32},
	{GPUPolicyHash, 0, 1, 32, 32},
	{GPUAttestation, 0, 1, 0, maxGPUReport},
	{InstanceID, 1, 1, 0, 20},
	{BootMRDone, 1, 1, 0, 0},
	{OSImageHash, 0, 1, 0, 32},
	{KeyProvider, 1, 1, 2, maxKeyProvider},
	{StorageFS, 0, 1, 1, 64},
	{SystemReady, 1, 1, 0, 0},
}

// SystemEvents returns the names of the system's events in the order of the boot.
func SystemEvents() []string {
	var names []string
	for _, s := range systemEvents {
		names = append(names, s.Name)
	}
	return names
}

// A Runtime is what a guest reports of itself in RTMR3. It is as good as the log that it was read from: only a log that
// replays to the register of a verified quote says what was extended.
type Runtime struct {
	System      []mr.Event // from system-preparing to system-ready, both included
	Application []mr.Event // after system-ready: whatever the application extends, under any name

	AppID       [20]byte
	ComposeHash [32]byte // SHA-256 of the bytes of app-compose.json
	InstanceID  []byte   // 20 bytes; empty where the application asks for none
	KeyProvider KeyProviderInfo
	OSImageHash []byte // 32 bytes; nil where there is no such event, empty where the KMS named none

	RTMR3     mr.Digest // of all events
	BootRTMR3 mr.Digest // up to boot-mr-done
}

// A KeyProviderInfo is the payload of a key-provider event: who gave the guest its keys.
type KeyProviderInfo struct {
	Name string // "none", "local-sgx", "kms" or "tpm"
	ID   string // hexadecimal as written: the KMS's public key, the MRENCLAVE of the local provider
}

// A RuntimeError says which event of a log breaks the rules for RTMR3.
type RuntimeError struct {
	Index int    // of the event in the whole log; -1 where one is missing
	Event string // its name
	Msg   string
}

func (e *RuntimeError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("dstack runtime events: %s %s", e.Event, e.Msg)
	}
	return fmt.Sprintf("dstack runtime events: event %d, %.60q: %s", e.Index, e.Event, e.Msg)
}

// ParseRuntime takes a guest's own events out of a log's and holds them to the rules: RTMR3 is extended by runtime events
// alone; the system's events come first, in order, each as often as it may occur, from system-preparing to system-ready.
// The digest of every event must follow from its name and payload. Events after system-ready are the application's and
// say nothing of the system, whatever their names. The error is a *RuntimeError.
func ParseRuntime(events []mr.Event) (*Runtime, error) {
	r := &Runtime{}
	place, count := 0, 0
	for i := range events {
		e := &events[i]
		name := e.Measured.What
		if e.Register != mr.RTMR3 {
			if e.Type == RuntimeEvent {
				return nil, &RuntimeError{i, name, fmt.Sprintf("extends %v, want %v", e.Register, mr.RTMR3)}
			}
			continue
		}
		if err := checkRuntime(i, e); err != nil {
			return nil, err
		}
		r.RTMR3 = r.RTMR3.Extend(e.Measured.Digest)
		if place == len(systemEvents) {
			r.Application = append(r.Application, *e)
			continue
		}
		for place < len(systemEvents) && systemEvents[place].Name != name {
			if count < systemEvents[place].Min {
				return nil, misplaced(i, name, systemEvents[place].Name)
			}
			place, count = place+1, 0
		}
		if place == len(systemEvents) {
			return nil, misplaced(i, name, SystemReady)
		}
		s := &systemEvents[place]
		if count++; count > s.Max {
			return nil, &RuntimeError{i, name, fmt.Sprintf("occurs more than %d times before %s", s.Max, SystemReady)}
		}
		if n := len(e.Data); n < s.Len || n > s.Most {
			return nil, &RuntimeError{i, name, fmt.Sprintf("has a payload of %d bytes, want %d to %d", n, s.Len, s.Most)}
		}
		r.System = append(r.System, *e)
		if err := r.take(i, e); err != nil {
			return nil, err
		}
		if name == SystemReady {
			place = len(systemEvents)
		}
	}
	if place < len(systemEvents) {
		if len(r.System) == 0 {
			return nil, &RuntimeError{-1, SystemPreparing, "is missing: the log has no runtime events"}
		}
		return nil, &RuntimeError{-1, SystemReady, "is missing: the system had not finished its boot"}
	}
	return r, nil
}

// misplaced says why an event cannot stand where another one is due.
func misplaced(i int, name, due string) error {
	msg := "stands where " + due + " is due"
	if !slices.Contains(SystemEvents(), name) {
		msg = "is not an event of the system, and stands where " + due + " is due"
	}
	return &RuntimeError{i, name, msg}
}

// checkRuntime recomputes the digest of an event of RTMR3, for callers whose events do not come from ParseEventLog.
func checkRuntime(i int, e *mr.Event) error {
	if e.Type != RuntimeEvent {
		return &RuntimeError{i, e.Measured.What, fmt.Sprintf("is of type %v, want %v alone in %v", e.Type, RuntimeEvent, mr.RTMR3)}
	}
	if d := e.Measured.Digest; d != mr.Sum(runtimePreimage(e.Measured.What, e.Data)) && d != mr.Sum(canonicalPreimage(e.Measured.What, e.Data)) {
		return &RuntimeError{i, e.Measured.What, "has a digest that its name and payload do not lead to"}
	}
	return nil
}

// take stores what an event says.
func (r *Runtime) take(i int, e *mr.Event) error {
	switch e.Measured.What {
	case AppID:
		copy(r.AppID[:], e.Data)
	case ComposeHash:
		copy(r.ComposeHash[:], e.Data)
	case InstanceID:
		if n := len(e.Data); n != 0 && n != 20 {
			return &RuntimeError{i, InstanceID, fmt.Sprintf("has a payload of %d bytes, want 20 or none", n)}
		}
		r.InstanceID = e.Data
	case OSImageHash:
		if n := len(e.Data); n != 0 && n != 32 {
			return &RuntimeError{i, OSImageHash, fmt.Sprintf("has a payload of %d bytes, want 32 or none", n)}
		}
		r.OSImageHash = append([]byte{}, e.Data...)
	case KeyProvider:
		info, err := parseKeyProvider(e.Data)
		if err != nil {
			return &RuntimeError{i, KeyProvider, err.Error()}
		}
		r.KeyProvider = info
	case BootMRDone:
		r.BootRTMR3 = r.RTMR3
	}
	return nil
}

// parseKeyProvider reads {"name":"kms","id":"…"}.
func parseKeyProvider(payload []byte) (KeyProviderInfo, error) {
	doc, err := strictjson.Parse(KeyProvider, payload)
	if err != nil {
		return KeyProviderInfo{}, err
	}
	o := strictjson.NewReader(KeyProvider, doc)
	info := KeyProviderInfo{Name: o.String("name"), ID: o.String("id")}
	o.End()
	return info, o.Err()
}

// Find returns the payloads of the system's events of a name, in order.
func (r *Runtime) Find(name string) [][]byte { return payloads(r.System, name) }

// FindApplication returns the payloads of the application's events of a name, in order. An event of version 1 is taken by
// what it hashes, which does not say at which colon the name ends: whoever shows a log could split "a:b" either way.
func (r *Runtime) FindApplication(name string) [][]byte {
	var out [][]byte
	for i := range r.Application {
		if p, ok := readAs(&r.Application[i], name); ok {
			out = append(out, p)
		}
	}
	return out
}

// readAs returns the payload that an event has if its name is read as name, and whether it can be.
func readAs(e *mr.Event, name string) (payload []byte, ok bool) {
	if e.Measured.What == name {
		return e.Data, true
	}
	hashed := runtimePreimage(e.Measured.What, e.Data)
	if mr.Sum(hashed) != e.Measured.Digest {
		return nil, false // of version 2, which has one reading
	}
	return bytes.CutPrefix(hashed, runtimePreimage(name, nil))
}

func payloads(events []mr.Event, name string) [][]byte {
	var out [][]byte
	for i := range events {
		if events[i].Measured.What == name {
			out = append(out, events[i].Data)
		}
	}
	return out
}

// Imitations returns the names of the system that the application used for events of its own. A reader that takes the
// last event of a name, or looks at a log without its order, would believe them.
func (r *Runtime) Imitations() []string {
	var names []string
	seen := map[string]bool{}
	for i := range r.Application {
		name := r.Application[i].Measured.What
		if seen[name] {
			continue
		}
		seen[name] = true
		first, _, _ := strings.Cut(name, ":") // a reading of what version 1 hashes
		if slices.ContainsFunc(systemEvents, func(s systemEvent) bool { return strings.EqualFold(s.Name, first) }) {
			names = append(names, name)
		}
	}
	return names
}

// AppendRuntimeEvent appends the event of a name and payload as a version 1 log has it, its digest computed.
func AppendRuntimeEvent(events []mr.Event, name string, payload []byte) []mr.Event {
	b := runtimePreimage(name, payload)
	return append(events, mr.Event{Register: mr.RTMR3, Type: RuntimeEvent, Data: payload,
		Measured: mr.Measured{What: name, Bytes: b, Digest: mr.Sum(b)}})
}

// tooMuch is the error of a function whose argument is longer than it may be.
func tooMuch(format, field string, got, most int) error {
	return &bin.FormatError{Format: format, Field: field, Err: bin.ErrUnsupported, Msg: fmt.Sprintf("is %d bytes, want at most %d", got, most)}
}

// Package manifest reads and writes reference values: an in-toto statement that lists, for the shapes of one product's
// image, what a TD's registers hold, whole variant by whole variant.
//
// A statement is signed in an envelope of package manifest/dsse. Open checks the signatures against a trust policy, and
// only then looks at what was signed. docs/MANIFEST.md describes the format.
package manifest

import (
	"encoding/hex"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tdxkit/tdxkit/mr"
)

// The types of the statements. A version of a predicate is never changed once it was published: readers refuse what
// they do not know.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://github.com/tdxkit/tdxkit/predicate/reference-values/v1"
	RebuildType   = "https://github.com/tdxkit/tdxkit/predicate/rebuild/v1"
	PayloadType   = "application/vnd.in-toto+json"
)

// Bounds on a statement.
const (
	MaxStatement  = 64 << 20 // bytes; 10,000 variants with their registers have 2 to 5 MiB, with their events 8 MiB
	MaxVariants   = 1 << 17  // every vCPU count that QEMU takes with 32 sizes of RAM
	maxPool       = 1 << 20  // digests, platforms and layouts
	maxSubjects   = 64       // inputs; an image has four, a product some images
	maxEvents     = 4096     // of one variant; a boot with GRUB has a hundred
	maxText       = 4096     // bytes of a string
	maxArguments  = 4096     // of a command line
	maxList       = 256      // items of a small list
	maxSerial     = 1 << 53  // exact in every JSON reader
	maxCPUs       = 1 << 16
	maxMemory     = 1 << 52 // bytes; the largest guest physical address space
	maxEvaluation = 1 << 32
)

// A Header is all that a manifest says beside its variants.
type Header struct {
	Subjects  []Subject
	Product   Product
	Serial    uint64 // grows with every manifest of a product, also where the version does not
	IssuedAt  time.Time
	NotBefore time.Time
	Expires   time.Time // no longer good from then on
	Tool      Tool
	Source    *Source // nil where it is not told
	Launch    *Launch // nil where it is not told
	Policy    *Policy // nil where nothing is asked of the TD beside its registers
}

// A Subject is one input of the image: a file, or the kernel's command line.
type Subject struct {
	// Name is the input's role: firmware, kernel, initrd, shim or cmdline. A further one with the same role has a label after
	// a slash: kernel/debug. Other names are free, and no variant depends on them.
	Name   string
	SHA256 [32]byte
	SHA384 mr.Digest
}

// Role returns the name without its label.
func (s *Subject) Role() string {
	role, _, _ := strings.Cut(s.Name, "/")
	return role
}

// apart names the digest in which s and other differ, and gives both.
func (s *Subject) apart(other *Subject) (name, is, others string) {
	if s.SHA384 == other.SHA384 {
		return "sha256", hex.EncodeToString(s.SHA256[:]), hex.EncodeToString(other.SHA256[:])
	}
	return "sha384", s.SHA384.String(), other.SHA384.String()
}

// Roles are the inputs that a variant boots.
var Roles = []string{"firmware", "kernel", "initrd", "shim", "cmdline"}

// A Product is what the manifest is about. Name is what a trust policy goes by.
type Product struct{ Name, Version string }

// A Tool made the manifest.
type Tool struct{ Name, Version string }

// A Source is where the inputs come from.
type Source struct {
	Repository   string // URI
	Commit       string
	Recipe       string // how to build it, for people
	Dependencies []Dependency
}

// A Dependency is what else a build takes.
type Dependency struct {
	Name, URI, Version string // only Name must be there
	SHA256             string // hex; empty where it is not told
}

// A Launch holds facts of the firmware from which other tools compute registers by themselves.
type Launch struct {
	SinglePass, TwoPass mr.Digest // MRTD by the VMM's order of adding and extending pages
	HOBBase             uint64    // guest-physical address of the TD HOB
	Accepted            []Region  // memory that is accepted before the firmware runs, by address
}

// A Region is a run of guest-physical memory, in bytes.
type Region struct{ Start, Len uint64 }

// A Platform is what variants have in common: the VMM, and the part of its command line that does not vary.
type Platform struct {
	QEMU      string   // release, "10.1.0"
	Machine   string   // "pc-q35-10.1"
	Devices   string   // what the author calls the set of devices, or ""
	Arguments []string // QEMU's arguments but for the program, the inputs, vCPUs and memory; may be empty
	Inputs    []int    // the subjects that are booted, as indexes into Header.Subjects
}

// Registers are MRTD and RTMR0 to RTMR2 of one variant.
type Registers [4]mr.Digest

// A Variant is one shape with all of its registers. It matches evidence whole or not at all.
type Variant struct {
	ID        string // unique in the manifest, "qemu10.1-4cpu-8GiB"
	Platform  *Platform
	CPUs      int
	Memory    uint64 // bytes
	Registers Registers
	// Events are what RTMR0 to RTMR2 were extended with, in boot order; nil where the manifest does not list them. They
	// have a rule, a register, a type, a digest and a few words on what is measured.
	Events []mr.Event
}

// Values returns the registers as mr has them; RTMR3 is zero.
func (r *Registers) Values() mr.Values {
	var v mr.Values
	copy(v[:], r[:])
	return v
}

// CheckEvents reports whether the events, if there are any, lead to the registers.
func (v *Variant) CheckEvents() error {
	if v.Events == nil {
		return nil
	}
	got, err := mr.Replay(v.Events)
	if err != nil {
		return fmt.Errorf("variant %q: %w", v.ID, err)
	}
	for r := mr.RTMR0; r <= mr.RTMR2; r++ {
		if got[r] != v.Registers[r] {
			return fmt.Errorf("variant %q: its events extend %v to %v, want %v", v.ID, r, got[r], v.Registers[r])
		}
	}
	return nil
}

// A Manifest is a statement that was read. Variants are kept packed: what they share is held once.
type Manifest struct {
	Header
	Platforms []Platform
	SHA256    [32]byte // of the statement's bytes

	digests  []mr.Digest
	layouts  [][]mr.Event // without digests
	variants []packed
	events   []uint32 // digests of all variants' events, one after the other
}

// A packed variant refers to the manifest's lists by index.
type packed struct {
	id        string
	memory    uint64
	platform  uint32
	cpus      uint32
	registers [4]uint32
	layout    int32 // -1 is none
	events    int   // index of the first in Manifest.events
}

// Len returns the number of variants.
func (m *Manifest) Len() int { return len(m.variants) }

// Variant returns variant i. Its platform points into m.
func (m *Manifest) Variant(i int) Variant {
	p := &m.variants[i]
	v := Variant{ID: p.id, Platform: &m.Platforms[p.platform], CPUs: int(p.cpus), Memory: p.memory}
	for r := range v.Registers {
		v.Registers[r] = m.digests[p.registers[r]]
	}
	if p.layout >= 0 {
		layout := m.layouts[p.layout]
		v.Events = make([]mr.Event, len(layout))
		copy(v.Events, layout)
		for k := range v.Events {
			v.Events[k].Measured.Digest = m.digests[m.events[p.events+k]]
		}
	}
	return v
}

// Registers returns the registers of variant i.
func (m *Manifest) Registers(i int) *Registers {
	var out Registers
	for r := range out {
		out[r] = m.digests[m.variants[i].registers[r]]
	}
	return &out
}

// All returns the variants in their order.
func (m *Manifest) All() iter.Seq2[int, Variant] {
	return func(yield func(int, Variant) bool) {
		for i := range m.variants {
			if !yield(i, m.Variant(i)) {
				return
			}
		}
	}
}

// Check looks at what Parse leaves out because a verifier gains nothing from it: that each variant's events lead to its
// registers. Whoever signs a manifest should ask.
func (m *Manifest) Check() error {
	for _, v := range m.All() {
		if err := v.CheckEvents(); err != nil {
			return err
		}
	}
	return nil
}

// Subject returns the subject with this name, or nil.
func (h *Header) Subject(name string) *Subject {
	for i := range h.Subjects {
		if h.Subjects[i].Name == name {
			return &h.Subjects[i]
		}
	}
	return nil
}

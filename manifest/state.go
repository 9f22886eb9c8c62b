package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/internal/strictjson"
)

// StateSchema is the schema of a state file.
const StateSchema = "tdxkit.manifest-state/v1"

// A State remembers, for each product, the newest manifest that was accepted, so that an older one is refused later. It
// is a file of the relying party.
type State struct {
	Products []SeenProduct // by name
}

// A SeenProduct is the newest manifest of a product that was accepted.
type SeenProduct struct {
	Name   string
	Serial uint64
	SHA256 [32]byte // of the statement
}

// ParseState reads a state file.
func ParseState(data []byte) (*State, error) {
	if len(data) > maxTrust {
		return nil, fmt.Errorf("state has %d bytes, at most %d are read", len(data), maxTrust)
	}
	s := &State{}
	r := &reader{Decoder: strictjson.NewDecoder("manifest state", data)}
	r.Object([]field{
		{Name: "schema", Read: func() { r.literal("schema", StateSchema) }},
		{Name: "products", Read: func() {
			r.list("products", maxProducts, func() {
				var p SeenProduct
				r.Object([]field{
					r.text("name", &p.Name),
					{Name: "serial", Read: func() { p.Serial = r.Uint("serial", maxSerial) }},
					{Name: "sha256", Read: func() { r.Hex("sha256", p.SHA256[:]) }},
				})
				s.Products = append(s.Products, p)
			})
		}},
	})
	if err := r.End(); err != nil {
		return nil, err
	}
	for i := 1; i < len(s.Products); i++ {
		if s.Products[i-1].Name >= s.Products[i].Name {
			return nil, fmt.Errorf("manifest state: product %q is out of order, or occurs twice", s.Products[i].Name)
		}
	}
	return s, nil
}

// Append appends the state file.
func (s *State) Append(b []byte) []byte {
	o := openObject(b)
	o.str("schema", StateSchema)
	o.raw("products", func(b []byte) []byte {
		b = append(b, '[')
		for i, p := range s.Products {
			if i > 0 {
				b = append(b, ',')
			}
			e := openObject(append(b, '\n'))
			e.str("name", p.Name)
			e.uint("serial", p.Serial)
			e.hex("sha256", p.SHA256[:])
			b = e.close()
		}
		return append(b, "\n]"...)
	})
	return append(o.close(), '\n')
}

func (s *State) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s.Products, name, func(p SeenProduct, name string) int { return strings.Compare(p.Name, name) })
}

// Newest returns the serial number of the newest manifest of a product that was accepted; 0 without one.
func (s *State) Newest(product string) uint64 {
	if i, seen := s.find(product); seen {
		return s.Products[i].Serial
	}
	return 0
}

// check refuses a manifest that is older than one that was accepted, and a second one with the same serial number. A nil
// state refuses nothing.
func (s *State) check(m *Manifest) error {
	if s == nil {
		return nil
	}
	i, seen := s.find(m.Product.Name)
	switch {
	case !seen:
		return nil
	case m.Serial < s.Products[i].Serial:
		return reject(SerialTooOld, "its serial number is %d, and %d was accepted before", m.Serial, s.Products[i].Serial)
	case m.Serial == s.Products[i].Serial && m.SHA256 != s.Products[i].SHA256:
		return reject(SerialReused, "another manifest with serial number %d was accepted before", m.Serial)
	}
	return nil
}

// Accept remembers a manifest that was opened with this state, and reports whether that changed the state.
func (s *State) Accept(o *Opened) bool {
	now := SeenProduct{o.Product.Name, o.Serial, o.SHA256}
	i, seen := s.find(now.Name)
	switch {
	case !seen:
		s.Products = slices.Insert(s.Products, i, now)
	case now.Serial > s.Products[i].Serial:
		s.Products[i] = now
	default:
		return false
	}
	return true
}

package manifest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// maxRebuild bounds a rebuild statement, in bytes.
const maxRebuild = 1 << 20

// A Rebuild is a statement that someone built a product's inputs from its source again, and which digests came out.
type Rebuild struct {
	Subjects []Subject // what came out
	Product  Product
	Source   Source // what it was built from
	BuiltAt  time.Time
	Tool     Tool
}

// Append returns the statement.
func (b *Rebuild) Append() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	out := appendStatement(nil, b.Subjects, RebuildType)
	o := openObject(out)
	o.raw("product", b.Product.append)
	o.raw("source", b.Source.append)
	o.time("builtAt", b.BuiltAt)
	o.raw("tool", (*Product)(&b.Tool).append)
	return append(o.close(), "}\n"...), nil
}

func (b *Rebuild) check() error {
	if err := checkTexts([]text{
		{"product.name", b.Product.Name, false}, {"product.version", b.Product.Version, false},
		{"tool.name", b.Tool.Name, false}, {"tool.version", b.Tool.Version, false},
	}); err != nil {
		return err
	}
	if b.BuiltAt.IsZero() || b.BuiltAt.Nanosecond() != 0 {
		return fmt.Errorf("builtAt is %v, want whole seconds", b.BuiltAt)
	}
	if err := b.Source.check(); err != nil {
		return err
	}
	return checkSubjects(b.Subjects)
}

// ParseRebuild reads a rebuild statement. It does not ask who made it.
func ParseRebuild(data []byte) (*Rebuild, error) {
	if len(data) > maxRebuild {
		return nil, fmt.Errorf("rebuild statement has %d bytes, at most %d are read", len(data), maxRebuild)
	}
	b := &Rebuild{}
	r := &reader{Decoder: strictjson.NewDecoder("rebuild statement", data)}
	r.statement(&b.Subjects, RebuildType, func() {
		r.Object([]field{
			{Name: "product", Read: r.product(&b.Product)},
			{Name: "source", Read: func() { b.Source = *r.source() }},
			r.time("builtAt", &b.BuiltAt),
			{Name: "tool", Read: r.product((*Product)(&b.Tool))},
		})
	})
	if err := r.End(); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("rebuild statement: %w", err)
	}
	return b, nil
}

// Confirms says in what the statement does not confirm a manifest's subjects of these names, or nil. No names are all
// that are files: every subject but the kernel's command line, which nobody builds.
func (b *Rebuild) Confirms(h *Header, names []string) error {
	switch {
	case b.Product != h.Product:
		return fmt.Errorf("is about %s %s, want %s %s", b.Product.Name, b.Product.Version, h.Product.Name, h.Product.Version)
	case h.Source == nil:
		return fmt.Errorf("cannot be held against the manifest, which names no source")
	case b.Source.Repository != h.Source.Repository || b.Source.Commit != h.Source.Commit:
		return fmt.Errorf("is built from %s at %s, want %s at %s", b.Source.Repository, b.Source.Commit, h.Source.Repository, h.Source.Commit)
	}
	if len(names) == 0 {
		for i := range h.Subjects {
			if h.Subjects[i].Role() != "cmdline" {
				names = append(names, h.Subjects[i].Name)
			}
		}
	}
	for _, n := range names {
		want := h.Subject(n)
		i := slices.IndexFunc(b.Subjects, func(s Subject) bool { return s.Name == n })
		switch {
		case want == nil:
			return fmt.Errorf("the manifest has no subject %q, which the policy wants rebuilt", n)
		case i < 0:
			return fmt.Errorf("leaves out %q", n)
		case b.Subjects[i] != *want:
			digest, got, want := b.Subjects[i].apart(want)
			return fmt.Errorf("%s came out as %s %s, want %s", n, digest, got, want)
		}
	}
	return nil
}

// rebuilders counts the rebuild statements that confirm the manifest. A statement by a trusted rebuilder that
// contradicts it is a rejection, even where enough others confirm it.
func (t *Trust) rebuilders(p *TrustedProduct, m *Manifest, signed []*dsse.PublicKey, o OpenOptions) ([]string, error) {
	if p.Rebuilds == nil {
		return nil, nil
	}
	var good, why []string
	for i, data := range o.Rebuilds {
		payload, by, err := t.openEnvelope(data)
		if err != nil {
			return nil, fmt.Errorf("rebuild statement %d: %w", i, err)
		}
		b, err := ParseRebuild(payload)
		if err != nil {
			return nil, err
		}
		for _, k := range by {
			name := t.keyOf(k).Name
			bad := p.rebuilderFault(t.keyOf(k), b.BuiltAt, o.Now)
			if bad == "" {
				// Asked of every statement, also of one that would not count: a second one by a key may contradict the first.
				if err := b.Confirms(&m.Header, p.Rebuilds.Subjects); err != nil {
					return nil, reject(BadRebuild, "the rebuild statement by %q %v", name, err)
				}
			}
			switch {
			case bad != "":
			case slices.ContainsFunc(signed, func(s *dsse.PublicKey) bool { return s.ID() == k.ID() }):
				bad = fmt.Sprintf("key %q signed the manifest itself", name)
			case slices.Contains(good, name):
				bad = fmt.Sprintf("key %q is counted already", name)
			}
			if bad != "" {
				why = append(why, bad)
				continue
			}
			good = append(good, name)
		}
	}
	if len(good) < p.Rebuilds.Threshold {
		return nil, reject(TooFewRebuilt, "%d of the %d rebuilds that the policy asks for are good%s", len(good), p.Rebuilds.Threshold, because(why))
	}
	return good, nil
}

// rebuilderFault says why a key does not rebuild the product, or did not when it says it built, or "".
func (p *TrustedProduct) rebuilderFault(k *TrustedKey, built, now time.Time) string {
	if !slices.Contains(p.Rebuilds.Keys, k.Name) {
		return fmt.Sprintf("key %q does not rebuild this product", k.Name)
	}
	if bad := k.goodAt(now, "and it is"); bad != "" {
		return bad
	}
	return k.goodAt(built, "and it was built at")
}

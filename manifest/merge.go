package manifest

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/tdxkit/tdxkit/mr"
)

// Merge writes a statement with the variants of several manifests of one product and version. Subjects are joined by
// name: two inputs with one name must be the same. Source, launch facts and policy are those of all manifests, which must
// agree; serial number, times and tool are h's. A variant that occurs in two manifests with the same content stands once.
func Merge(w io.Writer, h Header, manifests ...*Manifest) error {
	if len(manifests) == 0 {
		return fmt.Errorf("no manifests to merge")
	}
	first := manifests[0]
	h.Product, h.Source, h.Launch, h.Policy, h.Subjects = first.Product, first.Source, first.Launch, first.Policy, nil
	inputs := make([][]int, len(manifests)) // of each manifest, the number of each subject in the result
	for i, m := range manifests {
		if err := mergeable(first, m); err != nil {
			return err
		}
		for _, s := range m.Subjects {
			n := slices.IndexFunc(h.Subjects, func(t Subject) bool { return t.Name == s.Name })
			switch {
			case n < 0:
				n = len(h.Subjects)
				h.Subjects = append(h.Subjects, s)
			case h.Subjects[n] != s:
				digest, one, other := h.Subjects[n].apart(&s)
				return fmt.Errorf("the manifests differ in the subject %q: %s %s and %s", s.Name, digest, one, other)
			}
			inputs[i] = append(inputs[i], n)
		}
	}
	out, err := NewWriter(w, &h)
	if err != nil {
		return err
	}
	type place struct{ manifest, variant int }
	seen := map[string]place{} // of each ID
	platforms := make([][]Platform, len(manifests))
	at := func(p place) Variant {
		v := manifests[p.manifest].Variant(p.variant)
		v.Platform = &platforms[p.manifest][manifests[p.manifest].variants[p.variant].platform]
		return v
	}
	for i, m := range manifests {
		platforms[i] = renumber(m.Platforms, inputs[i])
		for k := range m.Len() {
			v := at(place{i, k})
			if first, ok := seen[v.ID]; ok {
				if have := at(first); !have.sameAs(&v) {
					return fmt.Errorf("the manifests have different variants with the ID %q", v.ID)
				}
				continue
			}
			seen[v.ID] = place{i, k}
			if err := out.Add(&v); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

// sameAs reports whether two variants of one statement say the same.
func (v *Variant) sameAs(o *Variant) bool {
	return v.CPUs == o.CPUs && v.Memory == o.Memory && v.Registers == o.Registers && (v.Events == nil) == (o.Events == nil) &&
		bytes.Equal(appendPlatform(nil, v.Platform), appendPlatform(nil, o.Platform)) &&
		bytes.Equal(appendLayout(nil, v.Events), appendLayout(nil, o.Events)) &&
		slices.EqualFunc(v.Events, o.Events, func(a, b mr.Event) bool { return a.Measured.Digest == b.Measured.Digest })
}

func mergeable(a, b *Manifest) error {
	switch {
	case a.Product != b.Product:
		return fmt.Errorf("the manifests are about %s %s and %s %s", a.Product.Name, a.Product.Version, b.Product.Name, b.Product.Version)
	case string(appendShared(&a.Header)) != string(appendShared(&b.Header)):
		return fmt.Errorf("the manifests differ in source, launch or policy")
	}
	return nil
}

// appendShared appends what all merged manifests must agree in.
func appendShared(h *Header) []byte {
	var b []byte
	if h.Source != nil {
		b = h.Source.append(b)
	}
	if h.Launch != nil {
		b = h.Launch.append(append(b, "launch"...))
	}
	if h.Policy != nil {
		b = h.Policy.append(append(b, "policy"...))
	}
	return b
}

func renumber(list []Platform, inputs []int) []Platform {
	out := slices.Clone(list)
	for i := range out {
		out[i].Inputs = make([]int, len(list[i].Inputs))
		for k, n := range list[i].Inputs {
			out[i].Inputs[k] = inputs[n]
		}
		slices.Sort(out[i].Inputs)
	}
	return out
}

package manifest

import (
	"fmt"
	"io"
	"slices"
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
				return fmt.Errorf("the manifests differ in the subject %q: sha384 %s and %s", s.Name, h.Subjects[n].SHA384, s.SHA384)
			}
			inputs[i] = append(inputs[i], n)
		}
	}
	out, err := NewWriter(w, &h)
	if err != nil {
		return err
	}
	seen := map[string]string{} // the content of variants by ID
	for i, m := range manifests {
		platforms := renumber(m.Platforms, inputs[i])
		for k, v := range m.All() {
			v.Platform = &platforms[m.variants[k].platform]
			content := fmt.Sprint(*v.Platform, v.CPUs, v.Memory, v.Registers, v.Events)
			if have, ok := seen[v.ID]; ok {
				if have != content {
					return fmt.Errorf("the manifests have different variants with the ID %q", v.ID)
				}
				continue
			}
			seen[v.ID] = content
			if err := out.Add(&v); err != nil {
				return err
			}
		}
	}
	return out.Close()
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

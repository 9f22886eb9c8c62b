package export

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
)

func TestEveryFormatSaysWhatItLoses(t *testing.T) {
	for _, f := range Formats {
		if len(f.Loses) < 20 || len(f.What) < 5 || strings.ContainsAny(f.Loses, "\n") {
			t.Errorf("%s loses %q, for %q", f.Name, f.Loses, f.What)
		}
	}
	if _, err := Find("xml"); err == nil || !strings.Contains(err.Error(), "sigstore-bundle") {
		t.Errorf("%v, want a list of the formats", err)
	}
}

// TestWhatIsLostIsSaid changes one thing of a manifest at a time. A format whose bytes stay the same has lost it, and has to
// say so by its word.
func TestWhatIsLostIsSaid(t *testing.T) {
	key := newKey(t, dsse.Ed25519)
	files := func(f *Format, change func(*manifest.Header, []manifest.Variant)) []File {
		m := statement(t, change)
		e := dsse.New(manifest.PayloadType, m.SHA256[:]) // stands for the statement
		if err := e.Sign(key); err != nil {
			t.Fatal(err)
		}
		files, err := f.Write(&Input{Manifest: m, Envelope: e, Signer: key, Key: key.Public()})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	lost := 0
	for i := range Formats {
		f := &Formats[i]
		before := files(f, nil)
		for _, tc := range []struct {
			word   string
			change func(h *manifest.Header, v []manifest.Variant)
		}{
			{"expiry", func(h *manifest.Header, _ []manifest.Variant) { h.Expires = h.Expires.AddDate(1, 0, 0) }},
			{"serial number", func(h *manifest.Header, _ []manifest.Variant) { h.Serial++ }},
			{"policy", func(h *manifest.Header, _ []manifest.Variant) { h.Policy = nil }},
			{"masks", func(h *manifest.Header, _ []manifest.Variant) {
				h.Policy.XFAM = &manifest.Mask{Mask: [8]byte{3}, Value: [8]byte{1}}
			}},
			{"dates", func(h *manifest.Header, _ []manifest.Variant) { h.Policy.MinimumTCB.Date = h.IssuedAt }},
			{"source", func(h *manifest.Header, _ []manifest.Variant) {
				h.Source = &manifest.Source{Repository: "r", Commit: "c"}
			}},
			{"events", func(_ *manifest.Header, v []manifest.Variant) { v[3].Events[0].Measured.What = "other words" }},
			{"shapes", func(_ *manifest.Header, v []manifest.Variant) { v[3].CPUs = 99 }},
		} {
			was := before
			if tc.word == "masks" { // of which one is there before
				was = files(f, func(h *manifest.Header, _ []manifest.Variant) {
					h.Policy.XFAM = &manifest.Mask{Mask: [8]byte{1}, Value: [8]byte{1}}
				})
			}
			if cmp.Diff(was, files(f, tc.change)) != "" {
				continue
			}
			lost++
			said := strings.Contains(f.Loses, tc.word) || strings.Contains(f.Loses, "everything but") ||
				strings.Contains(f.Loses, "policy") && (tc.word == "masks" || tc.word == "dates")
			if !said {
				t.Errorf("%s loses %s, and says that it loses: %s", f.Name, tc.word, f.Loses)
			}
		}
		if carried := f.Name == "sigstore-bundle"; !carried && !strings.Contains(f.Loses, "signature") && !strings.Contains(f.Loses, "everything but") {
			t.Errorf("%s loses the manifest's signatures, and says that it loses: %s", f.Name, f.Loses)
		}
	}
	if lost < 20 {
		t.Errorf("%d losses in all", lost)
	}
}

package compose_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dstack/compose"
	"github.com/tdxkit/tdxkit/internal/bin"
)

const sum = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestImages(t *testing.T) {
	got, err := compose.Images([]byte(`
x-base: &base
  image: docker.io/library/redis:7` + sum + `
services:
  web: {image: "nginx:1.27", ports: ["80:80"]}
  app:
    image: ghcr.io/org/app` + sum + `
  cache: {<<: *base, restart: always}
  local: {build: .}
  both: {build: {context: .}, image: "a/b` + sum + `"}
  variable: {image: "${IMAGE}"}
  upper: {image: "a@sha256:` + strings.Repeat("A", 64) + `"}
  short: {image: "a@sha256:0123"}
  other: {image: "a@sha512:` + strings.Repeat("a", 128) + `"}
  tail: {image: "a` + sum + `:latest"}
  child: {extends: {file: base.yml, service: web}}
  empty:
`))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, im := range got {
		list = append(list, fmt.Sprintf("%s %v", im.Service, im.Pinned))
		if im.Pinned != (im.Why == "") {
			t.Errorf("%s: pinned %v with the reason %q", im.Service, im.Pinned, im.Why)
		}
	}
	want := "app true, both false, cache true, child false, empty false, local false, other false, short false, tail false, upper false, variable false, web false"
	if s := strings.Join(list, ", "); s != want {
		t.Errorf("got %s\nwant %s", s, want)
	}
	if got, err := compose.Images([]byte("services: {}\n")); err != nil || len(got) != 0 {
		t.Errorf("no services: got %v, %v", got, err)
	}
}

func TestImagesRejects(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		p := string(c - 1)
		bomb += fmt.Sprintf("%c: &%c [*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s]\n", c, c, p, p, p, p, p, p, p, p, p)
	}
	for _, tc := range []struct {
		name, in string
		category error
	}{
		{"no YAML", "services: [", bin.ErrMalformed},
		{"empty", "", bin.ErrMalformed},
		{"service twice", "services:\n  a: {image: x}\n  a: {image: y}\n", bin.ErrMalformed},
		{"image twice", "services:\n  a:\n    image: x\n    image: y\n", bin.ErrMalformed},
		{"services twice", "services: {}\nservices: {}\n", bin.ErrMalformed},
		{"image is a list", "services:\n  a: {image: [x]}\n", bin.ErrMalformed},
		{"two documents", "services: {}\n---\nservices: {}\n", bin.ErrUnsupported},
		{"include", "include: [other.yml]\nservices: {}\n", bin.ErrUnsupported},
		{"aliases of aliases", bomb + "services: {a: {image: *j}}\n", bin.ErrMalformed},
		{"too long", strings.Repeat("#", bin.MaxJSON+1), bin.ErrUnsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := compose.Images([]byte(tc.in))
			var fe *bin.FormatError
			if !errors.As(err, &fe) || !errors.Is(err, tc.category) || got != nil {
				t.Errorf("got %v, %v, want a FormatError of %v", got, err, tc.category)
			}
		})
	}
}

func FuzzImages(f *testing.F) {
	f.Add([]byte("services: {a: {image: 'x" + sum + "'}, b: {build: .}}\n"))
	f.Add([]byte("x: &x {image: y}\nservices: {a: *x, b: {<<: *x}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		images, err := compose.Images(data)
		if err != nil && images != nil {
			t.Error("images and an error")
		}
		for _, im := range images {
			if im.Pinned && !strings.Contains(im.Ref, "@sha256:") {
				t.Errorf("%+v is pinned", im)
			}
		}
	})
}

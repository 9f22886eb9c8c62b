// Package compose finds the container images that a Docker Compose file starts, and says which of them are not pinned to
// their content. An app-compose.json commits to the text of its compose file; where that text names an image by a tag, it
// commits to nothing about what the tag points to.
//
// Source: the Compose Specification, "Services top-level elements", image, build and extends, and "Include".
package compose

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// maxFile bounds a compose file, in bytes: it stands in an app-compose.json.
const maxFile = bin.MaxJSON

// An Image is what one service starts.
type Image struct {
	Service string
	Ref     string // as the file names it; empty where it names none
	Pinned  bool   // by a SHA-256 digest in the reference
	Why     string // what leaves it open; empty where it is pinned
}

// file is a compose file as far as it says what is started.
type file struct {
	Services map[string]*service `yaml:"services"`
	Include  yaml.Node           `yaml:"include"`
}

type service struct {
	Image   string    `yaml:"image"`
	Build   yaml.Node `yaml:"build"`
	Extends yaml.Node `yaml:"extends"`
}

// digest is the end of a reference that names its content. OCI Distribution Specification 1.1, "Pulling manifests".
var digest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

// Images returns the images of a compose file, sorted by their services. A key that occurs twice is an error, as are a
// second document and a file that includes others: what they start is not in the text. The error is a *bin.FormatError.
func Images(data []byte) ([]Image, error) {
	if len(data) > maxFile {
		return nil, fail(bin.ErrUnsupported, "length", fmt.Sprintf("is %d bytes, want at most %d", len(data), maxFile))
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var f file
	if err := d.Decode(&f); err != nil {
		return nil, fail(bin.ErrMalformed, "YAML", err.Error())
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fail(bin.ErrUnsupported, "document", "is followed by another one")
	}
	if !f.Include.IsZero() {
		return nil, fail(bin.ErrUnsupported, "include", "names other files, which app-compose.json does not hold")
	}
	var images []Image
	for _, name := range slices.Sorted(maps.Keys(f.Services)) {
		s := f.Services[name]
		if s == nil {
			s = &service{}
		}
		images = append(images, s.judge(name))
	}
	return images, nil
}

func (s *service) judge(name string) Image {
	im := Image{Service: name, Ref: s.Image}
	switch {
	case !s.Build.IsZero():
		im.Why = "is built in the guest, from files that the text does not hold"
	case !s.Extends.IsZero():
		im.Why = "extends a service that may be in another file"
	case s.Image == "":
		im.Why = "names no image"
	case !digest.MatchString(s.Image):
		im.Why = "has no @sha256: digest: a tag can be moved"
	default:
		im.Pinned = true
	}
	return im
}

func fail(category error, field, msg string) error {
	return &bin.FormatError{Format: "compose file", Field: field, Msg: msg, Err: category}
}

// Package dstack reads what the dstack project publishes and reports about a guest: the metadata.json of an image, the
// checksum list that gives an image its os_image_hash, and the vm_config of a guest. It also reads the metadata.json of
// tdx-measure. Each of them turns into the QEMU command line that it stands for, so that a prediction shows what it
// assumed.
//
// The package reads bytes and never follows a path: callers open files. Documents are read strictly. A key that
// occurs twice, a value of the wrong type, a path that leaves its folder and a checksum line that sha256sum itself
// would be lenient about are errors.
package dstack

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// MetadataFile, SumsFile and DigestFile are the names that an image folder gives its own descriptions.
const (
	MetadataFile = "metadata.json"
	SumsFile     = "sha256sum.txt"
	DigestFile   = "digest.txt"
)

// A Launch is a QEMU command line that a document stands for.
type Launch struct {
	Args []string // the command line, program first; files as the document names them
	QEMU string   // release that the document names, "8.2.2"; empty where it names none
	// TwoPass says what the document claims of the order in which pages reach MRTD; nil where it claims nothing.
	TwoPass *bool
	// Assumed lists in words what the document leaves open and the command line settles.
	Assumed []string
}

// localPath checks that name is a relative path that stays inside the folder of the document that names it, and
// returns it in its shortest form.
func localPath(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("%w: is empty, want a file name", bin.ErrMalformed)
	case strings.ContainsAny(name, "\x00\\"):
		return "", fmt.Errorf("%w: %q has a NUL or a backslash", bin.ErrMalformed, name)
	case path.IsAbs(name):
		return "", fmt.Errorf("%w: %q is absolute, want a path inside the folder", bin.ErrMalformed, name)
	}
	clean := path.Clean(name)
	if !fs.ValidPath(clean) || clean == "." {
		return "", fmt.Errorf("%w: %q leaves the folder, want a path inside it", bin.ErrMalformed, name)
	}
	return clean, nil
}

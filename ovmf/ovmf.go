// Package ovmf reads OVMF flash images: the GUIDed table, firmware volumes with their files and sections, the variable
// store, and facts about the build that its bytes decide.
package ovmf

import (
	"fmt"
	"sync"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// An Image is a flash image. It keeps the slice that it was parsed from. It may be used by several goroutines.
type Image struct {
	Data  []byte
	Table []TableEntry // the GUIDed table, nil without one

	flash    []*Volume // volumes in the flash itself
	expand   func() ([]*Volume, error)
	findings func() (*Facts, error)
}

// Parse reads the volumes that lie in the flash, up to their compressed sections. Those are decompressed, once, by the
// first call of a method that looks inside.
func Parse(data []byte) (*Image, error) {
	return ParseIn(data, nil)
}

// ParseIn is Parse, with memory called for the bytes of each section that is decompressed. A nil memory is make.
func ParseIn(data []byte, memory func(size int) []byte) (*Image, error) {
	if len(data) > bin.MaxFirmware {
		return nil, &bin.FormatError{Format: "flash image", Field: "size", Err: bin.ErrUnsupported,
			Msg: fmt.Sprintf("is %d bytes, want at most %d", len(data), bin.MaxFirmware)}
	}
	table, err := ParseTable(data)
	if err != nil {
		return nil, err
	}
	img := &Image{Data: data, Table: table}
	p := &parser{files: maxFiles, bytes: maxExpanded, memory: memory}
	img.flash, err = p.flash(data)
	if err != nil {
		return nil, err
	}
	img.expand = sync.OnceValues(func() ([]*Volume, error) { return p.expandAll(img.flash) })
	img.findings = sync.OnceValues(func() (*Facts, error) { return findFacts(img) })
	return img, nil
}

// Flash returns the volumes that lie in the flash itself, without looking into compressed sections.
func (img *Image) Flash() []*Volume { return img.flash }

// Volumes returns all volumes, each before the ones inside it. The first call decompresses.
func (img *Image) Volumes() ([]*Volume, error) { return img.expand() }

// File returns the first file with the GUID, and nil where no volume has it. The first call decompresses.
func (img *Image) File(g efi.GUID) (*File, error) {
	return img.find(func(f *File) bool { return f.GUID == g })
}

// Find returns the first file whose user interface section has the name, and nil where no volume has it. The first
// call decompresses.
func (img *Image) Find(name string) (*File, error) {
	return img.find(func(f *File) bool { return f.Name == name })
}

func (img *Image) find(match func(*File) bool) (*File, error) {
	volumes, err := img.Volumes()
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		for _, f := range v.Files {
			if match(f) {
				return f, nil
			}
		}
	}
	return nil, nil
}

// Facts returns what the image's bytes say about the build. The first call decompresses.
func (img *Image) Facts() (*Facts, error) { return img.findings() }

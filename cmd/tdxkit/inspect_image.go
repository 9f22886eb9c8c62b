package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tdxkit/tdxkit/dstack"
)

type imageJSON struct {
	Schema      string          `json:"schema"`
	Folder      string          `json:"folder"`
	OSImageHash string          `json:"os_image_hash,omitempty"`
	Metadata    metadataJSON    `json:"metadata"`
	Files       []imageFileJSON `json:"files,omitempty"` // of sha256sum.txt, all of them checked
	Ignored     []string        `json:"ignored,omitempty"`
}

type metadataJSON struct {
	BIOS        string `json:"bios"`
	BIOSSEV     string `json:"bios_sev,omitempty"`
	Kernel      string `json:"kernel"`
	Initrd      string `json:"initrd"`
	Cmdline     string `json:"cmdline"`
	Rootfs      string `json:"rootfs,omitempty"`
	RootfsHash  string `json:"rootfs_hash,omitempty"`
	Version     string `json:"version,omitempty"`
	GitRevision string `json:"git_revision,omitempty"`
	OVMFVariant string `json:"ovmf_variant,omitempty"`
	SharedRO    bool   `json:"shared_ro"`
	IsDev       bool   `json:"is_dev"`
}

type imageFileJSON struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// inspectImage reads an image folder and holds every file that its list names to the list.
func inspectImage(p *printer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return inFile(dir, roleOther, err)
	}
	defer root.Close()
	im, err := dstack.ReadImage(root.FS())
	if err != nil {
		return inFolder(dir, err)
	}
	v := &imageJSON{Schema: "tdxkit.inspect.image/v1", Folder: dir, Metadata: newMetadataJSON(im.Metadata), Ignored: im.Metadata.Ignored}
	if im.HasHash {
		v.OSImageHash = fmt.Sprintf("%x", im.Hash)
	}
	for _, s := range im.Sums {
		got, err := sumFile(root, s.Name)
		if err == nil {
			err = im.Check(s.Name, got)
		}
		if err != nil {
			return inFolder(dir, err)
		}
		v.Files = append(v.Files, imageFileJSON{s.Name, fmt.Sprintf("%x", got)})
	}
	return p.result(v, func() { v.print(p) })
}

// newMetadataJSON is the metadata as the JSON output has it.
func newMetadataJSON(m *dstack.Metadata) metadataJSON {
	return metadataJSON{
		m.BIOS, m.BIOSSEV, m.Kernel, m.Initrd, m.Cmdline, m.Rootfs, m.RootfsHash, m.Version, m.GitRevision, m.OVMFVariant, m.SharedRO, m.IsDev,
	}
}

func sumFile(root *os.Root, name string) ([sha256.Size]byte, error) {
	f, err := root.OpenFile(name, openAtOnce, 0)
	if err != nil {
		return [sha256.Size]byte{}, &dstack.FileError{Name: name, Err: err}
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return [sha256.Size]byte{}, &dstack.FileError{Name: name, Err: cmp.Or(err, dstack.ErrNotRegular)}
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return [sha256.Size]byte{}, &dstack.FileError{Name: name, Err: err}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func (v *imageJSON) print(p *printer) {
	hash := v.OSImageHash
	if hash == "" {
		hash = "none, the folder has no sha256sum.txt"
	}
	m := v.Metadata
	rows := [][]string{
		{"folder", v.Folder}, {"os_image_hash", hash}, {"version", m.Version}, {"git revision", m.GitRevision},
		{"firmware", m.BIOS}, {"kernel", m.Kernel}, {"initrd", m.Initrd}, {"root disk", m.Rootfs}, {"command line", m.Cmdline},
		{"development image", fmt.Sprint(m.IsDev)}, {"not understood", strings.Join(v.Ignored, ", ")},
	}
	for i := 0; i < len(rows); i++ {
		if rows[i][1] == "" {
			rows = append(rows[:i], rows[i+1:]...)
			i--
		}
	}
	p.table(rows)
	if len(v.Files) == 0 {
		return
	}
	rows = [][]string{{"file, as listed", "SHA-256"}}
	for _, f := range v.Files {
		rows = append(rows, []string{f.Name, f.SHA256})
	}
	p.section(rows)
}

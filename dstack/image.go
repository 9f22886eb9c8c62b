package dstack

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// An Image is the folder of a dstack image: its metadata.json, and the checksum list where it has one.
type Image struct {
	Metadata *Metadata
	Sums     []Sum // nil without sha256sum.txt
	// Hash is the os_image_hash, the SHA-256 digest of sha256sum.txt. It holds for the files only once Check has passed
	// for each of them. HasHash is false without the list.
	Hash    [sha256.Size]byte
	HasHash bool
}

// A MismatchError says that a file does not have the digest that a list states.
type MismatchError struct {
	Name      string
	List      string // the file that states Want
	Want, Got [sha256.Size]byte
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s: SHA-256 digest is %x, %s says %x", e.Name, e.Got, e.List, e.Want)
}

// ErrUnlisted says that the checksum list leaves out a file that the guest boots, so that the os_image_hash says
// nothing of that file.
var ErrUnlisted = errors.New("is not in " + SumsFile + ", so os_image_hash does not cover it")

// ErrNotRegular is for folders, named pipes and devices.
var ErrNotRegular = errors.New("is not a regular file")

// A FileError names the file of an image folder that an error is about.
type FileError struct {
	Name string
	Err  error
}

func (e *FileError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// ReadImage reads the descriptions in an image folder: metadata.json, and sha256sum.txt where it is. With
// a list, metadata.json is checked against it, and digest.txt, where it is, against the list's own digest. The firmware, kernel and initrd
// are not read; they must be in the list. The caller's fsys must not follow symbolic links out of the folder, as that
// of os.Root does not.
func ReadImage(fsys fs.FS) (*Image, error) {
	data, err := readSmall(fsys, MetadataFile, bin.MaxJSON)
	if err != nil {
		return nil, err
	}
	m, err := ParseMetadata(data)
	if err != nil {
		return nil, err
	}
	im := &Image{Metadata: m}
	list, err := readSmall(fsys, SumsFile, bin.MaxSums)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return im, nil
	case err != nil:
		return nil, err
	}
	if im.Sums, err = ParseSums(list); err != nil {
		return nil, err
	}
	im.Hash, im.HasHash = sha256.Sum256(list), true
	for _, name := range []string{m.BIOS, m.Kernel, m.Initrd} {
		if _, ok := im.sum(name); !ok {
			return nil, &FileError{name, ErrUnlisted}
		}
	}
	if err := im.Check(MetadataFile, sha256.Sum256(data)); err != nil {
		return nil, err
	}
	if err := im.checkDigestFile(fsys); err != nil {
		return nil, err
	}
	return im, nil
}

func readSmall(fsys fs.FS, name string, most int64) ([]byte, error) {
	// A named pipe would be waited for, so what it is comes first.
	switch info, err := fs.Stat(fsys, name); {
	case err != nil:
		return nil, &FileError{name, err}
	case !info.Mode().IsRegular():
		return nil, &FileError{name, ErrNotRegular}
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, &FileError{name, err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, &FileError{name, err}
	}
	return data, nil
}

// checkDigestFile compares digest.txt, where it is, with the digest of the list.
func (im *Image) checkDigestFile(fsys fs.FS) error {
	data, err := readSmall(fsys, DigestFile, bin.MaxSums)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	want, err := ParseDigestFile(data)
	switch {
	case err != nil:
		return err
	case im.Hash != want:
		return &MismatchError{Name: SumsFile, List: DigestFile, Want: want, Got: im.Hash}
	}
	return nil
}

func (im *Image) sum(name string) ([sha256.Size]byte, bool) {
	for _, s := range im.Sums {
		if s.Name == name {
			return s.Digest, true
		}
	}
	return [sha256.Size]byte{}, false
}

// Check compares the SHA-256 digest of a file of the folder with the list. A file that the list does not name is
// ErrUnlisted. Without a list there is nothing to hold a file to, and Check passes: HasHash tells.
func (im *Image) Check(name string, got [sha256.Size]byte) error {
	if !im.HasHash {
		return nil
	}
	want, ok := im.sum(name)
	switch {
	case !ok:
		return &FileError{name, ErrUnlisted}
	case want != got:
		return &MismatchError{Name: name, List: SumsFile, Want: want, Got: got}
	}
	return nil
}

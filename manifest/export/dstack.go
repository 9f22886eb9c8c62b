package export

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/mr"
)

// dstackNames are the files of a dstack image by role, in the order of its sha256sum.txt.
var dstackNames = []struct{ subject, file string }{
	{"firmware", "ovmf.fd"}, {"kernel", "bzImage"}, {"initrd", "initramfs.cpio.gz"}, {"metadata.json", "metadata.json"},
}

// Names of files of a dstack image. Dstack-TEE/dstack 312dc605, dstack-types/src/lib.rs.
const (
	sumsFile        = "sha256sum.txt"
	measurementFile = "measurement.tdx.cbor"
	hashesFile      = "os-image-hashes.txt" // bytes32, one a line, for contracts
)

// dstack writes what identifies the image to dstack: the list of files whose SHA-256 digest is os_image_hash, that digest
// as a contract has it, and where the manifest lists events the measurement document of dstack's verifier.
func dstack(in *Input) ([]File, error) {
	m := in.Manifest
	var sums strings.Builder
	for _, n := range dstackNames {
		s := m.Subject(n.subject)
		if s == nil && n.subject == "metadata.json" {
			continue
		}
		if s == nil {
			return nil, fmt.Errorf("the manifest has no %s", n.subject)
		}
		fmt.Fprintf(&sums, "%x  %s\n", s.SHA256, n.file)
	}
	var files []File
	document, err := dstackMeasurement(m)
	var missing *missingError
	switch {
	case err == nil:
		files = append(files, File{measurementFile, document})
	case !errors.As(err, &missing):
		return nil, err
	}
	// The image's own list says what os_image_hash is; without it, the list here does.
	list := m.Subject(sumsFile)
	if list == nil && document != nil {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(document), measurementFile)
	}
	hash := sha256.Sum256([]byte(sums.String()))
	if list != nil && list.SHA256 != hash {
		return nil, fmt.Errorf("the image's %s is not the list of its firmware, kernel, initrd and metadata.json under dstack's names", sumsFile)
	}
	return append(files, File{sumsFile, []byte(sums.String())}, File{hashesFile, fmt.Appendf(nil, "0x%x\n", hash)}), nil
}

// A missingError says what the manifest lacks for a measurement document.
type missingError struct{ what string }

func (e *missingError) Error() string { return e.what }

// dstackMeasurement is the measurement document of version 3. Its kernel digest is one for all shapes, so that there is
// none where QEMU changes the kernel by shape.
func dstackMeasurement(m *manifest.Manifest) ([]byte, error) {
	if m.Launch == nil {
		return nil, &missingError{"the manifest has no launch facts"}
	}
	image := map[mr.RuleID]mr.Digest{}
	for _, v := range m.All() {
		if v.Events == nil {
			return nil, &missingError{"the manifest lists no events"}
		}
		for _, e := range v.Events {
			switch e.Rule {
			case ruleKernel, ruleCmdline, ruleInitrd:
				if have, ok := image[e.Rule]; ok && have != e.Measured.Digest {
					return nil, &missingError{fmt.Sprintf("%s differs by shape", e.Rule)}
				}
				image[e.Rule] = e.Measured.Digest
			case ruleSMBIOS:
				return nil, &missingError{"dstack has no name for firmware of edk2 202505 and later"}
			}
		}
	}
	for _, r := range []mr.RuleID{ruleKernel, ruleCmdline, ruleInitrd} {
		if _, ok := image[r]; !ok {
			return nil, &missingError{fmt.Sprintf("the manifest has no event %s", r)}
		}
	}
	witness, err := hobWitness(m.Launch)
	if err != nil {
		return nil, err
	}
	kernel, cmdline, initrd := image[ruleKernel], image[ruleCmdline], image[ruleInitrd]
	return cbor.Marshal(measurementDocument{
		Version: 3,
		Image:   imageDocument{cmdline[:], kernel[:], initrd[:]},
		TDVF:    tdvfDocument{"pre202505", mrtdDocument{m.Launch.SinglePass[:], m.Launch.TwoPass[:]}, witness},
	})
}

type measurementDocument struct {
	Version int           `cbor:"version"`
	Image   imageDocument `cbor:"image"`
	TDVF    tdvfDocument  `cbor:"tdvf"`
}

type imageDocument struct {
	Cmdline []byte `cbor:"cmdline_sha384"`
	Kernel  []byte `cbor:"kernel_authenticode"`
	Initrd  []byte `cbor:"initrd_sha384"`
}

type tdvfDocument struct {
	OVMF string       `cbor:"ovmf"`
	MRTD mrtdDocument `cbor:"mrtd"`
	HOB  []byte       `cbor:"td_hob"`
}

type mrtdDocument struct {
	SinglePass []byte `cbor:"single_pass"`
	TwoPass    []byte `cbor:"two_pass"`
}

// hobWitness is what the TD HOB of any memory size is made from: pages as unsigned LEB128, relative to the first.
func hobWitness(l *manifest.Launch) ([]byte, error) {
	const page = 4096
	base := l.Accepted[0].Start
	if l.HOBBase < base {
		return nil, errors.New("the TD HOB lies below the accepted memory")
	}
	if l.HOBBase%page != 0 {
		return nil, fmt.Errorf("the TD HOB at 0x%x is not at a page", l.HOBBase)
	}
	out := binary.AppendUvarint(nil, base/page)
	out = binary.AppendUvarint(out, (l.HOBBase-base)/page)
	out = binary.AppendUvarint(out, uint64(len(l.Accepted)))
	for _, r := range l.Accepted {
		if r.Start%page != 0 || r.Len%page != 0 {
			return nil, fmt.Errorf("the accepted region 0x%x+0x%x is not of whole pages", r.Start, r.Len)
		}
		out = binary.AppendUvarint(out, (r.Start-base)/page)
		out = binary.AppendUvarint(out, r.Len/page)
	}
	return out, nil
}

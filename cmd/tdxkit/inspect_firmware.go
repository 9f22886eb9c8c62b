package main

import (
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/tdvf"
)

type firmwareJSON struct {
	Schema    string         `json:"schema"`
	File      string         `json:"file"`
	Size      int            `json:"size"`
	SHA384    mr.Digest      `json:"sha384"`
	MRTD      *mrtdJSON      `json:"mrtd,omitempty"`
	NoMRTD    string         `json:"no_mrtd,omitempty"`
	Sections  []sectionJSON  `json:"tdvf_sections"`
	Volumes   []volumeJSON   `json:"volumes"`
	Facts     []factJSON     `json:"facts"`
	Variables []variableJSON `json:"variables"`
}

type mrtdJSON struct {
	SinglePass mr.Digest `json:"single_pass"`
	TwoPass    mr.Digest `json:"two_pass"`
}

type sectionJSON struct {
	Type          string `json:"type"`
	Attributes    string `json:"attributes"`
	Offset        uint32 `json:"offset"`
	RawSize       uint32 `json:"raw_size"`
	MemoryAddress string `json:"memory_address"`
	MemorySize    uint64 `json:"memory_size"`
}

type volumeJSON struct {
	Name       string `json:"name,omitempty"`
	FileSystem string `json:"file_system"`
	Offset     int64  `json:"offset"`
	Size       int    `json:"size"`
	Files      int    `json:"files"`
	Compressed bool   `json:"compressed"` // the offset is that in the decompressed data
}

type factJSON struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Evidence string `json:"evidence,omitempty"`
}

type variableJSON struct {
	Name  string `json:"name"`
	GUID  string `json:"guid"`
	State string `json:"state"`
	Size  int    `json:"size"`
}

func inspectFirmware(p *printer, path string) error {
	data, err := readFile(path, roleFirmware, bin.MaxFirmware)
	if err != nil {
		return err
	}
	f, err := predict.NewFirmware(data)
	if err != nil {
		return inFile(path, roleFirmware, err)
	}
	v := &firmwareJSON{Schema: "tdxkit.inspect.firmware/v1", File: path, Size: len(data), SHA384: mr.Sum(data)}
	if err := f.Metadata.Supported(); err != nil {
		v.NoMRTD = err.Error()
	} else {
		v.MRTD = &mrtdJSON{f.MRTD(tdvf.SinglePass), f.MRTD(tdvf.TwoPass)}
	}
	for _, s := range f.Metadata.Sections {
		v.Sections = append(v.Sections, sectionJSON{
			s.Type.String(), s.Attributes.String(), s.DataOffset, s.RawDataSize, fmt.Sprintf("0x%x", s.MemoryAddress), s.MemoryDataSize,
		})
	}
	if err := v.readImage(f); err != nil {
		return inFile(path, roleFirmware, err)
	}
	return p.result(v, func() { v.print(p) })
}

// readImage adds what lies in the volumes.
func (v *firmwareJSON) readImage(f *predict.Firmware) error {
	img, err := f.Image()
	if err != nil {
		return err
	}
	volumes, err := img.Volumes()
	if err != nil {
		return err
	}
	for _, vol := range volumes {
		j := volumeJSON{FileSystem: vol.FileSystem.String(), Offset: vol.Off, Size: len(vol.Data), Files: len(vol.Files), Compressed: vol.Outer != nil}
		if !vol.Name.IsZero() {
			j.Name = vol.Name.String()
		}
		v.Volumes = append(v.Volumes, j)
	}
	facts, err := img.Facts()
	if err != nil {
		return err
	}
	for _, l := range facts.Lines() {
		v.Facts = append(v.Facts, factJSON{l.Name, l.Value, l.Evidence})
	}
	store, err := img.Store()
	if err != nil || store == nil {
		return err
	}
	for _, x := range store.Variables {
		v.Variables = append(v.Variables, variableJSON{x.Name, x.GUID.String(), x.State.String(), len(x.Data)})
	}
	return nil
}

func (v *firmwareJSON) print(p *printer) {
	p.table([][]string{{"file", v.File}, {"size", fmt.Sprint(v.Size)}, {"SHA-384", v.SHA384.String()}})
	if v.MRTD != nil {
		p.table([][]string{{"MRTD, single pass", v.MRTD.SinglePass.String()}, {"MRTD, two passes", v.MRTD.TwoPass.String()}})
	} else {
		p.printf("MRTD is not known: %s\n", oneLine(v.NoMRTD))
	}
	rows := [][]string{{"TDVF section", "attributes", "offset", "raw size", "address", "size"}}
	for _, s := range v.Sections {
		rows = append(rows, []string{s.Type, s.Attributes, fmt.Sprintf("0x%x", s.Offset), fmt.Sprintf("0x%x", s.RawSize), s.MemoryAddress, fmt.Sprintf("0x%x", s.MemorySize)})
	}
	p.section(rows)
	rows = [][]string{{"volume", "offset", "size", "files"}}
	for _, x := range v.Volumes {
		name, off := x.Name, fmt.Sprintf("0x%x", x.Offset)
		if name == "" {
			name = x.FileSystem
		}
		if x.Compressed {
			off = "compressed"
		}
		rows = append(rows, []string{name, off, fmt.Sprintf("0x%x", x.Size), fmt.Sprint(x.Files)})
	}
	p.section(rows)
	rows = [][]string{{"fact", "value", "evidence"}}
	for _, x := range v.Facts {
		rows = append(rows, []string{x.Name, x.Value, x.Evidence})
	}
	p.section(rows)
	if len(v.Variables) == 0 {
		return
	}
	rows = [][]string{{"variable", "vendor", "state", "size"}}
	for _, x := range v.Variables {
		rows = append(rows, []string{x.Name, x.GUID, x.State, fmt.Sprint(x.Size)})
	}
	p.section(rows)
}

// section prints a table after a blank line.
func (p *printer) section(rows [][]string) {
	p.printf("\n")
	p.table(rows)
}

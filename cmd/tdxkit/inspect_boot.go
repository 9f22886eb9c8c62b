package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/authenticode"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/mr"
)

type kernelJSON struct {
	Schema       string            `json:"schema"`
	File         string            `json:"file"`
	Size         int               `json:"size"`
	Authenticode mr.Digest         `json:"authenticode_sha384"`
	Version      string            `json:"version"`
	Protocol     string            `json:"boot_protocol"`
	LoadFlags    string            `json:"load_flags"`
	XLoadFlags   string            `json:"xload_flags"`
	InitrdMax    string            `json:"initrd_addr_max"`
	Compression  string            `json:"compression"`
	Signed       bool              `json:"signed"`
	Signers      []string          `json:"signers,omitempty"` // subjects; why one cannot be told in its place
	Sections     []peSectionJSON   `json:"pe_sections"`
	Stub         map[string]string `json:"efi_stub_measures"`
}

type peSectionJSON struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

func inspectKernel(p *printer, path string) error {
	data, err := readFile(path, roleKernel, bin.MaxKernel)
	if err != nil {
		return err
	}
	k, err := kernel.Parse(data)
	if err != nil {
		return inFile(path, roleKernel, err)
	}
	digest, err := k.Authenticode()
	if err != nil {
		return inFile(path, roleKernel, err)
	}
	stub := k.StubMeasures()
	v := &kernelJSON{
		Schema: "tdxkit.inspect.kernel/v1", File: path, Size: len(data), Authenticode: digest, Version: k.Setup.Version,
		Protocol:  fmt.Sprintf("%d.%02d", k.Setup.Protocol>>8, k.Setup.Protocol&0xff),
		LoadFlags: k.Setup.LoadFlags.String(), XLoadFlags: k.Setup.XLoadFlags.String(), InitrdMax: fmt.Sprintf("0x%x", k.Setup.InitrdAddrMax),
		Compression: k.Compression, Signed: k.Signed(), Signers: signers(k.PE),
		Stub: map[string]string{"load_options": stub.LoadOptions.String(), "initrd": stub.Initrd.String(), "evidence": stub.Evidence},
	}
	for _, s := range k.Sections {
		v.Sections = append(v.Sections, peSectionJSON{s.Name, s.Raw.Off, s.Raw.Len})
	}
	return p.result(v, func() {
		p.table([][]string{
			{"file", v.File}, {"size", fmt.Sprint(v.Size)}, {"version", v.Version}, {"Authenticode SHA-384", v.Authenticode.String()},
			{"boot protocol", v.Protocol}, {"loadflags", v.LoadFlags}, {"xloadflags", v.XLoadFlags}, {"initrd_addr_max", v.InitrdMax},
			{"compression", v.Compression}, {"signed", fmt.Sprint(v.Signed)},
			{"signers, not checked", strings.Join(v.Signers, "; ")},
			{"stub measures load options", v.Stub["load_options"]}, {"stub measures initrd", v.Stub["initrd"]}, {"evidence", v.Stub["evidence"]},
		})
		rows := [][]string{{"PE section", "offset", "size"}}
		for _, s := range v.Sections {
			rows = append(rows, []string{s.Name, fmt.Sprintf("0x%x", s.Offset), fmt.Sprintf("0x%x", s.Size)})
		}
		p.section(rows)
	})
}

// signers are the subjects of the certificates that an image is signed with, which nothing is checked of here.
func signers(pe *kernel.PE) []string {
	table, err := pe.CertificateTable()
	if err != nil {
		return []string{"unknown: " + err.Error()}
	}
	signatures, err := authenticode.Split(table, pe.Certificates.Off)
	if err != nil {
		return []string{"unknown: " + err.Error()}
	}
	var out []string
	for _, data := range signatures {
		s, err := authenticode.Parse(data)
		if err != nil {
			out = append(out, "unknown: "+err.Error())
			continue
		}
		out = append(out, s.Signer.Subject.String())
	}
	return out
}

type initrdJSON struct {
	Schema   string        `json:"schema"`
	File     string        `json:"file"`
	Size     int64         `json:"size"`
	SHA384   mr.Digest     `json:"sha384"`
	Archives []archiveJSON `json:"archives"`
	Files    []fileJSON    `json:"files,omitempty"`
}

type archiveJSON struct {
	Compression string `json:"compression,omitempty"`
	Files       int    `json:"files"`
	Bytes       int64  `json:"bytes"` // of the files' contents
}

type fileJSON struct {
	Archive int    `json:"archive"`
	Name    string `json:"name"`
	Mode    string `json:"mode"`
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	MTime   uint32 `json:"mtime"`
	Size    int64  `json:"size"`
	Link    string `json:"link,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
}

func inspectInitrdCommand(t *terminal) *cli.Command {
	c := inspectKind("initrd", "digest, archives and files of an initrd", "initrd.img", nil)
	c.Flags = append(c.Flags, &cli.BoolFlag{Name: "files", Usage: "list every file"})
	c.UsageText = "tdxkit inspect initrd [--files] [--output text|json] FILE"
	c.Action = func(c *cli.Context) error {
		p, err := newPrinter(c)
		if err != nil {
			return err
		}
		path, err := oneArg(c, "FILE")
		if err != nil {
			return err
		}
		v, err := readInitrd(c.Context, t, path)
		if err != nil {
			return err
		}
		files := v.Files
		if !c.Bool("files") {
			v.Files = nil
		}
		return p.result(v, func() { v.print(p, files, c.Bool("files")) })
	}
	return c
}

// readInitrd reads the initrd twice: once to hash it as it is, once to unpack it.
func readInitrd(ctx context.Context, t *terminal, path string) (*initrdJSON, error) {
	v := &initrdJSON{Schema: "tdxkit.inspect.initrd/v1", File: path}
	f, err := openForReading(path, roleInitrd)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, inFile(path, roleInitrd, err)
	}
	digest, size, err := kernel.HashInitrd(t.watch(&contextReader{ctx, f}, path, info.Size()))
	if err != nil {
		return nil, inFile(path, roleInitrd, err)
	}
	v.SHA384, v.Size = digest, size
	if _, err := f.Seek(0, 0); err != nil {
		return nil, inFile(path, roleInitrd, err)
	}
	entries, err := kernel.ListInitrd(t.watch(&contextReader{ctx, f}, path, info.Size()), kernel.InitrdLimits{})
	if err != nil {
		return nil, inFile(path, roleInitrd, err)
	}
	for _, e := range entries {
		for len(v.Archives) <= e.Archive {
			v.Archives = append(v.Archives, archiveJSON{Compression: e.Compression})
		}
		a := &v.Archives[e.Archive]
		a.Files++
		a.Bytes += e.Size
		j := fileJSON{Archive: e.Archive, Name: e.Name, Mode: fmt.Sprintf("%06o", e.Mode), UID: e.UID, GID: e.GID, MTime: e.MTime, Size: e.Size, Link: e.Link}
		if e.Size > 0 {
			j.SHA256 = fmt.Sprintf("%x", e.SHA256)
		}
		v.Files = append(v.Files, j)
	}
	return v, nil
}

func (v *initrdJSON) print(p *printer, files []fileJSON, all bool) {
	p.table([][]string{{"file", v.File}, {"size", fmt.Sprint(v.Size)}, {"SHA-384", v.SHA384.String()}})
	rows := [][]string{{"archive", "compression", "files", "bytes"}}
	for i, a := range v.Archives {
		c := a.Compression
		if c == "" {
			c = "none"
		}
		rows = append(rows, []string{fmt.Sprint(i), c, fmt.Sprint(a.Files), fmt.Sprint(a.Bytes)})
	}
	p.section(rows)
	if !all {
		return
	}
	rows = [][]string{{"mode", "owner", "size", "name"}}
	for _, f := range files {
		name := f.Name
		if f.Link != "" {
			name += " -> " + f.Link
		}
		rows = append(rows, []string{f.Mode, fmt.Sprintf("%d:%d", f.UID, f.GID), fmt.Sprint(f.Size), name})
	}
	p.section(rows)
}

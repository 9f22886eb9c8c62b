package dstack

// Metadata is the metadata.json of a dstack image. Files are named relative to it.
type Metadata struct {
	BIOS    string // firmware of a TD
	BIOSSEV string // firmware of an SEV guest; empty in images for TDX alone
	Kernel  string
	Initrd  string
	Cmdline string // as -append gets it
	Rootfs  string // empty where the image has none

	RootfsHash  string // hexadecimal; images before 0.5 state it here, later ones in Cmdline alone
	Version     string // "0.5.8"; empty before 0.3.3
	GitRevision string
	OVMFVariant string // "pre202505"; empty where the image does not say
	SharedRO    bool   // the host's folder is mounted read-only
	IsDev       bool

	Ignored []string // keys that were not understood, in the document's order
}

// ParseMetadata reads a metadata.json in any of the shapes that dstack's image builder has written: that of
// 2024-11-30; with git_revision; with version and shared_ro (0.3.3); with is_dev; with dstack.rootfs_hash in the
// command line; without rootfs_hash (0.5); and with ovmf_variant, bios-sev and kernel_header_normalized (2026).
// Keys that it does not know are left to Ignored. bios, kernel, initrd and cmdline must be there. A file that is
// absolute or outside the folder is refused.
//
// Dstack-TEE/dstack 312dc605, vmm/src/app/image.rs, ImageInfo; Dstack-TEE/meta-dstack, mkimage.sh.
func ParseMetadata(data []byte) (*Metadata, error) {
	o := parseObject(MetadataFile, data)
	for _, key := range []string{"bios", "kernel", "initrd"} {
		o.needText(key)
	}
	o.require("cmdline")
	m := &Metadata{
		BIOS:        o.file("bios"),
		BIOSSEV:     o.file("bios-sev"),
		Kernel:      o.file("kernel"),
		Initrd:      o.file("initrd"),
		Cmdline:     o.text("cmdline"),
		Rootfs:      o.file("rootfs"),
		RootfsHash:  o.text("rootfs_hash"),
		Version:     o.text("version"),
		GitRevision: o.text("git_revision"),
		OVMFVariant: o.text("ovmf_variant"),
		SharedRO:    o.flag("shared_ro"),
		IsDev:       o.flag("is_dev"),
	}
	m.Ignored = o.rest()
	if *o.err != nil {
		return nil, *o.err
	}
	return m, nil
}

// IsTDXMeasure reports whether data looks like the metadata.json of tdx-measure rather than of dstack. It promises
// nothing about the rest of the document.
func IsTDXMeasure(data []byte) bool {
	o := parseObject(MetadataFile, data)
	_, ok := o.get("boot_config")
	return ok
}

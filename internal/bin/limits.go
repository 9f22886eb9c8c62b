package bin

// Every bound on the size of an input, with its reason. A reader that hits one returns an error; it never shortens.
const (
	MaxFirmware      = 64 << 20  // bytes; QEMU's largest -bios region is 16 MiB, vendors' flash images reach 32 MiB
	MaxKernel        = 512 << 20 // bytes; a distribution kernel has 15 MiB, a UKI with its initrd some 200 MiB
	MaxInitrd        = 1<<32 - 1 // bytes; QEMU places it below 4 GiB
	MaxLogEvents     = 64 << 10  // a boot with GRUB logs a hundred events
	MaxEventLog      = 16 << 20  // bytes; QEMU and OVMF reserve 64 KiB, the largest log seen has 1 MiB
	MaxJSON          = 4 << 20   // bytes of a metadata.json or vm_config; the largest seen, with measurements inside, has 8 KiB
	MaxSums          = 64 << 10  // bytes of a sha256sum.txt; an image lists ten files
	MaxSMBIOS        = 16 << 20  // bytes of SMBIOS tables; 4096 sockets and 64 TiB of 16 GiB devices make 0.5 MiB
	MaxInitrdEntries = 1 << 18   // files; a live system's initrd has some 20 000, a whole root file system 200 000
	MaxInitrdName    = 4096      // bytes with NUL; Linux PATH_MAX, longer names are skipped by the kernel
	MaxInitrdData    = 8 << 30   // bytes after decompression; a GPU appliance's root file system has 3 GiB
	MaxQuote         = 128 << 10 // bytes; a quote has 5 KiB, the largest buffer of GetQuote seen is 128 KiB, padded with zeros
	MaxEvidence      = 16 << 20  // bytes of a file that holds a quote; with its event log some 20 KiB, with a base64 CCEL 350 KiB
	MaxCollateral    = 4 << 20   // bytes; a bundle has 25 KiB, a PCK CRL could grow to some hundred KiB
)

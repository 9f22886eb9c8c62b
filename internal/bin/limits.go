package bin

// Every bound on the size of an input, with its reason. A reader that hits one returns an error; it never shortens.
const (
	MaxFirmware   = 64 << 20  // bytes; QEMU's largest -bios region is 16 MiB, vendors' flash images reach 32 MiB
	MaxKernel     = 512 << 20 // bytes; a distribution kernel has 15 MiB, a UKI with its initrd some 200 MiB
	MaxEventLog   = 16 << 20  // bytes; QEMU and OVMF reserve 64 KiB, the largest log seen has 1 MiB
	MaxQuote      = 128 << 10 // bytes; a quote has 5 KiB, the largest buffer of GetQuote seen is 128 KiB, padded with zeros
	MaxEvidence   = 16 << 20  // bytes of a file that holds a quote; with its event log some 20 KiB, with a base64 CCEL 350 KiB
	MaxCollateral = 4 << 20   // bytes; a bundle has 25 KiB, a PCK CRL could grow to some hundred KiB
)

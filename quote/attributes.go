package quote

import (
	"fmt"
	"math/bits"
)

// TDAttributes is the TDATTRIBUTES field. Intel TDX Module ABI Reference 348551, "ATTRIBUTES"; the bits' names are also in
// Linux v6.18, arch/x86/include/asm/shared/tdx.h.
type TDAttributes uint64

// Bits of TDAttributes.
const (
	Debug         TDAttributes = 1 << 0  // the host reads and writes the TD's memory and registers
	SEPTVEDisable TDAttributes = 1 << 28 // accesses to pages that are not there are not shown to the guest
	Migratable    TDAttributes = 1 << 29 // a migration TD may move the TD elsewhere

	// UnderDebug is the TUD group: a TD with any of these bits set is not to be trusted.
	UnderDebug TDAttributes = 0xFF
)

var attributeNames = [64]string{
	0: "DEBUG", 4: "HGS_PLUS_PROF", 5: "PERF_PROF", 6: "PMT_PROF",
	16: "ICSSD", 27: "LASS", 28: "SEPT_VE_DISABLE", 29: "MIGRATABLE", 30: "PKS", 31: "KL",
	62: "TPA", 63: "PERFMON",
}

// XFAM is the mask of processor state that the TD may use, in the layout of XCR0 and IA32_XSS.
type XFAM uint64

// XFAMFixed1 are the bits that every TD has: x87 and SSE.
const XFAMFixed1 XFAM = 3

var xfamNames = [64]string{
	0: "X87", 1: "SSE", 2: "AVX", 5: "AVX512_OPMASK", 6: "AVX512_ZMM_HI256", 7: "AVX512_HI16_ZMM", 8: "PT", 9: "PKRU",
	10: "PASID", 11: "CET_U", 12: "CET_S", 13: "HDC", 14: "UINTR", 15: "LBR", 16: "HWP", 17: "XTILECFG", 18: "XTILEDATA",
	19: "APX",
}

// Names returns the names of the bits that are set, lowest first; a bit without a name is "bit N".
func (a TDAttributes) Names() []string { return names(uint64(a), &attributeNames) }

// Unknown returns the bits that are set and have no name here.
func (a TDAttributes) Unknown() TDAttributes {
	return TDAttributes(unknown(uint64(a), &attributeNames))
}

// Names returns the names of the bits that are set, lowest first; a bit without a name is "bit N".
func (x XFAM) Names() []string { return names(uint64(x), &xfamNames) }

// Unknown returns the bits that are set and have no name here.
func (x XFAM) Unknown() XFAM { return XFAM(unknown(uint64(x), &xfamNames)) }

func names(v uint64, table *[64]string) []string {
	var out []string
	for ; v != 0; v &= v - 1 {
		i := bits.TrailingZeros64(v)
		name := table[i]
		if name == "" {
			name = fmt.Sprintf("bit %d", i)
		}
		out = append(out, name)
	}
	return out
}

func unknown(v uint64, table *[64]string) uint64 {
	for i, name := range table {
		if name != "" {
			v &^= 1 << i
		}
	}
	return v
}

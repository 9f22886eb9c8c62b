package qemu

// A Range is an inclusive range of addresses. The zero Range is none.
type Range struct{ Min, Max uint64 }

// Programmed is what firmware programmed into the configuration space of one PCI function, as far as QEMU's tables
// show it. Functions that firmware left alone have the zero value.
type Programmed struct {
	IO, Memory []Range // what its BARs decode, in the order of the BARs; the ROM is off
	// Windows of a bridge; a window that is closed is zero.
	WindowIO, WindowMemory, WindowPrefetch Range
	// Secondary and Subordinate are a bridge's bus numbers.
	Secondary, Subordinate uint8
}

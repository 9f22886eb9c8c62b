package main

import (
	"syscall"
	"unsafe"
)

// hugePage is the size of the pages that makeLarge asks for, in bytes.
const hugePage = 2 << 20

// makeLarge makes a slice that is going to be written to its end. Memory costs a fault for each page that is written to,
// so it asks for large pages, and begins where one does; a kernel without them takes small ones.
func makeLarge(size int) []byte {
	if size < hugePage {
		return make([]byte, size)
	}
	pages := (size + hugePage - 1) &^ (hugePage - 1)
	b := make([]byte, pages+hugePage)
	b = b[-uintptr(unsafe.Pointer(unsafe.SliceData(b)))&(hugePage-1):][:pages]
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
	return b[:size:size]
}

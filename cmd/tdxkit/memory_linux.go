package main

import "syscall"

// hugePage is the size of the pages that makeLarge asks for, in bytes.
const hugePage = 2 << 20

// makeLarge makes a slice that is going to be written to its end. Memory costs a fault for each page that is written to,
// so it asks for large pages; a kernel without them takes small ones.
func makeLarge(size int) []byte {
	b := make([]byte, size)
	if size >= hugePage {
		_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
	}
	return b
}

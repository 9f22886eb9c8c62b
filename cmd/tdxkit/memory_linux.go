package main

import "syscall"

// hugePage is the size of the pages that useHugePages asks for, in bytes.
const hugePage = 2 << 20

// useHugePages asks the kernel for large pages behind b, which is not written to yet: each page costs a fault when it is
// first written to.
func useHugePages(b []byte) {
	if len(b) >= hugePage {
		_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
	}
}

//go:build !linux

package main

// makeLarge makes a slice that is going to be written to its end. Pages are the operating system's choice.
func makeLarge(size int) []byte { return make([]byte, size) }

//go:build !linux

package main

// useHugePages does nothing: pages are the operating system's choice.
func useHugePages([]byte) {}

package main

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// maxShapes bounds a matrix: every vCPU count that QEMU takes, times some memory sizes.
const maxShapes = 1 << 14

// parseCPUs reads a list of vCPU counts and ranges of them: "4", "1-64,128".
func parseCPUs(list string) ([]int, error) {
	const most = 4096 // QEMU 10.2, hw/i386/pc_q35.c: max_cpus of q35
	var counts []int
	for item := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(item, "-")
		if !isRange {
			to = from
		}
		lo, err1 := strconv.ParseUint(from, 10, 32)
		hi, err2 := strconv.ParseUint(to, 10, 32)
		switch {
		case err1 != nil || err2 != nil:
			return nil, usage(fmt.Sprintf("--cpus %q: %q is not a number or a range of numbers", list, item), "write it as 4 or 1-64,128")
		case lo == 0 || hi > most:
			return nil, usage(fmt.Sprintf("--cpus %q: %q is outside 1 to %d", list, item, most), "")
		case lo > hi:
			return nil, usage(fmt.Sprintf("--cpus %q: the range %q runs downwards", list, item), "")
		}
		for n := lo; n <= hi; n++ {
			counts = append(counts, int(n))
		}
	}
	return counts, unique("--cpus", list, counts)
}

// parseMemoryList reads a list of memory sizes and ranges of them, in which the size doubles: "2GiB,4GiB..64GiB".
func parseMemoryList(list string) ([]uint64, error) {
	var sizes []uint64
	for item := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(item, "..")
		lo, err := parseMemory(from)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, lo)
		if !isRange {
			continue
		}
		hi, err := parseMemory(to)
		if err != nil {
			return nil, err
		}
		for size := lo; size < hi; {
			size *= 2
			if size > hi {
				return nil, usage(fmt.Sprintf("--memory %q: doubling %s does not lead to %s", list, from, to), "list the sizes with commas")
			}
			sizes = append(sizes, size)
		}
		if lo > hi {
			return nil, usage(fmt.Sprintf("--memory %q: the range %q runs downwards", list, item), "")
		}
	}
	return sizes, unique("--memory", list, sizes)
}

func unique[T comparable](flag, list string, values []T) error {
	seen := map[T]bool{}
	for _, v := range values {
		if seen[v] {
			return usage(fmt.Sprintf("%s %q: a value occurs twice", flag, list), "")
		}
		seen[v] = true
	}
	return nil
}

// units are the suffixes of a size. Those of a single letter are QEMU's, and mean the same.
var units = []struct {
	suffix string
	shift  int
}{
	{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"K", 10}, {"M", 20}, {"G", 30}, {"T", 40},
}

// parseMemory reads one size with its unit, in bytes. A bare number is refused: QEMU takes it for MiB, others for bytes.
func parseMemory(s string) (uint64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		switch {
		case err != nil:
			return 0, usage(fmt.Sprintf("--memory %q: %q is not a whole number", s, digits), "write it as 512MiB or 4GiB")
		case n == 0:
			return 0, usage(fmt.Sprintf("--memory %q: want more than 0", s), "")
		case bits.LeadingZeros64(n) < u.shift+1:
			return 0, usage(fmt.Sprintf("--memory %q: is too large", s), "")
		}
		return n << u.shift, nil
	}
	if _, err := strconv.ParseUint(s, 10, 64); err == nil {
		return 0, usage(fmt.Sprintf("--memory %q: has no unit", s), "write it as "+s+"MiB or "+s+"GiB")
	}
	return 0, usage(fmt.Sprintf("--memory %q: is not a size", s), "write it as 512MiB or 4GiB; units are KiB, MiB, GiB, TiB")
}

// formatMemory writes a size with the largest unit that divides it.
func formatMemory(n uint64) string {
	for _, u := range slices.Backward(units[:4]) {
		if n > 0 && n%(1<<u.shift) == 0 {
			return strconv.FormatUint(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatUint(n, 10) + "B"
}

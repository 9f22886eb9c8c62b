package acpi_test

import (
	"bytes"
	"testing"
)

// TestExpanderIOMMU: where the machine's own root bus is bypassed, the IOMMU's table names what is on the root bus of an
// expander. The entries are those of real QEMU's tables.
func TestExpanderIOMMU(t *testing.T) {
	const expander = "-M q35,default-bus-bypass-iommu=on -device pxb-pcie,bus_nr=4,id=x -device pcie-root-port,bus=x,id=r -device virtio-rng-pci,bus=r "
	for _, tc := range []struct {
		iommu, signature string
		entries          []byte
	}{
		{"-device intel-iommu", "DMAR", []byte{3, 8, 0, 0, 0, 0xff, 0, 0, 2, 8, 0, 0, 0, 4, 0, 0}},
		{"-device amd-iommu,intremap=off", "IVRS", []byte{2, 0, 4, 0, 3, 0, 5, 0, 4, 0xff, 5, 0}},
	} {
		t.Run(tc.signature, func(t *testing.T) {
			for _, table := range split(build(t, expander+tc.iommu, "10.0.13").Tables) {
				if !bytes.HasPrefix(table, []byte(tc.signature)) {
					continue
				}
				if !bytes.HasSuffix(table, tc.entries) {
					t.Errorf("the table ends in % x, want % x", table[max(0, len(table)-len(tc.entries)):], tc.entries)
				}
				return
			}
			t.Error("there is no such table")
		})
	}
}

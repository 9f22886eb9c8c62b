package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tdxkit/tdxkit/acpi"
)

// What a boot of real firmware needs of a shape, so that it takes seconds under TCG.
const (
	mostBootCPUs  = 8
	leastBootRAM  = 192 << 20
	bootPatience  = 3 * time.Minute
	firmwareTrace = "trace"
)

// bootable says why a shape is not booted, "" where it is.
func bootable(p *prediction) string {
	switch m := p.m; {
	case m.Topology.CPUs > mostBootCPUs:
		return fmt.Sprintf("more than %d CPUs take long to boot", mostBootCPUs)
	case m.LowRAM() < leastBootRAM:
		return "too little memory for the firmware"
	case m.CPU.PhysBits <= 36:
		return "a CPU that has few address bits or no long mode"
	}
	return ""
}

// boot lets real firmware run until it has selected the ACPI tables, which QEMU makes at that time and keeps, and stops it.
func (v *vm) boot(directory map[string]fwItem) error {
	q, err := v.openQMP()
	if err != nil {
		return err
	}
	if _, err := q.ask("cont", nil); err != nil {
		return err
	}
	selected := fmt.Appendf(nil, "key 0x%04x ", directory[acpi.TablesFile].key)
	for deadline := time.Now().Add(bootPatience); ; time.Sleep(100 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(v.dir, firmwareTrace))
		if err == nil && bytes.Contains(text, selected) {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the firmware does not read the tables in %v", bootPatience)
		}
	}
	if _, err = q.ask("stop", nil); err != nil {
		return err
	}
	return q.close()
}

// observeBoot reads what QEMU hands to firmware that runs.
func observeBoot(v *vm) (*record, error) {
	directory, err := v.fwCfgDirectory()
	if err != nil {
		return nil, err
	}
	if err := v.boot(directory); err != nil {
		return nil, err
	}
	r := &record{files: map[string][]byte{}}
	if r.cpu, err = v.cpuFacts(); err != nil {
		return nil, err
	}
	if err := v.readFiles(r.files, wanted...); err != nil {
		return nil, err
	}
	// Firmware looked up the loader's size before its selection made QEMU build the tables, and with them a loader that may
	// be longer.
	loader := r.files[acpi.LoaderFile]
	r.files[acpi.LoaderFile] = loader[:min(len(loader), directory[acpi.LoaderFile].size)]
	r.files[bootMenu], err = v.transfer(bootMenuKey, 2)
	return r, err
}

package smbios

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tdxkit/tdxkit/qemu"
)

// options are the -smbios options, read, with QEMU's defaults filled in.
type options struct {
	bios    biosOptions
	system  systemOptions
	board   boardOptions
	chassis chassisOptions
	cpu     cpuOptions
	ports   []portOptions
	slots   []slotOptions
	memory  memoryOptions
	onboard []onboardOptions
	ipmi    []ipmiDevice

	oemStrings []string
	uuid       [16]byte // as SMBIOS stores it, all zero without one

	blobs       []byte    // contents of file= options, one behind the other
	blobCount   int       // file= options
	blobLargest int       // bytes
	blobTypes   [256]bool // types that a file= option begins with
	stringBytes int       // of all values, a bound on what they add to the tables
}

type biosOptions struct {
	given                 bool
	vendor, version, date string
	uefi, vm              bool
	major, minor          uint8
}

type systemOptions struct{ manufacturer, product, version, serial, sku, family string }

type boardOptions struct {
	given                                                   bool
	manufacturer, product, version, serial, asset, location string
}

type chassisOptions struct{ manufacturer, version, serial, asset, sku string }

type cpuOptions struct {
	socketPrefix, manufacturer, version, serial, asset, part string
	family, maxSpeed, currentSpeed                           uint16
	id                                                       uint64 // EDX and EAX of CPUID leaf 1; 0 takes the CPU model's
}

type portOptions struct {
	internal, external string
	connector, kind    uint8
}

type slotOptions struct {
	designation                                                    string
	kind, width, usage, length, characteristics1, characteristics2 uint8
	id                                                             uint16
}

type memoryOptions struct {
	locatorPrefix, bank, manufacturer, serial, asset, part string
	speed                                                  uint16
}

type onboardOptions struct {
	designation                string
	kind, instance, bus, devfn uint8
}

// What QEMU says of a machine that has no options. They are part of what guests rely on, and the same in all releases.
// QEMU 10.2.2, hw/smbios/smbios.c, smbios_set_defaults, called by hw/i386/fw_cfg.c, fw_cfg_build_smbios.
const (
	manufacturer = "QEMU"
	product      = "Standard PC (Q35 + ICH9, 2009)" // hw/i386/pc_q35.c, pc_q35_machine_options
	clockSpeed   = 2000                             // MHz
)

func defaultOptions(m *qemu.Machine) *options {
	return &options{
		bios:    biosOptions{vm: true},
		system:  systemOptions{manufacturer: manufacturer, product: product, version: m.Type},
		board:   boardOptions{manufacturer: manufacturer, product: product, version: m.Type},
		chassis: chassisOptions{manufacturer: manufacturer, version: m.Type},
		cpu: cpuOptions{socketPrefix: "CPU", manufacturer: manufacturer, version: m.Type,
			family: familyOther, maxSpeed: clockSpeed, currentSpeed: clockSpeed},
		memory: memoryOptions{locatorPrefix: "DIMM", manufacturer: manufacturer},
	}
}

// readOptions reads m's -smbios options and what else of m makes structures.
// QEMU 10.2.2, hw/smbios/smbios.c, smbios_entry_add.
func readOptions(m *qemu.Machine) (*options, error) {
	o := defaultOptions(m)
	id := m.SMBIOS.UUID
	var fields [256]bool
	for i := range m.SMBIOS.Entries {
		opt := &m.SMBIOS.Entries[i]
		if opt.File != "" || opt.Content != nil {
			if err := o.addBlob(opt, &fields); err != nil {
				return nil, err
			}
			continue
		}
		r := reader{opt: opt, known: make([]string, 0, 12)}
		if opt.Type < 0 || opt.Type > 127 {
			return nil, r.fail("type is out of range")
		}
		if o.blobTypes[opt.Type] {
			return nil, r.fail("a file= option gave this type already")
		}
		fields[opt.Type] = true
		o.read(&r, m)
		if opt.Type == 1 {
			own := r.str("uuid", "")
			id = cmp.Or(m.SMBIOS.UUID, own, id)
		}
		r.checkKeys()
		if r.err != nil {
			return nil, r.err
		}
	}
	var err error
	if id != "" {
		if o.uuid, err = parseUUID(id); err != nil {
			return nil, &qemu.OptionError{Option: "-uuid", Arg: id, Msg: err.Error(), Err: qemu.ErrUsage}
		}
	}
	o.ipmi, err = ipmiDevices(m)
	return o, err
}

// read takes the fields of one option.
func (o *options) read(r *reader, m *qemu.Machine) {
	switch r.opt.Type {
	case 0:
		o.readBIOS(r)
	case 1:
		s := &o.system
		r.set(&s.manufacturer, "manufacturer")
		r.set(&s.product, "product")
		r.set(&s.version, "version")
		r.set(&s.serial, "serial")
		r.set(&s.sku, "sku")
		r.set(&s.family, "family")
	case 2:
		s := &o.board
		s.given = true
		r.set(&s.manufacturer, "manufacturer")
		r.set(&s.product, "product")
		r.set(&s.version, "version")
		r.set(&s.serial, "serial")
		r.set(&s.asset, "asset")
		r.set(&s.location, "location")
	case 3:
		s := &o.chassis
		r.set(&s.manufacturer, "manufacturer")
		r.set(&s.version, "version")
		r.set(&s.serial, "serial")
		r.set(&s.asset, "asset")
		r.set(&s.sku, "sku")
	case 4:
		o.readCPU(r)
	case 8:
		o.ports = append(o.ports, portOptions{
			internal: r.str("internal_reference", ""), external: r.str("external_reference", ""),
			connector: r.u8("connector_type", 0), kind: r.u8("port_type", 0)})
	case 9:
		o.slots = append(o.slots, slotOptions{designation: r.str("slot_designation", ""),
			kind: r.u8("slot_type", 0), width: r.u8("slot_data_bus_width", 0), usage: r.u8("current_usage", 0),
			length: r.u8("slot_length", 0), id: r.u16("slot_id", 0),
			characteristics1: r.u8("slot_characteristics1", 0), characteristics2: r.u8("slot_characteristics2", 0)})
		r.str("pci_device", "")
	case 11:
		o.readOEM(r)
	case 17:
		s := &o.memory
		r.set(&s.locatorPrefix, "loc_pfx")
		r.set(&s.bank, "bank")
		r.set(&s.manufacturer, "manufacturer")
		r.set(&s.serial, "serial")
		r.set(&s.asset, "asset")
		r.set(&s.part, "part")
		s.speed = r.u16("speed", 0)
	case 41:
		o.readOnboard(r, m)
	default:
		r.err = r.fail("QEMU takes no fields for this type")
	}
	for _, kv := range r.opt.Fields {
		o.stringBytes += len(kv.Value) + 1
	}
}

func (o *options) readBIOS(r *reader) {
	s := &o.bios
	s.given = true
	r.set(&s.vendor, "vendor")
	r.set(&s.version, "version")
	r.set(&s.date, "date")
	s.uefi = r.flag("uefi", false)
	s.vm = r.flag("vm", true)
	rel := r.str("release", "")
	if rel == "" {
		return
	}
	major, minor, _ := strings.Cut(rel, ".")
	a, errA := strconv.ParseUint(major, 10, 8)
	b, errB := strconv.ParseUint(minor, 10, 8)
	if errA != nil || errB != nil {
		r.err = r.fail("release=%s is not two numbers below 256 with a dot between", rel)
	}
	s.major, s.minor = uint8(a), uint8(b)
}

// readCPU takes type 4. Strings stay from one option to the next, numbers fall back to their defaults.
func (o *options) readCPU(r *reader) {
	s := &o.cpu
	r.set(&s.socketPrefix, "sock_pfx")
	r.set(&s.manufacturer, "manufacturer")
	r.set(&s.version, "version")
	r.set(&s.serial, "serial")
	r.set(&s.asset, "asset")
	r.set(&s.part, "part")
	s.family = r.u16("processor-family", familyOther)
	s.id = r.number("processor-id", 0, math.MaxUint64)
	s.maxSpeed = r.u16("max-speed", clockSpeed)
	s.currentSpeed = r.u16("current-speed", clockSpeed)
}

func (o *options) readOEM(r *reader) {
	r.known = append(r.known, "value", "path")
	for _, kv := range r.opt.Fields {
		switch kv.Key {
		case "value":
			o.oemStrings = append(o.oemStrings, kv.Value)
		case "path":
			r.err = &qemu.OptionError{Option: "-smbios", Arg: "type=11,path=" + kv.Value,
				Msg: "the string is in a file that was not read", Hint: "give it as value=", Err: qemu.ErrUnsupported}
		}
	}
}

// onboardKinds are the values of kind= in the order of Device Type, which begins at 1.
var onboardKinds = []string{"other", "unknown", "video", "scsi", "ethernet", "tokenring", "sound", "pata", "sata", "sas"}

func (o *options) readOnboard(r *reader, m *qemu.Machine) {
	kind := r.str("kind", onboardKinds[0])
	i := slices.Index(onboardKinds, kind)
	if i < 0 {
		r.err = r.fail("kind=%s: want one of %s", kind, strings.Join(onboardKinds, ", "))
		return
	}
	s := onboardOptions{designation: r.str("designation", ""), kind: uint8(i + 1), instance: r.u8("instance", 1)}
	if id, given := r.lookup("pcidev"); given { // an empty id names no device either
		var ok bool
		if s.bus, s.devfn, ok = rootDevice(m.Root, id); !ok {
			r.err = r.fail("pcidev=%s is not a device on a root bus", id)
		}
	}
	o.onboard = append(o.onboard, s)
}

// rootDevice finds a device by its id on a root bus or on one of the further root buses that hang off it.
func rootDevice(root *qemu.Bus, id string) (bus, devfn uint8, ok bool) {
	if root == nil {
		return 0, 0, false
	}
	for _, d := range root.Devices {
		if d.ID == id {
			return root.BusNr, d.Devfn(), true
		}
		if d.ExtraRoot != nil {
			if bus, devfn, ok := rootDevice(d.ExtraRoot, id); ok {
				return bus, devfn, true
			}
		}
	}
	return 0, 0, false
}

// addBlob takes a file= option, whose structures come before QEMU's own and replace them by type.
func (o *options) addBlob(opt *qemu.SMBIOSEntry, fields *[256]bool) error {
	refuse := func(err error, format string, args ...any) error {
		return &qemu.OptionError{Option: "-smbios", Arg: "file=" + opt.File, Msg: fmt.Sprintf(format, args...), Err: err}
	}
	if opt.Content == nil {
		return refuse(qemu.ErrUnsupported, "the file's content was not given")
	}
	if _, err := parse(opt.Content, openEnded); err != nil {
		return refuse(qemu.ErrUnsupported, "%v", err)
	}
	typ := opt.Content[0]
	if fields[typ] {
		return refuse(qemu.ErrUsage, "fields for type %d were given already", typ)
	}
	o.blobTypes[typ] = typ <= 127
	o.blobs = append(o.blobs, opt.Content...)
	o.blobCount++
	o.blobLargest = max(o.blobLargest, len(opt.Content))
	return nil
}

// parseUUID returns a UUID as SMBIOS stores it: its first three fields little-endian.
func parseUUID(s string) ([16]byte, error) {
	var id [16]byte
	bad := errors.New("is not a UUID of 32 hexadecimal digits and four dashes")
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, bad
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(id) {
		return id, bad
	}
	copy(id[:], b)
	slices.Reverse(id[0:4])
	slices.Reverse(id[4:6])
	slices.Reverse(id[6:8])
	return id, nil
}

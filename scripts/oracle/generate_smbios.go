package main

import "fmt"

// smbiosFields are fields of -smbios by type, with values to choose from.
var smbiosFields = []struct {
	kind   int
	fields []string
}{
	{0, []string{"vendor=Acme", "version=1.2", "date=01/02/2023", "release=1.7", "uefi=on", "uefi=off"}},
	{1, []string{"manufacturer=Acme", "product=VM", "version=9", "serial=S1", "uuid=00112233-4455-6677-8899-aabbccddeeff", "sku=K", "family=F"}},
	{2, []string{"manufacturer=Acme", "product=Board", "version=1", "serial=B1", "asset=A", "location=L"}},
	{3, []string{"manufacturer=Acme", "version=1", "serial=C1", "asset=A", "sku=K"}},
	{4, []string{"sock_pfx=SOCK", "manufacturer=Acme", "version=1", "serial=P1", "asset=A", "part=P", "max-speed=3000", "current-speed=2500"}},
	{8, []string{"internal_reference=J1", "external_reference=USB", "connector_type=5", "port_type=16"}},
	{11, []string{"value=one", "value=two", "value=three"}},
	{41, []string{"designation=NIC", "kind=ethernet", "kind=video", "instance=2"}},
	{17, []string{"loc_pfx=DIMM", "bank=B", "manufacturer=Acme", "serial=M1", "asset=A", "part=P", "speed=4800"}},
}

// aDevice names a function of a root bus in some cases.
func (g *generator) aDevice(key string) string {
	if len(g.rooted) == 0 || !g.chance(40) {
		return ""
	}
	return key + "=" + pick(g, g.rooted...)
}

// smbios adds -smbios options.
func (g *generator) smbios() {
	if !g.chance(25) {
		return
	}
	for range 1 + g.IntN(4) {
		row := pick(g, smbiosFields...)
		if row.kind == 8 && !g.since(8, 0) || g.chance(4) {
			continue
		}
		words := []string{fmt.Sprintf("type=%d", row.kind)}
		for _, f := range row.fields {
			words = append(words, g.maybe(45, "%s", f))
		}
		if row.kind == 4 && g.chance(20) && g.since(9, 0) {
			words = append(words, "processor-family=6")
		}
		if row.kind == 4 && g.chance(20) {
			words = append(words, "processor-id=0x0fabfbff000c06f2")
		}
		if row.kind == 8 && len(words) == 1 {
			words = append(words, "connector_type=5")
		}
		if row.kind == 11 && g.chance(15) {
			name := g.name("text")
			g.files[name] = []byte("text of a file")
			words = append(words, "path="+name)
		}
		if row.kind == 41 && len(g.rooted) > 0 && g.chance(60) {
			words = append(words, "pcidev="+pick(g, g.rooted...))
		}
		g.add("smbios", words...)
	}
	if g.chance(10) && g.since(9, 0) {
		g.add("smbios", "type=9", fmt.Sprintf("slot_designation=S%d", g.IntN(9)), "slot_type=165", "slot_data_bus_width=13", "current_usage=4",
			"slot_length=4", fmt.Sprintf("slot_id=%d", g.IntN(9)), "slot_characteristics1=4", "slot_characteristics2=1", g.aDevice("pci_device"))
	}
	if g.chance(8) {
		name := g.name("blob")
		// type 200: 8 bytes, and the strings "x" and "yz"
		g.files[name] = []byte("\xc8\x08\x00\x50\x01\x02\x03\x04x\x00yz\x00\x00")
		g.add("smbios", "file="+name)
	}
}

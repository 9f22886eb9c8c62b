package qemu

// resolveCPU reads -cpu.
func (b *builder) resolveCPU() error {
	p := parseProps(b.cpu, "model")
	m := b.m
	m.CPU.Model = p.str("model")
	if m.CPU.Model == "" {
		m.CPU.Model = "qemu64"
	}
	if b.opts.PhysBits != 0 {
		m.CPU.PhysBits = b.opts.PhysBits
	} else if v, ok := p.get("phys-bits"); ok {
		if n, ok := parseUint(v); ok {
			m.CPU.PhysBits = int(n)
		}
	}
	m.CPU.AMD = p.str("vendor") == "AuthenticAMD"
	return nil
}

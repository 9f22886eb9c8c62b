package qemu

// A bootEntry is one device with a bootindex.
type bootEntry struct {
	index int64
	path  string
}

// fwName is the Open Firmware name of a function below its bus.
func fwName(d *deviceBuild) string { return "" }

// bootIndex notes bootindex=.
func (d *deviceBuild) bootIndex() error { return nil }

// finish checks what only the whole command line shows.
func (b *builder) finish() error {
	f := b.m.Files
	if f.Kernel == "" {
		for option, given := range map[string]bool{"-append": f.HasAppend, "-shim": f.Shim != "", "-initrd": f.Initrd != ""} {
			if given {
				return usageErr(option, "", "only allowed with -kernel")
			}
		}
	}
	return nil
}

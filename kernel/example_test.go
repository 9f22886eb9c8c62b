package kernel_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
)

func ExampleParse() {
	data, err := os.ReadFile(filepath.Join(fixtures.Dir(), "kernel", "vmlinuz-6.12-cloud"))
	if err != nil {
		fmt.Println(err)
		return
	}
	img, err := kernel.Parse(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(img.Setup.Release())
	digest, err := img.Authenticode()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%x...\n", digest[:8])
	fmt.Println("measures its command line:", img.StubMeasures().LoadOptions)
	// Output:
	// 6.12.107+deb13-cloud-amd64
	// b87b2bfd7eb3fcc0...
	// measures its command line: yes
}

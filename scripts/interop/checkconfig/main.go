// Checkconfig reads configurations of go-tdx-guest's check tool as that tool does, and prints the registers that each
// asks for.
//
//	checkconfig FILE...
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	pb "github.com/google/go-tdx-guest/proto/checkconfig"
	"github.com/google/go-tdx-guest/validate"
	"google.golang.org/protobuf/encoding/prototext"
)

func main() {
	for _, file := range os.Args[1:] {
		if err := run(file); err != nil {
			fmt.Fprintf(os.Stderr, "checkconfig: %s: %v\n", file, err)
			os.Exit(1)
		}
	}
}

func run(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var config pb.Config
	if err := prototext.Unmarshal(data, &config); err != nil {
		return err
	}
	opts, err := validate.PolicyToOptions(config.GetPolicy())
	if err != nil {
		return err
	}
	row := []string{hex.EncodeToString(opts.TdQuoteBodyOptions.MrTd)}
	for _, r := range opts.TdQuoteBodyOptions.Rtmrs[:3] {
		row = append(row, hex.EncodeToString(r))
	}
	fmt.Println(strings.Join(row, ","))
	return nil
}

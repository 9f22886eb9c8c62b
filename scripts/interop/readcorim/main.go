// Readcorim decodes and verifies a signed CoRIM with veraison's library, and prints each variant's registers as
// manifest export --to csv has them: ID and four digests.
//
//	readcorim KEY.pub FILE
package main

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/veraison/corim/comid"
	"github.com/veraison/corim/corim"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "readcorim:", err)
		os.Exit(1)
	}
}

func run(keyFile, file string) error {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("no PEM in the key's file")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var signed corim.SignedCorim
	if err := signed.FromCOSE(data); err != nil {
		return err
	}
	if err := signed.Verify(key); err != nil {
		return err
	}
	if err := signed.UnsignedCorim.Valid(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "readcorim: %s, signed by %s, %d tags\n", signed.UnsignedCorim.GetID(), signed.Meta.Signer.Name, len(signed.UnsignedCorim.Tags))
	for _, tag := range signed.UnsignedCorim.Tags {
		if err := printVariant(tag); err != nil {
			return err
		}
	}
	return nil
}

func printVariant(tag corim.Tag) error {
	var c comid.Comid
	if err := c.FromCBOR(tag.Content); err != nil {
		return err
	}
	if err := c.Valid(); err != nil {
		return err
	}
	id := c.TagIdentity.TagID.String()
	for _, triple := range c.Triples.ReferenceValues.Values {
		for _, m := range triple.Measurements.Values {
			row := []string{id[strings.LastIndex(id, "/")+1:], hex.EncodeToString((*m.Val.Digests)[0].Value)}
			for _, r := range []string{"rtmr0", "rtmr1", "rtmr2"} {
				row = append(row, hex.EncodeToString(m.Val.IntegrityRegisters.IndexMap[r][0].Value))
			}
			fmt.Println(strings.Join(row, ","))
		}
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/shlex"
	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
	"github.com/tdxkit/tdxkit/manifest/keyfile"
)

// passwordVariables hold the password of an encrypted key; the second is cosign's.
var passwordVariables = []string{"TDXKIT_PASSWORD", "COSIGN_PASSWORD"}

const roleKey role = "key"

// keyFlags say who signs.
func keyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "key", Usage: "private key `FILE`: PKCS#8 PEM, or an encrypted key of cosign whose password is in TDXKIT_PASSWORD or COSIGN_PASSWORD; may be repeated"},
		&cli.StringFlag{Name: "key-command", Usage: "`PROGRAM` that reads the bytes to be signed from stdin and writes a signature to stdout, raw or in base64"},
		&cli.StringFlag{Name: "public-key", Usage: "public key `FILE` that belongs to --key-command"},
	}
}

func manifestSignCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "sign",
		Usage:     "sign a statement, or add signatures to a signed one",
		UsageText: "tdxkit manifest sign --key FILE [--key FILE2 ...] [flags] STATEMENT",
		Description: "The statement is read first: what is not a manifest, or whose events do not lead to its registers, is not signed.\n\n" +
			"Example:\n  tdxkit manifest sign --key release.key --out acme.signed.json acme.json\n" +
			"  tdxkit manifest sign --key-command 'aws-sign alias/release' --public-key release.pub acme.json",
		Flags:  slices.Concat(keyFlags(), outFlags()),
		Action: func(c *cli.Context) error { return signManifest(c, t) },
	}
}

func signManifest(c *cli.Context, t *terminal) error {
	path, err := oneArg(c, "statement")
	if err != nil {
		return err
	}
	data, err := readFile(path, roleOther, dsse.MaxEnvelope)
	if err != nil {
		return err
	}
	e, err := statementOrEnvelope(data)
	if err != nil {
		return inFile(path, roleOther, err)
	}
	m, err := manifest.Parse(e.UntrustedPayload)
	if err == nil {
		err = m.Check()
	}
	if err != nil {
		return inFile(path, roleOther, err)
	}
	return signEnvelope(c, t, e)
}

// statementOrEnvelope takes either. The signatures of an envelope are kept, and not believed.
func statementOrEnvelope(data []byte) (*dsse.Envelope, error) {
	if !bytes.HasPrefix(data, []byte(`{"payload":`)) {
		return dsse.New(manifest.PayloadType, data), nil
	}
	e, err := dsse.Parse(data)
	if err == nil && e.UntrustedPayloadType != manifest.PayloadType {
		err = fmt.Errorf("payload type is %.80q, want %q", e.UntrustedPayloadType, manifest.PayloadType)
	}
	return e, err
}

// signEnvelope signs with all keys that are given, and writes the envelope.
func signEnvelope(c *cli.Context, t *terminal, e *dsse.Envelope) error {
	signers, err := openSigners(c)
	if err != nil {
		return err
	}
	if path := c.String("out"); path != "" { // a signature that cannot be kept is not asked for
		if err := checkFree([]output{{path: path}}, force(c.Bool("force"))); err != nil {
			return err
		}
	}
	if err := e.Sign(signers...); err != nil {
		return err
	}
	out, err := e.Append(nil)
	if err != nil {
		return err
	}
	if err := writeOut(c, out); err != nil {
		return err
	}
	for _, s := range signers {
		t.note("signed by key %s (%s)", s.Public().ID(), s.Public().Algorithm())
	}
	return nil
}

// openSigners reads the keys of --key, and the signer of --key-command.
func openSigners(c *cli.Context) ([]dsse.Signer, error) {
	var list []dsse.Signer
	for _, path := range c.StringSlice("key") {
		k, err := readPrivateKey(path)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	if c.IsSet("key-command") != c.IsSet("public-key") {
		return nil, usage("one of --key-command and --public-key is given, want both or none", "")
	}
	if c.IsSet("key-command") {
		words, err := shlex.Split(c.String("key-command"))
		if err != nil || len(words) == 0 {
			return nil, usage(fmt.Sprintf("--key-command %q: is not a command", c.String("key-command")), "")
		}
		pub, err := readPublicKey(c.String("public-key"))
		if err != nil {
			return nil, err
		}
		list = append(list, &commandSigner{ctx: c.Context, words: words, public: pub})
	}
	if len(list) == 0 {
		return nil, usage("no key is given", "give --key, or --key-command with --public-key; manifest keygen makes a key")
	}
	return list, nil
}

const maxKeyFile = 64 << 10 // bytes; an encrypted key has 700

func readPrivateKey(path string) (*dsse.PrivateKey, error) {
	text, err := readFile(path, roleKey, maxKeyFile)
	if err != nil {
		return nil, err
	}
	if !keyfile.IsEncrypted(text) {
		k, err := dsse.ParsePrivateKey(text)
		return k, inFile(path, roleKey, err)
	}
	password, ok := password()
	if !ok {
		return nil, &inputError{msg: path + ": is encrypted", hint: "give its password in " + strings.Join(passwordVariables, " or ")}
	}
	k, err := keyfile.Decrypt(text, password)
	return k, inFile(path, roleKey, err)
}

func password() ([]byte, bool) {
	for _, v := range passwordVariables {
		if p, ok := os.LookupEnv(v); ok {
			return []byte(p), true
		}
	}
	return nil, false
}

func readPublicKey(path string) (*dsse.PublicKey, error) {
	text, err := readFile(path, roleKey, maxKeyFile)
	if err != nil {
		return nil, err
	}
	k, err := dsse.ParsePublicKey(text)
	return k, inFile(path, roleKey, err)
}

// A commandSigner signs by a program: that of an HSM, or of a key management service.
type commandSigner struct {
	ctx    context.Context
	words  []string
	public *dsse.PublicKey
}

func (s *commandSigner) Public() *dsse.PublicKey { return s.public }

// Sign gives the program the message, not its digest, and takes a signature in ASN.1 or Ed25519's 64 bytes, as they are
// or in base64. Envelope.Sign holds it to the public key.
func (s *commandSigner) Sign(message []byte) ([]byte, error) {
	cmd := exec.CommandContext(s.ctx, s.words[0], s.words[1:]...)
	cmd.Stdin = bytes.NewReader(message)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, &inputError{msg: fmt.Sprintf("%s: %v: %s", s.words[0], err, strings.TrimSpace(stderr.String())), err: err}
	}
	if sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(out))); err == nil {
		return sig, nil
	}
	return out, nil
}

func manifestKeygenCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:        "keygen",
		Usage:       "make a key pair: FILE, and FILE.pub",
		UsageText:   "tdxkit manifest keygen --out FILE [flags]",
		Description: "Example:\n  tdxkit manifest keygen --algorithm ecdsa-p256-sha256 --out release.key",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "algorithm", Value: "ed25519", Usage: "`NAME`: ed25519, ecdsa-p256-sha256 or ecdsa-p384-sha384"},
			&cli.StringFlag{Name: "out", Usage: "write the private key to `FILE` and the public one to FILE.pub"},
			&cli.BoolFlag{Name: "encrypt", Usage: "encrypt the key as cosign does, with the password in TDXKIT_PASSWORD or COSIGN_PASSWORD"},
			&cli.BoolFlag{Name: "force", Usage: "replace the files"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error { return keygen(c, t) },
	}
}

func keygen(c *cli.Context, t *terminal) error {
	if err := noArgs(c); err != nil {
		return err
	}
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	path := c.String("out")
	if path == "" {
		return usage("no file is given for the key", "give --out FILE")
	}
	k, err := dsse.GenerateKey(dsse.Algorithm(c.String("algorithm")), rand.Reader)
	if err != nil {
		return usage("--algorithm: "+err.Error(), "")
	}
	text, err := k.PEM()
	if err != nil {
		return err
	}
	if c.Bool("encrypt") {
		pw, ok := password()
		if !ok {
			return usage("no password is given", "give it in "+strings.Join(passwordVariables, " or "))
		}
		if text, err = keyfile.Encrypt(k, pw, rand.Reader); err != nil {
			return err
		}
	}
	if err := writeKeyPair(path, text, k.Public().PEM(), force(c.Bool("force"))); err != nil {
		return err
	}
	v := keyJSON{Schema: "tdxkit.key/v1", ID: k.Public().ID(), Algorithm: k.Public().Algorithm(), Private: path, Public: path + ".pub"}
	return p.result(v, func() { t.note("key %s", v.ID) })
}

// keyJSON is the output of keygen.
type keyJSON struct {
	Schema    string         `json:"schema"`
	ID        string         `json:"id"`
	Algorithm dsse.Algorithm `json:"algorithm"`
	Private   string         `json:"private_key_file"`
	Public    string         `json:"public_key_file"`
}

// writeKeyPair writes a key that its owner alone can read, and its public half: both or neither.
func writeKeyPair(path string, private, public []byte, force force) error {
	return writeAll([]output{{path: path, data: private, mode: modeSecret}, {path: path + ".pub", data: public}}, force)
}

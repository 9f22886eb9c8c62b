package dcap

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
)

// Collateral is what Intel publishes about a platform and signs. Nothing in it is verified before Judge. A nil or empty
// field is missing: its checks fail.
//
// Chains are DER, leaf first; what follows a trusted root is not looked at.
type Collateral struct {
	TCBInfo             []byte // the signed text, exactly as signed
	TCBInfoSignature    []byte // 64 bytes, r and s
	TCBInfoChain        [][]byte
	QEIdentity          []byte // the signed text, exactly as signed
	QEIdentitySignature []byte // 64 bytes, r and s
	QEIdentityChain     [][]byte
	RootCRL             []byte // DER
	PCKCRL              []byte // DER
	PCKCRLChain         [][]byte
	PCKChain            [][]byte // for quotes that bring none; otherwise not looked at
}

// BundleSchema is the first member of our own bundle.
const BundleSchema = "tdxkit.collateral/v1"

// ParseCollateral reads collateral as JSON: our own bundle, the nine or ten members that dcap-qvl writes, or a Phala API
// response that has these in quote_collateral. The error is a *bin.FormatError.
//
// Our bundle is dcap-qvl's with a schema: tcb_info and qe_identity are strings that hold the signed text, their signatures
// hex, chains PEM, revocation lists hex of DER. No other member is allowed, and none may be missing but
// pck_certificate_chain.
func ParseCollateral(data []byte) (*Collateral, error) {
	if len(data) > bin.MaxCollateral {
		return nil, &bin.FormatError{Format: "collateral", Field: "size", Err: bin.ErrUnsupported,
			Msg: fmt.Sprintf("is %d bytes, want at most %d", len(data), bin.MaxCollateral)}
	}
	doc, err := strictjson.Parse("collateral", data)
	if err != nil {
		return nil, err
	}
	r := strictjson.NewReader("collateral", doc)
	if inner := r.Optional("quote_collateral"); inner != nil {
		r.Unknown() // the response has other members, but none that is this one in other letters
		r = r.Object(inner)
		return parseMembers(r, false)
	}
	if r.Optional("schema") != nil {
		if s := r.String("schema"); r.Err() == nil && s != BundleSchema {
			r.Failf("schema", bin.ErrUnsupported, "is %.60q, want %q", s, BundleSchema)
		}
		return parseMembers(r, true)
	}
	return parseMembers(r, false)
}

// parseMembers reads the members that the three forms share.
func parseMembers(r *strictjson.Reader, complete bool) (*Collateral, error) {
	c := &Collateral{}
	m := members{r, complete}
	c.PCKCRLChain = m.chain("pck_crl_issuer_chain")
	c.RootCRL = m.crl("root_ca_crl")
	c.PCKCRL = m.crl("pck_crl")
	c.TCBInfoChain = m.chain("tcb_info_issuer_chain")
	c.TCBInfo = m.text("tcb_info")
	c.TCBInfoSignature = m.signature("tcb_info_signature")
	c.QEIdentityChain = m.chain("qe_identity_issuer_chain")
	c.QEIdentity = m.text("qe_identity")
	c.QEIdentitySignature = m.signature("qe_identity_signature")
	m.complete = false
	c.PCKChain = m.chain("pck_certificate_chain")
	r.End()
	if c.TCBInfo == nil && c.QEIdentity == nil {
		r.Failf("tcb_info", bin.ErrUnsupported, "and qe_identity are both missing: this is no collateral")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// members decodes members of the outer, unsigned object. Where complete is false a missing one is nil.
type members struct {
	*strictjson.Reader
	complete bool
}

func (m members) str(name string) (string, bool) {
	if v := m.Optional(name); v == nil && !m.complete || v != nil && v.Kind == strictjson.Null && !m.complete {
		return "", false
	}
	s := m.String(name)
	return s, m.Err() == nil
}

// wrap records err, which says what is wrong inside the member.
func (m members) wrap(name string, err error) {
	if err != nil {
		m.Failf(name, bin.ErrMalformed, "%v", err)
	}
}

func (m members) chain(name string) [][]byte {
	s, ok := m.str(name)
	if !ok || s == "" && !m.complete {
		return nil
	}
	chain, err := ParseChain([]byte(s))
	m.wrap(name, err)
	return chain
}

func (m members) crl(name string) []byte {
	s, ok := m.str(name)
	if !ok || s == "" && !m.complete {
		return nil
	}
	der, err := ParseCRL([]byte(s))
	m.wrap(name, err)
	return der
}

func (m members) signature(name string) []byte {
	s, ok := m.str(name)
	if !ok {
		return nil
	}
	sig, err := parseSignature(s)
	m.wrap(name, err)
	return sig
}

func parseSignature(s string) ([]byte, error) {
	sig, err := hex.DecodeString(s)
	if err != nil || len(sig) != 64 {
		return nil, &bin.FormatError{Format: "signature", Field: "hex", Err: bin.ErrMalformed, Msg: "is not 128 hex digits"}
	}
	return sig, nil
}

// text returns the signed text of a member that is a string.
func (m members) text(name string) []byte {
	s, ok := m.str(name)
	if !ok {
		return nil
	}
	return []byte(s)
}

// AppendBundle appends c as our own bundle to b. Equal collateral gives equal bytes. It fails where something is missing,
// since a bundle is complete.
func (c *Collateral) AppendBundle(b []byte) ([]byte, error) {
	switch {
	case len(c.TCBInfoSignature) != 64 || len(c.QEIdentitySignature) != 64:
		return nil, &bin.FormatError{Format: "collateral", Field: "signature", Err: bin.ErrMalformed, Msg: "is not 64 bytes"}
	case len(c.TCBInfoChain) == 0 || len(c.QEIdentityChain) == 0 || len(c.PCKCRLChain) == 0:
		return nil, &bin.FormatError{Format: "collateral", Field: "issuer chain", Err: bin.ErrMalformed, Msg: "is missing"}
	case len(c.RootCRL) == 0 || len(c.PCKCRL) == 0:
		return nil, &bin.FormatError{Format: "collateral", Field: "CRL", Err: bin.ErrMalformed, Msg: "is missing"}
	case !utf8.Valid(c.TCBInfo) || !utf8.Valid(c.QEIdentity):
		return nil, &bin.FormatError{Format: "collateral", Field: "signed text", Err: bin.ErrMalformed, Msg: "is not UTF-8"}
	}
	pairs := [][2]string{
		{"schema", BundleSchema},
		{"tcb_info", string(c.TCBInfo)},
		{"tcb_info_signature", hex.EncodeToString(c.TCBInfoSignature)},
		{"tcb_info_issuer_chain", string(appendPEM(nil, c.TCBInfoChain))},
		{"qe_identity", string(c.QEIdentity)},
		{"qe_identity_signature", hex.EncodeToString(c.QEIdentitySignature)},
		{"qe_identity_issuer_chain", string(appendPEM(nil, c.QEIdentityChain))},
		{"root_ca_crl", hex.EncodeToString(c.RootCRL)},
		{"pck_crl", hex.EncodeToString(c.PCKCRL)},
		{"pck_crl_issuer_chain", string(appendPEM(nil, c.PCKCRLChain))},
	}
	if len(c.PCKChain) > 0 {
		pairs = append(pairs, [2]string{"pck_certificate_chain", string(appendPEM(nil, c.PCKChain))})
	}
	for i, p := range pairs {
		value, err := json.Marshal(p[1])
		if err != nil {
			return nil, err
		}
		b = append(b, map[bool]string{true: "{\n ", false: ",\n "}[i == 0]...)
		b = append(append(strconv.AppendQuote(b, p[0]), ": "...), value...)
	}
	return append(b, "\n}\n"...), nil
}

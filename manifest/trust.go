package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// TrustSchema is the schema of a trust policy.
const TrustSchema = "tdxkit.trust/v1"

// Bounds on a trust policy.
const (
	maxTrust    = 1 << 20 // bytes
	maxKeys     = 256
	maxProducts = 256
)

// A Trust is a relying party's policy on whose manifests it takes.
type Trust struct {
	Keys     []TrustedKey
	Products []TrustedProduct
}

// A TrustedKey is a key with a name, good for a time. NotBefore and NotAfter are zero where they are not bounded.
type TrustedKey struct {
	Name      string
	Key       *dsse.PublicKey
	NotBefore time.Time
	NotAfter  time.Time // the key is no longer good from then on
}

// A TrustedProduct says who signs the manifests of a product.
type TrustedProduct struct {
	Name          string
	Threshold     int      // so many distinct keys have to sign
	Keys          []string // names
	MinimumSerial uint64   // manifests with a smaller serial number are refused
	Rebuilds      *Rebuilders
}

// Rebuilders says who has to state that they rebuilt the product's inputs.
type Rebuilders struct {
	Threshold int
	Keys      []string // names; a key that signed the manifest itself does not count
	Subjects  []string // subjects that each of them must have rebuilt; empty is all that the manifest has
}

// ParseTrust reads a trust policy. One that could accept what nobody signed, or count one key twice, is refused.
func ParseTrust(data []byte) (*Trust, error) {
	if len(data) > maxTrust {
		return nil, fmt.Errorf("trust policy has %d bytes, at most %d are read", len(data), maxTrust)
	}
	t := &Trust{}
	r := &reader{Decoder: strictjson.NewDecoder("trust policy", data)}
	r.Object([]field{
		{Name: "schema", Read: func() { r.literal("schema", TrustSchema) }},
		{Name: "keys", Read: func() { r.list("keys", maxKeys, func() { t.Keys = append(t.Keys, r.trustedKey()) }) }},
		{Name: "products", Read: func() {
			r.list("products", maxProducts, func() { t.Products = append(t.Products, r.trustedProduct()) })
		}},
	})
	if err := r.End(); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("trust policy: %w", err)
	}
	return t, nil
}

func (r *reader) trustedKey() TrustedKey {
	var k TrustedKey
	r.Object([]field{
		r.text("name", &k.Name),
		{Name: "publicKey", Read: func() {
			at := r.Off()
			pem := r.String()
			if r.Err() != nil {
				return
			}
			var err error
			if k.Key, err = dsse.ParsePublicKey([]byte(pem)); err != nil {
				r.Failf(at, "publicKey", bin.ErrMalformed, "%v", err)
			}
		}},
		{Name: "notBefore", Read: func() { k.NotBefore = r.Time("notBefore") }, Optional: optional},
		{Name: "notAfter", Read: func() { k.NotAfter = r.Time("notAfter") }, Optional: optional},
	})
	return k
}

func (r *reader) trustedProduct() TrustedProduct {
	var p TrustedProduct
	r.Object([]field{
		r.text("name", &p.Name),
		{Name: "threshold", Read: func() { p.Threshold = int(r.Uint("threshold", maxKeys)) }},
		{Name: "keys", Read: func() { p.Keys = r.names("keys") }},
		{Name: "minimumSerial", Read: func() { p.MinimumSerial = r.Uint("minimumSerial", maxSerial) }, Optional: optional},
		{Name: "rebuilds", Optional: optional, Read: func() {
			p.Rebuilds = &Rebuilders{}
			r.Object([]field{
				{Name: "threshold", Read: func() { p.Rebuilds.Threshold = int(r.Uint("threshold", maxKeys)) }},
				{Name: "keys", Read: func() { p.Rebuilds.Keys = r.names("keys") }},
				{Name: "subjects", Read: func() {
					at := r.Off()
					if p.Rebuilds.Subjects = r.names("subjects"); len(p.Rebuilds.Subjects) == 0 { // nobody can tell whether that is all or none
						r.Failf(at, "subjects", bin.ErrMalformed, "is empty")
					}
				}, Optional: optional},
			})
		}},
	})
	return p
}

func (r *reader) names(name string) []string {
	var list []string
	r.list(name, maxKeys, func() { list = append(list, r.Text(name, maxText)) })
	return list
}

// check refuses a policy that does not say what it seems to say.
func (t *Trust) check() error {
	if len(t.Keys) == 0 || len(t.Products) == 0 {
		return errors.New("has no keys or no products, so that it would accept nothing")
	}
	names, ids := map[string]bool{}, map[string]string{}
	for _, k := range t.Keys {
		if names[k.Name] {
			return fmt.Errorf("key %q occurs twice", k.Name)
		}
		if other, ok := ids[k.Key.ID()]; ok {
			return fmt.Errorf("keys %q and %q are the same key", other, k.Name)
		}
		if !k.NotAfter.IsZero() && !k.NotBefore.Before(k.NotAfter) {
			return fmt.Errorf("key %q: notAfter is %s, want a time after notBefore", k.Name, stamp(k.NotAfter))
		}
		names[k.Name], ids[k.Key.ID()] = true, k.Name
	}
	products := map[string]bool{}
	for _, p := range t.Products {
		if products[p.Name] {
			return fmt.Errorf("product %q occurs twice", p.Name)
		}
		products[p.Name] = true
		if err := checkQuorum(p.Threshold, p.Keys, names); err != nil {
			return fmt.Errorf("product %q: %w", p.Name, err)
		}
		if p.Rebuilds == nil {
			continue
		}
		if err := checkQuorum(p.Rebuilds.Threshold, p.Rebuilds.Keys, names); err != nil {
			return fmt.Errorf("product %q: rebuilds: %w", p.Name, err)
		}
	}
	return nil
}

func checkQuorum(threshold int, keys []string, known map[string]bool) error {
	seen := map[string]bool{}
	for _, k := range keys {
		switch {
		case !known[k]:
			return fmt.Errorf("refers to key %q, which is not among the keys", k)
		case seen[k]:
			return fmt.Errorf("lists key %q twice", k)
		}
		seen[k] = true
	}
	if threshold < 1 || threshold > len(keys) {
		return fmt.Errorf("threshold is %d, want 1 to %d, the number of its keys", threshold, len(keys))
	}
	return nil
}

// A Reason says in which way a manifest was rejected.
type Reason string

// The reasons.
const (
	BadSignature  Reason = "signature"     // a signature is by no known key, or over other bytes
	TooFewKeys    Reason = "threshold"     // fewer good keys signed than the policy asks for
	OtherProduct  Reason = "product"       // the policy does not have the product
	NotYetValid   Reason = "not-yet-valid" // before notBefore
	Expired       Reason = "expired"       // at or after expires
	SerialTooOld  Reason = "serial"        // below the floor, or below what was seen before
	SerialReused  Reason = "serial-reused" // another manifest with the same serial number was seen before
	TooFewRebuilt Reason = "rebuilds"      // fewer good rebuild statements than the policy asks for
	BadRebuild    Reason = "rebuild"       // a rebuild statement contradicts the manifest
)

// A RejectedError says why a manifest is not taken.
type RejectedError struct {
	Reason Reason
	Msg    string
}

func (e *RejectedError) Error() string { return "manifest rejected: " + e.Msg }

func reject(r Reason, format string, args ...any) error {
	return &RejectedError{r, fmt.Sprintf(format, args...)}
}

// An Opened manifest passed a trust policy.
type Opened struct {
	*Manifest
	Signers    []string // names of the keys that count, in the order of their signatures
	Rebuilders []string // names of the keys of the rebuild statements that count
}

// OpenOptions are what a trust policy is applied to, beside the manifest.
type OpenOptions struct {
	Now      time.Time
	State    *State   // serial numbers seen before; nil is none
	Rebuilds [][]byte // envelopes with rebuild statements
}

// Open checks an envelope against the policy and returns the manifest in it. The signatures are checked before anything
// of the payload is read. What is wrong with the evidence is a *RejectedError; other errors mean that an input cannot be
// read.
func (t *Trust) Open(data []byte, o OpenOptions) (*Opened, error) {
	payload, signed, err := t.openEnvelope(data)
	if err != nil {
		return nil, err
	}
	m, err := Parse(payload)
	if err != nil {
		return nil, err
	}
	p := t.product(m.Product.Name)
	if p == nil {
		return nil, reject(OtherProduct, "its product is %q, which is none of the policy's", m.Product.Name)
	}
	out := &Opened{Manifest: m}
	if out.Signers, err = t.quorum(signed, p.Keys, p.Threshold, m.IssuedAt, o.Now); err != nil {
		return nil, err
	}
	switch {
	case o.Now.Before(m.NotBefore):
		return nil, reject(NotYetValid, "it is good from %s on, and it is %s", stamp(m.NotBefore), stamp(o.Now))
	case !o.Now.Before(m.Expires):
		return nil, reject(Expired, "it expired at %s, and it is %s", stamp(m.Expires), stamp(o.Now))
	case m.Serial < p.MinimumSerial:
		return nil, reject(SerialTooOld, "its serial number is %d, the policy asks for at least %d", m.Serial, p.MinimumSerial)
	}
	if err := o.State.check(m); err != nil {
		return nil, err
	}
	if out.Rebuilders, err = t.rebuilders(p, m, signed, o); err != nil {
		return nil, err
	}
	return out, nil
}

// openEnvelope checks an envelope's signatures against all keys of the policy.
func (t *Trust) openEnvelope(data []byte) ([]byte, []*dsse.PublicKey, error) {
	e, err := dsse.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	keys := make([]*dsse.PublicKey, len(t.Keys))
	for i := range t.Keys {
		keys[i] = t.Keys[i].Key
	}
	payload, signed, err := e.Verify(PayloadType, keys)
	if err != nil {
		return nil, nil, reject(BadSignature, "%v", err)
	}
	return payload, signed, nil
}

func (t *Trust) product(name string) *TrustedProduct {
	for i := range t.Products {
		if t.Products[i].Name == name {
			return &t.Products[i]
		}
	}
	return nil
}

func (t *Trust) keyOf(k *dsse.PublicKey) *TrustedKey {
	for i := range t.Keys {
		if t.Keys[i].Key.ID() == k.ID() {
			return &t.Keys[i]
		}
	}
	return nil
}

// goodAt says why a key is not good at a time, or "".
func (k *TrustedKey) goodAt(at time.Time, what string) string {
	switch {
	case at.Before(k.NotBefore):
		return fmt.Sprintf("key %q is good from %s on, %s %s", k.Name, stamp(k.NotBefore), what, stamp(at))
	case !k.NotAfter.IsZero() && !at.Before(k.NotAfter):
		return fmt.Sprintf("key %q is good until %s, %s %s", k.Name, stamp(k.NotAfter), what, stamp(at))
	}
	return ""
}

// quorum counts the keys that signed, are among names, and are good both at the time of issue that the statement claims
// and now: a key that was given up cannot sign for the past.
func (t *Trust) quorum(signed []*dsse.PublicKey, names []string, threshold int, issued, now time.Time) ([]string, error) {
	var good, why []string
	for _, s := range signed {
		k := t.keyOf(s)
		if !slices.Contains(names, k.Name) {
			why = append(why, fmt.Sprintf("key %q does not sign for this product", k.Name))
			continue
		}
		bad := k.goodAt(now, "and it is")
		if bad == "" {
			bad = k.goodAt(issued, "and the statement was issued at")
		}
		if bad != "" {
			why = append(why, bad)
			continue
		}
		good = append(good, k.Name)
	}
	if len(good) < threshold {
		return nil, reject(TooFewKeys, "%d of the %d signatures that the policy asks for are good%s", len(good), threshold, because(why))
	}
	return good, nil
}

func because(why []string) string {
	if len(why) == 0 {
		return ""
	}
	return ": " + strings.Join(why, "; ")
}

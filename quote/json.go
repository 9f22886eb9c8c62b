package quote

import (
	"bytes"
	"strconv"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
)

// jsonForms are the members that hold a quote, each with the responses that have it. Exactly one quote must be found,
// however often it is repeated: of two different ones a reader could be shown the wrong one.
var jsonForms = []struct {
	Path []string // names of nested members; "*" stands for every item of an array
	Cite string
}{
	{[]string{"quote"}, "tappd TdxQuote and RawQuote, dstack GetQuote, dstack-verifier, the tutorial, Trustee evidence"},
	{[]string{"attestation"}, "dstack Attest"},
	{[]string{"app_cert"}, "dstack Info and the VMM's guest/Info: an RA-TLS certificate"},
	{[]string{"hex"}, "Phala attestations/verify, as sent"},
	{[]string{"app_certificates", "*", "quote"}, "Phala apps/ID/attestations, older"},
	{[]string{"instances", "*", "quote"}, "Phala apps/ID/attestations"},
	{[]string{"data", "quote"}, "the same responses inside an envelope"},
}

// extractJSON reads a JSON document: an object of one of jsonForms, or an array of the quote's bytes as serde writes one.
func extractJSON(data []byte) (*Evidence, error) {
	doc, err := strictjson.Parse("evidence JSON", data)
	if err != nil {
		return nil, err
	}
	if doc.Kind == strictjson.Array {
		b, err := byteArray(doc)
		if err != nil {
			return nil, err
		}
		if !isQuote(b) {
			return nil, jsonError(doc, "array", bin.ErrUnsupported, "is not the bytes of a quote")
		}
		return &Evidence{Form: "JSON array of bytes", Quote: b}, nil
	}
	if err := exactNames(doc); err != nil {
		return nil, err
	}
	var found *Evidence
	for _, form := range jsonForms {
		for _, holder := range lookup(doc, form.Path) {
			e, err := fromValue(holder.value, form.Path[len(form.Path)-1])
			if err != nil {
				return nil, err
			}
			if found != nil && !bytes.Equal(found.Quote, e.Quote) {
				return nil, jsonError(holder.value, "quote", bin.ErrMalformed, "differs from another quote in the same document")
			}
			if found == nil {
				e.Form = "JSON member " + strconv.Quote(form.Path[len(form.Path)-1])
				if err := e.companions(holder.object); err != nil {
					return nil, err
				}
				found = e
			}
		}
	}
	if found == nil {
		return nil, jsonError(doc, "quote", bin.ErrUnsupported, "has no member that holds a quote: quote, attestation, app_cert or hex")
	}
	return found, nil
}

func jsonError(v *strictjson.Value, field string, category error, msg string) error {
	return &bin.FormatError{Format: "evidence JSON", Off: int64(v.Off), Field: field, Msg: msg, Err: category}
}

// exactNames refuses a document that has a name of jsonForms in other letters: another reader would find it.
func exactNames(doc *strictjson.Value) error {
	r := strictjson.NewReader("evidence JSON", doc)
	for _, form := range jsonForms {
		r.Optional(form.Path[0])
	}
	for _, name := range []string{"event_log", "eventlog", "cc_eventlog", "vm_config", "report_data"} {
		r.Optional(name)
	}
	r.Unknown()
	return r.Err()
}

// A place is a value and the object that it is a member of.
type place struct{ object, value *strictjson.Value }

// lookup returns every value at path that is not null or an empty string, which agents send for what they do not have.
func lookup(v *strictjson.Value, path []string) []place {
	var out []place
	if path[0] == "*" {
		for i := range v.Items {
			out = append(out, lookup(&v.Items[i], path[1:])...)
		}
		return out
	}
	for i := range v.Members {
		m := &v.Members[i].Value
		switch {
		case v.Members[i].Name != path[0] || m.Kind == strictjson.Null || m.Kind == strictjson.String && m.Text == "":
		case len(path) == 1:
			out = append(out, place{v, m})
		default:
			out = append(out, lookup(m, path[1:])...)
		}
	}
	return out
}

// fromValue decodes the value of a member that holds a quote.
func fromValue(v *strictjson.Value, name string) (*Evidence, error) {
	var b []byte
	switch v.Kind {
	case strictjson.String:
		text := []byte(v.Text)
		if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN CERTIFICATE-----")) {
			return extractPEM(bytes.TrimSpace(text))
		}
		var ok bool
		if b, _, ok = decodeText(v.Text); !ok {
			return nil, jsonError(v, strconv.Quote(name), bin.ErrMalformed, "is neither hex nor base64")
		}
	case strictjson.Array:
		var err error
		if b, err = byteArray(v); err != nil {
			return nil, err
		}
	case strictjson.Object:
		return nil, jsonError(v, strconv.Quote(name), bin.ErrUnsupported,
			"is an object of parsed fields, which lacks what the signature covers; ask for the raw quote")
	default:
		return nil, jsonError(v, strconv.Quote(name), bin.ErrMalformed, "is "+v.Kind.String()+", want a string")
	}
	e, err := extractBinary(b)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, jsonError(v, strconv.Quote(name), bin.ErrUnsupported, "does not decode to a quote")
	}
	return e, nil
}

// byteArray reads an array of integers from 0 to 255.
func byteArray(v *strictjson.Value) ([]byte, error) {
	b := make([]byte, len(v.Items))
	for i := range v.Items {
		n, err := strconv.ParseUint(string(v.Items[i].Raw), 10, 8)
		if err != nil { // the text of a string has its quotes
			return nil, jsonError(&v.Items[i], "array", bin.ErrMalformed, "has an item that is not an integer from 0 to 255")
		}
		b[i] = byte(n)
	}
	return b, nil
}

// companions takes what stands beside the quote in the same object. A value may be JSON in a string or JSON itself, as
// older and newer agents have it.
func (e *Evidence) companions(object *strictjson.Value) error {
	for i := range object.Members {
		v := &object.Members[i].Value
		if v.Kind == strictjson.Null || v.Kind == strictjson.String && v.Text == "" {
			continue
		}
		switch object.Members[i].Name {
		case "event_log", "eventlog":
			e.UntrustedEventLog = textOf(v)
		case "cc_eventlog": // Trustee: the CCEL in base64
			b, _, ok := decodeText(v.Text)
			if !ok { // what is no string has no text
				return jsonError(v, `"cc_eventlog"`, bin.ErrMalformed, "is not base64")
			}
			e.UntrustedEventLog = b
		case "vm_config":
			e.UntrustedVMConfig = textOf(v)
		case "report_data":
			b, _, ok := decodeText(v.Text)
			if !ok { // what is no string has no text
				return jsonError(v, `"report_data"`, bin.ErrMalformed, "is not hex")
			}
			e.UntrustedReportData = b
		}
	}
	return nil
}

// textOf returns the JSON text that v is or holds as a string.
func textOf(v *strictjson.Value) []byte {
	if v.Kind == strictjson.String {
		return []byte(v.Text)
	}
	return bytes.Clone(v.Raw)
}

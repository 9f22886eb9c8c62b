package export

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/mr"
)

// registerNames are the columns of MRTD and RTMR0 to RTMR2.
var registerNames = [4]string{"mrtd", "rtmr0", "rtmr1", "rtmr2"}

// indented returns v as JSON for people.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// cellText returns a text as a cell that no spreadsheet takes for a formula: where it begins with what formulas begin with,
// or with an apostrophe, an apostrophe stands before it. OWASP, "CSV Injection".
func cellText(s string) string {
	if s != "" && strings.IndexByte("=+-@'\t\r", s[0]) >= 0 {
		return "'" + s
	}
	return s
}

// csvTable writes a line for each variant.
func csvTable(in *Input) ([]File, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write(append([]string{"id", "qemu", "machine", "devices", "cpus", "memory_bytes"}, registerNames[:]...))
	for _, v := range in.Manifest.All() {
		row := []string{cellText(v.ID), cellText(v.Platform.QEMU), cellText(v.Platform.Machine), cellText(v.Platform.Devices), strconv.Itoa(v.CPUs), strconv.FormatUint(v.Memory, 10)}
		for _, d := range v.Registers {
			row = append(row, d.String())
		}
		w.Write(row)
	}
	w.Flush()
	return []File{{"variants.csv", b.Bytes()}}, w.Error()
}

// attestedTLS writes flashbots/attested-tls' list of measurements: an entry is matched whole.
func attestedTLS(in *Input) ([]File, error) {
	type expected struct {
		Expected string `json:"expected"`
	}
	type entry struct {
		ID           string              `json:"measurement_id"`
		Type         string              `json:"attestation_type"`
		Measurements map[string]expected `json:"measurements"`
	}
	list := make([]entry, 0, in.Manifest.Len())
	for _, v := range in.Manifest.All() {
		e := entry{ID: in.Manifest.Product.Name + "-" + in.Manifest.Product.Version + "-" + v.ID, Type: "dcap-tdx", Measurements: map[string]expected{}}
		for i, d := range v.Registers {
			e.Measurements[registerNames[i]] = expected{d.String()}
		}
		list = append(list, e)
	}
	data, err := indented(list)
	return []File{{"measurements.json", data}}, err
}

// rvps writes a message of Trustee's reference value provider service with a provenance of its sample extractor.
// confidential-containers/trustee 78962cd4, rvps/src/lib.rs, Message; rvps/src/extractors/sample.
func rvps(in *Input) ([]File, error) {
	// The names are those that the default policy asks for: attestation-service/src/ear_token/ear_default_policy_cpu.rego.
	values := map[string][]string{}
	add := func(name, value string) {
		if !slices.Contains(values[name], value) {
			values[name] = append(values[name], value)
		}
	}
	seen := map[string]bool{} // of RTMR0, of which there are many
	for _, v := range in.Manifest.All() {
		for i, name := range [4]string{"mr_td", "rtmr_0", "rtmr_1", "rtmr_2"} {
			d := v.Registers[i].String()
			if !seen[name+d] {
				seen[name+d] = true
				values[name] = append(values[name], d)
			}
		}
		for _, e := range v.Events {
			switch e.Rule {
			case ruleKernel:
				add("tdvfkernel", e.Measured.Digest.String())
			case ruleCmdline:
				add("tdvfkernelparams", e.Measured.Digest.String())
			}
		}
	}
	if p := in.Manifest.Policy; p != nil {
		if p.XFAM != nil && p.XFAM.Mask == whole {
			add("xfam", fmt.Sprintf("%x", p.XFAM.Value))
		}
		for _, d := range p.MRSEAM {
			add("mr_seam", d.String())
		}
	}
	payload, err := json.Marshal(equalOrIn(values))
	if err != nil {
		return nil, err
	}
	data, err := indented(struct {
		Version string `json:"version"`
		Type    string `json:"type"`
		Payload string `json:"payload"`
	}{"0.1.0", "sample", base64.StdEncoding.EncodeToString(payload)})
	return []File{{"rvps.json", data}}, err
}

// equalOrIn writes a value that the default policy compares with == as it is, where there is one alone; the others, which
// are asked for with in, are lists. The sample extractor takes either.
func equalOrIn(values map[string][]string) map[string]any {
	out := map[string]any{}
	for name, list := range values {
		out[name] = list
		if (name == "tdvfkernel" || name == "tdvfkernelparams") && len(list) == 1 {
			out[name] = list[0]
		}
	}
	return out
}

// Rules of events that other tools know by names of their own.
const (
	ruleKernel  mr.RuleID = "rtmr1.kernel"
	ruleCmdline mr.RuleID = "rtmr2.load-options"
	ruleInitrd  mr.RuleID = "rtmr2.initrd"
	ruleSMBIOS  mr.RuleID = "rtmr0.smbios"
)

// whole is a mask of all bits.
var whole = [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// goTDXGuest writes a check configuration in text format for each variant.
// google/go-tdx-guest 91f9a52, proto/checkconfig.proto.
func goTDXGuest(in *Input) ([]File, error) {
	var common strings.Builder
	if p := in.Manifest.Policy; p != nil {
		policyFields(&common, p)
	}
	taken := map[string]bool{}
	var files []File
	for _, v := range in.Manifest.All() {
		var b strings.Builder
		fmt.Fprintf(&b, "# %s %s, serial %d, variant %s\n", in.Manifest.Product.Name, in.Manifest.Product.Version, in.Manifest.Serial, v.ID)
		b.WriteString("policy {\n  td_quote_body_policy {\n")
		field(&b, "mr_td", v.Registers[mr.MRTD][:])
		for _, d := range v.Registers[mr.RTMR0:] {
			field(&b, "rtmrs", d[:])
		}
		field(&b, "rtmrs", nil) // RTMR3 is not compared
		b.WriteString(common.String())
		b.WriteString("    enable_td_debug_check: true\n  }\n}\nroot_of_trust {\n  check_crl: true\n  get_collateral: true\n}\n")
		files = append(files, File{fileName(v.ID, taken) + ".textproto", []byte(b.String())})
	}
	return files, nil
}

// policyFields writes what of a policy go-tdx-guest can ask for: equality of whole fields, and least versions.
func policyFields(b *strings.Builder, p *manifest.Policy) {
	for _, f := range []struct {
		name string
		mask *manifest.Mask
	}{{"td_attributes", p.Attributes}, {"xfam", p.XFAM}} {
		if f.mask != nil && f.mask.Mask == whole {
			field(b, f.name, f.mask.Value[:])
		}
	}
	for _, f := range []struct {
		name string
		rule *manifest.FieldRule
	}{{"mr_config_id", p.MRConfigID}, {"mr_owner", p.MROwner}} {
		switch {
		case f.rule == nil:
		case f.rule.Rule == manifest.Zero:
			field(b, f.name, make([]byte, 48))
		case f.rule.Rule == manifest.OneOf && len(f.rule.Values) == 1:
			field(b, f.name, f.rule.Values[0][:])
		}
	}
	if len(p.MRSEAM) == 1 {
		field(b, "mr_seam", p.MRSEAM[0][:])
	}
	if p.MinimumTCB != nil && p.MinimumTCB.TEETCBSVN != nil {
		field(b, "minimum_tee_tcb_svn", p.MinimumTCB.TEETCBSVN[:])
	}
}

// field writes a field of bytes as text format does.
func field(b *strings.Builder, name string, value []byte) {
	fmt.Fprintf(b, "    %s: \"", name)
	for _, c := range value {
		fmt.Fprintf(b, `\x%02x`, c)
	}
	b.WriteString("\"\n")
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
)

// truthQuotes are the quotes of the larger collection, each with the collateral that was current at a time, and the
// required checks that reject it when nothing is known of the image. Collateral is a path below the collection's quotes.
var truthQuotes = []struct {
	quote, collateral, time, rejected string
}{
	{"automata-v5-alibaba", "phala-tdx_quote_outdated", "2026-03-01T00:00:00Z", "tcb.status, td.service-td, tcb.advisories"},
	{"dstack-quote-report", "phala-tdx_quote_outdated", "2026-03-01T00:00:00Z", ""},
	{"dstack-ra-tls", "", "2025-06-01T00:00:00Z", ""},
	{"dstack-tdx-lite", "", "2026-05-01T00:00:00Z", "os-image.hash"},
	{"google-cos113", "", "2025-01-01T00:00:00Z", ""},
	{"google-spr-e4", "google-spr-e4", "2023-07-01T00:00:00Z", "quote.parse"},
	{"google-v5", "phala-tdx_quote_outdated", "2026-03-01T00:00:00Z", ""},
	{"google-v5", "google-v5", "2026-03-01T00:00:00Z", "crl.root.time, crl.pck.time, tcb-info.chain-time, qe-identity.chain-time, qe-identity.time"},
	{"near-mpc", "near-mpc", "2026-08-28T00:00:00Z", ""},
	{"oasis-v4", "oasis-v4", "2024-09-10T00:00:00Z", "crl.root, crl.pck"},
	{"oasis-v4-outofdate", "google-spr-e4", "2023-07-01T00:00:00Z", "tcb.platform"},
	{"oasis-v4-trailing", "", "2025-01-01T00:00:00Z", ""}, // zeros behind the quote
	{"phala-near-gas-test", "phala-near-gas-test", "2025-09-10T00:00:00Z", ""},
	{"phala-tdx_quote", "phala-tdx_quote", "2025-06-25T00:00:00Z", ""},
	{"phala-tdx_quote_outdated", "phala-tdx_quote_outdated", "2026-03-01T00:00:00Z", "tcb.platform"},
	{"trustee-tdx_quote_4", "google-spr-e4", "2023-07-01T00:00:00Z", "td.debug"},
	{"trustee-tdx_quote_5", "", "2025-06-01T00:00:00Z", "td.service-td"},
}

// TestTruthQuotes judges every quote of the larger collection through the command, with the log and vm_config beside it.
func TestTruthQuotes(t *testing.T) {
	dir := fixtures.Truth(t, "quotes")
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var judged []string
	for _, tc := range truthQuotes {
		judged = append(judged, tc.quote)
		args := []string{"tdxkit", "verify", "--quote", filepath.Join(dir, tc.quote, "quote.bin"), "--time", tc.time,
			"--unsafe", "registers", "--unsafe", "report-data.binding", "--unsafe", "td.mrowner", "--unsafe", "td.mrownerconfig"}
		if tc.collateral != "" {
			args = append(args, "--collateral", filepath.Join(dir, tc.collateral, "collateral.json"))
		} else {
			args = append(args, "--unsafe", "collateral")
		}
		for flag, name := range map[string]string{"--event-log": "event_log.json", "--vm-config": "vm_config.json"} {
			if path := filepath.Join(dir, tc.quote, name); names(t, filepath.Dir(path)) > 0 && content(t, path) != "" {
				args = append(args, flag, path)
			}
		}
		if path := filepath.Join(dir, tc.quote, "ccel.bin"); content(t, path) != "" {
			args = append(args, "--event-log", path)
		}
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
		message, _, _ := strings.Cut(strings.TrimPrefix(stderr.String(), "tdxkit: rejected: "), "\n")
		if tc.rejected == "" && code != exitDone || tc.rejected != "" && (code != exitMismatch || message != tc.rejected) {
			t.Errorf("%s: exit code %d, %q, want %q", tc.quote, code, message, tc.rejected)
		}
	}
	for _, e := range list {
		if e.IsDir() && e.Name() != "near-history" && !slices.Contains(judged, e.Name()) { // verify's tests judge the history
			t.Errorf("%s is not judged", e.Name())
		}
	}
	t.Logf("%d quotes", len(judged))
}

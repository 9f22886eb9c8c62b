package main

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/testpki"
)

// TestCollateralFetch gets collateral from a service in this process, as a PCCS serves it, and judges with it.
func TestCollateralFetch(t *testing.T) {
	c, err := dcap.ParseCollateral(fixtures.File(t, "quotes", "collateral-b0c06f-2026-08-14.json"))
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]string{}
	broken := ""
	chain := func(certs [][]byte) string { return url.PathEscape(testpki.PEM(certs)) }
	signed := func(name string, text, sig []byte) []byte {
		return []byte(`{"` + name + `":` + string(text) + `,"signature":"` + hex.EncodeToString(sig) + `"}`)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path] = r.URL.RawQuery
		switch {
		case r.URL.Path == broken:
			http.Error(w, "no", http.StatusNotFound)
		case r.URL.Path == "/tdx/certification/v4/tcb":
			w.Header().Set("TCB-Info-Issuer-Chain", chain(c.TCBInfoChain))
			w.Write(signed("tcbInfo", c.TCBInfo, c.TCBInfoSignature))
		case r.URL.Path == "/tdx/certification/v4/qe/identity":
			w.Header().Set("SGX-Enclave-Identity-Issuer-Chain", chain(c.QEIdentityChain))
			w.Write(signed("enclaveIdentity", c.QEIdentity, c.QEIdentitySignature))
		case r.URL.Path == "/sgx/certification/v4/pckcrl":
			w.Header().Set("SGX-PCK-CRL-Issuer-Chain", chain(c.PCKCRLChain))
			w.Write(c.PCKCRL)
		case r.URL.Path == "/sgx/certification/v4/rootcacrl":
			w.Write([]byte(hex.EncodeToString(c.RootCRL)))
		case r.URL.Path == "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
	}))
	defer server.Close()
	quotes := filepath.Join(fixtures.Dir(), "quotes")
	tdxkit := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"tdxkit"}, args...), strings.NewReader(""), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	out := filepath.Join(t.TempDir(), "collateral.json")
	quote := filepath.Join(quotes, "near-mpc.bin")
	if code, _, stderr := tdxkit("collateral", "fetch", "--quote", quote, "--url", server.URL+"/", "--out", out); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if asked["/tdx/certification/v4/tcb"] != "fmspc=b0c06f000000" || !strings.Contains(asked["/sgx/certification/v4/pckcrl"], "ca=platform") {
		t.Errorf("asked for %v", asked)
	}
	code, stdout, stderr := tdxkit("verify", "--quote", quote, "--collateral", out, "--time", "2026-08-28T00:00:00Z",
		"--unsafe", "registers", "--unsafe", "report-data.binding")
	if code != 0 || !strings.Contains(stdout, "TCB UpToDate") {
		t.Errorf("verify: exit code %d: %s", code, stderr)
	}
	if code, stdout, _ := tdxkit("collateral", "fetch", "--fmspc", "B0C06F000000", "--url", server.URL); code != 0 || stdout != content(t, out) {
		t.Errorf("by FMSPC: exit code %d, %d bytes", code, len(stdout))
	}
	for name, args := range map[string][]string{
		"endless answer": {"--fmspc", "b0c06f000000", "--url", server.URL, "--root-crl-url", server.URL + "/endless"},
		"no service":     {"--fmspc", "b0c06f000000", "--url", "http://127.0.0.1:1"},
		"empty answer":   {"--fmspc", "b0c06f000000", "--url", server.URL + "/other"},
		"no quote":       {"--quote", filepath.Join(quotes, "SOURCE.md"), "--url", server.URL},
	} {
		if code, stdout, stderr := tdxkit(append([]string{"collateral", "fetch"}, args...)...); code != exitInput || stdout != "" {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
	for name, args := range map[string][]string{
		"nothing": {}, "both": {"--quote", quote, "--fmspc", "b0c06f000000"}, "short FMSPC": {"--fmspc", "b0c0"},
		"another CA": {"--fmspc", "b0c06f000000", "--ca", "root"}, "no URL": {"--fmspc", "b0c06f000000", "--url", "file:///etc"},
	} {
		if code, _, stderr := tdxkit(append([]string{"collateral", "fetch"}, args...)...); code != exitUsage {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
	broken = "/tdx/certification/v4/qe/identity"
	if code, _, stderr := tdxkit("collateral", "fetch", "--fmspc", "b0c06f000000", "--url", server.URL); code != exitInput || !strings.Contains(stderr, "404") {
		t.Errorf("404: exit code %d: %s", code, stderr)
	}
}

// TestHugeFiles gives verify files of 1 GiB, sparse on the disk. They are refused by their size.
func TestHugeFiles(t *testing.T) {
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge")
	write(t, huge, nil)
	truncate(t, huge, 1<<30)
	quote := filepath.Join(fixtures.Dir(), "quotes", "near-mpc.bin")
	for _, args := range [][]string{
		{"verify", "--quote", huge}, {"verify", "--quote", quote, "--event-log", huge}, {"verify", "--quote", quote, "--collateral", huge},
		{"verify", "--quote", quote, "--policy", huge}, {"verify", "--quote", quote, "--expect", huge}, {"verify", "--quote", quote, "--app-compose", huge},
		{"verify", "--quote", quote, "--vm-config", huge}, {"verify", "--quote", quote, "--nonce", "@" + huge},
		{"replay", "--event-log", huge}, {"explain", "--event-log", huge, "--against", huge}, {"compose-hash", huge},
		{"inspect", "quote", huge}, {"inspect", "collateral", huge}, {"collateral", "bundle", huge},
	} {
		var stdout, stderr bytes.Buffer
		before := allocated()
		code := run(t.Context(), append([]string{"tdxkit"}, args...), strings.NewReader(""), &stdout, &stderr)
		if code != exitInput || stdout.Len() > 0 || !strings.Contains(stderr.String(), "1073741824 bytes") {
			t.Errorf("%v: exit code %d: %s", args, code, stderr.String())
		}
		if n := allocated() - before; n > 64<<20 {
			t.Errorf("%v: allocates %d bytes", args, n)
		}
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// allocated returns the bytes that were ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

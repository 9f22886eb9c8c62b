package dcap_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/testpki"
)

func TestUntrustedContents(t *testing.T) {
	for _, name := range collaterals {
		c, err := mustCollateral(t, fixtures.File(t, "quotes", "collateral-"+name+".json")).UntrustedContents()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := fmt.Sprintf("%x", c.TCBInfo.FMSPC); !strings.HasPrefix(got, strings.Split(name, "-")[0]) {
			t.Errorf("%s: FMSPC %s", name, got)
		}
		lists := 2
		if strings.HasPrefix(name, "c0806f") {
			lists = 0
		}
		if (c.CA == "platform") != (lists == 2) || len(c.Validity) < 4+lists {
			t.Errorf("%s: CA %q, %d spans", name, c.CA, len(c.Validity))
		}
	}
	w := testpki.Default().Build()
	for name, alter := range map[string]func(*dcap.Collateral){
		"TCB info":    func(c *dcap.Collateral) { c.TCBInfo = []byte("{}") },
		"QE identity": func(c *dcap.Collateral) { c.QEIdentity = []byte("{}") },
		"list":        func(c *dcap.Collateral) { c.PCKCRL = []byte{0x30, 0x80} },
		"chain":       func(c *dcap.Collateral) { c.QEIdentityChain = [][]byte{{0x30, 0x80}} },
	} {
		c := mustCollateral(t, w.Collateral())
		alter(c)
		if _, err := c.UntrustedContents(); err == nil {
			t.Errorf("%s that is none: accepted", name)
		}
	}
	if _, err := (&dcap.Collateral{}).UntrustedContents(); err != nil {
		t.Errorf("empty: %v", err)
	}
}

func TestUntrustedPlatform(t *testing.T) {
	for name, want := range map[string]string{"near-mpc.bin": "b0c06f000000 platform", "google-v5.bin": "90c06f000000 platform",
		"google-cos113.bin": "00806f050000 platform", "trustee-4-debug.bin": "50806f000000 platform"} {
		fmspc, ca, err := dcap.UntrustedPlatform(mustQuote(t, fixtures.File(t, "quotes", name)))
		if got := fmt.Sprintf("%x %s", fmspc, ca); err != nil || got != want {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	s := testpki.Default()
	s.CA.CN = "another CA"
	if _, _, err := dcap.UntrustedPlatform(mustQuote(t, s.Build().Quote)); err == nil {
		t.Error("accepted a PCK certificate of another CA")
	}
}

// TestDocs holds docs/DCAP.md to the table of checks.
func TestDocs(t *testing.T) {
	doc, err := os.ReadFile("../docs/DCAP.md")
	if err != nil {
		t.Fatal(err)
	}
	ids, questions := dcap.CheckIDs()
	for i, id := range ids {
		row := fmt.Sprintf("| `%s` | %s? |", id, questions[i])
		if strings.Count(string(doc), row) != 1 {
			t.Errorf("docs/DCAP.md lacks the row %s", row)
		}
	}
	if got := strings.Count(string(doc), "\n| `"); got != len(ids) {
		t.Errorf("docs/DCAP.md has %d rows of checks, want %d", got, len(ids))
	}
}

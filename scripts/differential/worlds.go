package main

import (
	"fmt"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/quote"
)

// worlds are trials with a root of our own: states that no real evidence at hand is in.
func worlds() ([]trial, error) {
	var trials []trial
	for _, w := range []struct {
		name   string
		change func(*testpki.Scenario)
	}{
		{"in order", func(*testpki.Scenario) {}},
		{"in order, version 5", func(s *testpki.Scenario) { s.V5() }},
		{"platform OutOfDate, module UpToDate", func(s *testpki.Scenario) { s.PCK.SGX[0] = 3 }},
		{"platform SWHardeningNeeded", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "SWHardeningNeeded" }},
		{"platform ConfigurationNeeded", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "ConfigurationNeeded" }},
		{"platform revoked", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "Revoked" }},
		{"no platform level", func(s *testpki.Scenario) { s.PCK.SGX[0] = 1 }},
		{"module OutOfDate", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[0] = 3 }},
		{"module revoked", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[0] = 2 }},
		{"module of a version without identity", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[1] = 2 }},
		{"module signed as tdxModule says, not as its identity", func(s *testpki.Scenario) { s.TCBInfo.Modules[1].MRSIGNER[0] = 7 }},
		{"module that runs now OutOfDate", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN2[0] = 3 }},
		{"module that runs now without level", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN2[0] = 1 }},
		{"QE OutOfDate", func(s *testpki.Scenario) { s.Quote.QE.ISVSVN = 3 }},
		{"QE of another signer", func(s *testpki.Scenario) { s.Quote.QE.MRSIGNER[31] = 1 }},
		{"DEBUG", func(s *testpki.Scenario) { s.Quote.TD.Attributes |= quote.Debug }},
		{"migratable", func(s *testpki.Scenario) { s.Quote.TD.Attributes |= quote.Migratable }},
		{"service TD", func(s *testpki.Scenario) { s.V5().Quote.TD.MRSERVICETD[0] = 1 }},
		{"PCK certificate revoked", func(s *testpki.Scenario) { s.PCKCRL.Revoked = []int64{testpki.SerialPCK} }},
		{"CA revoked", func(s *testpki.Scenario) { s.RootCRL.Revoked = []int64{testpki.SerialPlatformCA} }},
		{"signer revoked", func(s *testpki.Scenario) { s.RootCRL.Revoked = []int64{testpki.SerialSigning} }},
		{"TCB info of another FMSPC", func(s *testpki.Scenario) { s.TCBInfo.FMSPC[0]++ }},
		{"TCB info expired", func(s *testpki.Scenario) { s.TCBInfo.NextUpdate = testpki.Now.AddDate(0, 0, -1) }},
		{"TCB info not yet issued", func(s *testpki.Scenario) { s.TCBInfo.IssueDate = testpki.Now.AddDate(0, 0, 1) }},
		{"TCB info signed by a PCK key", func(s *testpki.Scenario) {
			s.TCBSigner = func(w *testpki.World) (*testpki.Key, [][]byte) { return w.PCK.Key, w.PCKChain }
		}},
	} {
		s := testpki.Default()
		w.change(s)
		world := s.Build()
		q, err := quote.Parse(world.Quote)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		c, err := dcap.ParseCollateral(world.Collateral())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		trials = append(trials, trial{quote: w.name, collateral: "of its world", at: testpki.Now, place: "world", q: q, c: c, root: world.Root.DER})
	}
	return trials, nil
}

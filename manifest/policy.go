package manifest

import (
	"time"

	"github.com/tdxkit/tdxkit/mr"
)

// A Policy is what the manifest's author asks of a TD beside its registers. What is absent is not asked for; a relying
// party's own policy may ask for more, and both have to hold.
type Policy struct {
	Attributes *Mask // TD attributes
	XFAM       *Mask
	MRConfigID *FieldRule
	MROwner    *FieldRule
	MinimumTCB *MinimumTCB
	MRSEAM     []mr.Digest // the TDX modules that are good; empty is any
}

// A Mask asks that the bits of a field of 8 bytes, in the order in which a quote has them, are those of Value where
// those of Mask are set.
type Mask struct{ Mask, Value [8]byte }

// A FieldRule says what a field of 48 bytes may hold.
type FieldRule struct {
	Rule   FieldRuleKind
	Values []mr.Digest // for OneOf
}

// A FieldRuleKind is one way to judge a field. The zero value is no rule.
type FieldRuleKind string

// The rules.
const (
	Zero   FieldRuleKind = "zero"   // all bytes are zero
	OneOf  FieldRuleKind = "one-of" // one of the listed values
	Dstack FieldRuleKind = "dstack" // MRCONFIGID as dstack makes it from the app's compose file, which the verifier holds
)

// A MinimumTCB bounds the platform's TCB from below.
type MinimumTCB struct {
	EvaluationDataNumber uint64    // of the collateral; 0 is any
	Date                 time.Time // of the TCB level; zero is any
	Statuses             []string  // "UpToDate", ... as Intel spells them; empty leaves it to the verifier
	TEETCBSVN            *[16]byte // component by component; nil is any
}

// statuses are the TCB statuses that Intel's TCB info has.
var statuses = []string{
	"UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded",
	"OutOfDate", "OutOfDateConfigurationNeeded", "Revoked",
}

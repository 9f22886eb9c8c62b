package dcap

import (
	"slices"
	"time"
)

// A Status is Intel's word on a trusted computing base. The zero Status is none: nothing was judged.
type Status uint8

// The statuses of TCB info and QE identity, and the two that comparing launch with now adds; from good to bad. Intel PCS API v4, "Get TDX TCB
// Info"; intel/confidential-computing.tee.dcap.qvl d12717e, Verifiers/Checks/EvaluateTcb.cpp and TDRelaunchCheck.cpp.
const (
	NoStatus Status = iota
	UpToDate
	SWHardeningNeeded
	ConfigurationNeeded
	ConfigurationAndSWHardeningNeeded
	TDRelaunchAdvised // launched on an old TDX module, runs on a good one
	TDRelaunchAdvisedConfigurationNeeded
	OutOfDate
	OutOfDateConfigurationNeeded
	Revoked
)

var statusNames = [...]string{"none", "UpToDate", "SWHardeningNeeded", "ConfigurationNeeded",
	"ConfigurationAndSWHardeningNeeded", "TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded", "OutOfDate",
	"OutOfDateConfigurationNeeded", "Revoked"}

// String returns the status as Intel spells it, or "none".
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// ParseStatus returns the status that Intel spells s; ok is false for any other spelling.
func ParseStatus(s string) (status Status, ok bool) {
	if i := slices.Index(statusNames[1:], s); i >= 0 {
		return Status(i + 1), true
	}
	return NoStatus, false
}

// MarshalText returns the status as String does.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Component is the outcome for one part of the TCB: the platform, the TDX module or the quoting enclave.
type Component struct {
	Status     Status    // NoStatus if no level matched, or none was looked for
	Level      int       // index of the level that matched, in the order of the document; meaningless without a status
	Date       time.Time // tcbDate of the level: the TCB is protected against what was known then
	Advisories []string  // of the level, in its order
}

// converge says what the platform's status becomes in the light of its components'. EvaluateTcb.cpp, convergeTcbStatuses.
func converge(platform Status, components ...Status) Status {
	for _, c := range components {
		if c == NoStatus || platform == NoStatus {
			return NoStatus
		}
		if c == Revoked {
			return Revoked
		}
	}
	if slices.Contains(components, OutOfDate) {
		switch platform {
		case UpToDate, SWHardeningNeeded:
			return OutOfDate
		case ConfigurationNeeded, ConfigurationAndSWHardeningNeeded:
			return OutOfDateConfigurationNeeded
		}
	}
	return platform
}

// relaunch compares the status of the module that launched a TD with that of the one that runs it now.
// TDRelaunchCheck.cpp, checkForRelaunch; beyond it, a module that is worse now than at launch counts as what it is now.
func relaunch(launch, current Status) Status {
	outOfDate := func(s Status) bool { return s == OutOfDate || s == OutOfDateConfigurationNeeded }
	switch {
	case launch == Revoked || current == Revoked:
		return Revoked
	case outOfDate(current):
		return max(launch, current)
	case !outOfDate(launch):
		return worse(launch, current)
	case launch == OutOfDateConfigurationNeeded, current == ConfigurationNeeded, current == ConfigurationAndSWHardeningNeeded:
		return TDRelaunchAdvisedConfigurationNeeded
	}
	return TDRelaunchAdvised
}

// worse joins two statuses that are neither out of date nor revoked: what either asks for is asked for.
func worse(a, b Status) Status {
	if a == SWHardeningNeeded && b == ConfigurationNeeded || a == ConfigurationNeeded && b == SWHardeningNeeded {
		return ConfigurationAndSWHardeningNeeded
	}
	return max(a, b)
}

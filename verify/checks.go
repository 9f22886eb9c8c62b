package verify

import "github.com/tdxkit/tdxkit/dcap"

// The checks of Judge beside those of package dcap, which stand between collateral.parse and td.attributes-policy.
const (
	QuoteParse      CheckID = "quote.parse"
	CollateralParse CheckID = "collateral.parse"

	TDAttributesPolicy CheckID = "td.attributes-policy"
	TDXFAMPolicy       CheckID = "td.xfam-policy"
	TDConfigID         CheckID = "td.mrconfigid"
	TDOwner            CheckID = "td.mrowner"
	TDOwnerConfig      CheckID = "td.mrownerconfig"

	ModuleMRSEAM  CheckID = "module.mrseam"
	ModuleVersion CheckID = "module.version"
	ModuleSVN     CheckID = "module.svn"

	TCBEvaluation CheckID = "tcb.evaluation"
	TCBDate       CheckID = "tcb.date"
	TCBAdvisories CheckID = "tcb.advisories"
	CollateralAge CheckID = "collateral.age"

	ReportDataBinding CheckID = "report-data.binding"
	ReportDataExact   CheckID = "report-data.exact"
	NonceAge          CheckID = "nonce.age"

	LogParse  CheckID = "log.parse"
	LogReplay CheckID = "log.replay"
	LogData   CheckID = "log.data"

	RegistersVariant CheckID = "registers.variant"
	RegistersMRTD    CheckID = "registers.mrtd"
	RegistersRTMR0   CheckID = "registers.rtmr0"
	RegistersRTMR1   CheckID = "registers.rtmr1"
	RegistersRTMR2   CheckID = "registers.rtmr2"
	RegistersRTMR3   CheckID = "registers.rtmr3"

	RTMR3Events      CheckID = "rtmr3.events"
	RTMR3ComposeHash CheckID = "rtmr3.compose-hash"
	RTMR3AppID       CheckID = "rtmr3.app-id"
	RTMR3Required    CheckID = "rtmr3.required"
	RTMR3Application CheckID = "rtmr3.application"

	VMConfigParse CheckID = "vm-config.parse"
	OSImageHash   CheckID = "os-image.hash"
)

// A step is a check and how it is made.
type step struct {
	ID     CheckID
	What   string // the question, for people
	Unsafe bool   // whether a policy may waive the check by name
	Needs  []CheckID
	Due    func(*judge) string // why the check is not due, empty where it is; nil is always due
	Run    func(*judge) finding
}

// needs is a list of checks, for the table.
func needs(ids ...CheckID) []CheckID { return ids }

// before and after are the table: what is asked before package dcap's checks, and what after them. Nothing else adds to a
// Verdict.
var before = []step{
	{QuoteParse, "is it a TD's quote of version 4 or 5", false, nil, nil, (*judge).quoteParse},
	{CollateralParse, "is the collateral of a form known here", true, nil, nil, (*judge).collateralParse},
}

var after = []step{
	{TDAttributesPolicy, "are the TD's attributes those of the policy", false, needs(QuoteParse), (*judge).dueAttributes, (*judge).tdAttributes},
	{TDXFAMPolicy, "is the TD's processor state that of the policy", false, needs(QuoteParse), (*judge).dueXFAM, (*judge).tdXFAM},

	{ModuleMRSEAM, "is the TDX module one of the policy's", false, needs(QuoteParse), (*judge).dueMRSEAM, (*judge).moduleMRSEAM},
	{ModuleVersion, "is its major version one of the policy's", false, needs(QuoteParse), (*judge).dueMajors, (*judge).moduleVersion},
	{ModuleSVN, "are its security versions those of the policy or later", false, needs(QuoteParse), (*judge).dueSVN, (*judge).moduleSVN},

	{TCBEvaluation, "is the TCB evaluated by Intel's numbers of the policy or later", false, needs(dcap.TCBInfoFormat, dcap.QEIdentityFormat), (*judge).dueEvaluation, (*judge).tcbEvaluation},
	{TCBDate, "is the TCB of the policy's date or later", false, needs(dcap.TCBCurrent), (*judge).dueTCBDate, (*judge).tcbDate},
	{TCBAdvisories, "are all advisories that concern the TCB borne by the policy", true, needs(dcap.TCBCurrent), nil, (*judge).tcbAdvisories},
	{CollateralAge, "was the collateral issued within the policy's time", false, needs(dcap.TCBInfoFormat, dcap.QEIdentityFormat), (*judge).dueCollateralAge, (*judge).collateralAge},

	{ReportDataBinding, "does REPORTDATA hold the nonce", true, needs(QuoteParse), (*judge).dueBinding, (*judge).reportDataBinding},
	{ReportDataExact, "is REPORTDATA the expected one", false, needs(QuoteParse), (*judge).dueExact, (*judge).reportDataExact},
	{NonceAge, "is the nonce fresh", false, nil, (*judge).dueNonceAge, (*judge).nonceAge},

	{LogParse, "is the event log of a form known here", false, nil, (*judge).dueLog, (*judge).logParse},
	{LogReplay, "does the log replay to the quote's registers", false, needs(QuoteParse, LogParse), (*judge).dueLog, (*judge).logReplay},
	{LogData, "does the data of its events lead to their digests", true, needs(LogParse), (*judge).dueLog, (*judge).logData},

	{RegistersVariant, "are the registers, taken together, those of one expected variant", true, needs(QuoteParse), nil, (*judge).registersVariant},
	{RegistersMRTD, "is MRTD that of the variant", true, needs(QuoteParse), nil, (*judge).registerMRTD},
	{RegistersRTMR0, "is RTMR0 that of the variant", true, needs(QuoteParse), nil, (*judge).registerRTMR0},
	{RegistersRTMR1, "is RTMR1 that of the variant", true, needs(QuoteParse), nil, (*judge).registerRTMR1},
	{RegistersRTMR2, "is RTMR2 that of the variant", true, needs(QuoteParse), nil, (*judge).registerRTMR2},

	{RTMR3Events, "do the events of RTMR3 follow dstack's rules", false, needs(LogReplay), (*judge).dueRuntime, (*judge).rtmr3Events},
	{RTMR3ComposeHash, "is the application the expected one", false, needs(RTMR3Events), (*judge).dueRuntime, (*judge).rtmr3ComposeHash},
	{RTMR3AppID, "does app-id follow from the application", true, needs(RTMR3Events), (*judge).dueRuntime, (*judge).rtmr3AppID},
	{RTMR3Required, "are the policy's events there", false, needs(RTMR3Events), (*judge).dueRequired, (*judge).rtmr3Required},
	{RTMR3Application, "does the application use no name of the system's events", true, needs(RTMR3Events), (*judge).dueRuntime, (*judge).rtmr3Application},
	{RegistersRTMR3, "is RTMR3 zero, that of the variant, or explained by its events", true, needs(QuoteParse), nil, (*judge).registerRTMR3},

	{VMConfigParse, "is the vm_config of a form known here", false, nil, (*judge).dueVMConfig, (*judge).vmConfigParse},
	{OSImageHash, "do all that name the image agree", true, needs(QuoteParse), (*judge).dueOSImage, (*judge).osImageHash},

	{TDConfigID, "is MRCONFIGID zero, the policy's, or that of the application", true, needs(QuoteParse), nil, (*judge).tdConfigID},
	{TDOwner, "is MROWNER zero or the policy's", true, needs(QuoteParse), nil, (*judge).tdOwner},
	{TDOwnerConfig, "is MROWNERCONFIG zero or the policy's", true, needs(QuoteParse), nil, (*judge).tdOwnerConfig},
}

// tableLen is the number of checks of a complete Verdict.
func tableLen() int {
	ids, _ := dcap.CheckIDs()
	return len(before) + len(ids) + len(after)
}

// Groups are names that stand for several checks in a policy's Unsafe.
const (
	// GroupCollateral is all that needs Intel's collateral: what remains is that Intel's root vouches for the platform's
	// key, not whether that was revoked, nor at what level of patches the platform is.
	GroupCollateral CheckID = "collateral"
	// GroupRegisters is all that needs expected values: what remains is that some TD is genuine.
	GroupRegisters CheckID = "registers"
)

// groups lists what each group stands for.
var groups = map[CheckID][]CheckID{
	GroupCollateral: {
		CollateralParse, dcap.RootCRL, dcap.RootCRLTime, dcap.PCKCRL, dcap.PCKCRLTime, dcap.PCKCARevocation, dcap.PCKRevocation,
		dcap.TCBInfoChain, dcap.TCBInfoChainTime, dcap.TCBInfoRevocation, dcap.TCBInfoSignature, dcap.TCBInfoFormat,
		dcap.TCBInfoTime, dcap.TCBInfoPlatform, dcap.QEIdentityChain, dcap.QEIdentityChainTime, dcap.QEIdentityRevocation,
		dcap.QEIdentitySignature, dcap.QEIdentityFormat, dcap.QEIdentityTime, dcap.QEMatch, dcap.ModuleMatch, dcap.TCBPlatform,
		dcap.TCBModule, dcap.TCBQE, dcap.TCBCurrent, dcap.TCBStatus, TCBAdvisories,
	},
	GroupRegisters: {RegistersVariant, RegistersMRTD, RegistersRTMR0, RegistersRTMR1, RegistersRTMR2, RegistersRTMR3,
		RTMR3Events, RTMR3ComposeHash, RTMR3AppID, TDConfigID},
}

// dcapUnsafe are the checks of package dcap that a policy may waive by name: what is true of the TD and what time does.
// A signature is none of them.
var dcapUnsafe = []CheckID{
	dcap.PCKTime, dcap.RootCRLTime, dcap.PCKCRLTime, dcap.TCBInfoChainTime, dcap.TCBInfoTime, dcap.QEIdentityChainTime,
	dcap.QEIdentityTime, dcap.TDDebug, dcap.TDAttributes, dcap.TDXFAM, dcap.TDMigratable, dcap.TDServiceTD,
}

// CheckIDs returns the IDs of all checks in the order of the table, each with its question.
func CheckIDs() (ids []CheckID, questions []string) {
	for _, s := range before {
		ids, questions = append(ids, s.ID), append(questions, s.What)
	}
	i, q := dcap.CheckIDs()
	ids, questions = append(ids, i...), append(questions, q...)
	for _, s := range after {
		ids, questions = append(ids, s.ID), append(questions, s.What)
	}
	return ids, questions
}

package dcap

// The checks of Judge. They are in the order in which they run; each is NotRun unless those it needs passed.
const (
	QuoteTEE           CheckID = "quote.tee"
	QuoteVendor        CheckID = "quote.qe-vendor"
	QuoteCertification CheckID = "quote.certification"

	PCKChain        CheckID = "pck.chain"
	PCKTime         CheckID = "pck.time"
	PCKExtension    CheckID = "pck.extension"
	RootCRL         CheckID = "crl.root"
	RootCRLTime     CheckID = "crl.root.time"
	PCKCRL          CheckID = "crl.pck"
	PCKCRLTime      CheckID = "crl.pck.time"
	PCKCARevocation CheckID = "pck.ca-revocation"
	PCKRevocation   CheckID = "pck.revocation"

	TCBInfoChain      CheckID = "tcb-info.chain"
	TCBInfoChainTime  CheckID = "tcb-info.chain-time"
	TCBInfoRevocation CheckID = "tcb-info.revocation"
	TCBInfoSignature  CheckID = "tcb-info.signature"
	TCBInfoFormat     CheckID = "tcb-info.format"
	TCBInfoTime       CheckID = "tcb-info.time"
	TCBInfoPlatform   CheckID = "tcb-info.platform"

	QEIdentityChain      CheckID = "qe-identity.chain"
	QEIdentityChainTime  CheckID = "qe-identity.chain-time"
	QEIdentityRevocation CheckID = "qe-identity.revocation"
	QEIdentitySignature  CheckID = "qe-identity.signature"
	QEIdentityFormat     CheckID = "qe-identity.format"
	QEIdentityTime       CheckID = "qe-identity.time"

	QEReportSignature CheckID = "qe.report-signature"
	QEBinding         CheckID = "qe.binding"
	QEMatch           CheckID = "qe.identity"
	QuoteSignature    CheckID = "quote.signature"

	ModuleMatch CheckID = "module.identity"
	TCBPlatform CheckID = "tcb.platform"
	TCBModule   CheckID = "tcb.module"
	TCBQE       CheckID = "tcb.qe"
	TCBCurrent  CheckID = "tcb.current"
	TCBStatus   CheckID = "tcb.status"

	TDDebug      CheckID = "td.debug"
	TDAttributes CheckID = "td.attributes"
	TDXFAM       CheckID = "td.xfam"
	TDMigratable CheckID = "td.migratable"
	TDServiceTD  CheckID = "td.service-td"
)

// A step is a check and how it is made.
type step struct {
	ID    CheckID
	What  string // the question, for people
	Needs []CheckID
	Run   func(*judge) finding
}

// needs is a list of checks, for the table.
func needs(ids ...CheckID) []CheckID { return ids }

// steps is the judgement. Nothing else adds to a Result.
var steps = []step{
	{QuoteTEE, "is it a TD's quote of a form known here", nil, (*judge).quoteTEE},
	{QuoteVendor, "was it made by Intel's quoting enclave", nil, (*judge).quoteVendor},
	{QuoteCertification, "does it bring a QE report, and a PCK chain or the collateral one", nil, (*judge).quoteCertification},

	{PCKChain, "does the PCK certificate lead to a trusted root", needs(QuoteCertification), (*judge).pckChain},
	{PCKTime, "are the chain's certificates valid now", needs(PCKChain), (*judge).pckTime},
	{PCKExtension, "does the PCK certificate describe its platform", needs(PCKChain), (*judge).pckExtension},
	{RootCRL, "is the root's revocation list the root's", nil, (*judge).rootCRLSigned},
	{RootCRLTime, "is it current", needs(RootCRL), (*judge).rootCRLTime},
	{PCKCRL, "is the PCK revocation list the PCK CA's", needs(PCKChain), (*judge).pckCRLSigned},
	{PCKCRLTime, "is it current", needs(PCKCRL), (*judge).pckCRLTime},
	{PCKCARevocation, "is the PCK CA not revoked", needs(PCKChain, RootCRL), (*judge).pckCARevocation},
	{PCKRevocation, "is the PCK certificate not revoked", needs(PCKChain, PCKCRL), (*judge).pckRevocation},

	{TCBInfoChain, "does the TCB info's signer lead to the same root", nil, (*judge).tcbInfoChain},
	{TCBInfoChainTime, "are the chain's certificates valid now", needs(TCBInfoChain), (*judge).tcbInfoChainTime},
	{TCBInfoRevocation, "is the signer not revoked", needs(TCBInfoChain, RootCRL), (*judge).tcbInfoRevocation},
	{TCBInfoSignature, "is the TCB info signed by it", needs(TCBInfoChain), (*judge).tcbInfoSignature},
	{TCBInfoFormat, "is the TCB info of a form known here", needs(TCBInfoSignature), (*judge).tcbInfoFormat},
	{TCBInfoTime, "is it current", needs(TCBInfoFormat), (*judge).tcbInfoTime},
	{TCBInfoPlatform, "is it for this platform", needs(TCBInfoFormat, PCKExtension), (*judge).tcbInfoPlatform},

	{QEIdentityChain, "does the QE identity's signer lead to the same root", nil, (*judge).qeIdentityChain},
	{QEIdentityChainTime, "are the chain's certificates valid now", needs(QEIdentityChain), (*judge).qeIdentityChainTime},
	{QEIdentityRevocation, "is the signer not revoked", needs(QEIdentityChain, RootCRL), (*judge).qeIdentityRevocation},
	{QEIdentitySignature, "is the QE identity signed by it", needs(QEIdentityChain), (*judge).qeIdentitySignature},
	{QEIdentityFormat, "is the QE identity of a form known here", needs(QEIdentitySignature), (*judge).qeIdentityFormat},
	{QEIdentityTime, "is it current", needs(QEIdentityFormat), (*judge).qeIdentityTime},

	{QEReportSignature, "did the platform sign the QE report", needs(PCKChain), (*judge).qeReportSignature},
	{QEBinding, "does the QE report name the attestation key", needs(QEReportSignature), (*judge).qeBinding},
	{QEMatch, "is the QE the one of the QE identity", needs(QEReportSignature, QEIdentityFormat), (*judge).qeMatch},
	{QuoteSignature, "did the attestation key sign the quote", needs(QEBinding), (*judge).quoteSignature},

	{ModuleMatch, "is the TDX module one of Intel's", needs(QuoteTEE, QuoteSignature, TCBInfoPlatform), (*judge).moduleMatch},
	{TCBPlatform, "which level has the platform", needs(QuoteTEE, QuoteSignature, TCBInfoPlatform), (*judge).tcbPlatform},
	{TCBModule, "which level has the TDX module", needs(ModuleMatch), (*judge).tcbModule},
	{TCBQE, "which level has the quoting enclave", needs(QEMatch), (*judge).tcbQE},
	{TCBCurrent, "which level has the TDX module that runs now", needs(TCBPlatform, TCBModule, TCBQE), (*judge).tcbCurrent},
	{TCBStatus, "is the TCB's status accepted", needs(TCBPlatform, TCBModule, TCBQE, TCBCurrent), (*judge).tcbStatus},

	{TDDebug, "is the TD not under debug", needs(QuoteTEE, QuoteSignature), (*judge).tdDebug},
	{TDAttributes, "are the TD's attributes known", needs(QuoteTEE, QuoteSignature), (*judge).tdAttributes},
	{TDXFAM, "is the TD's processor state known", needs(QuoteTEE, QuoteSignature), (*judge).tdXFAM},
	{TDMigratable, "can the TD not be moved", needs(QuoteTEE, QuoteSignature), (*judge).tdMigratable},
	{TDServiceTD, "is no service TD bound to it", needs(QuoteTEE, QuoteSignature), (*judge).tdServiceTD},
}

// CheckIDs returns the IDs of all checks in order, each with its question.
func CheckIDs() (ids []CheckID, questions []string) {
	for _, s := range steps {
		ids, questions = append(ids, s.ID), append(questions, s.What)
	}
	return ids, questions
}

// A finding is what a step found out.
type finding struct {
	status         CheckStatus
	want, got, why string
}

func passed(got string) finding        { return finding{status: Pass, got: got} }
func failed(why string) finding        { return finding{status: Fail, why: why} }
func differs(want, got string) finding { return finding{status: Fail, want: want, got: got} }
func notRun(why string) finding        { return finding{status: NotRun, why: why} }

// same passes if got equals want.
func same(want, got string) finding {
	if want == got {
		return passed(got)
	}
	return differs(want, got)
}

package transcript

// A Label is a domain tag, "ostraka/1/<protocol>/<step>". All stand in the table below:
// a test fails on duplicates and on labels that are prefixes of others.
type Label uint16

const (
	EngineEcho Label = iota + 1

	SessionSetup
	SessionSetupHash
	SessionJoin
	SessionID
	SessionKey
	SessionEnvelope
	SessionSeed

	ShareProof
	ShareNonce

	Ed25519Child

	KeygenCommit
	KeygenProof
	KeygenShareHash
	KeygenChainCode
	KeygenConfirm
	KeygenConfirmProof

	ReshareCommit
	ReshareProof
	ReshareShareHash
	ReshareConfirm
	ReshareConfirmProof

	GuardPlan
	GuardCommit
	GuardMaskHash
	GuardSet
	GuardContribution
	GuardEncryptions
	RescueMessage

	PairID
	PairSeedCommit
	PairSeed
	ZeroShare

	BaseOTPoint
	BaseOTKey
	TreeNode
	TreeLeaf
	TreeProof
	TreeCheck
	ExtensionChi
	RVOLEGadget
	RVOLETheta
	RVOLEMu

	PVEContext
	PVERowSeeds
	PVEShare
	PVEEphemeral
	PVESealKey
	PVEDigest
	PVEPossession

	EpochRecord
	EpochPrivateRecord
	EpochPrep
	EpochOldOK
	EpochCert
	EpochFinal
	EpochFinalProof
	EpochFinalCert
	EpochTestDigest
	EpochAlive
	Heartbeat
	HeartbeatMask

	DKLsCommit
	DKLsPresigID
	DKLsShift

	KeyID
	IdentityParty

	GuardianSigningKey
	GuardianEncryptionKey
	GuardianCoins
	GuardianPossession
	GuardianCard
	GuardianParty
	CharterSOS
	SOSBoot
	SOSPlace

	PasskeyChallenge
	NodeDecision
	NodeHello
	NodeKeyChoice
	NodeEnact
	NodeHeartbeat
	NodeLog
	NodeSOSStep
	NodeSOSNoVeto
	NodeSOSSeat
	NodeSOSActivation
	NodeSOSReleased
	NodeBackup
	NodeBackupHeader
	LogKey
	WitnessKey
	LogPossession
	WitnessPossession
	NodeLife
	NodeInstance
	KeyChoiceSalt
	ProofSalt
	SealData
	EngineSeed
	LinkFrame
	DoorName
	ReplicaPlace
	StatementHash

	StoreFrame
	StoreLane
	StoreTag
	StoreTagKey
	SealRow
	SealWrap
	SealKeyFile
	SealKeyFileMAC

	PaperCode
	PaperSum

	EvidenceSubject
	EvidenceHardware

	AttestChallenge
	AttestDemand

	ReleaseSalt

	SOSDigest
	SOSAlive
	SOSTestDigest
	SOSSeat

	BreakglassCharter
	BreakglassProof
	BreakglassNonce

	DrillProof
	DrillMask

	TPMMachine
	TPMCounter
	TPMPin
)

var labels = [...]string{
	EngineEcho: "ostraka/1/engine/echo",

	SessionSetup:     "ostraka/1/session/setup",
	SessionSetupHash: "ostraka/1/session/hash-of-setup",
	SessionJoin:      "ostraka/1/session/join",
	SessionID:        "ostraka/1/session/id",
	SessionKey:       "ostraka/1/session/key",
	SessionEnvelope:  "ostraka/1/session/envelope",
	SessionSeed:      "ostraka/1/session/seed",

	ShareProof: "ostraka/1/share/proof",
	ShareNonce: "ostraka/1/share/nonce",

	Ed25519Child: "ostraka/1/ed25519-child", // the published scheme's name (spec/derivation 3.1)

	KeygenCommit:       "ostraka/1/keygen/commit",
	KeygenProof:        "ostraka/1/keygen/proof",
	KeygenShareHash:    "ostraka/1/keygen/share-hash",
	KeygenChainCode:    "ostraka/1/keygen/chain-code",
	KeygenConfirm:      "ostraka/1/keygen/signature-of-output",
	KeygenConfirmProof: "ostraka/1/keygen/output-proof",

	ReshareCommit:       "ostraka/1/reshare/commit",
	ReshareProof:        "ostraka/1/reshare/proof",
	ReshareShareHash:    "ostraka/1/reshare/share-hash",
	ReshareConfirm:      "ostraka/1/reshare/signature-of-output",
	ReshareConfirmProof: "ostraka/1/reshare/output-proof",

	GuardPlan:         "ostraka/1/guard/plan",
	GuardCommit:       "ostraka/1/guard/commit",
	GuardMaskHash:     "ostraka/1/guard/mask-hash",
	GuardSet:          "ostraka/1/guard/backup-set",
	GuardContribution: "ostraka/1/guard/contribution",
	GuardEncryptions:  "ostraka/1/guard/encryptions",
	RescueMessage:     "ostraka/1/rescue/guardians-message",

	PairID:         "ostraka/1/pair/id",
	PairSeedCommit: "ostraka/1/pair/zero-commit",
	PairSeed:       "ostraka/1/pair/seed",
	ZeroShare:      "ostraka/1/pair/zero-share",

	BaseOTPoint:  "ostraka/1/ot/base-point",
	BaseOTKey:    "ostraka/1/ot/base-key",
	TreeNode:     "ostraka/1/ot/tree-node",
	TreeLeaf:     "ostraka/1/ot/tree-leaf",
	TreeProof:    "ostraka/1/ot/tree-proof",
	TreeCheck:    "ostraka/1/ot/tree-check",
	ExtensionChi: "ostraka/1/ot/extension-chi",
	RVOLEGadget:  "ostraka/1/ot/rvole-gadget",
	RVOLETheta:   "ostraka/1/ot/rvole-theta",
	RVOLEMu:      "ostraka/1/ot/rvole-mu",

	PVEContext:    "ostraka/1/pve/context",
	PVERowSeeds:   "ostraka/1/pve/row-seeds",
	PVEShare:      "ostraka/1/pve/share",
	PVEEphemeral:  "ostraka/1/pve/ephemeral",
	PVESealKey:    "ostraka/1/pve/key-of-side",
	PVEDigest:     "ostraka/1/pve/digest",
	PVEPossession: "ostraka/1/pve/possession",

	EpochRecord:        "ostraka/1/epoch/record",
	EpochPrivateRecord: "ostraka/1/epoch/partial-record",
	EpochPrep:          "ostraka/1/epoch/prep",
	EpochOldOK:         "ostraka/1/epoch/old-quorum",
	EpochCert:          "ostraka/1/epoch/cert",
	EpochFinal:         "ostraka/1/epoch/signed-final",
	EpochFinalProof:    "ostraka/1/epoch/proof-of-share",
	EpochFinalCert:     "ostraka/1/epoch/all-final",
	EpochTestDigest:    "ostraka/1/epoch/test-digest",
	EpochAlive:         "ostraka/1/epoch/alive",
	Heartbeat:          "ostraka/1/heartbeat/share",
	HeartbeatMask:      "ostraka/1/heartbeat/mask",

	DKLsCommit:   "ostraka/1/dkls/commit",
	DKLsPresigID: "ostraka/1/dkls/presignature-id",
	DKLsShift:    "ostraka/1/dkls/online-shift",

	KeyID:         "ostraka/1/vault/key-id",
	IdentityParty: "ostraka/1/identity/party",

	GuardianSigningKey:    "ostraka/1/guardian/signing-key",
	GuardianEncryptionKey: "ostraka/1/guardian/encryption-key",
	GuardianCoins:         "ostraka/1/guardian/coins-of-proof",
	GuardianPossession:    "ostraka/1/guardian/possession",
	GuardianCard:          "ostraka/1/guardian/card",
	GuardianParty:         "ostraka/1/guardian/party",
	CharterSOS:            "ostraka/1/charter/sos-terms",
	SOSBoot:               "ostraka/1/sos/start-of-process",
	SOSPlace:              "ostraka/1/sos/place-of-a-word",

	PasskeyChallenge: "ostraka/1/passkey/challenge",

	NodeDecision:      "ostraka/1/node/decision",
	NodeHello:         "ostraka/1/node/hello",
	NodeKeyChoice:     "ostraka/1/node/key-choice",
	NodeEnact:         "ostraka/1/node/enact",
	NodeHeartbeat:     "ostraka/1/node/heartbeat",
	NodeLog:           "ostraka/1/node/log",
	NodeSOSStep:       "ostraka/1/node/sos-step",
	NodeSOSNoVeto:     "ostraka/1/node/sos-no-veto",
	NodeSOSSeat:       "ostraka/1/node/sos-seat",
	NodeSOSActivation: "ostraka/1/node/sos-activation",
	NodeSOSReleased:   "ostraka/1/node/sos-released",
	NodeBackup:        "ostraka/1/node/backup-noted",
	NodeBackupHeader:  "ostraka/1/node/backup-header",
	LogKey:            "ostraka/1/log/key",
	WitnessKey:        "ostraka/1/log/witness-key",
	LogPossession:     "ostraka/1/log/possession-of-key",
	WitnessPossession: "ostraka/1/log/possession-of-witness-key",
	NodeLife:          "ostraka/1/node/life",
	NodeInstance:      "ostraka/1/node/instance",
	KeyChoiceSalt:     "ostraka/1/node/salt-of-key-choice",
	ProofSalt:         "ostraka/1/node/salt-of-proof",
	SealData:          "ostraka/1/node/seal",
	EngineSeed:        "ostraka/1/node/engine-seed",
	LinkFrame:         "ostraka/1/node/link-frame",
	DoorName:          "ostraka/1/node/door-name",
	ReplicaPlace:      "ostraka/1/node/replica-place",
	StatementHash:     "ostraka/1/node/statement",

	StoreFrame:     "ostraka/1/store/frame",
	StoreLane:      "ostraka/1/store/lane",
	StoreTag:       "ostraka/1/store/tag",
	StoreTagKey:    "ostraka/1/store/key-of-tags",
	SealRow:        "ostraka/1/seal/row",
	SealWrap:       "ostraka/1/seal/wrapped-data-key",
	SealKeyFile:    "ostraka/1/seal/key-file",
	SealKeyFileMAC: "ostraka/1/seal/mac-of-key-file",

	PaperCode: "ostraka/1/paper/code-of-label",
	PaperSum:  "ostraka/1/paper/sum-of-payload",

	EvidenceSubject:  "ostraka/1/evidence/subject",
	EvidenceHardware: "ostraka/1/evidence/hardware",

	AttestChallenge: "ostraka/1/attest/challenge",
	AttestDemand:    "ostraka/1/attest/demand",

	ReleaseSalt: "ostraka/1/release/salt",

	SOSDigest:     "ostraka/1/sos/digest-of-plan",
	SOSAlive:      "ostraka/1/sos/alive",
	SOSSeat:       "ostraka/1/sos/seat",
	SOSTestDigest: "ostraka/1/sos/test-digest",

	BreakglassCharter: "ostraka/1/breakglass/charter",
	BreakglassProof:   "ostraka/1/breakglass/proof",
	BreakglassNonce:   "ostraka/1/breakglass/ed25519-nonce",

	DrillProof: "ostraka/1/drill/value",
	DrillMask:  "ostraka/1/drill/mask",

	TPMMachine: "ostraka/1/tpm/machine",
	TPMCounter: "ostraka/1/tpm/counter",
	TPMPin:     "ostraka/1/tpm/pin",
}

func (l Label) String() string { return labels[l] }

package statement

// Kind names what a statement says. It stands in line 1 and, for people's signatures,
// in the namespace "<kind>@ostraka/v1".
type Kind string

const (
	Roster   Kind = "roster"   // a circle's operators, their nodes and officers
	Charter  Kind = "charter"  // a circle's constitution: one version
	Veto     Kind = "veto"     // an operator takes its consent to a version of the charter back
	Revoke   Kind = "revoke"   // a person's key ends
	Freeze   Kind = "freeze"   // a vault signs nothing for a while
	Unfreeze Kind = "unfreeze" // and again before its time
	Vault    Kind = "vault"    // a vault of the charter: its committee makes keys
	Account  Kind = "account"  // a department's account below a vault
	Intent   Kind = "intent"   // asks for a signature
	Decision Kind = "decision" // one node's own ALLOW or DENY on an intent
	Hello    Kind = "hello"    // a person's answer to a node's challenge
	Key      Kind = "key"      // a vault's choice of one key
	Cancel   Kind = "cancel"   // takes an intent back
	Proof    Kind = "proof"    // a vault's key signs it: whoever signed this controls the address
	Reshare  Kind = "reshare"  // a vault's keys go to another committee or threshold
	Sighting Kind = "sighting" // somebody independent saw where a node runs
	Release  Kind = "release"  // the files of one version of the software

	Heartbeat Kind = "heartbeat" // a node lives: what it runs, what it saw of the others' logs, and that it holds its shares
	Log       Kind = "log"       // the keys of a node's log
	Backup    Kind = "backup"    // an operator cut a copy of its shares, to be kept elsewhere

	BackupDrill Kind = "backup-drill" // a guardian or an operator showed that what they keep opens
)

// Type says which texts a field's value may be.
type Type string

const (
	Text      Type = "text"  // 1 to Max bytes: UTF-8 in NFC, graphic characters, and ASCII spaces between
	Label     Type = "label" // 1 to Max of a–z, 0–9, "-", "_", "."; begins with a letter or digit
	Hex       Type = "hex"   // Min to Max bytes, two lower-case digits each
	Uint      Type = "uint"  // decimal, Min to Max, no leading zero
	Time      Type = "time"  // RFC 3339, UTC, whole seconds, "2026-01-31T12:00:00Z"
	PersonKey Type = "key"   // a person's public key: one line without comment, at most Max bytes (spec/statements 3)
	Chain     Type = "chain" // CAIP-2 chain id such as "eip155:1"
	Path      Type = "path"  // "m" and Min to Max non-hardened BIP32 levels: "m/0/3/7"
	Word      Type = "word"  // one of Words
)

// First words of the keys that are no SSH keys (custody/signet).
const (
	Passkey256   = "webauthn-p256"
	Passkey25519 = "webauthn-ed25519"
	EIP712       = "eip712"
)

// A Spec describes one field of a kind. All names of a kind are distinct, so that the
// next line's name alone says which field it is.
type Spec struct {
	Name     string
	Type     Type
	Min, Max uint64   // of the value: see Type
	Words    []string // for Word
	Least    int      // how often the field stands at least; 0 means it may be absent
	Most     int      // and at most; above 1 it is a list, which repeats the name
	Block    []Spec   // fields that follow each occurrence of this one and belong to it
	Doc      string   // unit and meaning, for the spec page
}

// Bounds shared by several fields.
const (
	MaxBytes        = 256 << 10 // of a statement
	MaxTransaction  = 120_000   // bytes of an unsigned transaction
	MaxOperators    = 16
	MaxVersion      = 1<<31 - 1 // of a roster or charter
	MaxPlaces       = 8         // of one operator
	MaxAccess       = 16        // people with access to one place
	MaxGroups       = 64
	MaxGuardians    = 32
	MaxAssets       = 256
	MaxPayees       = 256
	MaxContracts    = 128       // that vaults may call; likewise networks, types of typed data, codes
	MaxFunctions    = 64        // of one contract
	MaxRecovery     = 65_535    // blocks until a recovery leaf opens
	MaxDelayed      = 16        // Safes with a delay of one vault
	MaxFeeRate      = 1_000_000 // satoshis per virtual byte
	MaxDeclaration  = 2048      // bytes of a function, or of a type of typed data
	MaxLabels       = 16        // of one payee
	MaxVaults       = 64
	MaxControl      = 64      // control rules
	MaxPolicyLine   = 1024    // bytes of one line of rules
	MaxPolicyLines  = 4096    //
	MaxDelay        = 7776000 // seconds: 90 days
	MaxFreeze       = 72 * 3600
	MaxSighting     = 400 * 24 * 3600 // seconds that a sighting counts
	MaxDocuments    = 16              // that one sighting names
	MaxPeople       = 64              // initiators, or approvers, of a vault
	MaxKeys         = 8               // of one person
	MaxShares       = 256             // that a heartbeat proves
	MaxLogSize      = 1 << 48         // leaves
	MaxFacts        = 64
	MaxFiles        = 256                    // of a release
	MaxFact         = maxLabel + 1 + maxText // bytes: a proof's text is shown whole
	MaxExpiry       = 7 * 24 * 3600          // seconds that an intent may live
	MinRefresh      = 3600                   // seconds
	MaxRefresh      = 366 * 24 * 3600
	MaxDestinations = 64             // of one plan
	MaxCalls        = 32             // protective ones, of one plan
	MaxCallData     = 4096           // bytes
	MaxTimes        = 1000           // that one of them is made, in one rescue
	MaxTranches     = 366            // periods of release
	MaxBlocks       = 10_000_000     // that a chain must advance during a delay
	MaxWindow       = 14 * 24 * 3600 // seconds that ACTIVE lasts
	MinHold         = 60             // seconds; 3600 but for drills
	MaxHold         = 90 * 24 * 3600
	MinFresh        = 3600 // seconds that a node's evidence of its hardware counts
	MaxFresh        = 30 * 24 * 3600
	MaxMeasurements = 16       // of one kind of hardware
	MaxMeasured     = 1024     // bytes of one
	MaxRoots        = 8        // certificates that may vouch for one kind
	MaxDrilled      = 16 << 10 // bytes of the signed checkpoint that a drill is made over
	maxLabel        = 64
	maxKeyLine      = 2048
	maxCard         = 281  // bytes of a guardian's card: its text has exactly so many
	maxText         = 2048 // bytes of a proof's text
)

const maxInt = 1<<63 - 1

func text(name string, max uint64, doc string) Spec {
	return Spec{Name: name, Type: Text, Min: 1, Max: max, Least: 1, Most: 1, Doc: doc}
}

func label(name, doc string) Spec {
	return Spec{Name: name, Type: Label, Min: 1, Max: maxLabel, Least: 1, Most: 1, Doc: doc}
}

func hexOf(name string, n uint64, doc string) Spec {
	return Spec{Name: name, Type: Hex, Min: n, Max: n, Least: 1, Most: 1, Doc: doc}
}

func number(name string, min, max uint64, doc string) Spec {
	return Spec{Name: name, Type: Uint, Min: min, Max: max, Least: 1, Most: 1, Doc: doc}
}

func moment(name, doc string) Spec {
	return Spec{Name: name, Type: Time, Least: 1, Most: 1, Doc: doc}
}

func personKey(name, doc string) Spec {
	return Spec{Name: name, Type: PersonKey, Min: 1, Max: maxKeyLine, Least: 1, Most: 1, Doc: doc}
}

func chain(name, doc string) Spec {
	return Spec{Name: name, Type: Chain, Min: 5, Max: 41, Least: 1, Most: 1, Doc: doc}
}

func path(name string, levels uint64, doc string) Spec {
	return Spec{Name: name, Type: Path, Min: levels, Max: levels, Least: 1, Most: 1, Doc: doc}
}

func yesNo(name, doc string) Spec { return word(name, doc, "no", "yes") }

func word(name, doc string, words ...string) Spec {
	return Spec{Name: name, Type: Word, Words: words, Least: 1, Most: 1, Doc: doc}
}

// suites are what a vault's root keys are for: a chain's signatures are of one of them.
var suites = []string{"bip340-secp256k1", "ecdsa-secp256k1", "ed25519"}

func suite(doc string) Spec { return word("suite", doc, suites...) }

func (s Spec) times(least, most int) Spec { s.Least, s.Most = least, most; return s }
func (s Spec) optional() Spec             { return s.times(0, 1) }
func (s Spec) with(block ...Spec) Spec    { s.Block = block; return s }

// salt ends every statement.
var salt = hexOf("salt", 32, "random bytes: the id hides the content")

// Kinds lists every kind, in the order of the spec page.
var Kinds = []Kind{Roster, Charter, Veto, Revoke, Freeze, Unfreeze, Vault, Account, Intent, Decision, Hello, Key, Cancel, Proof, Reshare, Sighting, Heartbeat, Log, Release,
	SOSRequest, SOSSupport, SOSVeto, SOSChallenge, SOSAlive, SOSSigned, SOSStep, SOSNoVeto, SOSSeat, SOSActivation, SOSReleased, SOSClose, SOSEarlyRelease, Backup, BackupDrill, Breakglass, BreakglassDone,
}

// Fields is the one table of all kinds; the salt follows by itself.
func Fields(k Kind) []Spec {
	switch k {
	case Roster:
		return rosterFields
	case Charter:
		return charterFields
	case Veto:
		return vetoFields
	case Revoke:
		return revokeFields
	case Freeze:
		return freezeFields
	case Unfreeze:
		return unfreezeFields
	case Vault:
		return vaultFields
	case Account:
		return accountFields
	case Intent:
		return intentFields
	case Decision:
		return decisionFields
	case Hello:
		return helloFields
	case Key:
		return keyFields
	case Cancel:
		return cancelFields
	case Proof:
		return proofFields
	case Reshare:
		return reshareFields
	case Sighting:
		return sightingFields
	case Heartbeat:
		return heartbeatFields
	case Log:
		return logFields
	case Release:
		return releaseFields
	case Backup:
		return backupFields
	case Breakglass, BreakglassDone:
		return breakglassFieldsOf(k)
	case BackupDrill:
		return drillFields
	}
	return sosFields(k)
}

var rosterFields = []Spec{
	text("circle", 64, "name of the circle"),
	number("version", 0, MaxVersion, "the first is 0"),
	hexOf("previous", 32, "id of the version before; absent in version 0 alone").optional(),
	moment("created", "when it was made"),
	label("operator", "in ascending order").times(2, MaxOperators).with(
		text("entity", 128, "legal entity"),
		hexOf("identity", 32, "the node's Ed25519 identity key"),
		text("address", 262, "host:port of the node's link"),
		personKey("officer", "key of a person who signs for the operator, in ascending order").times(1, MaxKeys),
	),
}

var vaultFields = []Spec{
	hexOf("roster", 32, "id of the roster in force when it is made: its officers sign"),
	hexOf("charter", 32, "id of the charter in force when it is made, which lists it"),
	label("name", "as the charter has it"),
	suite("one root key each, in ascending order").times(1, len(suites)),
	number("threshold", 2, MaxOperators, "operators needed to sign, at most the committee"),
	label("member", "operator of the committee, in ascending order").times(2, MaxOperators),
	hexOf("recovery-key", 32, "x-only: it alone spends a Taproot coin that lay still").optional(),
	number("recovery-blocks", 1, MaxRecovery, "for so many blocks from the coin's own").optional(),
	moment("created", "when it was made"),
}

var accountFields = []Spec{
	hexOf("charter", 32, "id of the charter that the vault's statement names"),
	hexOf("vault", 32, "id of the vault statement"),
	label("department", "named branch of the vault"),
	label("account", "name of the account within it"),
	path("path", 2, "department and account below the vault's root"),
	moment("created", "when it was made"),
}

var intentFields = []Spec{
	hexOf("charter", 32, "id of the charter in force: under any other, nothing of it counts"),
	hexOf("vault", 32, "id of the vault statement"),
	hexOf("key", 32, "keyID of the vault's key"),
	hexOf("epoch", 32, "hash of the key's epoch record in force when it is made. How long it serves: spec/epochs 7.8"),
	path("path", 3, "department, account and index below the vault's root"),
	text("address", 128, "the sender, as the chain writes it"),
	chain("chain", "where the transaction is valid"),
	word("purpose", "what the signature is for", "message", "proof", "transaction"),
	Spec{Name: "transaction", Type: Hex, Min: 1, Max: MaxTransaction, Doc: "the full unsigned transaction, for purpose transaction; for purpose message the message that is signed, whole"}.optional(),
	text("entity", 128, "in whose name the proof is said; for purpose proof alone").optional(),
	number("height", 0, maxInt, "of the block as of which the proof speaks; for purpose proof alone").optional(),
	hexOf("block", 32, "its hash, as the chain writes it; present where the height is").optional(),
	text("text", maxText, "what the proof says; for purpose proof alone").optional(),
	text("fact", MaxFact, "`<name> <value>`: what the initiator's program decoded of what is to be signed, in the decoder's order").times(1, MaxFacts),
	text("memo", 512, "the initiator's own words").optional(),
	hexOf("replaces", 32, "id of the intent that this one replaces").optional(),
	label("initiator", "who proposes"),
	moment("created", "when it was made"),
	moment("expires", "from then on nothing is approved or signed; at most 7 days after created"),
}

var decisionFields = []Spec{
	hexOf("charter", 32, "id of the charter that the intent names"),
	hexOf("vault", 32, "id of the vault statement"),
	hexOf("intent", 32, "id of the intent"),
	label("operator", "whose node decided"),
	word("verdict", "", "allow", "deny"),
	label("rule", "the rule that decided"),
	text("reason", 1024, "what the rule found").optional(),
	label("approved-by", "approver counted, in ascending order").times(0, MaxPeople),
	text("fact", MaxFact, "`<name> <value>`: what this node itself decoded, in the decoder's order").times(0, MaxFacts),
	moment("created", "when it was decided"),
}

var helloFields = []Spec{
	hexOf("roster", 32, "id of the roster in force"),
	hexOf("identity", 32, "identity key of the node that asked: another cannot use the answer"),
	hexOf("challenge", 32, "the node's own random bytes"),
	personKey("person", "key of the person who answers"),
	moment("created", "when it was made"),
}

var keyFields = []Spec{
	hexOf("charter", 32, "id of the charter that the vault's statement names"),
	hexOf("vault", 32, "id of the vault statement"),
	hexOf("key", 32, "keyID"),
	number("attempt", 0, maxInt, "number of the key generation"),
	suite(""),
	{Name: "public-key", Type: Hex, Min: 32, Max: 33, Least: 1, Most: 1, Doc: "the suite's point: secp256k1 compressed, 33 bytes; Ed25519, 32 bytes"},
	hexOf("epoch", 32, "hash of the epoch record"),
	hexOf("certificate", 32, "SHA-256 of the final certificate"),
}

var cancelFields = []Spec{
	hexOf("charter", 32, "id of the charter"),
	hexOf("vault", 32, "id of the vault statement"),
	hexOf("intent", 32, "id of the intent"),
	label("initiator", "who proposed it"),
	text("reason", 512, "").optional(),
	moment("created", "when it was made"),
}

var proofFields = []Spec{
	hexOf("vault", 32, "id of the vault statement"),
	hexOf("key", 32, "keyID of the vault's key"),
	suite(""),
	path("path", 3, "department, account and index below the vault's root"),
	text("address", 128, "as the chain writes it"),
	chain("chain", ""),
	text("entity", 128, "legal entity in whose name it is said. Words of who asked for it, which the approvers approved"),
	number("height", 0, maxInt, "of the block as of which it speaks").optional(),
	hexOf("block", 32, "its hash, as the chain writes it; present where the height is").optional(),
	text("text", maxText, "what the holders of the key say"),
	hexOf("intent", 32, "id of the intent that asked for it: no second proof has the same"),
	moment("created", "when it was asked for"),
	moment("expires", "from then on it proves nothing new"),
}

var reshareFields = []Spec{
	hexOf("roster", 32, "id of the roster in force when it is made: its officers sign"),
	hexOf("vault", 32, "id of the vault statement"),
	number("number", 1, maxInt, "of the vault's reshares; a higher one takes the place of all lower ones"),
	hexOf("previous", 32, "id of the reshare, or vault statement, under which the keys are held when it is made"),
	number("threshold", 2, MaxOperators, "operators needed to sign from then on, at most the members"),
	label("member", "operator of the new committee, in ascending order").times(2, MaxOperators),
	suite("all suites of the vault, in ascending order").times(1, len(suites)).with(
		hexOf("key", 32, "keyID"),
		Spec{Name: "public-key", Type: Hex, Min: 32, Max: 33, Least: 1, Most: 1, Doc: "the suite's point, which stays: secp256k1 compressed, 33 bytes; Ed25519, 32 bytes"},
		hexOf("anchor", 32, "hash of the epoch record that is in force when it is made"),
	),
	text("reason", 512, "").optional(),
	moment("created", "when it was made"),
}

var sightingFields = []Spec{
	label("witness", "who saw it"),
	text("witness-entity", 128, "legal entity that the witness speaks for; not the operator's"),
	label("operator", "whose node it is"),
	hexOf("identity", 32, "the node's identity key"),
	label("place", "as the charter names it"),
	text("provider", 128, "of the machine, where it was seen; what was not seen is left out").optional(),
	text("account", 128, "at the provider").optional(),
	text("region", 128, "of the provider").optional(),
	text("jurisdiction", 2, "ISO 3166-1 alpha-2, lower case").optional(),
	text("hardware", 128, "its vendor").optional(),
	label("access", "person who can reach it, in ascending order: all of them, or none is named").times(0, MaxAccess),
	text("saw", 1024, "what was looked at, and how"),
	hexOf("document", 32, "SHA-256 of a document that was looked at").times(0, MaxDocuments),
	moment("created", "when it was seen"),
	moment("expires", "from then on it counts for nothing; at most 400 days after created"),
}

var heartbeatFields = []Spec{
	hexOf("roster", 32, "id of the roster in force"),
	label("operator", "whose node lives"),
	text("version", 64, "of the program that runs"),
	hexOf("binary", 32, "SHA-256 of its file"),
	label("peer", "operator whose log the node was told of, in ascending order").times(0, MaxOperators-1).with(
		text("origin", 128, "names that log: one that was set back is another"),
		number("size", 0, MaxLogSize, "leaves"),
		hexOf("root", 32, "of the tree of that size"),
	),
	hexOf("share", 32, "keyID of a key that the node holds a share of, in ascending order").times(0, MaxShares).with(
		hexOf("epoch", 32, "hash of the epoch record in force there"),
		Spec{Name: "proof", Type: Hex, Min: 64, Max: 65, Least: 1, Most: 1, Doc: "Schnorr proof that it knows the share, over this statement without its `share` rows"},
		Spec{Name: "mask", Type: Hex, Min: 64, Max: 65, Doc: "the same of its mask (spec/guard), where the epoch has guardians"}.optional(),
	),
	moment("created", "when it was made"),
}

var logFields = []Spec{
	label("operator", "whose node keeps the log"),
	hexOf("identity", 32, "the node's Ed25519 identity key, which signs this"),
	text("origin", 128, "name of the log in its checkpoints"),
	hexOf("log-key", 32, "Ed25519 key that signs its checkpoints"),
	hexOf("log-proof", 64, "signature by the log key: who made this has it (spec/log 5.10)"),
	text("witness", 128, "name under which the node cosigns others' checkpoints"),
	hexOf("witness-key", 32, "Ed25519 key that cosigns"),
	hexOf("witness-proof", 64, "signature by the witness key, likewise"),
	moment("created", "when it was made"),
}

var backupFields = []Spec{
	hexOf("roster", 32, "id of the roster in force when it was cut"),
	label("operator", "whose shares it holds"),
	word("level", "what it is (spec/backups)", "export", "paper"),
	label("place", "where it is to lie, as the charter names it"),
	hexOf("header", 32, "SHA-256 of its signed header"),
	moment("cut", "when it was cut"),
	hexOf("key", 32, "keyID of a key whose share it holds, in ascending order").times(1, MaxShares).with(
		hexOf("vault", 32, "id of the vault statement"),
		number("number", 0, maxInt, "of the epoch"),
		hexOf("epoch", 32, "hash of the epoch record"),
		yesNo("mask", "whether it holds the mask too"),
	),
	moment("created", "when it was noted"),
}

var releaseFields = []Spec{
	label("version", "as `ostraka version` says it: vMAJOR.MINOR.PATCH, and -PRERELEASE where it is one"),
	Spec{Name: "commit", Type: Hex, Min: 20, Max: 32, Least: 1, Most: 1, Doc: "of the source: git's, 20 or 32 bytes"},
	label("go", "toolchain that made it"),
	number("link", 1, 65535, "wire version of links that it speaks (spec/link 3), in ascending order").times(1, 2),
	number("session", 1, 65535, "wire version of sessions that it speaks (spec/sessions 1), in ascending order").times(1, 2),
	label("file", "in ascending order").times(1, MaxFiles).with(
		text("platform", 32, "GOOS/GOARCH that it runs on; absent where it is no program").optional(),
		hexOf("sha256", 32, ""),
		number("bytes", 1, 1<<40, ""),
	),
}

var drillFields = []Spec{
	hexOf("vault", 32, "id of the vault statement"),
	hexOf("key", 32, "keyID"),
	hexOf("epoch", 32, "hash of the epoch record in force"),
	word("role", "what `by` is", "guardian", "operator"),
	label("by", "guardian, or operator, whose backup was opened"),
	hexOf("party", 16, "their PartyID in that epoch"),
	word("level", "of the backup that an operator restored; for operators alone, and never absent there", "export", "paper").optional(),
	hexOf("backup", 32, "SHA-256 of its signed header, where it is at hand; for operators alone").optional(),
	label("spoiled", "dealer with rows to this guardian that do not open, by the guardian's word, in ascending order; for guardians alone").times(0, MaxOperators),
	Spec{Name: "checkpoint", Type: Hex, Min: 1, Max: MaxDrilled, Least: 1, Most: 1, Doc: "of a log of the circle, cosigned: the proof was made after it"},
	moment("created", "when it was made"),
	Spec{Name: "proof", Type: Hex, Min: 64, Max: 65, Doc: "Schnorr proof that they know the guardian's value, or the share, over this statement without `proof` and `mask`"}.optional(),
	Spec{Name: "mask", Type: Hex, Min: 64, Max: 65, Doc: "the same of an operator's mask, where the epoch has guardians"}.optional(),
}

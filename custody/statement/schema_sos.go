package statement

// Kinds of SOS (spec/sos). What people say:
const (
	SOSRequest      Kind = "sos-request"       // asks the live operators and the guardians to act for operators that are lost
	SOSSupport      Kind = "sos-support"       // a guardian, or an operator's own person, is for it: for an operator it is the consent
	SOSVeto         Kind = "sos-veto"          // a guardian is against it
	SOSChallenge    Kind = "sos-challenge"     // calls on an operator that lives to sign
	SOSClose        Kind = "sos-close"         // the vault stands on new keys' shares, backed up and drilled
	SOSEarlyRelease Kind = "sos-early-release" // every operator ends the lock-up
)

// What a subject's node says to cancel; each proves itself, whoever carries it.
const (
	SOSAlive  Kind = "sos-alive"  // it knows its shares
	SOSSigned Kind = "sos-signed" // the vault signed with it
)

// What nodes say under their identity keys.
const (
	SOSStep       Kind = "sos-step"       // this node took a step, and why
	SOSNoVeto     Kind = "sos-no-veto"    // this node knows of no veto, now
	SOSSeat       Kind = "sos-seat"       // this node may be of the new committee: its key of this ceremony
	SOSActivation Kind = "sos-activation" // who contributes, and for whom
	SOSReleased   Kind = "sos-released"   // this node gave its part away: later vetoes are late
)

// Bounds of SOS.
const (
	MaxSOSKeys     = 3               // of a vault: one of each suite
	MaxSOSContacts = 16              // that a guardian tried
	MaxSOSNumber   = 1 << 16         // declarations
	MaxSOSCredit   = 366 * 24 * 3600 // seconds
	MaxSOSAttempt  = 1 << 16
)

// SOSTriggers are why a vault may be rescued.
var SOSTriggers = []string{"below-threshold", "compromise", "legal", "refusal", "silence"}

func mode() Spec {
	return word("mode", "DRILL or REAL, in the bytes that are signed", "drill", "real")
}

// sosHead begins every statement about a request.
func sosHead(rest ...Spec) []Spec {
	return append([]Spec{
		mode(),
		hexOf("charter", 32, "id of the charter that the request names"),
		hexOf("vault", 32, "id of the vault statement"),
		hexOf("request", 32, "id of the request"),
	}, rest...)
}

func sosRole() Spec {
	return word("role", "as what `by` signs", "guardian", "operator")
}

func sosKeys(least int, doc string, more ...Spec) Spec {
	epoch := hexOf("epoch", 32, "hash of the epoch record in force")
	return hexOf("key", 32, doc).times(least, MaxSOSKeys).with(append([]Spec{epoch}, more...)...)
}

var sosRequestFields = []Spec{
	mode(),
	hexOf("charter", 32, "id of the charter in force: its plan holds until the request ends"),
	hexOf("vault", 32, "id of the vault statement"),
	word("trigger", "", SOSTriggers...),
	label("subject", "operator that is lost, in ascending order: all whom the request does not count on").times(1, MaxOperators-1),
	text("reason", 1024, ""),
	hexOf("document", 32, "SHA-256 of the evidence; never absent for `legal`").optional(),
	hexOf("challenge", 32, "id of the challenge that failed; for `refusal` alone, and never absent there").optional(),
	number("number", 0, MaxSOSNumber, "declarations on this vault in the 90 days before"),
	hexOf("previous", 32, "id of the last of them; absent where there was none").optional(),
	sosKeys(1, "keyID of each of the vault's keys of which a subject holds a share, in ascending order"),
	sosRole(),
	label("by", "who makes it"),
	moment("created", "when it was made"),
	moment("expires", "from then on it starts nothing; at most 7 days after created"),
}

var sosSupportFields = sosHead(
	sosRole(),
	label("by", "guardian, or operator whose own person signs"),
	text("contact", 256, "out-of-band contact with a subject that a guardian tried, and what came of it").times(0, MaxSOSContacts),
	moment("created", "when it was made"),
)

var sosVetoFields = sosHead(
	label("by", "guardian"),
	text("reason", 1024, ""),
	moment("created", "when it was made"),
)

var sosChallengeFields = []Spec{
	mode(),
	hexOf("charter", 32, "id of the charter in force"),
	hexOf("vault", 32, "id of the vault statement"),
	label("operator", "that is to sign"),
	text("reason", 512, "").optional(),
	sosRole(),
	label("by", "who calls on it"),
	moment("created", "when it was made"),
}

var sosAliveFields = sosHead(
	label("operator", "subject of the request"),
	sosKeys(0, "keyID, in ascending order: all of the request",
		Spec{Name: "proof", Type: Hex, Min: 64, Max: 65, Least: 1, Most: 1, Doc: "Schnorr proof that it knows its share, over this statement without its `key` rows"}),
	moment("created", "when it was made"),
)

var sosSignedFields = sosHead(
	label("operator", "subject of the request, which took part"),
	sosKeys(1, "keyID, in ascending order: all of the request",
		Spec{Name: "signature", Type: Hex, Min: 64, Max: 65, Least: 1, Most: 1, Doc: "under the vault's root key, over the digest of spec/sos 4.6"}),
	moment("created", "when it was made"),
)

var sosStepFields = sosHead(
	label("operator", "whose node took it"),
	word("state", "that it is in now", "active", "closed", "contest", "declared", "expired", "lock-up", "vetoed"),
	text("why", 1024, ""),
	number("credited", 0, MaxSOSCredit, "seconds on this node's own clock"),
	moment("first-seen", "when this node had the declaration"),
	moment("created", "when it was made"),
)

var sosNoVetoFields = sosHead(
	label("operator", "whose node knows of no veto"),
	label("asker", "operator whose node asked"),
	hexOf("nonce", 32, "the asker's own random bytes"),
	text("origin", 128, "name of the asker's log"),
	number("size", 0, MaxLogSize, "leaves of it in the highest checkpoint that this node cosigned, or knows to be cosigned"),
	hexOf("root", 32, "of the tree of that size"),
	moment("created", "when it was made"),
)

var sosSeatFields = sosHead(
	label("operator", "whose node it is: it may contribute, or the plan names it as a successor"),
	hexOf("key", 32, "keyID"),
	hexOf("epoch", 32, "hash of the epoch record in force"),
	number("attempt", 1, MaxSOSAttempt, "of the activation that it is for"),
	hexOf("encryption", 32, "X25519 key for this ceremony alone"),
	hexOf("possession", 64, "proof of possession of it (spec/pve 2, spec/sos 4.8), over all fields but this one"),
	moment("created", "when it was made"),
)

var sosActivationFields = sosHead(
	hexOf("key", 32, "keyID"),
	hexOf("epoch", 32, "hash of the epoch record in force"),
	number("attempt", 1, MaxSOSAttempt, "a higher one for each activation of this key"),
	label("contributor", "operator, in ascending order: exactly r").times(1, MaxOperators-1),
	number("threshold", 2, MaxOperators, "t′ of the new committee"),
	label("member", "operator of the new committee, in ascending order").times(2, MaxOperators).with(
		hexOf("party", 16, "PartyID"),
		number("index", 1, 65535, "share index"),
		hexOf("encryption", 32, "X25519 key for this ceremony alone"),
	),
	moment("created", "when it was made"),
)

var sosReleasedFields = sosHead(
	label("operator", "whose node gave its part"),
	hexOf("activation", 32, "id of the activation"),
	hexOf("key", 32, "keyID"),
	number("attempt", 1, MaxSOSAttempt, "of the activation"),
	hexOf("no-veto", 32, "id of a no-veto that it relied on, in ascending order").times(0, 2*MaxOperators),
	number("credited", 0, MaxSOSCredit, "seconds on this node's own clock"),
	moment("first-seen", "when this node had the declaration"),
	moment("created", "when it was made"),
)

var sosCloseFields = sosHead(
	sosKeys(1, "keyID, in ascending order: exactly those with new shares by the request, each in its new epoch",
		hexOf("backups", 32, "hash of the backup set of that epoch")),
	hexOf("drill", 32, "SHA-256 of the evidence of the drill that was passed"),
	hexOf("report", 32, "SHA-256 of the published report"),
	moment("created", "when it was made"),
)

var sosEarlyReleaseFields = sosHead(
	text("reason", 1024, ""),
	moment("created", "when it was made"),
)

// sosFields are those of the kinds of SOS, nil for others.
func sosFields(k Kind) []Spec {
	switch k {
	case SOSRequest:
		return sosRequestFields
	case SOSSupport:
		return sosSupportFields
	case SOSVeto:
		return sosVetoFields
	case SOSChallenge:
		return sosChallengeFields
	case SOSAlive:
		return sosAliveFields
	case SOSSigned:
		return sosSignedFields
	case SOSStep:
		return sosStepFields
	case SOSNoVeto:
		return sosNoVetoFields
	case SOSSeat:
		return sosSeatFields
	case SOSActivation:
		return sosActivationFields
	case SOSReleased:
		return sosReleasedFields
	case SOSClose:
		return sosCloseFields
	case SOSEarlyRelease:
		return sosEarlyReleaseFields
	}
	return nil
}

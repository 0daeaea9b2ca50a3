package notify

import "time"

// Types of events, in the order in which pages list them. A receiver's filter names them, or a family of them: "intent.*".
const (
	IntentWaiting  = "intent.waiting"   // it needs approvals
	IntentSigned   = "intent.signed"    // a signature was verified here
	IntentDenied   = "intent.denied"    // so many operators deny it that it cannot be signed
	IntentExpired  = "intent.expired"   // its time ran out unsigned
	IntentFailed   = "intent.failed"    // its session failed for good, or the chain reverted it
	IntentClosed   = "intent.closed"    // cancelled, replaced, or its epoch is over
	IntentAlarm    = "intent.alarm"     // what must not be
	CharterPending = "charter.pending"  // a version waits: for signatures, then for its delay
	CharterInForce = "charter.in-force" // every operator signed it and every node enacted it
	CharterVetoed  = "charter.vetoed"
	VaultFrozen    = "vault.frozen"
	VaultUnfrozen  = "vault.unfrozen"
	KeyRevoked     = "key.revoked"
	NodeSilent     = "node.silent"  // it did not answer for some time
	NodeFailing    = "node.failing" // what it answered did not hold, or was refused, for some time
	NodeBack       = "node.back"
	NodesDiffer    = "nodes.differ"  // nodes contradict one another
	SOSNotReady    = "sos.not-ready" // most nodes say that a vault could not be rescued, or that something is overdue
	SOSReady       = "sos.ready"     // and no more
	SOSDrill       = "sos.drill"     // drills are overdue
	SOSStep        = "sos.step"      // a request for SOS came, or moved on, as a node says
	WatchFailed    = "watch.failed"  // a claim of published logs does not hold
	WatchAttention = "watch.attention"
	WatchSigned    = "watch.signed"  // published logs tell of a signature
	WatchVersion   = "watch.version" // of charter or roster
	WatchWell      = "watch.well"    // what failed does no more
	Test           = "notify.test"   // somebody asked for it
)

// Types lists all of them but the test's, which no filter keeps back.
var Types = []string{
	IntentWaiting, IntentSigned, IntentDenied, IntentExpired, IntentFailed, IntentClosed, IntentAlarm, CharterPending, CharterInForce, CharterVetoed,
	VaultFrozen, VaultUnfrozen, KeyRevoked, NodeSilent, NodeFailing, NodeBack, NodesDiffer,
	SOSNotReady, SOSReady, SOSDrill, SOSStep,
	WatchFailed, WatchAttention, WatchSigned, WatchVersion, WatchWell,
}

// Shown is what the nodes of a context show at one time. What is in it was verified, except where it says that nodes say it.
type Shown struct {
	Circle  string            // as the charter calls it; the context's name while there is none
	Whole   bool              // false: only Nodes and Apart could be read this time
	Nodes   []Node            // all of the context
	Vaults  map[string]string // names of the person's vaults, by id
	Apart   []Apart
	Intents []Intent
	Enacted []Version // of the charter, ascending from version 0
	Pending []Pending
	Freezes []Freeze
	Revoked []Revoked
	Rescues []Rescue

	Verified *Verified // of `watch`, which asks no node; then nothing else is shown
}

// A Node is whether a node counts this time.
type Node struct {
	Name   string
	Kind   string // empty: it counts; else NodeSilent or NodeFailing
	Reason string
}

// Apart is what nodes contradict one another about.
type Apart struct {
	What   string     `json:"what"`
	Groups [][]string `json:"groups"` // of nodes that agree
	Shown  []string   `json:"shown"`  // by each group
}

// An Intent is one of the person's.
type Intent struct {
	IntentData
	Expires time.Time
	Decided time.Time         // when operators signed the last ALLOW or first DENY; zero: none has
	Waits   bool              // approvals are missing, as counted here
	Says    map[string]string // by node: its state, in the node's words; "ended" when the epoch is over
	Alarms  []Alarm
}

// An Alarm is about one operator's word, or about the intent itself if Operator is empty.
type Alarm struct{ Operator, Text string }

// IntentData is what a notice says of an intent.
type IntentData struct {
	ID          string    `json:"intent"`
	Vault       string    `json:"vault"`
	VaultID     string    `json:"vault_id"`
	Chain       string    `json:"chain"`
	Address     string    `json:"address"` // of the vault
	Initiator   string    `json:"initiator"`
	Memo        string    `json:"memo"`
	Created     string    `json:"created"`
	ExpiresText string    `json:"expires"`
	Operation   string    `json:"operation"`   // transfer, token transfer, …; empty: it cannot be decoded
	Asset       string    `json:"asset"`       // CAIP-19, or CAIP-2 of the chain's own coin
	Amount      string    `json:"amount"`      // in the smallest unit, decimal
	Units       string    `json:"units"`       // the same in people's units, if the charter lists the asset: "1.5 ETH"
	Destination string    `json:"destination"` // address
	Payee       string    `json:"payee"`       // as the charter calls the destination
	Unclear     string    `json:"unclear"`     // why it cannot be decoded
	Approvals   Approvals `json:"approvals"`
	State       string    `json:"state"`  // as the circle sees it
	Hash        string    `json:"hash"`   // of the signed transaction; empty: no signature was shown
	Reason      string    `json:"reason"` // why it was denied or ended
}

// Approvals are those that count, and those that are missing.
type Approvals struct {
	Approved []string `json:"approved"`
	Rejected []string `json:"rejected"`
	Missing  int      `json:"missing"` // for the vault's quorum
	Awaited  []string `json:"awaited"` // people who may give them
	Rules    []Need   `json:"rules"`   // what the policy wants besides
}

// A Need is how many approvals the policy wants of a group, or of whom it says.
type Need struct {
	Of    string `json:"of"`
	Count int    `json:"count"`
}

// A Version of the charter that every operator signed and every node enacted.
type Version struct {
	ID      string   `json:"charter"`
	Version uint64   `json:"version"`
	Changes []Change `json:"changes"` // from the one before; looser ones first
	More    int      `json:"more"`    // changes that are not listed
}

// A Change is what differs, and whether it may allow more.
type Change struct {
	What   string `json:"what"`
	Was    string `json:"was"`
	Is     string `json:"is"`
	Looser bool   `json:"looser"`
}

// A Pending version waits. Its statement, signatures and vetoes were verified.
type Pending struct {
	Version
	Signed  []string             `json:"signed"`  // operators
	Missing []string             `json:"missing"` // operators
	Vetoed  []string             `json:"vetoed"`  // by these
	Due     map[string]time.Time `json:"due"`     // by node that shows it: when it enacts it, as it says; zero: it waits for signatures
}

// A Freeze is in effect as nodes say.
type Freeze struct {
	Vault    string   `json:"vault"` // name, if the person sees it
	VaultID  string   `json:"vault_id"`
	Operator string   `json:"operator"`
	Expires  string   `json:"expires"`
	Reason   string   `json:"reason"`
	Nodes    []string `json:"nodes"`
}

// Revoked is a key that ended, by a verified revocation.
type Revoked struct {
	Person string `json:"person"`
	Key    string `json:"key"` // fingerprint
	Reason string `json:"reason"`
}

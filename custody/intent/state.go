package intent

import (
	"errors"

	"github.com/ostraka/ostraka/custody/signet"
)

// State says how far an intent has come.
type State uint8

const (
	Proposed  State = iota // an initiator asked
	Approving              // somebody answered
	Allowed                // t operators allow it
	Signing                // a session runs
	Signed                 // a verified signature exists
	Broadcast              // a node gave it to the chain
	Seen                   // the chain's nodes know it
	Confirmed              // it stands in a block
	Final                  // so deep that it stays
	Denied                 // so many operators deny it that t cannot be reached, or approvers took back what it needs
	Expired                // its time ran out unsigned
	Cancelled              // its initiator took it back
	Replaced               // another transaction took its place
	Dropped                // the chain's nodes forgot it
	Reorged                // its block was thrown out
	Failed                 // its session failed for good, the chain reverted it, or takes it no more

	numStates = iota
)

var stateNames = [numStates]string{
	"proposed", "approving", "allowed", "signing", "signed", "broadcast", "seen", "confirmed", "final",
	"denied", "expired", "cancelled", "replaced", "dropped", "reorged", "failed",
}

func (s State) String() string {
	if int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

// ends says that no session of an intent in this state begins any more, and none runs.
func (s State) ends() bool {
	switch s {
	case Denied, Expired, Cancelled, Replaced, Failed:
		return true
	}
	return false
}

// An Event is something that happened to an intent. The host verified it beforehand:
// votes by VerifyVote, decisions by VerifyDecision, cancellations by VerifyCancel, a
// signature under the vault's key, chain events at its own RPC endpoint.
type Event interface{ column() column }

// column is an event's place in the table.
type column uint8

const (
	onApprove column = iota
	onReject
	onDecide
	onCancel
	onExpire
	onStart
	onFail
	onPart
	onSign
	onBroadcast
	onSee
	onConfirm
	onFinal
	onDrop
	onReorg
	onReplace
	onLapse

	numColumns = iota
)

var columnNames = [numColumns]string{
	"approve", "reject", "decide", "cancel", "expire", "start", "fail", "part", "sign",
	"broadcast", "see", "confirm", "final", "drop", "reorg", "replace", "lapse",
}

// The events.
type (
	// Answer is an approver's verified vote.
	Answer struct{ Vote Vote }
	// Decided is an operator's verified decision; one's own is an event like any other.
	Decided struct {
		Operator string
		Verdict  Verdict // Allow or Deny
	}
	// Cancel is the initiator's verified cancellation.
	Cancel struct{}
	// Expire asks whether the time ran out.
	Expire struct{}
	// SessionStarted: a signing session was joined, or opened.
	SessionStarted struct {
		Session [32]byte
		Signers []string // operators
	}
	// SessionFailed: the session ended without a signature here.
	SessionFailed struct {
		Session        [32]byte
		Class          FailureClass
		PossiblySigned bool // our last message left: others may hold a signature
		Partial        bool // and other signatures are missing as far as is known here: it may try again
		Idle           bool // its protocol never began: nobody learned anything, it is no attempt
	}
	// PartMade: the session made one of the signatures that the transaction needs, and others are missing.
	PartMade struct{ Session [32]byte }
	// SignatureMade: a signature over this very transaction exists, whoever showed it.
	SignatureMade struct{ Hash string } // of the signed transaction, as the chain writes it
	// WasBroadcast: the chain took it, or knew it already.
	WasBroadcast struct{}
	// WasSeen: it waits in the chain's pool.
	WasSeen struct{}
	// WasConfirmed: it stands in a block.
	WasConfirmed struct {
		Height   uint64
		Block    string // hash, as the chain writes it
		Reverted bool   // the chain undid its effect, and kept the fee
	}
	// BecameFinal: the chain will keep it.
	BecameFinal struct{}
	// WasDropped: the chain's nodes know it no more.
	WasDropped struct{}
	// WasReorged: its block, or that of its replacement, is no more.
	WasReorged struct{}
	// WasReplaced: another transaction used its nonce or coins, or another intent
	// replaced it.
	WasReplaced struct{ By string } // hash or intent id
	// WasLapsed: no block takes it any more, since the one that it names is too old.
	WasLapsed struct{}
)

func (e Answer) column() column {
	if e.Vote.Verb == signet.Reject {
		return onReject
	}
	return onApprove
}
func (Decided) column() column        { return onDecide }
func (Cancel) column() column         { return onCancel }
func (Expire) column() column         { return onExpire }
func (SessionStarted) column() column { return onStart }
func (SessionFailed) column() column  { return onFail }
func (PartMade) column() column       { return onPart }
func (SignatureMade) column() column  { return onSign }
func (WasBroadcast) column() column   { return onBroadcast }
func (WasSeen) column() column        { return onSee }
func (WasConfirmed) column() column   { return onConfirm }
func (BecameFinal) column() column    { return onFinal }
func (WasDropped) column() column     { return onDrop }
func (WasReorged) column() column     { return onReorg }
func (WasReplaced) column() column    { return onReplace }
func (WasLapsed) column() column      { return onLapse }

// FailureClass is how a signing session failed, in the engine's terms.
type FailureClass uint8

const (
	Transient    FailureClass = iota // a peer was silent or away: the same intent may try again
	Unattributed                     // a check failed and nobody is to blame
	Blame                            // a check failed and names who
	BurnPair                         // a pair of operators may never again sign together in this epoch
)

// Refusals of the state machine, wrapped in what was found.
var (
	ErrClosed        = errors.New("the intent takes no more answers")
	ErrBurned        = errors.New("its approvals are burned: propose it anew")
	ErrAlive         = errors.New("its time has not run out")
	ErrTooLate       = errors.New("signing has begun: it cannot be stopped here")
	ErrNotAllowed    = errors.New("not enough operators have allowed it")
	ErrSessionRuns   = errors.New("a signing session runs already")
	ErrNoSession     = errors.New("this signing session does not run")
	ErrAlreadySigned = errors.New("it is signed already")
	ErrUnsigned      = errors.New("no signature of it is known")
	ErrUnconfirmed   = errors.New("it stands in no block")
	ErrNotBroadcast  = errors.New("it was not broadcast")
	ErrInBlock       = errors.New("a block that was not thrown out holds it or what replaced it")
	ErrForeign       = errors.New("it belongs to another intent")
	ErrOutsider      = errors.New("the operator is not in the vault's committee")
	ErrSigners       = errors.New("the signers are not distinct operators of the committee, t or more")
	ErrOtherHash     = errors.New("another signature of it is known")
)

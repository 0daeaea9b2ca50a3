package sos

import (
	"errors"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

// State says how far SOS of a vault has come (spec/sos 3).
type State uint8

// States.
const (
	NotReady State = iota // something that SOS needs is missing: ready.go
	Armed                 // everything needed was checked within its date. Of a request: it gathers support
	Declared              // a declaration stands in this node's log; alarms go out; ordinary outflow is frozen
	Contest               // the delay runs; veto and proof of life are possible
	Active                // for a window: guarded reshare, sweeps and protective calls
	LockUp                // the vault signs only to its rescue addresses
	Closed                // the new committee stands; what leaves is in tranches
	Vetoed                // guardians or the subject ended it
	Expired               // its time ran out, or it became void

	numStates = iota
)

var stateNames = [numStates]string{"not-ready", "armed", "declared", "contest", "active", "lock-up", "closed", "vetoed", "expired"}

func (s State) String() string {
	if int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

// stateOf reads a step's word.
func stateOf(word string) State {
	for s, name := range stateNames {
		if name == word {
			return State(s)
		}
	}
	return NotReady
}

// Holds says that ordinary outflow and ceremonies of the vault are held.
func (s State) Holds() bool { return Declared <= s && s <= LockUp }

// Ended says that the request is over.
func (s State) Ended() bool { return s == Closed || s == Vetoed || s == Expired }

// An Event is something that happened. The host verified it beforehand: what people and nodes say by custody/sos/act, the rest by itself.
type Event interface{ column() column }

// column is an event's place in the table.
type column uint8

const (
	onSupport column = iota
	onVeto
	onAlive
	onSigned
	onStep
	onReleased
	onTold
	onActivate
	onReshare
	onMove
	onClose
	onFree
	onRollback
	onTick

	numColumns = iota
)

var columnNames = [numColumns]string{"support", "veto", "alive", "signed", "step", "released", "told", "activate", "reshare", "move", "close", "free", "rollback", "tick"}

// The events. Ask, which begins a case, is Docket.Ask.
type (
	// Supported is a guardian's or an operator's support.
	Supported struct{ act.Support }
	// Objected is a guardian's veto.
	Objected struct{ act.Veto }
	// Lived is a subject's proof of life (act.CheckAlive).
	Lived struct{ act.Alive }
	// SignedLive is a live test signature with a subject (act.CheckSigned).
	SignedLive struct{ act.Signed }
	// Stepped is another node's step.
	Stepped struct{ act.Step }
	// Gave is another node's release.
	Gave struct{ act.Released }
	// Told: the notices of a declaration were handed on, to every node directly, to webhooks and to the subjects.
	Told struct{ Request statement.ID }
	// Activated is an activation that all its contributors signed. Seats are what its members' nodes announced; Taken says whose each share
	// index of the key is or ever was; Party is each operator's party, by the roster. Holders are who has a share and a mask of the key in
	// the epoch; none: this node was not told of the key.
	Activated struct {
		act.Activation
		Seats   []act.Seat
		Taken   map[uint16]string
		Party   map[string][16]byte
		Holders []string
	}
	// Reshared: a key has a new epoch by the certificate of an activation.
	Reshared struct {
		Request    statement.ID
		Activation statement.ID
		Key        act.Key  // the new epoch
		Committee  []string // operators, of its record, ascending
		Threshold  int      // so many of them sign
	}
	// Moved: a key has a new epoch by any other certificate.
	Moved struct{ Key act.Key }
	// ClosedBy is a closing, and which operators signed it (act.VerifyClose with Case.Committee).
	ClosedBy struct {
		act.Close
		Signed []string
	}
	// Freed is an early release that every operator signed (act.VerifyEarlyRelease with Case.Committee).
	Freed struct{ act.EarlyRelease }
	// RolledBack: peers or witnesses hold a higher cosigned head of this node's log than it does itself.
	RolledBack struct{}
	// Confirmed: the vetoes were fetched again, and the operator confirms that the node may go on.
	Confirmed struct{}
	// Forked: two heads of an operator's log contradict each other, and the evidence holds.
	Forked struct{ Operator string }
	// Tick comes at least every TickEvery.
	Tick struct{ View }
)

func (Supported) column() column  { return onSupport }
func (Objected) column() column   { return onVeto }
func (Lived) column() column      { return onAlive }
func (SignedLive) column() column { return onSigned }
func (Stepped) column() column    { return onStep }
func (Gave) column() column       { return onReleased }
func (Told) column() column       { return onTold }
func (Activated) column() column  { return onActivate }
func (Reshared) column() column   { return onReshare }
func (Moved) column() column      { return onMove }
func (ClosedBy) column() column   { return onClose }
func (Freed) column() column      { return onFree }
func (RolledBack) column() column { return onRollback }
func (Confirmed) column() column  { return onRollback }
func (Forked) column() column     { return onRollback }
func (Tick) column() column       { return onTick }

// A View is what this node itself sees. Durations are credited as a Clock credits them, so that no clock change makes anybody silent.
type View struct {
	Silent   map[string]time.Duration // since the last heartbeat of each other operator that this node had, whoever carried it
	Refusing map[string]time.Duration // since this node had a challenge of the operator, without a signature of it since
	Keys     []act.Key                // of the vault, ascending, in the epochs in force here
	Holders  map[[32]byte]Holders     // of each key, the committee in force; of a key without, it is not known
	Height   uint64                   // of the plan's chain, from this node's own endpoint; 0: unknown
}

// Holders are a key's committee, and how many of it sign.
type Holders struct {
	Operators []string // ascending
	Threshold int
}

// Effects are what an event brings. The host makes the docket durable, then acts on them in this order.
type Effects struct {
	Say  []act.Step // steps for this node to sign and log, and to send to every node
	Tell []Notice   // to every node directly, to webhooks, and to the subjects
}

// A Notice is for people.
type Notice struct {
	Request  statement.ID
	State    State
	Subjects []string
	Text     string
}

// Refusals, wrapped in what was found.
var (
	ErrUnknown    = errors.New("the request is not known here: send it first")
	ErrOver       = errors.New("the request is over: it is logged, and moves nothing")
	ErrEarly      = errors.New("it is too early")
	ErrLate       = errors.New("it is too late")
	ErrForeign    = errors.New("it does not belong to this request")
	ErrPlan       = errors.New("the plan does not allow it")
	ErrOneAtATime = errors.New("another SOS of the vault is open")
	ErrCoerced    = errors.New("a subject that may be coerced cannot cancel; guardians can veto")
	ErrRolled     = errors.New("this node was rolled back: fetch the vetoes again, and have the operator confirm")
	ErrForked     = errors.New("a log is forked")
	ErrConsent    = errors.New("the operator's own person has not consented")
	ErrUnseated   = errors.New("a member's own node has not announced its key of the ceremony")
	ErrVetoed     = errors.New("it is vetoed")
	ErrUsed       = errors.New("it was used already")
	ErrNoVeto     = errors.New("not everybody who is needed says that there is no veto")
	ErrHeld       = errors.New("the vault is held by SOS")
	ErrMany       = errors.New("there are too many")
)

package engine

import (
	"errors"
	"fmt"
)

// Errors of a session fall into families, kept apart by type:
//
//   - *Fault ended the session: another party's doing, or disagreement between parties.
//   - *Rejected refused one message; the session goes on as if it had never come.
//   - *Misuse is a mistake of the host or of a stage.
//   - anything else comes from the environment, for instance a seed that ran dry, and
//     ended the session. Nobody is accused.

// Why one message was refused.
var (
	ErrForeign      = errors.New("belongs to another session")
	ErrSender       = errors.New("sender is not another party of the session")
	ErrRecipient    = errors.New("is addressed to another party")
	ErrLate         = errors.New("its round is over")
	ErrEarly        = errors.New("is more than one round early, or more than a round may hold")
	ErrKind         = errors.New("no such message is due from this party in this round")
	ErrOversized    = errors.New("body is larger than allowed")
	ErrEquivocation = errors.New("differs from the message that came first")
)

// What the host did wrong.
var (
	ErrStarted    = errors.New("session was started before")
	ErrNotStarted = errors.New("session was not started")
	ErrFinished   = errors.New("session is finished")
	ErrNothingDue = errors.New("no judgement is due")
)

// Rejected says that one message was not taken. It ends nothing and costs nothing.
type Rejected struct {
	From   PartyID
	Round  uint8
	Kind   Kind
	Reason error  // one of the errors above
	Proof  *Fault // with ErrEquivocation: both messages, to be kept as evidence
}

func (r *Rejected) Error() string {
	return fmt.Sprintf("reject message of party %v, round %d, kind %#x: %v", r.From, r.Round, uint8(r.Kind), r.Reason)
}

func (r *Rejected) Unwrap() error { return r.Reason }

// Misuse says that the host or a stage broke the engine's contract.
type Misuse struct {
	Doing string
	Err   error
}

func (m *Misuse) Error() string { return m.Doing + ": " + m.Err.Error() }

func (m *Misuse) Unwrap() error { return m.Err }

func misuse(doing, format string, args ...any) *Misuse {
	return &Misuse{Doing: doing, Err: fmt.Errorf(format, args...)}
}

package engine

import "fmt"

// Class says what an abort means (protocols.md 0.3, spec/sessions).
type Class uint8

const (
	// Transient: a time-out or a lost link. A new session may be tried.
	Transient Class = iota + 1
	// Unattributed: something is wrong and nobody can be named.
	Unattributed
	// Blame: the accused broke the protocol.
	Blame
	// BurnPair: a check on what two parties share failed. The pair must never be used again.
	BurnPair
)

func (c Class) String() string {
	switch c {
	case Transient:
		return "transient"
	case Unattributed:
		return "unattributed"
	case Blame:
		return "blame"
	case BurnPair:
		return "burn-pair"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Strength says whom the evidence of a fault convinces.
type Strength uint8

const (
	// Local: only we can know it.
	Local Strength = iota
	// Proved: Evidence convinces a third party.
	Proved
)

// Fault ends a session because of what another party did, or because the parties disagree.
// Accused ⊆ corrupt, always.
type Fault struct {
	Session  SessionID
	Round    uint8
	Accused  []PartyID
	Check    string // which check failed, for instance "keygen: opening"
	Class    Class
	Strength Strength
	Evidence []Msg
	Err      error
}

func (f *Fault) Error() string {
	s := f.Check
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	if len(f.Accused) > 0 {
		s = fmt.Sprintf("%s (%s, accused %v)", s, f.Class, f.Accused)
	} else {
		s = fmt.Sprintf("%s (%s)", s, f.Class)
	}
	return s
}

func (f *Fault) Unwrap() error { return f.Err }

// Blamed is a stage's way to name a party that broke the protocol.
func Blamed(check string, from PartyID, err error) *Fault {
	return &Fault{Accused: []PartyID{from}, Check: check, Class: Blame, Err: err}
}

// Burned is a stage's way to say that a check on a pair failed. The outcome beside it
// must carry the pair's Token in Burn.
func Burned(check string, from PartyID, err error) *Fault {
	return &Fault{Accused: []PartyID{from}, Check: check, Class: BurnPair, Err: err}
}

// Nobody is a stage's way to abort without naming anybody.
func Nobody(check string, err error) *Fault {
	return &Fault{Check: check, Class: Unattributed, Err: err}
}

// Package vetted is what a node writes down when it has judged another's evidence of the machine that it runs on, and on which of these records
// a session rests (spec/node 13). It knows their form and what a charter demands; whether evidence is genuine, evidence/judge says.
package vetted

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// Bounds, in bytes.
const (
	MaxEvidence = 64 << 10 // as evidence/attest/hardware has it
	MaxWhy      = 512
	maxKind     = 32
	maxDevice   = 256
	maxCounter  = 1 << 48
)

// A Life is one process of a node, as the fence counts them (spec/node 8.1): what it showed counts for no other.
type Life struct {
	Counter  uint64 // ≥ 1
	Instance [16]byte
}

// A Subject is whom evidence must be bound to: who shows it, in which of its lives, to whom, over which connection, and for which question.
type Subject struct {
	Identity ed25519.PublicKey // of the node that shows it
	Life     Life
	Asker    ed25519.PublicKey // identity of who asked
	Nonce    [32]byte          // the asker's, for this once

	// Connection names the one between both over which it was asked and shown (spec/link 1.6): a name that its two ends alone can know.
	Connection [32]byte
}

// Challenge is the nonce that hardware is asked to sign. With the asker in it nobody hands on another's question; with the life, what a process showed
// before it was started anew is worth nothing; with the connection, it is worth nothing to who has the node's key elsewhere.
func (s Subject) Challenge() [32]byte {
	return transcript.New(transcript.AttestChallenge).Bytes(s.Asker).Bytes(s.Nonce[:]).Uint(s.Life.Counter).Bytes(s.Life.Instance[:]).Bytes(s.Connection[:]).Sum256()
}

// A Record is what an asker found. Its bytes stand in its log.
type Record struct {
	Subject
	Operator    string    // whose node it is
	At          time.Time // when it was judged, whole seconds, by the asker's clock
	Charter     statement.ID
	Demand      [32]byte // hash of what that charter demands of the operator
	Kind        string
	Name        string // of the measurement, in the charter
	Measurement string
	Device      string // which piece of hardware; may be empty
	Shown       bool   // the asker saw all that this kind can show: that a TPM's keys lie in one TPM, no outsider sees
	Evidence    []byte
	Notes       string // what the asker did not look at, or took from the evidence itself; may be empty
	Why         string // why it was refused; then there is nothing from Kind to Notes
}

const (
	fieldOperator transcript.Tag = iota + 1
	fieldIdentity
	fieldCounter
	fieldInstance
	fieldAsker
	fieldNonce
	fieldConnection
	fieldAt
	fieldCharter
	fieldDemand
	fieldWhy
	fieldKind
	fieldName
	fieldMeasurement
	fieldDevice
	fieldShown
	fieldEvidence
	fieldNotes
)

// Encode is the canonical form.
func (r Record) Encode() []byte {
	var e transcript.Encoder
	e.String(fieldOperator, r.Operator).Bytes(fieldIdentity, r.Identity).Uint(fieldCounter, r.Life.Counter).Bytes(fieldInstance, r.Life.Instance[:])
	e.Bytes(fieldAsker, r.Asker).Bytes(fieldNonce, r.Nonce[:]).Bytes(fieldConnection, r.Connection[:])
	e.Uint(fieldAt, uint64(r.At.Unix())).Bytes(fieldCharter, r.Charter[:]).Bytes(fieldDemand, r.Demand[:])
	if e.String(fieldWhy, r.Why); r.Why != "" {
		return e.Sum()
	}
	e.String(fieldKind, r.Kind).String(fieldName, r.Name).String(fieldMeasurement, r.Measurement).String(fieldDevice, r.Device)
	shown := uint64(0)
	if r.Shown {
		shown = 1
	}
	e.Uint(fieldShown, shown).Bytes(fieldEvidence, r.Evidence)
	if r.Notes != "" {
		e.String(fieldNotes, r.Notes)
	}
	return e.Sum()
}

// Decode reads the canonical form and checks it; of the evidence, only its size.
func Decode(b []byte) (Record, error) {
	d, r := transcript.NewDecoder(b), Record{}
	r.Operator = d.String(fieldOperator, 64)
	r.Identity = d.Fixed(fieldIdentity, ed25519.PublicKeySize)
	r.Life.Counter = d.Uint(fieldCounter, maxCounter)
	copy(r.Life.Instance[:], d.Fixed(fieldInstance, 16))
	r.Asker = d.Fixed(fieldAsker, ed25519.PublicKeySize)
	copy(r.Nonce[:], d.Fixed(fieldNonce, 32))
	copy(r.Connection[:], d.Fixed(fieldConnection, 32))
	r.At = time.Unix(int64(d.Uint(fieldAt, 1<<40)), 0).UTC()
	copy(r.Charter[:], d.Fixed(fieldCharter, 32))
	copy(r.Demand[:], d.Fixed(fieldDemand, 32))
	if r.Why = d.String(fieldWhy, MaxWhy); r.Why == "" {
		r.Kind, r.Name, r.Measurement = d.String(fieldKind, maxKind), d.String(fieldName, 64), d.String(fieldMeasurement, statement.MaxMeasured)
		r.Device = d.String(fieldDevice, maxDevice)
		r.Shown = d.Uint(fieldShown, 1) == 1
		r.Evidence = d.Bytes(fieldEvidence, MaxEvidence)
		if d.More() {
			if r.Notes = d.String(fieldNotes, MaxWhy); r.Notes == "" {
				d.Fail(fieldNotes, errors.New("it is left out where it is empty"))
			}
		}
	}
	if err := d.Done(); err != nil {
		return Record{}, fmt.Errorf("decode what was found of a node's hardware: %w", err)
	}
	return r, r.check()
}

func (r Record) check() error {
	for name, text := range map[string]string{"operator": r.Operator, "name": r.Name} {
		if name == "name" && r.Why != "" {
			continue
		}
		if err := statement.CheckLabel(text); err != nil {
			return fmt.Errorf("what was found of a node's hardware: %s: %w", name, err)
		}
	}
	switch {
	case r.Life.Counter == 0:
		return errors.New("what was found of a node's hardware: counter: no process is the 0th")
	case r.Connection == [32]byte{}:
		return errors.New("what was found of a node's hardware: connection: is missing")
	case r.Why == "" && len(r.Evidence) == 0:
		return errors.New("what was found of a node's hardware: evidence: is missing")
	}
	for name, text := range map[string]string{"why": r.Why, "notes": r.Notes} {
		if err := statement.CheckText(text, MaxWhy); err != nil && text != "" {
			return fmt.Errorf("what was found of a node's hardware: %s: %w", name, err)
		}
	}
	return nil
}

// Errors of Meets, each of which says that a record counts no more.
var (
	ErrRefused = errors.New("its evidence was refused")
	ErrStale   = errors.New("its evidence is too old")
	ErrAhead   = errors.New("its evidence is of a time to come: a clock was set back")
	ErrDemand  = errors.New("the charter demands something else since")
	ErrLife    = errors.New("its node was started anew since")
	ErrLink    = errors.New("its evidence was for a connection that is over")
)

// Classes of what is known of a node's hardware, in words: who judged it.
const (
	ClassHardware = "verified on hardware"            // this node asked, with a nonce of its own, and judged the answer
	ClassRecorded = "verified with recorded evidence" // the reader judged what a log or bundle holds, as of then
	ClassTold     = "as its peer tells, not judged"   // the reader could not judge it, for want of a root, or judges none
	ClassNone     = "none"
)

// Skew is how far two clocks may differ.
const Skew = 5 * time.Minute

// Meets says why a record does not meet a demand now: nil if it does. In which life its node is, the caller knows.
func (r Record) Meets(x charter.Demand, now time.Time) error {
	h, ok := x.Of(r.Kind)
	switch {
	case r.Why != "":
		return fmt.Errorf("%w: %s", ErrRefused, r.Why)
	case r.Operator != x.Operator || !ok || h.Named(r.Measurement) != r.Name || r.Name == "" || r.Demand != x.Hash():
		return ErrDemand
	case r.At.Sub(now) > Skew:
		return ErrAhead
	case !now.Before(r.At.Add(x.Fresh)):
		return fmt.Errorf("%w: it was judged at %s, and the charter takes it for %s", ErrStale, statement.FormatTime(r.At), x.Fresh)
	}
	return nil
}

// A Meeting says, of one session that a node joined, on which records it rests. It stands in the node's log beside the session's leaf
// whenever the charter demands something of anybody in it.
type Meeting struct {
	Session   [32]byte // hash of the setup
	With      []With   // the other parties, ascending by operator
	Emergency [32]byte // the activation for whose sake somebody is let off who has nothing to show; zero: nobody is
}

// With is one other party of a session.
type With struct {
	Operator string
	Record   [32]byte // SHA-256 of the record, the id of its leaf; zero: the charter demands nothing of it, or an emergency lets it off
}

const (
	fieldSession transcript.Tag = iota + 1
	fieldWith
	fieldEmergency

	fieldParty  transcript.Tag = 1
	fieldRecord transcript.Tag = 2
)

// Encode is the canonical form.
func (m Meeting) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldSession, m.Session[:]).List(fieldWith, len(m.With), func(i int, e *transcript.Encoder) {
		e.String(fieldParty, m.With[i].Operator).Bytes(fieldRecord, m.With[i].Record[:])
	})
	if m.Emergency != [32]byte{} {
		e.Bytes(fieldEmergency, m.Emergency[:])
	}
	return e.Sum()
}

// DecodeMeeting reads the canonical form.
func DecodeMeeting(b []byte) (Meeting, error) {
	d, m := transcript.NewDecoder(b), Meeting{}
	copy(m.Session[:], d.Fixed(fieldSession, 32))
	d.List(fieldWith, 1, statement.MaxOperators, func(_ int, d *transcript.Decoder) {
		w := With{Operator: d.String(fieldParty, 64)}
		copy(w.Record[:], d.Fixed(fieldRecord, 32))
		if err := statement.CheckLabel(w.Operator); err != nil {
			d.Fail(fieldParty, err)
		}
		if n := len(m.With); n > 0 && m.With[n-1].Operator >= w.Operator {
			d.Fail(fieldParty, errors.New("operators are not in ascending order"))
		}
		m.With = append(m.With, w)
	})
	if d.More() {
		copy(m.Emergency[:], d.Fixed(fieldEmergency, 32))
		if m.Emergency == [32]byte{} && d.Err() == nil {
			d.Fail(fieldEmergency, errors.New("is no activation"))
		}
	}
	if err := d.Done(); err != nil {
		return Meeting{}, fmt.Errorf("decode on what a session rests: %w", err)
	}
	return m, nil
}

// Sort puts the parties in order.
func (m *Meeting) Sort() {
	slices.SortFunc(m.With, func(a, b With) int { return strings.Compare(a.Operator, b.Operator) })
}

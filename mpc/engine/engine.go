// Package engine runs one party's side of one protocol session as a step machine.
//
// A protocol is a chain of stages. A Stage is one round as the paper states it: it
// says whom it must hear, takes each message, and when all are heard it finishes with
// messages to send, records to keep and the next stage, or with the result. The engine
// knows no curve, no clock and no network: bytes in, effects out. The same parameters,
// seed and messages give the same bytes.
//
// The host carries effects out in this order: Burn and Save durably, then Send, then
// Result. Effects returned beside an error are still carried out first. A stage that
// judges pairs waits for the host's locks: see Guard and Judge. spec/engine is normative.
package engine

import "fmt"

// PartyID names a party for as long as it lives. The zero value means "everybody".
type PartyID [16]byte

// Everyone addresses a broadcast.
var Everyone PartyID

func (p PartyID) String() string { return fmt.Sprintf("%x", p[:4]) }

// SessionID digests everything that the parties of one session must agree on.
type SessionID [32]byte

func (s SessionID) String() string { return fmt.Sprintf("%x", s[:6]) }

// Transcript is T_r: T_0 is the session id, T_r = H(T_{r-1}, r, all broadcasts of
// round r in party order): spec/engine 3.
type Transcript [32]byte

// Kind names one kind of message within a protocol. Protocol rooms list theirs; the
// numbers are unique over all protocols: keygen 0x10…, reshare 0x18…, pair 0x20…, guard 0x28…, epoch 0x30…, dkls 0x40…,
// frost 0x50…
type Kind uint8

// A Token names something that may be used once and never again after it was burned:
// what two parties share before ECDSA, within one key.
type Token struct {
	Key  [32]byte // key id
	Peer PartyID
}

// A Record is something to be kept durably before the messages beside it leave. Its
// value is secret unless the protocol's room says otherwise.
type Record struct {
	Name  string
	Value []byte
}

// Format prints the name alone, under every verb.
func (r Record) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.Name)) }

// Msg is one authenticated message of a session.
type Msg struct {
	Session SessionID
	Round   uint8 // 1 is the first
	Kind    Kind
	From    PartyID
	To      PartyID    // Everyone for a broadcast
	Echo    Transcript // T of the round before
	Body    []byte
	Signed  []byte // the envelope as it came, evidence for third parties; empty on our own
}

// Format prints the place of the message and not its body, under every verb: direct bodies
// are secret here, before they are encrypted.
func (m Msg) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "round %d kind %#x of %v to %v", m.Round, uint8(m.Kind), m.From, m.To)
}

// Want is one kind of message that a stage must hear.
type Want struct {
	Kind    Kind
	Direct  bool      // else broadcast
	From    []PartyID // exactly one message from each; our own is never among them
	MaxBody int       // bytes
}

// Expect is what a stage must hear before it can finish.
type Expect struct {
	Wants []Want
	Guard []Token // pairs that this stage judges: the host locks them around the step
}

// Stage is one round of a protocol.
//
// The engine calls Accept once per wanted message, in the order of Wants and then of
// parties, after all are there and after all agree on the transcript of the round
// before; then Finish. A first stage wants nothing, and its Finish makes round 1.
type Stage[R any] interface {
	Expect() Expect
	// Accept decodes strictly and makes the checks that concern one message alone.
	Accept(kind Kind, from PartyID, body []byte) error
	// Finish makes all other checks. t is the transcript including this round's broadcasts.
	Finish(t Transcript) (Outcome[R], error)
}

// A Wiper is a stage that holds secrets. The engine calls Wipe on the current stage when the
// session ends by an error of any kind, a disputed transcript among them, and when the host
// abandons it; not after a result, which is the caller's. Wipe may be called more than once, and
// on a stage whose own Finish wiped already. Nothing else is called on the stage afterwards.
type Wiper interface{ Wipe() }

// Out is a message that a stage wants sent.
type Out struct {
	Kind Kind
	To   PartyID // Everyone for a broadcast
	Body []byte
}

// Format prints the place of the message and not its body, under every verb.
func (o Out) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "kind %#x to %v", uint8(o.Kind), o.To)
}

// Outcome is what a finished stage leaves: exactly one of Next and Result, unless an
// error stands beside it; then both are ignored and Burn and Save are kept.
type Outcome[R any] struct {
	Burn   []Token
	Save   []Record
	Send   []Out
	Next   Stage[R]
	Result *R
}

// Effects are what the host must do, in this order.
type Effects[R any] struct {
	Burn   []Token
	Save   []Record
	Send   []Msg
	Result *R
}

// Params are what one session's machine needs to know.
type Params struct {
	Session SessionID
	Parties []PartyID // all parties, self included, in the order of their share indices
	MaxBody int       // bytes: the largest body of any message of the protocol
	Kinds   int       // the largest number of messages that one party sends us in one round
}

package pair

import (
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Params are what one party needs to set up its pairs.
type Params struct {
	Session engine.SessionID
	Self    session.Party
	Parties []session.Party // all, by index, self included
	Rand    io.Reader       // coins of this session (session.Coins)
}

// CheckFailed stands inside the fault of a set-up whose tree check failed: the host
// counts each peer's failures durably, and takes the third for proof of malice. The fault
// itself names nobody (spec/pair 2.4; errors.As finds it).
type CheckFailed struct{ Peers []engine.PartyID }

func (e *CheckFailed) Error() string {
	return fmt.Sprintf("check of the oblivious transfers with %v failed: their states are discarded", e.Peers)
}

// Setup is the first of three stages: choices and commitments; answers and openings;
// checks. Its result has a state for each peer. Rounds and kinds stand in spec/pair 2 and 3.
func Setup(p Params) engine.Stage[map[engine.PartyID]*State] {
	return &choose{&setup{Params: p}}
}

type states = map[engine.PartyID]*State

// setup is what the stages hand on.
type setup struct {
	Params
	peers []*peer
}

// A peer is one other party and what we do with it.
type peer struct {
	session.Party
	chooser *ot.Chooser // we as multiplication sender: choices Δ, exponents
	own     opening     // our part of the seed

	heard  choice
	answer answer
	state  State
}

// Format redacts under every verb.
func (*setup) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

func (s *setup) peer(id engine.PartyID) *peer {
	for _, p := range s.peers {
		if p.ID == id {
			return p
		}
	}
	return nil
}

func (s *setup) want(kind engine.Kind, size int) engine.Expect {
	w := engine.Want{Kind: kind, Direct: true, MaxBody: size}
	for _, p := range s.peers {
		w.From = append(w.From, p.ID)
	}
	return engine.Expect{Wants: []engine.Want{w}}
}

// wipe destroys everything that is not part of the result.
func (s *setup) wipe() {
	for _, p := range s.peers {
		if p.chooser != nil {
			p.chooser.Wipe()
		}
		p.own, p.answer = opening{}, answer{}
	}
}

// refuse discards when a message does not decode: the engine ends the session then.
func (s *setup) refuse(err error) error {
	if err != nil {
		s.discard()
	}
	return err
}

// Wipe is engine.Wiper: every stage shares the one set-up.
func (s *setup) Wipe() { s.discard() }

// discard destroys the result too.
func (s *setup) discard() {
	s.wipe()
	for _, p := range s.peers {
		p.state.Wipe()
	}
}

func (p Params) check() error {
	self := 0
	for i, q := range p.Parties {
		if q.ID == engine.Everyone || q.Index == 0 || i > 0 && q.Index <= p.Parties[i-1].Index {
			return fmt.Errorf("parties are not by ascending index at party %v", q.ID)
		}
		if q.ID == p.Self.ID && q.Index == p.Self.Index {
			self++
		} else if q.ID == p.Self.ID {
			return fmt.Errorf("our index is %d in the list, %d in Self", q.Index, p.Self.Index)
		}
	}
	switch {
	case len(p.Parties) < 2 || self != 1:
		return fmt.Errorf("we are %d times among %d parties", self, len(p.Parties))
	case p.Session == engine.SessionID{}:
		return errors.New("the session id is zero")
	case p.Rand == nil:
		return errors.New("no source of randomness")
	}
	return nil
}

// choose makes round 1.
type choose struct{ *setup }

func (*choose) Expect() engine.Expect { return engine.Expect{} }

func (*choose) Accept(kind engine.Kind, _ engine.PartyID, _ []byte) error {
	return &engine.Misuse{Doing: "pair set-up", Err: fmt.Errorf("kind %#x comes before round 1", uint8(kind))}
}

// Finish: protocols.md 2.2 (A's message), spec/pair 2.1. To each peer φ, we as
// multiplication sender, with choices drawn for this peer alone (TOB-BRON-2), and the
// commitment to our part of the zero-share seed.
func (s *choose) Finish(engine.Transcript) (out engine.Outcome[states], err error) {
	if err := s.check(); err != nil {
		return out, &engine.Misuse{Doing: "set up pairs", Err: err}
	}
	for _, q := range s.Parties {
		if q.ID == s.Self.ID {
			continue
		}
		p := &peer{Party: q}
		s.peers = append(s.peers, p)
		var c choice
		if p.chooser, c.phi, err = ot.NewChooser(ID(s.Session, s.Self, q, RoleSetup), s.Rand); err == nil {
			_, err = io.ReadFull(s.Rand, p.own.part[:])
		}
		if err == nil {
			_, err = io.ReadFull(s.Rand, p.own.salt[:])
		}
		if err != nil {
			s.discard()
			return engine.Outcome[states]{}, fmt.Errorf("make choices for party %v: %w", q.ID, err)
		}
		c.commitment = p.own.commitment(s.Session, s.Self, q)
		out.Send = append(out.Send, engine.Out{Kind: KindChoice, To: q.ID, Body: c.encode()})
	}
	out.Next = &reply{s.setup}
	return out, nil
}

// reply takes round 1 and makes round 2.
type reply struct{ *setup }

func (s *reply) Expect() engine.Expect { return s.want(KindChoice, ChoiceSize) }

func (s *reply) Accept(_ engine.Kind, from engine.PartyID, body []byte) (err error) {
	s.peer(from).heard, err = decodeChoice(body)
	return s.refuse(err)
}

// Finish: protocols.md 2.2 (B's message), spec/pair 2.2. To each peer the answer, we as
// multiplication receiver, and the opening of our part of the seed, which the peer's own
// commitment precedes.
func (s *reply) Finish(engine.Transcript) (out engine.Outcome[states], err error) {
	var faults []*engine.Fault
	for _, p := range s.peers {
		a := answer{opening: p.own}
		p.state.Leaves, a.reply, err = ot.Answer(ID(s.Session, p.Party, s.Self, RoleSetup), s.Rand, p.heard.phi)
		switch {
		case errors.Is(err, ot.ErrEncoding):
			faults = append(faults, engine.Blamed("pair: choice", p.ID, err))
			continue
		case err != nil:
			s.discard()
			return engine.Outcome[states]{}, fmt.Errorf("answer party %v: %w", p.ID, err)
		}
		out.Send = append(out.Send, engine.Out{Kind: KindAnswer, To: p.ID, Body: a.encode()})
		p.heard.phi = nil
	}
	if f := engine.Merge(faults...); f != nil {
		s.discard()
		return engine.Outcome[states]{}, f
	}
	out.Next = &settle{s.setup}
	return out, nil
}

// settle takes round 2 and makes every check. Nothing is sent.
type settle struct{ *setup }

func (s *settle) Expect() engine.Expect { return s.want(KindAnswer, AnswerSize) }

func (s *settle) Accept(_ engine.Kind, from engine.PartyID, body []byte) (err error) {
	s.peer(from).answer, err = decodeAnswer(body)
	return s.refuse(err)
}

// Finish: protocols.md 2.2 (checks) and 2.6, spec/pair 2.3 to 2.5. All peers are judged
// before the verdict, so that how long it takes says nothing about any one of them.
func (s *settle) Finish(engine.Transcript) (out engine.Outcome[states], err error) {
	var faults []*engine.Fault
	var failed CheckFailed
	for _, p := range s.peers {
		// a seed part chosen after ours was seen
		if !p.answer.opens(p.heard.commitment, s.Session, p.Party, s.Self) {
			faults = append(faults, engine.Blamed("pair: opening of the seed part", p.ID, errors.New("does not match the commitment")))
		}
		p.state.Punctured, err = p.chooser.Finish(p.answer.reply)
		switch {
		case errors.Is(err, ot.ErrCheck):
			// selective failure: wrong corrections at some nodes ask for bits of Δ
			failed.Peers = append(failed.Peers, p.ID)
		case errors.Is(err, ot.ErrEncoding):
			faults = append(faults, engine.Blamed("pair: answer", p.ID, err))
		case err != nil:
			s.discard()
			return out, fmt.Errorf("take the answer of party %v: %w", p.ID, err)
		}
		sum := seed(s.Session, s.Self, p.Party, &p.own, &p.answer.opening)
		p.state.Seed = secret.Copy(sum[:])
		clear(sum[:])
	}
	if err := verdict(faults, failed); err != nil {
		s.discard()
		return out, err
	}
	result := make(states, len(s.peers))
	for _, p := range s.peers {
		result[p.ID] = &p.state
	}
	s.wipe()
	out.Result = &result
	return out, nil
}

// verdict is blame where a message proves it; a failed tree check alone names nobody to
// the others, and tells the host whom to count.
func verdict(faults []*engine.Fault, failed CheckFailed) error {
	if len(failed.Peers) > 0 {
		faults = append(faults, engine.Nobody("pair: tree check", nil))
	}
	f := engine.Merge(faults...)
	switch {
	case f == nil:
		return nil
	case len(failed.Peers) > 0:
		f.Err = errors.Join(f.Err, &failed)
	}
	return f
}

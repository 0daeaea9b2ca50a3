package engine

import (
	"errors"
	"fmt"
	"slices"
)

const (
	// MaxParties is the largest number of parties of one session.
	MaxParties = 16
	// MaxRounds is the largest number of rounds of one session.
	MaxRounds = 32

	maxBody  = 16 << 20 // bytes, as transcript.MaxLen
	maxKinds = 16
)

// A Session is one party's side of one session. It is not safe for concurrent use.
//
// The host calls Start once, then Step for each authenticated message. When Guard is
// not empty it locks those pairs in that order, reads their flags again, calls Judge,
// makes Burn durable and unlocks. Time is the host's: to give up, it calls Abandon.
type Session[R any] struct {
	params Params
	self   PartyID

	stage  Stage[R] // nil when finished
	expect Expect
	round  uint8      // round whose messages stage wants; 0 before Start
	t      Transcript // T_{round-1}
	inbox  inbox
	own    []shout // our broadcasts of this round
	begun  bool
}

// New makes a session. The first stage wants nothing; Start finishes it.
func New[R any](p Params, self PartyID, first Stage[R]) (*Session[R], error) {
	if err := p.check(self); err != nil {
		return nil, err
	}
	if first == nil {
		return nil, misuse("make session", "the first stage is missing")
	}
	p.Parties = slices.Clone(p.Parties)
	return &Session[R]{params: p, self: self, stage: first, t: Transcript(p.Session), inbox: newInbox()}, nil
}

func (p Params) check(self PartyID) error {
	const doing = "make session"
	switch n := len(p.Parties); {
	case p.Session == SessionID{}:
		return misuse(doing, "the session id is zero")
	case n < 2 || n > MaxParties:
		return misuse(doing, "%d parties, 2 to %d are allowed", n, MaxParties)
	case p.MaxBody < 1 || p.MaxBody > maxBody:
		return misuse(doing, "largest body is %d bytes, 1 to %d are allowed", p.MaxBody, maxBody)
	case p.Kinds < 1 || p.Kinds > maxKinds:
		return misuse(doing, "%d messages a round, 1 to %d are allowed", p.Kinds, maxKinds)
	case !slices.Contains(p.Parties, self):
		return misuse(doing, "we are not among the parties")
	}
	for i, id := range p.Parties {
		if id == Everyone {
			return misuse(doing, "party %d of the list has the id zero", i)
		}
		if slices.Contains(p.Parties[:i], id) {
			return misuse(doing, "party %v is listed twice", id)
		}
	}
	return nil
}

// Start finishes the first stage and returns the messages of round 1.
func (s *Session[R]) Start() (Effects[R], error) {
	const doing = "start session"
	switch {
	case s.begun:
		return Effects[R]{}, &Misuse{doing, ErrStarted}
	case s.stage == nil:
		return Effects[R]{}, &Misuse{doing, ErrFinished}
	}
	s.begun = true
	if e := s.stage.Expect(); len(e.Wants) > 0 || len(e.Guard) > 0 {
		return Effects[R]{}, s.end(misuse(doing, "the first stage wants %d messages and guards %d pairs", len(e.Wants), len(e.Guard)))
	}
	var eff Effects[R]
	out, err := s.stage.Finish(s.t)
	if err = s.advance(&eff, out, err); err == nil {
		err = s.run(&eff)
	}
	return eff, err
}

// Step takes one authenticated message. It keeps m's bytes: the caller must not change
// them. A *Rejected leaves the session as it was; any other error ends it. Effects that
// stand beside an error are carried out first.
func (s *Session[R]) Step(m Msg) (Effects[R], error) {
	var eff Effects[R]
	switch {
	case !s.begun:
		return eff, &Misuse{"take message", ErrNotStarted}
	case s.stage == nil:
		return eff, &Misuse{"take message", ErrFinished}
	}
	err := s.take(m)
	if err == nil {
		err = s.run(&eff)
	}
	return eff, err
}

// Judge finishes a guarded stage. The host holds the locks of Guard meanwhile and has
// read the flags of those pairs after it took the locks.
func (s *Session[R]) Judge() (Effects[R], error) {
	var eff Effects[R]
	switch {
	case !s.begun:
		return eff, &Misuse{"judge", ErrNotStarted}
	case s.stage == nil:
		return eff, &Misuse{"judge", ErrFinished}
	case !s.complete() || len(s.expect.Guard) == 0:
		return eff, &Misuse{"judge", ErrNothingDue}
	}
	err := s.judge(&eff)
	if err == nil {
		err = s.run(&eff)
	}
	return eff, err
}

// Abandon ends a session that the host gives up: out of time, or one of its pairs was
// burned elsewhere. The stage is wiped; Heard still has the evidence. A session that
// ended before stays as it is.
func (s *Session[R]) Abandon() {
	if s.stage != nil {
		wipe(s.stage)
		s.stage, s.own = nil, nil
	}
}

// Finished reports whether a result, an error or Abandon ended the session.
func (s *Session[R]) Finished() bool { return s.stage == nil }

// Waiting names the parties of whom a message of this round is missing, in the order of
// Params.Parties. To be silent is no offence that could be proved: nobody is accused.
func (s *Session[R]) Waiting() []PartyID {
	var silent []PartyID
	if !s.begun || s.stage == nil {
		return nil
	}
	for _, id := range s.params.Parties {
		for _, w := range s.expect.Wants {
			if _, heard := s.inbox.now[slot{id, w.Kind}]; slices.Contains(w.From, id) && !heard {
				silent = append(silent, id)
				break
			}
		}
	}
	return silent
}

// Guard names the pairs that a judgement is due on, sorted; then the host must call
// Judge under their locks. It is empty as long as messages are missing, and for stages
// that judge no pair.
func (s *Session[R]) Guard() []Token {
	if !s.begun || s.stage == nil || !s.complete() {
		return nil
	}
	return slices.Clone(s.expect.Guard)
}

// Format prints id and round, under every verb: the stage holds secrets, and so do messages.
func (s Session[R]) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "session %v of %v in round %d", s.params.Session, s.self, s.round)
}

// Self is the party whose side this is.
func (s *Session[R]) Self() PartyID { return s.self }

// Round is the round whose messages are awaited; 0 before Start.
func (s *Session[R]) Round() uint8 { return s.round }

// Heard returns what others sent and the session holds as evidence: the broadcasts of
// all rounds and the direct messages of this one, by round, party and kind.
func (s *Session[R]) Heard() []Msg {
	return append(slices.Clone(s.inbox.past), s.sorted(s.inbox.now)...)
}

// take puts a message in its place or says why not. spec/engine 2.
func (s *Session[R]) take(m Msg) error {
	no := func(reason error) error {
		return &Rejected{From: m.From, Round: m.Round, Kind: m.Kind, Reason: reason}
	}
	switch {
	case m.Session != s.params.Session:
		return no(ErrForeign)
	case m.From == s.self || !slices.Contains(s.params.Parties, m.From):
		return no(ErrSender)
	case m.To != Everyone && m.To != s.self:
		return no(ErrRecipient)
	case len(m.Body) > s.params.MaxBody || len(m.Signed) > s.params.MaxBody+envelopeExtra:
		return no(ErrOversized)
	}
	at := slot{m.From, m.Kind}
	held, found := Msg{}, false
	switch {
	case m.Round < s.round:
		if held, found = s.inbox.earlier(m); !found {
			return no(ErrLate)
		}
	case m.Round == s.round:
		held, found = s.inbox.now[at]
	case m.Round == s.round+1:
		held, found = s.inbox.next[at]
	default:
		return no(ErrEarly)
	}
	if found {
		f, differs := Equivocation(held, m)
		if !differs {
			return nil
		}
		return &Rejected{From: m.From, Round: m.Round, Kind: m.Kind, Reason: ErrEquivocation, Proof: f}
	}
	if m.Round == s.round {
		if err := s.due(m); err != nil {
			return no(err)
		}
		s.inbox.now[at] = m
		return nil
	}
	if s.inbox.count(m.From) >= s.params.Kinds {
		return no(ErrEarly)
	}
	s.inbox.next[at] = m
	return nil
}

// due says whether the stage wants this message, and that large.
func (s *Session[R]) due(m Msg) error {
	i := slices.IndexFunc(s.expect.Wants, func(w Want) bool { return w.Kind == m.Kind })
	if i < 0 {
		return ErrKind
	}
	w := s.expect.Wants[i]
	switch {
	case w.Direct != (m.To == s.self) || !slices.Contains(w.From, m.From):
		return ErrKind
	case len(m.Body) > w.MaxBody:
		return ErrOversized
	}
	return nil
}

func (s *Session[R]) complete() bool { return len(s.Waiting()) == 0 }

// run finishes stages until one must wait for messages or for the host's locks.
func (s *Session[R]) run(eff *Effects[R]) error {
	for s.stage != nil && s.complete() && len(s.expect.Guard) == 0 {
		if err := s.judge(eff); err != nil {
			return err
		}
	}
	return nil
}

// judge finishes the stage whose messages are all there.
func (s *Session[R]) judge(eff *Effects[R]) error {
	// TOB-SILA-8: a verdict over a disputed transcript would make honest parties ban
	// each other, so agreement comes first and disagreement names nobody.
	if f := s.dispute(); f != nil {
		return s.end(f)
	}
	t := s.t.next(s.round, s.shouts())
	if err := s.accept(eff); err != nil {
		return s.end(err)
	}
	out, err := s.stage.Finish(t)
	s.t = t
	return s.advance(eff, out, err)
}

// dispute compares every echo of the round with our own transcript.
func (s *Session[R]) dispute() *Fault {
	heard := s.sorted(s.inbox.now)
	if !slices.ContainsFunc(heard, func(m Msg) bool { return m.Echo != s.t }) {
		return nil
	}
	f := Nobody("engine: transcripts differ", nil)
	f.Session, f.Round = s.params.Session, s.round
	// Broadcasts alone: they are what parties may differ on, and what may be shown around.
	f.Evidence = slices.Clone(s.inbox.past)
	for _, m := range heard {
		if m.To == Everyone {
			f.Evidence = append(f.Evidence, m)
		}
	}
	return f
}

// accept gives the stage each message, in the order of Wants and then of parties, and
// collects all that is wrong with them.
func (s *Session[R]) accept(eff *Effects[R]) error {
	var faults []*Fault
	for _, w := range s.expect.Wants {
		for _, id := range s.params.Parties {
			if !slices.Contains(w.From, id) {
				continue
			}
			err := s.stage.Accept(w.Kind, id, s.inbox.now[slot{id, w.Kind}].Body)
			if err == nil {
				continue
			}
			var f *Fault
			if own := (*Misuse)(nil); errors.As(err, &own) {
				return fmt.Errorf("accept kind %#x of party %v: %w", uint8(w.Kind), id, err)
			} else if !errors.As(err, &f) {
				// protocols.md 0.3: encoding and length errors are Blame.
				f = Blamed("engine: message is malformed", id, err)
			}
			faults = append(faults, f)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return s.fault(eff, Merge(faults...))
}

// advance carries an outcome into effects, and the session into its next stage.
func (s *Session[R]) advance(eff *Effects[R], out Outcome[R], err error) error {
	eff.Burn = append(eff.Burn, out.Burn...)
	eff.Save = append(eff.Save, out.Save...)
	if err != nil {
		wipe(out.Next)
		var f *Fault
		if errors.As(err, &f) {
			return s.end(s.fault(eff, f))
		}
		return s.end(fmt.Errorf("finish round %d: %w", s.round, err))
	}
	if err := s.checkOutcome(out); err != nil {
		wipe(out.Next)
		return s.end(err)
	}
	s.turn()
	for _, o := range out.Send {
		eff.Send = append(eff.Send, Msg{
			Session: s.params.Session, Round: s.round, Kind: o.Kind,
			From: s.self, To: o.To, Echo: s.t, Body: o.Body,
		})
		if o.To == Everyone {
			s.own = append(s.own, shout{s.self, o.Kind, o.Body})
		}
	}
	if out.Result != nil {
		eff.Result = out.Result
		return s.end(nil)
	}
	return s.enter(out.Next)
}

// turn moves on to the next round: broadcasts stay as evidence, direct messages go.
func (s *Session[R]) turn() {
	for _, m := range s.sorted(s.inbox.now) {
		if m.To == Everyone {
			s.inbox.past = append(s.inbox.past, m)
		}
	}
	s.round++
	s.own = nil
	s.inbox.now, s.inbox.next = s.inbox.next, map[slot]Msg{}
}

// enter makes a stage the current one. What came early and is not due is dropped, as it
// would have been had it come on time.
func (s *Session[R]) enter(stage Stage[R]) error {
	s.stage, s.expect = stage, stage.Expect()
	if err := s.checkExpect(); err != nil {
		return s.end(err)
	}
	for at, m := range s.inbox.now {
		if s.due(m) != nil {
			delete(s.inbox.now, at)
		}
	}
	s.expect.Guard = sortTokens(s.expect.Guard)
	return nil
}

// end finishes the session. With an error, what the stage holds is of no use any more.
func (s *Session[R]) end(err error) error {
	if err != nil {
		wipe(s.stage)
	}
	s.stage, s.own = nil, nil
	return err
}

// wipe destroys a stage's secrets, if it has any.
func wipe[R any](stage Stage[R]) {
	if w, ok := stage.(Wiper); ok {
		w.Wipe()
	}
}

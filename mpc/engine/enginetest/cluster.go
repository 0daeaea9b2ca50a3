// Package enginetest runs all parties of a session in memory, for the tests of protocol
// rooms: with any order of arrival, a hostile network, and corrupt parties.
//
//	report := enginetest.Run(enginetest.Options{
//		Seed: 7,
//		Hook: enginetest.On(enginetest.Match{From: ids[0], Round: 2}, enginetest.Flip(0)),
//	}, sessions...)
//
// A Hook changes what one receiver gets and leaves the sender as it is: so it makes
// equivocation, loss and repetition. Corrupt changes what a party says to all, before
// its own session notes it: so transcripts agree and the check behind them must catch it.
package enginetest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ostraka/ostraka/mpc/engine"
)

// IDs makes n party ids that print as 01000000, 02000000 and so on.
func IDs(n int) []engine.PartyID {
	ids := make([]engine.PartyID, n)
	for i := range ids {
		ids[i] = engine.PartyID{byte(i + 1), 15: byte(i + 1)}
	}
	return ids
}

// A Flight is one message on its way to one receiver.
type Flight struct {
	To  engine.PartyID
	Msg engine.Msg
}

// A Party is one side of the session and all that came out of it.
type Party[R any] struct {
	ID       engine.PartyID
	Session  *engine.Session[R]
	Result   *R
	Err      error              // what ended the session, if an error did
	Rejected []*engine.Rejected // messages refused
	Burned   []engine.Token
	Saved    []engine.Record
	Sent     []engine.Msg
	Judged   int // how often Judge was called
	Crashed  bool
	early    []Flight // kept by the host until the session is a round further
}

// Fault is the fault that ended the party's session, or nil.
func (p *Party[R]) Fault() *engine.Fault {
	var f *engine.Fault
	errors.As(p.Err, &f)
	return f
}

// A Cluster holds all parties and the messages between them.
type Cluster[R any] struct {
	Parties []*Party[R]
	Queue   []Flight
	hook    Hook
}

// NewCluster puts sessions together. A party without a session is one that never speaks:
// leave it out.
func NewCluster[R any](hook Hook, sessions ...*engine.Session[R]) *Cluster[R] {
	c := &Cluster[R]{hook: hook}
	for _, s := range sessions {
		c.Parties = append(c.Parties, &Party[R]{ID: s.Self(), Session: s})
	}
	return c
}

// Party finds a party by id, or nil.
func (c *Cluster[R]) Party(id engine.PartyID) *Party[R] {
	i := slices.IndexFunc(c.Parties, func(p *Party[R]) bool { return p.ID == id })
	if i < 0 {
		return nil
	}
	return c.Parties[i]
}

// Start starts one party's session.
func (c *Cluster[R]) Start(p *Party[R]) {
	eff, err := p.Session.Start()
	c.carry(p, eff, err)
}

// Deliver takes flight i out of the queue and gives it to its receiver. What the session
// refuses as too early comes again when the session is a round further, as a link that
// repeats unacknowledged messages would have it.
func (c *Cluster[R]) Deliver(i int) {
	f := c.Queue[i]
	c.Queue = slices.Delete(c.Queue, i, i+1)
	p := c.Party(f.To)
	if p == nil || p.Crashed || p.Session.Finished() {
		return
	}
	round := p.Session.Round()
	eff, err := p.Session.Step(f.Msg)
	if errors.Is(err, engine.ErrEarly) {
		p.early = append(p.early, f)
		return
	}
	c.carry(p, eff, err)
	if p.Session.Round() != round {
		c.Queue = append(c.Queue, p.early...)
		p.early = nil
	}
}

// carry does what a host does: effects first, then the error, then a judgement if due.
func (c *Cluster[R]) carry(p *Party[R], eff engine.Effects[R], err error) {
	p.Burned = append(p.Burned, eff.Burn...)
	p.Saved = append(p.Saved, eff.Save...)
	for _, m := range eff.Send {
		p.Sent = append(p.Sent, m)
		c.send(m)
	}
	if eff.Result != nil {
		p.Result = eff.Result
	}
	var no *engine.Rejected
	if errors.As(err, &no) {
		p.Rejected = append(p.Rejected, no)
	} else if err != nil {
		p.Err = err
	}
	if len(p.Session.Guard()) > 0 {
		p.Judged++
		eff, err := p.Session.Judge()
		c.carry(p, eff, err)
	}
}

// send puts a message on its way to each receiver, through the hook.
func (c *Cluster[R]) send(m engine.Msg) {
	for _, p := range c.Parties {
		if p.ID == m.From || m.To != engine.Everyone && m.To != p.ID {
			continue
		}
		out := []engine.Msg{clone(m)}
		if c.hook != nil {
			out = c.hook(p.ID, clone(m))
		}
		for _, o := range out {
			c.Put(p.ID, o)
		}
	}
}

// Put signs a message as its sender would, and puts it on its way to one receiver.
func (c *Cluster[R]) Put(to engine.PartyID, m engine.Msg) {
	m = clone(m)
	m.Signed = Envelope(m)
	c.Queue = append(c.Queue, Flight{to, m})
}

// Envelope stands for the signed form of a message: equal for equal messages only.
func Envelope(m engine.Msg) []byte {
	h := sha256.New()
	h.Write(m.Session[:])
	h.Write([]byte{m.Round, byte(m.Kind)})
	h.Write(m.From[:])
	h.Write(m.To[:])
	h.Write(m.Echo[:])
	h.Write(m.Body)
	return h.Sum([]byte("envelope "))
}

func clone(m engine.Msg) engine.Msg {
	m.Body, m.Signed = slices.Clone(m.Body), slices.Clone(m.Signed)
	return m
}

// Options say how Run goes.
type Options struct {
	Seed uint64 // order of arrival; 0 is first in, first out
	Hook Hook   // the network; nil changes nothing
}

// Run starts all sessions and delivers messages until none is left.
func Run[R any](o Options, sessions ...*engine.Session[R]) *Cluster[R] {
	c := NewCluster(o.Hook, sessions...)
	order := slices.Clone(c.Parties)
	pick := func(int) int { return 0 }
	if o.Seed != 0 {
		r := rand.New(rand.NewPCG(o.Seed, 0))
		pick = r.IntN
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	for _, p := range order {
		c.Start(p)
	}
	for len(c.Queue) > 0 {
		c.Deliver(pick(len(c.Queue)))
	}
	return c
}

// Results returns each party's result, or an error that names the first party that has
// none and says why.
func (c *Cluster[R]) Results() ([]R, error) {
	var all []R
	for i, p := range c.Parties {
		switch {
		case p.Err != nil:
			return nil, fmt.Errorf("party %d: %w", i+1, p.Err)
		case p.Result == nil:
			return nil, fmt.Errorf("party %d has no result and waits for %v", i+1, p.Session.Waiting())
		}
		all = append(all, *p.Result)
	}
	return all, nil
}

// Reader returns entropy for tests, expanded from a seed. It never ends and never fails.
func Reader(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

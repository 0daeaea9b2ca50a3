package vet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/mpc/engine"
)

// question is one of a peer's that waits for its turn: evidence is made one at a time, and what was made for one question answers no other.
type question struct {
	from engine.PartyID
	ask
	challenge []byte    // to a TPM; nil: it asks for evidence
	look      time.Time // our own: what does this machine show? As of when
}

// shown is what a peer was shown last: a challenge is answered for that alone, once.
type shown struct{ nonce [32]byte }

// takeAsk takes a peer's question. Of those that come too fast the last is answered, when it is time.
func (v *Vet) takeAsk(now time.Time, from engine.PartyID, q ask) {
	v.mu.Lock()
	v.peer(from).waits = &q
	v.mu.Unlock()
	v.answerNext(now, from)
}

// answerNext answers the question of a peer that waits, if it is time.
func (v *Vet) answerNext(now time.Time, from engine.PartyID) {
	v.mu.Lock()
	p := v.peer(from)
	if p.waits == nil || !allow(&p.answered, now, answerGap, askBurst*answerGap) {
		v.mu.Unlock()
		return
	}
	q := *p.waits
	p.waits, p.shown = nil, nil
	v.mu.Unlock()
	if v.cfg.Maker == nil {
		a := answer{nonce: q.nonce, why: cmp.Or(v.cfg.Lacks, "its settings name no hardware (attest)")}
		v.cfg.Send(from, FrameEvidence, a.encode())
		return
	}
	v.enqueue(question{from: from, ask: q})
}

// takeEnrol takes a challenge to our TPM: about what that peer was shown last, once. Else anybody in the circle could have it open things all day.
func (v *Vet) takeEnrol(from engine.PartyID, c challenge) error {
	v.mu.Lock()
	p := v.peer(from)
	asked := p.shown != nil && p.shown.nonce == c.nonce
	if asked {
		p.shown = nil
	}
	v.mu.Unlock()
	if !asked || v.cfg.Maker == nil {
		return errors.New("a challenge to our TPM is about nothing that was shown")
	}
	v.enqueue(question{from: from, ask: ask{nonce: c.nonce}, challenge: c.body})
	return nil
}

// enqueue lets a question wait for its turn, in the place of that peer's last.
func (v *Vet) enqueue(q question) {
	v.mu.Lock()
	v.queue = append(slices.DeleteFunc(v.queue, func(o question) bool { return o.from == q.from }), q)
	start := !v.busy
	v.busy = true
	v.mu.Unlock()
	if start {
		v.beside(v.work)
	}
}

func (v *Vet) beside(f func(context.Context)) {
	if v.cfg.Beside == nil {
		f(context.Background())
		return
	}
	v.cfg.Beside(f)
}

// work answers what waits, one question after the other.
func (v *Vet) work(ctx context.Context) {
	for {
		v.mu.Lock()
		if len(v.queue) == 0 || ctx.Err() != nil {
			v.busy = false
			v.mu.Unlock()
			return
		}
		q := v.queue[0]
		v.queue = v.queue[1:]
		v.mu.Unlock()
		v.reply(ctx, q)
	}
}

func (v *Vet) reply(ctx context.Context, q question) {
	ctx, cancel := context.WithTimeout(ctx, makeWithin)
	defer cancel()
	if !q.look.IsZero() {
		v.look(ctx, q.look)
		return
	}
	if _, ok := v.cfg.Peer(q.from); !ok {
		return // who asked is no member any more
	}
	kind, a := FrameEvidence, answer{nonce: q.nonce}
	var err error
	if q.challenge != nil {
		kind = FrameEnrolled
		a.body, err = v.opened(ctx, q)
	} else {
		a.body, err = v.evidence(ctx, q)
	}
	if err != nil {
		a.body, a.why = nil, err.Error()
	}
	v.cfg.Send(q.from, kind, a.encode())
}

// evidence makes what a peer asked for, for the connection over which it asked: if that is over, it asks anew.
func (v *Vet) evidence(ctx context.Context, q question) ([]byte, error) {
	asker, _ := v.cfg.Peer(q.from)
	if conn := v.cfg.Connection(q.from); conn == [32]byte{} || conn != q.conn {
		v.cfg.Log.Info("a peer's question about hardware came over another connection than stands now: it asks anew", "operator", asker.Name)
		return nil, errors.New("the question is of another connection than the one that this node has with its asker: is somebody between them, with this node's key?")
	}
	s := vetted.Subject{Identity: v.cfg.Identity, Life: v.cfg.Own(), Asker: asker.Identity, Nonce: q.nonce, Connection: q.conn}
	body, err := v.cfg.Maker.Evidence(ctx, judge.Binding(s))
	switch {
	case err == nil && len(body) > vetted.MaxEvidence:
		err = fmt.Errorf("the evidence has %d bytes, at most %d are allowed", len(body), vetted.MaxEvidence)
	case err == nil && len(body) == 0:
		err = errors.New("the hardware gave nothing")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed = ""; err != nil {
		v.failed = err.Error()
		v.cfg.Log.Error("this node cannot show what it runs on", "error", err)
		return nil, err
	}
	v.peer(q.from).shown = &shown{q.nonce}
	return body, nil
}

// opened is what a peer's challenge hides. What the peer made of it is its own: a challenge that no TPM opens says nothing of this machine.
func (v *Vet) opened(ctx context.Context, q question) ([]byte, error) {
	body, err := v.cfg.Maker.Answer(ctx, q.challenge)
	if err == nil && len(body) != tpm.SecretSize {
		err = fmt.Errorf("the TPM opened %d bytes, not %d", len(body), tpm.SecretSize)
	}
	if err != nil {
		o, _ := v.cfg.Peer(q.from)
		v.cfg.Log.Warn("a peer's challenge is none that this machine's TPM opens: it is that peer's, unless others' fail too", "operator", o.Name, "error", err)
		return nil, err
	}
	return body, nil
}

// takeStanding takes what a peer holds of our evidence.
func (v *Vet) takeStanding(now time.Time, from engine.PartyID, o charter.Operator, s standing) {
	conn := v.cfg.Connection(from)
	v.mu.Lock()
	p := v.peer(from)
	why := short(s.why)
	p.news = p.news || p.said == [32]byte{} || p.holds != s.good || p.saysWhy != why
	p.said, p.holds, p.saysWhy = conn, s.good, why
	v.mu.Unlock()
	if v.hear(now, from, o.Name) && v.cfg.Wake != nil {
		v.cfg.Wake()
	}
}

// hear tells this node's operator, and with true whoever waits to open sessions, what a peer said last that is new: once in hearGap, what came meanwhile with the next tick. A peer
// that says something else with each frame would fill the log and keep this node awake. What it says where nothing is demanded of this node, nobody need know.
func (v *Vet) hear(now time.Time, id engine.PartyID, operator string) bool {
	_, demanded := v.Demand(v.cfg.Operator)
	v.mu.Lock()
	p := v.peer(id)
	since := now.Sub(p.heard)
	if !p.news || !demanded || !p.heard.IsZero() && since >= 0 && since < hearGap {
		v.mu.Unlock()
		return false
	}
	p.news, p.heard = false, now
	good, why := p.holds, p.saysWhy
	v.mu.Unlock()
	if good {
		v.cfg.Log.Info("a peer holds this node's evidence good", "operator", operator)
	} else {
		v.cfg.Log.Warn("a peer does not hold this node's evidence good: it holds no session with this node", "operator", operator, "error", why)
	}
	return true
}

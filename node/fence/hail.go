package fence

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// tellEvery is how often peers are told at most that our log grew. What a node did since is
// what a restored copy of it may not know that it forgot.
const tellEvery = 5 * time.Second

// Tick greets peers whose link came up, tells all of them when our log grew, and stores what grew of theirs.
func (f *Fence) Tick(ctx context.Context, now time.Time, reachable func(engine.PartyID) bool) error {
	f.act.Lock()
	defer f.act.Unlock()
	// A clock that was set back must not keep us silent.
	since := now.Sub(f.toldAt)
	due := since < 0 || since >= tellEvery
	var greet, back []engine.PartyID
	for _, id := range f.cfg.Peers() {
		up := reachable(id)
		f.mu.Lock()
		p := f.peer(id)
		if up && (!p.up || !p.greeted && due) {
			greet = append(greet, id)
		}
		if up && !p.up {
			back, p.upAt = append(back, id), now
		}
		p.up = up
		f.mu.Unlock()
	}
	f.passAll(back)
	for _, id := range f.cfg.Peers() {
		f.rescue(ctx, now, id)
	}
	if !due {
		return f.hailAll(ctx, greet)
	}
	f.toldAt = now
	if err := errors.Join(f.keepGrown(ctx), f.counts(ctx, now)); err != nil {
		return err
	}
	head, err := f.cfg.Journal.Head(ctx)
	if err != nil {
		return err
	}
	if head.Size == f.told {
		return f.hailAll(ctx, greet)
	}
	return f.tell(ctx, now)
}

// passAll tells peers whose link came up what we hold of all others: where the network was in
// parts, each part may have seen another copy of a node.
func (f *Fence) passAll(to []engine.PartyID) {
	for _, id := range to {
		for _, of := range f.cfg.Peers() {
			f.mu.Lock()
			p := f.peer(of)
			key, seen := p.key, p.seen
			f.mu.Unlock()
			if of != id && seen != nil {
				f.cfg.Pass(id, key, seen.Encode())
			}
		}
	}
}

// tell hails everybody who is there. act is held.
func (f *Fence) tell(ctx context.Context, now time.Time) error {
	var to []engine.PartyID
	for _, id := range f.cfg.Peers() {
		f.mu.Lock()
		if f.peer(id).up {
			to = append(to, id)
		}
		f.mu.Unlock()
	}
	head, err := f.cfg.Journal.Head(ctx)
	if err != nil {
		return err
	}
	f.told, f.toldAt = head.Size, now
	return f.hailAll(ctx, to)
}

func (f *Fence) hailAll(ctx context.Context, to []engine.PartyID) error {
	for _, id := range to {
		if err := f.hail(ctx, id, [nonceSize]byte{}); err != nil {
			return err
		}
	}
	return nil
}

// hail tells a peer our life, and what we hold of its own. act is held, so that our lives
// leave in the order in which our log grew.
func (f *Fence) hail(ctx context.Context, to engine.PartyID, answers [nonceSize]byte) error {
	head, err := f.cfg.Journal.Head(ctx)
	if err != nil {
		return err
	}
	l := f.own
	l.Log = head
	if err := l.sign(f.cfg.Identity); err != nil {
		return err
	}
	h := hail{life: l.Encode(), answers: answers}
	f.mu.Lock()
	p := f.peer(to)
	h.asks = p.asks
	before, remind := p.shown, false
	p.shown = p.held()
	for _, held := range p.shown {
		h.held = append(h.held, held.Encode())
		remind = remind || !slices.ContainsFunc(before, held.sameProcess)
	}
	f.mu.Unlock()
	// Before it is told that we hold a process of it, from whomever we heard of that: then it takes what nobody has shown it for new.
	if remind {
		f.cfg.Remind(to)
	}
	f.cfg.Hail(to, h.encode())
	return nil
}

// keepGrown stores peers' lives whose logs grew. act is held.
func (f *Fence) keepGrown(ctx context.Context) error {
	for _, id := range f.cfg.Peers() {
		f.mu.Lock()
		p := f.peer(id)
		grown := p.dirty
		seen, key, past := p.seen, p.key, p.past
		p.dirty = false
		f.mu.Unlock()
		if !grown {
			continue
		}
		if err := f.cfg.Journal.Write(ctx, journal.Entry{Batch: store.Batch{Put: []store.Entry{lifeRow(kindSeenLife, id, key, seen, past...)}}}); err != nil {
			return fmt.Errorf("keep a peer's life: %w", err)
		}
	}
	return nil
}

func lifeRow(kind string, id engine.PartyID, key ed25519.PublicKey, l *Life, past ...*Life) store.Entry {
	value := append(bytes.Clone(key), l.Encode()...)
	for _, l := range past {
		value = append(value, l.Encode()...)
	}
	return store.Entry{Key: store.Key(kind, store.ID(id[:])), Value: value}
}

// Take takes a hail that came over a peer's own link.
func (f *Fence) Take(ctx context.Context, now time.Time, from engine.PartyID, key ed25519.PublicKey, body []byte) error {
	h, err := decodeHail(body)
	if err != nil {
		return err
	}
	life, err := DecodeLife(key, h.life)
	if err != nil {
		return err
	}
	f.act.Lock()
	defer f.act.Unlock()
	greeted, forged := f.hear(ctx, now, from, h.held)
	f.mu.Lock()
	p := f.peer(from)
	p.greeted = p.greeted || greeted
	// Only an answer to a nonce of ours shows that a process lives: a frame of an earlier life may lie in a buffer.
	fresh := h.answers != [nonceSize]byte{} && h.answers == p.asks
	if fresh {
		p.asks = [nonceSize]byte{}
	}
	f.mu.Unlock()
	behind, err := f.saw(ctx, now, from, key, life, fresh, true)
	if err != nil {
		return errors.Join(err, forged)
	}
	if behind {
		if err := f.ask(p); err != nil {
			return err
		}
	}
	if behind || !greeted || f.owes(p, life) || h.asks != [nonceSize]byte{} {
		return errors.Join(f.hail(ctx, from, h.asks), forged)
	}
	return forged
}

// TakeOther takes a peer's word on a third node: that node's own signature is what counts.
func (f *Fence) TakeOther(ctx context.Context, now time.Time, of engine.PartyID, key ed25519.PublicKey, body []byte) error {
	life, err := DecodeLife(key, body)
	if err != nil {
		return err
	}
	f.act.Lock()
	defer f.act.Unlock()
	_, err = f.saw(ctx, now, of, key, life, false, false)
	return err
}

// owes says whether a peer has yet to be told that we hold this process of its own: it waits for
// that. Another node may have told us of it before it came itself.
func (f *Fence) owes(p *peer, l *Life) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	same := func(o *Life) bool { return l.sameProcess(o) }
	return slices.ContainsFunc(p.held(), same) && !slices.ContainsFunc(p.shown, same)
}

// held is all that is held of a node. mu is held.
func (p *peer) held() (all []*Life) {
	if p.seen != nil {
		all = append(append(all, p.seen), p.past...)
	}
	if p.twice != nil {
		all = append(all, p.twice)
	}
	return all
}

func (f *Fence) ask(p *peer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.asks != [nonceSize]byte{} {
		return nil
	}
	if _, err := io.ReadFull(f.cfg.Rand, p.asks[:]); err != nil {
		return fmt.Errorf("draw a nonce for a peer: %w", err)
	}
	return nil
}

// hear judges what a peer holds of us: lives that our own key signed. greeted says that this
// process is among them. act is held.
func (f *Fence) hear(ctx context.Context, now time.Time, from engine.PartyID, held [][]byte) (greeted bool, forged error) {
	for _, b := range held {
		l, err := DecodeLife(f.cfg.Identity.Public().(ed25519.PublicKey), b)
		if err != nil {
			return false, fmt.Errorf("what %s holds of us: %w", f.cfg.Name(from), err)
		}
		why, err := f.contradicts(ctx, l)
		if err != nil {
			return false, err
		}
		if why != "" {
			f.fence(ctx, now, fmt.Sprintf("%s was told by this node: %v; %s", f.cfg.Name(from), l, why), l.Counter)
		}
		greeted = greeted || l.sameProcess(&f.own)
	}
	return greeted, nil
}

// contradicts says how a life of our own cannot be one that this store came through.
func (f *Fence) contradicts(ctx context.Context, l *Life) (why string, err error) {
	head, err := f.cfg.Journal.Head(ctx)
	switch {
	case err != nil || l.Counter <= f.own.Confirmed:
		return "", err // the operator answered for all up to there
	case l.Counter > f.own.Counter:
		return fmt.Sprintf("this is start %d", f.own.Counter), nil
	case l.Counter == f.own.Counter && l.Instance != f.own.Instance:
		return fmt.Sprintf("this is instance %x of that start", f.own.Instance[:4]), nil
	case l.Log.Size > head.Size:
		return fmt.Sprintf("this log has %d entries", head.Size), nil
	}
	root, err := f.cfg.Journal.HeadAt(ctx, l.Log.Size)
	if err == nil && root != l.Log {
		why = "this log had another root at that size"
	}
	return why, err
}

// saw compares a peer's life with the highest that is held. behind says that the peer must be
// told what we hold and be asked whether it lives. act is held.
func (f *Fence) saw(ctx context.Context, now time.Time, of engine.PartyID, key ed25519.PublicKey, l *Life, fresh, direct bool) (behind bool, err error) {
	f.mu.Lock()
	p := f.peer(of)
	old, twice, past := p.seen, p.twice, p.past
	f.mu.Unlock()
	switch {
	case old == nil:
		return false, f.accept(ctx, now, p, of, key, l, false, direct)
	case l.Counter > old.Counter && l.Confirmed >= old.Counter && (twice == nil || l.Confirmed >= twice.Counter):
		return false, f.accept(ctx, now, p, of, key, l, twice != nil, direct)
	case l.Counter > old.Counter && l.Log.Size >= old.Log.Size:
		return false, f.accept(ctx, now, p, of, key, l, false, direct)
	case l.sameProcess(old) && l.Log == old.Log:
		return false, nil
	case l.sameProcess(old) && l.Log.Size > old.Log.Size:
		f.mu.Lock()
		defer f.mu.Unlock()
		p.seen, p.dirty = l, true
		return false, nil
	}
	// Two lives of one start, or two roots of one size, convict by themselves. Anything else may be
	// an old frame, unless it answers us.
	proof := l.Counter == old.Counter && l.Instance != old.Instance || l.sameProcess(old) && l.Log.Size == old.Log.Size
	if twice != nil && l.sameProcess(twice) {
		f.help(ctx, now, p, of, l, direct)
		return direct && !fresh, nil
	}
	if !proof && !fresh {
		return direct, nil
	}
	e := journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{lifeRow(kindTwice, of, key, l), lifeRow(kindSeenLife, of, key, old, past...)}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindAlarm, now, [32]byte{}, append(old.Encode(), l.Encode()...))},
	}
	if err := f.cfg.Journal.Write(ctx, e); err != nil {
		return false, fmt.Errorf("keep that a peer runs twice: %w", err)
	}
	f.mu.Lock()
	p.twice = l
	f.mu.Unlock()
	f.cfg.Log.Error("a peer runs twice, or was restored from an older copy", "peer", f.cfg.Name(of), "one", old, "other", l)
	f.help(ctx, now, p, of, l, direct)
	return direct, nil
}

// help sends a peer that was restored what it may have forgotten, once for each of its processes: before its operator confirms, so that
// all that this node holds against that copy is answered for by one word.
func (f *Fence) help(ctx context.Context, now time.Time, p *peer, of engine.PartyID, l *Life, direct bool) {
	f.mu.Lock()
	since := now.Sub(p.helpedAt)
	due := direct && p.helped != l.Instance && (p.helpedAt.IsZero() || since < 0 || since >= tellEvery)
	if due {
		p.helped, p.helpedAt = l.Instance, now
	}
	f.mu.Unlock()
	if due {
		f.cfg.Help(ctx, now, of)
	}
}

// rescue sends a peer whose operator confirmed a restore what it may have forgotten, now or at a later tick: a peer that says so again and again
// is not sent all of it each time.
func (f *Fence) rescue(ctx context.Context, now time.Time, of engine.PartyID) {
	f.mu.Lock()
	p := f.peer(of)
	since := now.Sub(p.rescuedAt)
	due := p.owed && (p.rescuedAt.IsZero() || since < 0 || since >= rescueEvery)
	if due {
		p.owed, p.rescuedAt = false, now
	}
	f.mu.Unlock()
	if due {
		f.cfg.Help(ctx, now, of)
	}
}

// rescueEvery is how often a peer is sent at most what it may have forgotten.
const rescueEvery = time.Minute

// accept makes a life the highest of its node, durably, and passes it on: nodes that see
// different copies of a peer learn of one another's.
func (f *Fence) accept(ctx context.Context, now time.Time, p *peer, of engine.PartyID, key ed25519.PublicKey, l *Life, cleared, direct bool) error {
	var past []*Life
	f.mu.Lock()
	renewed := p.seen != nil && !l.sameProcess(p.seen)
	restored := p.seen != nil && l.Confirmed > p.seen.Confirmed
	if p.seen != nil && p.seen.Counter > l.Confirmed {
		past = append([]*Life{p.seen}, p.past...)
		past = past[:min(len(past), maxPast)]
	}
	f.mu.Unlock()
	e := journal.Entry{Batch: store.Batch{Put: []store.Entry{lifeRow(kindSeenLife, of, key, l, past...)}}}
	if cleared {
		e.Delete = append(e.Delete, store.Key(kindTwice, store.ID(of[:])))
	}
	if err := f.cfg.Journal.Write(ctx, e); err != nil {
		return fmt.Errorf("keep a peer's life: %w", err)
	}
	f.mu.Lock()
	p.key, p.seen, p.past, p.dirty = key, l, past, false
	if cleared {
		p.twice = nil
	}
	f.mu.Unlock()
	if renewed {
		f.cfg.Renewed(ctx, now, of)
	}
	if !direct {
		return nil
	}
	if restored {
		f.mu.Lock()
		p.owed = true
		f.mu.Unlock()
		f.rescue(ctx, now, of)
	}
	for _, id := range f.cfg.Peers() {
		if id != of {
			f.cfg.Pass(id, key, l.Encode())
		}
	}
	return nil
}

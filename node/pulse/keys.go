package pulse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// loadKeys reads which keys sign whose log: ours, and then the others' as they were announced here. Of those that have a key in common the
// first counts: a list with a doubled key would be refused whole (tlog.OpenCheckpoint).
func (p *Pulse) loadKeys(ctx context.Context) error {
	type one struct {
		a     Announced
		taken time.Time
	}
	var others []one
	own := store.Prefix(kindKeys, store.Name(p.cfg.Operator))
	err := p.each(ctx, kindKeys, func(row string, value []byte) error {
		taken, s, sig, err := decodeRow(value)
		var k tlog.Keys
		if err == nil {
			k, err = tlog.KeysOf(s)
		}
		switch {
		case err != nil && strings.HasPrefix(row, own):
			return err // announced anew it would name other keys, or the same at another time
		case err != nil:
			p.passOver(row, err)
		case k.Operator == p.cfg.Operator:
			p.keepKeys(Announced{k, s, sig})
		default:
			others = append(others, one{Announced{k, s, sig}, taken})
		}
		return nil
	})
	slices.SortStableFunc(others, func(a, b one) int { return a.taken.Compare(b.taken) })
	for _, x := range others {
		if whose := p.doubled(x.a.Keys); whose != "" {
			p.passOver(x.a.Origin, errDoubled(x.a.Keys, whose))
			continue
		}
		p.keepKeys(x.a)
	}
	return err
}

func (p *Pulse) keepKeys(a Announced) {
	if p.keys[a.Operator] == nil {
		p.keys[a.Operator] = map[uint64]Announced{}
	}
	n, _ := a.Generation()
	p.keys[a.Operator][n] = a
}

// doubled says whose keys, that are known here, have one in common with these: empty if nobody's.
func (p *Pulse) doubled(k tlog.Keys) string {
	if p.cfg.Roster != nil {
		r, _ := p.cfg.Roster()
		i := slices.IndexFunc(r.Operators, func(o charter.Operator) bool { return o.Identity.Equal(k.Log) || o.Identity.Equal(k.Witness) })
		if i >= 0 {
			return r.Operators[i].Name
		}
	}
	for _, of := range p.keys {
		for _, o := range of {
			if o.Origin != k.Origin && o.Shares(k) {
				return cmp.Or(o.Operator, o.Origin)
			}
		}
	}
	return ""
}

func errDoubled(k tlog.Keys, whose string) error {
	return fmt.Errorf("the keys of log %s have one in common with those of %s", k.Origin, whose)
}

// Keys are those of an operator's present log.
func (p *Pulse) Keys(operator string) (a Announced, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.present(operator)
}

func (p *Pulse) present(operator string) (a Announced, ok bool) {
	for n, x := range p.keys[operator] {
		if m, _ := a.Generation(); !ok || n > m {
			a, ok = x, true
		}
	}
	return a, ok
}

// AllKeys are those of all logs that are known, the latest of an operator first.
func (p *Pulse) AllKeys() (out []tlog.Keys) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, operator := range slices.Sorted(maps.Keys(p.keys)) {
		for _, n := range slices.Backward(slices.Sorted(maps.Keys(p.keys[operator]))) {
			out = append(out, p.keys[operator][n].Keys)
		}
	}
	return out
}

// Notes are the keys of all logs that are known, and the last heartbeats, for who came later.
func (p *Pulse) Notes() (out []outbox.Note) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, of := range p.keys {
		for _, a := range of {
			out = append(out, a.note())
		}
	}
	for _, b := range p.beats {
		out = append(out, b.note())
	}
	return out
}

// Untold are those of these peers that were not told the keys of all logs since this process began.
func (p *Pulse) Untold(peers []engine.PartyID) []engine.PartyID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(peers), func(id engine.PartyID) bool { return p.told[id] })
}

// Untell forgets that a peer was: its node does not know such notes.
func (p *Pulse) Untell(peer engine.PartyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.told, peer)
}

// Told notes that they were.
func (p *Pulse) Told(peers []engine.PartyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range peers {
		p.told[id] = true
	}
}

// announce signs the keys of our log, once for each that we keep. A node that may have forgotten that it did waits: others show it then.
func (p *Pulse) announce(ctx context.Context, now time.Time) error {
	generation := p.cfg.Generation()
	if _, done := p.keys[p.cfg.Operator][generation]; done || !p.cfg.Sure(now) {
		return nil
	}
	k := tlog.KeysFor(p.cfg.Operator, p.cfg.Identity, generation, now)
	salt, err := p.salt()
	if err != nil {
		return err
	}
	s, err := k.Statement(salt)
	if err != nil {
		return err
	}
	sig, err := signet.SignNode(p.cfg.Identity, s)
	if err != nil {
		return err
	}
	k.ID = s.ID()
	a := Announced{k, s, sig}
	if err := p.cfg.Post(ctx, now, keysEntry(now, a, generation), a.note()); err != nil {
		return err
	}
	p.keepKeys(a)
	return nil
}

func keysEntry(now time.Time, a Announced, generation uint64) journal.Entry {
	key := store.Key(kindKeys, store.Name(a.Operator), store.Number(generation))
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: key, Value: encodeRow(now, a.Statement, a.Signature)}}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, [32]byte{}, a.Statement.Bytes(), a.Signature)},
	}
}

func (p *Pulse) takeKeys(now time.Time, s statement.Statement, sig []byte, write func(journal.Entry) error) error {
	k, err := tlog.KeysOf(s)
	if err != nil {
		return err
	}
	o, err := p.signer(k.Operator, s, sig)
	if err != nil {
		return err
	}
	generation, err := k.Generation()
	if err != nil || !o.Identity.Equal(k.Identity) {
		return errors.Join(err, fmt.Errorf("the keys of operator %s's log name another identity than the roster", k.Operator))
	}
	if old, known := p.keys[k.Operator][generation]; known {
		if old.ID != k.ID {
			p.cfg.Log.Error("an operator names two sets of keys for one log", "operator", k.Operator, "origin", k.Origin)
			return fmt.Errorf("operator %s named other keys of log %s before", k.Operator, k.Origin)
		}
		return outbox.ErrOld
	}
	// by two that conspire, or by one that has a key in two roles: every list with both would be refused
	if whose := p.doubled(k); whose != "" {
		return errDoubled(k, whose)
	}
	if len(p.keys[k.Operator]) >= maxGenerations && k.Operator != p.cfg.Operator {
		return fmt.Errorf("operator %s has named the keys of %d logs: more are not kept", k.Operator, maxGenerations)
	}
	a := Announced{k, s, sig}
	if err := write(keysEntry(now, a, generation)); err != nil {
		return err
	}
	p.keepKeys(a)
	return nil
}

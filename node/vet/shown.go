package vet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/mpc/engine"
)

// A Status is what people see of one operator's hardware, as this node knows it.
type Status struct {
	Operator string
	Own      bool // this node itself
	Demanded bool // the charter demands evidence of it
	Record   *vetted.Record
	Until    time.Time // until when that counts
	Err      error     // why no session is held with it; nil: none is refused for that
	Refuses  string    // why it holds no session with this node, in its own words; empty: it does, or nothing is demanded of this one
}

// Shown is what people see of every operator, by name; nothing where the charter demands nothing.
func (v *Vet) Shown(now time.Time) (out []Status) {
	v.Refresh()
	if !v.Demands() {
		return nil
	}
	own := Status{Operator: v.cfg.Operator, Own: true}
	if _, own.Demanded = v.Demand(own.Operator); own.Demanded {
		own.Err = v.lacks()
	}
	out = append(out, own)
	for _, id := range v.cfg.Peers() {
		o, ok := v.cfg.Peer(id)
		if !ok {
			continue
		}
		s := Status{Operator: o.Name}
		var x charter.Demand
		if x, s.Demanded = v.Demand(o.Name); s.Demanded {
			s.Err = v.Fit(id)
			s.Record, s.Until = v.record(id, x, now)
		}
		if own.Demanded && v.cfg.Linked(id) {
			if err := v.Welcome(id); err != nil {
				s.Refuses = err.Error()
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Operator, b.Operator) })
	return out
}

// record is what counts of a peer, and until when.
func (v *Vet) record(id engine.PartyID, x charter.Demand, now time.Time) (*vetted.Record, time.Time) {
	at := v.at(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	r, err := v.counts(v.peer(id), x, at, now)
	if err != nil {
		return nil, time.Time{}
	}
	return r, r.At.Add(x.Fresh)
}

// lacks says why this node shows nothing.
func (v *Vet) lacks() error {
	if v.cfg.Maker == nil {
		return errors.New("its settings name no hardware that could show it")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed != "" {
		return errors.New(v.failed)
	}
	return nil
}

// Self is what this machine shows, as this node reads it: what a charter would list of it. It is known once evidence was made, for nobody.
func (v *Vet) Self() (found judge.Own, err error) {
	if v.cfg.Maker == nil {
		return found, errors.New("the settings name no hardware (attest)")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.self == nil {
		return found, errors.New("it was not asked yet")
	}
	return v.self.found, v.self.err
}

// self is what was found of the own machine.
type self struct {
	found judge.Own
	err   error
}

// look makes evidence for nobody, once in a process: the operator learns what the machine shows before a charter demands it.
func (v *Vet) look(ctx context.Context, now time.Time) {
	s := &self{}
	evidence, err := v.cfg.Maker.Evidence(ctx, judge.Binding(vetted.Subject{Identity: v.cfg.Identity}))
	if err == nil {
		s.found, err = judge.OwnEvidence(evidence, v.cfg.Identity, now, v.cfg.Pinned, v.cfg.Given.Certificates)
	}
	if s.err = err; err != nil {
		v.cfg.Log.Warn("what this machine shows of itself cannot be judged here", "error", err)
	}
	v.mu.Lock()
	v.self = s
	v.mu.Unlock()
}

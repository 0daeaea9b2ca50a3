package ceremony

import (
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

// states are what we share with each other member.
type states = map[engine.PartyID]*pair.State

func wipeStates(pairs states) {
	for _, p := range pairs {
		p.Wipe()
	}
}

// made is what came of the protocols that ran beside the one that makes shares.
type made struct {
	pairs states        // where the suite has pairs and we are a member
	guard *guard.Opened // where the vault has guardians
}

func (m *made) wipe() {
	wipeStates(m.pairs)
	if m.guard != nil {
		m.guard.Wipe()
	}
}

// alongside runs a protocol that makes shares, beside it the set-up of the members' pairs where the suite has them and we are a member, and
// the first part of the second sharing where there are guardians; and then end. Whatever fails, what was made is wiped, and the coins with it.
func alongside[R any](s Seat, members []session.Party, guards *Guards, shares engine.Stage[R], forget func(*R), end func(*R, made) (engine.Outcome[Prepared], error)) engine.Stage[Prepared] {
	extra := extras(s, members, guards)
	if extra == nil {
		return &then[R, Prepared]{shares, func(r *R) (engine.Outcome[Prepared], error) { return end(r, made{}) }, func() { session.WipeCoins(s.Rand) }}
	}
	both := &beside[R, made]{a: shares, b: extra, forget: func(r two[R, made]) {
		session.WipeCoins(s.Rand)
		if r.a != nil {
			forget(r.a)
		}
		if r.b != nil {
			r.b.wipe()
		}
	}}
	return &then[two[R, made], Prepared]{s: both, with: func(r *two[R, made]) (engine.Outcome[Prepared], error) { return end(r.a, *r.b) }}
}

// extras are the protocols beside the one that makes shares; nil if there is none.
func extras(s Seat, members []session.Party, guards *Guards) engine.Stage[made] {
	var pairs engine.Stage[states]
	if i := slices.IndexFunc(members, func(p session.Party) bool { return p.ID == s.Self }); paired(s.Setup.Suite) && i >= 0 {
		pairs = pair.Setup(pair.Params{Session: s.Session, Self: members[i], Parties: members, Rand: s.Rand})
	}
	var opened engine.Stage[guard.Opened]
	if guards != nil {
		self, _ := s.Setup.Party(s.Self)
		g, _ := epoch.GroupOf(s.Setup.Suite) // checked by who calls
		opened = guard.Start(guard.Params{
			Session: s.Session, Group: g, Parties: s.Setup.Parties, Members: members, Threshold: s.Setup.Threshold,
			Dealers: guards.Dealers, Plan: guards.Plan, Self: self, Rand: s.Rand,
		})
	}
	result := func(m made) (engine.Outcome[made], error) { return engine.Outcome[made]{Result: &m}, nil }
	switch {
	case pairs == nil && opened == nil:
		return nil
	case opened == nil:
		return &then[states, made]{s: pairs, with: func(p *states) (engine.Outcome[made], error) { return result(made{pairs: *p}) }}
	case pairs == nil:
		return &then[guard.Opened, made]{s: opened, with: func(o *guard.Opened) (engine.Outcome[made], error) { return result(made{guard: o}) }}
	}
	both := &beside[states, guard.Opened]{a: pairs, b: opened, forget: func(r two[states, guard.Opened]) {
		if r.a != nil {
			wipeStates(*r.a)
		}
		if r.b != nil {
			r.b.Wipe()
		}
	}}
	return &then[two[states, guard.Opened], made]{s: both, with: func(r *two[states, guard.Opened]) (engine.Outcome[made], error) {
		return result(made{*r.a, r.b})
	}}
}

// keep ends a ceremony: the second sharing where there are guardians, the rows, and what certify sends. r lacks its T_final, which is echo
// unless rounds follow, and its backup set. own is our new share, nil for a dealer who leaves; it is wiped.
func (m made) keep(s Seat, r *epoch.Record, echo engine.Transcript, own group.Scalar, certify func(*epoch.Record, []engine.Record) (engine.Outcome[epoch.Cert], error)) (engine.Outcome[Prepared], error) {
	end := func(g *guard.Output) (engine.Outcome[Prepared], error) {
		kept := m.rows(s, r, own, g)
		cert, err := certify(r, kept)
		if err != nil {
			for _, row := range kept {
				clear(row.Value)
			}
			return engine.Outcome[Prepared]{}, err
		}
		return prepared(r, cert), nil
	}
	if m.guard == nil {
		r.Echo = echo
		return end(nil)
	}
	plan := m.guard.Plan
	r.Guardians = plan.Hash()
	forget := func() {
		session.WipeCoins(s.Rand)
		if own != nil {
			own.Wipe()
		}
		m.wipe()
	}
	deal, err := m.guard.Deal(guard.Epoch{KeyID: r.KeyID, Partial: r.PartialHash(), Publics: r.Publics(), Share: own})
	if err != nil {
		forget()
		return engine.Outcome[Prepared]{}, err
	}
	return engine.Outcome[Prepared]{Send: deal.Send, Next: &then[guard.Output, Prepared]{
		s: deal.Next, forget: forget,
		with: func(g *guard.Output) (engine.Outcome[Prepared], error) {
			r.Echo, r.Backups = g.Echo, guard.HashSet(g.Set.Encode(plan))
			return end(g)
		},
	}}, nil
}

// rows are what a member keeps of a record: the record, and, unless it leaves, its share, its mask with the backup set, and what it shares
// with the others. The secrets and the coins are wiped here: the rows carry them to the host.
func (m made) rows(s Seat, r *epoch.Record, own group.Scalar, g *guard.Output) []engine.Record {
	defer session.WipeCoins(s.Rand)
	save := []engine.Record{{Name: RowRecord, Value: r.Encode()}}
	if own == nil {
		return save
	}
	save = append(save, engine.Record{Name: RowShare, Value: own.Bytes()})
	own.Wipe()
	if g != nil {
		save = append(save, engine.Record{Name: RowMask, Value: g.Mask.Bytes()}, engine.Record{Name: RowBackups, Value: g.Set.Encode(m.guard.Plan)},
			engine.Record{Name: RowGuards, Value: m.guard.Plan.Encode()})
		g.Wipe()
	}
	for _, peer := range r.Members {
		if p := m.pairs[peer.ID]; p != nil {
			save = append(save, engine.Record{Name: RowPair(peer.ID), Value: p.Encode().Expose()})
			p.Wipe()
		}
	}
	return save
}

// prepared waits for the certificate of a record that epoch prepares.
func prepared(r *epoch.Record, certify engine.Outcome[epoch.Cert]) engine.Outcome[Prepared] {
	return engine.Outcome[Prepared]{
		Save: certify.Save, Send: certify.Send,
		Next: &then[epoch.Cert, Prepared]{s: certify.Next, with: func(c *epoch.Cert) (engine.Outcome[Prepared], error) {
			return engine.Outcome[Prepared]{Result: &Prepared{Record: r, Cert: c}}, nil
		}},
	}
}

package verify

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// checkCircle follows the roster and the charter from their first versions on.
func (v *verifier) checkCircle() {
	r := v.report
	v.followRosters()
	if len(v.rosters) == 0 {
		if v.Circle.IsZero() {
			r.fail("circle", "its operators signed who belongs to it", "no log shows a complete first roster")
		} else {
			r.fail("circle", "it is the one that was asked for", fmt.Sprintf("asked for is %s, and no log shows its first roster, complete", v.Circle))
		}
		return
	}
	first, newest := v.rosters[0], v.rosters.Newest()
	r.Circle, r.CircleID, r.Roster = newest.Circle, first.ID, newest.Version
	basis := "every operator's officer signed the first roster, and those concerned each later one"
	if v.Circle.IsZero() {
		basis += "; compare the circle's id with what its operators publish elsewhere"
	}
	r.claim(Proved, "circle", fmt.Sprintf("%s has %d operators, in version %d of its roster", newest.Circle, len(newest.Operators), newest.Version), basis)
	v.followCharters()
	v.followRevocations()
	c, ok := v.history.Newest()
	if !ok {
		r.attend("no charter is in force yet")
		return
	}
	r.Drill, r.Assets = c.Drill, assets(c.Document)
	r.claim(Proved, "circle", fmt.Sprintf("version %d of its charter is in force", c.Version), "an officer and the node of every operator signed each version, and each names the one before")
	r.Charter = Charter{Version: c.Version, ID: c.ID, Created: c.Created, Policy: c.Policy}
	for _, x := range v.history {
		at, _ := v.told(x.ID, tlog.KindInForce)
		r.Charter.Versions = append(r.Charter.Versions, Version{x.Version, x.ID, x.Created, at})
	}
	for _, o := range newest.Operators {
		v.describe(o, c)
	}
}

// describe puts an operator into the report.
func (v *verifier) describe(o charter.Operator, c charter.Charter) {
	out := Operator{Name: o.Name, Entity: o.Entity, Identity: fmt.Sprintf("%x", []byte(o.Identity))}
	if s, ok := c.Station(o.Name); ok {
		out.Independent = s.Independent
		for _, p := range s.Places {
			out.Places = append(out.Places, Place{p.Name, string(p.Level), p.Provider, p.Account, p.Region, p.Jurisdiction, p.Hardware, p.Access, Declared})
		}
	}
	v.report.Operators = append(v.report.Operators, out)
}

// followRosters extends the chain for as long as some version follows. Two that both could are a fork of the circle.
func (v *verifier) followRosters() {
	all := v.statements(statement.Roster)
	for {
		var next []charter.Chain
		for _, d := range all {
			r, err := charter.RosterOf(d.statement)
			if err != nil || r.Version != uint64(len(v.rosters)) || r.Version == 0 && !v.Circle.IsZero() && r.ID != v.Circle {
				continue
			}
			need, err := v.rosters.Acceptance(r)
			if err != nil {
				continue
			}
			if c, err := v.rosters.Next(v.accepted(d, need.All())); err == nil {
				next = append(next, c)
			}
		}
		switch len(next) {
		case 0:
			return
		case 1:
		default:
			// The one that more logs have in force goes on; that there are two is said.
			slices.SortStableFunc(next, func(a, b charter.Chain) int {
				_, n := v.told(a.Newest().ID, tlog.KindInForce)
				_, m := v.told(b.Newest().ID, tlog.KindInForce)
				return len(m) - len(n)
			})
			v.report.fail("circle", "each version of its roster is one", fmt.Sprintf("two complete rosters of version %d: %s and %s", len(v.rosters), next[0].Newest().ID, next[1].Newest().ID))
		}
		v.rosters = next[0]
	}
}

// followRevocations finds the keys that ended: somebody who may signed each. It counts from when logs came to tell of it, never from before it was made.
func (v *verifier) followRevocations() {
	for _, d := range v.statements(statement.Revoke) {
		r, ok := v.revocation(d)
		if !ok {
			continue // that what is shown of it bears no signature that holds is said where signatures are judged
		}
		at, _ := v.told(d.id, tellsOf...)
		if at.Before(r.Created) {
			at = r.Created
		}
		if old, known := v.revoked[r.Key.String()]; !known || at.Before(old) {
			v.revoked[r.Key.String()] = at
		}
	}
}

func (v *verifier) revocation(d *doc) (charter.Revocation, bool) {
	said, err := charter.RevocationOf(d.statement)
	c, known := v.history.Version(said.Charter)
	if err != nil || !known {
		return said, false
	}
	for _, sig := range d.signatures {
		for _, r := range v.rosters {
			v.signatures++
			if said, err := charter.VerifyRevocation(d.statement, sig.bytes, c, r); err == nil {
				sig.holds = true
				return said, true
			}
		}
	}
	return said, false
}

func (v *verifier) followCharters() {
	all := v.statements(statement.Charter)
	for {
		var next []charter.History
		for _, d := range all {
			c, err := charter.Of(d.statement)
			if err != nil || c.Version != uint64(len(v.history)) || v.history.CheckNext(c, v.rosters) != nil {
				continue
			}
			r, _ := v.rosters.Version(c.Roster)
			by, err := c.Acceptors(r)
			if err != nil {
				continue
			}
			e := charter.Enacted{Accepted: v.accepted(d, by)}
			for _, sig := range v.signaturesOf(d, tlog.KindWord) {
				if len(sig.bytes) == nodeSignature {
					e = v.enact(e, r, sig)
				}
			}
			if h, err := v.history.Next(e, v.rosters); err == nil {
				next = append(next, h)
			}
		}
		if len(next) == 0 {
			return
		}
		if len(next) > 1 {
			a, _ := next[0].Newest()
			b, _ := next[1].Newest()
			v.report.fail("circle", "each version of its charter is one", fmt.Sprintf("two enacted charters of version %d: %s and %s", a.Version, a.ID, b.ID))
		}
		v.history = next[0]
	}
}

// enact finds whose node a signature is.
func (v *verifier) enact(e charter.Enacted, r charter.Roster, sig *signature) charter.Enacted {
	for _, o := range r.Operators {
		if e.Nodes[o.Name] != nil {
			continue
		}
		v.signatures++
		if next, err := e.Enact(o, sig.bytes); err == nil {
			sig.holds = true
			return next
		}
	}
	return e
}

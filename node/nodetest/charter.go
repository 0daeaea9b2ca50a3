package nodetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Policy is what a World's charter says unless a test says otherwise: what moves value or nothing is permitted.
const Policy = `@id("all")
permit (principal, action in [Action::"transfer", Action::"token", Action::"fee", Action::"proof"], resource);
`

// Document is the charter of a World: it lists all operators that may ever come, each by itself in every domain, and the vaults that tests
// made so far. It is a drill: nothing waits.
func (w *World) Document() charter.Document {
	d := charter.Document{
		Circle: "test circle", Drill: true, Providers: 1, Heartbeat: time.Hour, Policy: Policy,
		Groups: []charter.Group{{Name: "approvers", People: Approvers}, {Name: "proposers", People: []string{Initiator}}},
		Assets: []charter.Asset{{Name: "eth", Chain: "eip155:1", Decimals: 18, Unit: 15}},
		Vaults: slices.Clone(w.Vaults),
	}
	for _, name := range append(slices.Clone(Approvers), Initiator) {
		d.People = append(d.People, charter.Human{Name: name, Organisation: "customer", Keys: []signet.Key{NewPerson(w.T, name).Key}})
	}
	for i := range statement.MaxOperators {
		o := own(w.T, i)
		admin := fmt.Sprintf("admin-%d", i)
		d.People = append(d.People, charter.Human{Name: admin, Organisation: o.Name, Keys: []signet.Key{NewPerson(w.T, admin).Key}})
		d.Operators = append(d.Operators, charter.Station{
			Name: o.Name, Entity: o.Entity, Identity: o.Identity, Independent: true,
			Places: []charter.Place{{
				Name: "main", Level: charter.Replica, Provider: fmt.Sprintf("cloud-%d", i), Account: fmt.Sprintf("account-%d", i), Region: fmt.Sprintf("region-%d", i),
				Jurisdiction: fmt.Sprintf("a%c", 'a'+i), Hardware: "amd", Access: []string{admin},
			}},
		})
	}
	slices.SortFunc(d.Operators, func(a, b charter.Station) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(d.People, func(a, b charter.Human) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(d.Vaults, func(a, b charter.Blueprint) int { return strings.Compare(a.Name, b.Name) })
	if w.Change != nil {
		w.Change(&d)
	}
	return d
}

// List amends the charter so that it has vaults as they are given, by all operators of the newest roster.
func (w *World) List(vaults ...charter.Blueprint) {
	w.T.Helper()
	for _, v := range vaults {
		w.Vaults = slices.DeleteFunc(w.Vaults, func(o charter.Blueprint) bool { return o.Name == v.Name })
		w.Vaults = append(w.Vaults, v)
	}
	w.Enact()
}

// Enact has all officers sign the World's document, and waits until it is in force.
func (w *World) Enact() {
	w.T.Helper()
	d := w.Document()
	var in []*Host
	w.Run("somebody knows the roster", func() bool { in = w.members(); return len(in) > 0 })
	inForce := func(h *Host) (ok bool) {
		w.Act(h, func() {
			x, known := h.Charters.Charter()
			ok = known && charter.SameDocument(x.Document, d)
		})
		return ok
	}
	all := func() bool { return !slices.ContainsFunc(in, func(h *Host) bool { return !inForce(h) }) }
	for i, h := range in {
		w.Run("charter signed by "+h.Own.Name, func() (signed bool) {
			if all() {
				return true
			}
			w.Act(h, func() { signed = inForce(h) || w.SignCharter(h, d, i == 0) == nil })
			return signed
		})
	}
	w.Run("charter in force", all)
}

// members are the hosts, up or not, of the operators of the newest roster that any host knows.
func (w *World) members() (out []*Host) {
	var newest charter.Roster
	for _, h := range w.Hosts {
		w.Act(h, func() {
			if _, r, ok := h.Circle.Roster(); ok && (newest.ID.IsZero() || r.Version > newest.Version) {
				newest = r
			}
		})
	}
	for _, h := range w.Hosts {
		if _, in := newest.Operator(h.Own.Name); in && !slices.ContainsFunc(out, func(o *Host) bool { return o.Own.Name == h.Own.Name }) {
			out = append(out, h)
		}
	}
	return out
}

// SignCharter has a host's officer sign a document. The first makes the statement; the others wait for it.
func (w *World) SignCharter(h *Host, d charter.Document, first bool) error {
	a, fresh, err := h.Charters.Prepare(w.Clock(h), d)
	if err != nil {
		return err
	}
	if fresh && !first {
		return errNobody // the first officer's statement is still on its way
	}
	_, err = h.Charters.Accept(context.Background(), w.Clock(h), a.Statement, h.Officer.Makes(w.T, a.Statement))
	return err
}

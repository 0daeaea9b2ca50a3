package plan

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/charter"
)

// Of is the SOS plan of a vault, as a charter has it. v names the committee and the threshold in force; r, the roster in force, says whose
// officers and nodes sign. What the plan lacks is said by Validate.
func Of(c charter.Charter, r charter.Roster, v charter.Vault) (Plan, error) {
	b, ok := c.Vault(v.Name)
	if !ok || b.Rescue == nil || !b.Rescue.Planned() {
		return Plan{}, fmt.Errorf("vault %s: charter %s has no SOS plan for it: \"ostraka charter amend\" adds one", v.Name, c.ID.Short())
	}
	s := *b.Rescue
	p := Plan{
		Charter: c.ID, Vault: v.ID, Name: v.Name, Drill: c.Drill, Threshold: v.Threshold, Live: s.Operators, Quorum: s.Guardians,
		Starters: s.Starters, Organisations: s.Organisations, Heartbeat: c.Heartbeat, Window: s.Window, LockUp: s.LockUp, DrillEvery: s.DrillEvery,
		Least: s.Least, Chain: s.Chain, Blocks: uint64(s.Blocks),
	}
	for _, o := range c.Operators {
		who, ok := r.Operator(o.Name)
		if !ok && !slices.Contains(v.Committee, o.Name) {
			continue // it has not joined yet, or has left: no node of it says or does anything
		}
		if !ok {
			return Plan{}, fmt.Errorf("vault %s: operator %s of charter %s is not in the roster", v.Name, o.Name, c.ID.Short())
		}
		x := Operator{Name: o.Name, Identity: slices.Clone(who.Identity), Officers: slices.Clone(who.Officers), Reach: reachOf(c.Document, o)}
		if slices.Contains(s.Successors, o.Name) {
			p.Successors = append(p.Successors, o.Name)
		}
		if slices.Contains(v.Committee, o.Name) {
			p.Operators = append(p.Operators, x)
		} else {
			p.Others = append(p.Others, x)
		}
	}
	p.Witnesses = min(b.Witnesses, len(p.Others))
	for _, g := range c.Guardians {
		x := Guardian{Name: g.Name, Person: g.Person, Organisation: g.Organisation, Reach: reachOfGuardian(c.Document, g)}
		if !g.Card.IsZero() {
			var err error
			if x.Key, err = g.Card.Key(); err != nil {
				return Plan{}, fmt.Errorf("guardian %s: %w", g.Name, err)
			}
		}
		p.Guardians = append(p.Guardians, x)
	}
	p.lists(s)
	return p, nil
}

func (p *Plan) lists(s charter.Rescue) {
	for _, t := range s.Triggers {
		p.Triggers = append(p.Triggers, Trigger(t))
	}
	for _, d := range s.Destinations {
		p.Destinations = append(p.Destinations, Destination(d))
	}
	for _, c := range s.Caps {
		p.Caps = append(p.Caps, Cap(c))
	}
	for _, c := range s.Calls {
		p.Calls = append(p.Calls, Call{c.Name, c.Chain, c.To, slices.Clone(c.Data), c.Times})
	}
	for _, t := range s.Tranches {
		p.Tranches = append(p.Tranches, Tranche(t))
	}
}

// reachOf is all that reaches any copy of an operator's share: who has access to where one lies, who works for it, whose places these are,
// who employs those people, and the accounts. A copy on paper is reached too.
func reachOf(d charter.Document, o charter.Station) Reach {
	r := Reach{Organisations: []string{o.Name}}
	for _, h := range d.People {
		if h.Organisation == o.Name {
			r.People = append(r.People, h.Name)
		}
	}
	for _, p := range o.Places {
		r.People = append(r.People, p.Access...)
		r.Organisations = append(r.Organisations, p.Organisation)
		if p.Account != "" {
			r.Accounts = append(r.Accounts, p.Provider+"/"+p.Account)
		}
	}
	for _, name := range r.People {
		if h, ok := d.Human(name); ok {
			r.Organisations = append(r.Organisations, h.Organisation)
		}
	}
	return r.sorted()
}

// reachOfGuardian is the person, whom they work for, and the accounts that they reach as somebody with access to a place.
func reachOfGuardian(d charter.Document, g charter.Guard) Reach {
	r := Reach{People: []string{g.Person}, Organisations: []string{g.Organisation}}
	if h, ok := d.Human(g.Person); ok {
		r.Organisations = append(r.Organisations, h.Organisation)
	}
	for _, o := range d.Operators {
		for _, p := range o.Places {
			if p.Account != "" && slices.Contains(p.Access, g.Person) {
				r.Accounts = append(r.Accounts, p.Provider+"/"+p.Account)
			}
		}
	}
	return r.sorted()
}

// sorted has each name once, and no empty one: two that are not said are not the same.
func (r Reach) sorted() Reach {
	for _, list := range []*[]string{&r.People, &r.Organisations, &r.Accounts} {
		slices.Sort(*list)
		*list = slices.DeleteFunc(slices.Compact(*list), func(s string) bool { return s == "" })
	}
	return r
}

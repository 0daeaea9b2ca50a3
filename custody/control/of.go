package control

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/charter"
)

var levels = map[charter.Level]Level{charter.Replica: Replica, charter.Export: Export, charter.Paper: Paper}

// Of is everything that reaches a vault of a charter.
func Of(d charter.Document, v charter.Blueprint) (Structure, error) {
	s := Structure{Vault: v.Name, Threshold: v.Threshold}
	if v.Rescue != nil {
		s.SOS = &SOS{Live: v.Rescue.Operators, Quorum: v.Rescue.Guardians}
	}
	for _, name := range v.Committee {
		o, ok := d.Station(name)
		if !ok {
			return s, fmt.Errorf("control: vault %s: %s is no operator of the circle", v.Name, name)
		}
		s.Shares = append(s.Shares, share(d, o))
	}
	for _, g := range d.Guardians {
		s.Guardians = append(s.Guardians, Guardian{Name: g.Name, Reach: [Kinds]string{Organisation: g.Organisation, Person: g.Person, Jurisdiction: g.Jurisdiction}})
	}
	s.Spending = Spending{Initiators: spenders(d.Members(v.Initiators)), Approvers: spenders(d.Members(v.Approvers)), Quorum: v.Quorum, InitiatorApproves: v.InitiatorApproves}
	return s, s.Validate()
}

func share(d charter.Document, o charter.Station) Share {
	out := Share{Operator: o.Name, Independent: o.Independent}
	for _, p := range o.Places {
		c := Copy{Name: o.Name + "/" + p.Name, Level: levels[p.Level]}
		c.Reach[Organisation], c.Reach[Person], c.Staff = []string{o.Name}, p.Access, employers(d, p)
		if p.Organisation != "" && p.Organisation != o.Name {
			c.Reach[Organisation] = append(c.Reach[Organisation], p.Organisation)
		}
		for kind, value := range map[Kind]string{
			Provider: p.Provider, Account: within(p.Provider, p.Account), Region: within(p.Provider, p.Region), Jurisdiction: p.Jurisdiction, Hardware: p.Hardware,
		} {
			if value != "" {
				c.Reach[kind] = []string{value}
			}
		}
		out.Copies = append(out.Copies, c)
	}
	return out
}

// employers are the organisations of those with access to a place: a company reaches what its people reach.
func employers(d charter.Document, p charter.Place) (out []string) {
	for _, name := range p.Access {
		if h, ok := d.Human(name); ok && h.Organisation != "" {
			out = append(out, h.Organisation)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// within makes a provider's own names unique.
func within(provider, name string) string {
	if name == "" {
		return ""
	}
	return provider + "/" + name
}

func spenders(people []charter.Human) (out []Spender) {
	for _, h := range people {
		out = append(out, Spender{Person: h.Name, Organisation: h.Organisation})
	}
	return out
}

// RulesOf are those that a vault of a charter must keep: the defaults for its threshold, and what the charter asks beyond them.
func RulesOf(d charter.Document, v charter.Blueprint) (Rules, error) {
	r := Defaults(v.Threshold)
	r.Independent = max(r.Independent, d.Providers)
	for _, own := range d.Control {
		kind, known := KindOf(own.Kind)
		number := Measured(own.Number)
		if !known || !slices.Contains([]Measured{Steal, Halt, Lose, Spends}, number) || number == Spends && kind != Person && kind != Organisation {
			return r, fmt.Errorf("control: rule on the %s number of kind %s: there is no such number", own.Number, own.Kind)
		}
		i := slices.IndexFunc(r.Least, func(x Rule) bool { return x.Number == number && x.Kind == kind })
		if i < 0 {
			r.Least = append(r.Least, Rule{number, kind, own.Least})
			continue
		}
		r.Least[i].Least = max(r.Least[i].Least, own.Least) // a charter only tightens
	}
	return r, nil
}

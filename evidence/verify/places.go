package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/places"
)

// judgePlaces has the evidence judged against the charter in force. What fails is a claim that does not hold; what is too old, and what nothing here
// could judge, raises nothing and is said.
func (v *verifier) judgePlaces(d charter.Document) {
	if v.Evidence == nil {
		return
	}
	v.found = v.Evidence(d)
	for _, x := range v.found {
		name := fmt.Sprintf("evidence %s of %s", x.File, x.Where())
		switch x.State {
		case places.Fails:
			v.report.failAs(Attested, PlaceSubject+x.Where(), "evidence "+x.File+" holds, and says what the charter says", "", x.Why)
		case places.Old:
			v.report.attend(fmt.Sprintf("%s does not count: %s", name, x.Why))
		case places.Unjudged:
			v.report.Unjudged = append(v.report.Unjudged, fmt.Sprintf("%s is not judged: %s", name, x.Why))
			if x.Needs != "" {
				v.report.attend(fmt.Sprintf("%s is not judged: %s; %s", name, x.Why, x.Needs))
			}
		}
	}
}

// PlaceSubject begins the subject of a claim about a place.
const PlaceSubject = "place "

// describe puts an operator into the report.
func (v *verifier) describe(o charter.Operator, d charter.Document) {
	out := Operator{Name: o.Name, Entity: o.Entity, Identity: fmt.Sprintf("%x", []byte(o.Identity))}
	if s, ok := d.Station(o.Name); ok {
		out.Independent = s.Independent
		for _, p := range s.Places {
			out.Places = append(out.Places, v.place(s.Name, p))
		}
	}
	v.report.Operators = append(v.report.Operators, out)
}

// place says of one how each of its fields is known. A claim has one class: that of what somebody else bears out, if anything; what only the operator says then
// stands in its basis.
func (v *verifier) place(operator string, p charter.Place) Place {
	out := Place{p.Name, string(p.Level), p.Provider, p.Account, p.Region, p.Jurisdiction, p.Hardware, p.Access, Declared, v.borne(operator, p)}
	subject, declared := PlaceSubject+operator+"/"+p.Name, places.Said(p)
	if len(out.Attested) == 0 {
		basis := "the charter, which every operator signed, says so: nobody else bears it out"
		v.report.claim(Declared, subject, fmt.Sprintf("%s of %s's share lies here: %s", copies[p.Level], operator, texts(p, declared)), basis+v.notJudged(operator, p))
		return out
	}
	declared = slices.DeleteFunc(declared, func(f string) bool {
		return slices.ContainsFunc(out.Attested, func(b Borne) bool { return b.Field == f })
	})
	basis := "somebody else than the operator signed it"
	if len(declared) > 0 {
		basis += "; by the operator's own word alone: " + texts(p, declared)
	} else {
		out.Class = Attested
	}
	basis += "; that the node's program runs there, no such signature says"
	v.report.claim(Attested, subject, fmt.Sprintf("%s of %s's share lies here: %s", copies[p.Level], operator, signed(p, out.Attested)), basis+v.notJudged(operator, p))
	return out
}

// copies are levels in words.
var copies = map[charter.Level]string{charter.Replica: "a copy in use", charter.Export: "a sealed copy", charter.Paper: "a paper copy"}

// borne are the fields that evidence bears out, each by who signed last.
func (v *verifier) borne(operator string, p charter.Place) (out []Borne) {
	for _, field := range places.Said(p) {
		var best *places.Finding
		for i, x := range v.found {
			if x.State == places.Holds && x.Operator == operator && x.Place == p.Name && slices.Contains(x.Fields, field) && (best == nil || x.AsOf.After(best.AsOf)) {
				best = &v.found[i]
			}
		}
		if best != nil {
			out = append(out, Borne{field, best.By, best.AsOf, best.Until})
		}
	}
	return out
}

// notJudged names evidence of a place that nothing here could judge.
func (v *verifier) notJudged(operator string, p charter.Place) string {
	var all []string
	for _, x := range v.found {
		if x.State == places.Unjudged && x.Operator == operator && x.Place == p.Name {
			all = append(all, fmt.Sprintf("evidence %s is not judged: %s", x.File, x.Why))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "; " + strings.Join(all, "; ")
}

// titles are fields in words, before their values.
var titles = map[string]string{"jurisdiction": "country", places.Access: "within reach of"}

func text(p charter.Place, field string) string {
	title, value := titles[field], places.Text(p, field)
	if title == "" {
		title = field
	}
	if field == "jurisdiction" {
		value = strings.ToUpper(value)
	}
	return title + " " + value
}

func texts(p charter.Place, fields []string) string {
	var all []string
	for _, f := range fields {
		all = append(all, text(p, f))
	}
	return strings.Join(all, ", ")
}

// signed says what is borne out, by whom and as of when: what one signature says, once.
func signed(p charter.Place, all []Borne) string {
	var parts []string
	for i, b := range all {
		by := func(o Borne) bool { return o.By == b.By && o.AsOf.Equal(b.AsOf) }
		if slices.ContainsFunc(all[:i], by) {
			continue
		}
		var fields []string
		for _, o := range all {
			if by(o) {
				fields = append(fields, o.Field)
			}
		}
		parts = append(parts, fmt.Sprintf("%s (%s, as of %s)", texts(p, fields), b.By, statement.FormatTime(b.AsOf)))
	}
	return strings.Join(parts, "; ")
}

// AsAttested begins the claim of how many must collude if only what is attested is believed.
const AsAttested = "counting only what others bear out, so many must collude to steal its key: "

// measureAttested puts beside those who steal what is left of it if only attested claims are believed (spec/attest 6a.3). Where nothing was judged it says nothing:
// it would be one everywhere.
func (v *verifier) measureAttested(x *vault, s control.Structure) {
	if !slices.ContainsFunc(v.found, func(f places.Finding) bool { return f.State != places.Unjudged }) {
		return
	}
	places.Mark(&s, v.found)
	var parts []string
	for k, f := range s.Believed(control.Attested).Measure() {
		if f.Kind == control.Organisation {
			continue // who they are, their signatures under the roster say
		}
		n := f.Steal.Size
		x.out.Control[k].Attested = &n
		if n > 0 { // else all of them together do not suffice
			parts = append(parts, count(n, kinds[k][0], kinds[k][1]))
		}
	}
	v.report.claim(Attested, "vault "+x.Name, AsAttested+strings.Join(parts, ", "),
		"what only an operator says may lie together, or with anything else: so a place whose field nobody else bears out counts as within reach of each; never more than what is declared")
}

// kinds are kinds of domains in words: one, and several.
var kinds = [control.Kinds][2]string{
	control.Person: {"person", "persons"}, control.Account: {"account", "accounts"}, control.Provider: {"provider", "providers"}, control.Region: {"region", "regions"},
	control.Jurisdiction: {"country", "countries"}, control.Hardware: {"hardware vendor", "hardware vendors"},
}

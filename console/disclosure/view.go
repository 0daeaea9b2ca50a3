package disclosure

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/console/verdict"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/evidence/verify"
)

// A view is what the page shows.
type view struct {
	*verify.Report
	Policy   string // Content-Security-Policy
	Verdict  verdict.Verdict
	Made     time.Time
	Operator []verify.Operator // that are of the circle now
	Tiles    []tile
	Numbers  []number
	Map      []row
	Shared   []shared // domains that reach shares of several operators
	Attested bool     // some evidence of places was judged
	Places   []placed
	Latest   []request
	Earlier  []request
	Left     int // requests that the page leaves to report.json
	Groups   []group

	Protected []protected // what chains enforce
	Bare      []string    // vaults for which none does

	Program string // SHA-256 of the compressed verifier; empty: the folder has none
}

// A tile is one key figure.
type tile struct {
	Label, Value, Note string
	Mark               verdict.Level // "": a plain figure
}

// A number is how many domains of a kind must collude, over the vault where it takes fewest.
type number struct {
	Kind              string
	Steal, Halt, Lose int
	Attested          *int // of those who steal, if only what is attested is believed; nil: not judged
}

// A row of the control map: one kind of domain, and for each operator those in which its copies of shares lie.
type row struct {
	Kind  string
	Cells [][]domain
}

// A domain reaches copies of shares.
type domain struct {
	Name   string
	Backup bool     // but for copies in use
	By     []string // operators whose copies it reaches
	Borne  bool     // somebody else bears it out of each of this operator's copies that it reaches
}

// A placed is a place, with what of it is known how.
type placed struct {
	Name, Level string
	Class       verify.Class
	Borne       []borne
	Declared    []string // fields that only the operator says
}

// What one signature bears out.
type borne struct {
	Fields []string
	By     string
	AsOf   time.Time
}

// Shared says that it reaches those of several operators.
func (d domain) Shared() bool { return len(d.By) > 1 }

// A shared domain, once.
type shared struct {
	Kind string
	domain
}

// A request with the vault that it is for.
type request struct {
	verify.Request
	Vault string
	State string // signed, refused, open
	Said  []said
}

// What several nodes decided alike.
type said struct {
	Operators []string
	verify.Decision
}

// A protected vault, on one chain.
type protected struct {
	Vault string
	verify.Protection
}

// A group is one subject's claims.
type group struct {
	Subject string
	Claims  []verify.Claim
}

// How many requests the page shows: at once, and behind a click.
const (
	latest  = 20
	earlier = 480
)

func newView(r *verify.Report, b verify.Bundle, program string) view {
	v := view{Report: r, Policy: policy, Verdict: verdict.Of(r), Made: b.Made, Program: program}
	for _, o := range r.Operators {
		if !o.Left {
			v.Operator = append(v.Operator, o)
		}
	}
	v.Numbers = numbers(r)
	v.Tiles = tiles(v)
	v.Map, v.Shared = chart(v.Operator)
	v.Places = placesOf(v.Operator)
	v.Attested = slices.ContainsFunc(v.Numbers, func(n number) bool { return n.Attested != nil })
	all := requests(r)
	v.Latest = all[:min(len(all), latest)]
	v.Earlier = all[len(v.Latest):min(len(all), latest+earlier)]
	v.Left = len(all) - len(v.Latest) - len(v.Earlier)
	for _, x := range r.Vaults {
		for _, p := range x.Protected {
			v.Protected = append(v.Protected, protected{x.Name, p})
		}
		if len(x.Protected) == 0 {
			v.Bare = append(v.Bare, x.Name)
		}
	}
	for _, c := range r.Claims {
		i := slices.IndexFunc(v.Groups, func(g group) bool { return g.Subject == c.Subject })
		if i < 0 {
			i = len(v.Groups)
			v.Groups = append(v.Groups, group{Subject: c.Subject})
		}
		v.Groups[i].Claims = append(v.Groups[i].Claims, c)
	}
	return v
}

// numbers are those of the weakest vault, kind by kind.
func numbers(r *verify.Report) (out []number) {
	for _, x := range r.Vaults {
		for _, f := range x.Control {
			i := slices.IndexFunc(out, func(n number) bool { return n.Kind == f.Kind })
			if i < 0 {
				i = len(out)
				out = append(out, number{f.Kind, f.Steal, f.Halt, f.Lose, f.Attested})
			}
			n := &out[i]
			switch {
			case n.Attested == nil:
				n.Attested = f.Attested
			case f.Attested != nil:
				least := fewest(*n.Attested, *f.Attested)
				n.Attested = &least
			}
			n.Steal, n.Halt, n.Lose = fewest(n.Steal, f.Steal), fewest(n.Halt, f.Halt), fewest(n.Lose, f.Lose)
		}
	}
	return out
}

// fewest takes 0 for "nobody can".
func fewest(a, b int) int {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func tiles(v view) []tile {
	r := v.Report
	independent, signed, refused, cosigned := 0, 0, 0, 0
	for _, o := range v.Operator {
		if o.Independent {
			independent++
		}
	}
	for _, x := range r.Vaults {
		signed, refused = signed+x.Signed, refused+x.Refused
	}
	for _, l := range r.Logs {
		if len(l.Cosigned) > 0 {
			cosigned++
		}
	}
	out := []tile{{Label: "Operators", Value: fmt.Sprint(len(v.Operator)), Note: fmt.Sprintf("%s independent of the owner", of(independent, len(v.Operator)))}}
	if len(v.Numbers) > 0 {
		out = append(out, tile{Label: "To steal a key", Value: fmt.Sprint(v.Numbers[0].Steal), Note: v.Numbers[0].Kind + "s would have to act together"})
		if v.Numbers[0].Steal == 1 {
			out[1].Mark, out[1].Note = verdict.Attention, "organisation alone could do it"
		}
	}
	out = append(out, shares(r))
	out = append(out, tile{Label: "Signatures made", Value: verdict.Number(signed), Note: verdict.Number(refused) + " refused"})
	logs := tile{Label: "Public logs", Value: fmt.Sprint(len(r.Logs)), Note: fmt.Sprintf("%s entries; %s vouched for by others", verdict.Number(r.Entries), of(cosigned, len(r.Logs)))}
	if len(r.Logs) < len(v.Operator) {
		logs.Mark = verdict.Attention
	}
	return append(out, logs, backups(r))
}

func of(n, all int) string {
	switch {
	case n == all && all > 1:
		return "all"
	case n == 0:
		return "none"
	}
	return fmt.Sprintf("%d of %d", n, all)
}

// shares says how many holders proved their shares.
func shares(r *verify.Report) tile {
	proved, all, oldest := 0, 0, time.Time{}
	for _, x := range r.Vaults {
		for _, k := range x.Keys {
			for _, h := range k.Holders {
				all++
				if h.Proved.IsZero() {
					continue
				}
				proved++
				if oldest.IsZero() || h.Proved.Before(oldest) {
					oldest = h.Proved
				}
			}
		}
	}
	t := tile{Label: "Key shares proved", Value: fmt.Sprintf("%d of %d", proved, all), Note: "no share was proved yet"}
	if proved > 0 {
		t.Note = "each within " + verdict.Ago(r.Time.Sub(oldest)) + " of this report"
	}
	if proved < all {
		t.Mark = verdict.Attention
	}
	return t
}

func backups(r *verify.Report) tile {
	t := tile{Label: "Backups and rescue", Value: "–", Note: "no vault has a key yet"}
	planned, keyed, together := 0, 0, 0
	for _, v := range r.Vaults {
		for _, e := range v.Emergencies {
			if slices.Contains([]string{"declared", "contest", "active", "lock-up"}, e.State) {
				return tile{Label: "Emergency", Value: strings.ToUpper(e.State), Note: "vault " + v.Name + ": " + e.Trigger, Mark: verdict.Attention}
			}
		}
		if len(v.Keys) == 0 {
			continue
		}
		if keyed++; v.Plan != nil {
			if planned++; together == 0 || v.Plan.Together < together {
				together = v.Plan.Together
			}
		}
	}
	switch {
	case keyed == 0:
	case planned == 0:
		t.Value, t.Note, t.Mark = "None", "no vault has a rescue plan (SOS)", verdict.Attention
	case planned < keyed:
		t.Value, t.Note, t.Mark = fmt.Sprintf("%d of %d", planned, keyed), "vaults have a rescue plan (SOS)", verdict.Attention
	default:
		t.Value, t.Note = fmt.Sprint(together), "together could act in an emergency, after its delay"
	}
	return t
}

// chart is the control map, and what of it is shared.
func chart(operators []verify.Operator) (rows []row, all []shared) {
	for k := range control.Kinds {
		by := map[string][]string{}
		r := row{Kind: control.Kind(k).String(), Cells: make([][]domain, len(operators))}
		for i, o := range operators {
			for _, p := range o.Places {
				for _, name := range reached(control.Kind(k), o, p) {
					backup, borne := p.Level != "replica", slices.ContainsFunc(p.Attested, func(b verify.Borne) bool { return b.Field == fieldOf[control.Kind(k)] })
					at := slices.IndexFunc(r.Cells[i], func(d domain) bool { return d.Name == name })
					if at < 0 {
						by[name] = append(by[name], o.Name)
						r.Cells[i] = append(r.Cells[i], domain{Name: name, Backup: backup, Borne: borne})
					} else {
						r.Cells[i][at].Backup = r.Cells[i][at].Backup && backup
						r.Cells[i][at].Borne = r.Cells[i][at].Borne && borne
					}
				}
			}
		}
		for _, cell := range r.Cells {
			for i := range cell {
				cell[i].By = by[cell[i].Name]
				if cell[i].Shared() && !slices.ContainsFunc(all, func(s shared) bool { return s.Kind == r.Kind && s.Name == cell[i].Name }) {
					all = append(all, shared{r.Kind, cell[i]})
				}
			}
		}
		if len(by) > 0 {
			rows = append(rows, r)
		}
	}
	return rows, all
}

// fieldOf are the fields of a place that name domains of a kind. An organisation is named by the roster.
var fieldOf = map[control.Kind]string{
	control.Person: "access", control.Account: "account", control.Provider: "provider", control.Region: "region", control.Jurisdiction: "jurisdiction", control.Hardware: "hardware",
}

// placesOf are all places, with what of each is known how.
func placesOf(operators []verify.Operator) (out []placed) {
	for _, o := range operators {
		for _, p := range o.Places {
			one := placed{Name: o.Name + "/" + p.Name, Level: p.Level, Class: p.Class}
			for _, b := range p.Attested {
				i := slices.IndexFunc(one.Borne, func(x borne) bool { return x.By == b.By && x.AsOf.Equal(b.AsOf) })
				if i < 0 {
					i = len(one.Borne)
					one.Borne = append(one.Borne, borne{By: b.By, AsOf: b.AsOf})
				}
				one.Borne[i].Fields = append(one.Borne[i].Fields, word(b.Field))
			}
			for _, f := range []struct{ name, value string }{
				{"provider", p.Provider}, {"account", p.Account}, {"region", p.Region}, {"jurisdiction", p.Jurisdiction}, {"hardware", p.Hardware}, {"access", strings.Join(p.Access, "")},
			} {
				if f.value != "" && !slices.ContainsFunc(p.Attested, func(b verify.Borne) bool { return b.Field == f.name }) {
					one.Declared = append(one.Declared, word(f.name))
				}
			}
			out = append(out, one)
		}
	}
	return out
}

// word is a field as a reader calls it.
func word(field string) string {
	if w := map[string]string{"jurisdiction": "country", "access": "who can reach it"}[field]; w != "" {
		return w
	}
	return field
}

// reached are the domains of a kind in which a place lies.
func reached(k control.Kind, o verify.Operator, p verify.Place) (names []string) {
	below := func(name string) []string {
		if p.Provider == "" || name == "" {
			return []string{name}
		}
		return []string{p.Provider + " " + name}
	}
	switch k {
	case control.Organisation:
		names = []string{o.Entity}
	case control.Person:
		names = p.Access
	case control.Account:
		names = below(p.Account)
	case control.Provider:
		names = []string{p.Provider}
	case control.Region:
		names = below(p.Region)
	case control.Jurisdiction:
		names = []string{strings.ToUpper(p.Jurisdiction)}
	case control.Hardware:
		names = []string{p.Hardware}
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.TrimSpace(n) == "" })
}

// requests are those of all vaults, the latest first.
func requests(r *verify.Report) (out []request) {
	for _, x := range r.Vaults {
		for _, q := range x.Requests {
			one := request{q, x.Name, "open", alike(q.Decisions)}
			switch {
			case q.Signed != "":
				one.State = "signed"
			case slices.ContainsFunc(q.Decisions, func(d verify.Decision) bool { return strings.EqualFold(d.Verdict, "deny") }):
				one.State = "refused"
			}
			out = append(out, one)
		}
	}
	slices.SortStableFunc(out, func(a, b request) int { return b.last().Compare(a.last()) })
	return out
}

// alike puts decisions together that say the same.
func alike(all []verify.Decision) (out []said) {
	for _, d := range all {
		i := slices.IndexFunc(out, func(s said) bool { return s.Verdict == d.Verdict && s.Rule == d.Rule && s.Reason == d.Reason })
		if i < 0 {
			i = len(out)
			out = append(out, said{Decision: d})
		}
		out[i].Operators = append(out[i].Operators, d.Operator)
	}
	return out
}

func (q request) last() time.Time {
	if q.At.After(q.Created) {
		return q.At
	}
	return q.Created
}

// words are what the page's templates may do.
var words = template.FuncMap{
	"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"when":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") + " UTC" },
	"day":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	"ago":    func(r *verify.Report, t time.Time) string { return verdict.Ago(r.Time.Sub(t)) },
	"num":    verdict.Number,
	"num64":  func(n int64) string { return verdict.Number(int(n)) },
	"join":   func(s []string) string { return strings.Join(s, ", ") },
	"title":  title,
	"short":  short,
	"never":  func(n int) string { return map[bool]string{true: "nobody can", false: fmt.Sprint(n)}[n == 0] },
	"ending": func(n int, one, many string) string { return map[bool]string{true: one, false: many}[n == 1] },
}

func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// short is both ends of what is long: people compare those.
func short(s string) string {
	if r := []rune(s); len(r) > 22 {
		return string(r[:10]) + "…" + string(r[len(r)-8:])
	}
	return s
}

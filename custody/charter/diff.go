package charter

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
)

// A Change is one difference between two charters. What is not plainly stricter is looser: it waits for the delay, and needs every operator.
type Change struct {
	What   string // "vault treasury: quorum"
	Was    string // empty: it was not there
	Is     string // empty: it is not there any more
	Looser bool
	Payee  bool // of the list of payees, which has a delay of its own
	Plan   bool // of an SOS plan, or of its guardians: it waits for PlanDelay too
	Halts  bool // stricter, and a node that runs what is allowed no more signs nothing from then on
}

// Wait is how long a version with these changes waits after the one before: nothing if all are stricter. A change of a plan waits for the
// plan in force, so that nobody changes the rules of a rescue that is under way (S7).
func Wait(before Document, changes []Change) (wait time.Duration) {
	for _, c := range changes {
		switch {
		case c.Plan:
			wait = max(wait, before.Delay, before.PlanDelay())
		case c.Looser && c.Payee:
			wait = max(wait, before.ListDelay)
		case c.Looser:
			wait = max(wait, before.Delay)
		}
	}
	return wait
}

func (c Change) String() string {
	mark := "stricter"
	if c.Looser {
		mark = "looser"
	}
	halts := ""
	if c.Halts {
		halts = "; at once the others hold no session with a node that shows nothing else: see `ostraka doctor` at every operator first"
	}
	switch {
	case c.Was == "":
		return fmt.Sprintf("%s: %s: added %s%s", mark, c.What, c.Is, halts)
	case c.Is == "":
		return fmt.Sprintf("%s: %s: removed %s%s", mark, c.What, c.Was, halts)
	}
	return fmt.Sprintf("%s: %s: %s → %s%s", mark, c.What, c.Was, c.Is, halts)
}

// Removals say what may go without a rule allowing more: a label from a destination, people from a group.
type Removals struct {
	Label, Group func(name string) bool
}

// changes collects them.
type changes []Change

// Diff lists what differs between two charters, but for their policies, which policy.Diff compares: removing or adding people, keys, groups, chains and
// payees, quorums, rules and delays. Operators, where their shares lie, guardians, assets and everything else are looser whatever
// becomes of them.
func (d Document) Diff(to Document, may Removals) []Change {
	var c changes
	c.same("circle", d.Circle, to.Circle)
	c.same("drill", yesNo(d.Drill), yesNo(to.Drill))
	each2(d.Operators, to.Operators, func(o Station) string { return o.Name }, func(name string, was, is *Station) { c.station("operator "+name, was, is) })
	c.people(d, to)
	each2(d.Groups, to.Groups, func(g Group) string { return g.Name }, func(name string, was, is *Group) {
		from := len(c)
		c.set("group "+name, or(was).People, or(is).People)
		if was != nil && is != nil {
			c.ending("group "+name+": expires", was.Expires, is.Expires)
		}
		for i := range c[from:] {
			c[from+i].Looser = c[from+i].Looser || !may.Group(name)
		}
	})
	c.planned(func() {
		each2(d.Guardians, to.Guardians, func(g Guard) string { return g.Name }, func(name string, was, is *Guard) { c.guardian("guardian "+name, was, is) })
	})
	each2(d.Assets, to.Assets, func(a Asset) string { return a.Name }, func(name string, was, is *Asset) {
		c.text("asset "+name, shown(was, Asset.text), shown(is, Asset.text), true)
	})
	from := len(c)
	c.payees(d, to, may.Label)
	for i := range c[from:] {
		c[from+i].Payee = true
	}
	each2(d.Vaults, to.Vaults, func(v Blueprint) string { return v.Name }, func(name string, was, is *Blueprint) { c.vault("vault "+name, was, is) })
	c.evm(d.EVM, to.EVM)
	c.demands(d, to)
	c.control(d, to)
	c.number("independent-providers", d.Providers, to.Providers)
	c.period("delay", d.Delay, to.Delay)
	c.period("list-delay", d.ListDelay, to.ListDelay)
	c.same("heartbeat", d.Heartbeat.String(), to.Heartbeat.String())
	c.same("offset", d.Offset.String(), to.Offset.String())
	return c
}

// same notes any difference as looser.
func (c *changes) same(what, was, is string) { c.text(what, was, is, true) }

func (c *changes) text(what, was, is string, looser bool) {
	if was != is {
		*c = append(*c, Change{What: what, Was: was, Is: is, Looser: looser})
	}
}

// number is stricter when it rises.
func (c *changes) number(what string, was, is int) {
	c.text(what, fmt.Sprint(was), fmt.Sprint(is), is < was)
}

// period is stricter when it grows.
func (c *changes) period(what string, was, is time.Duration) {
	c.text(what, was.String(), is.String(), is < was)
}

// flag is stricter when it becomes so.
func (c *changes) flag(what string, was, is, so bool) {
	c.text(what, yesNo(was), yesNo(is), is != so)
}

// planned marks what is noted within as part of an SOS plan.
func (c *changes) planned(note func()) {
	from := len(*c)
	note()
	for i := range (*c)[from:] {
		(*c)[from+i].Plan = true
	}
}

// station: of an operator that stays only what changes is told, or nobody finds it.
func (c *changes) station(what string, was, is *Station) {
	if was == nil || is == nil {
		c.same(what, shown(was, Station.text), shown(is, Station.text))
		return
	}
	c.same(what+": entity", was.Entity, is.Entity)
	c.same(what+": identity", fmt.Sprintf("ed25519:%x", []byte(was.Identity)), fmt.Sprintf("ed25519:%x", []byte(is.Identity)))
	c.same(what+": independent", yesNo(was.Independent), yesNo(is.Independent))
	each2(was.Places, is.Places, func(p Place) string { return p.Name }, func(name string, was, is *Place) {
		what := what + ": place " + name
		if was == nil || is == nil {
			c.same(what, shown(was, Place.text), shown(is, Place.text))
			return
		}
		before, after := was.parts(), is.parts()
		for i, p := range before {
			c.same(what+": "+p[0], p[1], after[i][1])
		}
	})
}

func (c *changes) guardian(what string, was, is *Guard) {
	if was == nil || is == nil {
		c.same(what, shown(was, Guard.text), shown(is, Guard.text))
		return
	}
	c.same(what+": person", was.Person, is.Person)
	c.same(what+": organisation", was.Organisation, is.Organisation)
	c.same(what+": jurisdiction", was.Jurisdiction, is.Jurisdiction)
	c.same(what+": card", cardText(was.Card), cardText(is.Card))
}

// rescue: any change of a plan is looser, for whom it protects depends on what happens.
func (c *changes) rescue(what string, was, is *Rescue) {
	if was == nil || is == nil {
		c.same(what, shown(was, Rescue.text), shown(is, Rescue.text))
		return
	}
	each2(was.parts(), is.parts(), func(p [2]string) string { return p[0] }, func(name string, was, is *[2]string) {
		c.same(what+": "+name, or(was)[1], or(is)[1])
	})
}

// set is stricter when it shrinks.
func (c *changes) set(what string, was, is []string) {
	for _, x := range was {
		if !slices.Contains(is, x) {
			*c = append(*c, Change{What: what, Was: x})
		}
	}
	for _, x := range is {
		if !slices.Contains(was, x) {
			*c = append(*c, Change{What: what, Is: x, Looser: true})
		}
	}
}

// people: who goes, whose key goes or ends sooner can do less.
func (c *changes) people(d, to Document) {
	each2(d.People, to.People, func(h Human) string { return h.Name }, func(name string, was, is *Human) {
		what := "person " + name
		if was == nil || is == nil {
			c.text(what, shown(was, Human.text), shown(is, Human.text), was == nil)
			return
		}
		c.same(what+": organisation", was.Organisation, is.Organisation)
		c.set(what+": key", fingerprints(was.Keys), fingerprints(is.Keys))
		c.ending(what+": expires", was.Expires, is.Expires)
	})
}

// ending is stricter when it comes sooner.
func (c *changes) ending(what string, was, is time.Time) {
	if was.Equal(is) {
		return
	}
	sooner := !is.IsZero() && (was.IsZero() || is.Before(was))
	c.text(what, ending(was), ending(is), !sooner)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func fingerprints(keys []signet.Key) (all []string) {
	for _, k := range keys {
		all = append(all, k.Fingerprint())
	}
	return all
}

func ending(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// payees: one that goes takes its labels along, which matters where a rule forbids by a label.
func (c *changes) payees(d, to Document, removable func(string) bool) {
	each2(d.Payees, to.Payees, func(p Payee) string { return p.Name }, func(name string, was, is *Payee) {
		what := "payee " + name
		if was == nil || is == nil || was.Chain != is.Chain || was.Address != is.Address {
			gone := is == nil && !slices.ContainsFunc(was.Labels, func(l string) bool { return !removable(l) })
			c.text(what, shown(was, Payee.text), shown(is, Payee.text), !gone)
			return
		}
		// One that ends takes its labels along too.
		ends := slices.ContainsFunc(was.Labels, func(l string) bool { return !removable(l) })
		if c.ending(what+": expires", was.Expires, is.Expires); ends && !was.Expires.Equal(is.Expires) {
			(*c)[len(*c)-1].Looser = true
		}
		from := len(*c)
		c.set(what+": label", was.Labels, is.Labels)
		for i := range (*c)[from:] {
			x := &(*c)[from+i]
			x.Looser = x.Looser || !removable(x.Was)
		}
	})
}

func (c *changes) vault(what string, was, is *Blueprint) {
	if was == nil || is == nil {
		c.text(what, shown(was, Blueprint.text), shown(is, Blueprint.text), true)
		(*c)[len(*c)-1].Plan = was != nil && was.Rescue != nil // it takes its plan along
		return
	}
	c.same(what+": tier", was.Tier, is.Tier)
	c.same(what+": suites", strings.Join(was.Suites, ", "), strings.Join(is.Suites, ", "))
	c.same(what+": threshold", fmt.Sprint(was.Threshold), fmt.Sprint(is.Threshold))
	c.same(what+": committee", strings.Join(was.Committee, ", "), strings.Join(is.Committee, ", "))
	c.set(what+": initiators", was.Initiators, is.Initiators)
	c.set(what+": approvers", was.Approvers, is.Approvers)
	c.number(what+": quorum", was.Quorum, is.Quorum)
	c.number(what+": organisations", was.Organisations, is.Organisations)
	c.flag(what+": initiator-approves", was.InitiatorApproves, is.InitiatorApproves, false)
	c.flag(what+": user-verification", was.UserVerification, is.UserVerification, true)
	c.set(what+": chains", was.Chains, is.Chains)
	c.text(what+": expiry", was.Expiry.String(), is.Expiry.String(), is.Expiry > was.Expiry)
	c.same(what+": refresh-every", was.RefreshEvery.String(), is.RefreshEvery.String())
	c.same(what+": publish", yesNo(was.Publish), yesNo(is.Publish))
	c.same(what+": witnesses", fmt.Sprint(was.Witnesses), fmt.Sprint(is.Witnesses))
	c.same(what+": hold-release", was.HoldRelease.String(), is.HoldRelease.String())
	c.same(what+": recovery", shown(was.Recovery, Recovery.text), shown(is.Recovery, Recovery.text))
	c.delayed(what+": delayed", was.Delayed, is.Delayed)
	c.planned(func() { c.rescue(what+": rescue", was.Rescue, is.Rescue) })
}

// control: a rule that is not there asks for nothing.
func (c *changes) control(d, to Document) {
	least := func(d Document) map[string]int {
		all := map[string]int{}
		for _, r := range d.Control {
			key := r.Number + "/" + r.Kind
			all[key] = max(all[key], r.Least)
		}
		return all
	}
	was, is := least(d), least(to)
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c.number("control rule "+name, was[name], is[name])
	}
}

// each2 walks two lists that ascend by name, side by side.
func each2[T any](was, is []T, name func(T) string, do func(name string, was, is *T)) {
	byName := map[string][2]*T{}
	for side, list := range [][]T{was, is} {
		for i := range list {
			pair := byName[name(list[i])]
			pair[side] = &list[i]
			byName[name(list[i])] = pair
		}
	}
	for _, n := range slices.Sorted(maps.Keys(byName)) {
		do(n, byName[n][0], byName[n][1])
	}
}

func or[T any](x *T) (out T) {
	if x != nil {
		out = *x
	}
	return out
}

func shown[T any](x *T, text func(T) string) string {
	if x == nil {
		return ""
	}
	return text(*x)
}

// described writes the parts that are there.
func described(parts ...[2]string) string {
	var all []string
	for _, p := range parts {
		if p[1] != "" {
			all = append(all, p[0]+" "+p[1])
		}
	}
	return strings.Join(all, ", ")
}

func (g Guard) text() string {
	return described([2]string{"person", g.Person}, [2]string{"organisation", g.Organisation}, [2]string{"jurisdiction", g.Jurisdiction}, [2]string{"card", cardText(g.Card)})
}

func (a Asset) text() string {
	return described([2]string{"on", a.Chain}, [2]string{"contract", a.Contract}, [2]string{"decimals", fmt.Sprint(a.Decimals)}, [2]string{"unit", fmt.Sprint(a.Unit)}, [2]string{"allowance", a.Allowance}, [2]string{"standard", a.Standard})
}

func (r Rescue) text() string { return described(r.parts()...) }

// parts are what a plan says, each by name.
func (r Rescue) parts() [][2]string {
	out := [][2]string{{"operators", fmt.Sprint(r.Operators)}, {"guardians", fmt.Sprint(r.Guardians)}}
	if !r.Planned() {
		return out
	}
	for _, t := range r.Triggers {
		text := "delay " + t.Delay.String()
		if t.After != 0 {
			text = "after " + t.After.String() + " and " + text
		}
		out = append(out, [2]string{"trigger " + t.Name, text})
	}
	out = append(out, [2]string{"starters", fmt.Sprint(r.Starters)}, [2]string{"organisations", fmt.Sprint(r.Organisations)}, [2]string{"window", r.Window.String()},
		[2]string{"lock-up", r.LockUp.String()}, [2]string{"drill-every", r.DrillEvery.String()}, [2]string{"successors", strings.Join(r.Successors, " ")}, [2]string{"least-threshold", fmt.Sprint(r.Least)})
	if r.Chain != "" {
		out = append(out, [2]string{"height", fmt.Sprintf("%d blocks of %s", r.Blocks, r.Chain)})
	}
	for _, x := range r.Destinations {
		text := whole(x.Address) + " on " + x.Chain
		if x.Vault != "" {
			text += " as of vault " + x.Vault
		}
		out = append(out, [2]string{"destination " + x.Name, text})
	}
	for _, c := range r.Caps {
		out = append(out, [2]string{"cap " + c.Asset, fmt.Sprint(c.Most)})
	}
	for _, c := range r.Calls {
		out = append(out, [2]string{"call " + c.Name, fmt.Sprintf("0x%x to %s on %s, %d times at most", c.Data, whole(c.To), c.Chain, c.Times)})
	}
	for _, t := range r.Tranches {
		out = append(out, [2]string{"tranche " + t.Asset, fmt.Sprintf("%d in each of %d periods of %s", t.Most, t.Count, t.Every)})
	}
	return out
}

func (v Blueprint) text() string {
	list := func(names []string) string { return strings.Join(names, " ") }
	return described([2]string{"tier", v.Tier}, [2]string{"suites", list(v.Suites)}, [2]string{"threshold", fmt.Sprint(v.Threshold)}, [2]string{"committee", list(v.Committee)},
		[2]string{"initiators", list(v.Initiators)}, [2]string{"approvers", list(v.Approvers)}, [2]string{"quorum", fmt.Sprint(v.Quorum)}, [2]string{"organisations", fmt.Sprint(v.Organisations)},
		[2]string{"initiator-approves", yesNo(v.InitiatorApproves)}, [2]string{"user-verification", yesNo(v.UserVerification)}, [2]string{"chains", list(v.Chains)}, [2]string{"expiry", v.Expiry.String()},
		[2]string{"refresh-every", v.RefreshEvery.String()},
		[2]string{"publish", yesNo(v.Publish)},
		[2]string{"witnesses", fmt.Sprint(v.Witnesses)},
		[2]string{"hold-release", v.HoldRelease.String()},
		[2]string{"recovery", shown(v.Recovery, Recovery.text)},
		[2]string{"delayed", strings.Join(delayedTexts(v.Delayed), "; ")},
		[2]string{"rescue", shown(v.Rescue, Rescue.text)})
}

// free is a text that somebody wrote, so that it cannot be taken for what stands around it: two places that differ never read alike.
func free(text string) string {
	if strings.ContainsAny(text, ",;\"") {
		return strconv.Quote(text)
	}
	return text
}

// whole is such a text where words follow it.
func whole(text string) string {
	if strings.Contains(text, " ") {
		return strconv.Quote(text)
	}
	return free(text)
}

func (h Human) text() string {
	return fmt.Sprintf("of %s, keys %s, until %s", h.Organisation, strings.Join(fingerprints(h.Keys), ", "), ending(h.Expires))
}

func (p Payee) text() string {
	return fmt.Sprintf("%s on %s as %s, until %s", p.Address, p.Chain, strings.Join(p.Labels, ", "), ending(p.Expires))
}

func (o Station) text() string {
	kind := "not independent"
	if o.Independent {
		kind = "independent"
	}
	text := fmt.Sprintf("%s, identity ed25519:%x, %s", free(o.Entity), []byte(o.Identity), kind)
	for _, p := range o.Places {
		text += "; " + p.text()
	}
	return text
}

func (p Place) text() string {
	return fmt.Sprintf("place %s (%s): ", p.Name, p.Level) + described(p.parts()[1:]...)
}

// parts are what a place says, each by name.
func (p Place) parts() [][2]string {
	return [][2]string{{"level", string(p.Level)}, {"organisation", p.Organisation}, {"provider", free(p.Provider)}, {"account", free(p.Account)},
		{"region", free(p.Region)}, {"jurisdiction", p.Jurisdiction}, {"hardware", free(p.Hardware)}, {"access", strings.Join(p.Access, " ")}}
}

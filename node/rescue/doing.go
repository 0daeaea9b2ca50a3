package rescue

import (
	"slices"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
)

// A Doing is an activation, and how far it is here, for people.
type Doing struct {
	act.Activation
	Signed []string // contributors whose signature is here
	Whole  bool     // all contributors signed it, and the docket took it
	Given  []string // guardians who contributed, and with whom a part may be given
	Gave   []string // contributors that gave their part
}

// doings are of each key the activation that would be carried out first, and a later one that contributors still sign.
func (d *Desk) doings(c sos.Case) (all []Doing) {
	for _, a := range d.activations(c) {
		x := d.doing(c, a)
		all = slices.DeleteFunc(all, func(o Doing) bool { return o.Key == x.Key && !o.Whole }) // an earlier one
		i := slices.IndexFunc(all, func(o Doing) bool { return o.Key == x.Key })
		switch {
		case i < 0 || !x.Whole:
			all = append(all, x)
		case !c.AllGave(all[i].ID) || c.AllGave(x.ID): // as better: what all gave to goes before a later attempt
			all[i] = x
		}
	}
	return all
}

func (d *Desk) doing(c sos.Case, a act.Activation) Doing {
	x, sigs := Doing{Activation: a, Whole: c.Activated(a.ID)}, d.signedBy(c.Plan().Vault, a.ID)
	for _, name := range a.Contributors {
		if sigs[name] != nil {
			x.Signed = append(x.Signed, name)
		}
		if c.Gave(a.ID, name) {
			x.Gave = append(x.Gave, name)
		}
	}
	given := d.holding(c, a.ID)
	for _, g := range c.Plan().Guardians {
		if slices.Contains(given, partyOf(g)) {
			x.Given = append(x.Given, g.Name)
		}
	}
	return x
}

// carried finds an activation of a key that all its contributors signed and that can still be carried out: the docket took it, and those who give and who follow are there.
func (d *Desk) carried(c sos.Case, key act.Key) (a act.Activation, ok bool) {
	for _, x := range d.doings(c) {
		away := func(name string) bool { return name != d.cfg.Operator && !d.cfg.Reachable(name) }
		if x.Key == key && x.Whole && !slices.ContainsFunc(slices.Concat(x.Contributors, x.Names()), away) {
			return x.Activation, true
		}
	}
	return a, false
}

// A Mute is a guardian whose support does not count, and why.
type Mute struct{ Guardian, Why string }

// mute are those of a request.
func mute(c sos.Case) (all []Mute) {
	for _, name := range c.Unheard() {
		all = append(all, Mute{name, "no --contact"})
	}
	return all
}

// shown is a request with what people need to know of it.
func (d *Desk) shown(c sos.Case, lacks []string) ShownCase {
	x := ShownCase{Case: c, Lacks: lacks, Mute: mute(c)}
	if c.State() == sos.Active || c.State() == sos.LockUp {
		x.Doings = d.doings(c)
	}
	return x
}

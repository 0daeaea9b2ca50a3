package review

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/custody/charter"
)

// checkPlan refuses of an SOS plan what its form allows and no node could carry out.
func checkPlan(v charter.Blueprint) error {
	r := v.Rescue
	if r == nil {
		return nil
	}
	if r.Chain != "" { // its delay would never begin
		return fmt.Errorf("vault %s: rescue: height: no node of this release counts blocks of %s during a delay: leave it out", v.Name, r.Chain)
	}
	for _, c := range r.Calls {
		if !chain.ReadsBlocks(c.Chain) {
			return fmt.Errorf("vault %s: rescue: call %s: chain: no node decodes calls on %s", v.Name, c.Name, c.Chain)
		}
	}
	return nil
}

// enoughOrganisations are those of which guardians should be, so that no two firms bring about a rescue.
const enoughOrganisations = 3

// notes say what an SOS plan leaves open: nothing that a charter may not say, but what its authors should have meant.
func notes(d charter.Document, v charter.Blueprint) (out []string) {
	r := v.Rescue
	if r == nil {
		return nil
	}
	note := func(format string, args ...any) { out = append(out, "rescue: "+fmt.Sprintf(format, args...)) }
	if !r.Planned() {
		note("no triggers are listed, so this is no plan: SOS NOT READY. `ostraka charter init` writes one with its defaults")
		return out
	}
	of := map[string]bool{}
	for _, g := range d.Guardians {
		of[g.Organisation] = true
	}
	switch {
	case len(of) < enoughOrganisations:
		note("the %d guardians are of %d organisations; with fewer than %d, few firms bring a rescue about", len(d.Guardians), len(of), enoughOrganisations)
	case r.Organisations < enoughOrganisations:
		note("guardians of %d organisations may declare; %d are usual", r.Organisations, enoughOrganisations)
	}
	for _, g := range d.Guardians {
		for _, name := range v.Committee {
			if d.Bound(g, name) {
				note("guardian %s shares a person or an organisation with operator %s: it does not count in a rescue from %s, and who holds one of the two holds both", g.Name, name, name)
			}
		}
	}
	for _, on := range v.Chains {
		if !slices.ContainsFunc(r.Destinations, func(x charter.Destination) bool { return x.Chain == on }) {
			note("no destination on %s: what lies there cannot be swept, only its key be moved to a new committee", on)
		}
	}
	for _, t := range r.Triggers {
		if t.After != 0 && t.After < 2*d.Heartbeat {
			note("trigger %s: after %s is less than two heartbeats (%s each): a node that is late would count as gone", t.Name, t.After, d.Heartbeat)
		}
	}
	if r.Operators == 1 {
		note("one live operator helps, so every operator holds the same mask: any of them and %d guardians suffice after the delay", r.Guardians)
	}
	if len(r.Successors) == 0 {
		note("no successors: who is left, %d operators, makes the new committee, and the lock-up ends only when an officer of each of them releases it early, never by time", r.Operators)
	}
	if who := d.Unbacked(r.Successors); len(who) > 0 {
		note("successors without a place of level export or paper: %s: once they hold a share they can keep no backup of it, and no charter is signed before the emergency is CLOSED: add the places now", strings.Join(who, ", "))
	}
	return out
}

package review

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
)

// vendors are those whose name a place's hardware should have, of each kind that is one maker's.
var vendors = map[string][]string{charter.KindSEVSNP: {"amd"}, charter.KindTDX: {"intel"}, charter.KindNitro: {"aws", "amazon"}}

// attestNotes say what a charter's demands for evidence of hardware leave open in a vault: nothing that it may not say.
func attestNotes(d charter.Document, v charter.Blueprint) (out []string) {
	if len(d.Demands) == 0 {
		return nil
	}
	note := func(format string, args ...any) { out = append(out, "attest: "+fmt.Sprintf(format, args...)) }
	var free, bound []string
	for _, name := range v.Committee {
		x, demanded := d.Demand(name)
		if !demanded {
			free = append(free, name)
			continue
		}
		bound = append(bound, name)
		for _, h := range x.Hardware {
			for _, m := range h.Measurements {
				if !m.Boots() {
					note("measurement %s of operator %s lists none of the PCRs 0 to 7: it does not show what was booted, and another system can make the rest look so", m.Name, name)
				}
			}
		}
		o, _ := d.Station(name)
		for _, p := range o.Places {
			if p.Level == charter.Replica && !made(x, p.Hardware) {
				note("operator %s must show %s, and its place %s has hardware of %s", name, kindsOf(x), p.Name, p.Hardware)
			}
		}
	}
	if n := len(free); n >= v.Threshold && len(bound) > 0 {
		note("%s need show nothing, and %d of them sign alone: who takes their machines over needs none that shows what it runs", strings.Join(free, ", "), v.Threshold)
	}
	if v.Rescue == nil || len(bound) == 0 {
		return out
	}
	for _, name := range v.Rescue.Successors {
		if _, demanded := d.Demand(name); !demanded && !slices.Contains(v.Committee, name) {
			note("successor %s need show nothing, and may take the place of who must", name)
		}
	}
	return out
}

// made says whether a machine of this vendor can show any of what is demanded.
func made(x charter.Demand, hardware string) bool {
	return slices.ContainsFunc(x.Hardware, func(h charter.Hardware) bool {
		names, one := vendors[h.Kind]
		return !one || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(strings.ToLower(hardware), n) })
	})
}

func kindsOf(x charter.Demand) string {
	var all []string
	for _, h := range x.Hardware {
		all = append(all, h.Kind)
	}
	return strings.Join(all, " or ")
}

package sos

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
)

// A Shelf is what a node found out about its backups, as of now.
type Shelf struct {
	Keys      []act.Key             // of the vault, in the epochs in force
	Holders   map[[32]byte][]string // of each key, the committee in force; of a key without, the plan's
	Guardians []act.Key             // for which the whole guardian set verified, unopened, in that epoch
	Bundles   map[string][]act.Key  // by operator: for which its own bundle, share and mask, is known to be there
	Masked    []act.Key             // for which this node holds its own mask
	Drilled   map[string]time.Time  // by guardian: when they last proved that they can open theirs
	Restored  map[string]time.Time  // by operator: when its bundle was last restored in a drill
	Unshown   []string              // operators of the plan, and successors, whose nodes have not shown this one what the charter demands of their machines
}

// A Missing is something that SOS needs, and what to do about it.
type Missing struct {
	What, Do string
	Stops    bool // a declaration could come to nothing; else it is overdue, and said loudly everywhere
	Drill    bool // a drill is overdue
}

// Ready says what is missing for ARMED; nothing: ARMED. What is overdue makes a vault NOT READY, but stops no declaration: when it is
// needed, an old drill is better than none.
func Ready(p plan.Plan, s Shelf, now time.Time) (missing []Missing) {
	add := func(stops bool, what, do string, args ...any) {
		missing = append(missing, Missing{What: what, Do: fmt.Sprintf(do, args...), Stops: stops})
	}
	if err := p.Validate(); err != nil {
		add(true, err.Error(), "amend the charter: \"ostraka charter amend\"")
		return missing
	}
	if len(s.Keys) == 0 {
		add(true, "the vault has no key", "make one: \"ostraka vault create\"")
	}
	for _, k := range s.Keys {
		name := fmt.Sprintf("key %x", k.Key[:6])
		if !slices.Contains(s.Guardians, k) {
			add(true, name+": its guardians' values are not verified for the epoch in force", "run \"ostraka backup verify\"; if they are missing, \"ostraka vault refresh\" makes them anew")
		}
		if !slices.Contains(s.Masked, k) {
			add(true, name+": this node has no mask for the epoch in force", "\"ostraka vault refresh\" makes shares and masks anew")
		}
		holders, known := s.Holders[k.Key]
		if !known {
			holders = names(p.Operators, func(o plan.Operator) string { return o.Name })
		}
		for _, o := range holders {
			if !slices.Contains(s.Bundles[o], k) {
				add(false, name+": no backup of "+o+", with its mask, is known for the epoch in force", "have %s run \"ostraka backup cut --level export --place PLACE --recipient age1pq1… --to FOLDER\"", o)
			}
		}
	}
	drill := func(what, do string) { missing = append(missing, Missing{What: what, Do: do, Drill: true}) }
	if late := overdue(p, s.Drilled, names(p.Guardians, func(g plan.Guardian) string { return g.Name }), now); len(late) > 0 {
		drill("no drill in date of guardians "+strings.Join(late, ", "), "have each run \"ostraka backup drill --key FILE\", which takes a minute and reveals nothing")
	}
	if late := overdue(p, s.Restored, names(p.Operators, func(o plan.Operator) string { return o.Name }), now); len(late) > 0 {
		drill("no restore drill in date of operators "+strings.Join(late, ", "), "have each run \"ostraka backup drill EXPORT --identity FILE\"")
	}
	for _, name := range s.Unshown {
		add(false, name+" has not shown what its node runs on, and the charter demands it: an emergency goes on with it all the same, and every log says so", "\"ostraka doctor\" there says what is missing")
	}
	if len(p.Destinations) == 0 {
		add(false, "the plan names no rescue address: nothing could be swept, and in LOCK-UP the vault signs nothing", "amend the charter: register one")
	}
	for _, o := range p.Operators {
		if why := p.Loss(o.Name); why != "" {
			add(false, "the loss of "+o.Name+" could not be answered: "+why, "amend the charter: its guardians and operators share too much")
		}
	}
	return missing
}

// StateOf is the state of the whole vault: that of the open case, or of the last that closed nothing; else what Ready says.
func (d Docket) StateOf(missing []Missing) State {
	if c, ok := d.Open(); ok {
		return c.state
	}
	if len(missing) > 0 {
		return NotReady
	}
	return Armed
}

// more counts what is missing, in words.
func more(n int, one, several string) string {
	if n == 1 {
		return "1 more " + one
	}
	return fmt.Sprintf("%d more %s", n, several)
}

// whole rounds a span up to seconds, for people: nothing that still runs is shown as over.
func whole(d time.Duration) time.Duration { return (d + time.Second - 1).Truncate(time.Second) }

func names[T any](all []T, name func(T) string) (out []string) {
	for _, x := range all {
		out = append(out, name(x))
	}
	return out
}

func overdue(p plan.Plan, done map[string]time.Time, all []string, now time.Time) (late []string) {
	for _, name := range all {
		if at, ok := done[name]; !ok || now.Sub(at) > p.DrillEvery || at.Sub(now) > act.Skew {
			late = append(late, name)
		}
	}
	return late
}

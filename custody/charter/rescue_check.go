package charter

import (
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

// checkRescue: with t operators alive nobody needs guardians; and k guardians must not be all, or one of them could stop a rescue.
func (v Blueprint) checkRescue(d Document) error {
	if v.Rescue == nil {
		return nil
	}
	r, m := *v.Rescue, len(d.Guardians)
	if r.Operators < 1 || r.Operators >= v.Threshold {
		return fmt.Errorf("rescue: %d operators; it must be 1 to %d", r.Operators, v.Threshold-1)
	}
	if r.Guardians < 2 || r.Guardians >= m {
		return fmt.Errorf("rescue: %d of %d guardians; it must be 2 to %d", r.Guardians, m, m-1)
	}
	if !r.Planned() {
		if !reflect.DeepEqual(r, Rescue{Operators: r.Operators, Guardians: r.Guardians}) {
			return errors.New("rescue: triggers: none is listed: a plan that begins on no occasion protects nothing")
		}
		return nil
	}
	for _, check := range []func(Document, Blueprint) error{r.checkCards, r.checkTriggers, r.checkStart, r.checkTimes, r.checkSuccessors, r.checkDestinations, r.checkCaps, r.checkCalls, r.checkTranches, r.checkServed} {
		if err := check(d, v); err != nil {
			return fmt.Errorf("rescue: %w", err)
		}
	}
	return nil
}

// checkCards: an epoch without a full set of guardians' values is never committed, and a value can be encrypted to a card alone.
func (r Rescue) checkCards(d Document, v Blueprint) error {
	// Every epoch encrypts to each guardian t times, in one write of a node's store (spec/guard 1.5).
	if n := v.Threshold * len(d.Guardians); n > MaxEncryptions {
		return fmt.Errorf("guardians: %d of them with a threshold of %d are %d encryptions in every epoch, at most %d are allowed", len(d.Guardians), v.Threshold, n, MaxEncryptions)
	}
	var without []string
	for _, g := range d.Guardians {
		if g.Card.IsZero() {
			without = append(without, g.Name)
		}
	}
	if len(without) > 0 {
		return fmt.Errorf("guardians: no card of %s: each makes one with `ostraka guardian init` and sends you the line that it prints", strings.Join(without, ", "))
	}
	return nil
}

// check holds a time to whole seconds within its bounds; a drill's may be as short as least says.
func (s span) check(what string, t time.Duration, drill bool, least time.Duration) error {
	floor := s.least
	if drill {
		floor = least
	}
	if t < floor || t > s.most || t%time.Second != 0 {
		return fmt.Errorf("%s: %s is not whole seconds from %s to %s; only a drill's may be shorter", what, t, s.least, s.most)
	}
	return nil
}

func (r Rescue) checkTriggers(d Document, _ Blueprint) error {
	if err := ascending(r.Triggers, func(t Trigger) string { return t.Name }); err != nil {
		return fmt.Errorf("triggers: %w", err)
	}
	for _, t := range r.Triggers {
		// S1: no delay, or one in another unit, would end the time in which a rescue can be seen and stopped.
		delays, known := delaySpans[t.Name]
		if !known {
			return fmt.Errorf("trigger: %q is not below-threshold, compromise, legal, refusal or silence", t.Name)
		}
		if err := delays.check("trigger "+t.Name+": delay", t.Delay, d.Drill, time.Second); err != nil {
			return err
		}
		lasting := t.Name == TriggerSilence || t.Name == TriggerRefusal
		switch {
		case !lasting && t.After != 0:
			return fmt.Errorf("trigger %s: after: only silence and refusal last for a time before they count", t.Name)
		case lasting:
			if err := afterSpan.check("trigger "+t.Name+": after", t.After, d.Drill, time.Second); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkStart: fewer than k starters would be a lower bar to declare than to carry out; all of them would let one guardian stop every rescue.
func (r Rescue) checkStart(d Document, _ Blueprint) error {
	m, of := len(d.Guardians), d.organisationsOf(d.Guardians)
	if r.Starters < r.Guardians || r.Starters >= m {
		return fmt.Errorf("starters: %d of %d guardians; it must be %d to %d", r.Starters, m, r.Guardians, m-1)
	}
	if most := min(r.Starters, of); r.Organisations < 1 || r.Organisations > most {
		return fmt.Errorf("organisations: %d; it must be 1 to %d: the %d guardians are of %d organisations, and %d of them declare", r.Organisations, most, m, of, r.Starters)
	}
	return nil
}

func (d Document) organisationsOf(guardians []Guard) int {
	of := map[string]bool{}
	for _, g := range guardians {
		of[g.Organisation] = true
	}
	return len(of)
}

func (r Rescue) checkTimes(d Document, _ Blueprint) error {
	if err := windowSpan.check("window", r.Window, d.Drill, time.Second); err != nil {
		return err
	}
	if err := lockUpSpan.check("lock-up", r.LockUp, d.Drill, time.Second); err != nil {
		return err
	}
	if err := drillSpan.check("drill-every", r.DrillEvery, d.Drill, time.Minute); err != nil {
		return err
	}
	if (r.Chain == "") != (r.Blocks == 0) {
		return errors.New("height: a chain and a number of blocks stand together, or neither does")
	}
	if r.Chain == "" {
		return nil
	}
	if err := statement.CheckChain(r.Chain); err != nil {
		return fmt.Errorf("height: chain: %w", err)
	}
	if r.Blocks < 1 || r.Blocks > statement.MaxBlocks {
		return fmt.Errorf("height: blocks: %d is not 1 to %d", r.Blocks, statement.MaxBlocks)
	}
	return nil
}

// checkSuccessors: a key whose new committee could not be made would be rescued into nothing.
func (r Rescue) checkSuccessors(d Document, v Blueprint) error {
	if len(r.Successors) > statement.MaxOperators {
		return fmt.Errorf("successors: %d are listed, at most %d are allowed", len(r.Successors), statement.MaxOperators)
	}
	if err := ascending(r.Successors, same); err != nil {
		return fmt.Errorf("successors: %w", err)
	}
	fresh := 0
	for _, name := range r.Successors {
		if _, ok := d.Station(name); !ok {
			return fmt.Errorf("successors: %s is no operator of the charter: list it there with its places first", name)
		}
		if !slices.Contains(v.Committee, name) {
			fresh++
		}
	}
	// Those of the committee may be the ones that are gone.
	if sure := r.Operators + fresh; r.Least < 2 || r.Least > sure || r.Least > statement.MaxOperators {
		if sure < 2 {
			return fmt.Errorf("successors: %d live operator and none from outside the committee make no committee of 2: name a successor, or ask for more live operators", r.Operators)
		}
		return fmt.Errorf("least-threshold: %d; it must be 2 to %d: so many are sure to be there, %d live operators and %d successors from outside the committee", r.Least, sure, r.Operators, fresh)
	}
	return nil
}

func (r Rescue) checkDestinations(d Document, v Blueprint) error {
	if n := len(r.Destinations); n > statement.MaxDestinations {
		return fmt.Errorf("destinations: %d are listed, at most %d are allowed", n, statement.MaxDestinations)
	}
	if err := ascending(r.Destinations, func(x Destination) string { return x.Name }); err != nil {
		return fmt.Errorf("destinations: %w", err)
	}
	seen := map[string]string{}
	for _, x := range r.Destinations {
		if err := labels(x.Name); err != nil {
			return fmt.Errorf("destination %s: %w", x.Name, err)
		}
		if !slices.Contains(v.Chains, x.Chain) {
			return fmt.Errorf("destination %s: chain: %q is not one that the vault signs for", x.Name, x.Chain)
		}
		if err := statement.CheckText(x.Address, 128); err != nil {
			return fmt.Errorf("destination %s: address: %w", x.Name, err)
		}
		key := x.Chain + " " + strings.ToLower(x.Address)
		if other, ok := seen[key]; ok {
			return fmt.Errorf("destination %s: its address is %s's too", x.Name, other)
		}
		seen[key] = x.Name
		if x.Vault == "" {
			continue
		}
		to, ok := d.Vault(x.Vault)
		switch {
		case !ok:
			return fmt.Errorf("destination %s: vault: %s is not in the charter", x.Name, x.Vault)
		case x.Vault == v.Name: // what takes the vault's key takes the refuge with it
			return fmt.Errorf("destination %s: vault: %s is the one that is to be rescued", x.Name, x.Vault)
		case !slices.Contains(to.Chains, x.Chain):
			return fmt.Errorf("destination %s: vault: %s does not sign for %s: what is sent there could never leave", x.Name, x.Vault, x.Chain)
		}
	}
	return nil
}

// checkAsset: a bound on an asset that the vault cannot hold would bound nothing.
func (d Document) checkAsset(v Blueprint, name string) error {
	i := slices.IndexFunc(d.Assets, func(a Asset) bool { return a.Name == name })
	if i < 0 {
		return fmt.Errorf("asset %q is not in the charter", name)
	}
	if !slices.Contains(v.Chains, d.Assets[i].Chain) {
		return fmt.Errorf("asset %s is on %s, which the vault does not sign for", name, d.Assets[i].Chain)
	}
	return nil
}

func (r Rescue) checkCaps(d Document, v Blueprint) error {
	if err := ascending(r.Caps, func(c Cap) string { return c.Asset }); err != nil {
		return fmt.Errorf("caps: %w", err)
	}
	for _, c := range r.Caps {
		if err := d.checkAsset(v, c.Asset); err != nil {
			return fmt.Errorf("caps: %w", err)
		}
		if c.Most < 1 {
			return fmt.Errorf("cap %s: most: %d policy units; it must be 1 at least", c.Asset, c.Most)
		}
	}
	return nil
}

func (r Rescue) checkCalls(_ Document, v Blueprint) error {
	if n := len(r.Calls); n > statement.MaxCalls {
		return fmt.Errorf("calls: %d are listed, at most %d are allowed", n, statement.MaxCalls)
	}
	if err := ascending(r.Calls, func(c Call) string { return c.Name }); err != nil {
		return fmt.Errorf("calls: %w", err)
	}
	seen := map[string]string{}
	for _, c := range r.Calls {
		if err := labels(c.Name); err != nil {
			return fmt.Errorf("call %s: %w", c.Name, err)
		}
		if !slices.Contains(v.Chains, c.Chain) {
			return fmt.Errorf("call %s: chain: %q is not one that the vault signs for", c.Name, c.Chain)
		}
		if err := statement.CheckText(c.To, 128); err != nil {
			return fmt.Errorf("call %s: to: %w", c.Name, err)
		}
		if n := len(c.Data); n < 4 || n > statement.MaxCallData {
			return fmt.Errorf("call %s: data: %d bytes; a selector and arguments are 4 to %d", c.Name, n, statement.MaxCallData)
		}
		if c.Times < 1 || c.Times > statement.MaxTimes {
			return fmt.Errorf("call %s: times: %d is not 1 to %d", c.Name, c.Times, statement.MaxTimes)
		}
		// One call under two names would be made twice as often as either says.
		key := fmt.Sprintf("%s %s %x", c.Chain, strings.ToLower(c.To), c.Data)
		if other, ok := seen[key]; ok {
			return fmt.Errorf("call %s: it is %s by another name", c.Name, other)
		}
		seen[key] = c.Name
	}
	return nil
}

func (r Rescue) checkTranches(d Document, v Blueprint) error {
	if err := ascending(r.Tranches, func(t Tranche) string { return t.Asset }); err != nil {
		return fmt.Errorf("tranches: %w", err)
	}
	for _, t := range r.Tranches {
		if err := d.checkAsset(v, t.Asset); err != nil {
			return fmt.Errorf("tranches: %w", err)
		}
		if t.Most < 1 {
			return fmt.Errorf("tranche %s: most: %d policy units; it must be 1 at least", t.Asset, t.Most)
		}
		if err := trancheSpan.check("tranche "+t.Asset+": every", t.Every, d.Drill, time.Second); err != nil {
			return err
		}
		if t.Count < 1 || t.Count > statement.MaxTranches {
			return fmt.Errorf("tranche %s: count: %d is not 1 to %d", t.Asset, t.Count, statement.MaxTranches)
		}
	}
	return nil
}

// checkServed refuses a trigger that the plan cannot serve. A rescue is from n − t + 1 operators that are gone or accused: with fewer gone
// an ordinary reshare does it; with more, r ≤ t − 1 live ones may still be left. Whichever they are, enough guardians must be left that
// share no person and no organisation with them, for those do not count.
func (r Rescue) checkServed(d Document, v Blueprint) error {
	bound := map[string]uint32{} // of operators with such guardians: which, by bit
	for _, name := range v.Committee {
		for i, g := range d.Guardians {
			if d.Bound(g, name) {
				bound[name] |= 1 << i
			}
		}
	}
	var names []string
	for _, name := range v.Committee {
		if bound[name] != 0 {
			names = append(names, name)
		}
	}
	return r.without(d, names, bound, len(v.Committee)-v.Threshold+1, 0, nil)
}

// without takes up to so many of these operators away, in every way, and asks what is left.
func (r Rescue) without(d Document, names []string, bound map[string]uint32, most int, gone uint32, who []string) error {
	if most > 0 {
		for i, name := range names {
			if err := r.without(d, names[i+1:], bound, most-1, gone|bound[name], append(slices.Clone(who), name)); err != nil {
				return err
			}
		}
	}
	if most > 0 && len(names) > 0 {
		return nil // one more was taken away
	}
	var left []Guard
	for i, g := range d.Guardians {
		if gone&(1<<i) == 0 {
			left = append(left, g)
		}
	}
	for _, t := range r.Triggers {
		need, of := r.Starting(t.Name, len(d.Guardians)), d.organisationsOf(left)
		if len(left) < need || of < r.Organisations {
			return fmt.Errorf("trigger %s: cannot be served where %s %s gone or accused: %d guardians share a person or organisation with them and do not count; of the others, %d of %d organisations, it takes %d of %d. Ask guardians of other organisations, or leave the trigger out",
				t.Name, strings.Join(who, " and "), isAre(who), bits.OnesCount32(gone), len(left), of, need, r.Organisations)
		}
	}
	return nil
}

func isAre(who []string) string {
	if len(who) == 1 {
		return "is"
	}
	return "are"
}

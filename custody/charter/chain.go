package charter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Chain is all versions of a circle's roster, version 0 first. Values never change; Next
// makes a new one.
type Chain []Roster

// Newest is the roster in force; the zero Roster if there is none.
func (c Chain) Newest() Roster {
	if len(c) == 0 {
		return Roster{}
	}
	return c[len(c)-1]
}

// Version finds a version by its id.
func (c Chain) Version(id statement.ID) (Roster, bool) {
	i := slices.IndexFunc(c, func(r Roster) bool { return r.ID == id })
	if i < 0 {
		return Roster{}, false
	}
	return c[i], true
}

// Operator finds an operator by name over all versions, as the newest that lists it has it.
// A name is one identity for ever (CheckNext), so there is one answer.
func (c Chain) Operator(name string) (Operator, bool) {
	for _, r := range slices.Backward(c) {
		if o, ok := r.Operator(name); ok {
			return o, true
		}
	}
	return Operator{}, false
}

// Identity finds an operator by its node's identity over all versions.
func (c Chain) Identity(key []byte) (Operator, bool) {
	for _, r := range slices.Backward(c) {
		for _, o := range r.Operators {
			if slices.Equal(o.Identity, key) {
				return o, true
			}
		}
	}
	return Operator{}, false
}

// Reach is where operators of a vault under charter version id are looked up: the founding ones as
// that version lists them, and, as their newest version does, those who came later and whom a
// change of the committee may have brought in. It is no roster that anybody signed, and may list
// more operators than one may.
func (c Chain) Reach(id statement.ID) (Roster, bool) {
	r, ok := c.Version(id)
	if !ok {
		return Roster{}, false
	}
	r.Operators = slices.Clone(r.Operators)
	for _, later := range c[r.Version+1:] {
		for _, o := range later.Operators {
			if _, founding := c[r.Version].Operator(o.Name); founding {
				continue
			}
			r.Operators = slices.DeleteFunc(r.Operators, func(x Operator) bool { return x.Name == o.Name })
			r.Operators = append(r.Operators, o)
		}
	}
	return r.sorted(), true
}

// At is a version with the operators that a vault was held by then, should one have left the roster before its share did: as the last version before lists it. What
// came later changes nothing of it.
func (c Chain) At(id statement.ID, committee []string) (Roster, bool) {
	r, ok := c.Version(id)
	if !ok {
		return Roster{}, false
	}
	r.Operators = slices.Clone(r.Operators)
	for _, name := range committee {
		if _, in := r.Operator(name); in {
			continue
		}
		if o, once := c[:r.Version].Operator(name); once {
			r.Operators = append(r.Operators, o)
		}
	}
	return r.sorted(), true
}

// CheckNext says whether next may follow the newest version, as far as it can be said without
// signatures: the number and the id before it, the circle's name, and that names, identities and
// officers' keys stay whose they were in any version. Of an operator that stays, address, entity
// and officers may change: one of the officers that it had must sign (Acceptance).
func (c Chain) CheckNext(next Roster) error {
	if err := next.Validate(); err != nil {
		return err
	}
	if len(c) == 0 {
		if next.Version != 0 {
			return fmt.Errorf("roster: version: %d cannot be the first", next.Version)
		}
		return nil
	}
	last := c.Newest()
	switch {
	case next.Version != last.Version+1:
		return fmt.Errorf("roster: version: is %d, %d follows", next.Version, last.Version+1)
	case next.Previous != last.ID:
		return fmt.Errorf("roster: previous: is %s, version %d is %s", next.Previous.Short(), last.Version, last.ID.Short())
	case next.Circle != last.Circle:
		return fmt.Errorf("roster: circle: is %q, the circle's name is %q", next.Circle, last.Circle)
	case next.Created.Before(last.Created):
		return fmt.Errorf("roster: created: is %s, version %d was made at %s", statement.FormatTime(next.Created), last.Version, statement.FormatTime(last.Created))
	}
	for _, r := range c {
		for _, was := range r.Operators {
			for _, o := range next.Operators {
				if err := sameOwner(was, o); err != nil {
					return fmt.Errorf("roster: operator %s: %w in version %d", o.Name, err, r.Version)
				}
			}
		}
	}
	return nil
}

// sameOwner compares an operator of some version with one of the next.
func sameOwner(was, o Operator) error {
	same := was.Identity.Equal(o.Identity)
	switch {
	case was.Name == o.Name && !same:
		// Vaults name operators: another node would take the seat of the old one.
		return errors.New("identity: is another than it was")
	case was.Name != o.Name && same:
		// One share would come back as two seats.
		return fmt.Errorf("identity: was that of operator %s", was.Name)
	}
	for _, k := range o.Officers {
		// Which operator signed follows from the key, also in older versions.
		if was.Name != o.Name && slices.ContainsFunc(was.Officers, k.Equal) {
			return fmt.Errorf("officer: %s was one of operator %s", k.Fingerprint(), was.Name)
		}
	}
	return nil
}

// An Acceptance is whose consent a roster needs.
type Acceptance struct {
	// Required are all operators of the roster: by the officers that the version before lists for
	// those who stay (nobody changes its officers and signs with the new ones in the same breath), by
	// the roster's own for those who come.
	Required []Acceptor
	// Leaving are those of the version before that it does not list. All but Silent of them must sign.
	Leaving []Acceptor
	Silent  int
}

// All lists everybody who may sign.
func (a Acceptance) All() []Acceptor { return slices.Concat(a.Required, a.Leaving) }

// Acceptance says whose consent a roster needs that follows this chain.
func (c Chain) Acceptance(next Roster) (Acceptance, error) {
	if err := c.CheckNext(next); err != nil {
		return Acceptance{}, err
	}
	last := c.Newest()
	var out Acceptance
	for _, o := range next.Operators {
		if was, ok := last.Operator(o.Name); ok {
			o = was
		}
		out.Required = append(out.Required, Acceptor{o.Name, o.Officers})
	}
	for _, o := range last.Operators {
		if _, stays := next.Operator(o.Name); !stays {
			out.Leaving = append(out.Leaving, Acceptor{o.Name, o.Officers})
		}
	}
	// Of two operators each could replace the other: there, nobody leaves without its word.
	if len(last.Operators) > 2 {
		out.Silent = 1
	}
	return out, nil
}

// Missing lists the operators whose signatures a roster lacks still.
func (a Acceptance) Missing(x Accepted) []string {
	out := x.Missing(a.Required)
	if left := x.Missing(a.Leaving); len(left) > a.Silent {
		out = append(out, left...)
	}
	return out
}

// Verify checks every signature of a roster anew: that nobody's is missing and nobody else signed.
func (a Acceptance) Verify(x Accepted) error {
	if missing := a.Missing(x); len(missing) > 0 {
		return fmt.Errorf("%s: %w: missing %v", x.name(), ErrNotAccepted, missing)
	}
	by := slices.Clone(a.Required)
	for _, who := range a.Leaving {
		if _, signed := x.Signatures[who.Operator]; signed {
			by = append(by, who)
		}
	}
	return x.Verify(by)
}

// Next verifies an accepted roster that follows and appends it.
func (c Chain) Next(x Accepted) (Chain, error) {
	r, err := RosterOf(x.Statement)
	if err != nil {
		return nil, err
	}
	a, err := c.Acceptance(r)
	if err == nil {
		err = a.Verify(x)
	}
	if err != nil {
		return nil, fmt.Errorf("version %d of the roster: %w", r.Version, err)
	}
	return append(slices.Clone(c), r), nil
}

// Current says whether a key is one of an operator's officers now: an officer's key that was taken
// out of the roster signs nothing new, whatever older version a vault stands under.
func (c Chain) Current(operator string, k signet.Key) bool {
	o, ok := c.Newest().Operator(operator)
	return ok && slices.ContainsFunc(o.Officers, k.Equal)
}

// SameOperator says whether two entries of an operator say the same.
func SameOperator(a, b Operator) bool {
	return a.Name == b.Name && a.Entity == b.Entity && a.Address == b.Address && a.Identity.Equal(b.Identity) &&
		slices.Equal(keyLines(sortedKeys(a.Officers)), keyLines(sortedKeys(b.Officers)))
}

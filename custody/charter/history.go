package charter

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/statement"
)

// A History is all versions of a circle's charter that were in force, version 0 first. Values never change; Next makes a new one.
type History []Charter

// Newest is the version in force; ok is false while there is none.
func (h History) Newest() (c Charter, ok bool) {
	if len(h) == 0 {
		return c, false
	}
	return h[len(h)-1], true
}

// Version finds a version by its id.
func (h History) Version(id statement.ID) (Charter, bool) {
	i := slices.IndexFunc(h, func(c Charter) bool { return c.ID == id })
	if i < 0 {
		return Charter{}, false
	}
	return h[i], true
}

// CheckNext says whether next may follow the newest version, as far as it can be said without signatures: its number and the id before
// it, that the roster which it names is known and no older than the one before it named, and that what is for ever stays: the circle's
// name, whether it is a drill, an operator's identity, and whose a key is.
func (h History) CheckNext(next Charter, rosters Chain) error {
	if err := next.Validate(); err != nil {
		return err
	}
	r, known := rosters.Version(next.Roster)
	if !known {
		return fmt.Errorf("charter: roster: %s is no version of this circle's roster", next.Roster.Short())
	}
	if _, err := next.Acceptors(r); err != nil {
		return err
	}
	last, ok := h.Newest()
	if !ok {
		if next.Version != 0 {
			return fmt.Errorf("charter: version: %d cannot be the first", next.Version)
		}
		return nil
	}
	before, _ := rosters.Version(last.Roster)
	switch {
	case next.Version != last.Version+1:
		return fmt.Errorf("charter: version: is %d, %d follows", next.Version, last.Version+1)
	case next.Previous != last.ID:
		return fmt.Errorf("charter: previous: is %s, version %d is %s", next.Previous.Short(), last.Version, last.ID.Short())
	case next.Circle != last.Circle:
		return fmt.Errorf("charter: circle: is %q, the circle's name is %q", next.Circle, last.Circle)
	case next.Drill != last.Drill:
		return fmt.Errorf("charter: drill: is %s, it was %s: found another circle", yesNo(next.Drill), yesNo(last.Drill))
	case next.Created.Before(last.Created):
		return fmt.Errorf("charter: created: is %s, version %d was made at %s", statement.FormatTime(next.Created), last.Version, statement.FormatTime(last.Created))
	case r.Version < before.Version:
		return fmt.Errorf("charter: roster: is version %d, the version before names %d", r.Version, before.Version)
	}
	return h.sameOwners(next)
}

// sameOwners: a key that was somebody's is never another's, or what they signed would count as signed by another.
func (h History) sameOwners(next Charter) error {
	for _, was := range h {
		for _, p := range was.People {
			for _, k := range p.Keys {
				if now, ok := next.Owner(k); ok && now.Name != p.Name {
					return fmt.Errorf("charter: person %s: key %s was %s's in version %d", now.Name, k.Fingerprint(), p.Name, was.Version)
				}
			}
		}
		for _, o := range was.Operators {
			if is, ok := next.Station(o.Name); ok && !is.Identity.Equal(o.Identity) {
				return fmt.Errorf("charter: operator %s: identity: is another than in version %d", o.Name, was.Version)
			}
		}
		if err := sameHolders(was, next); err != nil {
			return err
		}
	}
	return nil
}

// sameHolders: nor is a guardian's key ever another guardian's. Old values stay readable to whoever holds the key that they are encrypted to.
func sameHolders(was, next Charter) error {
	for _, old := range was.Guardians {
		if old.Card.IsZero() {
			continue
		}
		if key, err := old.Card.Key(); err != nil {
			return err
		} else if now, ok := next.Owner(key); ok {
			return fmt.Errorf("charter: person %s: key %s was guardian %s's in version %d", now.Name, key.Fingerprint(), old.Name, was.Version)
		}
		for _, g := range next.Guardians {
			if g.Person != old.Person && !g.Card.IsZero() && (g.Card.Signing().Equal(old.Card.Signing()) || g.Card.Encryption() == old.Card.Encryption()) {
				return fmt.Errorf("charter: guardian %s: card: has a key that was %s's in version %d", g.Name, old.Person, was.Version)
			}
		}
	}
	for _, g := range next.Guardians {
		if g.Card.IsZero() {
			continue
		}
		if key, err := g.Card.Key(); err != nil {
			return err
		} else if h, ok := was.Owner(key); ok {
			return fmt.Errorf("charter: guardian %s: card: its signing key was person %s's in version %d", g.Name, h.Name, was.Version)
		}
	}
	return nil
}

// Next appends a version that was enacted, once it was verified.
func (h History) Next(e Enacted, rosters Chain) (History, error) {
	c, err := Of(e.Statement)
	if err == nil {
		err = h.CheckNext(c, rosters)
	}
	if err == nil {
		r, _ := rosters.Version(c.Roster)
		err = e.Verify(c, r)
	}
	if err != nil {
		return nil, fmt.Errorf("version %d of the charter: %w", c.Version, err)
	}
	return append(slices.Clone(h), c), nil
}

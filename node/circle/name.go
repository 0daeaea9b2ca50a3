package circle

import (
	"cmp"
	"slices"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// kindHearsay marks a vault that came whole when it had lost an officer: whether that one signed before or after, nobody can tell here.
const kindHearsay = "hearsay" // hearsay/<vault>: empty

// lost says whether some version of the roster after a vault's own lacks an operator of its committee, or an officer who could sign it there,
// or some later version of the charter has it otherwise. It asks rosters and charters alone, since nodes that heard different signatures must
// agree; and it is for good.
func (c *Circle) lost(v charter.Vault) bool {
	r, known := c.chain.Version(v.Roster)
	if !known {
		return false
	}
	history := c.cfg.History()
	if x, known := history.Version(v.Charter); known {
		for _, later := range history[x.Version+1:] {
			if !later.Lists(v) {
				return true
			}
		}
	}
	for _, name := range v.Committee {
		was, _ := r.Operator(name)
		for _, later := range c.chain[r.Version+1:] {
			is, in := later.Operator(name)
			if !in || slices.ContainsFunc(was.Officers, func(k signet.Key) bool { return !slices.ContainsFunc(is.Officers, k.Equal) }) {
				return true
			}
		}
	}
	return false
}

// after says whether a vault's statement stands under a later roster or charter than another's, and under no earlier one; apart, that it stands
// under a later one of the two and an earlier one of the other: nodes heard of the two in different orders.
func (c *Circle) after(later, v charter.Vault) (after, apart bool) {
	was, ok1 := c.chain.Version(v.Roster)
	is, ok2 := c.chain.Version(later.Roster)
	old, ok3 := c.cfg.History().Version(v.Charter)
	present, ok4 := c.cfg.History().Version(later.Charter)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return false, false
	}
	roster, terms := cmp.Compare(is.Version, was.Version), cmp.Compare(present.Version, old.Version)
	return min(roster, terms) >= 0 && max(roster, terms) > 0, roster*terms < 0
}

// yields says whether a vault's statement lets a later one have its name: no key of it is here or on its way, it has lost an officer,
// and it cannot have a key elsewhere that we do not know of (spec/circle 3.9).
func (c *Circle) yields(a charter.Accepted, later charter.Vault) bool {
	v, err := charter.VaultOf(a.Statement)
	if err != nil || v.Name != later.Name || c.cfg.Made(v.ID) {
		return false
	}
	if !c.told(later.ID) {
		return false // hearsay takes no name from anybody, other hearsay included
	}
	if c.hearsay[v.ID] {
		return true // which of the two is the later one is not the question
	}
	// Of two that stand apart, the one that has lost nothing is the later one.
	if after, apart := c.after(later, v); !c.lost(v) || !after && (!apart || c.lost(later)) {
		return false
	}
	if !c.complete(a) || slices.Contains(v.Committee, c.cfg.Own.Name) {
		return true
	}
	for _, name := range v.Committee {
		_, in := c.chain.Newest().Operator(name)
		if in && !slices.Contains(later.Committee, name) {
			return false // its node knows whether there is a key, and would not be asked
		}
	}
	return true
}

// sameName are the other vaults with a vault's name.
func (c *Circle) sameName(v charter.Vault) (out []charter.Accepted) {
	for _, id := range c.named[v.Name] {
		if id != v.ID {
			out = append(out, c.vaults[id])
		}
	}
	return out
}

// later is a statement that has taken a vault's name here: a complete one, or one that our officer signed.
func (c *Circle) later(a charter.Accepted) bool {
	if len(c.named[a.Statement.Get("name")]) < 2 {
		return false
	}
	v, err := charter.VaultOf(a.Statement)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(c.sameName(v), func(b charter.Accepted) bool {
		w, err := charter.VaultOf(b.Statement)
		_, ours := b.Signatures[c.cfg.Own.Name]
		return err == nil && c.yields(a, w) && (ours || c.complete(b))
	})
}

// signedLater says whether our officer signed a statement under a later version instead of one that has lost an officer: this node
// makes no key of the earlier one any more, whoever signs that still.
func (c *Circle) signedLater(v charter.Vault) bool {
	return len(c.named[v.Name]) > 1 && c.lost(v) && slices.ContainsFunc(c.sameName(v), func(b charter.Accepted) bool {
		_, ours := b.Signatures[c.cfg.Own.Name]
		w, err := charter.VaultOf(b.Statement)
		if !ours || err != nil {
			return false
		}
		// Of two that stand apart we make the one that has lost nothing; once both have, neither.
		after, apart := c.after(w, v)
		return after || apart
	})
}

// giveUp gives up the keys of what has a vault's name before our officer signs that vault. An error says that one of them is
// being made.
func (c *Circle) giveUp(v charter.Vault) error {
	for _, a := range c.sameName(v) {
		if c.yields(a, v) && c.complete(a) {
			if err := c.cfg.GiveUp(a.Statement.ID(), false); err != nil {
				return err
			}
		}
	}
	return nil
}

// told says whether we tell others of a vault: not of what we have by hearsay alone.
func (c *Circle) told(id statement.ID) bool { return !c.hearsay[id] || c.cfg.Made(id) }

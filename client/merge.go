package client

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/statement"
)

// MergeVaults compares what nodes show. A vault is ready when every answering node of its committee says so. For a moment
// after new shares some nodes may stand in the epoch before: keys must be alike, and so must the records of one epoch; the
// highest record counts.
func MergeVaults(answers Answers[[]Vault]) ([]Vault, error) {
	byID := map[statement.ID]*Vault{}
	shown := map[statement.ID]map[string][]Copy{}
	names := map[string][]Copy{}
	var apart []Vault
	holders := holdersOf(answers)
	for _, a := range answers {
		for _, v := range a.Value {
			if shown[v.ID] == nil {
				shown[v.ID] = map[string][]Copy{}
			}
			for _, r := range v.Roots {
				r.shown(a.Node, shown[v.ID])
			}
			names[v.Name] = append(names[v.Name], Copy{a.Node, []byte(v.ID.String())})
			if now := holders[v.ID]; len(now) > 0 && v.shownBy != "" {
				v.Apart = !slices.Contains(now, v.shownBy)
			}
			if v.Apart {
				apart = append(apart, v)
			} else if old := byID[v.ID]; old != nil {
				old.merge(v)
			} else {
				byID[v.ID] = &v
			}
		}
	}
	for _, v := range apart {
		if old := byID[v.ID]; old != nil {
			old.Nodes = append(old.Nodes, v.Nodes...)
		} else {
			byID[v.ID] = &v
		}
	}
	var out []Vault
	for id, v := range byID {
		for _, what := range slices.Sorted(maps.Keys(shown[id])) {
			if err := Compare(what+" of vault "+v.Name, shown[id][what]); err != nil {
				return nil, err
			}
		}
		v.short()
		out = append(out, *v)
	}
	all := slices.Clone(out)
	out = slices.DeleteFunc(out, func(v Vault) bool { return v.made() < proved && most(all, v.Name) == proved })
	for name, copies := range names {
		copies = slices.DeleteFunc(copies, func(c Copy) bool {
			return !slices.ContainsFunc(out, func(v Vault) bool { return v.ID.String() == string(c.Bytes) && v.made() > 0 })
		})
		if err := Compare("vault "+name, copies); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Vault) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// made is how far a vault has come: proved if a key of it is, 1 if nodes say that its statement has all signatures, 0 if some are missing. Of one
// name nodes may show statements of officers who did not wait for one another; once the key of one is proved, the others are nothing.
func (v Vault) made() int {
	switch {
	case slices.ContainsFunc(v.Roots, func(r Root) bool { return r.Record != nil }):
		return proved
	case v.State != Accepting:
		return 1
	}
	return 0
}

const proved = 2

// most is the furthest that a vault of a name has come.
func most(all []Vault, name string) (n int) {
	for _, v := range all {
		if v.Name == name {
			n = max(n, v.made())
		}
	}
	return n
}

// holdersOf lists the operators that hold the highest record of any key of a vault, as the answers prove it. Who held one before them, and has
// not heard of it because its operator left the circle, still calls itself a holder.
func holdersOf(answers Answers[[]Vault]) map[statement.ID][]string {
	highest := map[statement.ID]map[string]Root{}
	for _, a := range answers {
		for _, v := range a.Value {
			for _, r := range v.Roots {
				if highest[v.ID] == nil {
					highest[v.ID] = map[string]Root{}
				}
				if old := highest[v.ID][r.Suite]; r.Record != nil && (old.Record == nil || r.Record.Higher(old.Record)) {
					highest[v.ID][r.Suite] = r
				}
			}
		}
	}
	all := map[statement.ID][]string{}
	for id, roots := range highest {
		for _, r := range roots {
			all[id] = union(all[id], r.Held.Committee)
		}
	}
	return all
}

// shown adds what a node shows of a key to what all must say alike: the key, and which record its epoch has.
func (r Root) shown(node string, all map[string][]Copy) {
	if r.Record == nil {
		return
	}
	key := slices.Concat(r.Record.KeyID[:], r.Record.Public.Bytes(), r.Record.ChainCode[:])
	eh := r.Record.Hash()
	for what, b := range map[string][]byte{
		fmt.Sprintf("the %s key", r.Suite):                             key,
		fmt.Sprintf("epoch %d of the %s key", r.Record.Epoch, r.Suite): eh[:],
	} {
		all[what] = append(all[what], Copy{node, b})
	}
}

// by says whose node shows the vault: of shares, a node speaks for its own.
func (v *Vault) by(operator string) {
	v.shownBy = operator
	for i, r := range v.Roots {
		if r.State == Bare && operator != "" {
			v.Roots[i].Bare = []string{operator}
		}
	}
}

// merged is the state of two nodes. One without its share does not hold up the others (short).
func merged(state, lastError, otherState, otherError string) (string, string) {
	switch {
	case otherState == Bare:
		return state, lastError
	case state == Bare:
		return otherState, otherError
	case otherState != Ready:
		state = otherState
	}
	if lastError == "" {
		lastError = otherError
	}
	return state, lastError
}

// short says that a key is not ready where fewer nodes hold shares than are needed.
func (v *Vault) short() {
	for i, r := range v.Roots {
		if len(r.Bare) > 0 && len(r.Held.Committee)-len(r.Bare) < r.Held.Threshold {
			v.Roots[i].State, v.State = Bare, Bare
		}
	}
}

// merge adds another node's view of the same vault.
func (v *Vault) merge(o Vault) {
	v.Nodes = append(v.Nodes, o.Nodes...)
	v.State, v.LastError = merged(v.State, v.LastError, o.State, o.LastError)
	v.Waiting = union(v.Waiting, o.Waiting)
	v.mergeReshares(o)
	for name, ok := range o.Accepted {
		v.Accepted[name] = v.Accepted[name] || ok
	}
	if len(v.Roots) == 0 {
		v.Roots = o.Roots
	} else if len(o.Roots) > 0 {
		for i := range v.Roots { // both are of the statement's suites, in its order
			v.Roots[i].merge(o.Roots[i])
		}
	}
	if len(v.Roots) > 0 && v.Roots[0].Record != nil {
		v.Vault = v.held(v.Roots[0]) // the highest record says who holds it
	}
}

func (r *Root) merge(o Root) {
	r.State, r.LastError = merged(r.State, r.LastError, o.State, o.LastError)
	r.Waiting, r.Bare = union(r.Waiting, o.Waiting), union(r.Bare, o.Bare)
	if r.Record == nil || o.Record != nil && o.Record.Higher(r.Record) {
		r.Record, r.Held = o.Record, o.Held
	}
	if r.Moving == "" {
		r.Moving = o.Moving
	}
	for name, t := range o.Proved {
		// The oldest proof counts: a node that saw none asks for one.
		if old, ok := r.Proved[name]; !ok || t.Before(old) {
			r.Proved[name] = t
		}
	}
}

func union(a, b []string) []string {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(a, x)
		}
	}
	return a
}

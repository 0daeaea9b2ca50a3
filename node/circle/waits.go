package circle

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Wait is a statement that is not complete: whose officers it waits for, and what they do about it.
type Wait struct {
	Name string // "roster 1", "vault treasury", "reshare 2 of treasury"
	What string
	Next string
}

// Waits lists what waits for officers: rosters in the making, vaults that not all accepted, and reshares.
func (c *Circle) Waits() []Wait {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Concat(c.rosterWaits(), c.vaultWaits(), c.reshareWaits())
}

// signedBy names the operators whose officers signed; somebody has, or the statement would not be here.
func signedBy(a charter.Accepted) string {
	return strings.Join(slices.Sorted(maps.Keys(a.Signatures)), ", ")
}

// errUnbound says that our officer has signed no roster of the next version.
var errUnbound = errors.New("our officer has signed no roster of the next version")

// rosterWaits are the next version's proposals: each that our officer signed, or may sign, and whoever joined without being in any.
func (c *Circle) rosterWaits() (out []Wait) {
	version := uint64(len(c.chain))
	name := fmt.Sprintf("roster %d", version)
	proposed := map[string]bool{}
	_, _, unbound := c.own(errUnbound)
	for _, a := range c.proposals(version) {
		r, err := charter.RosterOf(a.Statement)
		if err != nil || c.concernsUs(r) != nil {
			continue
		}
		for _, o := range r.Operators {
			proposed[o.Name] = true
		}
		what := fmt.Sprintf("version %d (%s), signed by %s, waits for ", version, r.ID.Short(), signedBy(a))
		_, stays := r.Operator(c.cfg.Own.Name)
		if need, err := c.base(r); a.Signatures[c.cfg.Own.Name] != nil {
			if err == nil {
				out = append(out, Wait{name, what + strings.Join(need.Missing(a), ", "), "their officers run `ostraka operator accept`"})
			}
			continue
		}
		switch err := c.maySign(a, r); {
		case err == nil && stays:
			out = append(out, Wait{name, what + "our officer", "`ostraka operator accept` shows it and signs it"})
		case err == nil && c.standing() == Member:
			out = append(out, Wait{name, what + "nothing of ours: it leaves this operator out", "if that is agreed, `ostraka operator resign` signs it; else telephone the others"})
		case stays && c.standing() == Member && unbound != nil:
			out = append(out, Wait{name, what + "our officer, who may not sign it now: " + err.Error(), "`ostraka operator accept` says when it may be signed"})
		}
	}
	if c.standing() != Member {
		return out
	}
	for _, o := range c.joined() {
		if !proposed[o.Name] {
			out = append(out, Wait{name, fmt.Sprintf("%s joined at this node, and is in no roster yet", o.Name), "`ostraka operator accept` proposes one with it, `ostraka operator replace OLD` one with it in place of another"})
		}
	}
	return out
}

func (c *Circle) vaultWaits() (out []Wait) {
	for _, id := range slices.SortedFunc(maps.Keys(c.vaults), func(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) }) {
		a := c.vaults[id]
		v, err := charter.VaultOf(a.Statement)
		if err != nil || c.complete(a) || !slices.Contains(v.Committee, c.cfg.Own.Name) {
			continue
		}
		w := Wait{Name: "vault " + v.Name, What: fmt.Sprintf("accepting (%s), signed by %s: it waits for ", v.ID.Short(), signedBy(a))}
		if a.Signatures[c.cfg.Own.Name] == nil {
			w.What, w.Next = w.What+"our officer", "`ostraka vault create "+v.Name+"` shows it and signs it"
		} else {
			missing := slices.DeleteFunc(slices.Clone(v.Committee), func(name string) bool { return a.Signatures[name] != nil })
			w.What, w.Next = w.What+strings.Join(missing, ", "), "their officers run `ostraka vault create "+v.Name+"`"
		}
		out = append(out, w)
	}
	return out
}

// reshareWaits are the reshares that may still come into force.
func (c *Circle) reshareWaits() (out []Wait) {
	for _, vault := range c.accepted() {
		id := vault.Statement.ID()
		s := c.succession(id)
		v, err := charter.VaultOf(vault.Statement)
		if err != nil || s == nil {
			continue
		}
		under, _, held := c.cfg.Held(id)
		for _, x := range c.of(id) {
			before, roster, err := s.Before(x.Reshare)
			if err != nil || x.Number <= newest(s) || held == nil && s.NumberOf(x.Previous) < s.NumberOf(under) {
				continue
			}
			if !slices.ContainsFunc(x.Concerned(before, roster), func(who charter.Acceptor) bool { return who.Operator == c.cfg.Own.Name }) {
				continue
			}
			command := fmt.Sprintf("`ostraka vault reshare %s --committee %s --threshold %d`", v.Name, strings.Join(x.Committee, ","), x.Threshold)
			w := Wait{Name: fmt.Sprintf("reshare %d of %s", x.Number, v.Name)}
			w.What = fmt.Sprintf("to %d of %s, signed by %s: it waits for ", x.Threshold, strings.Join(x.Committee, ", "), signedBy(x.Accepted))
			if x.Signatures[c.cfg.Own.Name] == nil && c.mine(x.Reshare) == nil {
				w.What, w.Next = w.What+"our officer", command+" shows it and signs it"
			} else {
				w.What, w.Next = w.What+strings.Join(c.lacking(x.Reshare, before, x.Accepted), ", "), "their officers run "+command
			}
			out = append(out, w)
		}
	}
	return out
}

package charters

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// skew is how far in the future a freeze may have been made.
const skew = 5 * time.Minute

// acceptors are the operators that hold a vault now, with their present officers.
func (c *Charters) acceptors(vault statement.ID, names []string) ([]charter.Acceptor, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: vault %s is not known here", outbox.ErrLater, vault.Short())
	}
	var by []charter.Acceptor
	rosters := c.cfg.Rosters()
	for _, name := range names {
		if o, ok := rosters.Newest().Operator(name); ok {
			by = append(by, charter.Acceptor{Operator: name, Officers: o.Officers})
		}
	}
	return by, nil
}

// signOne adds an officer's signature to a statement of a table.
func (c *Charters) signOne(table map[statement.ID]charter.Accepted, s statement.Statement, armored []byte, by []charter.Acceptor, must string) (charter.Accepted, string, error) {
	a, known := table[s.ID()]
	if !known {
		a = charter.Accepted{Statement: s}
	}
	next, operator, err := a.Add(by, armored)
	switch {
	case errors.Is(err, charter.ErrAlreadyAccepted):
		return a, operator, outbox.ErrOld
	case err != nil:
		return a, operator, later(err)
	case must != "" && operator != must:
		return a, operator, fmt.Errorf("the signature is by an officer of %s, this node's operator is %s", operator, must)
	}
	return next, operator, nil
}

// takeFreeze keeps a freeze, or another operator's word for it. missing says that a second operator must sign.
func (c *Charters) takeFreeze(now time.Time, s statement.Statement, held []string, armored []byte, must string, write writer) (missing []string, err error) {
	f, err := charter.FreezeOf(s)
	if err != nil {
		return nil, err
	}
	by, err := c.acceptors(f.Vault, held)
	if err != nil {
		return nil, err
	}
	_, known := c.freezes[f.ID]
	switch {
	case f.Created.Sub(now) > skew:
		return nil, fmt.Errorf("%w: the freeze was made at %s, here it is %s: compare the clocks", outbox.ErrLater, statement.FormatTime(f.Created), statement.FormatTime(now))
	case !known && !now.Before(f.Expires):
		return nil, fmt.Errorf("the freeze of vault %s expired at %s", f.Vault.Short(), statement.FormatTime(f.Expires))
	case !slices.ContainsFunc(by, func(a charter.Acceptor) bool { return a.Operator == f.Operator }):
		return nil, fmt.Errorf("operator %s does not hold vault %s", f.Operator, f.Vault.Short())
	}
	next, operator, err := c.signOne(c.freezes, s, armored, by, must)
	if err != nil {
		return nil, err
	}
	if !known {
		if operator != f.Operator {
			return nil, fmt.Errorf("%w: operator %s's own officer has not signed this freeze", outbox.ErrLater, f.Operator)
		}
		if err := c.roomFreeze(f, now); err != nil {
			return nil, err
		}
	}
	all := append(slices.DeleteFunc(c.signedFreezes(), func(x charter.SignedFreeze) bool { return x.ID == f.ID }), charter.SignedFreeze{Freeze: f, Signed: signedBy(next)})
	for _, x := range c.frozen(f.Vault, now) {
		if !x.Counts(all) { // dated back, so that one that holds would be the third
			return nil, fmt.Errorf("the freeze of operator %s until %s holds, and this one would undo it", x.Operator, statement.FormatTime(x.Expires))
		}
	}
	if err := write(frozenEntry(now, kindFreeze, f.Vault, c.freezes[f.ID].Signatures, next)); err != nil {
		return nil, err
	}
	c.freezes[f.ID] = next
	i := slices.IndexFunc(all, func(x charter.SignedFreeze) bool { return x.ID == f.ID })
	if !all[i].Counts(all) {
		for _, a := range by {
			if next.Signatures[a.Operator] == nil {
				missing = append(missing, a.Operator)
			}
		}
		return missing, nil
	}
	c.cfg.Log.Warn("a vault is frozen", "vault", f.Vault.Short(), "by", f.Operator, "until", statement.FormatTime(f.Expires), "reason", f.Reason)
	return nil, nil
}

// roomFreeze bounds how many freezes one operator makes of a vault within the time that they are remembered. What a replaced officer signed fills
// no room of those who came after.
func (c *Charters) roomFreeze(f charter.Freeze, now time.Time) error {
	n := 0
	for _, o := range c.signedFreezes() {
		if o.Vault == f.Vault && o.Operator == f.Operator && now.Sub(o.Created) < charter.FreezeWindow && c.stillOfficer("", o.Operator, c.freezes[o.ID].Signatures[o.Operator]) == nil {
			n++
		}
	}
	if n >= maxFreezes {
		return fmt.Errorf("operator %s made %d freezes of vault %s within 30 days", f.Operator, n, f.Vault.Short())
	}
	return nil
}

func frozenEntry(now time.Time, kind string, vault statement.ID, was map[string][]byte, a charter.Accepted) journal.Entry {
	id := a.Statement.ID()
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: store.Key(kind, store.ID(id[:])), Value: a.Bytes()}}, Reserve: true},
		Leaves: journal.Signed(now, vault, was, a),
	}
}

// signedFreezes are all freezes that are known.
func (c *Charters) signedFreezes() (out []charter.SignedFreeze) {
	for _, a := range c.freezes {
		if f, err := charter.FreezeOf(a.Statement); err == nil {
			out = append(out, charter.SignedFreeze{Freeze: f, Signed: signedBy(a)})
		}
	}
	return out
}

// Frozen says by whom a vault is frozen at a time, and until when; "" if it is not.
func (c *Charters) Frozen(vault statement.ID, now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return charter.Words(c.frozen(vault, now))
}

func (c *Charters) frozen(vault statement.ID, now time.Time) []charter.SignedFreeze {
	return charter.Frozen(vault, c.signedFreezes(), func(id statement.ID) bool { return c.ended[id] }, now)
}

// takeUnfreeze adds an officer's signature; with those of all operators that hold the vault, the freezes that it names end.
func (c *Charters) takeUnfreeze(now time.Time, s statement.Statement, held []string, armored []byte, must string, write writer) (missing []string, err error) {
	u, err := charter.UnfreezeOf(s)
	if err != nil {
		return nil, err
	}
	by, err := c.acceptors(u.Vault, held)
	if err != nil {
		return nil, err
	}
	if u.Created.Sub(now) > skew {
		return nil, fmt.Errorf("%w: the unfreezing was made at %s, here it is %s: compare the clocks", outbox.ErrLater, statement.FormatTime(u.Created), statement.FormatTime(now))
	}
	holds := false
	for _, id := range u.Freezes {
		a, known := c.freezes[id]
		if !known {
			return nil, fmt.Errorf("%w: freeze %s is not known here", outbox.ErrLater, id.Short())
		}
		f, err := charter.FreezeOf(a.Statement)
		if err != nil || f.Vault != u.Vault {
			return nil, errors.Join(err, fmt.Errorf("freeze %s is of another vault", id.Short()))
		}
		holds = holds || !c.ended[id] && now.Before(f.Expires)
	}
	if !holds {
		return nil, outbox.ErrOld // what it would end is over
	}
	next, operator, err := c.signOne(c.unfreeze, s, armored, by, must)
	if err != nil {
		return nil, err
	}
	open := 0
	for id, a := range c.unfreeze {
		if id != u.ID && a.Statement.Fields().ID("vault") == u.Vault && a.Signatures[operator] != nil {
			open++
		}
	}
	if open >= maxFreezes*len(by) && operator != c.cfg.Operator {
		return nil, fmt.Errorf("%d unfreezings of vault %s that operator %s signed wait here already", open, u.Vault.Short(), operator)
	}
	e := frozenEntry(now, kindUnfreeze, u.Vault, c.unfreeze[u.ID].Signatures, next)
	over := len(next.Missing(by)) == 0
	for _, id := range u.Freezes {
		if over {
			e.Put = append(e.Put, store.Entry{Key: endedKey(id)})
		}
	}
	if err := write(e); err != nil {
		return nil, err
	}
	c.unfreeze[u.ID] = next
	for _, id := range u.Freezes {
		c.ended[id] = c.ended[id] || over
	}
	return next.Missing(by), nil
}

func endedKey(freeze statement.ID) string { return store.Key(kindEnded, store.ID(freeze[:])) }

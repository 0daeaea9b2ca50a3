package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
)

// SecondSharing begins every claim that rests on a backup set: a reader with a bound on what it checks may not make them.
const SecondSharing = "the second sharing of its "

// checkBackups holds the second sharing of each key in force to its record, and notes which copies operators say they cut. It comes before heartbeats, which
// prove masks of it.
func (v *verifier) checkBackups() {
	left := v.Encryptions
	for _, x := range v.vaults {
		for _, k := range x.keys {
			c := Coverage{Suite: k.suite, Epoch: k.current().Epoch}
			if k.current().Guardians != [32]byte{} {
				v.checkSharing(x, k, &c, &left)
			}
			k.coverage = len(x.out.Coverage)
			x.out.Coverage = append(x.out.Coverage, c)
		}
	}
	v.readCopies()
}

// checkSharing verifies the set that some log's node publishes: every encryption to every guardian, without any secret (spec/guard 3.1).
func (v *verifier) checkSharing(x *vault, k *key, c *Coverage, left *int) {
	rec, subject := k.current(), "vault "+x.Name
	c.Class = Declared
	p, raw, err := v.guardsOf(rec)
	if err != nil {
		c.Unchecked = err.Error()
		v.report.attend(fmt.Sprintf("%s%s key of vault %s is not shown so that it could be checked: %v", SecondSharing, k.suite, x.Name, err))
		return
	}
	c.Guardians, c.Quorum, c.Live = len(p.Guardians), p.Quorum, p.Operators
	if n := rec.Threshold * len(p.Guardians); v.Encryptions > 0 {
		if *left -= n; *left < 0 {
			c.Unchecked = fmt.Sprintf("its %d encryptions are not checked here: it would take too long; `ostraka verify` does", n)
			v.report.claim(Declared, subject, fmt.Sprintf("%s%s key is for %d of %d guardians, beside %d operators", SecondSharing, k.suite, p.Quorum, len(p.Guardians), p.Operators), c.Unchecked)
			return
		}
	}
	set, err := rec.CheckBackups(p, raw)
	if err != nil {
		c.Unchecked = err.Error()
		v.report.fail(subject, SecondSharing+k.suite+" key would bring it back", err.Error())
		return
	}
	v.signatures += rec.Threshold * len(p.Guardians)
	c.Class, k.set = Proved, set
	v.report.claim(Proved, subject, fmt.Sprintf("%s%s key verifies: %d operators and %d of %d guardians could bring it back", SecondSharing, k.suite, p.Operators, p.Quorum, len(p.Guardians)),
		"every encryption to every guardian was checked here, unopened, against the record in force; whether the guardians still have their keys, drills show")
}

// guardsOf finds the plan and the set that a record names, wherever they are shown. One that does not fit is nobody's word: the next is read.
func (v *verifier) guardsOf(rec *epoch.Record) (*guard.Plan, []byte, error) {
	err := errors.New("no log's node publishes it")
	for _, h := range v.logs {
		raw, e := h.fetch(tlog.GuardsPath(rec.Hash()))
		if e != nil {
			if !errors.Is(e, ErrNotThere) {
				err = e
			}
			continue
		}
		g, e := tlog.DecodeGuards(raw)
		var p *guard.Plan
		if e == nil {
			p, e = guard.DecodePlan(g.Plan)
		}
		if e == nil {
			_, _, e = rec.OpenBackups(p, g.Set)
		}
		if e == nil {
			return p, g.Set, nil
		}
		err = fmt.Errorf("at %s: %w", h.source, e)
	}
	return nil, nil, err
}

// provesMask checks one proof of a mask, in a heartbeat whose proof of the share held.
func (v *verifier) provesMask(b pulse.Heartbeat, s pulse.Share, k *key, i int, proved Holder) {
	rec := k.current()
	if k.set == nil || len(s.Mask) == 0 {
		return
	}
	v.signatures++
	m := rec.Members[i]
	if err := b.CheckMask(s, m.ID, k.set.MaskPoint(m.Index)); err != nil {
		v.report.fail("operator "+b.Operator, "its proofs of masks hold", err.Error())
		return
	}
	k.masks[b.Operator] = proved
}

// judgeMasks says of a key whose second sharing verifies who proved that they still have their part of it.
func (v *verifier) judgeMasks(x *vault, k *key) {
	c := &x.out.Coverage[k.coverage]
	if k.set == nil {
		return
	}
	var lack []string
	for _, name := range slices.Sorted(slices.Values(v.committee(k.current()))) {
		if p, ok := k.masks[name]; ok {
			c.Masks = append(c.Masks, p)
			continue
		}
		lack = append(lack, name)
	}
	if len(c.Masks) > 0 {
		var names []string
		oldest := v.Now
		for _, p := range c.Masks {
			names, oldest = append(names, p.Operator), earlier(oldest, p.Since)
		}
		v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("%s%s key: %s proved their masks, each after %s", SecondSharing, k.suite, strings.Join(names, ", "), statement.FormatTime(oldest)),
			"proofs of knowledge in heartbeats that other logs took")
	}
	if len(lack) > 0 {
		v.report.attend(fmt.Sprintf("no log took a proof of the masks that %s should hold of vault %s", strings.Join(lack, ", "), x.Name))
	}
}

// readCopies notes which copies of their shares operators say they cut: of each place the newest.
func (v *verifier) readCopies() {
	for _, d := range v.statements(statement.Backup) {
		n, err := backup.Of(d.statement)
		o, known := v.rosters.Operator(n.Operator)
		if err != nil || !known || !v.nodeSigned(o.Identity, d) {
			for _, h := range v.whoTells(d) {
				v.report.fail("log at "+h, "each copy of shares that it tells of is its operator's word", fmt.Sprintf("backup %x is not signed by the node that it names", d.id[:6]))
			}
			continue
		}
		for _, s := range n.Keys {
			if k := v.key(s.KeyID); k != nil {
				v.readCopy(n, s, k)
			}
		}
	}
	for _, x := range v.vaults {
		for _, k := range x.keys {
			v.judgeCopies(x, k)
		}
	}
}

func (v *verifier) readCopy(n backup.Noted, s backup.NotedKey, k *key) {
	x := v.vault(s.Vault)
	if x == nil || !slices.Contains(x.keys, k) || k.records[s.Record] == nil {
		v.report.fail("operator "+n.Operator, "it says of each copy which epoch it is of", fmt.Sprintf("backup %s names key %x in an epoch, or of a vault, that no log shows", n.ID.Short(), s.KeyID[:6]))
		return
	}
	c := &x.out.Coverage[k.coverage]
	b := Backup{Operator: n.Operator, Level: string(n.Level), Place: n.Place, Cut: n.Cut, Epoch: s.Epoch, Mask: s.Mask, Old: k.current().Hash() != s.Record}
	i := slices.IndexFunc(c.Copies, func(o Backup) bool { return o.Operator == b.Operator && o.Level == b.Level && o.Place == b.Place })
	switch {
	case i < 0:
		c.Copies = append(c.Copies, b)
	case c.Copies[i].Cut.Before(b.Cut):
		c.Copies[i] = b
	}
}

// judgeCopies says what copies there are: it is their operators' word, and where they lie only these know.
func (v *verifier) judgeCopies(x *vault, k *key) {
	c := &x.out.Coverage[k.coverage]
	slices.SortFunc(c.Copies, func(a, b Backup) int {
		return strings.Compare(a.Operator+" "+a.Level+" "+a.Place, b.Operator+" "+b.Level+" "+b.Place)
	})
	var words, old []string
	for _, b := range c.Copies {
		text := fmt.Sprintf("%s (%s at %s)", b.Operator, b.Level, b.Place)
		if b.Old {
			old = append(old, text)
		} else {
			words = append(words, text)
		}
	}
	if len(words) > 0 {
		v.report.claim(Declared, "vault "+x.Name, fmt.Sprintf("copies of the shares of its %s key in the epoch in force were cut by %s", k.suite, strings.Join(words, ", ")), "each operator's own word: no outsider can look into a copy")
	} else if k.current().Guardians == [32]byte{} {
		v.report.claim(Declared, "vault "+x.Name, fmt.Sprintf("no backup of the shares of its %s key in the epoch in force is told of", k.suite), "the logs name none, and there is no second sharing")
	}
	if len(old) > 0 {
		v.report.attend(fmt.Sprintf("copies of vault %s are of an epoch that is over, and bring nothing back: %s", x.Name, strings.Join(old, ", ")))
	}
	placed(v, x, c)
}

// placed wants copies at places that the charter in force knows: a copy counts where it lies.
func placed(v *verifier, x *vault, c *Coverage) {
	newest, ok := v.history.Newest()
	if !ok {
		return
	}
	for _, b := range c.Copies {
		i := slices.IndexFunc(newest.Operators, func(o charter.Station) bool { return o.Name == b.Operator })
		if i >= 0 && !slices.ContainsFunc(newest.Operators[i].Places, func(p charter.Place) bool { return p.Name == b.Place }) {
			v.report.attend(fmt.Sprintf("%s says that a copy of its share of vault %s lies at %s, which the charter in force does not list: the control map lacks it", b.Operator, x.Name, b.Place))
		}
	}
}

package verify

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// late is how long a heartbeat may be on its way, beyond the charter's interval.
const late = 10 * time.Minute

// interval is how often a node shows that it lives.
func (v *verifier) interval() time.Duration {
	if c, ok := v.history.Newest(); ok {
		return c.Heartbeat
	}
	return time.Hour
}

// checkHeartbeats verifies every heartbeat, its proofs of shares, and that it was new when each log took it.
func (v *verifier) checkHeartbeats() {
	for _, d := range v.statements(statement.Heartbeat) {
		b, err := pulse.Of(d.statement)
		if err != nil || d.kind != heardOf {
			v.report.fail("heartbeat "+d.statement.ID().Short(), "it is by the node of an operator", "it is malformed, or not signed by the identity that the roster has")
			continue
		}
		o, _ := v.rosters.Operator(b.Operator)
		for _, h := range v.logs {
			i, told := h.has(tlog.KindHeartbeat, b.ID)
			if !told || h.operator == b.Operator {
				continue
			}
			fresh, since := v.fresh(h, b, i)
			if !fresh {
				v.report.fail("operator "+h.operator, "it takes no old heartbeat for a new one",
					fmt.Sprintf("leaf %d of its log takes a heartbeat of %s that names the log's head of %s", i, b.Operator, statement.FormatTime(since)))
				continue
			}
			v.heard(b, o.Identity, h.leaves[i].Time, since)
		}
	}
	v.judgeSilence()
}

// fresh says whether a heartbeat was new at leaf i of a log: it names a head of that log that was the newest not long before; and when that was.
func (v *verifier) fresh(h *history, b pulse.Heartbeat, i int) (bool, time.Time) {
	seen, ok := b.Seen(h.operator)
	if !ok || seen.Size > int64(i) {
		return false, time.Time{}
	}
	next := h.leaves[seen.Size].Time // until then the head that it names was the newest
	var since time.Time
	if seen.Size > 0 {
		since = h.leaves[seen.Size-1].Time
	}
	return h.leaves[i].Time.Sub(next) <= v.longest()+late, since
}

// longest is the longest interval that any version of the charter had.
func (v *verifier) longest() (d time.Duration) {
	d = time.Hour
	for _, c := range v.history {
		d = max(d, c.Heartbeat)
	}
	return d
}

// heard takes what a fresh heartbeat shows: what runs, and which shares it proves.
func (v *verifier) heard(b pulse.Heartbeat, identity ed25519.PublicKey, at, since time.Time) {
	for i := range v.report.Operators {
		if o := &v.report.Operators[i]; o.Name == b.Operator && at.After(o.LastSeen) {
			o.LastSeen, o.Version, o.Binary = at, b.Version, fmt.Sprintf("%x", b.Binary[:])
			if v.Release != nil {
				o.Release = v.Release(b.Binary)
			}
		}
	}
	for _, s := range b.Shares {
		k := v.key(s.Key)
		if k == nil {
			continue
		}
		rec := k.records[s.Epoch]
		if rec == nil || k.proved[b.Operator].Proved.After(at) {
			continue
		}
		i := slices.IndexFunc(rec.Members, func(m epoch.Member) bool { return m.Identity.Equal(identity) })
		if i < 0 {
			v.report.fail("operator "+b.Operator, "it proves only shares that it holds", fmt.Sprintf("its heartbeat %s names key %x, of which it holds none", b.ID.Short(), s.Key[:6]))
			continue
		}
		v.signatures++
		if err := b.Check(s, [16]byte(rec.Members[i].ID), rec.Members[i].Public); err != nil {
			v.report.fail("operator "+b.Operator, "its proofs of shares hold", err.Error())
			continue
		}
		if rec == k.current() {
			k.proved[b.Operator] = Holder{b.Operator, at, since}
		}
	}
}

func (v *verifier) key(id [32]byte) *key {
	for _, x := range v.vaults {
		for _, k := range x.keys {
			if k.id == id {
				return k
			}
		}
	}
	return nil
}

// judgeSilence says of each operator and share when it was last proved, by the clock of whoever else logged it.
func (v *verifier) judgeSilence() {
	for i := range v.report.Operators {
		o := &v.report.Operators[i]
		o.Silent = v.Now.Sub(o.LastSeen) > 2*v.interval()+late
		switch {
		case o.LastSeen.IsZero():
			v.report.attend(o.Name + " has shown no sign of life that another log took")
		case o.Silent:
			v.report.attend(fmt.Sprintf("%s is silent since %s", o.Name, statement.FormatTime(o.LastSeen)))
		}
		if o.Version != "" {
			basis := "its own word: no verifier sees what runs"
			if o.Release != "" {
				basis = "its own word; release " + o.Release + " has this program, as two maintainers signed"
			}
			v.report.claim(Declared, "operator "+o.Name, fmt.Sprintf("it runs %s, program %.16s…", o.Version, o.Binary), basis)
		}
	}
	for _, x := range v.vaults {
		for n, k := range x.keys {
			v.judgeShares(x, n, k)
		}
	}
}

func (v *verifier) judgeShares(x *vault, n int, k *key) {
	var never, proved []string
	oldest := v.Now
	for _, m := range k.current().Members {
		o, _ := v.rosters.Identity(m.Identity)
		p, ok := k.proved[o.Name]
		if !ok {
			never = append(never, o.Name)
			p.Operator = o.Name
		} else {
			proved = append(proved, o.Name)
			if p.Proved.Before(oldest) {
				oldest = p.Proved
			}
		}
		x.out.Keys[n].Holders = append(x.out.Keys[n].Holders, p)
	}
	slices.SortFunc(x.out.Keys[n].Holders, func(a, b Holder) int { return strings.Compare(a.Operator, b.Operator) })
	slices.Sort(proved)
	slices.Sort(never)
	if len(proved) > 0 {
		v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("%s proved their shares of its %s key, the last of them not before %s", strings.Join(proved, ", "), k.suite, statement.FormatTime(oldest)),
			"proofs of knowledge over the others' newest checkpoints, logged by those others")
	}
	if len(never) > 0 {
		v.report.attend(fmt.Sprintf("no log took a proof of the shares that %s should hold of vault %s", strings.Join(never, ", "), x.Name))
	}
}

package verify

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"maps"
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
		o, _ := v.rosters.Operator(b.Operator)
		for _, h := range v.logs {
			i, told := h.has(tlog.KindHeartbeat, d.id)
			if !told {
				continue
			}
			if err != nil || !d.alive {
				v.report.fail("operator "+h.operator, "it takes heartbeats of operators only", fmt.Sprintf("leaf %d of its log takes one that is malformed, or not signed by the identity that the roster has", i))
				continue
			}
			if h.operator == b.Operator {
				continue
			}
			fresh, since := v.fresh(h, b, i)
			if !fresh {
				v.report.fail("operator "+h.operator, "it takes no old heartbeat for a new one",
					fmt.Sprintf("leaf %d of its log takes a heartbeat of %s that names the log's head of %s", i, b.Operator, statement.FormatTime(since)))
				continue
			}
			v.heard(b, o.Identity, h, earlier(h.times[i], b.Created.Add(late)), since)
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
func (v *verifier) heard(b pulse.Heartbeat, identity ed25519.PublicKey, h *history, at, since time.Time) {
	by := v.seen[b.Operator]
	if by == nil {
		by = map[string]time.Time{}
		v.seen[b.Operator] = by
	}
	if at.After(by[h.operator]) {
		by[h.operator] = at
	}
	for i := range v.report.Operators {
		if o := &v.report.Operators[i]; o.Name == b.Operator && !at.Before(o.LastSeen) {
			o.LastSeen, o.Version, o.Binary = at, b.Version, fmt.Sprintf("%x", b.Binary[:])
			if v.Release != nil {
				o.Release = v.Release(b.Binary)
			}
		}
	}
	for _, s := range b.Shares {
		v.proves(b, s, identity, at, since)
	}
}

// proves checks one proof of a share.
func (v *verifier) proves(b pulse.Heartbeat, s pulse.Share, identity ed25519.PublicKey, at, since time.Time) {
	k := v.key(s.Key)
	var rec *epoch.Record
	if k != nil {
		rec = k.records[s.Epoch]
	}
	if rec == nil {
		if old, known := v.unknown[s.Key]; !known || at.Before(old) {
			v.unknown[s.Key] = at
		}
		return
	}
	if k.proved[b.Operator].Proved.After(at) {
		return
	}
	i := slices.IndexFunc(rec.Members, func(m epoch.Member) bool { return m.Identity.Equal(identity) })
	if i < 0 {
		v.report.fail("operator "+b.Operator, "it proves only shares that it holds", fmt.Sprintf("its heartbeat %s names key %x, of which it holds none", b.ID.Short(), s.Key[:6]))
		return
	}
	v.signatures++
	if err := b.Check(s, [16]byte(rec.Members[i].ID), rec.Members[i].Public); err != nil {
		v.report.fail("operator "+b.Operator, "its proofs of shares hold", err.Error())
		return
	}
	if rec == k.current() {
		k.proved[b.Operator] = Holder{b.Operator, at, since}
		v.provesMask(b, s, k, i, Holder{b.Operator, at, since})
	}
}

// lastSeen is when all other logs that go on had last heard of an operator: one that tells otherwise does not hide a silence.
func (v *verifier) lastSeen(operator string) (at time.Time) {
	var newest time.Time
	for _, h := range v.logs {
		newest = later(newest, h.reach)
	}
	goesOn := func(h *history) bool { return newest.Sub(h.reach) <= 2*v.interval()+late }
	others := slices.DeleteFunc(slices.Clone(v.logs), func(h *history) bool { return h.operator == operator })
	if slices.ContainsFunc(others, goesOn) {
		others = slices.DeleteFunc(others, func(h *history) bool { return !goesOn(h) })
	}
	for i, h := range others {
		if t := v.seen[operator][h.operator]; i == 0 || t.Before(at) {
			at = t
		}
	}
	return at
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
		newest := o.LastSeen
		o.LastSeen = v.lastSeen(o.Name)
		o.Silent = v.Now.Sub(o.LastSeen) > 2*v.interval()+late
		switch {
		case o.LastSeen.IsZero():
			v.report.attend(o.Name + " has shown no sign of life that all other logs took" + v.heardSince(o, newest))
		case o.Silent:
			v.report.attend(fmt.Sprintf("%s is silent since %s", o.Name, statement.FormatTime(o.LastSeen)) + v.heardSince(o, newest))
		}
		if h := v.log(o.Name); h != nil && v.Now.Sub(h.reach) > 2*v.interval()+late && (o.LastSeen.IsZero() || o.LastSeen.Sub(h.reach) > late) { // else that it is silent says it
			v.report.attend(fmt.Sprintf("the log of %s is shown up to %s only", o.Name, statement.FormatTime(h.reach)))
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
			v.judgeMasks(x, k)
		}
	}
	v.unshown()
}

// heardSince says who heard an operator when another did not.
func (v *verifier) heardSince(o *Operator, newest time.Time) string {
	if !newest.After(o.LastSeen) {
		return ""
	}
	return fmt.Sprintf(", though one log tells of a sign of life of %s", statement.FormatTime(newest))
}

// judgeShares says of each key who proved a share of it, and how lately. A proof was made after the newest thing that it names of the others' logs.
func (v *verifier) judgeShares(x *vault, n int, k *key) {
	var never, old, proved []string
	oldest := v.Now
	for _, m := range k.current().Members {
		o, _ := v.rosters.Identity(m.Identity)
		p, ok := k.proved[o.Name]
		switch {
		case !ok:
			never = append(never, o.Name)
			p.Operator = o.Name
		default:
			proved = append(proved, o.Name)
			oldest = earlier(oldest, p.Since)
			if v.Now.Sub(p.Proved) > 2*v.interval()+late {
				old = append(old, o.Name)
			}
		}
		x.out.Keys[n].Holders = append(x.out.Keys[n].Holders, p)
	}
	slices.SortFunc(x.out.Keys[n].Holders, func(a, b Holder) int { return strings.Compare(a.Operator, b.Operator) })
	slices.Sort(proved)
	if len(proved) > 0 {
		v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("%s proved their shares of its %s key, each after %s", strings.Join(proved, ", "), k.suite, statement.FormatTime(oldest)),
			"proofs of knowledge over checkpoints of the others' logs that did not exist before, logged by those others")
	}
	if len(never) > 0 {
		slices.Sort(never)
		v.report.attend(fmt.Sprintf("no log took a proof of the shares that %s should hold of vault %s", strings.Join(never, ", "), x.Name))
	}
	if len(old) > 0 {
		slices.Sort(old)
		v.report.attend(fmt.Sprintf("the last proof of the shares of %s of vault %s is older than two intervals", strings.Join(old, ", "), x.Name))
	}
}

// unshown says that heartbeats prove shares of what no log shows.
func (v *verifier) unshown() {
	for _, id := range slices.SortedFunc(maps.Keys(v.unknown), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }) {
		at, all := v.unknown[id], true
		for _, h := range v.logs {
			all = all && v.gone(h, at)
		}
		if all {
			v.report.fail("circle", "each key that its operators hold shares of is shown", fmt.Sprintf("heartbeats prove shares of key %x, or of an epoch of it, that no log shows", id[:6]))
		}
	}
}

package decide

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/outbox"
)

// RuleNonce is the rule of one live intent per nonce (spec/node 7): of two transactions with one
// nonce of an address the chain takes one, and the other waits for ever.
const RuleNonce = "nonce"

// claim is what the desk keeps of an intent that has not come to an end, under its own lock:
// another intent's file is locked by whoever works on it.
type claim struct {
	id        statement.ID
	vault     statement.ID
	initiator string
	created   time.Time
	state     intent.State
	spends    []string        // what it uses and its chain gives once; nil: nothing, or it is not decoded
	does      payload.Payload // of a transaction
	replaces  statement.ID    // the intent that it is to take the place of, as its initiator says and approvers read; zero: none
	signed    bool
	ours      bool // this node allows it, or is about to
	allows    int  // operators known to allow it
	approved  int  // people who approved it
}

// before says which of two intents with one nonce keeps it: what is signed, what this node
// has allowed, what another has, what more people approved, then the older: an initiator says of an intent how old it is, so nothing that
// somebody approved must hang on that. All nodes that know the same choose alike.
func (a claim) before(b claim) bool {
	switch {
	case a.signed != b.signed:
		return a.signed
	case a.ours != b.ours:
		return a.ours
	case (a.allows > 0) != (b.allows > 0):
		return a.allows > 0
	case a.approved != b.approved:
		return a.approved > b.approved
	case !a.created.Equal(b.created):
		return a.created.Before(b.created)
	}
	return bytes.Compare(a.id[:], b.id[:]) < 0
}

// initiator is a person in a vault.
type initiator struct {
	vault statement.ID
	name  string
}

func (a claim) by() initiator { return initiator{a.vault, a.initiator} }

// MaxOpen bounds the intents of one initiator in one vault that are neither signed nor ended.
const MaxOpen = 64

// A CrowdedError refuses a proposal of somebody who has MaxOpen open intents. Peers are told
// *later*: some may end before this one's time runs out, and another node has room for it.
type CrowdedError struct{ Initiator, Vault string }

func (e *CrowdedError) Error() string {
	return fmt.Sprintf("%s has %d open intents in vault %s, and may not have more: wait until some are signed or run out, or take one back (`ostraka tx cancel ID`)",
		e.Initiator, MaxOpen, e.Vault)
}

// Is makes it one of the errors that time mends.
func (e *CrowdedError) Is(target error) bool { return target == outbox.ErrLater }

func (f *file) claim(operator string) claim {
	l := f.life
	it := l.Intent()
	c := claim{
		id: f.stmt.ID(), vault: it.Vault, initiator: it.Initiator, created: it.Created, state: l.State(),
		replaces: it.Replaces, signed: l.Hash() != "", ours: l.Verdict(operator) == intent.Allow, approved: f.approved,
	}
	if f.met || l.Suffices() { // one operator's word alone keeps no nonce
		c.allows = l.Count(intent.Allow)
	}
	if f.payload != nil {
		c.spends = f.payload.Spends()
	}
	if travels(f.payload) {
		c.does = f.payload
	}
	return c
}

// over says that a life has come to an end: its nonce is free, or spent for good.
func over(l intent.Life) bool {
	switch l.State() {
	case intent.Signed:
		return l.Intent().Purpose != intent.PurposeTransaction // it goes on no chain
	case intent.Final, intent.Denied, intent.Expired, intent.Cancelled, intent.Replaced, intent.Failed:
		return true
	}
	return false
}

// went lets a file's life go on, and the desk's claims with it. The caller holds the file's lock.
func (d *Desk) went(f *file, next intent.Life) {
	f.life = next
	d.mu.Lock()
	defer d.mu.Unlock()
	d.track(f)
}

// recount looks at who approved an intent and counts for it now: keys may have been revoked, or have expired, since. The caller holds the file's
// lock.
func (d *Desk) recount(f *file) {
	t := d.tally(f)
	if n := len(t.Approved); n != f.approved || t.Met() != f.met {
		f.approved, f.met = n, t.Met()
		d.went(f, f.life)
	}
}

// track brings the claims up to date with a file. The caller holds both locks.
func (d *Desk) track(f *file) {
	id := f.stmt.ID()
	if name := f.life.Hash(); name != "" && travels(f.payload) {
		d.names[made{f.life.Intent().Vault, name}] = true
	}
	d.untrack(id)
	d.debit(f)
	if f.gone || over(f.life) {
		return
	}
	c := f.claim(d.cfg.Operator)
	d.claims[id] = c
	if !c.signed {
		d.open[c.by()]++
	}
	for _, s := range c.spends {
		if d.slots[s] == nil {
			d.slots[s] = map[statement.ID]bool{}
		}
		d.slots[s][id] = true
	}
}

func (d *Desk) untrack(id statement.ID) {
	old, ok := d.claims[id]
	if !ok {
		return
	}
	delete(d.claims, id)
	if !old.signed {
		if d.open[old.by()]--; d.open[old.by()] == 0 {
			delete(d.open, old.by())
		}
	}
	for _, s := range old.spends {
		if delete(d.slots[s], id); len(d.slots[s]) == 0 {
			delete(d.slots, s)
		}
	}
}

// rivals are the claims that use what one uses, itself among them. The caller holds the desk's lock.
func (d *Desk) rivals(c claim) map[statement.ID]bool {
	if len(c.spends) == 1 {
		return d.slots[c.spends[0]]
	}
	out := map[statement.ID]bool{}
	for _, s := range c.spends {
		maps.Copy(out, d.slots[s])
	}
	return out
}

// rival finds the live intent that keeps this one's nonce from it; ok is false if there is
// none. With reserve this node's ALLOW is taken note of under the same lock, so that two
// intents that are ruled on at the same moment are not both allowed.
//
// One that is signed and waits on the chain keeps it from no other that may take its place (spec/node 7.7): replaces says that there is one. Where a plan rules, may is true.
func (d *Desk) rival(f *file, may, reserve bool) (by claim, replaces, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own, known := d.claims[f.stmt.ID()]
	if !known {
		return claim{}, false, false
	}
	for id := range d.rivals(own) {
		c := d.claims[id]
		switch {
		case id == own.id || !c.before(own):
		case c.gives(own, may):
			replaces = true
		case !ok || c.before(by):
			by, ok = c, true
		}
	}
	if !ok && reserve {
		own.ours = true
		d.claims[own.id] = own
	}
	return by, replaces, ok
}

// MaxBefore bounds the transactions that are taken to land before another.
const MaxBefore = 32

// before are the transactions of Solana that this node allowed, or knows to be signed, of the same address, and that may land beside this one: none of them has its nonce.
func (d *Desk) before(f *file) []payload.Payload {
	p, ok := f.payload.(*payload.Solana)
	if !ok {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	own := f.stmt.ID()
	rivals := d.rivals(d.claims[own])
	var all []claim
	for id, c := range d.claims {
		b, ok := c.does.(*payload.Solana)
		if ok && id != own && !rivals[id] && (c.ours || c.signed) && b.Owner() == p.Owner() && b.Chain() == p.Chain() {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b claim) int { return cmp.Or(a.created.Compare(b.created), bytes.Compare(a.id[:], b.id[:])) })
	var out []payload.Payload
	for _, c := range all[max(0, len(all)-MaxBefore):] {
		out = append(out, c.does)
	}
	return out
}

// misnamed says why an intent does not take the place of the one that its initiator says. Approvers read that the chain takes one of the two, and would pay twice if it could take both; later:
// this node may hear of the other yet.
func (d *Desk) misnamed(f *file) (why string, later bool) {
	named := f.life.Intent().Replaces
	if named.IsZero() {
		return "", false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, live := d.claims[named]
	shares := slices.ContainsFunc(d.claims[f.stmt.ID()].spends, func(s string) bool { return d.slots[s][named] })
	switch {
	case live && shares:
		return "", false
	case live:
		return fmt.Sprintf("it is to replace intent %s, and uses neither nonce nor coin of it, so the chain could take both: propose it anew without replacing, or `ostraka tx bump %s`", named.Short(), named.Short()), false
	case d.files[named] != nil:
		return fmt.Sprintf("it is to replace intent %s, which is over: propose it anew without replacing", named.Short()), false
	}
	return fmt.Sprintf("it is to replace intent %s, which this node does not know: wait until it has heard of it", named.Short()), true
}

// gives says that a signed transaction waits on its chain, and gives its place to another: where a plan rules, to one that does the same for more; else to one whose initiator said so,
// that does the same for more or nothing at all. Whichever of the two the chain takes, both were asked for.
func (c claim) gives(to claim, plan bool) bool {
	waits := c.state == intent.Signed || c.state == intent.Broadcast || c.state == intent.Seen || c.state == intent.Dropped || c.state == intent.Reorged
	if !c.signed || !waits || to.signed || c.does == nil || to.does == nil {
		return false
	}
	return plan && payload.Replaces(to.does, c.does) == nil || !to.replaces.IsZero() && payload.Takes(to.does, c.does) == nil
}

// replaces says whether this node allowed an intent by the plan of an emergency: then it may replace.
func (d *Desk) replaces(f *file) bool {
	r := f.decisions[d.cfg.Operator].decision
	return r.Verdict == intent.Allow && r.Rule == RuleSOS
}

// Successor is what else this node knows to be signed with the nonce of a transaction: an
// intent's id, or "".
func (d *Desk) Successor(x Sent) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.claims[x.ID]
	for id := range d.rivals(own) {
		if id != x.ID && d.claims[id].signed {
			return id.String()
		}
	}
	return ""
}

// taken says in words that another intent has the nonce, and what to do.
func (c claim) taken() string {
	where := strings.Join(c.spends[:min(1, len(c.spends))], "")
	if n := len(c.spends) - 1; n > 0 {
		where = fmt.Sprintf("%s, or one of %d more coins,", where, n)
	}
	anew := "propose this one anew"
	if t, ok := payload.OnEVM(c.does); ok {
		where, anew = fmt.Sprintf("nonce %d of %s", t.Facts().Nonce, t.Sender()), "propose this one anew without --nonce"
	}
	if c.signed {
		return fmt.Sprintf("%s is used by intent %s, which is %s; %s", where, c.id.Short(), c.state, anew)
	}
	return fmt.Sprintf("%s belongs to intent %s (%s), and this one waits until that one has ended, or until more people approve this one: wait, take one of the two back (`ostraka tx cancel %s`), or %s",
		where, c.id.Short(), c.state, c.id.Short(), anew)
}

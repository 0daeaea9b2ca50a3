package rescue

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/failpoint"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
)

// activations are all of a request that anybody signed, by key and attempt.
func (d *Desk) activations(c sos.Case) (all []act.Activation) {
	for _, w := range d.words[c.Plan().Vault] {
		if w.request != c.ID() || w.said.Kind() != statement.SOSActivation || slices.ContainsFunc(all, func(a act.Activation) bool { return a.ID == w.said.ID() }) {
			continue
		}
		if a, err := act.ActivationOf(w.said); err == nil {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b act.Activation) int {
		return cmp.Or(strings.Compare(string(a.Key.Key[:]), string(b.Key.Key[:])), a.Attempt-b.Attempt, strings.Compare(string(a.ID[:]), string(b.ID[:])))
	})
	return all
}

// whole says whether all contributors signed an activation.
func (d *Desk) whole(c sos.Case, a act.Activation) bool {
	sigs := d.signedBy(c.Plan().Vault, a.ID)
	return !slices.ContainsFunc(a.Contributors, func(name string) bool { return sigs[name] == nil })
}

// activated is an activation with what this node knows of parties and share indices.
func (d *Desk) activated(c sos.Case, a act.Activation) sos.Activated {
	e := sos.Activated{Activation: a, Taken: map[uint16]string{}, Party: map[string][16]byte{}}
	for _, v := range d.seatsOf(c, a.Key, a.Attempt) {
		e.Seats = append(e.Seats, v)
	}
	if now, known := d.cfg.Epoch(a.Key.Key); known && now.Hash == a.Epoch {
		e.Holders = now.Committee
	}
	for _, m := range a.Members {
		if o, ok := c.Plan().Anyone(m.Operator); ok {
			e.Party[m.Operator] = mpc.IDOf(o.Identity)
		}
	}
	names := map[[16]byte]string{}
	for _, o := range slices.Concat(c.Plan().Operators, c.Plan().Others) {
		names[mpc.IDOf(o.Identity)] = o.Name
	}
	for index, id := range d.cfg.Had(a.Key.Key) { // a node that was not told of the key yet knows none
		if e.Taken[index] = names[id]; e.Taken[index] == "" {
			e.Taken[index] = hex.EncodeToString(id[:]) // of somebody who left
		}
	}
	return e
}

// ErrNoRequest says that no request of a vault is in the state that a step takes.
var ErrNoRequest = errors.New("no SOS request of the vault is ACTIVE on this node")

// Why a request that is ACTIVE is not activated again.
var (
	ErrAllFresh = errors.New("all keys of the request have new shares already")
	ErrCarried  = errors.New("all contributors signed an activation that can still be carried out")
)

// AskActivation is our own operator's word that the plan be carried out, in ACTIVE: this node names the contributors, itself among them, and the new committee,
// for every key that has no new shares yet and that it can do so for: another key that cannot must not keep this one back. No successors: as many of the plan's as are there, up to the size of the committee before. Threshold 0: that of
// the vault, as far as the new committee reaches. Who names either agrees to it as well: other contributors that ask for the same have it signed (checkTerms). instead: also of a key with an activation that
// can still be carried out. Guardians may be answering that one, and what they contribute to it serves no other.
func (d *Desk) AskActivation(ctx context.Context, now time.Time, vault statement.ID, successors []string, threshold int, instead bool) ([]statement.ID, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, vault)
	if err != nil {
		return nil, err
	}
	c, open := k.Open()
	if !open || c.State() != sos.Active {
		return nil, ErrNoRequest
	}
	var e journal.Entry
	var kept []func()
	var ids []statement.ID
	var failed error
	for _, key := range c.Left() {
		if a, ok := d.carried(c, key); ok && !instead {
			failed = errors.Join(failed, fmt.Errorf("key %x: %w: activation %s of %s, for %s", key.Key[:6], ErrCarried, a.ID.Short(), strings.Join(a.Contributors, ", "), strings.Join(a.Names(), ", ")))
			continue
		}
		d.wishes[key] = wish{c.ID(), successors, threshold}
		a, err := d.composed(now, k, c, key, successors, threshold)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("key %x: %w", key.Key[:6], err))
			continue
		}
		s, keep, err := d.say(now, vault, a.Statement, d.cfg.Operator, &e)
		if err != nil {
			return nil, err
		}
		kept, ids = append(kept, keep), append(ids, s.ID())
	}
	switch {
	case len(ids) == 0 && failed != nil:
		return nil, failed
	case len(ids) == 0:
		return nil, ErrAllFresh
	case failed != nil:
		d.cfg.Log.Error("SOS: a key of the request is activated without another", "vault", vault.Short(), "error", failed)
	}
	failpoint.Hit("sos-before-activate")
	if err := d.write(ctx, e); err != nil {
		return nil, err
	}
	failpoint.Hit("sos-after-activate")
	for _, keep := range kept {
		keep()
	}
	return ids, d.flush(ctx, now)
}

// composed is an activation of a key that this node may sign.
func (d *Desk) composed(now time.Time, k sos.Docket, c sos.Case, key act.Key, successors []string, threshold int) (act.Activation, error) {
	givers, err := d.contributors(c, key)
	if err != nil {
		return act.Activation{}, err
	}
	a, err := d.compose(now, c, key, givers, successors, threshold)
	if err != nil {
		return a, err
	}
	return a, k.MayActivate(d.activated(c, a))
}

// contributors are r operators that consent, are there and hold a mask of the key, this node first.
func (d *Desk) contributors(c sos.Case, key act.Key) (names []string, err error) {
	consents := c.Consents()
	if now, known := d.cfg.Epoch(key.Key); known && now.Hash == key.Epoch {
		consents = slices.DeleteFunc(consents, func(name string) bool { return name != d.cfg.Operator && !slices.Contains(now.Committee, name) })
	}
	if !slices.Contains(consents, d.cfg.Operator) {
		return nil, fmt.Errorf("%s has not consented: its own person signs \"ostraka sos support\" first", d.cfg.Operator)
	}
	names = []string{d.cfg.Operator}
	unsigned := map[string]int{} // activations that name them, and that they did not sign
	for _, a := range d.activations(c) {
		for _, name := range a.Contributors {
			if d.signedBy(c.Plan().Vault, a.ID)[name] == nil {
				unsigned[name]++
			}
		}
	}
	slices.SortStableFunc(consents, func(a, b string) int { return unsigned[a] - unsigned[b] })
	for _, name := range consents {
		if name != d.cfg.Operator && len(names) < c.Plan().Live && d.cfg.Reachable(name) {
			names = append(names, name)
		}
	}
	if n := c.Plan().Live - len(names); n > 0 {
		return nil, fmt.Errorf("%d more operators that consent must be there; so far %s", n, strings.Join(names, ", "))
	}
	slices.Sort(names)
	return names, nil
}

// compose writes an activation of the next attempt at a key.
func (d *Desk) compose(now time.Time, c sos.Case, k act.Key, givers, successors []string, threshold int) (act.Activation, error) {
	p := c.Plan()
	attempt := d.free(c, k)
	seats := d.seatsOf(c, k, attempt)
	members := slices.Clone(givers)
	if successors == nil {
		for _, name := range p.Successors {
			if _, sits := seats[name]; sits && len(members) < len(p.Operators) && !slices.Contains(members, name) && c.MaySit(name) == nil && d.cfg.Reachable(name) {
				members = append(members, name)
			}
		}
	}
	for _, name := range successors {
		if !slices.Contains(members, name) {
			members = append(members, name)
		}
	}
	slices.Sort(members)
	if name := d.leftOut(c, seats, members); successors == nil && name != "" {
		return act.Activation{}, fmt.Errorf("successor %s is up, and has not announced its key for attempt %d yet: it is waited for, or name those who are to follow with --with", name, attempt)
	}
	if threshold == 0 {
		threshold = least(p, len(members))
	}
	var nodes []mpc.Party
	for _, name := range members {
		if err := c.MaySit(name); err != nil {
			return act.Activation{}, err
		}
		o, _ := p.Anyone(name)
		nodes = append(nodes, mpc.Party{ID: mpc.IDOf(o.Identity), Identity: o.Identity})
	}
	at, err := d.cfg.Seats(k, nodes)
	if err != nil {
		return act.Activation{}, err
	}
	a := act.Activation{Head: c.Request().Head(), Key: k, Attempt: attempt, Contributors: givers, Threshold: threshold, Created: now.UTC().Truncate(time.Second)}
	for _, name := range members {
		seat, sits := seats[name]
		if !sits {
			return a, fmt.Errorf("%s has not announced its key for attempt %d yet: its node must be up, and have come to ACTIVE by its own clock", name, attempt)
		}
		m := act.Member{Operator: name, Encryption: seat.Encryption}
		o, _ := p.Anyone(name)
		m.Party = mpc.IDOf(o.Identity)
		for _, q := range at {
			if q.ID == m.Party {
				m.Index = uint16(q.Index)
			}
		}
		a.Members = append(a.Members, m)
	}
	return a, nil
}

// countersign signs the activations that name us as a contributor, if our own operator consented and everything in them is as this node knows it.
func (d *Desk) countersign(ctx context.Context, now time.Time, k sos.Docket, c sos.Case) error {
	d.triedSoFar(c)
	for _, a := range d.activations(c) {
		if !slices.Contains(a.Contributors, d.cfg.Operator) || d.signedBy(c.Plan().Vault, a.ID)[d.cfg.Operator] != nil || d.signedOther(c, a) {
			continue
		}
		if k.MayActivate(d.activated(c, a)) != nil || d.checkTerms(c, a) != nil || !d.due(a) {
			continue // in time, or never: whoever composed it sees that we did not sign
		}
		s, known := d.word(c, a.ID)
		if !known {
			continue
		}
		var e journal.Entry
		keep, err := d.sign(now, c.Plan().Vault, s, d.cfg.Operator, &e)
		if err != nil {
			return err
		}
		failpoint.Hit("sos-before-countersign")
		if err := d.write(ctx, e); err != nil {
			return err
		}
		failpoint.Hit("sos-after-countersign")
		keep()
		d.triedSoFar(c) // the next of this key in its time
	}
	return nil
}

// signedOther: one activation of each attempt at a key has our signature.
func (d *Desk) signedOther(c sos.Case, a act.Activation) bool {
	return slices.ContainsFunc(d.activations(c), func(o act.Activation) bool {
		return o.ID != a.ID && o.Key == a.Key && o.Attempt == a.Attempt && d.signedBy(c.Plan().Vault, o.ID)[d.cfg.Operator] != nil
	})
}

func (d *Desk) word(c sos.Case, id statement.ID) (s statement.Statement, known bool) {
	for _, w := range d.words[c.Plan().Vault] {
		if w.said.ID() == id {
			return w.said, true
		}
	}
	return s, false
}

// A wish is what our own operator asked for, for a key of a request. It lives in memory alone: after a start of this node it is asked for again.
type wish struct {
	request    statement.ID
	successors []string // nil: those of the plan
	threshold  int      // 0: that of the vault
}

// least is how many of so many members must sign: as many as signed for the vault before, as far as they reach, and no fewer than the plan wants.
func least(p plan.Plan, members int) int { return min(max(p.Least, p.Threshold), members) }

// checkTerms holds an activation to what our own operator's consent means, and its members to our own record (spec/node 12.10). Consent was to the plan, and not to
// what one of the contributors makes of it.
func (d *Desk) checkTerms(c sos.Case, a act.Activation) error {
	// Who gives its part must not thereby hand the vault to fewer than signed for it before, nor to others alone: its own operator consented to the request, not to that.
	for _, name := range a.Contributors {
		if !slices.Contains(a.Names(), name) {
			return fmt.Errorf("contributor %s is no member of the new committee", name)
		}
	}
	own := d.wishes[a.Key]
	if own.request != c.ID() {
		own = wish{}
	}
	switch need := least(c.Plan(), len(a.Members)); {
	case a.Threshold < need:
		return fmt.Errorf("threshold: %d; %d of these members signed for the vault before, or as many as there are", a.Threshold, need)
	case a.Threshold > need && a.Threshold != own.threshold: // one who is lost or hostile would hold the vault for ever
		return fmt.Errorf("threshold: %d; by the plan %d of these members sign, and our own operator did not ask for more", a.Threshold, need)
	}
	if err := d.checkFollowers(c, a, own); err != nil {
		return err
	}
	var at []mpc.Party
	for _, m := range a.Members {
		o, _ := c.Plan().Anyone(m.Operator)
		at = append(at, mpc.Party{ID: m.Party, Index: share.Index(m.Index), Identity: o.Identity})
	}
	return d.cfg.MaySit(a.Key, at)
}

// checkFollowers wants beside the contributors whom the plan names and who is there, up to the size of the committee before; or exactly whom our own operator named.
func (d *Desk) checkFollowers(c sos.Case, a act.Activation, own wish) error {
	follow := func(names []string) []string {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(a.Contributors, name) })
		slices.Sort(names)
		return slices.Compact(names)
	}
	if own.successors != nil && slices.Equal(follow(own.successors), follow(a.Names())) {
		return nil
	}
	if most := len(c.Plan().Operators); len(a.Members) > most {
		return fmt.Errorf("member: there are %d, and the committee before had %d", len(a.Members), most)
	}
	// A contributor that leaves others out makes itself one of whom every closing needs, or the committee its own.
	if name := d.leftOut(c, d.seatsOf(c, a.Key, a.Attempt), a.Names()); name != "" {
		return fmt.Errorf("successor %s of the plan is up, and is left out: it sits, or our own operator asks for the same with --with", name)
	}
	return nil
}

// leftOut names a successor of the plan that may sit in a new committee, and is not of it, though there is room; "" if there is none. Its link must stand, and it must have announced
// its key; soon after ACTIVE it is waited for, because its own clock may come to ACTIVE a little later than ours.
func (d *Desk) leftOut(c sos.Case, seats map[string]act.Seat, members []string) string {
	p := c.Plan()
	soon := p.Window-c.Remaining() < p.Window/attemptsMost
	for _, name := range p.Successors {
		_, sits := seats[name]
		if len(members) < len(p.Operators) && !slices.Contains(members, name) && c.MaySit(name) == nil && d.cfg.Reachable(name) && (sits || soon) {
			return name
		}
	}
	return ""
}

// complete lets the docket have what all have signed whose word it takes.
func (d *Desk) complete(k sos.Docket, c sos.Case, r sos.Reading) (sos.Docket, sos.Effects) {
	var all sos.Effects
	take := func(e sos.Event) {
		if next, fx, err := k.Apply(e, r); err == nil {
			k, all.Say, all.Tell = next, append(all.Say, fx.Say...), append(all.Tell, fx.Tell...)
		} // else not now: the tick asks again
	}
	for _, a := range d.activations(c) {
		tardy := c.State() == sos.LockUp || c.State() == sos.Vetoed || c.State() == sos.Expired // we were away, and the others may all have given
		if (c.State() == sos.Active || tardy && !slices.Contains(a.Contributors, d.cfg.Operator)) && !c.Activated(a.ID) && d.whole(c, a) {
			take(d.activated(c, a))
		}
	}
	if c.State() != sos.LockUp && c.State() != sos.Closed {
		return k, all
	}
	for _, s := range d.said(c.Plan().Vault) {
		switch s.Statement.Kind() {
		case statement.SOSClose:
			if v, signed, err := act.VerifyClose(s.Statement, s.sigs(), c.Plan(), c.Committee()); err == nil && v.Request == c.ID() && c.State() == sos.LockUp {
				take(sos.ClosedBy{Close: v, Signed: signed})
			}
		case statement.SOSEarlyRelease:
			if v, err := act.VerifyEarlyRelease(s.Statement, s.sigs(), c.Plan(), c.Committee()); err == nil && v.Request == c.ID() {
				take(sos.Freed{EarlyRelease: v})
			}
		}
	}
	return k, all
}

func (s Said) sigs() map[string][]byte {
	sigs := map[string][]byte{}
	for i, name := range s.By {
		sigs[name] = s.Signatures[i]
	}
	return sigs
}

// moved tells the docket of keys that have another epoch than its requests name.
func (d *Desk) moved(k sos.Docket, c sos.Case, r sos.Reading) (sos.Docket, sos.Effects, error) {
	var all sos.Effects
	for _, key := range c.Request().Keys {
		now, known := d.cfg.Epoch(key.Key)
		if !known || now.Hash == key.Epoch || slices.Contains(c.Reshared(), act.Key{Key: key.Key, Epoch: now.Hash}) {
			continue
		}
		if !d.brought(c, now.Activation, key) && d.underway(k, now, key.Key) { // that case takes it first: else it would think that no emergency brought it
			continue
		}
		var e sos.Event = sos.Moved{Key: act.Key{Key: key.Key, Epoch: now.Hash}}
		if d.brought(c, now.Activation, key) {
			e = sos.Reshared{Request: c.ID(), Activation: now.Activation, Key: act.Key{Key: key.Key, Epoch: now.Hash}, Committee: now.Committee, Threshold: now.Threshold}
		} else if !c.State().Holds() && c.State() != sos.Armed {
			continue
		}
		next, fx, err := k.Apply(e, r)
		if errors.Is(err, sos.ErrOver) {
			continue
		}
		if err != nil {
			return k, all, err
		}
		k, all.Say, all.Tell = next, append(all.Say, fx.Say...), append(all.Tell, fx.Tell...)
	}
	return k, all, nil
}

// underway says that a key's epoch in force is by an activation of a case that has not taken it yet.
func (d *Desk) underway(k sos.Docket, now Epoch, key [32]byte) bool {
	return slices.ContainsFunc(k.Cases(), func(o sos.Case) bool {
		return !slices.Contains(o.Reshared(), act.Key{Key: key, Epoch: now.Hash}) && slices.ContainsFunc(o.Request().Keys, func(q act.Key) bool { return q.Key == key && d.brought(o, now.Activation, q) })
	})
}

// brought says whether an activation of this request made an epoch of a key.
func (d *Desk) brought(c sos.Case, activation [32]byte, key act.Key) bool {
	return activation != [32]byte{} && slices.ContainsFunc(d.activations(c), func(a act.Activation) bool { return a.ID == activation && a.Key == key })
}

// A Sanction is an activation that all its contributors signed and that is of the plan: a certificate of it makes a committee.
type Sanction struct {
	Vault     statement.ID
	Key       act.Key
	Threshold int
	Members   []string // ascending
	Proof     Proof
}

// A Proof is what a Sanction rests on, for who took no part.
type Proof struct {
	Request, By []byte // its statement, and its maker's signature
	Activation  []byte
	Signatures  map[string][]byte // by contributor
}

// Sanctioned finds an activation. It is asked under other rooms' locks, and takes none of this room's but its own.
func (d *Desk) Sanctioned(id [32]byte) (Sanction, bool) {
	d.known.Lock()
	defer d.known.Unlock()
	s, ok := d.sanctions[id]
	return s, ok
}

// sanction notes the activations of a request that are whole.
func (d *Desk) sanction(k sos.Docket, c sos.Case) {
	for _, a := range d.activations(c) {
		if _, known := d.Sanctioned(a.ID); known || !d.whole(c, a) || k.Fits(d.activated(c, a)) != nil {
			continue
		}
		d.known.Lock()
		d.sanctions[a.ID] = Sanction{c.Plan().Vault, a.Key, a.Threshold, a.Names(), d.proof(c, a)}
		d.known.Unlock()
	}
}

// proof gathers what an activation rests on.
func (d *Desk) proof(c sos.Case, a act.Activation) (p Proof) {
	sigs := d.signedBy(c.Plan().Vault, a.ID)
	p.Signatures = map[string][]byte{}
	for _, name := range a.Contributors {
		p.Signatures[name] = sigs[name]
	}
	for _, w := range d.words[c.Plan().Vault] {
		switch w.said.ID() {
		case c.ID():
			p.Request, p.By = w.said.Bytes(), w.sig
		case a.ID:
			p.Activation = w.said.Bytes()
		}
	}
	return p
}

// live are the operators of the circle that may be asked: all but the subjects.
func live(p plan.Plan, subjects []string, self string) (names []string) {
	for _, o := range slices.Concat(p.Operators, p.Others) {
		if o.Name != self && !slices.Contains(subjects, o.Name) {
			names = append(names, o.Name)
		}
	}
	return names
}

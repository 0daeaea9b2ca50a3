package ceremony

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/session"
)

// An Emergency is a guarded reshare that this node may take part in now, by its own docket (spec/node 12, protocols.md 6.2).
type Emergency struct {
	Key, Epoch   [32]byte // the epoch that ends
	Activation   *guard.Activation
	Contributors []engine.PartyID // exactly r
	Gives        bool             // this node is one, and has released its part
	LockUp       time.Duration
	Quorum       int                                            // k
	From         map[engine.PartyID][][]byte                    // guardians' contributions, of at least k; where one made several, whoever opens names the first
	OwnKey       func(context.Context) (*pve.PrivateKey, error) // of this ceremony, of a new member
}

// A Sanction is an activation that all its contributors signed, of the vault's own plan.
type Sanction struct {
	Key, Epoch [32]byte
	Threshold  int
	Members    []string // ascending
	Proof      Proof
}

// SetEmergencies says which keys may be reshared with guardians now, by key. The turns to open count from when one may.
func (k *Keeper) SetEmergencies(now time.Time, all map[[32]byte]Emergency) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, x := range all {
		if w := k.keys[key]; w != nil && (k.emergencies[key].Activation == nil || k.emergencies[key].Activation.ID != x.Activation.ID) {
			w.since, w.next = now, time.Time{} // whoever was waited for in what was on its way before, is not now
		}
	}
	k.emergencies = all
}

// rescueRetry is how long after a failed guarded reshare the next may be opened.
const rescueRetry = 3 * time.Second

// lockSkew is how far others' clocks may be from ours when a lock-up's end is fixed.
const lockSkew = 10 * time.Minute

// rescue opens the next attempt at a guarded reshare, if it is our turn: the contributors open.
func (k *Keeper) rescue(ctx context.Context, now time.Time, w *root, x Emergency) (*mpc.Setup, error) {
	r := w.book.Current().Record
	if !x.Gives || x.Epoch != [32]byte(r.Hash()) {
		return nil, nil
	}
	plan, _, _, err := k.Backups(ctx, r)
	if err != nil {
		return nil, err
	}
	var contributors []mpc.Party
	for _, id := range x.Contributors {
		m, ok := r.Member(id)
		if !ok {
			return nil, fmt.Errorf("vault %s: contributor %s holds no share of the epoch in force", w.title(), w.names[id])
		}
		contributors = append(contributors, m.Party)
	}
	slices.SortFunc(contributors, func(a, b mpc.Party) int { return int(a.Index) - int(b.Index) })
	members := x.Activation.Parties()
	attempt := w.nextAttempt(now)
	n := int(attempt % uint64(len(contributors)))
	if now.Before(w.next) || attempt > latestAttempt(now) || !k.there(members, k.cfg.There) || !k.mayOpen(now, w, k.cfg.There, slices.Concat(contributors[n:], contributors[:n])) {
		return nil, nil
	}
	q := &protocol.Quorum{
		Attempt: attempt, Contributors: ids(contributors), Members: ids(members),
		Rescue: epoch.Rescue{Activation: x.Activation.ID, Until: uint64(now.Add(x.LockUp).Unix()), Terms: plan.Terms},
		Guards: protocol.GuardedBy(w.guards(x.Activation.Threshold), members, x.Activation.Threshold),
	}
	if r.Rescue != nil {
		q.Rescue.Until = max(q.Rescue.Until, r.Rescue.Until)
	}
	for _, id := range quorum(x.From, x.Quorum, int(attempt)/len(contributors)) {
		q.Guardians = append(q.Guardians, protocol.HashContribution(x.From[id][0]))
	}
	s := w.setup(now, protocol.ProtocolRescue, w.keyID, r.Hash(), x.Activation.Threshold, union(contributors, members))
	s.Payload = q.Encode()
	return s, nil
}

// quorum are k guardians whose contributions hold, ascending: Γ. Whoever made several comes after all who made one, for others may have other bytes; and each round of failed attempts
// begins one further on, so that nobody stands in the way of every one.
func quorum(from map[engine.PartyID][][]byte, k, round int) []engine.PartyID {
	all := slices.SortedFunc(maps.Keys(from), func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) })
	slices.SortStableFunc(all, func(a, b engine.PartyID) int { return len(from[a]) - len(from[b]) })
	var out []engine.PartyID
	for i := range min(k, len(all)) {
		out = append(out, all[(i+round)%len(all)])
	}
	slices.SortFunc(out, func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Activation is the activation that a Setup of a guarded reshare names.
func Activation(s *mpc.Setup) ([32]byte, error) {
	q, err := protocol.DecodeQuorum(s.Payload)
	if err != nil {
		return [32]byte{}, err
	}
	return q.Rescue.Activation, nil
}

// Rescues is the activation that made a pending record of a key; zero if none did, or it is not pending here.
func (k *Keeper) Rescues(key [32]byte, eh epoch.Hash) (id [32]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w, a, err := k.of(key[:]); err == nil && w != nil {
		for _, p := range a.book.Pending() {
			if p.Record.Hash() == eh && p.Record.Rescued() {
				id = p.Record.Rescue.Activation
			}
		}
	}
	return id
}

// admitRescue decides whether we take part. It believes nothing of the Setup: who contributes and who receives is as the activation says, which our own docket
// holds to the plan; the parent is our own record in force; the contributions are those that hold here.
func (k *Keeper) admitRescue(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	w, a, err := k.of(s.KeyID[:])
	if err != nil {
		return nil, err
	}
	if !w.published() || a != w.attempt {
		return nil, fmt.Errorf("vault %s: %w", w.title(), ErrNoKey)
	}
	x, ok := k.emergencies[s.KeyID]
	q, err := protocol.DecodeQuorum(s.Payload)
	r := a.book.Current().Record
	switch {
	case err != nil:
		return nil, err
	case !ok || x.Activation.ID != q.Rescue.Activation:
		return nil, fmt.Errorf("vault %s: %w: no activation of an emergency is to be carried out here now, or it is another", w.title(), session.ErrNotYet)
	case s.Epoch != [32]byte(r.Hash()) || s.Epoch != x.Epoch || s.Suite != w.suite:
		return nil, fmt.Errorf("vault %s: a guarded reshare is of the epoch in force", w.title())
	case !slices.Contains(x.Contributors, s.Opener): // who only receives must not choose numbers, lock-up and guardians for those who gave their parts
		return nil, fmt.Errorf("vault %s: a guarded reshare is opened by a contributor, and this one by %s", w.title(), w.names[s.Opener])
	case w.follows(now, q.Attempt) != nil:
		return nil, w.follows(now, q.Attempt)
	case w.joining:
		return nil, fmt.Errorf("vault %s: another attempt is being joined", w.title())
	}
	if err := w.tooFast(now, s.Opener, k.cfg.Self, rescueRetry/3); err != nil {
		return nil, err
	}
	if err := k.checkQuorum(now, w, x, q, r); err != nil {
		return nil, fmt.Errorf("vault %s: %w", w.title(), err)
	}
	if err := k.cfg.Fit(ctx, now, s, [32]byte{}); err != nil {
		return nil, err
	}
	return k.rescueTask(ctx, now, w, a, s, x, q)
}

// checkQuorum holds a Quorum to what our docket says: exactly the activation's contributors, contributions that we have, and a lock-up that ends when the plan says.
func (k *Keeper) checkQuorum(now time.Time, w *root, x Emergency, q *protocol.Quorum, r *epoch.Record) error {
	if len(q.Contributors) != len(x.Contributors) || slices.ContainsFunc(q.Contributors, func(id engine.PartyID) bool { return !slices.Contains(x.Contributors, id) }) {
		return errors.New("the contributors are not those of the activation")
	}
	least := now.Add(x.LockUp - lockSkew).Unix()
	if r.Rescue != nil {
		least = max(least, int64(r.Rescue.Until))
	}
	if until := int64(q.Rescue.Until); until < least || until > max(now.Add(x.LockUp+lockSkew).Unix(), least) {
		return fmt.Errorf("its lock-up ends at %s, and the plan says %s from now", statement.FormatTime(time.Unix(until, 0)), x.LockUp)
	}
	return nil
}

// contributed are the contributions that a Quorum names, by guardian's id.
func contributed(x Emergency, q *protocol.Quorum) (from [][]byte, err error) {
	have := map[[32]byte][]byte{}
	for _, all := range x.From {
		for _, raw := range all {
			have[protocol.HashContribution(raw)] = raw
		}
	}
	for _, h := range q.Guardians {
		raw := have[h]
		if raw == nil {
			return nil, fmt.Errorf("%w: a guardian's contribution is not here yet", session.ErrNotYet)
		}
		from = append(from, raw)
	}
	return from, nil
}

func (k *Keeper) rescueTask(ctx context.Context, now time.Time, w *root, a *attempt, s *mpc.Setup, x Emergency, q *protocol.Quorum) (*session.Task, error) {
	f := a.book.Current()
	next := w.guards(x.Activation.Threshold)
	e := &protocol.Emergency{Parent: f.Record, Activation: x.Activation, Rescue: q.Rescue, Next: next}
	var err error
	if e.From, err = contributed(x, q); err != nil {
		return nil, err
	}
	if e.Plan, _, e.Set, err = k.Backups(ctx, f.Record); err != nil {
		return nil, err
	}
	wipe := func() {
		if e.Mask != nil {
			e.Mask.Wipe()
		}
		if e.Key != nil {
			e.Key.Wipe()
		}
	}
	if slices.Contains(x.Contributors, k.cfg.Self) {
		if e.Mask, err = k.loadMask(ctx, f.Record, e.Set); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(x.Activation.Members, func(m guard.NewMember) bool { return m.ID == k.cfg.Self }) {
		if e.Key, err = x.OwnKey(ctx); err != nil {
			wipe()
			return nil, err
		}
	}
	title := fmt.Sprintf("guarded reshare of vault %s, epoch %d, attempt %d", w.title(), f.Record.Epoch+1, q.Attempt)
	t := k.makingTask(w, s, next, title, func(seat protocol.Seat) (engine.Stage[protocol.Prepared], error) { return protocol.Rescue(seat, e) })
	t.Standing = Standing(f)
	if e.Mask != nil {
		t.Hedge = secret.New(e.Mask.Bytes())
	}
	k.enlist(now, w, a, s, q.Attempt, t, wipe)
	return t, nil
}

// enlist makes a task an attempt at the next epoch of a key: what older ones prepared is given up with it, and its secrets end with it. It has its number for as long as
// it is open, and for good from when all have joined.
func (k *Keeper) enlist(now time.Time, w *root, a *attempt, s *mpc.Setup, number uint64, t *session.Task, wipe func()) {
	w.joining = true
	w.noteOpened(now, s.Opener)
	t.Admit = k.givenUp(now, w, a)
	t.Admit.Leaves = append(t.Admit.Leaves, tlog.Notes(tlog.KindSession, now, w.ID, s.Hash()).On(w.keyID))
	t.Admitted = func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		w.joining = false
		w.join(s.Hash(), number)
		k.dropUnfinal(w, a)
	}
	begin, ended := t.Begin, t.Done
	t.Begin = func(seat protocol.Seat) (session.Machine, error) {
		k.mu.Lock()
		w.begin(s.Hash())
		k.mu.Unlock()
		return begin(seat)
	}
	t.Done = func(ctx context.Context, now time.Time, err error, sentLast bool) {
		wipe()
		k.mu.Lock()
		delete(w.open, s.Hash())
		k.mu.Unlock()
		ended(ctx, now, err, sentLast)
	}
	k.joins(w, t)
}

// sanctionedBySOS holds a record of a guarded reshare to the activation that it names: one that all contributors signed, and that is of the plan which all operators
// signed beforehand. The certificate itself shows r of the committee before and k guardians.
func (k *Keeper) sanctionedBySOS(w *root, r *epoch.Record) error {
	s, ok := k.cfg.Sanctioned(r.Rescue.Activation)
	if g := w.grounds[r.Hash()]; !ok && g != nil { // we took no part, or came later: the grounds were checked when they came
		s, ok = g.sanction, true
	}
	switch {
	case !ok:
		return fmt.Errorf("%w: record %v of vault %s: activation %x of an emergency is not known here", outbox.ErrLater, r.Hash(), w.title(), r.Rescue.Activation[:4])
	case s.Key != r.KeyID || s.Epoch != [32]byte(r.Prev) || s.Threshold != r.Threshold || !slices.Equal(s.Members, w.committee(r)):
		return fmt.Errorf("record %v of vault %s: not the key, epoch or committee of activation %x, which it names", r.Hash(), w.title(), r.Rescue.Activation[:4])
	}
	return nil
}

// grounded holds the certificate of a record that an emergency made to the epoch before it, as it was in force here: without that nobody sees whether r of its members
// and k of its guardians agreed, and t nodes could put any committee in force.
func (w *root) grounded(f *epoch.FinalCert) error {
	if !f.Record.Rescued() {
		return nil
	}
	parent := w.before(f.Record)
	if parent == nil {
		return fmt.Errorf("%w: vault %s: the epoch before record %v, which an emergency made, is not known here", outbox.ErrLater, w.title(), f.Record.Hash())
	}
	return f.CheckOlds(parent)
}

// SeatsOf gives operators' nodes their seats in a child of a key's epoch in force.
func (k *Keeper) SeatsOf(key, eh [32]byte, nodes []mpc.Party) ([]mpc.Party, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w, r, err := k.inEpoch(key, eh)
	if err != nil {
		return nil, err
	}
	return r.Seats(nodes, w.book.Mark())
}

// MaySit says whether these may be the seats of a child of a key's epoch in force: who stays keeps its own, and nobody has one that another had in any record here.
func (k *Keeper) MaySit(key, eh [32]byte, seats []mpc.Party) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	w, r, err := k.inEpoch(key, eh)
	if err != nil {
		return err
	}
	had := w.had()
	for _, p := range seats {
		if id, ok := had[uint16(p.Index)]; ok && id != p.ID {
			return fmt.Errorf("index %d of %s is or was %s's", p.Index, w.names[p.ID], w.names[id])
		}
	}
	return r.CheckSeats(seats)
}

// Had says whose each share index of a key is or ever was, by the records that this node knows.
func (k *Keeper) Had(key [32]byte) map[uint16]engine.PartyID {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.keys[key]; w != nil {
		return w.had()
	}
	return nil
}

func (w *root) had() map[uint16]engine.PartyID {
	had := map[uint16]engine.PartyID{}
	for _, p := range w.book.Pending() {
		for _, m := range p.Record.Members {
			had[uint16(m.Index)] = m.ID
		}
	}
	for _, r := range w.past {
		for _, m := range r.Members {
			had[uint16(m.Index)] = m.ID
		}
	}
	return had
}

// inEpoch finds a key in force, in an epoch.
func (k *Keeper) inEpoch(key, eh [32]byte) (*root, *epoch.Record, error) {
	w, a, err := k.of(key[:])
	if err != nil {
		return nil, nil, err
	}
	if !w.published() || a != w.attempt || [32]byte(a.book.Current().Record.Hash()) != eh {
		return nil, nil, fmt.Errorf("key %x is in another epoch here", key[:6])
	}
	return w, a.book.Current().Record, nil
}

// CheckContribution holds a guardian's message to our own record and backup set of a key's epoch in force (spec/guard 7.4), and says whose it is.
func (k *Keeper) CheckContribution(ctx context.Context, key, eh [32]byte, a *guard.Activation, raw []byte) (guardian engine.PartyID, err error) {
	k.mu.Lock()
	_, r, err := k.inEpoch(key, eh)
	k.mu.Unlock()
	if err != nil {
		return guardian, fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	plan, _, set, err := k.Backups(ctx, r)
	if err != nil {
		return guardian, fmt.Errorf("%w: %w", outbox.ErrLater, err) // a node that comes to the key has it from its members
	}
	t, err := r.Terms(plan)
	if err != nil {
		return guardian, err
	}
	c, err := guard.DecodeContribution(t.Group, a, raw)
	if err == nil {
		err = c.Check(t, set, a)
	}
	if err != nil {
		return guardian, err
	}
	return c.Guardian(), nil
}

// InForce is what others may know of a key's epoch in force: its hash, the activation that made it (zero: none did), its committee and how many of it sign.
func (k *Keeper) InForce(key [32]byte) (eh, activation [32]byte, committee []string, threshold int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.keys[key]
	if w == nil || w.keyID != key || !w.published() {
		return eh, activation, nil, 0, false
	}
	r := w.book.Current().Record
	if r.Rescued() {
		activation = r.Rescue.Activation
	}
	return r.Hash(), activation, w.committee(r), r.Threshold, true
}

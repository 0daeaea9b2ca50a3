package ceremony

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/session"
)

// skipFor is how long an old member that failed a reshare does not deal, if enough others are there.
const skipFor = 10 * time.Minute

// reshaping is what a root knows of its way from committee to committee.
type reshaping struct {
	past       map[epoch.Hash]*epoch.Record // every record that was in force here
	grounds    map[epoch.Hash]*grounds      // of records that emergencies made
	sinces     map[epoch.Hash]time.Time     // since when; of what a newcomer was shown, the last alone
	shown      epoch.Hash                   // the epoch that all nodes were told of in an emergency
	hasSet     epoch.Hash                   // the epoch of others whose backup set is here
	coming     map[engine.PartyID][]byte    // the beginnings of one that members send
	told       epoch.Hash                   // the epoch whose newcomers were told again of what counts in limits
	made       map[epoch.Hash]*epoch.Record // every record that we prepared
	skip       map[engine.PartyID]time.Time // who failed a change: it deals only if it must, until then
	introduced introduced                   // what newcomers were told
	at         epoch.Hash                   // the highest pending record,
	atSince    time.Time                    // and since when it is
}

type introduced struct {
	plan statement.ID
	eh   epoch.Hash
}

func newReshaping() reshaping {
	return reshaping{past: map[epoch.Hash]*epoch.Record{}, grounds: map[epoch.Hash]*grounds{}, sinces: map[epoch.Hash]time.Time{}, made: map[epoch.Hash]*epoch.Record{}, skip: map[engine.PartyID]time.Time{}, coming: map[engine.PartyID][]byte{}}
}

// held is the vault as it is held now: committee and threshold are those of the record in force.
func (w *root) held() charter.Vault {
	if w.book.Current() == nil {
		return w.Vault
	}
	return w.heldBy(w.book.Current().Record)
}

func (w *root) heldBy(r *epoch.Record) charter.Vault {
	v := w.Vault
	v.Committee, v.Threshold = w.committee(r), r.Threshold
	return v
}

// peersOf are those with whom we may share a pair's state of a record: its members, or anybody if the record is not at hand.
func (w *root) peersOf(eh epoch.Hash) (ids []engine.PartyID) {
	r := w.made[eh]
	if r == nil {
		r = w.past[eh]
	}
	if r == nil {
		return slices.Collect(maps.Keys(w.names))
	}
	for _, m := range r.Members {
		ids = append(ids, m.ID)
	}
	return ids
}

// committee names a record's members, ascending.
func (w *root) committee(r *epoch.Record) (names []string) {
	for _, m := range r.Members {
		name := w.names[m.ID]
		if name == "" {
			name = m.ID.String()
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// VaultAt is the vault as it was held in an epoch that was in force here: what was decided in an epoch is judged by its
// committee.
func (k *Keeper) VaultAt(vault statement.ID, key [32]byte, eh epoch.Hash) (charter.Vault, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.keys[key]
	if w == nil || w.ID != vault || w.past[eh] == nil {
		return charter.Vault{}, false
	}
	return w.heldBy(w.past[eh]), true
}

// First is the vault as it was held in the first epoch that was in force here. A node that came by a reshare knows no older one; it hears of
// what the members of then allowed before.
func (k *Keeper) First(vault statement.ID, key [32]byte) (charter.Vault, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.keys[key]
	if w == nil || w.ID != vault {
		return charter.Vault{}, false
	}
	var first *epoch.Record
	for _, r := range w.past {
		if first == nil || first.Higher(r) {
			first = r
		}
	}
	if first == nil {
		return charter.Vault{}, false
	}
	return w.heldBy(first), true
}

// AddPlan takes a reshare that officers completed, or that one more of them signed.
func (k *Keeper) AddPlan(_ context.Context, now time.Time, a charter.Accepted) error {
	r, err := charter.ReshareOf(a.Statement)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.plans[r.Vault]
	if s == nil {
		return fmt.Errorf("reshare %d: vault %s is not known here", r.Number, r.Vault.Short())
	}
	if err := s.Add(a); err != nil {
		return err
	}
	for _, w := range k.rootsOf(r.Vault) {
		k.succeed(w) // an emergency may follow it
		w.since, w.next, w.fails = now, time.Time{}, 0
		clear(w.skip)
		clear(w.opened)
	}
	return nil
}

// Held says under which statement a vault's keys are held by this node, and what they are. Where its suites' keys are on
// their way one after the other, it is the newest.
func (k *Keeper) Held(vault statement.ID) (under statement.ID, keys []charter.PinnedKey, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	newest := uint64(0)
	if err := k.damagedIn(vault); err != nil {
		return under, nil, err // a reshare is of all keys of a vault
	}
	for _, w := range k.rootsOf(vault) {
		k.sure(w)
		if _, seated := w.book.Seat(k.cfg.Self); !w.published() || !seated {
			return under, nil, fmt.Errorf("vault %s: %w, or this node has no share of it", w.title(), ErrNoKey)
		}
		r := w.book.Current().Record
		p, ok := k.plans[vault].HeldBy(r.Threshold, w.committee(r))
		if !ok {
			return under, nil, fmt.Errorf("vault %s: no statement that is known here says who holds it now", w.title())
		}
		if under.IsZero() || p.Number > newest {
			under, newest = p.ID, p.Number
		}
		keys = append(keys, charter.PinnedKey{Suite: w.suite, Key: r.KeyID, PublicKey: r.Public.Bytes(), Anchor: r.Hash()})
	}
	if under.IsZero() {
		err = fmt.Errorf("vault %s: %w", vault.Short(), ErrNoKey)
	}
	return under, keys, err
}

// Seated says whether a party has a share of a key in force, as far as this node follows it.
func (k *Keeper) Seated(id engine.PartyID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.roots {
		if c := w.book.Current(); c != nil {
			if _, seated := c.Record.Member(id); seated {
				return true
			}
		}
	}
	return false
}

// Under lists the statements under which a vault's keys are held, as far as this node follows them; none if others hold them.
func (k *Keeper) Under(vault statement.ID) (ids []statement.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.rootsOf(vault) {
		if !w.published() {
			continue
		}
		now := w.held()
		if p, ok := k.plans[vault].HeldBy(now.Threshold, now.Committee); ok {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// plan is the reshare that is still to be carried out for this key: of the complete ones that follow what the key is held under,
// that with the highest number on which those who hold it agree; of two with one number, that with the lower id. An old statement, shown again, does not lead
// back, and those who held the key long ago cannot put one in the way of those who hold it now.
func (k *Keeper) plan(w *root) (best charter.Plan, ok bool) {
	if !w.published() {
		return best, false
	}
	s, now := k.plans[w.ID], w.held()
	held, _ := s.HeldBy(now.Threshold, now.Committee)
	for _, p := range s.Plans() {
		if p.Number > max(held.Number, best.Number) && s.NumberOf(p.Previous) >= held.Number && p.Agreed(now) {
			best = p
		}
	}
	return best, best.Number > 0 && best.Changes(now)
}

// viewPlan shows a reshare on its way, and whom it waits for before it begins.
func (k *Keeper) viewPlan(w *root, v *View) {
	p, ok := k.plan(w)
	if !ok {
		return
	}
	v.Plan = &p
	if len(w.book.Pending()) > 0 {
		return
	}
	v.Change.Step, v.Change.Waiting = "reshare", nil
	parties, _ := w.newMembers(p)
	for _, q := range parties {
		if q.ID != k.cfg.Self && !k.cfg.Reachable(q.ID) {
			v.Change.Waiting = append(v.Change.Waiting, w.names[q.ID])
		}
	}
}

// Left says since when a key goes on without this node, which held a share of it.
type Left struct {
	Epoch uint64    // the first epoch without us that was in force here; 0: we hold a share, or never did
	At    time.Time // since when it was; zero: not known
}

// viewLeft shows that we hold no share any more: all that we know of the key from then on is what others say.
func (k *Keeper) viewLeft(w *root, v *View) {
	if _, seated := w.book.Seat(k.cfg.Self); seated {
		return
	}
	held, since := false, uint64(0) // the last epoch with us, the first one after it
	for _, r := range w.past {
		if _, in := r.Member(k.cfg.Self); in {
			held, since = true, max(since, r.Epoch)
		}
	}
	if !held {
		return
	}
	first := w.book.Current().Record.Epoch
	for _, r := range w.past {
		if r.Epoch > since {
			first = min(first, r.Epoch)
		}
	}
	v.Step, v.Waiting, v.Left = StepLeft, nil, Left{first, w.leftAt}
}

// newMembers are the nodes of a plan's committee, without seats yet.
func (w *root) newMembers(p charter.Plan) (parties []mpc.Party, err error) {
	for _, name := range p.Committee {
		o, ok := w.roster.Operator(name)
		if !ok {
			return nil, fmt.Errorf("vault %s: operator %s is not in the roster", w.title(), name)
		}
		parties = append(parties, mpc.Party{ID: mpc.IDOf(o.Identity), Identity: o.Identity})
	}
	return parties, nil
}

// reach says who is there for sessions that make or test a record: where an emergency made it, also who has not shown what it runs on.
func (k *Keeper) reach(r *epoch.Record) func(engine.PartyID) bool {
	if r.Rescued() {
		return k.cfg.There
	}
	return k.cfg.Reachable
}

func (k *Keeper) there(parties []mpc.Party, is func(engine.PartyID) bool) bool {
	return !slices.ContainsFunc(parties, func(p mpc.Party) bool { return p.ID != k.cfg.Self && !is(p.ID) })
}

// stuck says whether a pending record has been the highest for long.
func (w *root) stuck(now time.Time, p *epoch.Pending) bool {
	if eh := p.Record.Hash(); w.at != eh {
		w.at, w.atSince = eh, now
	}
	return now.Sub(w.atSince) > finalPatience
}

// remember notes who was in the way of a session.
func (w *root) remember(now time.Time, err error) {
	var silent *session.SilentError
	var declined *session.DeclinedError
	var fault *engine.Fault
	var ids []engine.PartyID
	if errors.As(err, &silent) {
		ids = append(ids, silent.Waiting...)
	}
	if errors.As(err, &declined) {
		ids = append(ids, declined.By)
	}
	if errors.As(err, &fault) {
		ids = append(ids, fault.Accused...)
	}
	for _, id := range ids {
		w.skip[id] = now.Add(skipFor)
	}
}

// sanctioned refuses a record of a committee or threshold that officers did not put in force: t corrupt nodes could make one
// up, and honest ones that have not seen it must not follow.
func (k *Keeper) sanctioned(w *root, r *epoch.Record) error {
	if r.Epoch == 0 {
		return nil
	}
	for _, m := range r.Members {
		o, ok := w.roster.Operator(w.names[m.ID])
		if !ok || !bytes.Equal(o.Identity, m.Identity) {
			return fmt.Errorf("record %v of vault %s: member %v is no operator's node", r.Hash(), w.title(), m.ID)
		}
	}
	if r.Rescued() {
		return k.sanctionedBySOS(w, r)
	}
	if _, ok := k.plans[w.ID].HeldBy(r.Threshold, w.committee(r)); !ok {
		return fmt.Errorf("%w: record %v of vault %s: no statement of the officers is known here for %d of %v", outbox.ErrLater, r.Hash(), w.title(), r.Threshold, w.committee(r))
	}
	return nil
}

// mayReshare says whether we take part in carrying a plan out.
func (k *Keeper) mayReshare(ctx context.Context, w *root, p charter.Plan) error {
	r := w.book.Current().Record
	pinned, _ := p.Pinned(w.suite)
	switch {
	case !slices.Contains(p.Signed, k.cfg.Operator):
		return fmt.Errorf("vault %s: our officer did not sign reshare %d: they run `ostraka vault reshare` too", w.title(), p.Number)
	case pinned.Key != r.KeyID || !bytes.Equal(pinned.PublicKey, r.Public.Bytes()):
		return fmt.Errorf("vault %s: reshare %d is of another key than this node knows", w.title(), p.Number)
	}
	members, err := w.newMembers(p)
	if err != nil {
		return err
	}
	if err := k.checkBurns(ctx, w, members); err != nil {
		return err
	}
	bad, err := k.cfg.Quarantined(ctx, w.keyID)
	for _, m := range members {
		switch {
		case err != nil:
		case w.checks[m.ID] >= maxChecks:
			err = fmt.Errorf("vault %s: pair set-up with %s failed %d times: reshare without it", w.title(), w.names[m.ID], w.checks[m.ID])
		case slices.Contains(bad, m.ID):
			err = fmt.Errorf("vault %s: %s broke the protocol of this key: reshare without it, or run `ostraka vault refresh` once its operator has found the cause", w.title(), w.names[m.ID])
		}
	}
	return err
}

// dealers are the members of the epoch in force whose officers signed and who are there, those who failed lately only if it
// takes them. After a failure that names nobody those who leave deal only as far as it takes them, others each time: one of
// them must not be able to stop the keys from leaving it.
func (k *Keeper) dealers(ctx context.Context, now time.Time, w *root, p charter.Plan, attempt uint64) ([]mpc.Party, error) {
	r := w.book.Current().Record
	bad, err := k.cfg.Quarantined(ctx, w.keyID)
	if err != nil {
		return nil, err
	}
	var all, good []mpc.Party
	var missing []string
	for _, m := range r.Members {
		name := w.names[m.ID]
		bare := m.ID == k.cfg.Self && w.bare
		if bare || !slices.Contains(p.Signed, name) || !k.there([]mpc.Party{m.Party}, k.cfg.Reachable) || slices.Contains(bad, m.ID) {
			missing = append(missing, name)
			continue
		}
		all = append(all, m.Party)
		if !now.Before(w.skip[m.ID]) {
			good = append(good, m.Party)
		}
	}
	switch {
	case p.Threshold < r.Threshold && len(missing) > 0:
		return nil, fmt.Errorf("vault %s: the threshold falls, so every operator that holds a share must sign and take part: %v is not there", w.title(), missing)
	case len(all) < r.Threshold:
		return nil, fmt.Errorf("vault %s: %d operators that hold shares signed and are there, %d are needed: %v is not", w.title(), len(all), r.Threshold, missing)
	case p.Threshold < r.Threshold:
		return all, nil
	case len(good) < r.Threshold:
		good = all
	}
	if w.fails == 0 {
		return good, nil
	}
	return w.fewest(good, p, attempt), nil
}

// fewest are those of some members who stay, and so many of those who leave as make up the threshold.
func (w *root) fewest(from []mpc.Party, p charter.Plan, attempt uint64) []mpc.Party {
	var some, leave []mpc.Party
	for _, m := range from {
		if slices.Contains(p.Committee, w.names[m.ID]) {
			some = append(some, m)
		} else {
			leave = append(leave, m)
		}
	}
	for i := 0; len(some) < w.book.Current().Record.Threshold; i++ {
		some = append(some, leave[(attempt+uint64(i))%uint64(len(leave))])
	}
	slices.SortFunc(some, func(a, b mpc.Party) int { return int(a.Index) - int(b.Index) })
	return some
}

// reshare opens the next attempt at a plan, if it is our turn. ready says that it can be carried out now, by us or another.
func (k *Keeper) reshare(ctx context.Context, now time.Time, w *root) (s *mpc.Setup, ready bool, err error) {
	p, ok := k.plan(w)
	if !ok {
		return nil, false, nil
	}
	r := w.book.Current().Record
	if _, seated := r.Member(k.cfg.Self); !seated {
		return nil, true, nil // dealers open
	}
	if err := k.introduce(ctx, now, w, p); err != nil {
		w.lastErr = err // it must not keep the key from new shares, nor fill the log
		return nil, false, nil
	}
	var dealers, members []mpc.Party
	attempt := w.nextAttempt(now)
	if err = k.mayReshare(ctx, w, p); err == nil {
		dealers, err = k.dealers(ctx, now, w, p, attempt)
	}
	if err == nil {
		members, err = w.newMembers(p)
	}
	if err == nil {
		members, err = r.Seats(members, w.book.Mark())
	}
	if err != nil || !k.there(members, k.cfg.Reachable) {
		if err != nil {
			w.lastErr = err
		}
		return nil, false, nil
	}
	// Another one begins each attempt: one whose choice of dealers the others decline must not keep them from theirs.
	turn := int(attempt % uint64(len(dealers)))
	order := slices.Concat(dealers[turn:], dealers[:turn])
	if now.Before(w.next) || attempt > latestAttempt(now) || !k.mayOpen(now, w, k.cfg.Reachable, order) {
		return nil, true, nil
	}
	c := &protocol.Change{Attempt: attempt, Dealers: ids(dealers), Members: ids(members), Guards: protocol.GuardedBy(w.guards(p.Threshold), members, p.Threshold)}
	s = w.setup(now, protocol.ProtocolReshare, w.keyID, r.Hash(), p.Threshold, union(dealers, members))
	s.Payload = c.Encode()
	return s, true, nil
}

func ids(parties []mpc.Party) (out []engine.PartyID) {
	for _, p := range parties {
		out = append(out, p.ID)
	}
	return out
}

// union lists all who take part, by index.
func union(dealers, members []mpc.Party) []mpc.Party {
	all := slices.Clone(members)
	for _, d := range dealers {
		if !slices.ContainsFunc(members, func(m mpc.Party) bool { return m.ID == d.ID }) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b mpc.Party) int { return int(a.Index) - int(b.Index) })
	return all
}

// admitReshare decides whether we take part. It believes nothing of the Setup: committee and threshold are those of the
// officers' statement, which ours signed; the parent is our own record in force, or what a chain proved to a newcomer.
func (k *Keeper) admitReshare(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	w, a, err := k.of(s.KeyID[:])
	if errors.Is(err, outbox.ErrOld) {
		return nil, fmt.Errorf("key %x: this node was not introduced to it yet", s.KeyID[:6])
	}
	if err != nil {
		return nil, err
	}
	if !w.published() || a != w.attempt {
		return nil, fmt.Errorf("vault %s: %w", w.title(), ErrNoKey)
	}
	p, ok := k.plan(w)
	if !ok {
		return nil, fmt.Errorf("vault %s: no reshare that its officers completed is to be carried out", w.title())
	}
	r := a.book.Current().Record
	c, err := protocol.DecodeChange(s.Payload)
	switch {
	case err != nil:
		return nil, err
	case s.Epoch != [32]byte(r.Hash()) || s.Suite != w.suite:
		return nil, fmt.Errorf("vault %s: a reshare is of the epoch in force", w.title())
	case s.Threshold != p.Threshold:
		return nil, fmt.Errorf("vault %s: threshold %d, and the officers' reshare %d says %d", w.title(), s.Threshold, p.Number, p.Threshold)
	case w.follows(now, c.Attempt) != nil:
		return nil, w.follows(now, c.Attempt)
	case w.joining:
		return nil, fmt.Errorf("vault %s: another attempt is being joined", w.title())
	}
	if err := w.tooSoon(now, s.Opener, k.cfg.Self); err != nil {
		return nil, err
	}
	if err := k.mayReshare(ctx, w, p); err != nil {
		return nil, err
	}
	if err := k.checkRoles(ctx, w, p, s, c); err != nil {
		return nil, err
	}
	if err := k.cfg.Fit(ctx, now, s, [32]byte{}); err != nil {
		return nil, err
	}
	deals, lower := slices.Contains(c.Dealers, k.cfg.Self), p.Threshold < r.Threshold
	if deals && w.bare {
		return nil, k.bareError(w) // whoever opened leaves us out of the next attempt
	}
	plan := w.guards(p.Threshold)
	title := fmt.Sprintf("reshare %d of vault %s, epoch %d, attempt %d", p.Number, w.title(), r.Epoch+1, c.Attempt)
	return k.changeTask(ctx, now, w, a, s, c, plan, title, deals, func(seat protocol.Seat, keys *protocol.Keys) (engine.Stage[protocol.Prepared], error) {
		return protocol.Reshare(seat, r, keys, lower, plan)
	})
}

// checkRoles holds who deals and who receives to the plan and to our own record.
func (k *Keeper) checkRoles(ctx context.Context, w *root, p charter.Plan, s *mpc.Setup, c *protocol.Change) error {
	r := w.book.Current().Record
	want, err := w.newMembers(p)
	if err != nil {
		return err
	}
	bad, err := k.cfg.Quarantined(ctx, w.keyID)
	if err != nil {
		return err
	}
	if len(c.Members) != len(want) {
		return fmt.Errorf("vault %s: %d new members, and the officers' reshare %d has %d", w.title(), len(c.Members), p.Number, len(want))
	}
	for _, m := range want {
		q, in := s.Party(m.ID)
		if !in || !slices.Contains(c.Members, m.ID) || !bytes.Equal(q.Identity, m.Identity) {
			return fmt.Errorf("vault %s: %s is not among the new members, as the officers' reshare %d wants it", w.title(), w.names[m.ID], p.Number)
		}
	}
	for _, id := range c.Dealers {
		old, in := r.Member(id)
		q, party := s.Party(id)
		switch {
		case !in || !party || q.Index != old.Index || !bytes.Equal(q.Identity, old.Identity):
			return fmt.Errorf("vault %s: dealer %v is no member of the epoch in force", w.title(), id)
		case !slices.Contains(p.Signed, w.names[id]):
			return fmt.Errorf("vault %s: no officer of %s signed reshare %d, and it is to deal", w.title(), w.names[id], p.Number)
		case slices.Contains(bad, id):
			return fmt.Errorf("vault %s: %s broke the protocol of this key, and is to deal", w.title(), w.names[id])
		}
	}
	for _, q := range s.Parties {
		if !slices.Contains(c.Dealers, q.ID) && !slices.Contains(c.Members, q.ID) {
			return fmt.Errorf("vault %s: party %v neither deals nor receives", w.title(), q.ID)
		}
	}
	change := epoch.Change{Parent: r, Dealers: c.Dealers, LowerThreshold: p.Threshold < r.Threshold}
	var seats []mpc.Party
	for _, q := range s.Parties {
		if slices.Contains(c.Members, q.ID) {
			seats = append(seats, q)
		}
	}
	if err := r.CheckSeats(seats); err != nil {
		return fmt.Errorf("vault %s: %w", w.title(), err)
	}
	return change.Allows(s.Threshold, seats)
}

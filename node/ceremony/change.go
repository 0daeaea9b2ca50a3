package ceremony

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

const (
	// Our operator's word for a refresh holds that long: the others may be asleep. Then it is given again.
	wantedLife = 24 * time.Hour
	// An overdue refresh is an alarm after that, and a tenth of its interval.
	overdueAfter = time.Hour
	// maxBurns of one pair are taken for malice: new shares are not made with that peer again.
	maxBurns = 2
)

// Change is what others may know of new shares on their way.
type Change struct {
	Moved   time.Time // when the epoch in force came into force here
	Wanted  time.Time // when our operator asked for new shares; zero: not since
	Due     time.Time // when they are due by the vault's settings; zero: never
	Overdue bool
	Step    string // what they wait for; empty: nothing is on its way
	Waiting []string
}

func (w *root) change(self engine.PartyID) Change {
	c := Change{Moved: w.moved, Wanted: w.wanted, Due: w.due(), Overdue: w.overdue}
	pending := w.book.Pending()
	if len(pending) == 0 {
		if !w.wanted.IsZero() {
			c.Step = "waits for all members"
		}
		return c
	}
	switch p := pending[0]; {
	case p.Cert == nil:
		c.Step = "certificate"
	case !p.Tested:
		c.Step = "test signature"
	default:
		c.Step = "FINAL"
		for _, m := range p.Record.Members {
			if w.finals[p.Record.Hash()][m.ID] == nil {
				c.Waiting = append(c.Waiting, w.names[m.ID])
			}
		}
	}
	return c
}

// due is when new shares are due by the vault's settings.
func (w *root) due() time.Time {
	if w.RefreshEvery == 0 || w.moved.IsZero() {
		return time.Time{}
	}
	return w.moved.Add(w.RefreshEvery)
}

func (w *root) isDue(now time.Time) bool {
	due := w.due()
	return !due.IsZero() && !now.Before(due)
}

func (w *root) isWanted(now time.Time) bool {
	return !w.wanted.IsZero() && now.Sub(w.wanted) < wantedLife
}

// AskRefresh is our operator's word that a key gets new shares: it is kept, lifts our quarantines of this key, and lets pairs be
// made anew whose check failed before. Refused where a pair failed twice.
func (k *Keeper) AskRefresh(ctx context.Context, now time.Time, vault statement.ID, suite string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.damagedOf(rootID{vault, suite}); err != nil {
		return err
	}
	w := k.roots[rootID{vault, suite}]
	if w == nil || !w.published() {
		return ErrNoKey
	}
	if _, seated := w.book.Seat(k.cfg.Self); !seated {
		return fmt.Errorf("vault %s: this node holds no share of its key any more", w.title())
	}
	if w.bare {
		return k.bareError(w)
	}
	w.wanted, w.since = now, now // as if it were kept already: what was burned before is what the word is about
	if err := k.checkBurns(ctx, w, w.parties()); err != nil {
		return errors.Join(err, k.reloadWanted(ctx, w))
	}
	pardon, err := k.cfg.Pardon(ctx, w.keyID)
	if err != nil {
		return err
	}
	e := journal.Entry{Batch: pardon, Leaves: []tlog.Filed{tlog.Notes(tlog.KindWanted, now, w.ID, w.keyID)}}
	e.Put = append(e.Put, store.Entry{Key: wantedKey(w.keyID), Value: binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))})
	if err := k.cfg.Journal.Write(ctx, e); err != nil {
		return errors.Join(err, k.reloadWanted(ctx, w))
	}
	w.wanted, w.since, w.next, w.fails, w.lastErr = now, now, time.Time{}, 0, nil
	clear(w.opened)
	return nil
}

// reloadWanted takes our operator's word as it was kept.
func (k *Keeper) reloadWanted(ctx context.Context, w *root) (err error) {
	w.wanted, err = k.moment(ctx, wantedKey(w.keyID))
	return err
}

// checkBurns refuses new shares together with a peer with whom a pair failed again and again (protocols.md 1.3), and after a
// burn since the present epoch began it wants our operator's word, given after that.
func (k *Keeper) checkBurns(ctx context.Context, w *root, with []mpc.Party) error {
	for _, p := range with {
		n, last, err := k.cfg.Burns(ctx, w.keyID, p.ID)
		switch {
		case err != nil:
			return err
		case n >= maxBurns:
			return fmt.Errorf("vault %s: the pair with %s failed %d times: no new shares are made with it; reshare the vault without it", w.title(), w.names[p.ID], n)
		case n > 0 && !last.Before(w.moved.Truncate(time.Second)) && !w.wanted.Truncate(time.Second).After(last):
			return fmt.Errorf("vault %s: the pair with %s is burned: our operator must find out why, and then run `ostraka vault refresh`", w.title(), w.names[p.ID])
		}
	}
	return nil
}

// refresh opens the next attempt at new shares, if our operator asked or they are due, and it is our turn.
func (k *Keeper) refresh(ctx context.Context, now time.Time, w *root) (*mpc.Setup, error) {
	if err := k.watchDue(ctx, now, w); err != nil {
		return nil, err
	}
	if !w.isWanted(now) && !w.isDue(now) && !w.replans() || now.Before(w.next) {
		return nil, nil
	}
	if err := k.mayRefresh(ctx, now, w); err != nil {
		w.lastErr = err
		return nil, nil
	}
	cur := w.book.Current().Record
	if _, seated := cur.Member(k.cfg.Self); !seated {
		return nil, nil
	}
	attempt := w.nextAttempt(now)
	if attempt > latestAttempt(now) || !k.mayOpen(now, w, k.cfg.Reachable, cur.Parties()) {
		return nil, nil
	}
	s := w.setup(now, protocol.ProtocolRefresh, w.keyID, cur.Hash(), cur.Threshold, cur.Parties())
	s.Payload = (&protocol.Change{Attempt: attempt, Guards: protocol.GuardedBy(w.guards(cur.Threshold), cur.Parties(), cur.Threshold)}).Encode()
	return s, nil
}

// watchDue raises an alarm, once, when a refresh is long overdue.
func (k *Keeper) watchDue(ctx context.Context, now time.Time, w *root) error {
	if w.overdue || !w.isDue(now) || now.Sub(w.due()) < max(overdueAfter, w.RefreshEvery/10) {
		return nil
	}
	k.cfg.Log.Error("refresh overdue", "vault", w.title(), "due", w.due(), "why", w.lastErr)
	err := k.cfg.Journal.Write(ctx, journal.Entry{Leaves: []tlog.Filed{tlog.Says(tlog.KindAlarm, now, w.ID, []byte("refresh overdue since "+statement.FormatTime(w.due()))).On(w.book.Current().Record.Hash())}})
	w.overdue = err == nil
	return err
}

// mayRefresh says whether we take part in making new shares: when they are due, or at our own operator's word. Not at a peer's: a
// new epoch costs all presignatures and much work, and one hostile member must not be able to bring that about at will. After a failed
// check it takes our operator's word, due or not.
func (k *Keeper) mayRefresh(ctx context.Context, now time.Time, w *root) error {
	if w.bare {
		return k.bareError(w) // all members deal
	}
	if err := k.checkBurns(ctx, w, w.parties()); err != nil {
		return err
	}
	if err := w.blamed(); err != nil {
		return err
	}
	if err := w.heldBack(); err != nil {
		return err
	}
	// The test of the new shares would be refused with whoever is quarantined, and they would wait for it for ever. Our operator's
	// word lifts what was before it.
	if err := k.cfg.Fit(ctx, now, &mpc.Setup{KeyID: w.keyID, Parties: w.parties()}, [32]byte{}); err != nil {
		return fmt.Errorf("vault %s: no new shares are made now: %w; once our operator found out why, they run `ostraka vault refresh`", w.title(), err)
	}
	if !w.isWanted(now) && !w.isDue(now) && !w.replans() {
		return fmt.Errorf("vault %s: new shares are not due, and our operator did not ask for them: they run `ostraka vault refresh` too", w.title())
	}
	if why := k.cfg.Awaited(w.ID, w.due(), now); why != "" && !w.isWanted(now) && !w.replans() {
		return fmt.Errorf("vault %s: new shares are due, and wait: %s", w.title(), why)
	}
	return nil
}

// maxHeld records with our FINAL may wait for others' beside one another: we keep the shares of all, and each may come into force
// whenever who withholds its own wants.
const maxHeld = 3

// heldBack names whose FINALs are missing of as many attempts as we keep.
func (w *root) heldBack() error {
	held, missing := w.promised()
	if held < maxHeld {
		return nil
	}
	return fmt.Errorf("vault %s: %d attempts at new shares wait for the last word of %s: bring their nodes back, or reshare the vault without them",
		w.title(), held, missing)
}

// admitRefresh decides whether we take part. Parties, threshold and epoch are those of our own record in force.
func (k *Keeper) admitRefresh(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	w, a, err := k.of(s.KeyID[:])
	if err != nil {
		return nil, err
	}
	if !w.published() || a != w.attempt {
		return nil, fmt.Errorf("vault %s: %w", w.title(), ErrNoKey)
	}
	f := a.book.Current()
	r := f.Record
	c, err := protocol.DecodeChange(s.Payload)
	switch {
	case err != nil:
		return nil, err
	case s.Suite != r.Suite || len(c.Dealers)+len(c.Members) > 0:
		return nil, fmt.Errorf("vault %s: a setup of suite %s with %d dealers and %d members named is no refresh of its key", w.title(), s.Suite, len(c.Dealers), len(c.Members))
	case s.Epoch != [32]byte(r.Hash()) || s.Threshold != r.Threshold || !sameParties(s.Parties, r.Parties()):
		return nil, fmt.Errorf("vault %s: a refresh is of all members of the epoch in force, with its threshold", w.title())
	case w.follows(now, c.Attempt) != nil:
		return nil, w.follows(now, c.Attempt)
	case w.joining:
		return nil, fmt.Errorf("vault %s: another attempt is being joined", w.title())
	}
	if err := w.tooSoon(now, s.Opener, k.cfg.Self); err != nil {
		return nil, err
	}
	if err := k.mayRefresh(ctx, now, w); err != nil {
		return nil, err
	}
	// Quarantines and failures without a culprit; no pair is used that exists yet.
	if err := k.cfg.Fit(ctx, now, s, [32]byte{}); err != nil {
		return nil, err
	}
	plan := w.guards(r.Threshold)
	return k.changeTask(ctx, now, w, a, s, c, plan, fmt.Sprintf("refresh of vault %s, epoch %d, attempt %d", w.title(), r.Epoch+1, c.Attempt), true, func(seat protocol.Seat, keys *protocol.Keys) (engine.Stage[protocol.Prepared], error) {
		return protocol.Refresh(seat, keys, plan)
	})
}

// changeTask is our part in making the next epoch's shares. first is given our present secrets if we deal, else nil.
func (k *Keeper) changeTask(ctx context.Context, now time.Time, w *root, a *attempt, s *mpc.Setup, c *protocol.Change, plan *guard.Plan, title string, deals bool, first func(protocol.Seat, *protocol.Keys) (engine.Stage[protocol.Prepared], error)) (*session.Task, error) {
	f := a.book.Current()
	var keys *protocol.Keys
	if deals {
		var err error
		if keys, err = k.loadKeys(ctx, f.Record); err != nil {
			return nil, err
		}
	}
	t := k.makingTask(w, s, plan, title, func(seat protocol.Seat) (engine.Stage[protocol.Prepared], error) {
		return first(seat, keys)
	})
	t.Standing = Standing(f)
	wipe := func() {}
	if keys != nil {
		t.Hedge, wipe = secret.New(keys.Share.Bytes()), keys.Wipe
	}
	k.enlist(now, w, a, s, c.Attempt, t, wipe)
	return t, nil
}

// givenUp ends, durably, every pending record of a key that we cannot have said FINAL of: a new attempt takes its place.
func (k *Keeper) givenUp(now time.Time, w *root, a *attempt) (e journal.Entry) {
	for _, p := range a.book.Pending() {
		if !p.Promised() {
			e.Add(k.goneEntry(now, w, a, p.Record.Hash(), epoch.Dropped))
		}
	}
	return e
}

func (k *Keeper) dropUnfinal(w *root, a *attempt) {
	for _, p := range a.book.Pending() {
		if p.Promised() {
			continue
		}
		if err := a.book.Drop(p.Record.Hash()); err != nil {
			k.cfg.Log.Error("record not given up", "vault", w.title(), "error", err)
		}
	}
}

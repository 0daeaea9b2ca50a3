package ceremony

import (
	"context"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
)

// A node may keep ten thousand keys, of which few are in use. What must be done for each is spread: at a start, the certificates of the first are verified and
// those of the others when they are used, or in their turn; at a tick, those that are on their way are moved, and of those at rest a few are looked at.
const (
	verifiedAtStart = 64 // certificates
	verifiedAtOnce  = 2  // in one tick
	restedAtOnce    = 64 // looked at in one tick: so 10,000 within half a minute
)

// Tick moves every vault's key one step where it is ours to move, and returns the sessions
// that this node should open now. busy says whether a session of this key is open here.
func (k *Keeper) Tick(ctx context.Context, now time.Time, busy func(key [32]byte) bool) (open []*mpc.Setup) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range min(verifiedAtOnce, len(k.vague)) {
		w := k.vague[0]
		k.vague = k.vague[1:]
		k.sure(w)
	}
	for _, w := range k.turn(now) {
		if w.damage != nil {
			continue // it was set aside in this very round
		}
		w.Terms = k.cfg.Terms(w.Vault).Terms
		k.welcome(now, w)
		if err := k.ground(ctx, now, w); err != nil {
			k.cfg.Log.Error("others are not told what an epoch rests on", "vault", w.title(), "error", err)
		}
		s, err := k.move(ctx, now, w, busy)
		if err != nil {
			w.lastErr = err
			k.cfg.Log.Error("vault's key does not move on", "vault", w.title(), "error", err)
		}
		if s != nil {
			open = append(open, s)
		}
	}
	return open
}

// turn lists whom this tick looks at: all that are not at rest, and some that are, each in its turn; all of them once another charter is in force.
func (k *Keeper) turn(now time.Time) (out []*root) {
	all := k.all()
	if len(all) == 0 {
		return nil
	}
	if under := k.cfg.Terms(charter.Vault{}).Under; under != k.under || len(all) <= restedAtOnce {
		k.under = under
		return all
	}
	k.round %= len(all)
	last := k.round + restedAtOnce
	for i, w := range all {
		if i >= k.round && i < last || i+len(all) < last || !k.rests(now, w) {
			out = append(out, w)
		}
	}
	k.round = last
	return out
}

// rests says whether nothing is to be done for a root but what time brings. It is asked for each of very many, so it looks at what is at hand.
func (k *Keeper) rests(now time.Time, w *root) bool {
	if w.joining || !w.wanted.IsZero() || !w.published() || w.isDue(now) || w.replans() {
		return false
	}
	for _, a := range w.attempts {
		if len(a.book.Pending()) > 0 {
			return false
		}
	}
	if _, open := k.emergencies[w.keyID]; open {
		return false
	}
	s := k.plans[w.ID]
	return s == nil || len(s.Plans()) == 0 || !k.planned(w)
}

func (k *Keeper) planned(w *root) bool {
	_, ok := k.plan(w)
	return ok
}

// checkAtStart verifies a certificate that was read from the store, of the first that are; the others wait for sure.
func (k *Keeper) checkAtStart(a *attempt, f *epoch.FinalCert) error {
	a.vague = nil
	if f == nil {
		return nil
	}
	if k.verified.Load() < verifiedAtStart {
		k.verified.Add(1)
		return f.Verify()
	}
	a.vague = f
	return nil
}

// sure verifies a root's certificates in force that were read from the store and not verified since: before anything is signed, proved, shown or derived with them. A root
// whose certificate does not hold is set aside.
func (k *Keeper) sure(w *root) {
	if w.damage != nil {
		return
	}
	for _, a := range w.attempts {
		f := a.vague
		if f == nil {
			continue
		}
		a.vague = nil
		if err := f.Verify(); err != nil {
			if err := k.quarantine(context.Background(), w, err); err != nil {
				k.cfg.Log.Error("what the store holds of other keys cannot be read", "error", err)
			}
			return
		}
	}
}

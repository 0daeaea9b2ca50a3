package ceremony

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
)

// Add takes vaults that all operators of their committees accepted, and reads what the store
// holds of their keys; or, of those that it has, the newest version of the roster.
func (k *Keeper) Add(ctx context.Context, now time.Time, vaults []charter.Vault, c charter.Chain) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var fresh []*root
	for _, v := range vaults {
		r, ok := c.Reach(v.Roster)
		if !ok {
			return fmt.Errorf("vault %s: roster %s is not known here", v.Name, v.Roster.Short())
		}
		if s := k.plans[v.ID]; s != nil {
			s.Follow(c)
			k.rosters = c
			k.meet(v, r)
			continue
		}
		for _, suite := range v.Suites {
			w, err := k.open(v, r, suite, now)
			if err != nil {
				return fmt.Errorf("vault %s, suite %s: %w", v.Name, suite, err)
			}
			fresh = append(fresh, w)
		}
	}
	for i, err := range k.loadAll(ctx, now, fresh) {
		if err := k.take(ctx, fresh[i], c, err); err != nil {
			return err
		}
	}
	return nil
}

// loadAll reads roots that nobody else has yet, several at once: of thousands that is most of a start.
func (k *Keeper) loadAll(ctx context.Context, now time.Time, roots []*root) []error {
	errs := make([]error, len(roots))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(roots)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(roots)); i = next.Add(1) - 1 {
				errs[i] = k.load(ctx, now, roots[i])
			}
		})
	}
	wg.Wait()
	return errs
}

// take makes a root that was read, or could not be, one of ours.
func (k *Keeper) take(ctx context.Context, w *root, c charter.Chain, err error) error {
	if fatal(ctx, err) {
		return fmt.Errorf("vault %s, suite %s: %w", w.Name, w.suite, err)
	}
	k.rosters = c
	if k.plans[w.ID] == nil {
		k.plans[w.ID] = charter.NewSuccession(w.Vault, c)
	}
	if err != nil {
		if err := k.quarantine(ctx, w, err); err != nil {
			return err
		}
		k.index(w)
		return nil
	}
	k.name(w)
	k.index(w)
	k.roots[rootID{w.ID, w.suite}], k.order = w, nil
	w.Terms = k.cfg.Terms(w.Vault).Terms
	if w.attempt.vague != nil {
		k.vague = append(k.vague, w)
	}
	k.succeed(w)
	return nil
}

// meet takes a newer roster for the roots of a vault.
func (k *Keeper) meet(v charter.Vault, r charter.Roster) {
	for _, suite := range v.Suites {
		id := rootID{v.ID, suite}
		if w := cmp.Or(k.roots[id], k.damaged[id]); w != nil {
			w.meet(r)
		}
	}
}

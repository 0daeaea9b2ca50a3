package ceremony

import (
	"context"
	"fmt"

	"github.com/ostraka/ostraka/custody/sos/act"
)

// ProveAlive adds to a proof of life the proof of our share of every key, ascending, in the epochs in force (spec/sos 4.5). Each share
// leaves its sealed row for the proof alone, under our lock, and is wiped.
func (k *Keeper) ProveAlive(ctx context.Context, a act.Alive, keys []act.Key) (act.Alive, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range keys {
		var err error
		if a, err = k.proveAlive(ctx, a, key); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (k *Keeper) proveAlive(ctx context.Context, a act.Alive, key act.Key) (act.Alive, error) {
	w, at, err := k.of(key.Key[:])
	if err != nil {
		return a, fmt.Errorf("proof of life: %w", err)
	}
	if at != w.attempt || !w.published() || w.book.Current().Record.Hash() != key.Epoch {
		return a, fmt.Errorf("proof of life: vault %s: key %x is in another epoch than the request names", w.title(), key.Key[:6])
	}
	r := w.book.Current().Record
	m, seated := r.Member(k.cfg.Self)
	switch {
	case !seated:
		return a, fmt.Errorf("proof of life: vault %s: this node holds no share of key %x", w.title(), key.Key[:6])
	case at.bare:
		return a, k.bareError(w)
	}
	keys, err := k.loadKeys(ctx, r)
	if err != nil {
		return a, fmt.Errorf("proof of life: %w", err)
	}
	defer keys.Wipe()
	return a.Prove(key, k.cfg.Self, keys.Share, m.Public, k.cfg.Rand)
}

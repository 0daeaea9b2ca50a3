package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// A verdict on a pair that failed is known to this process alone until its burn is durable. Whoever ends the process in between, or cuts the owner of a shared store off,
// would get another verdict from the next one, and each may tell a bit of Δ (protocols.md 2.3). So the store knows which pairs are in use, and how many lives of this node
// ended while one was (spec/sessions-host 4.7).
const (
	kindUse    = "pair-use" // pair-use/<pairs>/<peer>: lives that ended while the pair was in use, 1 byte; 1 while it is, 1 byte
	maxLost    = 16         // such lives: then it counts as burned. Of 128 bits of Δ at most 16 are told
	tellLost   = 8
	idleBefore = 5 * time.Second // without a session, a pair is out of use
)

func useKey(t engine.Token) string {
	return store.Key(kindUse, store.ID(t.Key[:]), store.ID(t.Peer[:]))
}

// uses are the pairs of which sessions were admitted.
type uses struct {
	mu   sync.Mutex
	of   map[engine.Token]*use
	gate sync.RWMutex // held by whoever writes that pairs are in use; alone, by who writes that they are not
}

type use struct {
	lost   byte // lives
	marked bool // the store says that it is in use, by this life
	open   int  // sessions
	idle   time.Time
}

// load reads them; those that too many lives lost are burned.
func (u *uses) load(ctx context.Context, s store.Store) (burned []engine.Token, err error) {
	u.of = map[engine.Token]*use{}
	prefix := store.Prefix(kindUse)
	for after := ""; ; {
		items, err := s.Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return nil, fmt.Errorf("read pairs in use: %w", err)
		}
		for _, it := range items {
			t, err := parseBurn(strings.TrimPrefix(it.Key, prefix))
			if err == nil && (len(it.Value) != 2 || it.Value[0] > maxLost || it.Value[1] > 1) {
				err = fmt.Errorf("is %x: %w", it.Value, store.ErrCorrupt)
			}
			if err != nil {
				return nil, fmt.Errorf("read pairs in use: row %q: %w", it.Key, err)
			}
			x := &use{lost: min(it.Value[0]+it.Value[1], maxLost)}
			u.of[t], after = x, it.Key
			if x.lost == maxLost {
				burned = append(burned, t)
			}
		}
		if len(items) < store.MaxLimit {
			return burned, nil
		}
	}
}

// pairsOf are those that a session of the task uses.
func (h *Host) pairsOf(s *mpc.Setup, t *Task) (tokens []engine.Token) {
	for _, p := range s.Parties {
		if p.ID != h.cfg.Self && t.Pairs != [32]byte{} {
			tokens = append(tokens, engine.Token{Key: t.Pairs, Peer: p.ID})
		}
	}
	return tokens
}

// using makes an admission durable, and with it that its pairs are in use. Each counts as one session of a pair until done is called, which is nil if it failed.
func (h *Host) using(ctx context.Context, tokens []engine.Token, e journal.Entry) (done func(time.Time), err error) {
	u := &h.uses
	u.gate.RLock()
	defer u.gate.RUnlock()
	fresh := u.unmarked(tokens)
	for _, t := range fresh {
		e.Put = append(e.Put, store.Entry{Key: useKey(t), Value: []byte{u.lost(t), 1}})
	}
	if err := h.cfg.Journal.Write(ctx, e); err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range fresh {
		u.of[t].marked = true
	}
	for _, t := range tokens {
		u.of[t].open++
	}
	return func(now time.Time) {
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, t := range tokens {
			u.of[t].open--
			u.of[t].idle = now
		}
	}, nil
}

func (u *uses) unmarked(tokens []engine.Token) (fresh []engine.Token) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range tokens {
		if u.of[t] == nil {
			u.of[t] = &use{}
		}
		if !u.of[t].marked {
			fresh = append(fresh, t)
		}
	}
	return fresh
}

func (u *uses) lost(t engine.Token) byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.of[t].lost
}

// rest says durably that pairs are out of use: those that no session used for a while; all without one, if the node stops. One whose flag is set stays: its burn
// may not be durable.
func (h *Host) rest(ctx context.Context, now time.Time, stopping bool) error {
	idle := h.idle(now, stopping)
	if len(idle) == 0 {
		return nil
	}
	u := &h.uses
	u.gate.Lock()
	defer u.gate.Unlock()
	for some := range slices.Chunk(h.idle(now, stopping), burnChunk) {
		e := journal.Entry{Batch: store.Batch{Reserve: true}}
		for _, t := range some {
			if lost := u.lost(t); lost > 0 {
				e.Put = append(e.Put, store.Entry{Key: useKey(t), Value: []byte{lost, 0}})
			} else {
				e.Delete = append(e.Delete, useKey(t))
			}
		}
		if err := h.cfg.Journal.Write(ctx, e); err != nil {
			return fmt.Errorf("keep that %d pairs are out of use: %w", len(some), err)
		}
		u.rested(some)
	}
	return nil
}

func (h *Host) idle(now time.Time, stopping bool) (idle []engine.Token) {
	u := &h.uses
	u.mu.Lock()
	defer u.mu.Unlock()
	for t, x := range u.of {
		if x.marked && x.open == 0 && (stopping || now.Sub(x.idle) >= idleBefore) {
			if _, burned := h.pairs.burned([]engine.Token{t}); !burned {
				idle = append(idle, t)
			}
		}
	}
	slices.SortFunc(idle, compare)
	return idle
}

func (u *uses) rested(tokens []engine.Token) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range tokens {
		if u.of[t].marked = false; u.of[t].lost == 0 {
			delete(u.of, t)
		}
	}
}

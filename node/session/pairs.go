package session

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// pairs holds one lock and one burn flag per pair (key, peer).
type pairs struct {
	mu    sync.Mutex
	locks map[engine.Token]*sync.Mutex
	flags map[engine.Token]bool
}

// load reads the flags: a burn survives restarts.
func (p *pairs) load(ctx context.Context, s store.Store) error {
	p.locks, p.flags = map[engine.Token]*sync.Mutex{}, map[engine.Token]bool{}
	prefix := store.Prefix(store.KindBurn)
	for after := ""; ; {
		items, err := s.Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return fmt.Errorf("read burned pairs: %w", err)
		}
		for _, it := range items {
			t, err := parseBurn(strings.TrimPrefix(it.Key, prefix))
			if err != nil {
				return fmt.Errorf("read burned pairs: row %q: %w", it.Key, err)
			}
			p.flags[t], after = true, it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

func parseBurn(s string) (t engine.Token, err error) {
	key, peer, _ := strings.Cut(s, "/")
	k, err1 := hex.DecodeString(key)
	q, err2 := hex.DecodeString(peer)
	if err1 != nil || err2 != nil || len(k) != len(t.Key) || len(q) != len(t.Peer) {
		return t, fmt.Errorf("is not <key id>/<party>")
	}
	return engine.Token{Key: [32]byte(k), Peer: engine.PartyID(q)}, nil
}

// lock takes the locks of these pairs in sorted order.
func (p *pairs) lock(tokens []engine.Token) (unlock func()) {
	tokens = slices.Clone(tokens)
	slices.SortFunc(tokens, compare)
	tokens = slices.Compact(tokens)
	var held []*sync.Mutex
	for _, t := range tokens {
		p.mu.Lock()
		l := p.locks[t]
		if l == nil {
			l = &sync.Mutex{}
			p.locks[t] = l
		}
		p.mu.Unlock()
		l.Lock()
		held = append(held, l)
	}
	return func() {
		for _, l := range held {
			l.Unlock()
		}
	}
}

func compare(a, b engine.Token) int {
	if c := bytes.Compare(a.Key[:], b.Key[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.Peer[:], b.Peer[:])
}

// burned finds the first burned pair.
func (p *pairs) burned(tokens []engine.Token) (engine.Token, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range tokens {
		if p.flags[t] {
			return t, true
		}
	}
	return engine.Token{}, false
}

func (p *pairs) set(tokens []engine.Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range tokens {
		p.flags[t] = true
	}
}

// kindBurns counts the burns of a pair over all epochs: burns/<keyID>/<peer>, 1 byte and the time of the last, Unix seconds,
// 8 bytes. A second one with the same peer is no accident (protocols.md 1.3).
const kindBurns = "burns"

func burnsKey(key [32]byte, peer engine.PartyID) string {
	return store.Key(kindBurns, store.ID(key[:]), store.ID(peer[:]))
}

// Burns is how often the pair with a peer was burned, over all epochs of a key, and when last.
func (h *Host) Burns(ctx context.Context, key [32]byte, peer engine.PartyID) (n int, last time.Time, err error) {
	it, err := h.cfg.Journal.Store().Get(ctx, burnsKey(key, peer))
	if errors.Is(err, store.ErrNotFound) {
		return 0, last, nil
	}
	if err != nil || len(it.Value) != 9 {
		return 0, last, fmt.Errorf("read how often the pair with %v was burned: %w", peer, cmp.Or(err, store.ErrCorrupt))
	}
	return int(it.Value[0]), time.Unix(int64(binary.BigEndian.Uint64(it.Value[1:])), 0).UTC(), nil
}

func (h *Host) countBurn(ctx context.Context, now time.Time, key [32]byte, peer engine.PartyID) (store.Entry, error) {
	n, _, err := h.Burns(ctx, key, peer)
	value := binary.BigEndian.AppendUint64([]byte{byte(min(n+1, 255))}, uint64(now.Unix()))
	return store.Entry{Key: burnsKey(key, peer), Value: value}, err
}

// Burned lists the peers whose pair with us is burned: the pairs of a record, as ceremony.PairKey names them.
func (h *Host) Burned(pairs [32]byte) (peers []engine.PartyID) {
	h.pairs.mu.Lock()
	defer h.pairs.mu.Unlock()
	for t := range h.pairs.flags {
		if t.Key == pairs {
			peers = append(peers, t.Peer)
		}
	}
	slices.SortFunc(peers, func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) })
	return peers
}

// burnChunk is how many pairs are burned in one transaction.
const burnChunk = 32

// BurnAll burns pairs for no fault of anybody's: a restored store has forgotten burn flags and seen setups (protocols.md
// 1.5 step 8). It is not counted against the peers. What is burned already stays as it is; the others are counted.
func (h *Host) BurnAll(ctx context.Context, now time.Time, tokens []engine.Token) (n int, err error) {
	tokens = slices.DeleteFunc(slices.Clone(tokens), func(t engine.Token) bool {
		_, burned := h.pairs.burned([]engine.Token{t})
		return burned
	})
	slices.SortFunc(tokens, compare)
	tokens = slices.Compact(tokens)
	for chunk := range slices.Chunk(tokens, burnChunk) {
		e := journal.Entry{Batch: store.Batch{Reserve: true}}
		for _, t := range chunk {
			e.Put = append(e.Put, store.Entry{Key: store.BurnKey(t.Key[:], t.Peer[:]), Value: []byte(now.UTC().Format(time.RFC3339) + " restored")})
			e.Leaves = append(e.Leaves, tlog.Notes(tlog.KindBurn, now, [32]byte{}, sha256.Sum256(append(t.Key[:], t.Peer[:]...))))
		}
		failpoint.Hit("session-before-burn-all")
		if err := h.cfg.Journal.Write(ctx, e); err != nil {
			return n, fmt.Errorf("keep the burn of %d pairs: %w", len(chunk), err)
		}
		failpoint.Hit("session-after-burn-all")
		h.pairs.set(chunk)
		if h.cfg.Burned != nil {
			h.cfg.Burned(chunk)
		}
		n += len(chunk)
	}
	return n, nil
}

// burnRow is the durable flag: which session burned the pair, and when.
func burnRow(t engine.Token, setup [32]byte, now time.Time) store.Entry {
	value := fmt.Sprintf("%s %x", now.UTC().Format(time.RFC3339), setup)
	return store.Entry{Key: store.BurnKey(t.Key[:], t.Peer[:]), Value: []byte(value)}
}

// unseen refuses a setup that was admitted before, by this process or an earlier one.
func (h *Host) unseen(ctx context.Context, s *mpc.Setup, hash [32]byte) error {
	_, err := h.cfg.Journal.Store().Get(ctx, store.SeenKey(uint64(s.NotAfter.Unix()), hash[:]))
	switch {
	case err == nil:
		return errSeen
	case errors.Is(err, store.ErrNotFound):
		return nil
	}
	return fmt.Errorf("read seen setups: %w", err)
}

var errSeen = errors.New("this setup was answered before: it is a replay, or this node was restarted")

// markSeen makes the admission durable together with the mark that this setup was seen: a
// replayed Setup is refused until it has run out (TOB-SILA-9).
func (h *Host) markSeen(ctx context.Context, s *mpc.Setup, hash [32]byte, t *Task) (used func(time.Time), err error) {
	e, key := t.Admit, store.SeenKey(uint64(s.NotAfter.Unix()), hash[:])
	e.If = append(slices.Clone(e.If), store.Absent(key))
	e.Put = append(slices.Clone(e.Put), store.Entry{Key: key, Value: []byte(s.Protocol)})
	return h.using(ctx, h.pairsOf(s, t), e)
}

// seenLonger is how long marks are kept after their setups ran out: clocks may be set back.
const seenLonger = 24 * time.Hour

// ForgetSeen deletes marks of setups that ran out.
func (h *Host) ForgetSeen(ctx context.Context, now time.Time) error {
	// Keys begin with not-after, so the expired stand at the front.
	end := store.Prefix(store.KindSeen, store.Number(uint64(max(0, now.Add(-seenLonger).Unix()))))
	for {
		items, err := h.cfg.Journal.Store().Range(ctx, store.Prefix(store.KindSeen), "", store.MaxWrites)
		if err != nil {
			return fmt.Errorf("read seen setups: %w", err)
		}
		var e journal.Entry
		for _, it := range items {
			if it.Key < end {
				e.Delete = append(e.Delete, it.Key)
			}
		}
		if len(e.Delete) == 0 {
			return nil
		}
		if err := h.cfg.Journal.Write(ctx, e); err != nil {
			return fmt.Errorf("forget seen setups: %w", err)
		}
	}
}

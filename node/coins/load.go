package coins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Load reads the book from its rows, and takes back what lies above its tip: of a block that was being written when the process ended, or of blocks that were undone. A damaged row is
// named, and nothing is changed.
func (b *Book) Load(ctx context.Context) error {
	b.step.Lock()
	defer b.step.Unlock()
	return b.load(ctx)
}

// open makes sure that memory is what the store holds.
func (b *Book) open(ctx context.Context) error {
	if !b.ready {
		if err := b.load(ctx); err != nil {
			return err
		}
	}
	if !b.mem.tip.begun {
		return b.errorf("%w", ErrNotBegun)
	}
	return nil
}

func (b *Book) load(ctx context.Context) error {
	b.ready = false
	t, err := b.readTip(ctx)
	if err != nil {
		return err
	}
	if t.erase {
		if t, err = b.erase(ctx, t); err != nil {
			return err
		}
	}
	m, r := newMemory(t, b.cfg.Most), &repair{top: t.top()}
	if err := b.readCoins(ctx, m, r); err != nil {
		return err
	}
	if err := b.readMoves(ctx, r); err != nil {
		return err
	}
	if err := b.repair(ctx, r); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mem, b.ready = m, true
	b.disk, b.diskAt, b.unsaved = t.top(), b.cfg.Now(), 0
	return nil
}

// readTip reads the row that says how far the book goes. Other rows without it are none of a book's.
func (b *Book) readTip(ctx context.Context) (tip, error) {
	key := b.key(kindTip)
	it, err := b.cfg.Journal.Store().Get(ctx, key)
	if err == nil {
		t, err := decodeTip(it.Value)
		if err != nil {
			return t, b.damaged(key, err)
		}
		return t, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return tip{}, b.errorf("read row %q: %w", key, err)
	}
	for _, kind := range []string{kindCoin, kindTx, kindPrevious, kindMove} {
		some, err := b.cfg.Journal.Store().Range(ctx, b.prefix(kind), "", 1)
		if err != nil {
			return tip{}, b.errorf("read rows %s: %w", kind, err)
		}
		if len(some) > 0 {
			return tip{}, b.damaged(key, fmt.Errorf("it is gone, and row %q is there", some[0].Key))
		}
	}
	return tip{}, nil
}

// each calls do with all rows below a prefix, page by page.
func (b *Book) each(ctx context.Context, prefix string, do func(store.Item) error) error {
	for after := ""; ; {
		page, err := b.cfg.Journal.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return b.errorf("read rows %q: %w", prefix, err)
		}
		for _, it := range page {
			if err := do(it); err != nil {
				return err
			}
			after = it.Key
		}
		if len(page) < store.MaxLimit {
			return nil
		}
	}
}

// A repair is what is to be done about rows above the tip. Moves come last: they lead to the others.
type repair struct {
	top    int64
	puts   []store.Entry
	drops  []string
	moves  []string
	looked map[psbt.ID]bool
}

// above says whether a row belongs to a block that does not count. One that lies higher than any crash or reorganisation leaves it is damage.
func (r *repair) above(height uint32) (bool, error) {
	if int64(height) > r.top+Depth+perSave+1 {
		return false, fmt.Errorf("it is of height %d, and the book ends at %d", height, r.top)
	}
	return int64(height) > r.top, nil
}

// readCoins reads all coins. Those of blocks above the tip go, and so does what such blocks spent.
func (b *Book) readCoins(ctx context.Context, m *memory, r *repair) error {
	return b.each(ctx, b.prefix(kindCoin), func(it store.Item) error {
		o, err := outpointOf(it.Key)
		if err != nil {
			return b.damaged(it.Key, err)
		}
		c, err := decodeCoin(it.Value)
		if err == nil && c.late > m.tip.rescans+1 {
			err = fmt.Errorf("it was found by rescan %d, and there were %d", c.late, m.tip.rescans)
		}
		var gone, unspent bool
		if err == nil {
			gone, err = r.above(c.height)
		}
		if err == nil && c.spent {
			unspent, err = r.above(c.spentAt)
		}
		switch {
		case err != nil:
			return b.damaged(it.Key, err)
		case gone:
			r.drops = append(r.drops, it.Key)
			return nil
		case unspent:
			c.spent, c.by, c.spentAt = false, psbt.ID{}, 0
			r.puts = append(r.puts, b.coinEntry(o, c))
		}
		m.set(o, c)
		return nil
	})
}

// readMoves finds the moves above the tip, vault by vault, without reading those below it, and with them the rows of their transactions.
func (b *Book) readMoves(ctx context.Context, r *repair) error {
	r.looked = map[psbt.ID]bool{}
	st, prefix := b.cfg.Journal.Store(), b.prefix(kindMove)
	for after := ""; ; {
		some, err := st.Range(ctx, prefix, after, 1)
		if err != nil {
			return b.errorf("read rows %q: %w", prefix, err)
		}
		if len(some) == 0 {
			return nil
		}
		parts, err := tail(some[0].Key, 3)
		if err != nil {
			return b.damaged(some[0].Key, err)
		}
		vault := b.prefix(kindMove, store.ID(parts[0]))
		from := vault + string(store.Number(uint64(max(r.top, 0)))) + "/~" // behind all transactions of that height
		if r.top < 0 {
			from = ""
		}
		for last := false; !last; {
			page, err := st.Range(ctx, vault, from, store.MaxLimit)
			if err != nil {
				return b.errorf("read rows %q: %w", vault, err)
			}
			for _, it := range page {
				if err := b.readMove(ctx, r, it.Key); err != nil {
					return err
				}
				from = it.Key
			}
			last = len(page) < store.MaxLimit
		}
		after = vault + "~"
	}
}

func (b *Book) readMove(ctx context.Context, r *repair, key string) error {
	at, err := placeOf(key)
	if err == nil {
		_, err = r.above(at.Height)
	}
	if err != nil {
		return b.damaged(key, err)
	}
	r.moves = append(r.moves, key)
	if r.looked[at.ID] {
		return nil
	}
	r.looked[at.ID] = true
	row := b.key(kindTx, store.ID(at.ID[:]))
	switch _, err := b.cfg.Journal.Store().Get(ctx, row); {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return b.errorf("read row %q: %w", row, err)
	}
	r.drops = append(r.drops, row, b.key(kindPrevious, store.ID(at.ID[:])))
	return nil
}

// repair takes back what was found. A crash in its midst leaves what the next Load finds again.
func (b *Book) repair(ctx context.Context, r *repair) error {
	n := len(r.puts) + len(r.drops) + len(r.moves)
	if n == 0 {
		return nil
	}
	b.cfg.Log.Info("blocks that were not written whole, or that were undone, are taken back", "chain", b.network.Name, "height", r.top, "rows", n)
	for _, batch := range batches(r.puts) {
		if err := b.commit(ctx, store.Batch{Put: batch}); err != nil {
			return err
		}
	}
	return b.drop(ctx, append(r.drops, r.moves...))
}

// drop deletes rows, in this order.
func (b *Book) drop(ctx context.Context, keys []string) error {
	for len(keys) > 0 {
		n := min(len(keys), store.MaxWrites)
		if err := b.commit(ctx, store.Batch{Delete: keys[:n]}); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// erase deletes all rows but the tip's, which then says that nothing is read yet.
func (b *Book) erase(ctx context.Context, t tip) (tip, error) {
	b.mu.Lock()
	b.mem = newMemory(tip{begun: true, start: t.start}, b.cfg.Most)
	b.mu.Unlock()
	for _, kind := range []string{kindCoin, kindTx, kindPrevious, kindMove} {
		for {
			page, err := b.cfg.Journal.Store().Range(ctx, b.prefix(kind), "", store.MaxWrites)
			if err != nil {
				return t, b.errorf("read rows %s: %w", kind, err)
			}
			if len(page) == 0 {
				break
			}
			var keys []string
			for _, it := range page {
				keys = append(keys, it.Key)
			}
			if err := b.drop(ctx, keys); err != nil {
				return t, err
			}
		}
	}
	t = tip{begun: true, start: t.start}
	return t, b.commit(ctx, store.Batch{Put: []store.Entry{b.tipEntry(t)}})
}

// lag says whether the row of the tip is to be written for itself: while blocks without anything of ours are read, seldom.
func (b *Book) lag(now time.Time) bool {
	return b.unsaved >= perSave || b.unsaved > 0 && now.Sub(b.diskAt) >= saveEvery
}

// commit writes one batch. After an error nobody knows what the store holds: it is read again before anything else is done.
func (b *Book) commit(ctx context.Context, batch store.Batch) error {
	if err := b.cfg.Journal.Write(ctx, journal.Entry{Batch: batch}); err != nil {
		b.ready = false
		return b.errorf("write: %w", err)
	}
	return nil
}

package coins

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/store"
)

// remedy is what is done about blocks that contradict each other.
const remedy = "no chain has both; see that endpoints are right, and if it stays so, begin again (Restart)"

// A change is what one block does to the book.
type change struct {
	height   uint32
	block    *block.Block
	late     uint32 // the rescan that reads it; 0: none
	coins    map[psbt.Outpoint]*coin
	order    []psbt.Outpoint // of coins
	moves    map[statement.ID]map[psbt.ID]*move
	listed   []listed // of moves, as the block has them
	txs      []psbt.ID
	previous []store.Entry
	asked    *psbt.Tx // the last that was to be kept, and whether it was
	kept     bool
}

type listed struct {
	vault statement.ID
	id    psbt.ID
}

func (ch *change) set(o psbt.Outpoint, c *coin) {
	if _, ok := ch.coins[o]; !ok {
		ch.order = append(ch.order, o)
	}
	ch.coins[o] = c
}

// part notes an input or output of ours.
func (ch *change) part(c *coin, id psbt.ID, in bool, index int) {
	of := ch.moves[c.Vault]
	if of == nil {
		of = map[psbt.ID]*move{}
		ch.moves[c.Vault] = of
	}
	m := of[id]
	if m == nil {
		m = &move{block: ch.block.Hash, time: ch.block.Time}
		of[id] = m
		ch.listed = append(ch.listed, listed{c.Vault, id})
	}
	m.parts = append(m.parts, part{in, uint32(index), ch.late, c.amount, c.script})
	if len(ch.txs) == 0 || ch.txs[len(ch.txs)-1] != id {
		ch.txs = append(ch.txs, id)
	}
}

// find is a coin as it is before the next transaction of the block; nil: it is none of ours.
func (b *Book) find(ctx context.Context, ch *change, o psbt.Outpoint) (*coin, error) {
	if c := ch.coins[o]; c != nil {
		return c, nil
	}
	if c := b.mem.coins[o]; c != nil {
		return c, nil
	}
	if _, small := b.mem.small[mark(o)]; !small {
		return nil, nil
	}
	key := b.coinKey(o)
	it, err := b.cfg.Journal.Store().Get(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, b.errorf("read row %q: %w", key, err)
	}
	c, err := decodeCoin(it.Value)
	if err != nil {
		return nil, b.damaged(key, err)
	}
	c.out = true
	return c, nil
}

// match finds what a block does to our coins. It writes nothing.
func (b *Book) match(ctx context.Context, blk *block.Block, height, late uint32) (*change, error) {
	ch := &change{height: height, block: blk, late: late, coins: map[psbt.Outpoint]*coin{}, moves: map[statement.ID]map[psbt.ID]*move{}}
	b.watching.RLock()
	defer b.watching.RUnlock()
	for i, tx := range blk.Transactions {
		for k, in := range tx.Ins {
			if i == 0 {
				break // the coinbase spends nothing
			}
			if err := b.spend(ctx, ch, tx.TxID, k, in.Outpoint); err != nil {
				return nil, err
			}
		}
		for k, out := range tx.Outs {
			if owner, ours := b.watched[string(out.Script)]; ours {
				if err := b.receive(ctx, ch, owner, tx, i == 0, k); err != nil {
					return nil, err
				}
			}
		}
	}
	return ch, nil
}

// spend notes that an input spends a coin of ours. A rescan may meet what is known already. What contradicts the book would be two chains in one.
func (b *Book) spend(ctx context.Context, ch *change, id psbt.ID, k int, o psbt.Outpoint) error {
	c, err := b.find(ctx, ch, o)
	switch {
	case err != nil || c == nil:
		return err
	case c.height > ch.height:
		return b.errorf("block %s at height %d spends %s, which is of height %d: %s", ch.block.Hash, ch.height, o, c.height, remedy)
	case c.spent && (c.by != id || c.spentAt != ch.height || ch.late == 0):
		return b.errorf("transaction %s in block %s at height %d spends %s, which %s spent at %d: %s", id, ch.block.Hash, ch.height, o, c.by, c.spentAt, remedy)
	case !c.spent:
		now := *c
		now.spent, now.by, now.spentAt = true, id, ch.height
		ch.set(o, &now)
	}
	ch.part(c, id, true, k)
	return nil
}

// receive notes that an output is ours. One that is known already stays as it is.
func (b *Book) receive(ctx context.Context, ch *change, owner Owner, tx block.Transaction, coinbase bool, k int) error {
	o, out := psbt.Outpoint{ID: tx.TxID, Index: uint32(k)}, tx.Outs[k]
	c, err := b.find(ctx, ch, o)
	switch {
	case err != nil:
		return err
	case c != nil && (c.height != ch.height || ch.late == 0):
		return b.errorf("output %s of block %s at height %d was made at height %d already: %s", o, ch.block.Hash, ch.height, c.height, remedy)
	case c == nil:
		c = &coin{Owner: owner, script: bytes.Clone(out.Script), amount: out.Amount, height: ch.height, late: ch.late, coinbase: coinbase}
		if owner.Spot.Suite == bitcoin.SuiteECDSA {
			c.kept = ch.keep(b, tx)
		}
		ch.set(o, c)
	}
	ch.part(c, tx.TxID, false, k)
	return nil
}

// keep keeps a transaction for who spends its outputs, unless it is too long. It is put together once, however many of its outputs are ours.
func (ch *change) keep(b *Book, tx block.Transaction) bool {
	if ch.asked == tx.Tx {
		return ch.kept
	}
	bare := tx.Bare()
	ch.asked, ch.kept = tx.Tx, len(bare) <= MaxPrevious
	if ch.kept {
		ch.previous = append(ch.previous, store.Entry{Key: b.key(kindPrevious, store.ID(tx.TxID[:])), Value: bare})
	}
	return ch.kept
}

// entries are a change's rows: moves first, since what a crash leaves of the others is found by them.
func (b *Book) entries(ctx context.Context, ch *change) (out []store.Entry, err error) {
	for _, l := range ch.listed {
		m, key := ch.moves[l.vault][l.id], b.moveKey(l.vault, ch.height, l.id)
		if ch.late > 0 {
			if err := b.joined(ctx, key, m); err != nil {
				return nil, err
			}
		}
		m.shorten()
		out = append(out, store.Entry{Key: key, Value: m.bytes()})
	}
	for _, o := range ch.order {
		out = append(out, b.coinEntry(o, ch.coins[o]))
	}
	for _, id := range ch.txs {
		known := false
		if ch.late > 0 {
			if known, err = b.knows(ctx, id, ch); err != nil {
				return nil, err
			}
		}
		if !known {
			out = append(out, b.txEntry(id, in{ch.height, ch.block.Hash, ch.late}))
		}
	}
	return append(out, ch.previous...), nil
}

// knows says whether a transaction's row is there: it stays. One that names another block would be one transaction in two.
func (b *Book) knows(ctx context.Context, id psbt.ID, ch *change) (bool, error) {
	x, ok, err := b.foundIn(ctx, id)
	if err == nil && ok && (x.height != ch.height || x.block != ch.block.Hash) {
		err = b.errorf("transaction %s of block %s at height %d stands in block %s at %d: %s", id, ch.block.Hash, ch.height, x.block, x.height, remedy)
	}
	return ok, err
}

// joined adds to a move what its row holds already.
func (b *Book) joined(ctx context.Context, key string, m *move) error {
	it, err := b.cfg.Journal.Store().Get(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return b.errorf("read row %q: %w", key, err)
	}
	old, err := decodeMove(it.Value)
	if err == nil && old.block != m.block {
		err = fmt.Errorf("it is of block %s, and its height has %s", old.block, m.block)
	}
	if err != nil {
		return b.damaged(key, err)
	}
	m.join(old)
	return nil
}

// apply makes a block part of the book: in the store, then in memory.
func (b *Book) apply(ctx context.Context, ch *change, t tip) error {
	puts, err := b.entries(ctx, ch)
	if err != nil {
		return err
	}
	if len(puts) > 0 {
		if err := b.write(ctx, puts, t); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.mem.tip = t
	for _, o := range ch.order {
		b.mem.set(o, ch.coins[o])
	}
	b.mu.Unlock()
	if b.unsaved++; len(puts) > 0 {
		b.unsaved = 0
	}
	if b.mem.sparse() {
		return b.load(ctx) // there is room again for what was left out
	}
	return nil
}

// prune erases coins that were spent so long ago that no reorganisation brings them back, and the transactions that made them where no other coin of theirs is left.
func (b *Book) prune(ctx context.Context) error {
	var due []psbt.Outpoint
	var heights []uint32
	for height, of := range b.mem.spent {
		if int64(height) <= b.disk-Depth {
			due, heights = append(due, of...), append(heights, height)
		}
	}
	slices.SortFunc(due, func(x, y psbt.Outpoint) int {
		return cmp.Or(bytes.Compare(x.ID[:], y.ID[:]), cmp.Compare(x.Index, y.Index))
	})
	for len(due) > 0 {
		n := slices.IndexFunc(due, func(o psbt.Outpoint) bool { return o.ID != due[0].ID })
		if n < 0 {
			n = len(due)
		}
		if err := b.pruneOf(ctx, due[:n]); err != nil {
			return err
		}
		due = due[n:]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range heights {
		for _, o := range b.mem.spent[h] {
			delete(b.mem.coins, o)
		}
		delete(b.mem.spent, h)
	}
	return nil
}

// pruneOf erases coins of one transaction: its own row last.
func (b *Book) pruneOf(ctx context.Context, due []psbt.Outpoint) error {
	gone := map[string]bool{}
	var keys []string
	for _, o := range due {
		gone[b.coinKey(o)] = true
		keys = append(keys, b.coinKey(o))
	}
	others := false
	err := b.each(ctx, b.prefix(kindCoin, store.ID(due[0].ID[:])), func(it store.Item) error {
		others = others || !gone[it.Key]
		return nil
	})
	if err != nil {
		return err
	}
	if !others {
		// before the coins in the order of batches: a coin without its transaction is a spent one, a transaction without coins would stay for ever
		keys = slices.Insert(keys, 0, b.key(kindPrevious, store.ID(due[0].ID[:])))
	}
	return b.drop(ctx, keys)
}

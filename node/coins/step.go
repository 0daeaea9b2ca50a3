package coins

import (
	"context"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/store"
)

const (
	perStep   = 50              // blocks that one Step reads at most
	stepTime  = 3 * time.Second // after which it begins no other
	perSave   = 50              // blocks without anything of ours after which the tip is written
	saveEvery = 10 * time.Second
	maxBatch  = 1 << 20 // bytes of rows in one batch: less than the store takes, with the tip's row and what drivers add
)

// Step reads blocks: those behind the last one first, then those of a rescan. It ends after some 50, or a few seconds, or an error, and goes on where it was when it is called again;
// behind is how many are still to be read.
func (b *Book) Step(ctx context.Context) (behind uint32, err error) {
	b.step.Lock()
	defer b.step.Unlock()
	if err := b.open(ctx); err != nil {
		return 0, err
	}
	until := b.cfg.Now().Add(stepTime)
	height, id, err := b.cfg.Blocks.Tip(ctx)
	if err == nil && height > maxHeight {
		err = fmt.Errorf("they say that the last block has height %d: at most %d is one", height, maxHeight)
	}
	if err != nil {
		return 0, b.errorf("ask endpoints for the last block: %w", err)
	}
	n := 0
	for more := true; more && n < perStep && (n == 0 || b.cfg.Now().Before(until)); n++ {
		if more, err = b.forward(ctx, height, id); err == nil && b.lag(b.cfg.Now()) {
			err = b.save(ctx, b.mem.tip)
		}
		if err != nil {
			return b.behind(height), err
		}
	}
	for n = max(1, n); b.mem.tip.again && n <= perStep && (n == 1 || b.cfg.Now().Before(until)); n++ {
		if err = b.again(ctx); err == nil && b.lag(b.cfg.Now()) {
			err = b.save(ctx, b.mem.tip)
		}
		if err != nil {
			return b.behind(height), err
		}
	}
	return b.behind(height), b.prune(ctx)
}

func (b *Book) behind(height uint32) uint32 {
	if !b.ready {
		return 0
	}
	return uint32(max(0, int64(height)-b.mem.tip.top()))
}

// forward reads the next block, if the endpoints have one. top and last are theirs.
func (b *Book) forward(ctx context.Context, top uint32, last psbt.ID) (more bool, err error) {
	t := b.mem.tip
	next := t.top() + 1
	if next > int64(top) {
		known, ok := t.at(int64(top))
		switch {
		case len(t.read) == 0 || ok && known.id == last:
			return false, nil
		case !ok:
			return false, b.errorf("endpoints stand at height %d, and the book at %d: wait until they have caught up, or name others", top, t.top())
		}
		return b.reorganise(ctx, top, last)
	}
	id := last
	if next < int64(top) {
		if id, err = b.hashAt(ctx, uint32(next)); err != nil {
			return false, err
		}
	}
	before, _ := t.at(next - 1)
	blk, err := b.fetch(ctx, uint32(next), id, before)
	if err != nil {
		return false, err
	}
	if len(t.read) > 0 && blk.Previous != before.id {
		return b.reorganise(ctx, top, last)
	}
	return true, b.take(ctx, blk)
}

// take makes a block that follows the last one part of the book.
func (b *Book) take(ctx context.Context, blk *block.Block) error {
	t := b.mem.tip.forward(seen{blk.Hash, blk.Bits})
	ch, err := b.match(ctx, blk, t.height, 0)
	if err != nil {
		return err
	}
	return b.apply(ctx, ch, t)
}

func (b *Book) hashAt(ctx context.Context, height uint32) (psbt.ID, error) {
	id, err := b.cfg.Blocks.HashAt(ctx, height)
	if err != nil {
		return id, b.errorf("ask endpoints for the block at height %d: %w", height, err)
	}
	return id, nil
}

// fetch reads a block and holds it to its id, its own tree and work, and what the network lets follow the block before, if that is known.
func (b *Book) fetch(ctx context.Context, height uint32, id psbt.ID, before seen) (*block.Block, error) {
	raw, err := b.cfg.Blocks.Block(ctx, id)
	if err != nil {
		return nil, b.errorf("ask endpoints for block %s at height %d: %w", id, height, err)
	}
	blk, err := block.Parse(raw)
	if err == nil && blk.Hash != id {
		err = fmt.Errorf("it is block %s", blk.Hash)
	}
	if err == nil {
		bits := before.bits
		if blk.Previous != before.id {
			bits = 0 // of another branch: what it follows is looked at first
		}
		err = b.rule.Check(height, blk.Bits, bits)
	}
	if err != nil {
		return nil, b.errorf("what endpoints gave for block %s at height %d is refused: %w", id, height, err)
	}
	return blk, nil
}

// reorganise goes back to the last block that the endpoints have too, and on with theirs. Before anything is undone their first block behind it is here, whole and with its work.
func (b *Book) reorganise(ctx context.Context, top uint32, last psbt.ID) (more bool, err error) {
	t := b.mem.tip
	common := min(t.top(), int64(top))
	for ; common >= int64(t.oldest()); common-- {
		id := last
		if common < int64(top) {
			if id, err = b.hashAt(ctx, uint32(common)); err != nil {
				return false, err
			}
		}
		if known, _ := t.at(common); known.id == id {
			break
		}
	}
	switch {
	case common == int64(top):
		return false, nil
	case common == t.top():
		return false, b.errorf("endpoints contradict themselves: they have block %s at height %d, and the one above it names another before it", t.read[len(t.read)-1].id, common)
	case common < int64(t.oldest()) && (t.oldest() > t.start || t.again || len(t.read) > Depth):
		return false, b.errorf("endpoints have other blocks from height %d on, up to %d, which was read: a reorganisation deeper than %d blocks is not undone; see that they are right, and begin again (Restart) at height %d or below the first coin", t.oldest(), t.top(), len(t.read)-1, t.start)
	}
	id := last
	if common+1 < int64(top) {
		if id, err = b.hashAt(ctx, uint32(common+1)); err != nil {
			return false, err
		}
	}
	before, known := t.at(common)
	blk, err := b.fetch(ctx, uint32(common+1), id, before)
	if err != nil {
		return false, err
	}
	if known && blk.Previous != before.id {
		return false, b.errorf("endpoints contradict themselves: block %s at height %d names %s before it, and they have %s there", id, common+1, blk.Previous, before.id)
	}
	b.cfg.Log.Warn("the chain was reorganised", "chain", b.network.Name, "from", t.top(), "to", common, "block", id.String())
	if err := b.save(ctx, t.back(common)); err != nil {
		return false, err
	}
	if err := b.load(ctx); err != nil { // which takes back all rows above
		return false, err
	}
	return true, b.take(ctx, blk)
}

// again reads one block of a rescan.
func (b *Book) again(ctx context.Context) (err error) {
	t := b.mem.tip
	if int64(t.next) > t.top() {
		t.rescans, t.start, t.again = t.rescans+1, min(t.start, t.from), false
		t.from, t.next, t.last = 0, 0, seen{}
		if t.queued > 0 {
			t.again, t.from, t.next, t.queued = true, t.queued-1, t.queued-1, 0
		}
		return b.save(ctx, t)
	}
	known, of := t.at(int64(t.next))
	id := known.id
	if !of {
		if id, err = b.hashAt(ctx, t.next); err != nil {
			return err
		}
	}
	blk, err := b.fetch(ctx, t.next, id, t.last)
	if err != nil {
		return err
	}
	if t.last != (seen{}) && blk.Previous != t.last.id {
		return b.errorf("block %s at height %d does not follow %s, which was read again before it: %s", id, t.next, t.last.id, remedy)
	}
	ch, err := b.match(ctx, blk, t.next, t.rescans+1)
	if err != nil {
		return err
	}
	t.next, t.last = t.next+1, seen{blk.Hash, blk.Bits}
	return b.apply(ctx, ch, t)
}

// save writes the row of the tip alone.
func (b *Book) save(ctx context.Context, t tip) error {
	if err := b.write(ctx, nil, t); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mem.tip = t
	return nil
}

// batches cuts rows into as many as the store takes at once, with room for the tip's.
func batches(rows []store.Entry) (out [][]store.Entry) {
	size, from := 0, 0
	for i, e := range rows {
		n := len(e.Key) + len(e.Value)
		if i > from && (i-from >= store.MaxWrites-1 || size+n > maxBatch) {
			out, size, from = append(out, rows[from:i:i]), 0, i
		}
		size += n
	}
	if from < len(rows) {
		out = append(out, rows[from:])
	}
	return out
}

// write writes rows in their order, and with the last of them the tip: only then they count.
func (b *Book) write(ctx context.Context, rows []store.Entry, t tip) error {
	all := batches(rows)
	if len(all) == 0 {
		all = [][]store.Entry{nil}
	}
	for i, puts := range all {
		if i == len(all)-1 {
			puts = append(puts[:len(puts):len(puts)], b.tipEntry(t))
		}
		if err := b.commit(ctx, store.Batch{Put: puts}); err != nil {
			return err
		}
	}
	b.disk, b.diskAt, b.unsaved = t.top(), b.cfg.Now(), 0
	return nil
}

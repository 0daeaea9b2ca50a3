package coins

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/statement"
)

// A seen block is one that was read.
type seen struct {
	id   psbt.ID
	bits uint32
}

// A tip is how far the book goes: the row coin-tip.
type tip struct {
	begun  bool
	start  uint32 // from here on blocks were read, or are to be
	height uint32 // of the last of read
	read   []seen // the last blocks that were read, at most Depth + 1, the oldest first

	rescans uint32 // how many came to their end
	again   bool   // one is under way, from a height; next is read next, last is the one before it, zero if that is not known
	from    uint32
	next    uint32
	last    seen
	queued  uint32 // another is to follow, from this height less 1; 0: none

	erase bool // all other rows are to go
}

// top is the height of the last block that was read; before the first, the one below it.
func (t tip) top() int64 {
	if len(t.read) == 0 {
		return int64(t.start) - 1
	}
	return int64(t.height)
}

// oldest is the lowest height whose block is known. There is one.
func (t tip) oldest() uint32 { return t.height - uint32(len(t.read)-1) }

// at is the block that was read at a height, if it is one of the last.
func (t tip) at(height int64) (s seen, ok bool) {
	if len(t.read) == 0 || height < int64(t.oldest()) || height > int64(t.height) {
		return s, false
	}
	return t.read[height-int64(t.oldest())], true
}

// lowest is from where on blocks were read, or will be.
func (t tip) lowest() uint32 {
	low := t.start
	if t.again {
		low = min(low, t.from)
	}
	if t.queued > 0 {
		low = min(low, t.queued-1)
	}
	return low
}

// forward is the tip with one more block.
func (t tip) forward(s seen) tip {
	t.height = uint32(t.top() + 1)
	t.read = append(slices.Clip(t.read[max(0, len(t.read)-Depth):]), s)
	return t
}

// back is the tip as it was at a height, whose block is known, or below the first that was read.
func (t tip) back(height int64) tip {
	last, ok := t.at(height)
	if !ok {
		t.read = nil
		return t
	}
	t.read = t.read[:height-int64(t.oldest())+1]
	t.height = uint32(height)
	if t.again && int64(t.next) > height+1 {
		t.next, t.last = uint32(height+1), last
	}
	return t
}

// A coin is an output of ours, spent or not.
type coin struct {
	Owner
	script   []byte
	amount   uint64
	height   uint32
	late     uint32 // the rescan that found it; 0: none
	coinbase bool
	kept     bool // the transaction that made it stands in a row
	spent    bool
	out      bool // it was left out of memory; in no row
	spentAt  uint32
	by       psbt.ID
}

// A purse is what is counted of one vault.
type purse struct {
	unspent int // in memory
	left    Left
	floor   uint64 // the largest that was left out
}

// memory is what of the rows is in memory: all coins but small ones of vaults that have too many.
type memory struct {
	tip    tip
	most   int
	coins  map[psbt.Outpoint]*coin
	spent  map[uint32][]psbt.Outpoint // by the height of what spends them
	purses map[statement.ID]*purse
	small  map[uint64]struct{} // marks of coins that were left out; of others too, now and then
}

func newMemory(t tip, most int) *memory {
	return &memory{t, most, map[psbt.Outpoint]*coin{}, map[uint32][]psbt.Outpoint{}, map[statement.ID]*purse{}, map[uint64]struct{}{}}
}

func (m *memory) purse(v statement.ID) purse {
	if p := m.purses[v]; p != nil {
		return *p
	}
	return purse{}
}

// mark is short for an outpoint. Two that have one cost a look at the store.
func mark(o psbt.Outpoint) uint64 {
	return binary.LittleEndian.Uint64(o.ID[:]) ^ uint64(o.Index)*0x9e3779b97f4a7c15
}

// set takes a coin as it is now.
func (m *memory) set(o psbt.Outpoint, c *coin) {
	p := m.purses[c.Vault]
	if p == nil {
		p = &purse{}
		m.purses[c.Vault] = p
	}
	if old := m.coins[o]; old != nil && !old.spent {
		p.unspent--
	}
	if c.out {
		c.out = false
		p.left.Count--
		p.left.Amount -= min(c.amount, p.left.Amount)
	}
	switch {
	case c.spent:
		m.coins[o] = c
		m.spent[c.spentAt] = append(m.spent[c.spentAt], o)
		return
	case p.left.Count > 0 && c.amount <= p.floor:
		m.leave(p, o, c)
		return
	}
	m.coins[o] = c
	if p.unspent++; p.unspent > m.most {
		m.trim(c.Vault, p)
	}
}

// leave counts a coin instead of keeping it.
func (m *memory) leave(p *purse, o psbt.Outpoint, c *coin) {
	delete(m.coins, o)
	m.small[mark(o)] = struct{}{}
	p.floor = max(p.floor, c.amount)
	p.left.Count++
	p.left.Amount = add(p.left.Amount, c.amount)
}

// trim leaves the smallest tenth of a vault's coins out, so that it is seldom done.
func (m *memory) trim(vault statement.ID, p *purse) {
	var all []psbt.Outpoint
	for o, c := range m.coins {
		if c.Vault == vault && !c.spent {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(x, y psbt.Outpoint) int {
		return cmp.Or(cmp.Compare(m.coins[x].amount, m.coins[y].amount), compare(x, y))
	})
	for _, o := range all[:max(m.most/10, len(all)-m.most)] {
		m.leave(p, o, m.coins[o])
		p.unspent--
	}
}

// sparse says that a vault has room again for coins that were left out.
func (m *memory) sparse() bool {
	for _, p := range m.purses {
		if p.left.Count > 0 && p.unspent < m.most*8/10 {
			return true
		}
	}
	return false
}

// add is a sum that stays at the largest number instead of beginning at zero again: endpoints that lie could name more than there is.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

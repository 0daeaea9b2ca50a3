package coins

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/store"
)

// maxParts is how many inputs and outputs of one transaction a move lists. Further ones are summed up.
const maxParts = 4096

const partHead = 1 + 4 + 8 + 4

// A Mark is a place in a history: Height, then the transaction.
type Mark struct {
	Height uint32
	ID     psbt.ID
}

// A Move is a transaction of a block that paid a vault, spent coins of it, or both.
type Move struct {
	Mark
	Block     psbt.ID
	Time      time.Time // as the block's miner said
	Received  uint64    // satoshis, in outputs to the vault: change too
	Spent     uint64    // satoshis, of the vault's coins among the inputs
	Addresses []Line    // by address
	More      int       // inputs and outputs that are in the sums and not in the lines
}

// A Line is what a move did at one address.
type Line struct {
	Address         string
	Script          bitcoin.Script
	Received, Spent uint64
}

// A part is one of a transaction's inputs or outputs.
type part struct {
	in     bool
	index  uint32
	late   uint32 // the rescan that found it; 0: none
	amount uint64
	script []byte
}

func order(x, y part) int {
	return cmp.Or(cmp.Compare(flag(x.in), flag(y.in)), cmp.Compare(x.index, y.index))
}

// A move is a row of the history.
type move struct {
	block    psbt.ID
	time     uint32
	parts    []part // by order, each once
	more     int    // further ones, and their sums
	received uint64
	spent    uint64
}

// shorten sums up what is above the bound.
func (m *move) shorten() {
	slices.SortFunc(m.parts, order)
	if len(m.parts) <= maxParts {
		return
	}
	for _, p := range m.parts[maxParts:] {
		if m.more++; p.in {
			m.spent = add(m.spent, p.amount)
		} else {
			m.received = add(m.received, p.amount)
		}
	}
	m.parts = m.parts[:maxParts]
}

// join puts a move to what an earlier reading of the block knew: that stays as it is, with coins whose rows are erased since, and owners that are not watched any more.
func (m *move) join(old *move) {
	type place struct {
		in    bool
		index uint32
	}
	have := map[place]bool{}
	for _, p := range old.parts {
		have[place{p.in, p.index}] = true
	}
	m.parts = append(slices.DeleteFunc(m.parts, func(p part) bool { return have[place{p.in, p.index}] }), old.parts...)
	m.shorten()
	m.more, m.received, m.spent = max(m.more, old.more), max(m.received, old.received), max(m.spent, old.spent)
}

func (m *move) bytes() []byte {
	var e transcript.Encoder
	e.Bytes(1, m.block[:]).Uint(2, uint64(m.time)).List(3, len(m.parts), func(i int, e *transcript.Encoder) {
		p := m.parts[i]
		head := binary.BigEndian.AppendUint32([]byte{byte(flag(p.in))}, p.index)
		head = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(head, p.amount), p.late)
		e.Bytes(1, append(head, p.script...))
	})
	if m.more > 0 {
		e.Uint(4, uint64(m.more)).Uint(5, m.received).Uint(6, m.spent)
	}
	return e.Sum()
}

func decodeMove(value []byte) (*move, error) {
	d, m := transcript.NewDecoder(value), &move{}
	copy(m.block[:], d.Fixed(1, 32))
	m.time = uint32(d.Uint(2, 1<<32-1))
	d.List(3, 1, maxParts, func(i int, d *transcript.Decoder) {
		b := d.Bytes(1, partHead+maxScript)
		if d.Err() != nil {
			return
		}
		if len(b) < partHead || b[0] > 1 {
			d.Fail(1, errors.New("is no input or output"))
			return
		}
		p := part{b[0] == 1, binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[13:]), binary.BigEndian.Uint64(b[5:]), bytes.Clone(b[partHead:])}
		if p.amount > bitcoin.MaxMoney || i > 0 && order(m.parts[i-1], p) >= 0 {
			d.Fail(1, errors.New("has an amount that cannot be, or stands out of order"))
			return
		}
		m.parts = append(m.parts, p)
	})
	if d.More() {
		m.more, m.received, m.spent = int(d.Uint(4, 1<<20)), d.Uint(5, math.MaxUint64), d.Uint(6, math.MaxUint64)
		if d.Err() == nil && m.more == 0 {
			d.Fail(4, errors.New("is 0, and what is more than listed stands only where there is some"))
		}
	}
	return m, d.Done()
}

// shown is a move as people read it, after so many rescans; not ok: nothing of it counts yet.
func (b *Book) shown(at Mark, m *move, rescans uint32) (out Move, ok bool) {
	out = Move{Mark: at, Block: m.block, Time: time.Unix(int64(m.time), 0).UTC(), Received: m.received, Spent: m.spent, More: m.more}
	lines := map[string]*Line{}
	for _, p := range m.parts {
		if p.late > rescans {
			continue
		}
		l := lines[string(p.script)]
		if l == nil {
			l = &Line{Script: p.script}
			l.Address, _ = b.network.Address(p.script) // a script without an address has none
			lines[string(p.script)] = l
		}
		if p.in {
			l.Spent, out.Spent = add(l.Spent, p.amount), add(out.Spent, p.amount)
		} else {
			l.Received, out.Received = add(l.Received, p.amount), add(out.Received, p.amount)
		}
	}
	for _, l := range lines {
		out.Addresses = append(out.Addresses, *l)
	}
	slices.SortFunc(out.Addresses, func(x, y Line) int {
		return cmp.Or(cmp.Compare(x.Address, y.Address), bytes.Compare(x.Script, y.Script))
	})
	return out, len(lines) > 0
}

// History is what moved a vault's coins, by height: at most so many moves (1 to 1024) behind a place, the zero Mark for the beginning. Fewer are the end.
func (b *Book) History(ctx context.Context, vault statement.ID, after Mark, most int) (out []Move, err error) {
	prefix, from := b.prefix(kindMove, store.ID(vault[:])), ""
	if after != (Mark{}) {
		from = b.moveKey(vault, after.Height, after.ID)
	}
	b.mu.RLock()
	top, rescans := b.mem.tip.top(), b.mem.tip.rescans
	b.mu.RUnlock()
	for {
		want := most - len(out)
		items, err := b.cfg.Journal.Store().Range(ctx, prefix, from, want)
		if err != nil {
			return nil, b.errorf("read the history of vault %s: %w", vault.Short(), err)
		}
		for _, it := range items {
			at, err := placeOf(it.Key)
			if err != nil {
				return nil, b.damaged(it.Key, err)
			}
			m, err := decodeMove(it.Value)
			if err != nil {
				return nil, b.damaged(it.Key, err)
			}
			if shown, ok := b.shown(at, m, rescans); ok && int64(at.Height) <= top {
				out = append(out, shown)
			}
			from = it.Key
		}
		if len(items) < want || len(out) == most {
			return out, nil
		}
	}
}

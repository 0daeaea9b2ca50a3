package coins_test

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/coins"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// Endpoints that lie, err or go mad: an error that says what, and a book as it was. Told the truth again, it goes on.
func TestEndpointsThatLie(t *testing.T) {
	broken := errors.New("broken")
	var stranger *made
	for _, c := range []struct {
		name string
		lie  func(e *endpoint)
		want string // "": nothing is said, since nothing is new
	}{
		{"no answer of a tip", func(e *endpoint) { e.tip = func() (uint32, psbt.ID, error) { return 0, psbt.ID{}, broken } }, "ask endpoints for the last block: broken"},
		{"a huge tip", func(e *endpoint) { e.tip = func() (uint32, psbt.ID, error) { return 1<<32 - 1, psbt.ID{}, nil } }, "at most 1073741824 is one"},
		{"a tip that is not there", func(e *endpoint) { e.tip = func() (uint32, psbt.ID, error) { return 1 << 29, psbt.ID{}, nil } }, ""},
		{"a tip of an unknown block", func(e *endpoint) { e.tip = func() (uint32, psbt.ID, error) { return 7, psbt.ID{1}, nil } }, "is not known"},
		{"a lower tip of the same chain", func(e *endpoint) { e.tip = func() (uint32, psbt.ID, error) { return 3, e.best[3].id, nil } }, ""},
		{"a lower tip of another", func(e *endpoint) { e.tip = func() (uint32, psbt.ID, error) { return 3, stranger.id, nil } }, "is not known"},
		{"a tip below all that is known", func(e *endpoint) { e.tip = func() (uint32, psbt.ID, error) { return 1, e.best[1].id, nil } }, "endpoints stand at height 1, and the book at 6"},
		{"no answer of a hash", func(e *endpoint) { e.at = func(uint32) (psbt.ID, error) { return psbt.ID{}, broken } }, "ask endpoints for the block at height 7: broken"},
		{"no answer of a block", func(e *endpoint) { e.block = func(psbt.ID) ([]byte, error) { return nil, broken } }, "at height 7: broken"},
		{"nothing", func(e *endpoint) { e.block = func(psbt.ID) ([]byte, error) { return nil, nil } }, "is refused: block has 0 bytes"},
		{"far too much", func(e *endpoint) { e.block = func(psbt.ID) ([]byte, error) { return make([]byte, 5_000_000), nil } }, "is refused: block has 5000000 bytes"},
		{"another block of the chain", func(e *endpoint) { e.block = func(psbt.ID) ([]byte, error) { return e.best[6].raw, nil } }, "is refused: it is block"},
		{"a byte that is another", func(e *endpoint) {
			e.block = func(psbt.ID) ([]byte, error) {
				b := bytes.Clone(e.best[7].raw)
				b[len(b)-1] ^= 1
				return b, nil
			}
		}, "have the Merkle root"},
		{"a block that follows another", func(e *endpoint) {
			e.at = func(h uint32) (psbt.ID, error) {
				if h == 7 {
					return stranger.id, nil
				}
				return e.best[h].id, nil
			}
			e.block = func(psbt.ID) ([]byte, error) { return stranger.raw, nil }
		}, "endpoints contradict themselves: they have block"},
		{"another chain, of which no block is to be had", func(e *endpoint) {
			e.at = func(h uint32) (psbt.ID, error) { return psbt.ID{byte(h), 9}, nil }
			e.block = func(psbt.ID) ([]byte, error) { return stranger.raw, nil }
		}, "is refused: it is block"},
		{"another branch that does not begin where ours ends", func(e *endpoint) {
			e.at = func(h uint32) (psbt.ID, error) {
				if h >= 5 {
					return stranger.id, nil
				}
				return e.best[h].id, nil
			}
			e.block = func(psbt.ID) ([]byte, error) { return stranger.raw, nil }
		}, "endpoints contradict themselves: block"},
	} {
		e := newEndpoint()
		for i := range uint32(6) {
			e.grow(pay(i, out(0, 5)))
		}
		stranger = mine(psbt.ID{0xbb}, 7, 3, script(0))
		d := begin(t, e, 3, 2)
		d.settle()
		was := d.rows()
		e.grow(pay(50, out(1, 7)))
		e.grow()
		e.grow()
		c.lie(e)
		_, err := d.Step(ctx)
		switch {
		case c.want == "" && err != nil && !strings.Contains(err.Error(), "no block at height"), c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if now := d.rows(); c.want != "" && !maps.Equal(was, now) {
			t.Errorf("%s: %d rows, there were %d", c.name, len(now), len(was))
		}
		e.tip, e.at, e.block = nil, nil, nil
		d.settle()
		d.check(2, c.name)
	}
}

// What is read again is held to its own links, and where it meets the book to the book's.
func TestLiesOfARescan(t *testing.T) {
	other := newEndpoint()
	for i := range uint32(400) {
		other.grow(pay(i, out(2, 5)))
	}
	for _, c := range []struct {
		name string
		at   func(e *endpoint, height uint32) *made
	}{
		{"a block of another chain", func(e *endpoint, h uint32) *made {
			if h == 7 {
				return other.best[7]
			}
			return e.best[h]
		}},
		{"another chain up to what is known", func(_ *endpoint, h uint32) *made { return other.best[h] }},
	} {
		e := newEndpoint()
		for i := range uint32(400) {
			e.grow(pay(i, out(1, 5)))
		}
		d := begin(t, e, 2, 4)
		d.settle()
		if err := d.Watch(script(2), owner(2)); err != nil {
			t.Fatal(err)
		}
		d.scripts = 3
		if err := d.Rescan(ctx, 5); err != nil {
			t.Fatal(err)
		}
		e.at = func(h uint32) (psbt.ID, error) { return c.at(e, h).id, nil }
		e.block = func(id psbt.ID) ([]byte, error) {
			for _, m := range append(e.best, other.best...) {
				if m.id == id {
					return m.raw, nil
				}
			}
			return nil, errors.New("not known")
		}
		var err error
		for n := 0; err == nil && n < 20; n++ {
			_, err = d.Step(ctx)
		}
		if _, again := d.Rescanning(); err == nil || !again || !strings.Contains(err.Error(), "does not follow") {
			t.Errorf("%s: %v, still under way: %v", c.name, err, again)
		}
		nothing := func() {
			t.Helper()
			got, _ := d.Coins(vaultOf(2))
			moves, err := d.History(ctx, vaultOf(2), coins.Mark{}, 10)
			_, _, found, failed := d.Found(ctx, other.best[6].txs[1].ID())
			if len(got) > 0 || len(moves) > 0 || found || err != nil || failed != nil {
				t.Errorf("%s: %d coins, %d moves, found %v, are taken from it: %v", c.name, len(got), len(moves), found, errors.Join(err, failed))
			}
		}
		nothing()
		e.at, e.block = nil, nil
		e.grow(pay(1000, out(1, 6)))
		// One wrong block is passed once the right one is there; of a wrong chain rows are left, and the book begins again.
		if _, err := d.Step(ctx); (err == nil) != (c.name == "a block of another chain") {
			t.Errorf("%s: told the truth again: %v", c.name, err)
		}
		if height, _, _ := d.Height(); height != e.top() {
			t.Errorf("%s: new blocks wait: height %d", c.name, height)
		}
		if err := d.Rescan(ctx, 5); err != nil {
			t.Fatal(err)
		}
		if c.name != "a block of another chain" {
			_, err := d.Step(ctx)
			if nothing(); err == nil {
				t.Errorf("%s: read again once more, it counts", c.name)
			}
			if err := d.Restart(ctx, 4); err != nil {
				t.Fatal(err)
			}
		}
		d.settle()
		d.check(4, c.name)
	}
}

// A chain that a rescan is shown, in which a known transaction stands elsewhere, changes nothing of what is known of it.
func TestRescanKeepsWhereTransactionsStand(t *testing.T) {
	e, other := newEndpoint(), newEndpoint()
	paid := pay(1, out(1, 5))
	for i := range uint32(400) {
		switch i {
		case 9:
			e.grow(paid)
		case 10:
			e.grow(spend([]psbt.Out{{Amount: 1, Script: anyone}}, psbt.Outpoint{ID: paid.ID()}))
		default:
			e.grow(pay(1000+i, out(1, 5)))
		}
		if i == 7 {
			other.grow(paid)
		} else {
			other.grow()
		}
	}
	d := begin(t, e, 2, 0)
	d.settle() // the coin's row is erased
	if err := d.Rescan(ctx, 5); err != nil {
		t.Fatal(err)
	}
	e.at = func(h uint32) (psbt.ID, error) { return other.best[h].id, nil }
	e.block = func(id psbt.ID) ([]byte, error) {
		for _, m := range other.best {
			if m.id == id {
				return m.raw, nil
			}
		}
		return e.best[e.top()].raw, nil
	}
	e.tip = func() (uint32, psbt.ID, error) { return e.top(), e.best[e.top()].id, nil }
	if _, err := d.Step(ctx); err == nil || !strings.Contains(err.Error(), "stands in block") {
		t.Errorf("a transaction at two heights: %v", err)
	}
	if height, in, ok, err := d.Found(ctx, paid.ID()); err != nil || !ok || height != 10 || in != e.best[10].id {
		t.Errorf("found at %d, %v, %v", height, ok, err)
	}
}

// Where a network's target stays, a block with another one is refused, though its work meets it.
func TestTargetStays(t *testing.T) {
	e := newEndpoint()
	e.grow()
	d := begin(t, e, 2, 0)
	d.Steady()
	d.settle()
	easier := e.grow()
	easier.Bits, easier.Nonce = 0x207ffffe, 0
	for easier.id = easier.ID(); easier.id[31] > 0x7e; easier.id = easier.ID() {
		easier.Nonce++
	}
	copy(easier.raw, easier.Bytes())
	if _, err := d.Step(ctx); err == nil || !strings.Contains(err.Error(), "moves with each 2016th block alone") {
		t.Errorf("another target: %v", err)
	}
	e.back(1)
	e.grow()
	d.settle()
	d.check(0, "the target that stays")
}

// Work of a test network is no work on the main one.
func TestEasyBlocksAreRefused(t *testing.T) {
	e := newEndpoint()
	j, err := journal.Open(ctx, memory.New())
	if err != nil {
		t.Fatal(err)
	}
	for chain, refused := range map[string]bool{"bip122:000000000019d6689c085ae165831e93": true, "bip122:00000008819873e925422c1ff0f99f7c": true, "bip122:000000000933ea01ad0ee984209779ba": true, regtest: false} {
		b, err := coins.New(coins.Config{Chain: chain, Journal: j, Blocks: e})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Begin(ctx, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Step(ctx); (err != nil) != refused || refused && !strings.Contains(err.Error(), "easier than the network takes") {
			t.Errorf("%s: %v", chain, err)
		}
	}
}

// A block that contradicts what is known is refused: a coin spent twice, an output that is made again.
func TestContradictions(t *testing.T) {
	first := pay(1, out(0, 5), out(1, 6))
	for what, second := range map[string]*psbt.Tx{
		"spends":             spend([]psbt.Out{{Amount: 1, Script: anyone}}, psbt.Outpoint{ID: first.ID(), Index: 1}),
		"was made at height": first,
	} {
		e := newEndpoint()
		e.grow(first)
		e.grow(spend([]psbt.Out{{Amount: 2, Script: anyone}}, psbt.Outpoint{ID: first.ID(), Index: 1}))
		d := begin(t, e, 2, 0)
		d.settle()
		e.grow(second)
		if _, err := d.Step(ctx); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A byte of any row that is changed, and any row of rubbish, is either named in an error, or is one that is not read yet, and named when it is. Nothing is written over.
func TestDamagedRows(t *testing.T) {
	e := newEndpoint()
	first := pay(1, out(0, 5), out(1, 6), out(2, 9))
	e.grow(first)
	e.grow(spend([]psbt.Out{out(0, 1)}, psbt.Outpoint{ID: first.ID()}))
	good := begin(t, e, 3, 0)
	good.settle()
	rows := good.rows()
	good.look(func(s store.Store) {
		items, err := s.Range(ctx, "coin-tip/", "", 1)
		if err != nil || len(items) != 1 {
			t.Fatal(err)
		}
		rows[items[0].Key] = string(items[0].Value)
	})
	if len(rows) != 13 {
		t.Fatalf("%d rows", len(rows))
	}
	// put is a desk with these rows.
	put := func(with map[string]string) *desk {
		d := open(t, e, 3)
		d.look(func(s store.Store) {
			for key, value := range with {
				if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: key, Value: []byte(value)}}}); err != nil {
					t.Fatal(err)
				}
			}
		})
		return d
	}
	// read is the first error of all that reads.
	read := func(d *desk) error {
		err := d.Load(ctx)
		for v := range 3 {
			held, _ := d.Coins(vaultOf(v))
			err = errors.Join(err, d.Fill(ctx, held))
			_, failed := d.History(ctx, vaultOf(v), coins.Mark{}, 100)
			err = errors.Join(err, failed)
		}
		for _, m := range e.best {
			for _, tx := range m.txs {
				_, _, _, failed := d.Found(ctx, tx.ID())
				err = errors.Join(err, failed)
			}
		}
		return err
	}
	if err := read(put(rows)); err != nil {
		t.Fatal(err)
	}
	for key, value := range rows {
		for _, bad := range []string{"", value[:len(value)-1], value + "\x00", "\xff" + value[1:]} {
			with := maps.Clone(rows)
			with[key] = bad
			d := put(with)
			if err := read(d); err == nil || !strings.Contains(err.Error(), key) {
				t.Errorf("row %s of %d bytes: %v", key, len(bad), err)
			}
			d.look(func(s store.Store) {
				if it, err := s.Get(ctx, key); err != nil || string(it.Value) != bad {
					t.Errorf("row %s was written over: %v", key, err)
				}
			})
			if err := d.Restart(ctx, 0); err != nil {
				t.Fatal(err)
			}
			d.settle()
			d.check(0, "begun again after "+key)
		}
	}
	// Rows that decode, and contradict the tip or themselves.
	height := func(n byte) string { return "\x00\x07\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00" + string([]byte{n, 1}) }
	changed := 0
	for key, value := range rows {
		for _, edit := range [][2]string{
			{height(0), height(2)},               // a coin of height 513, which nothing leaves above a tip at 2
			{height(0), height(0)[:13] + "\x03"}, // a coin that is younger than what spends it
			{"\x00\x01\x00\x00\x00\x08" + strings.Repeat("\x00", 8), "\x00\x01\x00\x00\x00\x08" + strings.Repeat("\x00", 7) + "\x01"},          // a tip that begins above its blocks
			{"\x00\x02\x00\x00\x00\x08" + strings.Repeat("\x00", 7) + "\x02", "\x00\x02\x00\x00\x00\x08" + strings.Repeat("\x00", 7) + "\x01"}, // one that is lower than its blocks
		} {
			bad := strings.Replace(value, edit[0], edit[1], 1)
			spent := strings.Contains(value, "\x00\x09\x00\x00\x00\x20")
			if bad == value || edit[1][13:] == "\x03" && !spent {
				continue
			}
			changed++
			with := maps.Clone(rows)
			with[key] = bad
			if err := read(put(with)); err == nil || !strings.Contains(err.Error(), key) {
				t.Errorf("row %s with %x: %v", key, edit[1], err)
			}
		}
	}
	if changed < 6 {
		t.Errorf("%d rows are changed", changed)
	}
	for _, key := range []string{"coin-move/" + strings.Repeat("0", 64) + "/0000000000010000/" + strings.Repeat("0", 64), "coin/x", "coin/" + strings.Repeat("0", 64) + "/1", "coin/" + strings.Repeat("0", 64) + "/ffffffff00000000", "coin-move/1/2", "coin-move/" + strings.Repeat("0", 64) + "/ffffffffffffffff/" + strings.Repeat("0", 64)} {
		kind, rest, _ := strings.Cut(key, "/")
		with := maps.Clone(rows)
		with[kind+"/bip122%3a0f9188f13cb7b2c71f2a335e3a4fc328/"+rest] = "rubbish"
		if err := read(put(with)); err == nil || !strings.Contains(err.Error(), "coins of regtest: row \""+kind+"/bip122") || !strings.Contains(err.Error(), rest) {
			t.Errorf("a row of rubbish at %s: %v", key, err)
		}
	}
	with := maps.Clone(rows)
	maps.DeleteFunc(with, func(key, _ string) bool { return strings.HasPrefix(key, "coin-tip/") })
	if err := read(put(with)); err == nil || !strings.Contains(err.Error(), "it is gone, and row") {
		t.Errorf("rows without a tip: %v", err)
	}
	maps.DeleteFunc(with, func(key, _ string) bool { return !strings.HasPrefix(key, "coin-previous/") })
	if err := read(put(with)); err == nil || !strings.Contains(err.Error(), "it is gone, and row \"coin-previous/") {
		t.Errorf("one row without a tip: %v", err)
	}
}

// Readers and watchers do not disturb a book that reads. The race detector looks on in nightly runs.
func TestReadersBesideSteps(t *testing.T) {
	e := newEndpoint()
	large(e)
	for i := range uint32(60) {
		e.grow(pay(1000+i, out(int(i), 5)))
	}
	d := begin(t, e, 5, 0)
	var all sync.WaitGroup
	done := make(chan struct{})
	for n := range 3 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				got, _ := d.Coins(vaultOf(n))
				for _, c := range got {
					d.Spent(c.Outpoint)
				}
				if _, err := d.History(ctx, vaultOf(n), coins.Mark{}, 50); err != nil {
					t.Error(err)
				}
				d.Height()
				d.Rescanning()
				if err := d.Watch(script(5+i%50), owner(5+i%50)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	d.settle()
	if err := d.Rescan(ctx, 0); err != nil {
		t.Fatal(err)
	}
	e.back(e.top() - 3)
	e.grow()
	e.grow()
	e.grow()
	e.grow()
	d.settle()
	close(done)
	all.Wait()
}

package coins_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/coins"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

const regtest = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"

var ctx = context.Background()

// A made block is one of a chain that a test builds.
type made struct {
	block.Header
	id  psbt.ID
	raw []byte
	txs []*psbt.Tx
}

func doubled(b ...byte) psbt.ID {
	once := sha256.Sum256(b)
	return sha256.Sum256(once[:])
}

func root(ids []psbt.ID) psbt.ID {
	if len(ids) == 1 {
		return ids[0]
	}
	var up []psbt.ID
	for i := 0; i < len(ids); i += 2 {
		up = append(up, doubled(append(ids[i][:], ids[min(i+1, len(ids)-1)][:]...)...))
	}
	return root(up)
}

// mine makes a block with work. salt makes blocks of one height differ.
func mine(previous psbt.ID, height, salt uint32, reward []byte, txs ...*psbt.Tx) *made {
	script := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, height), salt)
	base := &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{Index: 0xffffffff}, Script: script}}, Outs: []psbt.Out{{Amount: 5_000_000, Script: reward}}}
	m := &made{Header: block.Header{Version: 4, Previous: previous, Time: 1_700_000_000 + 600*height, Bits: 0x207fffff}, txs: append([]*psbt.Tx{base}, txs...)}
	body, ids := psbt.AppendCompact(nil, uint64(len(m.txs))), []psbt.ID{}
	for _, tx := range m.txs {
		body, ids = append(body, tx.Bytes()...), append(ids, tx.ID())
	}
	m.Root = root(ids)
	for m.id = m.ID(); m.id[31] > 0x7e; m.id = m.ID() {
		m.Nonce++
	}
	m.raw = append(m.Bytes(), body...)
	return m
}

// An endpoint serves a chain, and lies where a test says so.
type endpoint struct {
	best  []*made // by height
	salt  uint32
	tip   func() (uint32, psbt.ID, error)
	at    func(uint32) (psbt.ID, error)
	block func(psbt.ID) ([]byte, error)
	asked int // blocks
}

func newEndpoint() *endpoint { return &endpoint{best: []*made{mine(psbt.ID{}, 0, 0, anyone)}} }

func (e *endpoint) Tip(context.Context) (uint32, psbt.ID, error) {
	if e.tip != nil {
		return e.tip()
	}
	return e.top(), e.best[e.top()].id, nil
}

func (e *endpoint) top() uint32 { return uint32(len(e.best) - 1) }

func (e *endpoint) HashAt(_ context.Context, height uint32) (psbt.ID, error) {
	if e.at != nil {
		return e.at(height)
	}
	if height > e.top() {
		return psbt.ID{}, fmt.Errorf("no block at height %d", height)
	}
	return e.best[height].id, nil
}

func (e *endpoint) Block(_ context.Context, id psbt.ID) ([]byte, error) {
	e.asked++
	if e.block != nil {
		return e.block(id)
	}
	for _, m := range slices.Backward(e.best) {
		if m.id == id {
			return bytes.Clone(m.raw), nil
		}
	}
	return nil, fmt.Errorf("block %s is not known", id)
}

// grow adds a block.
func (e *endpoint) grow(txs ...*psbt.Tx) *made { return e.reward(anyone, txs...) }

func (e *endpoint) reward(script []byte, txs ...*psbt.Tx) *made {
	e.salt++
	m := mine(e.best[e.top()].id, e.top()+1, e.salt, script, txs...)
	e.best = append(e.best, m)
	return m
}

// back forgets all blocks above a height, as if the others had more work.
func (e *endpoint) back(height uint32) { e.best = slices.Clone(e.best[:height+1]) }

var anyone = []byte{0x51, 0x20, 0x77}

// witness is the script of a P2WPKH address, taproot that of a Taproot one.
func witness(n int) bitcoin.Script { return append(bitcoin.Script{0, 20}, fill(n, 20)...) }
func taproot(n int) bitcoin.Script { return append(bitcoin.Script{0x51, 32}, fill(n, 32)...) }

func fill(n, length int) []byte {
	h := sha256.Sum256([]byte{byte(n), byte(n >> 8)})
	return h[:length]
}

func vaultOf(n int) statement.ID { return statement.ID{0xaa, byte(n)} }

// script is the n-th that is watched: of three vaults, of both kinds.
func script(n int) bitcoin.Script {
	if n%2 == 0 {
		return witness(n)
	}
	return taproot(n)
}

func owner(n int) coins.Owner {
	suite := bitcoin.SuiteBIP340
	if n%2 == 0 {
		suite = bitcoin.SuiteECDSA
	}
	return coins.Owner{Vault: vaultOf(n % 3), Spot: bitcoin.Spot{Suite: suite, Path: [3]uint32{0, uint32(n), 7}, Plain: n%5 == 1}}
}

// pay is a transaction of others that pays.
func pay(salt uint32, outs ...psbt.Out) *psbt.Tx {
	return &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{0xee, byte(salt), byte(salt >> 8), byte(salt >> 16)}}, Witness: [][]byte{{1}}}}, Outs: outs}
}

func spend(outs []psbt.Out, from ...psbt.Outpoint) *psbt.Tx {
	tx := &psbt.Tx{Version: 2, Outs: outs}
	for _, o := range from {
		tx.Ins = append(tx.Ins, psbt.In{Outpoint: o, Witness: [][]byte{{1}, {2}}})
	}
	return tx
}

func out(n int, amount uint64) psbt.Out { return psbt.Out{Amount: amount, Script: script(n)} }

// A desk is a book over a disk that outlives it.
type desk struct {
	*coins.Book
	t       testing.TB
	disk    *memory.Disk
	from    *endpoint
	now     time.Time
	most    int
	scripts int // that are watched
}

func open(t testing.TB, e *endpoint, scripts int) *desk {
	t.Helper()
	d := &desk{t: t, disk: memory.NewDisk(), from: e, now: time.Unix(1_800_000_000, 0), scripts: scripts}
	d.restart()
	return d
}

// restart is a new process over the same disk, whose last one was killed.
func (d *desk) restart() {
	d.t.Helper()
	d.boot()
	if err := d.Load(ctx); err != nil {
		d.t.Fatal(err)
	}
}

// boot is a new process that has not read its rows yet.
func (d *desk) boot() {
	d.t.Helper()
	d.disk.Crash()
	s, err := d.disk.Open()
	if err != nil {
		d.t.Fatal(err)
	}
	j, err := journal.Open(ctx, s)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.Book, err = coins.New(coins.Config{Chain: regtest, Journal: j, Blocks: d.from, Most: d.most, Now: func() time.Time { return d.now }}); err != nil {
		d.t.Fatal(err)
	}
	for n := range d.scripts {
		if err := d.Watch(script(n), owner(n)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// begin opens the book at a height.
func begin(t testing.TB, e *endpoint, scripts int, height uint32) *desk {
	t.Helper()
	d := open(t, e, scripts)
	if err := d.Begin(ctx, height); err != nil {
		t.Fatal(err)
	}
	return d
}

// settle reads until there is nothing more to read.
func (d *desk) settle() {
	d.t.Helper()
	for range 1000 {
		behind, err := d.Step(ctx)
		if err != nil {
			d.t.Fatal(err)
		}
		if _, again := d.Rescanning(); behind == 0 && !again {
			return
		}
	}
	d.t.Fatal("it never ends")
}

// rows are all that the disk holds, but the tip.
func (d *desk) rows() map[string]string {
	d.t.Helper()
	all := map[string]string{}
	d.look(func(s store.Store) {
		items, err := s.Range(ctx, "coin", "", store.MaxLimit)
		for ; err == nil && len(items) > 0; items, err = s.Range(ctx, "coin", items[len(items)-1].Key, store.MaxLimit) {
			for _, it := range items {
				all[it.Key] = string(it.Value)
			}
		}
		if err != nil {
			d.t.Fatal(err)
		}
	})
	if err := d.Load(ctx); err != nil {
		d.t.Fatal(err)
	}
	maps.DeleteFunc(all, func(key, _ string) bool { return bytes.HasPrefix([]byte(key), []byte("coin-tip/")) })
	return all
}

// look opens the disk beside the book, whose process begins anew afterwards.
func (d *desk) look(do func(store.Store)) {
	d.t.Helper()
	d.disk.SetFault(nil)
	d.disk.Crash()
	s, err := d.disk.Open()
	if err != nil {
		d.t.Fatal(err)
	}
	do(s)
	d.boot()
}

// A truth is what a chain holds, found in the plainest way.
type truth struct {
	coins map[psbt.Outpoint]coins.Coin
	spent map[psbt.Outpoint]coins.Mark
	moves map[statement.ID][]coins.Move
	found map[psbt.ID]coins.Mark // Height, and the block
}

func (e *endpoint) truth(from uint32, scripts int) truth {
	mine := map[string]int{}
	for n := range scripts {
		mine[string(script(n))] = n
	}
	all := truth{map[psbt.Outpoint]coins.Coin{}, map[psbt.Outpoint]coins.Mark{}, map[statement.ID][]coins.Move{}, map[psbt.ID]coins.Mark{}}
	ever := map[psbt.Outpoint]coins.Coin{}
	for height := from; height <= e.top(); height++ {
		m := e.best[height]
		for i, tx := range m.txs {
			id, touched := tx.ID(), map[statement.ID]map[string]*coins.Line{}
			line := func(c coins.Coin) *coins.Line {
				if touched[c.Vault] == nil {
					touched[c.Vault] = map[string]*coins.Line{}
				}
				if touched[c.Vault][string(c.Script)] == nil {
					network, _ := bitcoin.NetworkOf(regtest)
					address, _ := network.Address(c.Script)
					touched[c.Vault][string(c.Script)] = &coins.Line{Address: address, Script: c.Script}
				}
				return touched[c.Vault][string(c.Script)]
			}
			for _, in := range tx.Ins {
				if c, ok := ever[in.Outpoint]; ok {
					line(c).Spent += c.Amount
					all.spent[in.Outpoint] = coins.Mark{Height: height, ID: id}
					delete(all.coins, in.Outpoint)
				}
			}
			for k, o := range tx.Outs {
				if n, ok := mine[string(o.Script)]; ok {
					c := coins.Coin{Owner: owner(n), Outpoint: psbt.Outpoint{ID: id, Index: uint32(k)}, Script: bitcoin.Script(o.Script), Amount: o.Amount, Height: height, Coinbase: i == 0}
					if n%2 == 0 {
						c.Previous = tx.Bare()
					}
					ever[c.Outpoint], all.coins[c.Outpoint] = c, c
					line(c).Received += c.Amount
				}
			}
			for vault, lines := range touched {
				mv := coins.Move{Mark: coins.Mark{Height: height, ID: id}, Block: m.id, Time: time.Unix(int64(m.Time), 0).UTC()}
				for _, l := range lines {
					mv.Received, mv.Spent, mv.Addresses = mv.Received+l.Received, mv.Spent+l.Spent, append(mv.Addresses, *l)
				}
				slices.SortFunc(mv.Addresses, func(x, y coins.Line) int { return cmp.Compare(x.Address, y.Address) })
				all.moves[vault] = append(all.moves[vault], mv)
				all.found[id] = coins.Mark{Height: height, ID: m.id}
			}
		}
	}
	for _, moves := range all.moves {
		slices.SortFunc(moves, func(x, y coins.Move) int {
			return cmp.Or(cmp.Compare(x.Height, y.Height), bytes.Compare(x.ID[:], y.ID[:]))
		})
	}
	return all
}

// check holds the book to a chain from a height on.
func (d *desk) check(from uint32, what string) {
	d.t.Helper()
	want := d.from.truth(from, d.scripts)
	if height, id, ok := d.Height(); d.from.top() >= from && (!ok || height != d.from.top() || id != d.from.best[height].id) {
		d.t.Fatalf("%s: the book ends at %d, %s, %v", what, height, id, ok)
	}
	if err := d.compare(want); err != nil {
		d.t.Fatalf("%s: %v", what, err)
	}
}

func (d *desk) compare(want truth) error {
	count := 0
	for v := range 3 {
		got, left := d.Coins(vaultOf(v))
		if left.Count > 0 {
			return fmt.Errorf("%d coins are left out", left.Count)
		}
		if err := d.Fill(ctx, got); err != nil {
			return err
		}
		if !slices.IsSortedFunc(got, func(x, y coins.Coin) int {
			return cmp.Or(cmp.Compare(x.Outpoint.ID.String(), y.Outpoint.ID.String()), cmp.Compare(x.Outpoint.Index, y.Outpoint.Index))
		}) {
			return errors.New("coins are out of order")
		}
		for _, c := range got {
			if w, ok := want.coins[c.Outpoint]; !ok || !reflect.DeepEqual(w, c) {
				return fmt.Errorf("coin %s: %v, want %v", c.Outpoint, c, w)
			}
			count++
		}
		if err := d.compareMoves(vaultOf(v), want.moves[vaultOf(v)]); err != nil {
			return err
		}
	}
	if count != len(want.coins) {
		return fmt.Errorf("%d coins, want %d", count, len(want.coins))
	}
	for o, w := range want.spent {
		by, height, ok := d.Spent(o)
		if w.Height+coins.Depth > d.from.top() && (!ok || by != w.ID || height != w.Height) {
			return fmt.Errorf("coin %s: spent by %s at %d, %v; want %v", o, by, height, ok, w)
		}
	}
	for id, w := range want.found {
		height, in, ok, err := d.Found(ctx, id)
		if err != nil || !ok || height != w.Height || in != w.ID {
			return fmt.Errorf("transaction %s: found in %s at %d, %v, %v; want %v", id, in, height, ok, err, w)
		}
	}
	return nil
}

func (d *desk) compareMoves(vault statement.ID, want []coins.Move) error {
	var got []coins.Move
	for after := (coins.Mark{}); ; after = got[len(got)-1].Mark {
		page, err := d.History(ctx, vault, after, 3)
		if err != nil {
			return err
		}
		if got = append(got, page...); len(page) < 3 {
			break
		}
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("history of %s: %v\nwant %v", vault.Short(), got, want)
	}
	return nil
}

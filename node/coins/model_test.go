package coins_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/coins"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// A world is a chain that goes on at random.
type world struct {
	*endpoint
	rng     *rand.Rand
	scripts int // that anybody pays
	salt    uint32
}

// live adds a block with payments to scripts of ours and of others, and transactions that spend ours, among them such as were made in the same block.
func (w *world) live(from uint32) {
	var txs []*psbt.Tx
	var ours []psbt.Outpoint
	for o, c := range w.truth(from, w.scripts).coins {
		if !c.Coinbase {
			ours = append(ours, o)
		}
	}
	slices.SortFunc(ours, func(x, y psbt.Outpoint) int { return strings.Compare(x.String(), y.String()) })
	w.rng.Shuffle(len(ours), func(i, j int) { ours[i], ours[j] = ours[j], ours[i] })
	for range w.rng.IntN(4) {
		w.salt++
		tx := pay(w.salt)
		for n := w.rng.IntN(4); n > 0 && len(ours) > 0; n-- {
			tx.Ins, ours = append(tx.Ins, psbt.In{Outpoint: ours[0]}), ours[1:]
		}
		for range 1 + w.rng.IntN(4) {
			if w.rng.IntN(4) == 0 {
				tx.Outs = append(tx.Outs, psbt.Out{Amount: 1, Script: anyone})
			} else {
				n := w.rng.IntN(w.scripts)
				ours = append(ours, psbt.Outpoint{Index: uint32(len(tx.Outs))})
				tx.Outs = append(tx.Outs, out(n, w.rng.Uint64N(1_000_000)))
			}
		}
		id := tx.ID()
		for i := range ours {
			if ours[i].ID == (psbt.ID{}) {
				ours[i].ID = id
			}
		}
		txs = append(txs, tx)
		w.rng.Shuffle(len(ours), func(i, j int) { ours[i], ours[j] = ours[j], ours[i] })
	}
	reward := []byte(anyone)
	if w.rng.IntN(5) == 0 {
		reward = script(w.rng.IntN(w.scripts))
	}
	w.reward(reward, txs...)
}

// Random lives of a chain and a book: payments, spending, reorganisations, crashes, writes of which nobody knows, full disks, scripts that are watched late. When all is read the book is
// what the chain says, and its rows are those of a book that read the chain once.
func TestBookIsTheChain(t *testing.T) {
	for seed := range uint64(120) {
		live(t, seed)
	}
}

func live(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	w := &world{endpoint: newEndpoint(), rng: rng, scripts: 7}
	from := uint32(rng.IntN(3))
	for range 3 + rng.IntN(8) {
		w.live(from)
	}
	d := begin(t, w.endpoint, 5, from)
	d.now = d.now.Add(time.Minute)
	rescans := 0
	for range 30 {
		switch rng.IntN(10) {
		case 0, 1, 2:
			w.live(from)
		case 3:
			w.back(max(from, w.top()-min(w.top(), uint32(rng.IntN(6)))))
			w.live(from)
			if rng.IntN(2) == 0 {
				w.live(from)
			}
		case 4:
			d.disk.SetFault(nil)
			d.restart()
		case 5:
			d.disk.SetFault(func(store.Batch) memory.Outcome {
				return []memory.Outcome{memory.Write, memory.Write, memory.Full, memory.UnknownDone, memory.UnknownLost}[rng.IntN(5)]
			})
		case 6:
			if d.scripts < w.scripts && rng.IntN(3) == 0 {
				if err := d.Watch(script(d.scripts), owner(d.scripts)); err != nil {
					t.Fatal(err)
				}
				d.scripts++
				d.disk.SetFault(nil)
				if err := d.Rescan(ctx, from); err != nil && !strings.Contains(err.Error(), "ask endpoints") {
					t.Fatalf("seed %d: %v", seed, err)
				}
				rescans++
			}
		default:
			d.now = d.now.Add(time.Duration(rng.IntN(20)) * time.Second)
			if _, err := d.Step(ctx); err != nil && !store.Troubled(err) {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
	d.disk.SetFault(nil)
	if rng.IntN(2) == 0 {
		d.restart()
	}
	w.live(from)
	d.settle()
	d.check(from, fmt.Sprintf("seed %d", seed))
	if rescans > 0 {
		return // rows tell which rescan found a coin
	}
	once := begin(t, w.endpoint, d.scripts, from)
	once.settle()
	want, got := once.rows(), d.rows()
	for key := range want {
		if got[key] != want[key] {
			t.Fatalf("seed %d: row %s is %x, want %x", seed, key, got[key], want[key])
		}
	}
	if !maps.Equal(want, got) {
		t.Fatalf("seed %d: %d rows, want %d", seed, len(got), len(want))
	}
}

// A reorganisation of Depth blocks is undone; one deeper is not, whatever was to follow, and says what to do; then the book begins again.
func TestDeepReorganisations(t *testing.T) {
	e := newEndpoint()
	for i := range uint32(10) {
		e.grow(pay(i, out(int(i)%3, 100)))
	}
	spent := psbt.Outpoint{ID: e.best[8].txs[1].ID()}
	for i := range uint32(coins.Depth) {
		if e.grow(pay(100+i, out(0, 5))); i == 0 {
			e.grow(spend([]psbt.Out{out(1, 1)}, spent))
		}
	}
	d := begin(t, e, 3, 2)
	d.settle()
	d.check(2, "before")
	top := e.top()
	e.back(top - coins.Depth)
	for i := range uint32(4) {
		e.grow(pay(9999+i, out(0, 1)))
	}
	d.settle() // a shorter chain, as it is where its blocks have more work
	d.check(2, "Depth blocks undone")
	for e.top() < top {
		e.grow()
	}
	d.settle()
	was := d.rows()
	d.settle()
	e.back(e.top() - coins.Depth - 1)
	for range coins.Depth + 3 {
		e.grow()
	}
	for range 2 {
		behind, err := d.Step(ctx)
		if err == nil || !strings.Contains(err.Error(), "deeper than 288 blocks") || !strings.Contains(err.Error(), "Restart") || behind != 2 {
			t.Fatalf("deeper: %d behind, %v", behind, err)
		}
	}
	if !maps.Equal(was, d.rows()) {
		t.Error("rows changed")
	}
	if err := d.Restart(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Coins(vaultOf(0)); len(got) > 0 || len(d.rows()) > 0 {
		t.Error("a book that begins again has coins")
	}
	d.settle()
	d.check(2, "begun again")
}

// All that was read may be undone, as long as it is all.
func TestReorganisationOfEverything(t *testing.T) {
	e := newEndpoint()
	for i := range uint32(5) {
		e.grow(pay(i, out(0, 100)))
	}
	d := begin(t, e, 3, 2)
	d.settle()
	e.back(0)
	for i := range uint32(7) {
		e.grow(pay(50+i, out(1, 100)))
	}
	d.settle()
	d.check(2, "all undone")
	if err := d.Rescan(ctx, 1); err != nil {
		t.Fatal(err)
	}
	d.settle()
	d.check(1, "and read from 1")
	e.back(0)
	for range 9 {
		e.grow()
	}
	if _, err := d.Step(ctx); err == nil || !strings.Contains(err.Error(), "other blocks from height 2 on") {
		t.Errorf("blocks that were read again may be others too: %v", err)
	}
	if err := d.Restart(ctx, 3); err != nil {
		t.Fatal(err)
	}
	d.settle()
	if err := d.Rescan(ctx, 1); err != nil {
		t.Fatal(err)
	}
	e.back(0)
	for range 10 {
		e.grow()
	}
	if _, err := d.Step(ctx); err == nil || !strings.Contains(err.Error(), "other blocks from height 3 on") {
		t.Errorf("blocks that are being read again may be others too: %v", err)
	}
}

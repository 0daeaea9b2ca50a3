package coins_test

import (
	"maps"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/coins"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// killed lets a desk write so many batches; the next one reaches the disk or not, and nothing after it.
func (d *desk) killed(writes int, reaches bool) (dead func() bool) {
	n := 0
	d.disk.SetFault(func(store.Batch) memory.Outcome {
		switch n++; {
		case n <= writes:
			return memory.Write
		case n == writes+1 && reaches:
			return memory.UnknownDone
		}
		return memory.UnknownLost
	})
	return func() bool { return n > writes }
}

// large is a block whose changes need several batches: it pays many, and spends what the block before paid, of three vaults.
func large(e *endpoint) {
	first := pay(1)
	for i := range 200 {
		first.Outs = append(first.Outs, out(i%5, uint64(1000+i)))
	}
	e.grow(first)
	second := spend(nil)
	for i := range 200 {
		second.Ins = append(second.Ins, psbt.In{Outpoint: psbt.Outpoint{ID: first.ID(), Index: uint32(i)}})
		second.Outs = append(second.Outs, out(i%5, uint64(i+1)))
	}
	txs := []*psbt.Tx{second, spend([]psbt.Out{out(4, 3)}, psbt.Outpoint{ID: second.ID(), Index: 7})}
	for i := range uint32(40) {
		txs = append(txs, pay(2+i, out(int(i)%5, 9), out(0, 8)))
	}
	e.grow(txs...)
}

// trial is a book before something is done to it, and what that is.
type trial struct {
	d     *desk
	from  uint32
	do    func() error // to be killed in
	after func()       // what is done in a new process
}

// crashes kills a process at each batch that it writes, before and after it reached the disk. A new one goes on, and comes to the same rows.
func crashes(t *testing.T, atLeast int, prepare func() trial) {
	t.Helper()
	whole := prepare()
	if err := whole.do(); err != nil {
		t.Fatal(err)
	}
	whole.after()
	whole.d.check(whole.from, "undisturbed")
	want := whole.d.rows()
	for _, reaches := range []bool{false, true} {
		for n := 0; ; n++ {
			x := prepare()
			dead := x.d.killed(n, reaches)
			err := x.do()
			if !dead() {
				if n < atLeast {
					t.Fatalf("only %d batches are written", n)
				}
				break
			}
			if err == nil {
				t.Fatalf("killed at batch %d, and nothing is said", n)
			}
			x.d.disk.SetFault(nil)
			if n%2 == 0 {
				x.d.restart() // else the process lives, and does not know what the store holds
			}
			if n%3 == 0 { // killed once more, while it takes back what it finds
				dead := x.d.killed(n%5, !reaches)
				err := x.d.Load(ctx)
				if dead() && err == nil {
					t.Fatalf("killed again after batch %d, and nothing is said", n)
				}
				x.d.disk.SetFault(nil)
				x.d.restart()
			}
			x.after()
			x.d.check(x.from, "killed")
			if got := x.d.rows(); !maps.Equal(got, want) {
				for key := range want {
					if got[key] != want[key] {
						t.Errorf("row %s: %x, want %x", key, got[key], want[key])
					}
				}
				t.Fatalf("killed at batch %d, which reaches the disk: %v; %d rows, want %d", n, reaches, len(got), len(want))
			}
		}
	}
}

func once(d *desk) func() error { return func() error { _, err := d.Step(ctx); return err } }

func TestCrashAtEveryWrite(t *testing.T) {
	t.Run("blocks", func(t *testing.T) {
		crashes(t, 8, func() trial {
			e := newEndpoint()
			large(e)
			d := begin(t, e, 5, 0)
			return trial{d, 0, once(d), d.settle}
		})
	})
	t.Run("blocks that are others by then", func(t *testing.T) {
		crashes(t, 8, func() trial {
			e := newEndpoint()
			large(e)
			d := begin(t, e, 5, 0)
			return trial{d, 0, once(d), func() {
				e.back(0)
				e.grow(pay(71, out(1, 5)))
				e.grow(pay(72, out(0, 6)))
				d.settle()
			}}
		})
	})
	t.Run("a first block that is another by then", func(t *testing.T) {
		crashes(t, 3, func() trial {
			e, first := newEndpoint(), pay(1)
			for i := range 300 {
				first.Outs = append(first.Outs, out(i%5, uint64(i)))
			}
			e.best[0] = mine(psbt.ID{}, 0, 9, anyone, first)
			d := begin(t, e, 5, 0)
			return trial{d, 0, once(d), func() {
				e.best[0] = mine(psbt.ID{}, 0, 10, script(1), pay(2, out(2, 7)))
				d.settle()
			}}
		})
	})
	t.Run("reorganisation", func(t *testing.T) {
		crashes(t, 8, func() trial {
			e := newEndpoint()
			e.grow(pay(77, out(3, 5)))
			large(e)
			d := begin(t, e, 5, 0)
			d.settle()
			e.back(1)
			e.grow(pay(1, out(1, 66)))
			return trial{d, 0, once(d), d.settle}
		})
	})
	t.Run("reorganisation of what is spent", func(t *testing.T) {
		crashes(t, 7, func() trial {
			e := newEndpoint()
			large(e)
			d := begin(t, e, 5, 0)
			d.settle()
			e.back(1)
			e.grow()
			return trial{d, 0, once(d), d.settle}
		})
	})
	t.Run("rescan", func(t *testing.T) {
		crashes(t, 4, func() trial {
			e := newEndpoint()
			large(e)
			d := begin(t, e, 4, 0)
			d.settle()
			if err := d.Watch(script(4), owner(4)); err != nil {
				t.Fatal(err)
			}
			d.scripts = 5
			if err := d.Rescan(ctx, 1); err != nil {
				t.Fatal(err)
			}
			return trial{d, 0, once(d), d.settle}
		})
	})
	t.Run("beginning again", func(t *testing.T) {
		crashes(t, 6, func() trial {
			e := newEndpoint()
			large(e)
			d := begin(t, e, 5, 0)
			d.settle()
			return trial{d, 1, func() error { return d.Restart(ctx, 1) }, func() {
				if err := d.Begin(ctx, 1); err != nil {
					t.Fatal(err)
				}
				if height, _, ok := d.Height(); ok && height > 0 {
					if err := d.Restart(ctx, 1); err != nil { // nothing of it was written
						t.Fatal(err)
					}
				}
				d.settle()
			}}
		})
	})
	t.Run("erasing", func(t *testing.T) {
		crashes(t, 4, func() trial {
			e := newEndpoint()
			large(e)
			for i := range uint32(coins.Depth) {
				if e.grow(); i == 270 {
					e.grow(pay(500, out(0, 9)))
				}
			}
			d := begin(t, e, 5, 0)
			for range 5 {
				if _, err := d.Step(ctx); err != nil {
					t.Fatal(err)
				}
			}
			return trial{d, 0, func() error {
				for range 3 {
					d.now = d.now.Add(time.Hour)
					if err := once(d)(); err != nil {
						return err
					}
				}
				return nil
			}, func() { d.settle(); d.now = d.now.Add(time.Hour); d.settle() }}
		})
	})
}

// What was written of a block that is not whole is shown to nobody, in the process that failed to write it too.
func TestHalfABlockIsNotShown(t *testing.T) {
	e := newEndpoint()
	large(e)
	d := begin(t, e, 5, 0)
	for n := 0; ; n++ {
		dead := d.killed(n, true)
		_, err := d.Step(ctx)
		if !dead() {
			break
		}
		if err == nil {
			t.Fatal("nothing is said")
		}
		height, _, _ := d.Height()
		for h, m := range e.best {
			for _, tx := range m.txs[1:] {
				if _, _, ok, err := d.Found(ctx, tx.ID()); err != nil || ok != (h <= int(height)) {
					t.Fatalf("killed at batch %d: %s of block %d is found: %v, %v", n, tx.ID(), h, ok, err)
				}
			}
		}
		for v := range 3 {
			history, err := d.History(ctx, vaultOf(v), coins.Mark{}, 1000)
			if err != nil || len(history) > 0 && history[len(history)-1].Height > height {
				t.Fatalf("killed at batch %d: the history of vault %d goes on above %d, %v", n, v, height, err)
			}
		}
	}
	d.disk.SetFault(nil)
	d.settle()
	d.check(0, "in the end")
}

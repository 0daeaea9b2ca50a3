package ledger

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

var t0 = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func id(n int) statement.ID { return statement.ID{byte(n), byte(n >> 8), 1} }

func debit(n int, amount int64, at time.Time) Debit {
	return Debit{Intent: id(n), Lines: []Line{{"eth", amount}}, At: at, Open: true}
}

func (l *Ledger) must(t *testing.T, d Debit) {
	t.Helper()
	if err := l.Put(d); err != nil {
		t.Fatal(err)
	}
}

func (l *Ledger) day(t *testing.T, now time.Time, adds int64) int64 {
	t.Helper()
	got, err := l.Totals("eth", now, statement.ID{}, adds)
	if err != nil {
		t.Fatal(err)
	}
	return got.Day
}

// 101 transfers of 0.99 under a limit of 100: each counts as 1, rounded up.
func TestSplitting(t *testing.T) {
	var l Ledger
	ether, amount := charter.Asset{Name: "eth", Decimals: 18, Unit: 18}, new(big.Int).Mul(big.NewInt(99), big.NewInt(1e16))
	allowed := 0
	for n := range 101 {
		u, err := ether.Units(amount)
		if err != nil {
			t.Fatal(err)
		}
		if l.day(t, t0, u) <= 100 {
			l.must(t, debit(n, u, t0))
			allowed++
		}
	}
	if allowed != 100 {
		t.Errorf("%d of 101 are allowed", allowed)
	}
}

// A window ends to the nanosecond, and begins when a signature was made, not when it was allowed.
func TestEdges(t *testing.T) {
	var l Ledger
	l.must(t, debit(1, 5, t0))
	if l.day(t, t0.Add(1000*time.Hour), 0) != 5 || len(l.Prune(t0.Add(1000*time.Hour))) > 0 {
		t.Error("what may yet be signed does not count")
	}
	if _, err := l.Signed(id(1), t0); err != nil {
		t.Fatal(err)
	}
	for i, w := range windows {
		for _, c := range []struct {
			after time.Duration
			in    bool
		}{{0, true}, {w - 1, true}, {w, false}, {w + 1, false}, {-time.Hour, true}} {
			got, err := l.Totals("eth", t0.Add(c.after), statement.ID{}, 0)
			if all := [...]int64{got.Hour, got.Day, got.Week, got.Month}; err != nil || (all[i] == 5) != c.in {
				t.Errorf("window %v, %v after: %v, %v", w, c.after, all, err)
			}
		}
	}
	if _, err := l.Signed(id(1), t0.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if d, err := l.Signed(id(1), t0); err != nil || !d.At.Equal(t0.Add(time.Hour)) {
		t.Errorf("a debit moved back: %v, %v", d, err)
	}
	if l.day(t, t0.Add(24*time.Hour), 0) != 5 {
		t.Error("the window did not begin with the signature")
	}
	if _, err := l.Signed(id(2), t0); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if gone := l.Prune(t0.Add(time.Hour + Longest - 1)); len(gone) != 0 {
		t.Error("pruned too early")
	}
	if gone := l.Prune(t0.Add(time.Hour + Longest)); len(gone) != 1 || len(l.Debits()) != 0 {
		t.Error("not pruned")
	}
}

func TestPutAndRelease(t *testing.T) {
	var l Ledger
	l.must(t, debit(1, 5, t0))
	l.must(t, debit(1, 5, t0.Add(-time.Hour))) // read back: it does not move earlier
	if d := l.Debits()[0]; !d.At.Equal(t0) || !d.Open {
		t.Errorf("at %v, open %v", d.At, d.Open)
	}
	if err := l.Put(debit(1, 4, t0)); !errors.Is(err, ErrTwice) {
		t.Error("an intent's amount changed")
	}
	if got, err := l.Totals("eth", t0, id(1), 7); err != nil || got.Day != 7 {
		t.Errorf("its own debit counts twice: %v, %v", got, err)
	}
	if got, err := l.Totals("usdc", t0, statement.ID{}, 7); err != nil || got.Day != 7 {
		t.Errorf("another asset: %v, %v", got, err)
	}
	for name, d := range map[string]Debit{
		"below zero": debit(2, -1, t0), "not ascending": {Intent: id(2), Lines: []Line{{"eth", 1}, {"dai", 1}}}, "twice": {Intent: id(2), Lines: []Line{{"eth", 1}, {"eth", 1}}},
	} {
		if l.Put(d) == nil {
			t.Error(name)
		}
	}
	if _, err := l.Signed(id(1), t0); err != nil {
		t.Fatal(err)
	}
	if l.must(t, debit(1, 5, t0)); l.Debits()[0].Open {
		t.Error("what was signed is open again")
	}
	l.Release(id(1))
	if l.day(t, t0, 0) != 0 {
		t.Error("not released")
	}
}

func TestOverflow(t *testing.T) {
	var l Ledger
	l.must(t, debit(1, math.MaxInt64, t0))
	if _, err := l.Totals("eth", t0, statement.ID{}, 1); !errors.Is(err, ErrOverflow) {
		t.Error(err)
	}
	l.must(t, debit(2, math.MaxInt64, t0))
	l.must(t, debit(3, 2, t0))
	if _, err := l.Totals("eth", t0, statement.ID{}, 0); !errors.Is(err, ErrOverflow) {
		t.Error("a sum came around: ", err)
	}
	if _, err := l.Totals("dai", t0, statement.ID{}, -1); err == nil {
		t.Error("less than nothing")
	}
}

// However allows, signatures, releases and restarts come, no window ever holds more that may have been signed than its limit.
func TestLimitHolds(t *testing.T) {
	const limit = 100
	r := rand.New(rand.NewPCG(7, 8))
	type truth struct {
		amount int64
		at     time.Time // of the signature; zero: none was made
		ended  bool
	}
	for range 200 {
		l, now := &Ledger{}, t0
		var all []truth
		for n := range 200 {
			now = now.Add(time.Duration(r.Int64N(int64(3 * time.Hour))))
			amount := r.Int64N(30)
			if got, err := l.Totals("eth", now, id(n), amount); err == nil && got.Day <= limit {
				l.must(t, debit(n, amount, now))
				all = append(all, truth{amount: amount})
			} else {
				all = append(all, truth{ended: true})
			}
			for k := range all {
				switch {
				case all[k].ended || r.IntN(4) > 0:
				case r.IntN(5) == 0: // it can never be signed
					l.Release(id(k))
					all[k].ended = true
				default: // it is signed, which the ledger hears first
					if _, err := l.Signed(id(k), now); err != nil {
						t.Fatal(err)
					}
					all[k].at, all[k].ended = now, true
				}
			}
			if r.IntN(10) == 0 { // a restart
				again := &Ledger{}
				for _, d := range l.Debits() {
					again.must(t, d)
				}
				l = again
			}
			l.Prune(now)
			sum := int64(0)
			for _, x := range all {
				if !x.at.IsZero() && now.Sub(x.at) < 24*time.Hour {
					sum += x.amount
				}
			}
			if sum > limit {
				t.Fatalf("%d were signed within a day", sum)
			}
		}
	}
}

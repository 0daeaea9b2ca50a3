package ledger

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

// The windows, each longer than the one before. They slide: a debit counts while it is open, and then until it is as old as the window.
var windows = [...]time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour}

// Longest is how long a debit matters.
const Longest = 30 * 24 * time.Hour

// A Line is what an intent gives out of one asset at most, its fee included.
type Line struct {
	Asset  string // label
	Amount int64  // in the asset's policy unit, 0 or more
}

// A Debit is one intent's, or that of all intents of which one alone can be carried out.
type Debit struct {
	Intent statement.ID // its id, or what stands for them
	Lines  []Line       // ascending by asset, each once
	Open   bool         // in flight: it may yet be signed, at any time, so it counts in every window
	At     time.Time    // when it was signed, or may have been at the latest; while it is open, when it was allowed
}

// A Ledger is one vault's. The zero value is empty.
type Ledger struct {
	debits map[statement.ID]Debit
}

// Errors.
var (
	ErrTwice    = errors.New("the intent is debited already, with other amounts")
	ErrUnknown  = errors.New("the intent is not debited")
	ErrOverflow = errors.New("the sum does not fit in 63 bits")
)

// Put takes a debit, of an intent that is allowed now, or back from where it was kept. The same again moves it later, never earlier, and
// closes it, never opens it.
func (l *Ledger) Put(d Debit) error {
	if err := d.validate(); err != nil {
		return fmt.Errorf("ledger: intent %s: %w", d.Intent.Short(), err)
	}
	old, known := l.debits[d.Intent]
	if known && !slices.Equal(old.Lines, d.Lines) {
		return fmt.Errorf("ledger: intent %s: %w", d.Intent.Short(), ErrTwice)
	}
	if known {
		d.Open = d.Open && old.Open
		if old.At.After(d.At) {
			d.At = old.At
		}
	}
	if l.debits == nil {
		l.debits = map[statement.ID]Debit{}
	}
	d.Lines = slices.Clone(d.Lines)
	l.debits[d.Intent] = d
	return nil
}

func (d Debit) validate() error {
	for i, line := range d.Lines {
		if line.Amount < 0 {
			return fmt.Errorf("asset %s: the amount is %d", line.Asset, line.Amount)
		}
		if i > 0 && line.Asset <= d.Lines[i-1].Asset {
			return fmt.Errorf("asset %s does not stand after %s", line.Asset, d.Lines[i-1].Asset)
		}
	}
	return nil
}

// Signed closes a debit: a signature was made, or may have been, at the latest at this time. Windows begin then.
func (l *Ledger) Signed(intent statement.ID, at time.Time) (Debit, error) {
	d, known := l.debits[intent]
	if !known {
		return Debit{}, fmt.Errorf("ledger: intent %s: %w", intent.Short(), ErrUnknown)
	}
	d.Open = false
	if at.After(d.At) {
		d.At = at
	}
	l.debits[intent] = d
	return d, nil
}

// Release takes a debit back: no signature of the intent can exist.
func (l *Ledger) Release(intent statement.ID) { delete(l.debits, intent) }

// Totals are sums over the windows that end now.
type Totals struct {
	Hour, Day, Week, Month int64
}

// Totals sums one asset, with what an intent would add. Its own debit, if there is one, does not count twice. What lies ahead of now
// counts in every window: a clock was set back.
func (l *Ledger) Totals(asset string, now time.Time, intent statement.ID, adds int64) (Totals, error) {
	var sums [len(windows)]big.Int
	for i := range sums {
		sums[i].SetInt64(adds)
	}
	for id, d := range l.debits {
		if id == intent {
			continue
		}
		amount := d.amount(asset)
		for i, w := range windows {
			if d.Open || now.Sub(d.At) < w {
				sums[i].Add(&sums[i], big.NewInt(amount))
			}
		}
	}
	var out [len(windows)]int64
	for i := range sums {
		if adds < 0 || !sums[i].IsInt64() {
			return Totals{}, fmt.Errorf("ledger: asset %s: %w", asset, ErrOverflow)
		}
		out[i] = sums[i].Int64()
	}
	return Totals{out[0], out[1], out[2], out[3]}, nil
}

// Since gives the totals of a ledger that knows nothing of what was signed before a moment: a window that reaches back before it counts as full. Nothing
// is said with the zero time.
func (t Totals) Since(from, now time.Time) Totals {
	for i, sum := range []*int64{&t.Hour, &t.Day, &t.Week, &t.Month} {
		if !from.IsZero() && now.Sub(from) < windows[i] {
			*sum = math.MaxInt64
		}
	}
	return t
}

func (d Debit) amount(asset string) int64 {
	for _, line := range d.Lines {
		if line.Asset == asset {
			return line.Amount
		}
	}
	return 0
}

// Prune forgets debits that count in no window any more, and names them.
func (l *Ledger) Prune(now time.Time) (gone []statement.ID) {
	for id, d := range l.debits {
		if !d.Open && now.Sub(d.At) >= Longest {
			delete(l.debits, id)
			gone = append(gone, id)
		}
	}
	slices.SortFunc(gone, func(a, b statement.ID) int { return strings.Compare(a.String(), b.String()) })
	return gone
}

// Debits lists all, by intent.
func (l *Ledger) Debits() []Debit {
	return slices.SortedFunc(maps.Values(l.debits), func(a, b Debit) int { return strings.Compare(a.Intent.String(), b.Intent.String()) })
}

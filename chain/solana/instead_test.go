package solana_test

import (
	"math"
	"testing"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/solana"
)

// A fee that no account could pay is not a small one.
func TestFee(t *testing.T) {
	for _, c := range []struct {
		units uint32
		price uint64
		want  uint64
	}{{0, 0, 5000}, {1500, 10_000, 5015}, {1, 1, 5001}, {1_400_000, math.MaxUint64, math.MaxUint64}, {1_000_000, math.MaxUint64, math.MaxUint64}, {999_999, math.MaxUint64, 18446725626965477906 + 5000}, {1 << 31, 1 << 33, (1<<64)/1_000_000 + 1 + 5000}} {
		if got := solana.Fee(c.units, c.price, 1); got != c.want {
			t.Errorf("%d units at %d: %d, want %d", c.units, c.price, got, c.want)
		}
	}
}

// What a transaction takes does not hang on what it asks for, or whoever proposes it would say how much of a fee is usual; the fee that policies and caps count is what it may cost with all that it asks for.
func TestTakes(t *testing.T) {
	for _, limit := range []uint32{1, 1_500, 1_400_000, 0} {
		r := solana.Request{Payer: payer, Blockhash: block, UnitLimit: limit, UnitPrice: 1_000_000, Memo: "seven", Steps: []solana.Step{solana.Transfer(payer, wallet, 7)}}
		tx := must(t, r, reading())
		want, budget := uint64(limit), uint32(2*solana.UnitsBudget)
		if limit == 0 {
			want, budget = 1_400_000, solana.UnitsBudget
		}
		if asked, _ := tx.Execution(); uint64(asked) != want || tx.Takes() != solana.UnitsTransfer+solana.UnitsNote+budget {
			t.Errorf("limit %d: it asks for %d and takes %d", limit, asked, tx.Takes())
		}
		all := tx.Effects()
		if fee := all[len(all)-1]; fee.Operation != effect.Fee || fee.Amount.Uint64() != want+5_000 {
			t.Errorf("limit %d: the fee is %s, want %d", limit, fee.Amount, want+5_000)
		}
	}
}

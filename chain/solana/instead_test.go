package solana_test

import (
	"math"
	"testing"

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

package dudect

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Against numbers computed by hand.
func TestWelch(t *testing.T) {
	took := []float64{10, 12, 11, 13, 10, 11, 14, 15, 13, 16, 14, 15, 99}
	class := []int{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0}
	// 99 and 16 are cut off. What stays has means 67/6 and 14.2, variances 41/30 and 0.7.
	want := (67.0/6 - 14.2) / math.Sqrt(41.0/30/6+0.7/5)
	if got := welch(took, class); math.Abs(got-want) > 1e-9 {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := welch([]float64{1, 1, 1, 1}, []int{0, 1, 0, 1}); got != 0 {
		t.Errorf("equal times give %v", got)
	}
}

// Times made up without a clock: noise alone stays below the bound, and a difference of a
// hundredth does not.
func TestNoiseAndDifference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, leak := range []float64{0, 1} {
		took, class := make([]float64, 20000), make([]int, 20000)
		for i := range took {
			class[i] = r.IntN(2)
			took[i] = 100 + 5*r.NormFloat64() + leak*float64(class[i])
		}
		if got := math.Abs(welch(took, class)); (got > Bound) != (leak > 0) {
			t.Errorf("difference %v gives |t| = %.1f", leak, got)
		}
	}
}

// Package dudect asks by measurement whether code takes the same time for a secret of one
// kind and of another: Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?",
// ePrint 2016/1123. Welch's t-test over two classes of inputs, drawn at random sample by
// sample, so that whatever else the machine does falls on both alike.
//
// It can find a leak, never prove that there is none: it sees this machine, this compiler
// and these inputs.
package dudect

import (
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Bound is the paper's: a |t| above it means that the two classes take different times.
const Bound = 4.5

// slowest is the share of samples that are left out, of both classes together: interrupts and
// the like, which otherwise drown everything.
const slowest = 0.1

// A Case is one thing to measure.
type Case struct {
	Samples int // per run
	Runs    int
	// Prepare sets the input of sample i, of class 0 or 1, before a run. Both classes must lie
	// in memory alike.
	Prepare func(i, class int)
	// Op is what is timed, on the input of sample i: a microsecond or more, so that the clock
	// does not count.
	Op func(i int)
}

// Median is the median |t| of all runs: one run beside a noisy neighbour says nothing.
func (c Case) Median() float64 {
	all := make([]float64, c.Runs)
	for i := range all {
		all[i] = math.Abs(c.run(uint64(i)))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (c Case) run(seed uint64) float64 {
	r := rand.New(rand.NewPCG(seed, 2016))
	class := make([]int, c.Samples)
	for i := range class {
		class[i] = r.IntN(2)
		c.Prepare(i, class[i])
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := make([]float64, c.Samples)
	for i := range took {
		from := time.Now()
		c.Op(i)
		took[i] = float64(time.Since(from))
	}
	// The first samples warm caches and the branch predictor.
	warm := c.Samples / 20
	return welch(took[warm:], class[warm:])
}

// welch is Welch's t of the two classes, the slowest samples left out.
func welch(took []float64, class []int) float64 {
	sorted := slices.Sorted(slices.Values(took))
	limit := sorted[int(float64(len(sorted)-1)*(1-slowest))]
	var n, mean, m2 [2]float64
	for i, v := range took {
		if v > limit {
			continue
		}
		k := class[i]
		n[k]++
		d := v - mean[k]
		mean[k] += d / n[k]
		m2[k] += d * (v - mean[k])
	}
	spread := m2[0]/(n[0]-1)/n[0] + m2[1]/(n[1]-1)/n[1]
	if spread == 0 {
		return 0
	}
	return (mean[0] - mean[1]) / math.Sqrt(spread)
}

package dkls_test

import (
	"flag"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/sim"
	"github.com/ostraka/ostraka/sim/dkls"
)

var (
	from  = flag.Uint64("from", 0, "first seed")
	seeds = flag.Uint64("seeds", normalSeeds, "number of seeds in safety mode; a fifth of it in liveness mode")
)

func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

func play(o sim.Options) sim.Report { return sim.Run(o, dkls.Scenario(o)) }

// Issue 2, acceptance 3: real DKLs23 on three nodes, faults everywhere, up to t − 1 of them
// corrupt: nothing forbidden happens.
func TestSafety(t *testing.T) {
	for seed := range *seeds {
		if r := play(dkls.Draw(*from+seed, sim.Safety)); r.Violation != nil {
			t.Fatal(sim.Shrink(r.Options, play))
		}
	}
}

// Threshold healthy nodes, the others broken for good or corrupt: every signature that was
// asked for comes about.
func TestLiveness(t *testing.T) {
	var longest time.Duration
	for seed := range (*seeds + 4) / 5 {
		r := play(dkls.Draw(*from+seed, sim.Liveness))
		if r.Violation != nil {
			t.Fatal(sim.Shrink(r.Options, play))
		}
		longest = max(longest, r.Time)
	}
	t.Logf("the longest took %v of virtual time", longest)
}

// The simulation must exercise what it claims to check.
func TestRunsAreNotIdle(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(16) {
		o := dkls.Draw(1000+seed, sim.Safety)
		s := dkls.Scenario(o)
		s.Checkers = append(s.Checkers, sim.Output{Bad: func(e sim.Event) error {
			switch f := e.Fact.(type) {
			case dkls.Signed:
				count["signed"]++
			case dkls.Judged:
				count["judged"]++
			case dkls.Ended:
				if count["ended"]++; len(f.Accused) > 0 {
					count["accused"]++
				}
			}
			for _, p := range e.Batch.Put {
				if strings.HasPrefix(p.Key, store.KindBurn+"/") {
					count["burned"]++
				}
			}
			if e.What == sim.Crashed {
				count["crashed"]++
			}
			return nil
		}})
		sim.Run(o, s)
	}
	for _, what := range []string{"signed", "judged", "ended", "accused", "burned", "crashed"} {
		if count[what] < 3 {
			t.Errorf("%q was seen %d times: %v", what, count[what], count)
		}
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	for seed := range uint64(3) {
		o := dkls.Draw(2000+seed, sim.Safety)
		if a, b := play(o), play(o); a.Trace != b.Trace || a.Events != b.Events {
			t.Errorf("seed %d gave two traces", seed)
		}
	}
}

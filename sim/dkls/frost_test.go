package dkls_test

import (
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/sim"
	"github.com/ostraka/ostraka/sim/dkls"
)

func ofFrost(o sim.Options) sim.Scenario { return dkls.ScenarioOf(epoch.SuiteBIP340, o) }

func playFrost(o sim.Options) sim.Report { return sim.Run(o, ofFrost(o)) }

// Real FROST on three nodes, faults everywhere, up to t − 1 of them corrupt: nothing forbidden happens.
func TestFrostSafety(t *testing.T) {
	for seed := range *seeds {
		if r := playFrost(dkls.Draw(5000+*from+seed, sim.Safety)); r.Violation != nil {
			t.Fatal(sim.Shrink(r.Options, playFrost))
		}
	}
}

// Threshold healthy nodes, the others broken for good or corrupt: every signature that was asked for comes about.
func TestFrostLiveness(t *testing.T) {
	var longest time.Duration
	for seed := range (*seeds + 4) / 5 {
		r := playFrost(dkls.Draw(5000+*from+seed, sim.Liveness))
		if r.Violation != nil {
			t.Fatal(sim.Shrink(r.Options, playFrost))
		}
		longest = max(longest, r.Time)
	}
	t.Logf("the longest took %v of virtual time", longest)
}

// The simulation must exercise what it claims to check: signatures, blame of who lies, crashes; and never a pair's judgement.
func TestFrostRunsAreNotIdle(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(16) {
		o := dkls.Draw(6000+seed, sim.Safety)
		s := ofFrost(o)
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
				if f.Burned {
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
	for _, what := range []string{"signed", "ended", "accused", "crashed"} {
		if count[what] < 3 {
			t.Errorf("%q was seen %d times: %v", what, count[what], count)
		}
	}
	if count["judged"]+count["burned"] > 0 {
		t.Errorf("a suite without pairs judged or burned some: %v", count)
	}
}

package dkls_test

import (
	"context"
	"flag"
	"os"
	"runtime/debug"
	"slices"
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

// A fraud is a store that breaks one promise.
type fraud struct {
	store.Store
	forgets string // rows of this kind are acknowledged and not written
	hides   string // rows of this kind are not there when read, and no condition on them fails
	late    bool   // what is acknowledged is written with the next batch
	waiting []store.Batch
}

func (f *fraud) Get(ctx context.Context, key string) (store.Item, error) {
	if f.hides != "" && strings.HasPrefix(key, f.hides) {
		return store.Item{}, store.ErrNotFound
	}
	return f.Store.Get(ctx, key)
}

func (f *fraud) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if f.forgets != "" {
		b.Put = slices.DeleteFunc(slices.Clone(b.Put), func(e store.Entry) bool { return strings.HasPrefix(e.Key, f.forgets) })
	}
	if f.hides != "" {
		b.If = slices.DeleteFunc(slices.Clone(b.If), func(c store.Cond) bool { return strings.HasPrefix(c.Key, f.hides) })
	}
	if f.late && slices.ContainsFunc(b.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "allow/") }) {
		// Allow rows alone, or the log's own conditions would fail.
		f.waiting = append(f.waiting, store.Batch{Put: slices.DeleteFunc(slices.Clone(b.Put), func(e store.Entry) bool { return !strings.HasPrefix(e.Key, "allow/") })})
		b.Put = slices.DeleteFunc(slices.Clone(b.Put), func(e store.Entry) bool { return strings.HasPrefix(e.Key, "allow/") })
		return f.Store.Commit(ctx, b)
	}
	rev, err := f.Store.Commit(ctx, b)
	for _, w := range f.waiting {
		_, _ = f.Store.Commit(ctx, w)
	}
	f.waiting = nil
	return rev, err
}

// Each mutant breaks one promise that the host stands on; the checkers must find it.
func TestMutantsAreCaught(t *testing.T) {
	for name, c := range map[string]struct {
		fraud fraud
		lazy  int
		catch string
	}{
		"burns are kept in memory only": {fraud: fraud{forgets: "burn/"}, catch: "I7"},
		"allowed, but not kept":         {fraud: fraud{forgets: "allow/"}, catch: "I2"},
		"kept too late":                 {fraud: fraud{late: true}, catch: "I2"},
		"setups seen are not known":     {fraud: fraud{hides: "seen/"}, catch: "I3 one join"},
		"disk acknowledges too early":   {lazy: 2, catch: "I2"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				o := dkls.Draw(seed, sim.Safety)
				o.LazyDisk = c.lazy
				o.Faults = append(o.Faults, sim.Fault{Kind: sim.Crash, Node: int(seed % 3), From: 6 * time.Second, Until: 6200 * time.Millisecond})
				s := dkls.Scenario(o)
				real := s.New
				s.New = func(env sim.Env) sim.Node {
					f := c.fraud
					f.Store = env.Store
					env.Store = &f
					return real(env)
				}
				r := sim.Run(o, s)
				if r.Violation == nil {
					continue
				}
				t.Logf("seed %d: %v", seed, r.Violation)
				if !strings.HasPrefix(r.Violation.Error(), c.catch) {
					t.Errorf("want %s", c.catch)
				}
				return
			}
			t.Error("not caught in 400 seeds")
		})
	}
}

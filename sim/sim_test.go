package sim_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/sim"
)

// client asks for a few signatures, again and again with other signers, and now and then
// for another message under the same intent.
type client struct {
	w    *sim.World
	r    *rand.Rand
	done map[byte]bool
	want int
}

func (c *client) begin(w *sim.World) {
	c.w, c.r = w, rand.New(rand.NewPCG(w.Seed, 'c'))
	c.want = 1 + c.r.IntN(4)
	for i := range c.want {
		w.After(time.Duration(c.r.IntN(6000))*time.Millisecond, func() { c.ask(byte(i), 0) })
	}
}

func (c *client) ask(intent, attempt byte) {
	if c.done[intent] && c.w.Mode == sim.Liveness {
		return
	}
	q := request{Intent: intent, Attempt: attempt, Message: [8]byte{intent, 1}}
	if c.w.Mode == sim.Safety && c.r.IntN(4) == 0 {
		q.Message[1] = 2
	}
	for _, i := range c.r.Perm(c.w.Nodes)[:c.w.Threshold] {
		q.Signers |= 1 << i
	}
	for i := range c.w.Nodes {
		for range 2 { // the client's own repetition
			c.w.Ask(i, seal(sim.Client, q.bytes()))
		}
	}
	if c.w.Mode == sim.Liveness || attempt < 3 {
		pause := time.Duration(500+c.r.IntN(3000)) * time.Millisecond
		c.w.After(pause, func() { c.ask(intent, attempt+1) })
	}
}

func (c *client) open() int { return c.want - len(c.done) }

// See lets the client notice signatures.
func (c *client) See(w *sim.World, e sim.Event) error {
	if s, ok := e.Fact.(signed); ok && w.Honest(e.Node) {
		c.done[s.request.Intent] = true
	}
	return nil
}
func (c *client) End(*sim.World) error { return nil }
func (c *client) Name() string         { return "client" }

func sent(e sim.Event) (engine.Msg, bool) {
	if e.What != sim.Sent {
		return engine.Msg{}, false
	}
	return decode(e.Frame[:len(e.Frame)-8])
}

func scenario(b bugs, mode sim.Mode) sim.Scenario {
	c := &client{done: map[byte]bool{}}
	s := sim.Scenario{
		Begin:   c.begin,
		Corrupt: misbehave,
		New: func(env sim.Env) sim.Node {
			n := &node{Env: env, bugs: b, limit: limit, hot: map[int]bool{}}
			if mode == sim.Liveness {
				n.limit = 1000
			}
			return n
		},
		Checkers: []sim.Checker{c, sim.Live{Open: c.open}},
	}
	if mode == sim.Liveness {
		s.Done = func() bool { return c.open() == 0 }
	}
	s.Checkers = append(s.Checkers, safety(mode)...)
	return s
}

func safety(mode sim.Mode) []sim.Checker {
	maximum := int64(limit)
	if mode == sim.Liveness {
		maximum = 1000
	}
	return []sim.Checker{
		sim.Output{Bad: func(e sim.Event) error {
			if s, ok := e.Fact.(signed); ok {
				return verify(s.request, s.sig)
			}
			return nil
		}},
		sim.Persist{Needs: func(e sim.Event) []string {
			m, _ := sent(e)
			return []string{store.Key("allow", store.ID(m.Session[:]))}
		}},
		&sim.Function{Title: "I3 nonce function", Of: func(e sim.Event) (string, string, bool) {
			m, ok := sent(e)
			return string(m.Body), string(m.Session[:]), ok && m.Kind == kindCommit
		}},
		&sim.Function{Title: "I10 one meaning", Of: func(e sim.Event) (string, string, bool) {
			for _, p := range e.Batch.Put {
				if strings.HasPrefix(p.Key, "allow/") {
					q, ok := parseRequest(p.Value)
					return string(q.Intent), string(q.Message[:]), ok
				}
			}
			return "", "", false
		}},
		sim.Blame{Accused: func(e sim.Event) []int {
			a, _ := e.Fact.(accused)
			return a.who
		}},
		&sim.Terminal{
			Title: "I7 terminal abort",
			Burns: func(e sim.Event) (string, bool) { b, ok := e.Fact.(burned); return fmt.Sprint(b.peer), ok },
			Uses:  func(e sim.Event) (string, bool) { u, ok := e.Fact.(usedPair); return fmt.Sprint(u.peer), ok },
		},
		&sim.Terminal{
			Title: "I1 nothing after an error",
			Burns: func(e sim.Event) (string, bool) { a, ok := e.Fact.(accused); return string(a.sid[:]), ok },
			Uses:  func(e sim.Event) (string, bool) { m, ok := sent(e); return string(m.Session[:]), ok },
		},
		&sim.Append{Prefix: "log/"},
		&sim.Limit{Max: maximum, Of: func(e sim.Event) (string, int64, bool) {
			for _, p := range e.Batch.Put {
				if p.Key == "token/next" {
					return "", 1, true
				}
			}
			return "", 0, false
		}},
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(800) // worlds are small and many
	os.Exit(m.Run())
}

func play(b bugs) func(sim.Options) sim.Report {
	return func(o sim.Options) sim.Report { return sim.Run(o, scenario(b, o.Mode)) }
}

var (
	from  = flag.Uint64("from", 0, "first seed of the safety and liveness runs")
	seeds = flag.Uint64("seeds", 5_000, "number of seeds in safety mode; a tenth of it in liveness mode")
)

func TestSafety(t *testing.T) {
	for seed := range *seeds {
		if r := play(bugs{})(sim.Draw(*from+seed, sim.Safety)); r.Violation != nil {
			t.Fatal(sim.Shrink(r.Options, play(bugs{})))
		}
	}
}

func TestLiveness(t *testing.T) {
	var longest time.Duration
	for seed := range *seeds / 10 {
		r := play(bugs{})(sim.Draw(*from+seed, sim.Liveness))
		if r.Violation != nil {
			t.Fatal(sim.Shrink(r.Options, play(bugs{})))
		}
		longest = max(longest, r.Time)
	}
	t.Logf("the longest took %v of virtual time", longest)
}

// The simulator must exercise what it claims to check.
func TestRunsAreNotIdle(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(300) {
		s := scenario(bugs{}, sim.Safety)
		s.Checkers = append(s.Checkers, sim.Output{Bad: func(e sim.Event) error {
			count[fmt.Sprintf("%d %T", e.What, e.Fact)]++
			return nil
		}})
		sim.Run(sim.Draw(seed, sim.Safety), s)
	}
	for _, what := range []string{
		"1 <nil>", "2 <nil>", "3 <nil>", "4 <nil>", "5 <nil>",
		"6 sim_test.signed", "6 sim_test.accused", "6 sim_test.burned", "6 sim_test.usedPair",
	} {
		if count[what] < 20 {
			t.Errorf("event %q was seen %d times in 300 seeds", what, count[what])
		}
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	traces := map[[32]byte]uint64{}
	for seed := range uint64(200) {
		o := sim.Draw(seed, sim.Mode(seed%2))
		a, b := play(bugs{})(o), play(bugs{})(sim.Draw(seed, sim.Mode(seed%2)))
		if a.Trace != b.Trace || a.Events != b.Events {
			t.Errorf("seed %d gave two traces", seed)
		}
		if other, ok := traces[a.Trace]; ok {
			t.Errorf("seeds %d and %d gave one trace", seed, other)
		}
		traces[a.Trace] = seed
	}
}

// Each mutant breaks one rule of the node; the checkers must find it ("must still catch").
func TestMutantsAreCaught(t *testing.T) {
	for name, c := range map[string]struct {
		bugs  bugs
		mode  sim.Mode
		lazy  int
		catch string // the invariant that must break
		blind string // a checker that is left out, so that another must find it
	}{
		"sends before it is durable":    {bugs: bugs{sendFirst: true}, catch: "I2"},
		"same, seen by nonces alone":    {bugs: bugs{sendFirst: true}, catch: "I3", blind: "I2"},
		"takes unknown for done":        {bugs: bugs{unknownIsDone: true}, catch: "I3", blind: "I2"},
		"burns in memory only":          {bugs: bugs{burnInMemory: true}, catch: "I7"},
		"judges without reading flags":  {bugs: bugs{blindJudge: true}, catch: "I7"},
		"gives an intent two meanings":  {bugs: bugs{anyMeaning: true}, catch: "I10"},
		"accuses when nobody is named":  {bugs: bugs{blameAll: true}, catch: "I6"},
		"keeps no record of allowing":   {bugs: bugs{noAllow: true}, catch: "I2"},
		"releases unverified":           {bugs: bugs{releaseUnverified: true}, catch: "I1 output soundness"},
		"numbers its log anew":          {bugs: bugs{logFromStart: true}, catch: "I8"},
		"forgets spending on a restart": {bugs: bugs{freeUnknown: true}, catch: "I9"},
		"goes on after an error":        {bugs: bugs{afterEnd: true}, catch: "I1 nothing after an error"},
		"repeats nothing":               {bugs: bugs{neverRepeat: true}, mode: sim.Liveness, catch: "I12"},
		"disk acknowledges too early":   {lazy: 3, catch: "I8", blind: "I2"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20_000) {
				o := sim.Draw(seed, c.mode)
				o.LazyDisk = c.lazy
				s := scenario(c.bugs, o.Mode)
				s.Checkers = slices.DeleteFunc(s.Checkers, func(k sim.Checker) bool {
					return c.blind != "" && strings.HasPrefix(k.Name(), c.blind)
				})
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
			t.Error("not caught in 20,000 seeds")
		})
	}
}

// A restored backup gives out its nonces again: the real node must know its own rollback.
func TestRestoreWithoutGuardIsCaught(t *testing.T) {
	for seed := range uint64(200) {
		o := sim.Draw(seed, sim.Safety)
		o.Corrupt, o.Faults = 0, []sim.Fault{{Kind: sim.Restore, From: 6 * time.Second, Until: 7 * time.Second, Amount: 9}}
		s := scenario(bugs{}, o.Mode)
		s.Checkers = slices.DeleteFunc(s.Checkers, func(k sim.Checker) bool { return strings.HasPrefix(k.Name(), "I8") })
		if r := sim.Run(o, s); r.Violation != nil {
			if !strings.HasPrefix(r.Violation.Error(), "I3") {
				t.Errorf("seed %d: got %v, want I3", seed, r.Violation)
			}
			return
		}
	}
	t.Error("not caught in 200 seeds")
}

func TestShrink(t *testing.T) {
	run := play(bugs{logFromStart: true}) // needs one restart between two decisions
	for seed := uint64(0); ; seed++ {
		o := sim.Draw(seed, sim.Safety)
		if len(o.Faults) < 6 || run(o).Violation == nil {
			continue
		}
		r := sim.Shrink(o, run)
		if r.Violation == nil || len(r.Options.Faults) > 2 || run(r.Options).Trace != r.Trace {
			t.Errorf("got %v", r)
		}
		if !strings.Contains(r.String(), fmt.Sprintf("Seed:0x%x", seed)) {
			t.Errorf("the report does not name its seed: %v", r)
		}
		return
	}
}

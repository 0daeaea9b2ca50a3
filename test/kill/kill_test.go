// Package kill ends real node processes with SIGKILL at the points that internal/failpoint
// names, before and after each durable step from a vault's creation over new shares and other thresholds to a signature,
// and wants that the circle goes on as if the node had merely been away.
package kill

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary is the program under test with its kill points.
var binary string

// lanes is how many cases run at a time.
const lanes = 2

// caseLimit is generous: it bounds a case that hangs.
const caseLimit = 4 * time.Minute

// To repeat a case, or the cases of another day:
// go test ./test/kill -kill "node 2 at note-posted 7", go test ./test/kill -day 20780.
// With presignatures, which have kill points of their own: go test ./test/kill -tier hot.
var (
	only = flag.String("kill", "", "this case alone: \"node N at POINT N\"")
	tier = flag.String("tier", "warm", "of the vault")
	day  = flag.Int("day", int(time.Now().Unix()/86400), "since 1970: it chooses the cases")
)

// A blow kills a node when it comes to a point for the nth time.
type blow struct {
	node  int
	point string
	nth   int
	long  bool // it may lose the others' certificate: the node then waits a minute for it
}

func (b blow) String() string { return fmt.Sprintf("node %d at %s %d", b.node, b.point, b.nth) }

func parseBlow(s string) (b blow, err error) {
	_, err = fmt.Sscanf(s, "node %d at %s %d", &b.node, &b.point, &b.nth)
	return b, err
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary != "" {
		os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// build builds the program, once.
func build(t *testing.T) {
	t.Helper()
	if binary != "" {
		return
	}
	dir, err := os.MkdirTemp("", "b")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "ostraka")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-tags", "failpoint", "-o", program, "github.com/ostraka/ostraka/cmd/ostraka").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	binary = program
}

func TestKill(t *testing.T) {
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	build(t)
	all := prepareAll(t, dir)
	some := longFirst(choose(survey(t, all[0]), kills, *day))
	t.Logf("day %d", *day)
	if *only != "" {
		b, err := parseBlow(*only)
		if err != nil {
			t.Fatal(err)
		}
		some = []blow{b}
	}
	work := make(chan blow)
	var workers sync.WaitGroup
	for _, l := range all {
		workers.Go(func() {
			for b := range work {
				t.Run(b.String(), func(t *testing.T) { run(t, l, &b) })
			}
		})
	}
	for _, b := range some {
		work <- b
	}
	close(work)
	workers.Wait()
}

func prepareAll(t *testing.T, dir string) []*lane {
	ctx, cancel := context.WithTimeout(t.Context(), caseLimit)
	defer cancel()
	all, errs := make([]*lane, lanes), make([]error, lanes)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i], errs[i] = prepare(ctx, filepath.Join(dir, fmt.Sprint(i))) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// hits are the points that each node had come to before an act, and by its end.
type hits struct {
	weight        int
	before, after [][]string
}

// survey tells the story without a kill, and returns which points each node came to in its acts.
func survey(t *testing.T, l *lane) (all []hits) {
	if !t.Run("nobody is killed", func(t *testing.T) { all = run(t, l, nil) }) {
		t.FailNow()
	}
	return all
}

// run is one case.
func run(t *testing.T, l *lane, b *blow) []hits {
	t.Helper()
	if err := l.reset(); err != nil {
		t.Fatal(err)
	}
	timeout, cancelTimeout := context.WithTimeout(t.Context(), caseLimit)
	defer cancelTimeout()
	ctx, cancel := context.WithCancelCause(timeout)
	defer cancel(nil)
	n := &nodes{lane: l, doomed: b, cancel: cancel, running: map[string]*exec.Cmd{}}
	defer n.stop()
	s := &story{nodes: n, seen: newWitnessed()}
	fail := func(doing string, err error) {
		if err != nil {
			n.stop()
			t.Fatalf("%s: %v%s", doing, err, n.tails())
		}
	}
	fail("start", n.start(ctx))
	fail("story", s.tell(ctx))
	fail("end", s.settled(ctx))
	s.alice.Close()
	n.stop()
	fail("stores", s.reckon(ctx))
	t.Logf("killed in %q; %d of %d proposals signed", s.killing, len(s.seen.raw), len(s.intents))
	return s.hits
}

// choose takes the blows of a day: n in each act, times its weight.
func choose(acts []hits, n, day int) (some []blow) {
	dice := rand.New(rand.NewPCG(uint64(day), 0))
	for _, a := range acts {
		some = append(some, a.pick(n*a.weight, dice)...)
	}
	return some
}

// pick takes n blows: other points, nodes and counts every day. Points that few hits have are
// as likely as those of many.
func (a hits) pick(n int, dice *rand.Rand) (some []blow) {
	byPoint := map[string][]blow{}
	for node, hits := range a.after {
		count, saving := map[string]int{}, false
		for i, point := range hits {
			count[point]++
			saving = saving || point == "session-before-save"
			if i >= len(a.before[node]) {
				byPoint[point] = append(byPoint[point], blow{node, point, count[point], saving})
			}
			saving = saving && point != "session-before-send"
		}
	}
	points := slices.Sorted(maps.Keys(byPoint))
	dice.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	for i := 0; len(some) < n; i++ {
		of := byPoint[points[i%len(points)]]
		if b := of[dice.IntN(len(of))]; !slices.Contains(some, b) {
			some = append(some, b)
		}
	}
	return some
}

// longFirst moves the kills forward that may take long.
func longFirst(all []blow) (out []blow) {
	for _, long := range []bool{true, false} {
		for _, b := range all {
			if b.long == long {
				out = append(out, b)
			}
		}
	}
	return out
}

// Each day has its own kills, all distinct, none before the story, and every point has its turn.
func TestPick(t *testing.T) {
	acts := []hits{{3, [][]string{{"a"}, {}}, [][]string{
		{"a", "b", "a", "session-before-save", "session-after-save", "session-before-send", "a", "b"},
		{"c", "c", "a", "c", "c", "b"},
	}}}
	one := choose(acts, 4, 1)
	if slices.Equal(one, choose(acts, 4, 2)) || !slices.Equal(one, choose(acts, 4, 1)) {
		t.Error("a day's kills are not its own")
	}
	points := map[string]bool{}
	for i, b := range one {
		points[b.point] = true
		again, err := parseBlow(b.String())
		if again.long = b.long; err != nil || again != b {
			t.Errorf("%v is read as %v: %v", b, again, err)
		}
		if b.long != strings.HasPrefix(b.point, "session-") {
			t.Errorf("%v: long is %v", b, b.long)
		}
		if b == (blow{node: 0, point: "a", nth: 1}) || slices.Contains(one[:i], b) {
			t.Errorf("%v: before the story, or twice", b)
		}
	}
	if len(one) != 12 || len(points) != 6 {
		t.Errorf("picked %v", one)
	}
	if sorted := longFirst(one); !sorted[0].long || sorted[11].long || len(sorted) != 12 {
		t.Errorf("ordered %v", sorted)
	}
}

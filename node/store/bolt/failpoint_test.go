//go:build failpoint

package bolt

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/node/store/storetest"
)

// The child is killed at the first, second and fifth hit of every point that a run
// passes; what it acknowledged must be there.
func TestKillAtEveryPoint(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	storetest.Killed(t, filepath.Join(t.TempDir(), "s"), 2000, "OSTRAKA_FAILPOINT_LOG="+log)
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	points := map[string]int{}
	for name := range strings.Lines(string(b)) {
		points[strings.TrimSpace(name)]++
	}
	for _, want := range []string{"bolt/create/before", "bolt/create/written", "bolt/create/renamed", "bolt/create/done",
		"bolt/reserve/held", "bolt/grow/done", "bolt/commit/before", "bolt/commit/after"} {
		if points[want] == 0 {
			t.Errorf("the run does not pass %s", want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(points)) {
		for _, nth := range []string{"1", "2", "5"} {
			t.Run(name+"="+nth, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "s")
				acked := storetest.Killed(t, dir, 500, "OSTRAKA_FAILPOINT="+name+"="+nth)
				s := openTest(t, dir)
				storetest.CheckKilled(t, s, acked)
				mustCommit(t, s, put("after", "the crash"))
			})
		}
	}
}

package node_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// believed wants outsiders to find nothing wrong in what honest nodes show of themselves, whatever befell these: two heartbeats later, when what one
// log tells must have come to all. Members are those of the newest roster; all hosts, if none is named.
func believed(t *testing.T, w *nodetest.World, members ...*nodetest.Host) {
	t.Helper()
	if w.Fate = nil; len(members) == 0 {
		members = w.Hosts
	}
	for range 2 {
		w.Now = w.Now.Add(time.Hour)
		pass(w, 2*time.Minute)
	}
	w.Run("all logs are cosigned by all others", func() bool {
		return !slices.ContainsFunc(members, func(h *nodetest.Host) bool { return !h.Up || !cosigned(h, len(members)-1) })
	})
	var all []*nodetest.Published
	for _, h := range members {
		all = append(all, w.Publish(h))
	}
	r, err := verify.Verify(sources(t, all), verify.Options{Now: w.Now})
	if err != nil || r.Failed {
		t.Errorf("honest nodes are accused: %v\n%s", err, strings.Join(failures(r), "\n"))
	}
	for _, o := range r.Operators {
		if o.Silent {
			t.Errorf("%s is said to be silent since %s: %s", o.Name, o.LastSeen, strings.Join(r.Attention, "\n"))
		}
	}
}

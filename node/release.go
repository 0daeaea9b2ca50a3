package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/pulse"
)

// releaseSlack is how long after a vault was asked for its first release still counts as the one that it was made with.
const releaseSlack = time.Hour

// heldBack says why the release that this node runs does not sign for a vault yet (spec/node 11): its charter wants fewer than t operators to have run
// one for a while before t may sign with it. So a release that is bad, and that all operators take on one day, does not reach a
// vault's threshold on that day.
func (n *Node) heldBack(now time.Time, v ceremony.View) string {
	if v.Vault.HoldRelease == 0 || v.Current == nil {
		return ""
	}
	runs, running := n.Pulse.Runs(now), 0
	var waits []time.Duration
	for _, p := range v.Parties {
		r, ok := runs[v.Names[p.ID]]
		if r.Now {
			running++
		}
		if left, ends := untried(r, v); ok && ends {
			waits = append(waits, left)
		}
	}
	t := v.Current.Record.Threshold
	if running < t {
		return ""
	}
	slices.Sort(waits)
	tried := max(1, t-1) // fewer than t, and no fewer: one operator's word alone would stand for all of theirs
	left := waits[min(tried, len(waits))-1]
	if left <= 0 {
		return ""
	}
	return fmt.Sprintf("%d of those who hold the vault run this node's release, %s, and its charter holds one back until %d have run it for %s, as this node heard: it signs from %s on; or let one of them run the release before",
		running, n.cfg.Version, tried, v.Vault.HoldRelease, statement.FormatTime(now.Add(left)))
}

// untried is how long an operator has still to run this node's release, until it counts as tried by it; ends says whether that comes: it runs it now, or has
// run it long enough before.
func untried(r pulse.Run, v ceremony.View) (left time.Duration, ends bool) {
	left = v.Vault.HoldRelease - r.Ran
	if !r.Began.After(v.Vault.Created.Add(releaseSlack)) {
		left = 0
	}
	return max(0, left), r.Now || left <= 0
}

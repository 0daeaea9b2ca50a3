package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
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
	since, operators := n.Pulse.Running()
	if since.IsZero() {
		since = now
	}
	running := 0
	for _, p := range v.Parties {
		if slices.Contains(operators, v.Names[p.ID]) {
			running++
		}
	}
	until := since.Add(v.Vault.HoldRelease)
	if running < v.Current.Record.Threshold || !now.Before(until) || since.Before(v.Vault.Created.Add(releaseSlack)) {
		return ""
	}
	return fmt.Sprintf("%d of those who hold the vault run this node's release, %s, since %s, and its charter holds one back until fewer have run it for %s: it signs from %s on; or let one of them run the release before",
		running, n.cfg.Version, statement.FormatTime(since), v.Vault.HoldRelease, statement.FormatTime(until))
}

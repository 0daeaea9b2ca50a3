//go:build nightly

package replicas

import (
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
)

const (
	splitsWithin = 25 * time.Minute
	splitQuiet   = 16 * time.Second // every connection is found dead by then, and a replica's row in its store is gone
	splitTier    = charter.TierHot  // with presignatures
)

// splits are all of them, the first place always on the first side.
func splits() (all []split) {
	for mask := 1; mask < 1<<len(placeNames)-1; mask += 2 {
		var one []string
		for i, p := range placeNames {
			if mask>>i&1 == 1 {
				one = append(one, p)
			}
		}
		all = append(all, split{one: strings.Join(one, " ")})
	}
	return all
}

// One side may still hear the other, which does not hear it. The town is another one: with 16 lives that were lost in a session the pair counts as burned
// (spec/sessions-host 4.7), and each split may cost acme one.
func TestSplitsOneWay(t *testing.T) {
	var all []split
	for _, one := range []string{"owner", "owner bolt", "bolt", "x y z"} {
		all = append(all, split{one: one, hears: true}, split{one: one, heard: true})
	}
	partAll(t, all)
}

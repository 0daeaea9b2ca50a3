//go:build !nightly

package replicas

import (
	"time"

	"github.com/ostraka/ostraka/custody/charter"
)

const (
	splitsWithin = 6 * time.Minute
	splitQuiet   = 8 * time.Second // a lease and what follows it are over by then
	splitTier    = charter.TierWarm
)

// splits are three that differ most: the owner's place alone, acme cut through with another operator on each side, and acme whole but alone.
func splits() []split { return []split{{one: "owner"}, {one: "owner bolt"}, {one: "x y z"}} }

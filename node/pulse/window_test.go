package pulse

import (
	"encoding/binary"
	"testing"

	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/statement"
)

// TestWindow: heartbeats of a node with more shares than one holds name each in its turn, each time as many as they can, so that what they leave out between their first
// and their last is not held.
func TestWindow(t *testing.T) {
	for _, n := range []int{0, 1, statement.MaxShares, statement.MaxShares + 1, 3*statement.MaxShares - 1, 3 * statement.MaxShares, 10_000} {
		all := make([]pulse.Share, n)
		for i := range all {
			binary.BigEndian.PutUint64(all[i].Key[:], uint64(i))
		}
		seen := map[[32]byte]bool{}
		var last []pulse.Share
		rounds := (n + statement.MaxShares - 1) / statement.MaxShares
		for range rounds {
			got := window(all, last)
			if len(got) != min(n, statement.MaxShares) {
				t.Fatalf("%d of %d", len(got), n)
			}
			h := pulse.Heartbeat{Shares: got}
			for _, s := range all {
				named := false
				for _, x := range got {
					named = named || x.Key == s.Key
				}
				if named != h.Covers(s.Key) && n <= 3*statement.MaxShares {
					t.Fatalf("of %d: named %t, covered %t", n, named, h.Covers(s.Key))
				}
			}
			for _, s := range got {
				seen[s.Key] = true
			}
			last = got
		}
		if len(seen) != n {
			t.Errorf("%d rounds named %d of %d", rounds, len(seen), n)
		}
		// One that is held no more does not stop the round.
		if n > statement.MaxShares {
			last = append([]pulse.Share(nil), last...)
			last[statement.MaxShares-1].Key[31] ^= 1
			if got := window(all, last); len(got) != statement.MaxShares {
				t.Error("the round ends")
			}
		}
	}
}

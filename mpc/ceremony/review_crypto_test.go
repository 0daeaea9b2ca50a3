package ceremony

import (
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// A dealer speaks under the identity key of our own record. Another's key in its seat would let the opener speak for it: what it
// deals wrong is blamed on the party that was never asked.
func TestDealersSpeakUnderTheirOwnKeys(t *testing.T) {
	com := newCommittee(5)
	keys := com.keygenOf(t, epoch.SuiteBIP340, 3, 2)
	for name, members := range map[string][]int{"who leaves": {0, 2, 3}, "who stays": {0, 1, 2}} {
		m := com.reshare(keys, 2, []int{0, 1, 2}, members)
		m.setup.Parties[1].Identity = com.parties[4].Identity
		self := com.parties[0].ID
		if _, err := Reshare(Seat{Session: engine.SessionID{1}, Setup: m.setup, Self: self, Rand: enginetest.Reader(1)}, m.parent, m.keys[self], m.lower, nil); err == nil {
			t.Errorf("a dealer %s may deal under a key that the record does not have", name)
		}
	}
}

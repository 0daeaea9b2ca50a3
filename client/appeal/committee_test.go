package appeal

import (
	"crypto/ed25519"
	"testing"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// Two keys that one committee holds may have their shares at other indices: each key has a history of its own. Other members or another threshold are another committee.
func TestSameCommittee(t *testing.T) {
	of := func(threshold int, seeds ...byte) *epoch.Record {
		r := &epoch.Record{Threshold: threshold}
		for i, b := range seeds {
			key := ed25519.NewKeyFromSeed(append(make([]byte, 31), b)).Public().(ed25519.PublicKey)
			r.Members = append(r.Members, epoch.Member{Party: session.Party{ID: session.IDOf(key), Index: share.Index(i + 1), Identity: key}})
		}
		return r
	}
	for name, c := range map[string]struct {
		b    *epoch.Record
		same bool
	}{
		"the same": {of(2, 1, 2, 3), true}, "at other indices": {of(2, 3, 1, 2), true}, "another threshold": {of(3, 1, 2, 3), false}, "another member": {of(2, 1, 2, 4), false},
		"one less": {of(2, 1, 2), false}, "one more": {of(2, 1, 2, 3, 4), false},
	} {
		if got := sameCommittee(of(2, 1, 2, 3), c.b); got != c.same {
			t.Errorf("%s: %v", name, got)
		}
	}
}

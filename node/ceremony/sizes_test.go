package ceremony

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/pair"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// What a member keeps of an epoch is one write, with the largest backup set that a charter allows and the most pairs: it fits. So does a set that came from another
// node, and it is no larger than what is taken.
func TestLargestEpochFits(t *testing.T) {
	base := secp256k1.Group{}.Generator()
	points := func(n int) (c share.Commitment) {
		for range n {
			c = append(c, base)
		}
		return c
	}
	for _, threshold := range []int{2, 3, 4, 6, 8, 12, 16} { // and as many guardians as that allows
		m := min(guard.MaxDeals/threshold, guard.MaxGuardians)
		p := &guard.Plan{Operators: threshold - 1, Quorum: m - 1}
		for i := range m {
			p.Guardians = append(p.Guardians, guard.Guardian{ID: [16]byte{byte(i + 1)}})
		}
		set := &guard.Set{}
		for i := range threshold {
			d := guard.Deal{Dealer: [16]byte{byte(i + 1)}, Masks: points(p.Operators), Values: points(p.Quorum)}
			for range m {
				d.Proofs = append(d.Proofs, make([]byte, pve.MaxSize))
			}
			set.Deals = append(set.Deals, d)
		}
		raw := set.Encode(p)
		if len(raw) > maxSet {
			t.Errorf("%d of %d: a backup set of %d bytes, at most %d are taken", threshold, m, len(raw), maxSet)
		}
		const sealed, record, leaf = 128, 16 << 10, 16 << 10 // what sealing adds; a record of 16 members, twice, is far below these
		var e journal.Entry
		add := func(name string, n int) {
			e.Put = append(e.Put, store.Entry{Key: epochKey([32]byte{1}, [32]byte{2}, name), Value: make([]byte, n)})
		}
		add("record", record+leaf)
		add("share", 32+sealed)
		add("mask", 32+sealed)
		add("guards", 256*m+256)
		add("backups", len(raw))
		for i := range mpc.MaxParties - 1 {
			add("pair-"+string(rune('a'+i)), pair.StateSize+sealed)
		}
		const tree = 64 * 200 // rows of the log's tree
		if err := e.Check(); err != nil {
			t.Errorf("%d of %d: %v", threshold, m, err)
		}
		total := tree
		for _, x := range e.Put {
			total += len(x.Key) + len(x.Value)
		}
		if total > store.MaxBytes {
			t.Errorf("%d of %d: %d bytes in one write, at most %d are allowed", threshold, m, total, store.MaxBytes)
		}
	}
}

package epoch

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/session"
)

// MaxStride bounds how far one epoch may raise the mark of used indices: a corrupt opener
// could otherwise use them all up, and no newcomer could ever be seated again.
const MaxStride = 64

// Mark is the highest index that this record or an ancestor gave to anybody.
//
// DEVIATION: the mark is a field more than protocols.md 1.4 has, for indices that are used once
// only (1.2). A party that
// is new in a child gets an index above it. So a record and its parent suffice to see that
// no index went to a second party, however many epochs lie before: a new member needs no
// more than its anchor for that, and a member need not keep what was in force before it came.
func (r *Record) Mark() share.Index {
	if r.Epoch == 0 {
		return r.Members[len(r.Members)-1].Index
	}
	return r.Used
}

// Child begins the record of a next epoch: same key, these members (by index). The caller
// adds T_final and the hashes of guardians and backups.
func (r *Record) Child(attempt uint64, threshold int, members []Member) *Record {
	c := &Record{
		KeyID: r.KeyID, Epoch: r.Epoch + 1, Attempt: attempt, Suite: r.Suite, Threshold: threshold,
		Members: slices.Clone(members), Public: r.Public, ChainCode: r.ChainCode, Prev: r.Hash(), Used: r.Mark(), Rescue: r.Rescue.inherited(),
	}
	for i, m := range members {
		c.Used = max(c.Used, m.Index)
		if m.Public != nil {
			c.Members[i].Public = secp256k1.Settled(m.Public)
		}
	}
	return c
}

// Seats gives these parties their indices in a child of the record, and orders them:
// members keep theirs, newcomers get the next ones above the mark, by party id. above is a
// higher mark that the caller knows of (Book.Mark), or 0.
func (r *Record) Seats(parties []session.Party, above share.Index) ([]session.Party, error) {
	seats := slices.Clone(parties)
	slices.SortFunc(seats, func(a, b session.Party) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	// What the caller knows of may come from somebody's attempt: it moves us within the stride.
	next := int(r.Mark())
	next = max(next, min(int(above), next+MaxStride-len(seats)))
	for i := range seats {
		if m, ok := r.Member(seats[i].ID); ok {
			seats[i].Index = m.Index
			continue
		}
		if next++; next > share.MaxIndex {
			return nil, errors.New("seat a new committee: all 65535 indices of this key are used: make a new key")
		}
		seats[i].Index = share.Index(next)
	}
	slices.SortFunc(seats, func(a, b session.Party) int { return int(a.Index) - int(b.Index) })
	if err := session.CheckRoster(seats, 2); err != nil {
		return nil, fmt.Errorf("seat a new committee: %w", err)
	}
	return seats, nil
}

// sameKey reports whether two records are of one key: a new epoch changes nothing of these.
func sameKey(x, y *Record) bool {
	return x.KeyID == y.KeyID && x.Suite == y.Suite && x.Public.Equal(y.Public) && x.ChainCode == y.ChainCode
}

// CheckChild says whether c, a valid record, may follow r: one epoch later, of the same key,
// with r's hash; members keep their index, newcomers have one that was never used.
func (r *Record) CheckChild(c *Record) error {
	eh := c.Hash()
	switch {
	case !sameKey(r, c):
		return fmt.Errorf("record %v is of another key than record %v", eh, r.Hash())
	case c.Epoch != r.Epoch+1 || c.Prev != r.Hash():
		return fmt.Errorf("record %v of epoch %d is no child of record %v of epoch %d", eh, c.Epoch, r.Hash(), r.Epoch)
	}
	if !c.Rescued() && !c.Rescue.equal(r.Rescue.inherited()) {
		return fmt.Errorf("record %v: an SOS before it, or none, left other locks than it has", eh)
	}
	// spec/epochs 1.1.5: a second SOS would else be a way out of the first one's lock-up.
	if c.Rescued() && r.Rescue != nil && c.Rescue.Until < r.Rescue.Until {
		return fmt.Errorf("record %v: its lock-up ends before the one that is running", eh)
	}
	used, err := r.checkSeats(c.Parties())
	if err != nil {
		return fmt.Errorf("record %v: %w", eh, err)
	}
	if c.Used != used {
		return fmt.Errorf("record %v: the mark of used indices is %d, not %d", eh, c.Used, used)
	}
	return nil
}

// CheckSeats says whether these parties may be the members of a child of r: who stays keeps its index, newcomers have one that
// was never used. It is asked before anything is dealt.
func (r *Record) CheckSeats(members []session.Party) error {
	_, err := r.checkSeats(members)
	return err
}

func (r *Record) checkSeats(members []session.Party) (used share.Index, err error) {
	used = r.Mark()
	for _, m := range members {
		old, stays := r.Member(m.ID)
		switch {
		case stays && old.Index != m.Index:
			return 0, fmt.Errorf("member %v has index %d, and %d in its parent", m.ID, m.Index, old.Index)
		case !stays && m.Index <= r.Mark():
			return 0, fmt.Errorf("index %d of new member %v was used before: the mark is %d", m.Index, m.ID, r.Mark())
		}
		used = max(used, m.Index)
	}
	if int(used) > int(r.Mark())+MaxStride {
		return 0, fmt.Errorf("the mark of used indices rises from %d to %d, by more than %d", r.Mark(), used, MaxStride)
	}
	return used, nil
}

// Lowers reports whether c asks for fewer shares than r, its parent: that takes the
// signatures of all of r's members, not of a quorum (protocols.md 1.2).
func (r *Record) Lowers(c *Record) bool { return c.Threshold < r.Threshold }

// quorum is how many of r's members must agree to c.
func (r *Record) quorum(c *Record) int {
	if r.Lowers(c) {
		return len(r.Members)
	}
	return r.Threshold
}

// stays reports whether a member's seat in the child is the one that it has in r, identity
// key included: then its PREP is a signature of r's member as well.
func (r *Record) stays(m Member) bool {
	old, ok := r.Member(m.ID)
	return ok && bytes.Equal(old.Identity, m.Identity)
}

// leaving are r's members who have no such seat in the child, in r's order.
func (r *Record) leaving(c *Record) (out []Member) {
	for _, old := range r.Members {
		if m, ok := c.Member(old.ID); !ok || !r.stays(m) {
			out = append(out, old)
		}
	}
	return out
}

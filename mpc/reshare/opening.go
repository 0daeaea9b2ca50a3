package reshare

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// opening is the body of KindOpening, of fixed length for a given dealer:
// points Bᵢ ‖ point Kᵢ ‖ scalar zᵢ ‖ salt 32 ‖ hashes hᵢⱼ (32 each, by receiver's index, the dealer
// left out). In a refresh Bᵢ begins with B_{i,1}, and Kᵢ and zᵢ are not there.
type opening struct {
	commit share.Commitment // t′ points; of a refresh, the first is the identity
	nonce  group.Point      // Kᵢ; nil in a refresh
	proof  group.Scalar     // zᵢ; nil in a refresh
	salt   [hashSize]byte
	hashes [][hashSize]byte // hᵢⱼ
}

// A layout is what the form of a dealer's opening depends on.
type layout struct {
	group  group.Group
	points int  // on the wire: t′, or in a refresh t′−1
	zero   bool // refresh
	hashes int  // receivers besides the dealer
}

func (p Params) layout(dealer engine.PartyID) layout {
	l := layout{group: p.Group, points: p.Threshold, zero: p.refreshes()}
	// One who is no receiver stands, if at all, after all of them.
	l.hashes = session.Place(p.receivers(), dealer, engine.Everyone)
	if l.zero {
		l.points--
	}
	return l
}

func (l layout) size() int {
	n := l.points*l.group.PointSize() + hashSize + l.hashes*hashSize
	if !l.zero {
		n += share.ProofSize(l.group)
	}
	return n
}

// sent are the points that travel and are hashed: the identity has no encoding.
func (o *opening) sent() share.Commitment {
	if o.commit[0].IsIdentity() {
		return o.commit[1:]
	}
	return o.commit
}

// nonces are Kᵢ as a list: empty in a refresh.
func (o *opening) nonces() []group.Point {
	if o.nonce == nil {
		return nil
	}
	return []group.Point{o.nonce}
}

func (o *opening) encode() (b []byte) {
	for _, p := range slices.Concat(o.sent(), o.nonces()) {
		b = append(b, p.Bytes()...)
	}
	if o.proof != nil {
		b = append(b, o.proof.Bytes()...)
	}
	b = append(b, o.salt[:]...)
	for _, h := range o.hashes {
		b = append(b, h[:]...)
	}
	return b
}

// decode reads an opening of exactly so many points. A longer vector would raise the
// threshold silently, a shorter one cut it (TOB-SILA-1, threshold raise 2024); in a refresh one more
// would be a constant, and move the key.
func (l layout) decode(b []byte) (*opening, error) {
	if len(b) != l.size() {
		return nil, fmt.Errorf("has %d bytes, not %d: exactly %d points are allowed", len(b), l.size(), l.points)
	}
	take := func(n int) []byte {
		v := b[:n]
		b = b[n:]
		return v
	}
	var raw [][]byte
	for range l.points {
		raw = append(raw, take(l.group.PointSize()))
	}
	o := &opening{}
	var err error
	if o.commit, err = share.DecodeCommitment(l.group, raw, l.points); err != nil {
		return nil, err
	}
	if l.zero {
		o.commit = share.WithZeroConstant(l.group, o.commit)
	} else {
		p, err := share.DecodeProof(l.group, take(share.ProofSize(l.group)))
		if err != nil {
			return nil, err
		}
		o.nonce, o.proof = p.K, p.Z
	}
	o.salt = [hashSize]byte(take(hashSize))
	for range l.hashes {
		o.hashes = append(o.hashes, [hashSize]byte(take(hashSize)))
	}
	return o, nil
}

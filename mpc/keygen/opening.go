package keygen

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
)

// opening is the body of KindOpening, fixed length for given t and n:
// t points Aᵢ ‖ point Kᵢ ‖ scalar zᵢ ‖ ccᵢ (32) ‖ ρᵢ (32) ‖ n−1 hashes hᵢⱼ (32 each, by
// receiver's index, the sender left out).
type opening struct {
	commit    share.Commitment
	nonce     group.Point  // Kᵢ
	proof     group.Scalar // zᵢ
	chainCode [32]byte     // ccᵢ
	salt      [32]byte     // ρᵢ
	hashes    [][32]byte   // hᵢⱼ
}

func openingSize(g group.Group, t, n int) int {
	return (t+1)*g.PointSize() + group.ScalarSize + (2+n-1)*hashSize
}

func (o *opening) encode() []byte {
	var b []byte
	for _, a := range o.commit {
		b = append(b, a.Bytes()...)
	}
	b = append(b, o.nonce.Bytes()...)
	b = append(b, o.proof.Bytes()...)
	b = append(b, o.chainCode[:]...)
	b = append(b, o.salt[:]...)
	for _, h := range o.hashes {
		b = append(b, h[:]...)
	}
	return b
}

// decodeOpening reads an opening of exactly t points. A longer vector would raise the
// threshold silently, a shorter one cut it (TOB-SILA-1, threshold raise 2024).
func decodeOpening(g group.Group, t, n int, b []byte) (*opening, error) {
	if want := openingSize(g, t, n); len(b) != want {
		return nil, fmt.Errorf("has %d bytes, not %d: exactly %d coefficients are allowed", len(b), want, t)
	}
	take := func(n int) []byte {
		v := b[:n]
		b = b[n:]
		return v
	}
	o := &opening{}
	for k := range t {
		a, err := g.DecodePoint(take(g.PointSize()))
		if err != nil {
			return nil, fmt.Errorf("coefficient %d: %w", k, err)
		}
		o.commit = append(o.commit, a)
	}
	var err error
	if o.nonce, err = g.DecodePoint(take(g.PointSize())); err != nil {
		return nil, fmt.Errorf("proof nonce: %w", err)
	}
	if o.proof, err = g.DecodeScalar(take(group.ScalarSize)); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	copy(o.chainCode[:], take(hashSize))
	copy(o.salt[:], take(hashSize))
	for range n - 1 {
		o.hashes = append(o.hashes, [32]byte(take(hashSize)))
	}
	return o, nil
}

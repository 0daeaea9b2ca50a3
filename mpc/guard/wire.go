package guard

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// opening is the body of KindOpening, of fixed length for a plan: k points Uᵢ ‖ r−1 points of Mᵢ, from M_{i,1} on ‖ salt 32.
type opening struct {
	values share.Commitment // Uᵢ
	tail   share.Commitment // Mᵢ without its constant
	salt   [hashSize]byte
}

func openingSize(g group.Group, p *Plan) int {
	return (p.Quorum+p.Operators-1)*g.PointSize() + hashSize
}

func (o *opening) encode() (b []byte) {
	for _, p := range slices.Concat(o.values, o.tail) {
		b = append(b, p.Bytes()...)
	}
	return append(b, o.salt[:]...)
}

// decodeOpening reads exactly k and r−1 points: one more would take more guardians or operators than the plan says, one less fewer.
func decodeOpening(g group.Group, p *Plan, b []byte) (*opening, error) {
	if want := openingSize(g, p); len(b) != want {
		return nil, fmt.Errorf("has %d bytes, not %d: exactly %d and %d points are allowed", len(b), want, p.Quorum, p.Operators-1)
	}
	o := &opening{tail: share.Commitment{}}
	for k := range p.Quorum + p.Operators - 1 {
		x, err := g.DecodePoint(b[:g.PointSize()])
		if err != nil {
			return nil, fmt.Errorf("point %d: %w", k, err)
		}
		b = b[g.PointSize():]
		if k < p.Quorum {
			o.values = append(o.values, x)
		} else {
			o.tail = append(o.tail, x)
		}
	}
	o.salt = [hashSize]byte(b)
	return o, nil
}

// deal is what a member opened, with the constant of its masks: M_{i,0} = λᵢ·Xᵢ − U_{i,0}, which is not sent, so that it cannot be wrong.
func (o *opening) deal(of Member, weight group.Scalar) Deal {
	constant := of.Public.MulVarTime(weight).Sub(o.values[0])
	return Deal{Dealer: of.ID, Values: o.values, Masks: append(share.Commitment{constant}, o.tail...)}
}

const (
	fieldHashes transcript.Tag = iota + 1
	fieldEncryptions
)

// dealSize bounds the body of KindDeal, in bytes.
func dealSize(hashes, guardians int) int {
	return 2*(6+4) + hashes*(6+hashSize) + guardians*(6+pve.MaxSize)
}

// encodeDeal is the body of KindDeal, a tlv tree: the hashes of masks by member's index, the dealer left out; the encryptions in the plan's order.
func encodeDeal(hashes [][hashSize]byte, proofs [][]byte) []byte {
	var e transcript.Encoder
	e.List(fieldHashes, len(hashes), func(i int, e *transcript.Encoder) { e.Bytes(1, hashes[i][:]) })
	e.List(fieldEncryptions, len(proofs), func(i int, e *transcript.Encoder) { e.Bytes(1, proofs[i]) })
	return e.Sum()
}

func decodeDeal(hashes, guardians int, b []byte) (hs [][hashSize]byte, proofs [][]byte, err error) {
	d := transcript.NewDecoder(b)
	d.List(fieldHashes, hashes, hashes, func(_ int, d *transcript.Decoder) {
		var h [hashSize]byte
		copy(h[:], d.Fixed(1, hashSize))
		hs = append(hs, h)
	})
	d.List(fieldEncryptions, guardians, guardians, func(_ int, d *transcript.Decoder) {
		proofs = append(proofs, d.Bytes(1, pve.MaxSize))
	})
	return hs, proofs, d.Done()
}

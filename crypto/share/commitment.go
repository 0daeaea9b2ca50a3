package share

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// A Commitment is Feldman's commitment to a polynomial: its coefficients times G, a₀ first.
type Commitment []group.Point

// DecodeCommitment decodes exactly t points, none of them the identity.
func DecodeCommitment(g group.Group, raw [][]byte, t int) (Commitment, error) {
	// Threshold raise: one coefficient more, and t shares no longer give the key
	// (TOB-SILA-1, TOB-BRON-12); one less, and fewer shares give it.
	if len(raw) != t || t < 1 {
		return nil, fmt.Errorf("commitment has %d points, not %d", len(raw), t)
	}
	c := make(Commitment, t)
	for k, b := range raw {
		p, err := g.DecodePoint(b)
		if err != nil {
			return nil, fmt.Errorf("commitment to coefficient %d: %w", k, err)
		}
		c[k] = p
	}
	return c, nil
}

// Encode encodes each point. No point may be the identity of secp256k1.
func (c Commitment) Encode() [][]byte {
	raw := make([][]byte, len(c))
	for k, p := range c {
		raw[k] = p.Bytes()
	}
	return raw
}

const tagPoint transcript.Tag = 1

// Put appends the commitment as one tlv list of points.
func (c Commitment) Put(e *transcript.Encoder, tag transcript.Tag) {
	e.List(tag, len(c), func(k int, e *transcript.Encoder) { e.Bytes(tagPoint, c[k].Bytes()) })
}

// Take reads what Put wrote: exactly t points, none of them the identity. After an error,
// which the decoder keeps, it returns nil.
func Take(d *transcript.Decoder, tag transcript.Tag, g group.Group, t int) Commitment {
	raw := make([][]byte, 0, t)
	d.List(tag, t, t, func(_ int, d *transcript.Decoder) { raw = append(raw, d.Fixed(tagPoint, g.PointSize())) })
	if d.Err() != nil {
		return nil
	}
	c, err := DecodeCommitment(g, raw, t)
	if err != nil {
		d.Fail(tag, err)
		return nil
	}
	return c
}

// WithZeroConstant puts the identity before the t−1 points of a refresh, whose constant
// term is 0 and not sent (protocols.md 1.3).
func WithZeroConstant(g group.Group, tail Commitment) Commitment {
	return append(Commitment{g.Identity()}, tail...)
}

// Eval is f(i)·G in variable time: the public share at index i. Index 0 and an empty
// commitment panic.
func (c Commitment) Eval(i Index) group.Point {
	if i == 0 {
		panic("share: commitment evaluated at index 0")
	}
	v := c[len(c)-1]
	for k := len(c) - 2; k >= 0; k-- {
		v = mulSmallVarTime(v, i).Add(c[k])
	}
	return v
}

// mulSmallVarTime doubles and adds: for 16 bits a tenth of a full multiplication's cost.
func mulSmallVarTime(p group.Point, i Index) group.Point {
	r := p.Group().Identity()
	for bit := 15; bit >= 0; bit-- {
		r = r.Add(r)
		if i>>bit&1 == 1 {
			r = r.Add(p)
		}
	}
	return r
}

var errNotCommitted = errors.New("share is not the committed polynomial's value")

// Check accepts the share that the dealer committed to: s·G = f(i)·G. It takes the same
// time for every share.
func (c Commitment) Check(i Index, s group.Scalar) error {
	if !s.Group().BaseMul(s).Equal(c.Eval(i)) {
		return errNotCommitted
	}
	return nil
}

// Add commits to the sum of two polynomials. Different lengths panic: DecodeCommitment has
// refused them.
func (c Commitment) Add(o Commitment) Commitment {
	if len(c) != len(o) {
		panic(fmt.Sprintf("share: sum of commitments with %d and %d points", len(c), len(o)))
	}
	sum := make(Commitment, len(c))
	for k := range c {
		sum[k] = c[k].Add(o[k])
	}
	return sum
}

// MulVarTime commits to k times the polynomial, for a public k.
func (c Commitment) MulVarTime(k group.Scalar) Commitment {
	out := make(Commitment, len(c))
	for n, p := range c {
		out[n] = p.MulVarTime(k)
	}
	return out
}

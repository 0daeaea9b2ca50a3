package ot

import (
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

var ristretto group.Mappable = ristretto255.Group{}

type key [keyLen]byte

// A chooser is one base-OT receiver: 128 instances of Masny–Rindal's endemic OT.
type chooser struct {
	id       PairID
	choice   [columns / 8]byte // c
	exponent [columns]group.Scalar
	phi      []byte // φ
}

// newChooser draws c and all exponents. Masny–Rindal Fig. 8 (receiver), spec/ot 2.1.
func newChooser(id PairID, rand io.Reader) (*chooser, error) {
	c := &chooser{id: id, phi: make([]byte, ChoiceSize)}
	// TOB-BRON-2: choice bits come fresh for every peer.
	if err := read(rand, c.choice[:], "choice bits"); err != nil {
		return nil, err
	}
	for i := range columns {
		if err := c.choose(i, rand); err != nil {
			c.wipe()
			return nil, fmt.Errorf("base OT %d: %w", i, err)
		}
	}
	return c, nil
}

// choose makes φ₀ and φ₁ of one instance. The slot of c moves by masks only.
func (c *chooser) choose(i int, rand io.Reader) error {
	b, err := ristretto.RandomScalar(rand)
	if err != nil {
		return err
	}
	c.exponent[i] = b
	var uniform [ristretto255.UniformSize]byte
	defer secret.Wipe(uniform[:])
	if err := read(rand, uniform[:], "φ"); err != nil {
		return err
	}
	v := bit(c.choice[:], i)
	// Masks live in the group, never as XOR of encodings (Devious Transfer).
	other := ristretto.FromUniform(uniform[:]).Bytes()
	mine := ristretto.BaseMul(b).Sub(maskPoint(c.id, i, v, other)).Bytes()
	phi0, phi1 := slot(c.phi, i, 0), slot(c.phi, i, 1)
	selectBytes(phi0, mine, other, v)
	selectBytes(phi1, other, mine, v)
	return nil
}

// keys is the receiver's end: key_c of every instance, from the sender's M.
func (c *chooser) keys(m []byte) (*[columns]key, error) {
	// Both M₀ and M₁ are decoded before anything depends on c: else a malformed M_v asks for
	// the bit c.
	if err := decodeAll("M", m); err != nil {
		return nil, err
	}
	out := new([columns]key)
	for i := range columns {
		v := bit(c.choice[:], i)
		var enc [ristretto255.PointSize]byte
		selectBytes(enc[:], slot(m, i, 0), slot(m, i, 1), v)
		chosen, err := ristretto.DecodePoint(enc[:])
		if err != nil {
			panic("ot: a point that was decoded does not decode again")
		}
		out[i] = c.id.baseKey(i, v, c.phi, enc[:], chosen.Mul(c.exponent[i]))
	}
	return out, nil
}

func (c *chooser) wipe() {
	secret.Wipe(c.choice[:])
	for i, b := range c.exponent {
		if b != nil {
			b.Wipe()
		}
		c.exponent[i] = nil
	}
}

// answerBase is the base-OT sender: M, and both keys of every instance. Masny–Rindal Fig. 8
// (sender), spec/ot 2.2.
func answerBase(id PairID, rand io.Reader, phi, m []byte) (*[columns][2]key, error) {
	if err := decodeAll("φ", phi); err != nil {
		return nil, err
	}
	keys := new([columns][2]key)
	for i := range columns {
		for v := range byte(2) {
			p, err := ristretto.DecodePoint(slot(phi, i, v))
			if err != nil {
				panic("ot: a point that was decoded does not decode again")
			}
			p = p.Add(maskPoint(id, i, v, slot(phi, i, 1-v)))
			// TOB-BRON-4: with P = 0 everybody knows the key.
			if p.IsIdentity() {
				return nil, malformed("base OT %d: P of slot %d is the identity", i, v)
			}
			a, err := ristretto.RandomScalar(rand)
			if err != nil {
				return nil, fmt.Errorf("base OT %d: %w", i, err)
			}
			copy(slot(m, i, v), ristretto.BaseMul(a).Bytes())
			keys[i][v] = id.baseKey(i, v, phi, slot(m, i, v), p.Mul(a))
			a.Wipe()
		}
	}
	return keys, nil
}

// decodeAll refuses points that are not canonical, and the identity, in all 256 slots.
func decodeAll(what string, b []byte) error {
	for i := range columns {
		for v := range byte(2) {
			if _, err := ristretto.DecodePoint(slot(b, i, v)); err != nil {
				return malformed("%s of base OT %d, slot %d: %w", what, i, v, err)
			}
		}
	}
	return nil
}

// slot is the encoded point of instance i, slot v.
func slot(b []byte, i int, v byte) []byte {
	const n = ristretto255.PointSize
	off := (2*i + int(v)) * n
	return b[off : off+n : off+n]
}

// maskPoint is H(psid, i, v, φ_{1−v}), a point of unknown logarithm.
func maskPoint(id PairID, i int, v byte, other []byte) group.Point {
	h := transcript.New(transcript.BaseOTPoint).Bytes(id[:]).Uint(uint64(i)).Uint(uint64(v)).Bytes(other).Sum512()
	return ristretto.FromUniform(h[:])
}

// baseKey is key_v of instance i. TOB-BRON-3: psid, instance, slot and the whole transcript
// of the instance stand in every key.
func (id PairID) baseKey(i int, v byte, phi, m []byte, shared group.Point) (k key) {
	b := shared.Bytes()
	h := transcript.NewSecret(transcript.BaseOTKey).Bytes(id[:]).Uint(uint64(i)).Uint(uint64(v)).
		Bytes(slot(phi, i, 0)).Bytes(slot(phi, i, 1)).Bytes(m).Bytes(b).Sum256()
	secret.Wipe(b)
	copy(k[:], h[:])
	secret.Wipe(h[:])
	return k
}

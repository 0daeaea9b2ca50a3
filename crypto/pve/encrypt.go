package pve

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Encrypt makes a proof that c.Key's owner can decrypt s, with s·G = c.Point. It reads 32 bytes of r.
func Encrypt(c Context, s group.Scalar, r io.Reader) ([]byte, error) {
	f, err := c.frame()
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	switch {
	case s == nil:
		return nil, fmt.Errorf("encrypt: %w: value is missing", ErrContext)
	case s.Group() != c.Group:
		return nil, fmt.Errorf("encrypt: %w: value is of %s, not of %s", ErrContext, s.Group().Name(), c.Group.Name())
	case !c.Group.BaseMul(s).Equal(c.Point):
		return nil, fmt.Errorf("encrypt: %w: point is not that of the value", ErrContext)
	}
	if err := f.sealing(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	seeds, err := f.seeds(s, r)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	defer secret.Wipe(seeds)
	d := &deal{seeds: seeds}
	defer d.wipe()
	for j := range Rows {
		if err := f.deal(d, j, s); err != nil {
			return nil, fmt.Errorf("encrypt: row %d: %w", j, err)
		}
	}
	return d.encode(f.hash(&d.rows)), nil
}

// seeds are r_{j,b}, 2·128 of 32 bytes, from 32 bytes of r, the secret and the context: a source that is stuck does not repeat them in
// another context, where the other side may be opened, and one that is known does not reveal them. spec/pve 3.2
func (f *frame) seeds(s group.Scalar, r io.Reader) ([]byte, error) {
	var key [2 * 32]byte
	defer secret.Wipe(key[:])
	if _, err := io.ReadFull(r, key[:32]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	sb := s.Bytes()
	copy(key[32:], sb)
	secret.Wipe(sb)
	info := transcript.New(transcript.PVERowSeeds).Bytes(f.tree).Tree()
	mac := hmac.New(sha512.New, key[:])
	mac.Write(info)
	prk := mac.Sum(nil)
	defer secret.Wipe(prk)
	return hkdf.Expand(sha512.New, prk, string(info), 2*Rows*seedSize)
}

// A deal is what a dealer holds until the digest picks sides.
type deal struct {
	seeds []byte // r_{0,0} ‖ r_{0,1} ‖ r_{1,0} ‖ …
	ones  [Rows][group.ScalarSize]byte
	rows  [Rows]row
}

func (d *deal) seed(j, side int) []byte {
	at := (2*j + side) * seedSize
	return d.seeds[at : at+seedSize : at+seedSize]
}

func (d *deal) wipe() {
	for j := range d.ones {
		secret.Wipe(d.ones[j][:])
	}
}

var errZero = errors.New("a half is zero: the source of randomness is broken")

// deal fills row j: s = x_{j,0} + x_{j,1}, both sealed.
func (f *frame) deal(d *deal, j int, s group.Scalar) error {
	x0 := f.share(j, d.seed(j, 0))
	defer x0.Wipe()
	if x0.IsZero() { // the point would have no encoding
		return errZero
	}
	x1 := s.Sub(x0)
	defer x1.Wipe()
	d.rows[j].point = f.Group.BaseMul(x0).Bytes()
	b := x1.Bytes()
	copy(d.ones[j][:], b)
	secret.Wipe(b)
	for side, x := range []group.Scalar{x0, x1} {
		c, err := f.seal(j, side, d.seed(j, side), x, false)
		if err != nil {
			return err
		}
		d.rows[j].sealed[side] = c
	}
	return nil
}

// encode is the proof: h, and per row the kept ciphertext, the opened seed, and x_{j,1} where side 1 is opened. spec/pve 3.6
func (d *deal) encode(h [digestSize]byte) []byte {
	out := make([]byte, 0, MaxSize)
	out = append(out, h[:]...)
	for j := range Rows {
		open := opened(h[:], j)
		out = append(out, d.rows[j].sealed[1-open]...)
		out = append(out, d.seed(j, open)...)
		if open == 1 {
			out = append(out, d.ones[j][:]...)
		}
	}
	return out
}

package pve

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/ostraka/ostraka/crypto/group"
)

var (
	// ErrEncoding marks a proof whose bytes no dealer makes.
	ErrEncoding = errors.New("proof is malformed")
	// ErrCheck marks a proof that does not hold for the context.
	ErrCheck = errors.New("proof does not hold")
)

// A shown row is one row of a proof, as on the wire. The fields alias it.
type shown struct {
	open int    // the side that is opened
	kept []byte // ciphertext of the other side
	seed []byte // r of the opened side
	one  []byte // x_{j,1}, where side 1 is opened
}

// parse splits a proof. Its digest says how long it must be, to the byte.
func parse(proof []byte) (h []byte, rows *[Rows]shown, err error) {
	if len(proof) < MinSize || len(proof) > MaxSize {
		return nil, nil, fmt.Errorf("%w: it has %d bytes, not %d to %d", ErrEncoding, len(proof), MinSize, MaxSize)
	}
	h = proof[:digestSize]
	ones := 0
	for _, b := range h[:challengeSize] {
		ones += bits.OnesCount8(b)
	}
	if want := MinSize + ones*group.ScalarSize; len(proof) != want {
		return nil, nil, fmt.Errorf("%w: it has %d bytes, and its digest opens side 1 of %d rows: that takes %d", ErrEncoding, len(proof), ones, want)
	}
	rest := proof[digestSize:]
	take := func(n int) (b []byte) {
		b, rest = rest[:n:n], rest[n:]
		return b
	}
	rows = new([Rows]shown)
	for j := range rows {
		r := shown{open: opened(h, j), kept: take(sealedSize), seed: take(seedSize)}
		if r.open == 1 {
			r.one = take(group.ScalarSize)
		}
		rows[j] = r
	}
	return h, rows, nil
}

// Verify accepts a proof that Encrypt made for this context. It needs no secret and runs in variable time. An error wraps ErrEncoding or
// ErrCheck, both the dealer's fault, or ErrContext, ours.
func Verify(c Context, proof []byte) error {
	f, err := c.frame()
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := f.verify(proof); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

func (f *frame) verify(proof []byte) error {
	h, all, err := parse(proof)
	if err != nil {
		return err
	}
	if err := f.sealing(); err != nil {
		return err
	}
	var rows [Rows]row
	for j := range all {
		if rows[j], err = f.rebuild(j, &all[j]); err != nil {
			return fmt.Errorf("row %d: %w", j, err)
		}
	}
	if f.hash(&rows) != [digestSize]byte(h) {
		return fmt.Errorf("%w: the digest over all rows differs: a row was changed or moved, or the proof is about something else", ErrCheck)
	}
	return nil
}

// rebuild is what the digest covers of row j, from what is shown of it. spec/pve 4.2
func (f *frame) rebuild(j int, s *shown) (row, error) {
	// The digest covers this key as well; no honest dealer makes such a one, and it would spoil the row.
	if err := checkU((*[KeySize]byte)(s.kept)); err != nil {
		return row{}, fmt.Errorf("%w: kept ciphertext's ephemeral key %w", ErrEncoding, err)
	}
	x, point, err := f.opening(j, s)
	if err != nil {
		return row{}, err
	}
	if point.IsIdentity() {
		return row{}, fmt.Errorf("%w: the point of side 0 is the identity", ErrCheck)
	}
	sealed, err := f.seal(j, s.open, s.seed, x, true)
	if err != nil {
		return row{}, fmt.Errorf("%w: opened side %d: %w", ErrCheck, s.open, err)
	}
	r := row{point: point.Bytes()}
	r.sealed[s.open], r.sealed[1-s.open] = sealed, s.kept
	return r, nil
}

// opening is the opened half x_{j,b} and X_{j,0}: x·G of side 0, P − x·G of side 1.
func (f *frame) opening(j int, s *shown) (x group.Scalar, point group.Point, err error) {
	if s.open == 0 {
		x = f.share(j, s.seed)
		return x, f.Group.BaseMul(x), nil
	}
	if x, err = f.Group.DecodeScalar(s.one); err != nil {
		return nil, nil, fmt.Errorf("%w: opened half of side 1 is not a canonical scalar", ErrEncoding)
	}
	return x, f.Point.Sub(f.Group.BaseMul(x)), nil
}

package pve

import (
	"crypto/ecdh"
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
	h, all, err := parse(proof)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	var rows [Rows]row
	for j := range all {
		if rows[j], err = f.rebuild(j, &all[j]); err != nil {
			return fmt.Errorf("verify: row %d: %w", j, err)
		}
	}
	if f.hash(&rows) != [digestSize]byte(h) {
		return fmt.Errorf("verify: %w: the digest over all rows differs, so a row was changed or moved, or it is about something else", ErrCheck)
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
	sealed, err := f.seal(j, s.open, s.seed, x)
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

// Decrypt is s with s·G = c.Point, from any one good row, and the rows that are spoiled: that do not give s. It tries every row, and trusts
// none for having opened. It does not verify: what a damaged copy still holds is restored. So a spoiled row is evidence against the dealer
// only where Verify accepts the proof.
func Decrypt(c Context, proof []byte, k *PrivateKey) (group.Scalar, []int, error) {
	f, err := c.frame()
	if err != nil {
		return nil, nil, fmt.Errorf("decrypt: %w", err)
	}
	if k.public != c.Key {
		return nil, nil, fmt.Errorf("decrypt: %w: it is encrypted to key %v, not to ours, %v", ErrContext, c.Key, k.public)
	}
	private, err := k.ecdh()
	if err != nil {
		return nil, nil, fmt.Errorf("decrypt: %w", err)
	}
	_, rows, err := parse(proof)
	if err != nil {
		return nil, nil, fmt.Errorf("decrypt: %w", err)
	}
	var found group.Scalar
	var spoiled []int
	for j := range rows {
		s, err := f.restore(j, &rows[j], private)
		switch {
		case err != nil:
			spoiled = append(spoiled, j)
		case found == nil && f.Group.BaseMul(s).Equal(f.Point):
			found = s
		case found == nil || !found.Equal(s):
			spoiled = append(spoiled, j)
			s.Wipe()
		default:
			s.Wipe()
		}
	}
	if found == nil {
		return nil, spoiled, fmt.Errorf("decrypt: %w: none of %d rows gives the value of the point", ErrCheck, Rows)
	}
	return found, spoiled, nil
}

// restore is what row j says s is.
func (f *frame) restore(j int, s *shown, k *ecdh.PrivateKey) (group.Scalar, error) {
	kept, err := f.unseal(j, 1-s.open, s.kept, k)
	if err != nil {
		return nil, err
	}
	defer kept.Wipe()
	var open group.Scalar
	if s.open == 0 {
		open = f.share(j, s.seed)
	} else if open, err = f.Group.DecodeScalar(s.one); err != nil {
		return nil, err
	}
	return kept.Add(open), nil
}

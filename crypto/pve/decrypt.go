package pve

import (
	"crypto/ecdh"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
)

// Decrypt is s with s·G = c.Point, from any one good row, and the rows that are spoiled: that do not give s. It tries every row, and trusts
// none for having opened. It does not verify: what a damaged copy still holds is restored. So a spoiled row is evidence against the dealer
// only where Verify accepts the proof. spec/pve 5
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

// restore is what row j says s is. spec/pve 5.2
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

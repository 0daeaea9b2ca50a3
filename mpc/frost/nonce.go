package frost

import (
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

// nonces are dᵢ and eᵢ. They stand in memory alone, in one place, and answer once.
type nonces struct{ d, e group.Scalar }

// drawNonces is RFC 9591 section 5.1. There is no form with one nonce: without the binding factor
// parallel sessions forge (Drijvers et al., ePrint 2018/417).
func (s *suite) drawNonces(r io.Reader, own group.Scalar) (n *nonces, c commitment, err error) {
	n = &nonces{}
	if n.d, err = s.nonce(r, own); err != nil {
		return nil, c, err
	}
	if n.e, err = s.nonce(r, own); err != nil {
		n.wipe()
		return nil, c, err
	}
	return n, commitment{d: s.group.BaseMul(n.d), e: s.group.BaseMul(n.e)}, nil
}

// nonce is RFC 9591 section 4.1: H3(32 random bytes ‖ sᵢ). A source that repeats itself does not
// repeat a nonce for two shares, and one that others know does not reveal it.
func (s *suite) nonce(r io.Reader, own group.Scalar) (group.Scalar, error) {
	var random [32]byte
	defer secret.Wipe(random[:])
	if _, err := io.ReadFull(r, random[:]); err != nil {
		return nil, fmt.Errorf("read randomness for a nonce: %w", err)
	}
	enc := own.Bytes()
	defer secret.Wipe(enc)
	k := s.toScalar("nonce", random[:], enc)
	if k.IsZero() {
		return nil, errors.New("nonce is zero: the source of randomness is broken")
	}
	return k, nil
}

var errNonceTaken = errors.New("the nonces of this session were taken before")

// take gives the nonces out and forgets them, before anything is computed with them: a second answer with the
// same nonces reveals the share. The caller wipes what it gets.
func (n *nonces) take() (nonces, error) {
	if n == nil || n.d == nil || n.e == nil {
		return nonces{}, errNonceTaken
	}
	out := *n
	n.d, n.e = nil, nil
	return out, nil
}

func (n *nonces) wipe() {
	if n == nil {
		return
	}
	for _, k := range []group.Scalar{n.d, n.e} {
		if k != nil {
			k.Wipe()
		}
	}
	n.d, n.e = nil, nil
}

// Format redacts under every verb.
func (nonces) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// respond is RFC 9591 section 5.2: zᵢ = ±(dᵢ + ρᵢ·eᵢ) ± c·λᵢ·sᵢ, for the signer at position i. It takes
// the nonces first.
func (t *task) respond(n *nonces, b *round, i int, own group.Scalar) (group.Scalar, error) {
	k, err := n.take()
	if err != nil {
		return nil, err
	}
	defer k.wipe()
	bound := b.rho[i].Mul(k.e)
	nonce := k.d.Add(bound)
	defer bound.Wipe()
	if b.odd { // y(R) is odd: −R is meant, and its discrete logarithm is the negative sum
		positive := nonce
		nonce = positive.Neg()
		positive.Wipe()
	}
	defer nonce.Wipe()
	weighted := t.weight(b, i).Mul(own) // with the public c·λ it is as good as the share
	defer weighted.Wipe()
	return nonce.Add(weighted), nil
}

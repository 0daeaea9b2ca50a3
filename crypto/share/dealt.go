package share

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// A Dealt is what a dealer sends to one receiver: the share, and the blind under which the
// dealer committed to it in public. An AEAD does not commit to its key, so that the message as
// encrypted proves nothing to others; share and blind that fit the public hash do. It prints as "[secret]".
type Dealt struct {
	Value group.Scalar // f(x)
	Blind [blindSize]byte
}

const blindSize = 32

// DealtSize is the length of an encoded share and blind, in bytes.
const DealtSize = group.ScalarSize + blindSize

// Deal evaluates f at a receiver's index and draws 32 bytes for the blind.
func Deal(f Polynomial, at Index, r io.Reader) (Dealt, error) {
	var d Dealt
	if _, err := io.ReadFull(r, d.Blind[:]); err != nil {
		return Dealt{}, fmt.Errorf("deal share: read randomness for its blind: %w", err)
	}
	d.Value = f.Eval(at)
	return d, nil
}

// Bytes is share ‖ blind.
func (d Dealt) Bytes() []byte { return append(d.Value.Bytes(), d.Blind[:]...) }

// DecodeDealt reads exactly DealtSize bytes; a share ≥ q is refused.
func DecodeDealt(g group.Group, b []byte) (Dealt, error) {
	if len(b) != DealtSize {
		return Dealt{}, fmt.Errorf("has %d bytes, not %d", len(b), DealtSize)
	}
	s, err := g.DecodeScalar(b[:group.ScalarSize])
	if err != nil {
		// The decoder's words could carry the value: name the field only.
		return Dealt{}, errors.New("is not a canonical scalar")
	}
	return Dealt{Value: s, Blind: [blindSize]byte(b[group.ScalarSize:])}, nil
}

// Hash is the dealer's public commitment to the share, h = H(label; session, dealer, receiver,
// share, blind). The label must be the protocol's own.
func (d Dealt) Hash(label transcript.Label, session, dealer, receiver []byte) [sha256.Size]byte {
	value := d.Value.Bytes()
	defer secret.Wipe(value)
	return transcript.NewSecret(label).Bytes(session).Bytes(dealer).Bytes(receiver).
		Bytes(value).Bytes(d.Blind[:]).Sum256()
}

// Wipe overwrites the share and the blind. What was never dealt is left alone.
func (d *Dealt) Wipe() {
	if d.Value != nil {
		d.Value.Wipe()
	}
	secret.Wipe(d.Blind[:])
}

// Format redacts under every verb.
func (Dealt) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// String redacts.
func (Dealt) String() string { return secret.Redacted }

// MarshalText redacts in JSON, YAML and structured logs.
func (Dealt) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }

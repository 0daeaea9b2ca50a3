package pve

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Suite names the constants and algorithms. Another constant is another suite; "ostraka-pve-2/" is reserved for one that withstands
// quantum computers.
const Suite = "ostraka-pve-1/x25519/hkdf-sha256/chacha20poly1305/rows128"

// A Kind is the use of a proof. One use's proof is never taken for another's.
type Kind uint8

const (
	// GuardianValue is a dealer's u(x_g), to guardian g, in an epoch's prepare. Context.Session is that session's id.
	GuardianValue Kind = iota + 1
	// Contribution is a guardian's value to a new member, in a guarded reshare. Context.Session is H(Activation), PartialEpoch the old record's.
	Contribution
)

// String is the kind's name.
func (k Kind) String() string {
	switch k {
	case GuardianValue:
		return "guardian's value"
	case Contribution:
		return "guardian's contribution"
	}
	return fmt.Sprintf("unknown kind %d", uint8(k))
}

// A Context is all that a proof is about. Each party fills it from its own records; a proof holds under exactly one.
type Context struct {
	Group        group.Group // where s and P live: secp256k1 or edwards25519
	KeyID        [32]byte    // the key that s is a part of
	PartialEpoch [32]byte    // peh: hash of the epoch record without what contains this proof
	Session      [32]byte    // sid, or H(Activation)
	Kind         Kind
	Dealer       [16]byte    // who encrypts
	Recipient    [16]byte    // who can decrypt
	At           share.Index // the recipient's x: s is the dealer's polynomial there
	K            int         // how many such values are needed, 1 to 65535
	Point        group.Point // P = s·G
	Key          Key         // ek, the recipient's
}

// ErrContext marks a context that cannot be: our own records or the caller are wrong, not the proof.
var ErrContext = errors.New("what the proof is about cannot be")

func (c Context) check() error {
	switch {
	case c.Group == nil:
		return errors.New("group is missing")
	case c.Group != group.Group(secp256k1.Group{}) && c.Group != group.Group(edwards25519.Group{}):
		return fmt.Errorf("group is %s: no key lives there", c.Group.Name())
	case c.Point == nil:
		return errors.New("point is missing")
	case c.Point.Group() != c.Group:
		return fmt.Errorf("point is of %s, not of %s", c.Point.Group().Name(), c.Group.Name())
	case c.Point.IsIdentity():
		return errors.New("point is the identity: the value would be 0")
	case c.Kind != GuardianValue && c.Kind != Contribution:
		return fmt.Errorf("kind: %v", c.Kind)
	case c.At == 0:
		return errors.New("recipient's index is 0, where the secret is")
	case c.K < 1 || c.K > share.MaxIndex:
		return fmt.Errorf("k is %d, not 1 to %d", c.K, share.MaxIndex)
	}
	return c.Key.check()
}

// A frame is a context ready for use.
type frame struct {
	Context
	tree   []byte // ctx
	digest [sha256.Size]byte
	to     *multiples // of ek; nil before sealing
}

// frame checks the context and encodes it. spec/pve 3.1
func (c Context) frame() (*frame, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContext, err)
	}
	c.Point = secp256k1.Settled(c.Point)
	tree := transcript.New(transcript.PVEContext).
		Bytes([]byte(Suite)).Bytes([]byte(c.Group.Name())).
		Bytes(c.KeyID[:]).Bytes(c.PartialEpoch[:]).Bytes(c.Session[:]).Uint(uint64(c.Kind)).
		Bytes(c.Dealer[:]).Bytes(c.Recipient[:]).Uint(uint64(c.At)).Uint(uint64(c.K)).
		Points(c.Point).Bytes(c.Key[:]).Tree()
	return &frame{Context: c, tree: tree, digest: sha256.Sum256(tree)}, nil
}

// sealing readies the frame for seal.
func (f *frame) sealing() (err error) {
	if f.to, err = newMultiples(f.Key); err != nil {
		return fmt.Errorf("%w: key %v: %w", ErrContext, f.Key, err)
	}
	return nil
}

package frost

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
)

// Kinds of messages. spec/frost 4.
const (
	KindCommit engine.Kind = 0x50 // round 1, broadcast: D ‖ E
	KindShare  engine.Kind = 0x51 // round 2, broadcast: z
)

const (
	// ShareSize is the length of a share of a signature in bytes.
	ShareSize = group.ScalarSize
	// MaxBody is the largest body of this protocol: two points of secp256k1.
	MaxBody = 2 * secp256k1.PointSize
	// Kinds is the largest number of messages that one party sends another in one round.
	Kinds = 1
	// MaxMessage is the longest message that suite ed25519 signs, in bytes. Suite bip340-secp256k1 signs
	// exactly 32.
	MaxMessage = 64 << 10
)

// commitSize is 66 for secp256k1, 64 for edwards25519.
func commitSize(g group.Group) int { return 2 * g.PointSize() }

// A commitment is Dᵢ and Eᵢ, the two nonces of one signer times G.
type commitment struct{ d, e group.Point }

func (c commitment) encode() []byte { return append(c.d.Bytes(), c.e.Bytes()...) }

// decodeCommitment takes two points ≠ 0 of prime order (RFC 9591 section 3.1, DeserializeElement): a
// point of small order would take the nonce out of a share and leave bits of it.
func decodeCommitment(g group.Group, b []byte) (c commitment, err error) {
	if len(b) != commitSize(g) {
		return c, fmt.Errorf("commitment has %d bytes, not %d", len(b), commitSize(g))
	}
	if c.d, err = g.DecodePoint(b[:g.PointSize()]); err != nil {
		return commitment{}, fmt.Errorf("D: %w", err)
	}
	if c.e, err = g.DecodePoint(b[g.PointSize():]); err != nil {
		return commitment{}, fmt.Errorf("E: %w", err)
	}
	return c, nil
}

// decodeShare takes z < q.
func decodeShare(g group.Group, b []byte) (group.Scalar, error) {
	if len(b) != ShareSize {
		return nil, fmt.Errorf("share has %d bytes, not %d", len(b), ShareSize)
	}
	z, err := g.DecodeScalar(b)
	if err != nil {
		return nil, fmt.Errorf("z: %w", err)
	}
	return z, nil
}

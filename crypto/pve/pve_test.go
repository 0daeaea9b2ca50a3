package pve

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

var groups = []group.Group{secp256k1.Group{}, edwards25519.Group{}}

// stream is a source that a name fixes.
func stream(name string) io.Reader {
	var seed [32]byte
	copy(seed[:], name)
	return rand.NewChaCha8(seed)
}

func newKey(tb testing.TB, name string) *PrivateKey {
	tb.Helper()
	k, err := NewPrivateKey(stream(name))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// sample is a context, its value and the recipient's key.
func sample(tb testing.TB, g group.Group) (Context, group.Scalar, *PrivateKey) {
	tb.Helper()
	s, err := g.RandomScalar(stream("value"))
	if err != nil {
		tb.Fatal(err)
	}
	k := newKey(tb, "recipient")
	return Context{
		Group: g, KeyID: [32]byte{1}, PartialEpoch: [32]byte{2}, Session: [32]byte{3}, Kind: GuardianValue,
		Dealer: [16]byte{4}, Recipient: [16]byte{5}, At: 7, K: 3, Point: g.BaseMul(s), Key: k.Public(),
	}, s, k
}

func encrypt(tb testing.TB, c Context, s group.Scalar, name string) []byte {
	tb.Helper()
	proof, err := Encrypt(c, s, stream(name))
	if err != nil {
		tb.Fatal(err)
	}
	return proof
}

// What is encrypted verifies, and gives the value back from all rows.
func TestRoundTrip(t *testing.T) {
	for _, g := range groups {
		t.Run(g.Name(), func(t *testing.T) {
			c, s, k := sample(t, g)
			for _, kind := range []Kind{GuardianValue, Contribution} {
				c.Kind = kind
				proof := encrypt(t, c, s, "coins")
				if err := Verify(c, proof); err != nil {
					t.Fatal(err)
				}
				got, spoiled, err := Decrypt(c, proof, k)
				if err != nil || len(spoiled) != 0 || !got.Equal(s) {
					t.Fatalf("decrypted to the value: %v, spoiled rows %v, error %v", err == nil && got.Equal(s), spoiled, err)
				}
				if _, _, err := Decrypt(c, proof, newKey(t, "another")); !errors.Is(err, ErrContext) {
					t.Errorf("another's key: %v", err)
				}
			}
		})
	}
}

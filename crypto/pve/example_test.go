package pve_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/pve"
)

// A dealer encrypts a value to a guardian; everybody checks it; the guardian restores it.
func Example() {
	entropy := rand.NewChaCha8([32]byte{1}) // a real dealer's comes from the system
	guardian, err := pve.NewPrivateKey(entropy)
	if err != nil {
		fmt.Println(err)
		return
	}
	g := secp256k1.Group{}
	value := g.Scalar(42)
	c := pve.Context{
		Group: g, KeyID: [32]byte{1}, PartialEpoch: [32]byte{2}, Session: [32]byte{3}, Kind: pve.GuardianValue,
		Dealer: [16]byte{4}, Recipient: [16]byte{5}, At: 7, K: 3, Point: g.BaseMul(value), Key: guardian.Public(),
	}
	proof, err := pve.Encrypt(c, value, entropy)
	fmt.Println("encrypted:", err)
	fmt.Println("verified:", pve.Verify(c, proof))
	restored, spoiled, err := pve.Decrypt(c, proof, guardian)
	fmt.Println("restored:", err == nil && restored.Equal(value), spoiled)
	c.Recipient[0]++
	fmt.Println("for another:", pve.Verify(c, proof) != nil)
	// Output:
	// encrypted: <nil>
	// verified: <nil>
	// restored: true []
	// for another: true
}

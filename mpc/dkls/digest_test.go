package dkls

import (
	"encoding/hex"
	"testing"

	ethereum "github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// A digest is 32 bytes, not a scalar: q and above are reduced as every verifier does (SEC 1
// section 4.1.4), 0 is signed like any other. Ethereum's verifier is a third opinion.
func TestExtremeDigests(t *testing.T) {
	d := newDeal(t, 2, 2)
	for _, text := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", // q−1
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", // q
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364142",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		var digest [32]byte
		if _, err := hex.Decode(digest[:], []byte(text)); err != nil {
			t.Fatal(err)
		}
		all := d.params([]int{0, 1}, digest, secp256k1.NewScalar(7))
		results, err := enginetest.Run(enginetest.Options{}, honest(t, all)...).Results()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		key := all[0].Child.(*secp256k1.Point)
		if !ethereum.VerifySignature(key.Uncompressed(), digest[:], append(results[0].R[:], results[0].S[:]...)) {
			t.Errorf("%s: Ethereum refuses the signature", text)
		}
	}
}

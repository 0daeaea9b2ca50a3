package ot_test

import (
	"crypto/rand"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/ot"
)

// A holds 3 and 5, B gets a random b; afterwards they hold shares of 3·b and 5·b.
func Example() {
	// Once per pair and epoch. Real ids are digests of session, parties and roles.
	id := ot.PairID{1}
	chooser, phi, err := ot.NewChooser(id, rand.Reader) // A
	if err != nil {
		panic(err)
	}
	leaves, answer, err := ot.Answer(id, rand.Reader, phi) // B
	if err != nil {
		panic(err)
	}
	punctured, err := chooser.Finish(answer) // A
	if err != nil {
		panic(err)
	}

	// Once per signature, under an id that was never used before.
	id, sid := ot.PairID{2}, [32]byte{3}
	receiver, extension, err := ot.Extend(id, leaves, rand.Reader) // B
	if err != nil {
		panic(err)
	}
	sender, err := ot.Check(id, punctured, extension) // A; ErrCheck burns the pair
	if err != nil {
		panic(err)
	}
	a := [2]secp256k1.Scalar{*secp256k1.NewScalar(3), *secp256k1.NewScalar(5)}
	c, product, err := sender.Multiply(sid, a, rand.Reader) // A
	if err != nil {
		panic(err)
	}
	d, err := receiver.Finish(sid, product) // B; ErrCheck burns the pair
	if err != nil {
		panic(err)
	}

	b := receiver.Chi()
	for k := range a {
		fmt.Println(c[k].Add(&d[k]).Equal(a[k].Mul(&b)))
	}
	// Output:
	// true
	// true
}

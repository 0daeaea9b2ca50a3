package hd_test

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

func ExampleNode() {
	g := edwards25519.Group{}
	root := g.BaseMul(g.Scalar(12345)) // no party knows this number in a vault
	account, err := hd.NewNode(root, [32]byte{7}, hd.Path{0, 5, 0})
	if err != nil {
		panic(err)
	}
	for i := range uint32(2) {
		child, err := account.Child(i)
		if err != nil {
			panic(err)
		}
		fmt.Println(child.Point(), child.Point().Equal(root.Add(g.BaseMul(child.Shift()))))
	}
	// Output:
	// 6203909710d79ce2400f72be4361a4706c40fc264c7f577eb04bdf58353d1263 true
	// 37f4854addfd352b3ca1f915a626fc2a4cfac2362c0d38c2a2d67add08e59f6e true
}

func ExampleTemplate() {
	template, err := hd.ParseTemplate("m/0/*/0-1/*")
	if err != nil {
		panic(err)
	}
	for _, s := range []string{"m/0/5/1/7", "m/0/5/2/7"} {
		path, err := hd.ParsePath(s)
		if err != nil {
			panic(err)
		}
		fmt.Println(s, template.Match(path))
	}
	// Output:
	// m/0/5/1/7 <nil>
	// m/0/5/2/7 derivation path m/0/5/2/7, step 3: 2 is outside 0-1 of template m/0/*/0-1/*
}

func ExampleDescriptor() {
	root, err := hd.Root(secp256k1.BaseMul(secp256k1.NewScalar(12345)), [32]byte{7})
	if err != nil {
		panic(err)
	}
	d, err := hd.NewDescriptor(hd.WPKH, hd.Mainnet, root, hd.Path{0, 5})
	if err != nil {
		panic(err)
	}
	fmt.Println(d)
	// Output:
	// wpkh([1520f087/0/5]xpub6AnaYHftw72pdR6boY7vaBNBhyjnWzbNEFe4NnGhMXSXu1wh6i58ExG5sD5qFMRNGZChoUCtG226i2wasD3rKmEe4P64JNUG6B3GKDxYWrD/*)#tmcklugt
}

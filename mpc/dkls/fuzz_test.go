package dkls

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// bodies are honest ones, from the generator of the layouts themselves.
func bodies() (o opening, p product, s sum) {
	g := secp256k1.BaseMul(secp256k1.NewScalar(1))
	o = opening{r: g, pk: g, salt: [saltSize]byte{1}}
	p = product{gammaU: g, gammaV: g, psi: *secp256k1.NewScalar(2), rvole: make([]byte, rvoleSize)}
	return o, p, sum{u: *secp256k1.NewScalar(3), w: *secp256k1.NewScalar(4)}
}

func FuzzDecodeOpening(f *testing.F) {
	o, _, _ := bodies()
	f.Add(o.encode())
	f.Add(make([]byte, OpeningSize))
	f.Fuzz(func(t *testing.T, in []byte) {
		if o, err := decodeOpening(in); err == nil && !bytes.Equal(o.encode(), in) {
			t.Fatalf("decode then encode changed %x", in)
		}
	})
}

func FuzzDecodeProduct(f *testing.F) {
	_, p, _ := bodies()
	f.Add(p.encode())
	f.Add(make([]byte, 66))
	f.Fuzz(func(t *testing.T, in []byte) {
		if p, err := decodeProduct(in); err == nil && !bytes.Equal(p.encode(), in) {
			t.Fatal("decode then encode changed the product")
		}
	})
}

func FuzzDecodeSum(f *testing.F) {
	_, _, s := bodies()
	f.Add(s.encode())
	f.Add(bytes.Repeat([]byte{0xff}, SumSize))
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := decodeSum(in); err == nil && !bytes.Equal(s.encode(), in) {
			t.Fatalf("decode then encode changed %x", in)
		}
	})
}

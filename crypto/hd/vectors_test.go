package hd

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math/big"
	"os"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
)

var update = flag.Bool("update", false, "write testdata/ed25519.json from the code")

// A vector is one path below one root, for whoever writes this derivation again. The root's private key is there so that
// recovery can be tried too; scalars are little-endian.
type vector struct {
	RootPrivate  string `json:"root_private"`
	Root         string `json:"root"`
	ChainCode    string `json:"chain_code"`
	Path         string `json:"path"`
	Steps        []step `json:"steps"`
	Shift        string `json:"shift"`
	Child        string `json:"child"`
	ChildPrivate string `json:"child_private"`
}

type step struct {
	Number    uint32 `json:"number"`
	Tweak     string `json:"tweak"`
	Public    string `json:"public"`
	ChainCode string `json:"chain_code"`
}

const vectorFile = "testdata/ed25519.json"

// made are the vectors as the code computes them.
func made(t *testing.T) (all []vector) {
	t.Helper()
	g := edwards25519.Group{}
	wide := sha512.Sum512([]byte("root"))
	random := sha256.Sum256([]byte("chain code"))
	for _, root := range []struct {
		private   edwards25519.Scalar
		chainCode [32]byte
	}{
		{*g.Scalar(1).(*edwards25519.Scalar), [32]byte{}},
		{*g.Scalar(1).Neg().(*edwards25519.Scalar), [32]byte(bytes.Repeat([]byte{0xff}, 32))},
		{*g.ReduceScalar(wide[:]).(*edwards25519.Scalar), random},
	} {
		for _, path := range []string{"m", "m/0", "m/1", "m/256", "m/2147483647", "m/0/5/7", "m/0/42/1/9", "m/1/2/3/4/5/6/7/2147483647"} {
			steps, err := ParsePath(path)
			if err != nil {
				t.Fatal(err)
			}
			v := vector{
				RootPrivate: hex.EncodeToString(root.private.Bytes()), Root: hex.EncodeToString(g.BaseMul(&root.private).Bytes()),
				ChainCode: hex.EncodeToString(root.chainCode[:]), Path: path, Steps: []step{},
			}
			n, err := NewNode(g.BaseMul(&root.private), root.chainCode, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, number := range steps {
				before := n.Shift()
				if n, err = n.Child(number); err != nil {
					t.Fatal(err)
				}
				cc := n.ChainCode()
				v.Steps = append(v.Steps, step{
					number, hex.EncodeToString(n.Shift().Sub(before).Bytes()), hex.EncodeToString(n.Point().Bytes()), hex.EncodeToString(cc[:]),
				})
			}
			v.Shift, v.Child = hex.EncodeToString(n.Shift().Bytes()), hex.EncodeToString(n.Point().Bytes())
			v.ChildPrivate = hex.EncodeToString(root.private.Add(n.Shift()).Bytes())
			all = append(all, v)
		}
	}
	return all
}

// The published vectors are what the code computes, and what plain arithmetic computes that shares nothing with it.
func TestEd25519Vectors(t *testing.T) {
	all := made(t)
	raw, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, '\n')
	if *update {
		if err := os.WriteFile(vectorFile, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, published) {
		t.Errorf("%s is not what the code computes; if that is meant, write it with -update", vectorFile)
	}
	var vectors []vector
	load(t, "ed25519.json", &vectors)
	if len(vectors) != 24 {
		t.Fatalf("%d vectors, want 24", len(vectors))
	}
	for _, v := range vectors {
		again(t, v)
	}
}

// again computes a vector with big integers, affine coordinates, and HMAC and HKDF from SHA-512 itself; and its child signs.
func again(t *testing.T, v vector) {
	t.Helper()
	private := littleInt(bytesOf(t, v.RootPrivate))
	x, y := multiple(private)
	cc, shift := bytesOf(t, v.ChainCode), new(big.Int)
	if got := encode(x, y); hex.EncodeToString(got) != v.Root {
		t.Fatalf("root of %s is %x", v.RootPrivate, got)
	}
	for _, s := range v.Steps {
		in := slices.Concat([]byte("ostraka/1/ed25519-child"), encode(x, y), []byte{byte(s.Number), byte(s.Number >> 8), byte(s.Number >> 16), byte(s.Number >> 24)})
		i := hmac512(cc, in)
		e := littleInt(hkdf64(i[:32], []byte("ostraka/1/ed25519-child")))
		e.Mod(e, ell)
		ex, ey := multiple(e)
		x, y = plus(x, y, ex, ey)
		cc = i[32:]
		shift.Add(shift, e).Mod(shift, ell)
		if hex.EncodeToString(littleBytes(e)) != s.Tweak || hex.EncodeToString(encode(x, y)) != s.Public || hex.EncodeToString(cc) != s.ChainCode {
			t.Fatalf("%s below %s: step %d is another", v.Path, v.Root, s.Number)
		}
	}
	child := new(big.Int).Add(private, shift)
	child.Mod(child, ell)
	if hex.EncodeToString(littleBytes(shift)) != v.Shift || hex.EncodeToString(encode(x, y)) != v.Child || hex.EncodeToString(littleBytes(child)) != v.ChildPrivate {
		t.Fatalf("%s below %s: the end is another", v.Path, v.Root)
	}
	// Ed25519 with a scalar where RFC 8032 has a seed: any verifier takes it.
	nonce := big.NewInt(271828)
	rx, ry := multiple(nonce)
	h := sha512.Sum512(slices.Concat(encode(rx, ry), encode(x, y), []byte(v.Path)))
	z := littleInt(h[:])
	z.Mod(z.Add(z.Mul(z, child), nonce), ell)
	if !ed25519.Verify(encode(x, y), []byte(v.Path), append(encode(rx, ry), littleBytes(z)...)) {
		t.Fatalf("%s below %s: the child's signature does not verify", v.Path, v.Root)
	}
}

var (
	fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	ell, _     = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	curveD     = modP(new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), fieldPrime)))
)

func modP(v *big.Int) *big.Int { return v.Mod(v, fieldPrime) }

// multiple is k·B, where B has y = 4/5 and the even x.
func multiple(k *big.Int) (rx, ry *big.Int) {
	x, _ := new(big.Int).SetString("15112221349535400772501151409588531511454012693041857206046113283949847762202", 10)
	y, _ := new(big.Int).SetString("46316835694926478169428394003475163141307993866256225615783033603165251855960", 10)
	rx, ry = new(big.Int), big.NewInt(1)
	for i := k.BitLen() - 1; i >= 0; i-- {
		rx, ry = plus(rx, ry, rx, ry)
		if k.Bit(i) == 1 {
			rx, ry = plus(rx, ry, x, y)
		}
	}
	return rx, ry
}

// plus is the law of RFC 8032 section 5.1.4, in fractions.
func plus(x1, y1, x2, y2 *big.Int) (x, y *big.Int) {
	mul := func(a, b *big.Int) *big.Int { return modP(new(big.Int).Mul(a, b)) }
	k := mul(curveD, mul(mul(x1, x2), mul(y1, y2)))
	one := big.NewInt(1)
	x = mul(new(big.Int).Add(mul(x1, y2), mul(x2, y1)), new(big.Int).ModInverse(new(big.Int).Add(one, k), fieldPrime))
	y = mul(new(big.Int).Add(mul(y1, y2), mul(x1, x2)), new(big.Int).ModInverse(modP(new(big.Int).Sub(one, k)), fieldPrime))
	return x, y
}

func encode(x, y *big.Int) []byte {
	b := littleBytes(y)
	b[31] |= byte(x.Bit(0) << 7)
	return b
}

func littleBytes(v *big.Int) []byte {
	b := v.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

func littleInt(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// hmac512 is RFC 2104 for keys of at most one block.
func hmac512(key, message []byte) []byte {
	inner, outer := bytes.Repeat([]byte{0x36}, 128), bytes.Repeat([]byte{0x5c}, 128)
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	h := sha512.Sum512(append(inner, message...))
	h = sha512.Sum512(append(outer, h[:]...))
	return h[:]
}

// hkdf64 is RFC 5869 with SHA-512, no salt, and one block of output.
func hkdf64(secret, info []byte) []byte {
	return hmac512(hmac512(nil, secret), append(slices.Clone(info), 1))
}

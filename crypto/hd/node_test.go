package hd

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

var kinds = []group.Group{secp256k1.Group{}, edwards25519.Group{}}

var deep = Path{0, 5, MaxStep, 1, 2, 3, 4, 5}

// Root + shift·G is the key, through every step and on both kinds of root; so the private keys differ by the shift.
func TestShiftIsFromTheRoot(t *testing.T) {
	for _, g := range kinds {
		x := g.Scalar(12345)
		cc := [32]byte{7}
		seen := map[string]bool{}
		for n := range len(deep) + 1 {
			child, shift, err := Derive(g.BaseMul(x), cc, deep[:n])
			if err != nil {
				t.Fatalf("%s, %v: %v", g.Name(), deep[:n], err)
			}
			if !g.BaseMul(x.Add(shift)).Equal(child) {
				t.Errorf("%s, %v: root + shift·G is not the key", g.Name(), deep[:n])
			}
			if shift.IsZero() != (n == 0) || seen[string(child.Bytes())] {
				t.Errorf("%s, %v: a step does not move", g.Name(), deep[:n])
			}
			seen[string(child.Bytes())] = true
		}
		end, err := NewNode(g.BaseMul(x), cc, deep)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := end.Child(0); err == nil {
			t.Errorf("%s: a ninth step was derived", g.Name())
		}
		other, _, err := Derive(g.BaseMul(x), [32]byte{8}, deep[:1])
		if err != nil || seen[string(other.Bytes())] {
			t.Errorf("%s: the chain code does not count: %v", g.Name(), err)
		}
	}
}

// The two ways to BIP 32 agree: the extended public key that wallets read, and the node that is fast.
func TestNodeIsTheKey(t *testing.T) {
	_, r := root(t)
	n, err := NewNode(r.Point, r.ChainCode, nil)
	if err != nil {
		t.Fatal(err)
	}
	for depth, step := range deep {
		if n, err = n.Child(step); err != nil {
			t.Fatal(err)
		}
		k, e, err := r.Derive(deep[:depth+1])
		if err != nil || !n.Point().Equal(k.Point) || !bytes.Equal(n.Bytes(), k.Point.Bytes()) || n.ChainCode() != k.ChainCode || !n.Shift().Equal(e) {
			t.Fatalf("depth %d: node and key differ: %v", depth+1, err)
		}
	}
}

// A caller wipes the shift when it has used it; the node keeps its own.
func TestNodeKeepsItsShift(t *testing.T) {
	for _, g := range kinds {
		n, err := NewNode(g.Generator(), [32]byte{}, Path{1})
		if err != nil {
			t.Fatal(err)
		}
		n.Shift().Wipe()
		if !g.Generator().Add(g.BaseMul(n.Shift())).Equal(n.Point()) {
			t.Errorf("%s: the node's shift was wiped", g.Name())
		}
	}
}

func TestDeriveRefuses(t *testing.T) {
	for _, g := range kinds {
		for name, c := range map[string]struct {
			root group.Point
			path Path
		}{
			"the identity":  {g.Identity(), nil},
			"nine steps":    {g.Generator(), make(Path, 9)},
			"hardened step": {g.Generator(), Path{0, 1 << 31}},
			"largest step":  {g.Generator(), Path{1<<32 - 1}},
		} {
			child, shift, err := Derive(c.root, [32]byte{}, c.path)
			if child != nil || shift != nil || err == nil {
				t.Errorf("%s, %s: derived", g.Name(), name)
			}
			if strings.Contains(name, "step") && len(c.path) < 9 && !errors.Is(err, ErrHardened) {
				t.Errorf("%s, %s: %v", g.Name(), name, err)
			}
		}
	}
	if _, _, err := Derive(ristretto255.Group{}.Generator(), [32]byte{}, nil); err == nil || !strings.Contains(err.Error(), "ristretto255") {
		t.Errorf("a root of ristretto255: %v", err)
	}
}

// A step has no key if its tweak is out of range, or if it leads to the identity.
func TestSkippedStepsOfNodes(t *testing.T) {
	x := secp256k1.NewScalar(77)
	n, err := NewNode(secp256k1.BaseMul(x), [32]byte{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var i [64]byte
	q, _ := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	for name, tweak := range map[string][]byte{"tweak = q": q, "child is the identity": x.Neg().Bytes()} {
		copy(i[:], tweak)
		wantSkipped(t, n, "secp256k1, "+name, &i)
	}

	// The tweak comes out of HKDF, so the law is bent instead of the bytes.
	g := edwards25519.Group{}
	for name, e := range map[string]group.Scalar{"tweak = 0": g.Scalar(0), "child is the identity": g.Scalar(77).Neg()} {
		n, err := NewNode(g.BaseMul(g.Scalar(77)), [32]byte{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		n.law = &law{bytes: edBytes, tweak: func([]byte) (group.Scalar, bool) { return e, !e.IsZero() }}
		wantSkipped(t, n, "edwards25519, "+name, &i)
	}
	if e, ok := edTweak(i[:32]); !ok || e.IsZero() {
		t.Error("a tweak of HKDF is zero")
	}
}

func wantSkipped(t *testing.T, n *Node, name string, i *[64]byte) {
	t.Helper()
	var skipped *SkippedError
	if c, err := n.child(9, i); c != nil || !errors.As(err, &skipped) || skipped.Step != 9 {
		t.Errorf("%s: %v", name, err)
	}
}

type slip10 struct {
	Vectors []struct {
		Name, Curve string
		Chains      []struct {
			Path, Public string
			ChainCode    string `json:"chain_code"`
		}
	}
}

// SLIP-10 for a reader's contrast. On secp256k1 it is BIP 32, and its steps that are not hardened are ours. On ed25519 it
// has hardened steps alone, which need the private key: ours refuses them, and the same number not hardened is another key.
func TestSLIP10(t *testing.T) {
	var v slip10
	load(t, "slip10.json", &v)
	same, hardened := 0, 0
	for _, vector := range v.Vectors {
		var g group.Group = secp256k1.Group{}
		switch vector.Curve {
		case "ed25519":
			g = edwards25519.Group{}
		case "secp256k1":
		default:
			continue
		}
		for i, c := range vector.Chains[1:] {
			parent := vector.Chains[i]
			step, hard := strings.CutSuffix(c.Path[strings.LastIndexByte(c.Path, '/')+1:], "'")
			number, err := strconv.ParseUint(step, 10, 31)
			if err != nil {
				t.Fatal(err)
			}
			from, cc := point(t, g, parent.Public), [32]byte{}
			copy(cc[:], bytesOf(t, parent.ChainCode))
			if hard {
				hardened++
				if _, err := ParsePath(c.Path); !errors.Is(err, ErrHardened) {
					t.Errorf("%s, %s: %v", vector.Name, c.Path, err)
				}
				if _, _, err := Derive(from, cc, Path{uint32(number) | 1<<31}); !errors.Is(err, ErrHardened) {
					t.Errorf("%s, %s: %v", vector.Name, c.Path, err)
				}
			}
			n, err := NewNode(from, cc, Path{uint32(number)})
			if err != nil {
				t.Fatal(err)
			}
			code := n.ChainCode()
			equal := n.Point().Equal(point(t, g, c.Public)) && bytes.Equal(code[:], bytesOf(t, c.ChainCode))
			if equal == hard {
				t.Errorf("%s, %s: ours is the same: %v", vector.Name, c.Path, equal)
			}
			if equal {
				same++
			}
		}
	}
	if same != 6 || hardened == 0 {
		t.Errorf("%d steps as ours, want 6; %d hardened", same, hardened)
	}
}

func bytesOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// point decodes a public key of SLIP-10, which puts a zero byte before those of ed25519.
func point(t *testing.T, g group.Group, s string) group.Point {
	t.Helper()
	b := bytesOf(t, s)
	if len(b) == g.PointSize()+1 && b[0] == 0 {
		b = slices.Clone(b[1:])
	}
	p, err := g.DecodePoint(b)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return p
}

package hd

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

type bip341 struct {
	ScriptPubKey []struct {
		Given        struct{ InternalPubkey string }
		Intermediary struct {
			MerkleRoot           *string
			Tweak, TweakedPubkey string
		}
		Expected struct {
			ScriptPubKey            string
			ScriptPathControlBlocks []string
		}
	}
	KeyPathSpending []struct {
		InputSpending []struct {
			Given struct {
				InternalPrivkey string
				MerkleRoot      *string
			}
			Intermediary struct{ InternalPubkey, Tweak, TweakedPrivkey string }
		}
	}
}

func merkleRoot(t *testing.T, s *string) *[32]byte {
	t.Helper()
	if s == nil {
		return nil
	}
	b, err := hex.DecodeString(*s)
	if err != nil || len(b) != 32 {
		t.Fatalf("root %q: %v", *s, err)
	}
	return (*[32]byte)(b)
}

// liftX is BIP 340's lift_x, and its negative for odd.
func liftX(t *testing.T, x string, prefix byte) *secp256k1.Point {
	t.Helper()
	b, err := hex.DecodeString(x)
	if err != nil {
		t.Fatal(err)
	}
	p, err := secp256k1.DecodePoint(append([]byte{prefix}, b...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// BIP 341's output keys, for an internal key given with even and with odd y: x alone counts.
func TestBIP341OutputKeys(t *testing.T) {
	var v bip341
	load(t, "bip341-wallet-test-vectors.json", &v)
	if len(v.ScriptPubKey) != 7 {
		t.Fatalf("%d output keys, want 7", len(v.ScriptPubKey))
	}
	for n, c := range v.ScriptPubKey {
		for _, prefix := range []byte{2, 3} {
			k, err := TapTweak(liftX(t, c.Given.InternalPubkey, prefix), merkleRoot(t, c.Intermediary.MerkleRoot))
			if err != nil {
				t.Fatal(err)
			}
			x := k.XOnly()
			if hexOf(x[:]) != c.Intermediary.TweakedPubkey || hexOf(k.Tweak.Bytes()) != c.Intermediary.Tweak || "5120"+hexOf(x[:]) != c.Expected.ScriptPubKey {
				t.Errorf("%d: output key %x, tweak %x", n, x, k.Tweak.Bytes())
			}
			if k.InternalOdd != (prefix == 3) || k.OutputOdd != k.Point.YOdd() {
				t.Errorf("%d: parities are wrong", n)
			}
			for _, block := range c.Expected.ScriptPathControlBlocks {
				b, err := hex.DecodeString(block)
				if err != nil || b[0]&1 == 1 != k.OutputOdd {
					t.Errorf("%d: control block %s has another parity", n, block)
				}
			}
		}
	}
}

// BIP 341's private keys: g₂(g₁p + t), up to the sign that BIP 340 does not see.
func TestBIP341PrivateKeys(t *testing.T) {
	var v bip341
	load(t, "bip341-wallet-test-vectors.json", &v)
	seen := 0
	for _, c := range v.KeyPathSpending[0].InputSpending {
		seen++
		b, _ := hex.DecodeString(c.Given.InternalPrivkey)
		p, err := secp256k1.DecodeScalar(b)
		if err != nil {
			t.Fatal(err)
		}
		k, err := TapTweak(secp256k1.BaseMul(p), merkleRoot(t, c.Given.MerkleRoot))
		if err != nil {
			t.Fatal(err)
		}
		key := secp256k1.NewScalar(0)
		key.Set(p)
		if k.InternalOdd {
			key.SetNegative(key)
		}
		key.SetSum(key, k.Tweak)
		if hexOf(key.Bytes()) != c.Intermediary.TweakedPrivkey || hexOf(k.Tweak.Bytes()) != c.Intermediary.Tweak {
			t.Errorf("input %d: tweak %x", seen, k.Tweak.Bytes())
		}
		if k.OutputOdd {
			key.SetNegative(key)
		}
		if x := k.XOnly(); secp256k1.BaseMul(key).YOdd() || !bytes.Equal(secp256k1.BaseMul(key).Bytes()[1:], x[:]) {
			t.Errorf("input %d: the private key does not sign for x(Q)", seen)
		}
	}
	if seen != 7 {
		t.Errorf("%d inputs, want 7", seen)
	}
}

func TestTapTweakRefusals(t *testing.T) {
	g := secp256k1.BaseMul(secp256k1.NewScalar(5))
	if g.YOdd() {
		g = g.Neg().(*secp256k1.Point)
	}
	five := secp256k1.NewScalar(5)
	if !secp256k1.BaseMul(five).Equal(g) {
		five.SetNegative(five)
	}
	five.SetNegative(five)
	cancels, above := [32]byte(five.Bytes()), [32]byte(bytes.Repeat([]byte{0xff}, 32))
	for want, hash := range map[string]*[32]byte{"output key is the identity": &cancels, "tweak of the internal key is ≥ q": &above} {
		if _, err := tapTweak(g, hash); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if _, err := TapTweak(secp256k1.Group{}.Identity().(*secp256k1.Point), nil); err == nil {
		t.Error("the identity passes")
	}
}

// No tree, and a tree whose root is 32 zero bytes, are two outputs.
func TestNoTreeIsNotTheZeroRoot(t *testing.T) {
	g := secp256k1.BaseMul(secp256k1.NewScalar(1))
	a, errA := TapTweak(g, nil)
	b, errB := TapTweak(g, new([32]byte))
	if errA != nil || errB != nil || a.Point.Equal(b.Point) {
		t.Error(errA, errB)
	}
}

package hd

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

func load(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

type chain struct{ Path, XPub, XPrv string }

func chains(t *testing.T) []chain {
	t.Helper()
	var v struct{ Valid []struct{ Chains []chain } }
	load(t, "bip32.json", &v)
	var all []chain
	for _, s := range v.Valid {
		all = append(all, s.Chains...)
	}
	if len(all) != 17 {
		t.Fatalf("%d chains, want 17", len(all))
	}
	return all
}

// private is the key inside an xprv.
func private(t *testing.T, xprv string) *secp256k1.Scalar {
	t.Helper()
	b, err := base58Decode(xprv)
	if err != nil {
		t.Fatal(err)
	}
	s, err := secp256k1.DecodeScalar(b[46:78])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every xpub of BIP 32 parses and serializes again; every step that is not hardened
// derives from its parent, and the tweak is the difference of the private keys.
func TestBIP32Vectors(t *testing.T) {
	var parent chain
	derived := 0
	for _, c := range chains(t) {
		k, n, err := ParseXPub(c.XPub)
		if err != nil || n != Mainnet || k.XPub(Mainnet) != c.XPub {
			t.Fatalf("%s: %v, serializes as %s", c.Path, err, k.XPub(n))
		}
		if !secp256k1.BaseMul(private(t, c.XPrv)).Equal(k.Point) {
			t.Fatalf("%s: xprv and xpub differ", c.Path)
		}
		step, isChild := strings.CutPrefix(c.Path, parent.Path+"/")
		if parent.Path != "" && isChild && !strings.HasSuffix(step, "'") {
			derived++
			path, err := ParsePath("m/" + step)
			if err != nil {
				t.Fatal(err)
			}
			from, _, err := ParseXPub(parent.XPub)
			if err != nil {
				t.Fatal(err)
			}
			got, e, err := from.Derive(path)
			if err != nil || got.XPub(Mainnet) != c.XPub {
				t.Errorf("%s from %s: %v, got %s", c.Path, parent.Path, err, got.XPub(Mainnet))
			}
			var sum secp256k1.Scalar
			if sum.SetSum(private(t, parent.XPrv), e); !sum.Equal(private(t, c.XPrv)) {
				t.Errorf("%s: parent's private key + tweak is not the child's", c.Path)
			}
		}
		parent = c
	}
	if derived != 6 {
		t.Errorf("derived %d public children, want 6", derived)
	}
}

func TestBIP32InvalidKeys(t *testing.T) {
	var v []struct{ Key, Reason string }
	load(t, "bip32-invalid.json", &v)
	if len(v) != 16 {
		t.Fatalf("%d keys, want 16", len(v))
	}
	for _, c := range v {
		if _, _, err := ParseXPub(c.Key); err == nil {
			t.Errorf("accepted: %s", c.Reason)
		}
	}
	good := chains(t)[0]
	for name, s := range map[string]string{
		"empty": "", "a private key": good.XPrv, "short": good.XPub[:110], "long": good.XPub + "1", "leading 1": "1" + good.XPub[:110],
		"0 is no digit": "xpub0" + good.XPub[5:], "too large": strings.Repeat("z", XPubSize), "space": good.XPub[:110] + " ",
	} {
		if _, _, err := ParseXPub(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func root(t *testing.T) (*secp256k1.Scalar, Key) {
	t.Helper()
	x := secp256k1.NewScalar(12345)
	k, err := Root(secp256k1.BaseMul(x), [32]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	return x, k
}

func TestDeriveAccumulates(t *testing.T) {
	x, k := root(t)
	end, e, err := k.Derive(Path{0, 5, MaxStep, 1, 2, 3, 4, 5})
	if err != nil {
		t.Fatal(err)
	}
	var sum secp256k1.Scalar
	if sum.SetSum(x, e); !secp256k1.BaseMul(&sum).Equal(end.Point) {
		t.Error("root + e·G is not the key")
	}
	if end.Depth != 8 || end.Step != 5 {
		t.Errorf("depth %d, step %d", end.Depth, end.Step)
	}
	if _, _, err := end.Child(0); err == nil {
		t.Error("a ninth step was derived")
	}
	same, zero, err := k.Derive(nil)
	if err != nil || !zero.IsZero() || !same.Point.Equal(k.Point) {
		t.Errorf("the empty path moves: %v", err)
	}
	again, n, err := ParseXPub(end.XPub(Testnet))
	if err != nil || n != Testnet || again.XPub(Testnet) != end.XPub(Testnet) || !strings.HasPrefix(end.XPub(Testnet), "tpub") {
		t.Errorf("tpub: %v", err)
	}
}

func TestSkippedSteps(t *testing.T) {
	x, k := root(t)
	var i [64]byte
	q, _ := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	negative := new(secp256k1.Scalar)
	negative.SetNegative(x)
	for name, tweak := range map[string][]byte{"tweak = q": q, "child is the identity": negative.Bytes()} {
		copy(i[:32], tweak)
		var skipped *SkippedError
		if _, _, err := k.child(9, &i); !errors.As(err, &skipped) || skipped.Step != 9 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Root(k.Point.Sub(k.Point).(*secp256k1.Point), [32]byte{}); err == nil {
		t.Error("the identity is a root")
	}
}

func TestHardenedIsRefused(t *testing.T) {
	_, k := root(t)
	if _, _, err := k.Child(1 << 31); !errors.Is(err, ErrHardened) {
		t.Errorf("step 2^31: %v", err)
	}
	for _, s := range []string{"m/0'", "m/0h", "m/44H/0", "m/1/2147483648", "m/4294967295", "m/2147483647'"} {
		if _, err := ParsePath(s); !errors.Is(err, ErrHardened) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestParsePath(t *testing.T) {
	for s, want := range map[string]int{"m": 0, "m/0": 1, "m/0/5/7": 3, "m/2147483647": 1, "m/1/2/3/4/5/6/7/8": 8} {
		p, err := ParsePath(s)
		if err != nil || len(p) != want || p.String() != s {
			t.Errorf("%s: %v, %v", s, p, err)
		}
	}
	for _, s := range []string{
		"", "M", "0", "/0", "m/", "m//0", "m/0/", "m/00", "m/01", "m/+1", "m/-1", "m/ 1", "m/1 ", "m/0x1", "m/1_0", "m/a", "m/'",
		"m/4294967296", "m/4294967296'", "m/99999999999999999999", "m/1/2/3/4/5/6/7/8/9", "mm/0", "m/０",
	} {
		if p, err := ParsePath(s); err == nil || errors.Is(err, ErrHardened) {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"m", "m/0/5/7", "m/0'", "m/00", "m/1/2/3/4/5/6/7/8/9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePath(s); err == nil && (p.String() != s || len(p) > MaxDepth) {
			t.Fatalf("%q became %q", s, p)
		}
	})
}

func FuzzParseXPub(f *testing.F) {
	f.Add("xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8")
	f.Add("1pub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8")
	f.Fuzz(func(t *testing.T, s string) {
		if k, n, err := ParseXPub(s); err == nil && k.XPub(n) != s {
			t.Fatalf("%q became %q", s, k.XPub(n))
		}
	})
}

package independent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/ostraka/ostraka/crypto/group"
	ours "github.com/ostraka/ostraka/crypto/group/secp256k1"
)

type wycheproof struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		PublicKey struct{ Uncompressed string } `json:"publicKey"`
		Tests     []struct {
			TcID    int `json:"tcId"`
			Comment string
			Msg     string
			Sig     string
			Result  string
		}
	} `json:"testGroups"`
}

// Each file is one rule of acceptance. Where a signature parses, our own arithmetic must
// judge it as decred's does, and a valid one must give back its key.
func TestWycheproof(t *testing.T) {
	for _, f := range []struct {
		file   string
		parse  func([]byte) (Signature, error)
		lowS   bool
		number int
	}{
		{"ecdsa_secp256k1_sha256_test.json", ParseDER, false, 331},
		{"ecdsa_secp256k1_sha256_bitcoin_test.json", ParseDER, true, 330},
		{"ecdsa_secp256k1_sha256_p1363_test.json", ParseCompact, false, 179},
	} {
		t.Run(f.file, func(t *testing.T) {
			raw, err := os.ReadFile("testdata/" + f.file)
			if err != nil {
				t.Fatal(err)
			}
			var w wycheproof
			if err := json.Unmarshal(raw, &w); err != nil {
				t.Fatal(err)
			}
			ran := 0
			for _, g := range w.TestGroups {
				pub, err := ParsePublicKey(unhex(t, g.PublicKey.Uncompressed))
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range g.Tests {
					ran++
					digest := sha256.Sum256(unhex(t, c.Msg))
					sig, err := f.parse(unhex(t, c.Sig))
					ok := err == nil && Verify(pub, &digest, sig) && (!f.lowS || sig.LowS())
					if ok != (c.Result == "valid") {
						t.Errorf("%d (%s): accepted is %v, want %s", c.TcID, c.Comment, ok, c.Result)
					}
					if err == nil {
						checkAgainstOurs(t, c.TcID, pub, &digest, sig)
					}
				}
			}
			if ran != f.number || ran != w.NumberOfTests {
				t.Errorf("ran %d cases, want %d", ran, f.number)
			}
		})
	}
}

func checkAgainstOurs(t *testing.T, id int, pub PublicKey, digest *[32]byte, sig Signature) {
	t.Helper()
	valid := Verify(pub, digest, sig)
	if verifyOurs(t, pub, digest, sig) != valid {
		t.Errorf("%d: our arithmetic disagrees with decred", id)
	}
	if !valid {
		return
	}
	found := 0
	for rid := range uint8(4) {
		if k, err := Recover(digest, sig, rid); err == nil && k.Equal(pub) {
			found++
		}
	}
	if found == 0 {
		t.Errorf("%d: no recovery id gives the key", id)
	}
}

// verifyOurs is SEC 1 section 4.1.4 on the arithmetic that signs.
func verifyOurs(t *testing.T, pub PublicKey, digest *[32]byte, sig Signature) bool {
	t.Helper()
	p, err := ours.DecodePoint(pub.Compressed())
	if err != nil {
		t.Fatal(err)
	}
	c := sig.Compact()
	r, err := ours.DecodeScalar(c[:32])
	if err != nil {
		t.Fatal(err)
	}
	s, err := ours.DecodeScalar(c[32:])
	if err != nil {
		t.Fatal(err)
	}
	var e, w, u, v ours.Scalar
	e.SetReduced(digest)
	w.SetInverse(s)
	u.SetProduct(&e, &w)
	v.SetProduct(r, &w)
	x := p.DoubleMulBaseVarTime(&u, &v)
	if x.IsIdentity() {
		return false
	}
	got, _ := x.XReduced()
	return got.Equal(r)
}

// Signs on our arithmetic and takes the recovery id from XReduced and YOdd, as signing does.
func TestRecoverFindsTheSigner(t *testing.T) {
	for i := range uint64(40) {
		key, nonce := ours.NewScalar(1000+i), ours.NewScalar(7+i*i)
		pub, err := ParsePublicKey(ours.BaseMul(key).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256([]byte{byte(i)})
		R := ours.BaseMul(nonce)
		r, over := R.XReduced()
		var e, s, inv ours.Scalar
		e.SetReduced(&digest)
		e.AddProduct(r, key)
		inv.SetInverse(nonce)
		s.SetProduct(&e, &inv)
		odd := R.YOdd()
		if s.IsHigh() {
			s.SetNegative(&s)
			odd = !odd
		}
		id := bit(over)<<1 | bit(odd)
		sig, err := ParseCompact(append(r.Bytes(), s.Bytes()...))
		if err != nil {
			t.Fatal(err)
		}
		if !sig.LowS() || !Verify(pub, &digest, sig) {
			t.Fatalf("signature %d does not verify", i)
		}
		got, err := Recover(&digest, sig, id)
		if err != nil || !got.Equal(pub) {
			t.Errorf("signature %d: id %d recovers another key: %v", i, id, err)
		}
		if other, err := Recover(&digest, sig, id^1); err == nil && other.Equal(pub) {
			t.Errorf("signature %d: the other parity recovers the key too", i)
		}
		checkRecoveryID(t, pub, digest, sig, R, id)
		digest[0] ^= 1
		if Verify(pub, &digest, sig) {
			t.Errorf("signature %d verifies another digest", i)
		}
		checkEncodings(t, sig)
	}
}

// checkRecoveryID asks with both signs of the nonce, then with one thing changed at a time.
func checkRecoveryID(t *testing.T, pub PublicKey, digest [32]byte, sig Signature, nonce group.Point, want uint8) {
	t.Helper()
	ask := func(pub PublicKey, digest [32]byte, sig Signature, nonce group.Point) (uint8, error) {
		n, err := ParsePublicKey(nonce.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return RecoveryID(pub, &digest, sig, n)
	}
	for _, n := range []group.Point{nonce, nonce.Neg()} {
		if id, err := ask(pub, digest, sig, n); err != nil || id != want {
			t.Errorf("id is %d, want %d: %v", id, want, err)
		}
	}
	high, other := sig, digest
	high.s.Negate()
	other[7] ^= 1
	if id, err := ask(pub, digest, high, nonce); err != nil || id != want^1 {
		t.Errorf("id with high s is %d, want %d: %v", id, want^1, err)
	}
	changed := sig
	changed.s.Add(&sig.r)
	for name, f := range map[string]func() (uint8, error){
		"another key":    func() (uint8, error) { return ask(PublicKey{generator()}, digest, sig, nonce) },
		"another digest": func() (uint8, error) { return ask(pub, other, sig, nonce) },
		"another s":      func() (uint8, error) { return ask(pub, digest, changed, nonce) },
		"another nonce":  func() (uint8, error) { return ask(pub, digest, sig, nonce.Add(nonce)) },
	} {
		if id, err := f(); err == nil {
			t.Errorf("%s: id %d", name, id)
		}
	}
}

func generator() *secp256k1.PublicKey {
	return secp256k1.NewPrivateKey(new(secp256k1.ModNScalar).SetInt(1)).PubKey()
}

// m = −r·x: whatever s is, the equation gives the identity, which has coordinates that compare equal to anything times Z.
func TestRecoveryIDOfTheIdentity(t *testing.T) {
	x, nonce := ours.NewScalar(77), ours.BaseMul(ours.NewScalar(5))
	r, _ := nonce.XReduced()
	m := r.Mul(x).Neg()
	pub, err := ParsePublicKey(ours.BaseMul(x).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	point, err := ParsePublicKey(nonce.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	sig, err := ParseCompact(append(r.Bytes(), ours.NewScalar(9).Bytes()...))
	if err != nil {
		t.Fatal(err)
	}
	digest := [32]byte(m.Bytes())
	if id, err := RecoveryID(pub, &digest, sig, point); err == nil {
		t.Errorf("the identity has id %d", id)
	}
	if Verify(pub, &digest, sig) {
		t.Error("verifies")
	}
}

func checkEncodings(t *testing.T, sig Signature) {
	t.Helper()
	again, err := ParseDER(sig.DER())
	if err != nil || !bytes.Equal(again.Compact(), sig.Compact()) {
		t.Errorf("DER changes the signature: %v", err)
	}
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func TestRecoverRefuses(t *testing.T) {
	var digest [32]byte
	sig, err := ParseCompact(append(make([]byte, 31), append([]byte{5}, append(make([]byte, 31), 1)...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(&digest, sig, 4); err == nil {
		t.Error("recovery id 4 was taken")
	}
	if _, err := Recover(&digest, sig, 0); err == nil {
		t.Error("x = 5 is not on the curve, yet a key was recovered")
	}
	// r + q ≥ p: the overflow ids are impossible.
	q, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	top := new(big.Int).Sub(q, big.NewInt(1)).Bytes()
	sig, err = ParseCompact(append(top, append(make([]byte, 31), 1)...))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []uint8{2, 3} {
		if _, err := Recover(&digest, sig, id); err == nil {
			t.Errorf("id %d was taken with r + q ≥ p", id)
		}
	}
	if sig.LowS() != true {
		t.Error("s = 1 is not low")
	}
}

// protocols.md 7 row 20.
func TestParsePublicKeyRefuses(t *testing.T) {
	good := unhex(t, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
	pub, err := ParsePublicKey(good)
	if err != nil || !bytes.Equal(pub.Compressed(), good) {
		t.Fatalf("generator: %v", err)
	}
	full := pub.Uncompressed()
	again, err := ParsePublicKey(full)
	if err != nil || !again.Equal(pub) {
		t.Fatalf("uncompressed generator: %v", err)
	}
	p := "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"
	for name, b := range map[string][]byte{
		"empty": nil, "identity": {0}, "zeros": make([]byte, 33), "32 bytes": good[:32], "34 bytes": append(good[:33:33], 0),
		"prefix 04 on 33": with(good, 0, 4), "prefix 05 on 33": with(good, 0, 5), "prefix 06 on 65": with(full, 0, 6),
		"prefix 07 on 65": with(full, 0, 7), "prefix 02 on 65": with(full, 0, 2),
		"off the curve": with(full, 64, full[64]^1), "x of no point": unhex(t, "02"+fmt.Sprintf("%064x", 5)),
		"x = p": unhex(t, "02"+p), "x = p+1": unhex(t, "02"+p[:62]+"30"),
	} {
		if _, err := ParsePublicKey(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseCompactRefuses(t *testing.T) {
	q := unhex(t, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	one, zero := append(make([]byte, 31), 1), make([]byte, 32)
	for name, b := range map[string][]byte{
		"empty": nil, "63 bytes": append(one, one[:31]...), "65 bytes": append(append(one, one...), 0),
		"r = 0": append(zero[:32:32], one...), "s = 0": append(one[:32:32], zero...),
		"r = q": append(q[:32:32], one...), "s = q": append(one[:32:32], q...),
	} {
		if _, err := ParseCompact(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(unhex(f, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"))
	f.Add(unhex(f, "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := ParsePublicKey(in)
		if err == nil && !bytes.Equal(in, k.Compressed()) && !bytes.Equal(in, k.Uncompressed()) {
			t.Fatalf("decode then encode changed %x", in)
		}
		if _, ourErr := ours.DecodePoint(in); len(in) == 33 && (ourErr == nil) != (err == nil) {
			t.Fatalf("decred says %v of %x, voi %v", err, in, ourErr)
		}
	})
}

func FuzzParseSignature(f *testing.F) {
	f.Add(unhex(f, "3006020101020101"))
	f.Add(append(append(make([]byte, 31), 1), append(make([]byte, 31), 1)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := ParseCompact(in); err == nil && !bytes.Equal(s.Compact(), in) {
			t.Fatalf("compact %x changed", in)
		}
		if s, err := ParseDER(in); err == nil && s.LowS() && !bytes.Equal(s.DER(), in) {
			t.Fatalf("DER %x became %x", in, s.DER())
		}
	})
}

func with(b []byte, i int, v byte) []byte {
	c := bytes.Clone(b)
	c[i] = v
	return c
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

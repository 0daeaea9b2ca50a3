package pve

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ostraka/ostraka/crypto/group"
)

// dealing is a dealer's state before the digest, with all rows dealt.
func dealing(tb testing.TB, c Context, s group.Scalar) (*frame, *deal) {
	tb.Helper()
	f, err := c.frame()
	if err != nil {
		tb.Fatal(err)
	}
	if err := f.sealing(); err != nil {
		tb.Fatal(err)
	}
	seeds, err := f.seeds(s, stream("coins"))
	if err != nil {
		tb.Fatal(err)
	}
	d := &deal{seeds: seeds}
	for j := range Rows {
		if err := f.deal(d, j, s); err != nil {
			tb.Fatal(err)
		}
	}
	return f, d
}

// A dealer who spoils b rows and grinds 2^b digests is believed; every row but those restores, and those are named.
func TestSpoiledRowsThatVerify(t *testing.T) {
	for _, g := range groups {
		c, s, k := sample(t, g)
		f, d := dealing(t, c, s)
		spoiled := []int{0, 31, 63, 64, 101, 126}
		for n, j := range spoiled {
			side := n % 2 // kept, if the guess is right
			x := g.Scalar(uint64(n) + 1)
			sealed, err := f.seal(j, side, d.seed(j, side), x, false)
			if err != nil {
				t.Fatal(err)
			}
			d.rows[j].sealed[side] = sealed
		}
		var h [digestSize]byte
		tries := 0
		for guessed := false; !guessed; tries++ {
			last := d.seed(Rows-1, 0)
			last[0], last[1] = byte(tries), byte(tries>>8)
			if err := f.deal(d, Rows-1, s); err != nil {
				t.Fatal(err)
			}
			h, guessed = f.hash(&d.rows), true
			for n, j := range spoiled {
				guessed = guessed && opened(h[:], j) == 1-n%2
			}
		}
		proof := d.encode(h)
		t.Logf("%s: %d rows guessed in %d tries", g.Name(), len(spoiled), tries)
		if err := Verify(c, proof); err != nil {
			t.Fatalf("%s: %v", g.Name(), err)
		}
		got, rows, err := Decrypt(c, proof, k)
		if err != nil || !got.Equal(s) || !slices.Equal(rows, spoiled) {
			t.Errorf("%s: restored %v, spoiled rows %v, want %v; %v", g.Name(), err == nil && got.Equal(s), rows, spoiled, err)
		}
	}
}

// A spoiled side that the digest opens is found, whatever is spoiled there.
func TestSpoiledOpenedSideIsFound(t *testing.T) {
	c, s, _ := sample(t, groups[0])
	f, d := dealing(t, c, s)
	sealed, err := f.seal(5, 0, d.seed(5, 0), c.Group.Scalar(1), false)
	if err != nil {
		t.Fatal(err)
	}
	d.rows[5].sealed[0] = sealed
	for opened(hashOf(f, d), 5) != 0 {
		d.seed(Rows-1, 0)[0]++
		if err := f.deal(d, Rows-1, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := Verify(c, d.encode(f.hash(&d.rows))); !errors.Is(err, ErrCheck) {
		t.Error(err)
	}
}

func hashOf(f *frame, d *deal) []byte {
	h := f.hash(&d.rows)
	return h[:]
}

// spoil changes the kept ciphertext of a row in the n-th way of seven.
func spoil(tb testing.TB, f *frame, proof []byte, j, n int) {
	tb.Helper()
	at, keep := offsets(proof)[j], 1-opened(proof, j)
	kept := proof[at : at+sealedSize]
	switch n % 7 {
	case 0: // does not open
		kept[sealedSize-1] ^= 1
	case 1: // opens to another value
		sealed, err := f.seal(j, keep, bytes.Repeat([]byte{byte(j)}, seedSize), f.Group.Scalar(uint64(j)+1), false)
		if err != nil {
			tb.Fatal(err)
		}
		copy(kept, sealed)
	case 2: // low order: the standard library would refuse the value
		copy(kept, lowOrder[j%len(lowOrder)][:])
	case 3: // not canonical
		kept[31] |= 0x80
	case 4: // opens to what is no scalar
		epk, dh, err := f.to.ephemeral(bytes.Repeat([]byte{byte(j)}, KeySize), false)
		if err != nil {
			tb.Fatal(err)
		}
		out, err := f.aead(j, keep, epk, dh, func(a aead, nonce []byte) ([]byte, error) {
			return a.Seal(bytes.Clone(epk), nonce, bytes.Repeat([]byte{0xff}, group.ScalarSize), nil), nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		copy(kept, out)
	case 5: // the opened half is damaged
		proof[at+sealedSize] ^= 1
		if keep == 0 {
			copy(proof[at+sealedSize+seedSize:], bytes.Repeat([]byte{0xff}, group.ScalarSize))
		}
	case 6: // another row's, which is good there
		next := offsets(proof)[(j+1)%Rows]
		copy(kept, proof[next:next+sealedSize])
	}
}

// Any one good row restores: 22 spoiled, all but one, whichever one it is; none gives nothing (protocols.md 7 #34).
func TestOneGoodRowRestores(t *testing.T) {
	for _, g := range groups {
		c, s, k := sample(t, g)
		proof := encrypt(t, c, s, "coins")
		f, _ := dealing(t, c, s)
		for name, good := range map[string]func(j int) bool{
			"22 spoiled":       func(j int) bool { return j%6 != 1 },
			"all but row 0":    func(j int) bool { return j == 0 },
			"all but row 77":   func(j int) bool { return j == 77 },
			"all but the last": func(j int) bool { return j == Rows-1 },
			"none spoiled":     func(int) bool { return true },
			"all spoiled":      func(int) bool { return false },
		} {
			bad := bytes.Clone(proof)
			var want []int
			for j := range Rows {
				if !good(j) {
					spoil(t, f, bad, j, j)
					want = append(want, j)
				}
			}
			if name == "22 spoiled" && len(want) != 22 {
				t.Fatalf("%d rows", len(want))
			}
			got, rows, err := Decrypt(c, bad, k)
			if !slices.Equal(rows, want) {
				t.Errorf("%s: %s: spoiled rows %v", g.Name(), name, rows)
			}
			if len(want) == Rows {
				if got != nil || !errors.Is(err, ErrCheck) {
					t.Errorf("%s: %s: value %v, error %v", g.Name(), name, got != nil, err)
				}
				continue
			}
			if err != nil || !got.Equal(s) {
				t.Errorf("%s: %s: restored %v, error %v", g.Name(), name, err == nil && got.Equal(s), err)
			}
			if verr := Verify(c, bad); (verr == nil) != (len(want) == 0) {
				t.Errorf("%s: %s: verified: %v", g.Name(), name, verr)
			}
		}
	}
}

// Another's private key opens no row, and the context says so before.
func TestWrongPrivateKey(t *testing.T) {
	c, s, k := sample(t, groups[0])
	proof, other := encrypt(t, c, s, "coins"), newKey(t, "another")
	if _, _, err := Decrypt(c, proof, other); !errors.Is(err, ErrContext) {
		t.Errorf("the context's key is another: %v", err)
	}
	c.Key = other.Public()
	if got, rows, err := Decrypt(c, proof, other); got != nil || len(rows) != Rows || !errors.Is(err, ErrCheck) {
		t.Errorf("proof for another key: value %v, %d spoiled rows, %v", got != nil, len(rows), err)
	}
	k.Wipe()
	c.Key = k.Public()
	if _, _, err := Decrypt(c, proof, k); !errors.Is(err, errWiped) {
		t.Errorf("wiped key: %v", err)
	}
}

// keyOf is what row 0, side 0 is sealed under for a recipient: opening, and Poly1305's r, clamped, and s.
func keyOf(tb testing.TB, f *frame, coins []byte) (epk []byte, open func(sealed []byte) error, poly func() (r, s *big.Int)) {
	tb.Helper()
	if err := f.sealing(); err != nil {
		tb.Fatal(err)
	}
	epk, dh, err := f.to.ephemeral(coins, true)
	if err != nil {
		tb.Fatal(err)
	}
	open = func(sealed []byte) error {
		_, err := f.aead(0, 0, epk, dh, func(a aead, nonce []byte) ([]byte, error) { return a.Open(nil, nonce, sealed, nil) })
		return err
	}
	poly = func() (r, s *big.Int) {
		b := polyKey(tb, f, epk, dh)
		for i, m := range []byte{3: 15, 4: 252, 7: 15, 8: 252, 11: 15, 12: 252, 15: 15} {
			if m != 0 {
				b[i] &= m
			}
		}
		return little(b[:16]), little(b[16:32])
	}
	return epk, open, poly
}

func little(b []byte) *big.Int {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// A ciphertext that opens under two keys, as ChaCha20-Poly1305 allows, gives neither owner anything: the point decides
// (protocols.md 7 #34).
func TestCiphertextThatOpensUnderTwoKeys(t *testing.T) {
	c1, s, k1 := sample(t, groups[0])
	c2, k2 := c1, newKey(t, "another")
	c2.Key = k2.Public()
	f1, err := c1.frame()
	if err != nil {
		t.Fatal(err)
	}
	f2, err := c2.frame()
	if err != nil {
		t.Fatal(err)
	}
	coins := bytes.Repeat([]byte{9}, KeySize)
	epk, open1, poly1 := keyOf(t, f1, coins)
	_, open2, poly2 := keyOf(t, f2, coins)
	both := collide(t, poly1, poly2)
	for i, open := range []func([]byte) error{open1, open2} {
		if err := open(both); err != nil {
			t.Fatalf("does not open under key %d: %v", i+1, err)
		}
	}
	// In row 0, side 0, of a proof that opens side 1 there.
	f, d := dealing(t, c1, s)
	d.rows[0].sealed[0] = slices.Concat(epk, both)
	for opened(hashOf(f, d), 0) != 1 {
		d.seed(Rows-1, 0)[0]++
		if err := f.deal(d, Rows-1, s); err != nil {
			t.Fatal(err)
		}
	}
	proof := d.encode(f.hash(&d.rows))
	if err := Verify(c1, proof); err != nil {
		t.Fatal(err)
	}
	if got, rows, err := Decrypt(c1, proof, k1); err != nil || !got.Equal(s) || !slices.Equal(rows, []int{0}) {
		t.Errorf("first key: restored %v, spoiled rows %v, %v", err == nil && got.Equal(s), rows, err)
	}
	if got, rows, err := Decrypt(c2, proof, k2); got != nil || len(rows) != Rows || !errors.Is(err, ErrCheck) {
		t.Errorf("second key: value %v, %d spoiled rows, %v", got != nil, len(rows), err)
	}
}

// collide makes 32 bytes of ciphertext and one tag that hold under both Poly1305 keys: two linear equations in the two blocks,
// and luck that both blocks fit 128 bits.
func collide(t *testing.T, key1, key2 func() (r, s *big.Int)) []byte {
	t.Helper()
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	block := new(big.Int).Lsh(big.NewInt(1), 128)
	r1, s1 := key1()
	r2, s2 := key2()
	lengths := new(big.Int).Add(block, new(big.Int).Lsh(big.NewInt(group.ScalarSize), 64)) // no associated data, 32 bytes
	rhs := func(tag, r, s *big.Int) *big.Int {                                             // (c1·r + c2)·r² = tag − s − lengths·r
		v := new(big.Int).Sub(tag, s)
		v.Mod(v, block) // the accumulator before s is added, one of its lifts
		v.Sub(v, new(big.Int).Mul(lengths, r))
		inv := new(big.Int).ModInverse(new(big.Int).Mul(r, r), p)
		return v.Mod(v.Mul(v, inv), p)
	}
	slope := new(big.Int).ModInverse(new(big.Int).Mod(new(big.Int).Sub(r1, r2), p), p)
	for n := range int64(10000) {
		tag := new(big.Int).Mod(new(big.Int).Exp(big.NewInt(3), big.NewInt(1000+n), nil), block)
		b1, b2 := rhs(tag, r1, s1), rhs(tag, r2, s2)
		c1 := new(big.Int).Sub(b1, b2)
		c1.Mod(c1.Mul(c1, slope), p)
		c2 := new(big.Int).Sub(b1, new(big.Int).Mul(c1, r1))
		c2.Mod(c2, p)
		if c1.Cmp(block) < 0 || c2.Cmp(block) < 0 || c1.BitLen() > 129 || c2.BitLen() > 129 {
			continue // a block is 2^128 and its 16 bytes
		}
		var out []byte
		for _, v := range []*big.Int{c1, c2, tag} {
			b := new(big.Int).Mod(v, block).FillBytes(make([]byte, 16))
			slices.Reverse(b)
			out = append(out, b...)
		}
		if len(out) != group.ScalarSize+chacha20poly1305.Overhead {
			t.Fatal("wrong length")
		}
		return out
	}
	t.Fatal("no luck")
	return nil
}

// polyKey is the one-time key of Poly1305 under a ciphertext's K and N (RFC 8439 section 2.6).
func polyKey(tb testing.TB, f *frame, epk, dh []byte) []byte {
	tb.Helper()
	kn, err := f.key(0, 0, epk, dh)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := chacha20.NewUnauthenticatedCipher(kn[:chacha20.KeySize], kn[chacha20.KeySize:])
	if err != nil {
		tb.Fatal(err)
	}
	b := make([]byte, 32)
	c.XORKeyStream(b, b)
	return b
}

package pve

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/transcript"
)

func flip(b []byte, at int, mask byte) []byte {
	b = bytes.Clone(b)
	b[at] ^= mask
	return b
}

// offsets are where each row of a proof begins, and its end.
func offsets(proof []byte) (at [Rows + 1]int) {
	at[0] = digestSize
	for j := range Rows {
		at[j+1] = at[j] + sealedSize + seedSize + group.ScalarSize*opened(proof, j)
	}
	return at
}

// rowsThatOpen are the rows of a proof that open this side.
func rowsThatOpen(proof []byte, side int) (all []int) {
	for j := range Rows {
		if opened(proof, j) == side {
			all = append(all, j)
		}
	}
	return all
}

// A proof holds under one context: nothing it is about can be swapped (protocols.md 7 #26).
func TestProofHoldsForOneContext(t *testing.T) {
	for _, g := range groups {
		c, s, _ := sample(t, g)
		proof := encrypt(t, c, s, "coins")
		for name, change := range map[string]func(*Context){
			"key":       func(c *Context) { c.KeyID[31] ^= 1 },
			"epoch":     func(c *Context) { c.PartialEpoch[0] ^= 1 },
			"session":   func(c *Context) { c.Session[0] ^= 1 },
			"kind":      func(c *Context) { c.Kind = Contribution },
			"dealer":    func(c *Context) { c.Dealer[15] ^= 1 },
			"recipient": func(c *Context) { c.Recipient[0] ^= 1 },
			"parties":   func(c *Context) { c.Dealer, c.Recipient = c.Recipient, c.Dealer },
			"index":     func(c *Context) { c.At++ },
			"k":         func(c *Context) { c.K-- },
			"index, k":  func(c *Context) { c.At, c.K = 3, 7 },
			"point":     func(c *Context) { c.Point = c.Point.Add(g.Generator()) },
			"−point":    func(c *Context) { c.Point = c.Point.Neg() },
			"ek":        func(c *Context) { c.Key = newKey(t, "another").Public() },
		} {
			other := c
			change(&other)
			if err := Verify(other, proof); !errors.Is(err, ErrCheck) {
				t.Errorf("%s: another %s: %v", g.Name(), name, err)
			}
		}
		if err := Verify(c, proof); err != nil {
			t.Errorf("%s: %v", g.Name(), err)
		}
	}
	// Of the other group: scalars of one may have no encoding in the other.
	c, s, _ := sample(t, groups[0])
	other, _, _ := sample(t, groups[1])
	if err := Verify(other, encrypt(t, c, s, "coins")); !errors.Is(err, ErrCheck) && !errors.Is(err, ErrEncoding) {
		t.Errorf("another group: %v", err)
	}
}

// A proof under another label, or of another suite, is no proof.
func TestProofHoldsForOneLabel(t *testing.T) {
	c, s, _ := sample(t, groups[0])
	proof := encrypt(t, c, s, "coins")
	for name, change := range map[string]func(tree []byte) []byte{
		"label": func(b []byte) []byte {
			return bytes.Replace(b, []byte(transcript.PVEContext.String()), []byte("ostraka/1/pve/contexU"), 1)
		},
		"suite": func(b []byte) []byte { return bytes.Replace(b, []byte("ostraka-pve-1"), []byte("ostraka-pve-2"), 1) },
		"none":  bytes.Clone,
	} {
		f, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		f.tree = change(f.tree)
		f.digest = sha256.Sum256(f.tree)
		if err := f.verify(proof); (err == nil) != (name == "none") || err != nil && !errors.Is(err, ErrCheck) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// Contexts that cannot be are our own fault, whatever the proof.
func TestContextRefuses(t *testing.T) {
	for _, g := range groups {
		c, s, k := sample(t, g)
		proof := encrypt(t, c, s, "coins")
		other := groups[0]
		if other == g {
			other = groups[1]
		}
		for want, change := range map[string]func(*Context){
			"group is missing":       func(c *Context) { c.Group = nil },
			"point is missing":       func(c *Context) { c.Point = nil },
			"not of " + other.Name(): func(c *Context) { c.Group = other },
			"identity":               func(c *Context) { c.Point = g.Identity() },
			"unknown kind 0":         func(c *Context) { c.Kind = 0 },
			"unknown kind 3":         func(c *Context) { c.Kind = Contribution + 1 },
			"index is 0":             func(c *Context) { c.At = 0 },
			"k is 0":                 func(c *Context) { c.K = 0 },
			"k is -1":                func(c *Context) { c.K = -1 },
			"k is 65536":             func(c *Context) { c.K = 65536 },
			"low order":              func(c *Context) { c.Key = Key{} },
			"bit 255":                func(c *Context) { c.Key[31] |= 0x80 },
		} {
			bad := c
			change(&bad)
			_, err := Encrypt(bad, s, stream("coins"))
			_, _, derr := Decrypt(bad, proof, k)
			for op, err := range map[string]error{"encrypt": err, "verify": Verify(bad, proof), "decrypt": derr} {
				if !errors.Is(err, ErrContext) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), op) {
					t.Errorf("%s: %s: got %v, want %q", g.Name(), op, err, want)
				}
			}
		}
		for name, s := range map[string]group.Scalar{"another": s.Add(g.Scalar(1)), "none": nil, "another group's": other.Scalar(1), "zero": g.Scalar(0)} {
			if _, err := Encrypt(c, s, stream("coins")); !errors.Is(err, ErrContext) {
				t.Errorf("%s: value is %s: %v", g.Name(), name, err)
			}
		}
	}
}

// Each field of a row counts, in each row that is tried, and so does each bit of the digest (protocols.md 7 #2).
func TestEveryFieldOfARowCounts(t *testing.T) {
	for _, g := range groups {
		c, s, _ := sample(t, g)
		proof := encrypt(t, c, s, "coins")
		at := offsets(proof)
		for _, j := range []int{0, 1, 64, Rows - 1, rowsThatOpen(proof, 0)[7], rowsThatOpen(proof, 1)[7]} {
			for name, o := range map[string]int{"epk": 3, "ciphertext": KeySize, "tag": sealedSize - 1, "seed": sealedSize + 5, "half": sealedSize + seedSize + 20} {
				if at[j]+o >= at[j+1] {
					continue
				}
				if err := Verify(c, flip(proof, at[j]+o, 1)); !errors.Is(err, ErrCheck) {
					t.Errorf("%s: row %d: another %s: %v", g.Name(), j, name, err)
				}
			}
		}
		for i := challengeSize; i < digestSize; i += 5 {
			if err := Verify(c, flip(proof, i, 0x10)); !errors.Is(err, ErrCheck) {
				t.Errorf("%s: byte %d of h: %v", g.Name(), i, err)
			}
		}
	}
}

// A bit of h that is flipped alone makes the length wrong; two that cancel move all rows between them.
func TestChallengeBitsCount(t *testing.T) {
	c, s, _ := sample(t, groups[0])
	proof := encrypt(t, c, s, "coins")
	for bit := range 8 * challengeSize {
		if err := Verify(c, flip(proof, bit/8, 1<<(bit%8))); !errors.Is(err, ErrEncoding) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
	zero, one := rowsThatOpen(proof, 0)[3], rowsThatOpen(proof, 1)[3]
	moved := flip(flip(proof, zero/8, 1<<(zero%8)), one/8, 1<<(one%8))
	if err := Verify(c, moved); !errors.Is(err, ErrCheck) && !errors.Is(err, ErrEncoding) {
		t.Errorf("rows %d and %d with the other side open: %v", zero, one, err)
	}
}

// Fewer rows, rows twice, rows that change places: refused.
func TestRowsAreCountedAndOrdered(t *testing.T) {
	c, s, _ := sample(t, groups[0])
	proof := encrypt(t, c, s, "coins")
	at := offsets(proof)
	for j := range Rows {
		fewer := slices.Concat(proof[:at[j]], proof[at[j+1]:])
		if err := Verify(c, fewer); !errors.Is(err, ErrEncoding) {
			t.Errorf("without row %d: %v", j, err)
		}
	}
	for side := range 2 {
		same := rowsThatOpen(proof, side)
		i, j := same[0], same[len(same)-1]
		rowI, rowJ := proof[at[i]:at[i+1]], proof[at[j]:at[j+1]]
		for name, bad := range map[string][]byte{
			"swapped": slices.Concat(proof[:at[i]], rowJ, proof[at[i+1]:at[j]], rowI, proof[at[j+1]:]),
			"twice":   slices.Concat(proof[:at[j]], rowI, proof[at[j+1]:]),
		} {
			if err := Verify(c, bad); !errors.Is(err, ErrCheck) {
				t.Errorf("rows %d and %d %s: %v", i, j, name, err)
			}
		}
	}
	two := encrypt(t, c, s, "other coins")
	mixed := bytes.Clone(proof)
	for _, side := range []int{0, 1} {
		a, b := rowsThatOpen(proof, side), rowsThatOpen(two, side)
		from := offsets(two)
		copy(mixed[at[a[0]]:at[a[0]+1]], two[from[b[0]]:from[b[0]+1]])
	}
	if err := Verify(c, mixed); !errors.Is(err, ErrCheck) {
		t.Errorf("rows of another proof: %v", err)
	}
}

// The length is that of the digest's bits, to the byte, for every count of bits.
func TestLengthIsExact(t *testing.T) {
	for ones := range Rows + 1 {
		proof := make([]byte, MinSize+ones*group.ScalarSize, MaxSize+1)
		for i := range ones { // in an order that fills bytes unevenly
			bit := i * 37 % Rows
			proof[bit/8] |= 1 << (bit % 8)
		}
		if _, _, err := parse(proof); err != nil {
			t.Fatalf("%d bits: %v", ones, err)
		}
		for _, n := range []int{len(proof) - 32, len(proof) - 1, len(proof) + 1} {
			if n > cap(proof) {
				continue
			}
			if _, _, err := parse(proof[:n]); !errors.Is(err, ErrEncoding) {
				t.Errorf("%d bits, %d bytes: %v", ones, n, err)
			}
		}
	}
	for _, n := range []int{0, 1, digestSize, MinSize - 1, MaxSize + 1, 1 << 20} {
		if _, _, err := parse(bytes.Repeat([]byte{0xff}, n)); !errors.Is(err, ErrEncoding) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if MinSize != 14368 || MaxSize != 18464 || MaxSize > 20000 {
		t.Errorf("sizes are %d to %d", MinSize, MaxSize)
	}
}

// What no honest dealer sends is named by its row.
func TestMalformedRowsAreNamed(t *testing.T) {
	for _, g := range groups {
		c, s, _ := sample(t, g)
		proof := encrypt(t, c, s, "coins")
		at, one := offsets(proof), rowsThatOpen(proof, 1)[2]
		half := func(v []byte) []byte {
			b := bytes.Clone(proof)
			copy(b[at[one]+sealedSize+seedSize:], v)
			return b
		}
		epk := func(v []byte) []byte {
			b := bytes.Clone(proof)
			copy(b[at[one]:], v)
			return b
		}
		notPoint := bytes.Repeat([]byte{0xff}, 32)
		notPoint[31] = 0x7f
		for name, c1 := range map[string]struct {
			proof []byte
			want  error
		}{
			"half ≥ q":           {half(bytes.Repeat([]byte{0xff}, 32)), ErrEncoding},
			"half = s":           {half(s.Bytes()), ErrCheck}, // its point is the identity
			"half = 0":           {half(make([]byte, 32)), ErrCheck},
			"epk of low order":   {epk(lowOrder[3][:]), ErrEncoding},
			"epk 0":              {epk(make([]byte, 32)), ErrEncoding},
			"epk not canonical":  {epk(notPoint), ErrEncoding},
			"epk with a top bit": {flip(proof, at[one]+31, 0x80), ErrEncoding},
		} {
			err := Verify(c, c1.proof)
			if !errors.Is(err, c1.want) {
				t.Errorf("%s: %s: %v", g.Name(), name, err)
			}
			if name != "half = 0" && !strings.Contains(err.Error(), "row "+strconv.Itoa(one)+":") {
				t.Errorf("%s: %s: the row is not named: %v", g.Name(), name, err)
			}
		}
	}
}

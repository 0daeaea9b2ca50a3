package ot

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"math"
	"math/bits"
	"testing"

	"github.com/gtank/ristretto255"
)

func baseCase(t *testing.T, name string) (c *Chooser, m []byte, keys *[columns][2]key) {
	t.Helper()
	r := stream(name)
	c, phi, err := NewChooser(idOf(name, 0), r)
	if err != nil {
		t.Fatal(err)
	}
	m = make([]byte, ChoiceSize)
	keys, err = answerBase(c.base.id, r, phi, m)
	if err != nil {
		t.Fatal(err)
	}
	return c, m, keys
}

func TestBaseTransfer(t *testing.T) {
	c, m, keys := baseCase(t, "base")
	got, err := c.base.keys(m)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[key]bool{}
	for i := range columns {
		v := bit(c.base.choice[:], i)
		if got[i] != keys[i][v] {
			t.Errorf("instance %d: the chosen key differs from the sender's", i)
		}
		if got[i] == keys[i][1-v] {
			t.Errorf("instance %d: the receiver has the other key", i)
		}
		seen[keys[i][0]], seen[keys[i][1]] = true, true
	}
	if len(seen) != slots {
		t.Errorf("%d keys, %d different ones", slots, len(seen))
	}
}

// badPoints are encodings that both sides refuse in every slot.
var badPoints = map[string][]byte{
	"identity":          make([]byte, 32),
	"not canonical (p)": append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f),
	"negative":          append([]byte{1}, make([]byte, 31)...),
	"all ones":          bytes.Repeat([]byte{0xff}, 32),
}

func TestBadPointsAreRefused(t *testing.T) {
	c, m, _ := baseCase(t, "bad points")
	_, answer, err := Answer(c.base.id, stream("answer"), c.base.phi)
	if err != nil {
		t.Fatal(err)
	}
	copy(answer, m)
	for name, enc := range badPoints {
		for _, i := range []int{0, 77, columns - 1} {
			for v := range byte(2) {
				phi := bytes.Clone(c.base.phi)
				copy(slot(phi, i, v), enc)
				if l, msg, err := Answer(c.base.id, stream("answer"), phi); !errors.Is(err, ErrEncoding) || l != nil || msg != nil {
					t.Errorf("%s as φ_%d of instance %d: %v, want ErrEncoding", name, v, i, err)
				}
				// Whether the bad slot is the chosen one must not matter.
				bad := bytes.Clone(answer)
				copy(slot(bad, i, v), enc)
				if _, err := clone(c).Finish(bad); !errors.Is(err, ErrEncoding) || errors.Is(err, ErrCheck) {
					t.Errorf("%s as M_%d of instance %d: %v, want ErrEncoding", name, v, i, err)
				}
			}
		}
	}
}

// φ₀ = −H(…, φ₁) makes P₀ = 0, and key₀ known to everybody.
func TestIdentityAsMaskedPointIsRefused(t *testing.T) {
	c, _, _ := baseCase(t, "P = 0")
	for v := range byte(2) {
		phi := bytes.Clone(c.base.phi)
		other := slot(phi, 3, 1-v)
		copy(slot(phi, 3, v), maskPoint(c.base.id, 3, v, other).Neg().Bytes())
		if _, _, err := Answer(c.base.id, stream("answer"), phi); !errors.Is(err, ErrEncoding) {
			t.Errorf("slot %d: %v, want ErrEncoding", v, err)
		}
	}
}

// A receiver that sends the same points everywhere, in both slots too, gains nothing: instance, slot
// and the sender's fresh exponents separate the keys (TOB-BRON-3).
func TestRepeatedPointsGiveDistinctKeys(t *testing.T) {
	c, _, _ := baseCase(t, "repeated")
	phi := bytes.Repeat(slot(c.base.phi, 0, 0), slots)
	m := make([]byte, ChoiceSize)
	keys, err := answerBase(c.base.id, stream("answer"), phi, m)
	if err != nil {
		t.Fatal(err)
	}
	seen, points := map[key]bool{}, map[string]bool{}
	for i := range columns {
		for v := range byte(2) {
			seen[keys[i][v]] = true
			points[string(slot(m, i, v))] = true
		}
	}
	if len(seen) != slots || len(points) != slots {
		t.Errorf("%d keys and %d points M, want %d of each", len(seen), len(points), slots)
	}
}

// With one sender's exponent for both sides, keys differ by psid, instance, slot and transcript.
func TestBaseKeyBindsEverything(t *testing.T) {
	c, m, _ := baseCase(t, "binds")
	id, phi := c.base.id, c.base.phi
	shared := ristretto.Generator()
	seen := map[key]string{}
	add := func(name string, k key) {
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s give the same key", name, other)
		}
		seen[k] = name
	}
	other := id
	other[0] ^= 1
	swapped := bytes.Clone(phi)
	copy(slot(swapped, 0, 0), slot(phi, 0, 1))
	copy(slot(swapped, 0, 1), slot(phi, 0, 0))
	same := bytes.Clone(phi)
	copy(slot(same, 1, 0), slot(phi, 0, 0))
	copy(slot(same, 1, 1), slot(phi, 0, 1))
	add("base", id.baseKey(0, 0, phi, slot(m, 0, 0), shared))
	add("psid", other.baseKey(0, 0, phi, slot(m, 0, 0), shared))
	add("instance", id.baseKey(1, 0, same, slot(m, 0, 0), shared))
	add("slot", id.baseKey(0, 1, phi, slot(m, 0, 0), shared))
	add("φ", id.baseKey(0, 0, swapped, slot(m, 0, 0), shared))
	add("M", id.baseKey(0, 0, phi, slot(m, 0, 1), shared))
	add("shared point", id.baseKey(0, 0, phi, slot(m, 0, 0), shared.Add(shared)))
}

// TOB-BRON-2: the choice bits for one peer say nothing about those for another.
func TestChoiceBitsAreFreshPerPeer(t *testing.T) {
	r := stream("peers")
	var all [][columns / 8]byte
	for n := range 6 {
		c, _, err := NewChooser(idOf("peer", n), r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.base.choice)
	}
	for i := range all {
		for j := range i {
			d := 0
			for n := range all[i] {
				d += bits.OnesCount8(all[i][n] ^ all[j][n])
			}
			if d < 32 || d > 96 { // 64 ± 5.6σ
				t.Errorf("peers %d and %d: %d of 128 choice bits differ", i, j, d)
			}
		}
	}
}

// The slot that was chosen must look like the other one: for each bit of the encoding, how
// often it is set in chosen and in unchosen slots (Devious Transfer: XOR masks failed this).
func TestSlotsDoNotShowTheChoice(t *testing.T) {
	const runs = 16
	var ones [2][256]int
	choices := 0
	for n := range runs {
		c, phi, err := NewChooser(idOf("statistics", n), stream(string(rune('a'+n))))
		if err != nil {
			t.Fatal(err)
		}
		for i := range columns {
			v := bit(c.base.choice[:], i)
			choices += int(v)
			for j := range 256 {
				ones[0][j] += int(bit(slot(phi, i, v), j))
				ones[1][j] += int(bit(slot(phi, i, 1-v), j))
			}
		}
	}
	const n = runs * columns
	if z := math.Abs(float64(choices)-n/2) / math.Sqrt(n/4); z > 5 {
		t.Errorf("%d of %d choice bits are set", choices, n)
	}
	for j := range 256 {
		if z := math.Abs(float64(ones[0][j]-ones[1][j])) / math.Sqrt(n/2); z > 5 {
			t.Errorf("bit %d is set %d times in chosen slots and %d times in others", j, ones[0][j], ones[1][j])
		}
	}
}

// The formulas of spec/ot 2, written out once more over the library itself.
func TestBaseTransferFormulas(t *testing.T) {
	c, m, keys := baseCase(t, "formulas")
	id, phi := c.base.id, c.base.phi
	for _, i := range []int{0, 1, columns - 1} {
		v := int(bit(c.base.choice[:], i))
		element := func(b []byte) *ristretto255.Element {
			e := ristretto255.NewElement()
			if err := e.Decode(b); err != nil {
				t.Fatal(err)
			}
			return e
		}
		var b ristretto255.Scalar
		if err := b.Decode(c.base.exponent[i].Bytes()); err != nil {
			t.Fatal(err)
		}
		phi0, phi1 := phi[64*i:64*i+32], phi[64*i+32:64*i+64]
		mine, other := phi0, phi1
		if v == 1 {
			mine, other = phi1, phi0
		}
		uniform := sha512.Sum512(refTree("base-point", id[:], i, v, other))
		p := ristretto255.NewElement().FromUniformBytes(uniform[:])
		p.Add(p, element(mine))
		if p.Equal(ristretto255.NewElement().ScalarBaseMult(&b)) != 1 {
			t.Errorf("instance %d: φ_c + H(…) is not b·G", i)
		}
		chosen := m[64*i+32*v : 64*i+32*v+32]
		shared := ristretto255.NewElement().ScalarMult(&b, element(chosen)).Encode(nil)
		want := refHash("base-key", id[:], i, v, phi0, phi1, chosen, shared)[:16]
		if !bytes.Equal(keys[i][v][:], want) {
			t.Errorf("instance %d: key_c differs from the formula", i)
		}
	}
}

package pve

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
)

type stuck struct{}

func (stuck) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A stuck source gives other seeds to another context or value; the same ones only where everything is the same, which shows nothing new.
func TestStuckSource(t *testing.T) {
	for _, g := range groups {
		c, s, _ := sample(t, g)
		first, err := Encrypt(c, s, stuck{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Encrypt(c, s, stuck{})
		if err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s: one context, two proofs: %v", g.Name(), err)
		}
		seeds := map[string]string{}
		note := func(name string, c Context, r io.Reader, add uint64) {
			v := s.Add(g.Scalar(add))
			c.Point = g.BaseMul(v)
			f, err := c.frame()
			if err != nil {
				t.Fatal(err)
			}
			all, err := f.seeds(v, r)
			if err != nil || len(all) != 2*Rows*seedSize {
				t.Fatalf("%d bytes, %v", len(all), err)
			}
			for i := 0; i < len(all); i += seedSize {
				seed := string(all[i : i+seedSize])
				if other, ok := seeds[seed]; ok {
					t.Errorf("%s: a seed of %s is one of %s", g.Name(), name, other)
				}
				seeds[seed] = name
			}
		}
		note("the sample", c, stuck{}, 0)
		note("another value", c, stuck{}, 1)
		note("other coins", c, stream("coins"), 0)
		c.Session[5]++
		note("another session", c, stuck{}, 0)
		c.Key = newKey(t, "another").Public()
		note("another key", c, stuck{}, 0)
	}
}

// No randomness, no proof.
func TestShortSource(t *testing.T) {
	c, s, _ := sample(t, groups[0])
	for _, n := range []int{0, 1, 31} {
		if proof, err := Encrypt(c, s, bytes.NewReader(make([]byte, n))); proof != nil || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	r := bytes.NewReader(make([]byte, 40))
	if _, err := Encrypt(c, s, r); err != nil || r.Len() != 8 {
		t.Errorf("%d bytes left, %v", r.Len(), err)
	}
}

// What a proof makes us allocate is bounded, and nothing at all for one of a wrong length but the context and its error.
func TestAllocationIsBounded(t *testing.T) {
	c, s, k := sample(t, groups[0])
	proof := encrypt(t, c, s, "coins")
	for name, x := range map[string]struct {
		proof []byte
		most  uint64
	}{
		"a good one":    {proof, 2 << 20},
		"a short one":   {proof[:len(proof)-1], 32 << 10},
		"a long one":    {append(bytes.Clone(proof), make([]byte, 16<<20)...), 32 << 10},
		"an empty one":  {nil, 32 << 10},
		"all bits open": {bytes.Repeat([]byte{0xff}, MaxSize), 256 << 10},
	} {
		for op, do := range map[string]func(){
			"Verify":  func() { _ = Verify(c, x.proof) },
			"Decrypt": func() { _, _, _ = Decrypt(c, x.proof, k) },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			do()
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > x.most {
				t.Errorf("%s of %s allocates %d bytes, more than %d", op, name, got, x.most)
			}
		}
	}
}

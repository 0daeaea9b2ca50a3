package memory

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
)

func arena(t testing.TB, size int) *Arena {
	t.Helper()
	a, err := New(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// Secrets of many sizes come and go: none touches another, each begins with zeros, and all room comes back.
func TestHold(t *testing.T) {
	a := arena(t, 64<<10)
	r := rand.New(rand.NewPCG(1, 2))
	type held struct {
		s secret.Bytes
		b byte
	}
	var all []held
	for i := range 20_000 {
		if len(all) > 0 && (r.IntN(2) == 0 || len(all) > 60) {
			k := r.IntN(len(all))
			h := all[k]
			if !bytes.Equal(h.s.Expose(), bytes.Repeat([]byte{h.b}, h.s.Len())) {
				t.Fatalf("a secret of %d bytes was changed", h.s.Len())
			}
			h.s.Wipe()
			h.s.Wipe()
			all = slices.Delete(all, k, k+1)
			continue
		}
		n := r.IntN(3000)
		s := a.Hold(n)
		if s.Len() != n || !bytes.Equal(s.Expose(), make([]byte, n)) {
			t.Fatalf("%d bytes, not %d zeros", s.Len(), n)
		}
		b := s.Expose()
		for j := range b {
			b[j] = byte(i)
		}
		all = append(all, held{s, byte(i)})
	}
	if x := a.Report(); x.Spilled == 0 || x.Used == 0 {
		t.Errorf("the arena was never full: %+v", x)
	}
	for _, h := range all {
		h.s.Wipe()
	}
	if x := a.Report(); x.Used != 0 || len(a.free) != 1 || a.free[0].size != x.Size {
		t.Errorf("not all came back: %+v, %v", x, a.free)
	}
}

func TestClosed(t *testing.T) {
	a := arena(t, 4096)
	s := a.Hold(10)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if x := a.Hold(5); x.Len() != 5 || a.Report().Spilled != 1 {
		t.Error("a closed arena lends")
	}
	if !bytes.Equal(s.Expose(), make([]byte, 10)) {
		t.Error("what was held still is not overwritten")
	}
	s.Wipe()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestDo(t *testing.T) {
	ran := false
	if Do(func() { ran = true }); !ran {
		t.Error("not run")
	}
}

func BenchmarkHold(b *testing.B) {
	a := arena(b, 64<<10)
	for b.Loop() {
		a.Hold(4096).Wipe()
	}
}

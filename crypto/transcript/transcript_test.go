package transcript

import (
	"bytes"
	"strings"
	"testing"
)

// Two labels that are equal, or one the prefix of another, would let a hash of one
// step stand for another's (TOB-SILA-11).
func TestLabelsAreDistinct(t *testing.T) {
	for i, a := range labels[1:] {
		slashes := 3
		if Label(i+1) == Ed25519Child { // others compute it too, and know it by this name
			slashes = 2
		}
		if !strings.HasPrefix(a, "ostraka/1/") || strings.Count(a, "/") != slashes {
			t.Errorf("label %d is %q, want ostraka/1/<protocol>/<step>", i+1, a)
		}
		for j, b := range labels[1:] {
			if i != j && strings.HasPrefix(a, b) {
				t.Errorf("label %q begins with label %q", a, b)
			}
		}
	}
}

func TestHashTreesAreInjective(t *testing.T) {
	trees := map[string]string{}
	add := func(name string, h *Hash) {
		k := string(h.Tree())
		if other, ok := trees[k]; ok {
			t.Errorf("%s and %s share bytes", name, other)
		}
		trees[k] = name
	}
	l := KeygenCommit
	add("ab,c", New(l).Bytes([]byte("ab")).Bytes([]byte("c")))
	add("a,bc", New(l).Bytes([]byte("a")).Bytes([]byte("bc")))
	add("abc", New(l).Bytes([]byte("abc")))
	add("abc,empty", New(l).Bytes([]byte("abc")).Bytes(nil))
	add("list abc", New(l).List([]byte("abc")))
	add("list ab,c", New(l).List([]byte("ab"), []byte("c")))
	add("list ab + c", New(l).List([]byte("ab")).Bytes([]byte("c")))
	add("empty list", New(l).List())
	add("nothing", New(l))
	add("uint 1", New(l).Uint(1))
	add("bytes of uint 1", New(l).Bytes([]byte{0, 0, 0, 0, 0, 0, 0, 1}))
	add("other label", New(KeygenProof).Bytes([]byte("abc")))
}

func FuzzDecode(f *testing.F) {
	var e Encoder
	e.Bytes(1, []byte("x")).Uint(2, 7).List(3, 2, func(i int, e *Encoder) { e.Uint(1, uint64(i)) })
	f.Add(e.Sum())
	f.Add([]byte{0, 1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		d := NewDecoder(in)
		b, u := d.Bytes(1, 64), d.Uint(2, 1<<40)
		var items []uint64
		d.List(3, 0, 8, func(_ int, d *Decoder) { items = append(items, d.Uint(1, 1<<40)) })
		if d.Done() != nil {
			return
		}
		var e Encoder
		e.Bytes(1, b).Uint(2, u).List(3, len(items), func(i int, e *Encoder) { e.Uint(1, items[i]) })
		if !bytes.Equal(e.Sum(), in) {
			t.Fatalf("decode then encode changed %x to %x", in, e.Sum())
		}
	})
}

// A tree with secrets hashes as any other, and leaves none of them where it was encoded, however often it grew.
func TestSecretTreesAreWiped(t *testing.T) {
	secret := bytes.Repeat([]byte{0xa5}, 32)
	fill := func(h *Hash, lay *[][]byte) *Hash {
		for i := range 40 {
			*lay = append(*lay, h.e.buf)
			h.Bytes(secret).Uint(uint64(i))
		}
		*lay = append(*lay, h.e.buf)
		return h
	}
	for name, sum := range map[string]func(*Hash) string{
		"256": func(h *Hash) string { s := h.Sum256(); return string(s[:]) },
		"512": func(h *Hash) string { s := h.Sum512(); return string(s[:]) },
	} {
		var open, lay [][]byte
		if sum(fill(NewSecret(SessionSeed), &lay)) != sum(fill(New(SessionSeed), &open)) {
			t.Errorf("%s: another hash", name)
		}
		for i, b := range lay {
			if bytes.Contains(b[:cap(b)], secret[:8]) {
				t.Errorf("%s: after %d items the secret still lies where it was encoded then", name, i)
			}
		}
		if !bytes.Contains(open[len(open)-1], secret) {
			t.Errorf("%s: the search finds nothing where something lies", name)
		}
	}
	h := NewSecret(SessionSeed).Bytes(secret)
	tree := h.tree()
	if h.Sum256(); bytes.Contains(tree, secret[:8]) {
		t.Error("the tree that was hashed is left")
	}
}

package frost

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
)

func fuzzSuite(name bool) *suite {
	if name {
		return newEd25519()
	}
	return newBIP340()
}

func FuzzDecodeCommitment(f *testing.F) {
	for _, ed := range []bool{false, true} {
		g := fuzzSuite(ed).group.Generator()
		f.Add(ed, commitment{d: g, e: g.Add(g)}.encode())
		f.Add(ed, make([]byte, 64))
	}
	f.Fuzz(func(t *testing.T, ed bool, in []byte) {
		if c, err := decodeCommitment(fuzzSuite(ed).group, in); err == nil && !bytes.Equal(c.encode(), in) {
			t.Fatalf("decode then encode changed %x", in)
		}
	})
}

func FuzzDecodeShare(f *testing.F) {
	f.Add(false, bytes.Repeat([]byte{0xff}, 32))
	f.Add(true, make([]byte, 32))
	f.Fuzz(func(t *testing.T, ed bool, in []byte) {
		if z, err := decodeShare(fuzzSuite(ed).group, in); err == nil && !bytes.Equal(z.Bytes(), in) {
			t.Fatalf("decode then encode changed %x", in)
		}
	})
}

// Nothing that a stranger makes up beside an honest signer's message convicts it, and nothing panics.
func FuzzProves(f *testing.F) {
	s := newStand(f, BIP340, 2, 2, 1, 0)
	var list [][]byte
	var honest engine.Msg
	for _, m := range s.now {
		if m.Kind == KindCommit {
			list = append(list, m.Body)
		} else if m.From == s.all[0].Self.ID {
			honest = m
		}
	}
	f.Add(list[0], list[1])
	f.Add([]byte{}, list[1])
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if Proves(third(s.all[1]), honest.From, [][]byte{a, b}, honest) {
			t.Fatal("an honest signer is convicted")
		}
	})
}

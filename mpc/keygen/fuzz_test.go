package keygen

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

func FuzzDecodeOpening(f *testing.F) {
	groups := []group.Group{secp256k1.Group{}, ristretto255.Group{}}
	for i, g := range groups {
		f.Add(i == 1, sent(f, committee(g, 2, 3, sid, 1), KindOpening))
	}
	f.Add(false, []byte{2})
	f.Fuzz(func(t *testing.T, second bool, in []byte) {
		g := groups[0]
		if second {
			g = groups[1]
		}
		if o, err := decodeOpening(g, 2, 3, in); err == nil && !bytes.Equal(o.encode(), in) {
			t.Fatal("decode then encode changed an opening")
		}
	})
}

// Whatever opening and complaint come, honest dealers' openings are not proved wrong, and
// nothing panics.
func FuzzProves(f *testing.F) {
	all := committee(secp256k1.Group{}, 2, 3, sid, 1)
	opening, ids := sent(f, all, KindOpening), enginetest.IDs(3)
	f.Add(uint8(1), sent(f, committee(secp256k1.Group{}, 2, 3, sid, 1), KindShare))
	f.Add(uint8(2), make([]byte, 64))
	f.Fuzz(func(t *testing.T, accuser uint8, complaint []byte) {
		if Proves(all[2], ids[0], ids[accuser%3], opening, complaint) {
			t.Fatal("frames an honest dealer")
		}
	})
}

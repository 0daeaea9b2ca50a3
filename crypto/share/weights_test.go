package share

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

func TestLagrangeAllIsLagrange(t *testing.T) {
	for _, g := range []group.Group{secp256k1.Group{}, edwards25519.Group{}} {
		for _, set := range [][]Index{{}, {7}, {1, 2}, {3, 1, 2}, {1, 9, 300, MaxIndex}, {65534, 2, 65533, 1, 4}} {
			all, err := LagrangeAll(g, set)
			if err != nil || len(all) != len(set) {
				t.Fatal(err)
			}
			for k, i := range set {
				if want, err := Lagrange(g, i, set); err != nil || !all[k].Equal(want) {
					t.Errorf("%v: weight of %d is another: %v", set, i, err)
				}
			}
		}
		for _, set := range [][]Index{{0}, {1, 0}, {1, 2, 1}} {
			if _, err := LagrangeAll(g, set); err == nil {
				t.Errorf("%v passes", set)
			}
		}
	}
}

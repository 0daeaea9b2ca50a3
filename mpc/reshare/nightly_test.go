//go:build nightly

package reshare

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/malice"
)

func TestEveryMutation(t *testing.T) {
	for _, s := range stands(t) {
		t.Run(s.name, func(t *testing.T) { matrix(t, s, malice.All) })
	}
}

func TestEveryMutationOfFive(t *testing.T) {
	v := newVault(t, secp256k1.Group{}, 3, 0, 1, 2, 3, 4)
	for _, s := range []*stand{
		newStand(t, "refresh", 4, 2, v, (*vault).refresh),
		newStand(t, "three stay", 2, 6, v, func(v *vault, id engine.SessionID, seed uint64) []Params {
			return v.reshare(t, 4, []int{0, 1, 2, 3, 4}, []int{2, 3, 4, 5, 6}, id, seed)
		}),
		newStand(t, "none stays", 1, 9, v, func(v *vault, id engine.SessionID, seed uint64) []Params {
			return v.reshare(t, 3, []int{0, 1, 4}, []int{5, 6, 7, 8, 9}, id, seed)
		}),
	} {
		t.Run(s.name, func(t *testing.T) { matrix(t, s, malice.Each) })
	}
}

func TestHundredEpochsOfSecp256k1(t *testing.T) { hundred(t, secp256k1.Group{}, 100) }

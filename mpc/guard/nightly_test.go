//go:build nightly

package guard

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/malice"
)

func TestEveryMutation(t *testing.T) {
	for _, s := range stands(t) {
		t.Run(s.name, func(t *testing.T) { matrix(t, s, secp256k1.Group{}, malice.All) })
	}
}

func TestEveryMutationOfEd25519(t *testing.T) {
	g := edwards25519.Group{}
	s := newStand(t, "four", newVault(t, g, 3, 4, 2, 3, 5, true), 2, 3)
	t.Run(s.name, func(t *testing.T) { matrix(t, s, g, malice.Each) })
}

//go:build nightly

package dkls

import (
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/mpc/malice"
)

// Every mutation, with every position of the corrupt signer and of its victim.
func TestEveryMutationOfThree(t *testing.T) {
	for corrupt := range 3 {
		for victim := range 3 {
			if corrupt != victim {
				t.Run(fmt.Sprintf("%d against %d", corrupt, victim), func(t *testing.T) {
					matrix(t, newStand(t, 2, 3, corrupt, victim), malice.All)
				})
			}
		}
	}
}

func TestEveryMutationOfFive(t *testing.T) { matrix(t, newStand(t, 3, 5, 4, 2), malice.All) }

func TestEveryMutationOfThreePresigning(t *testing.T) {
	for corrupt := range 3 {
		for victim := range 3 {
			if corrupt != victim {
				t.Run(fmt.Sprintf("%d against %d", corrupt, victim), func(t *testing.T) {
					matrix(t, newPresignStand(t, 2, 3, corrupt, victim), malice.All)
					matrix(t, newOnlineStand(t, 2, 3, corrupt, victim), malice.All)
				})
			}
		}
	}
}

func TestEveryMutationOfFivePresigning(t *testing.T) {
	matrix(t, newPresignStand(t, 3, 5, 4, 2), malice.All)
	matrix(t, newOnlineStand(t, 3, 5, 4, 2), malice.All)
}

func TestManySignaturesAreUnbiased(t *testing.T) { unbiased(t, 20_000) }

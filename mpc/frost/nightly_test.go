//go:build nightly

package frost

import (
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/mpc/malice"
)

// Every mutation, with every position of the corrupt signer and of its victim.
func TestEveryMutationOfThree(t *testing.T) {
	for _, suite := range suites {
		for corrupt := range 3 {
			for victim := range 3 {
				if corrupt != victim {
					t.Run(fmt.Sprintf("%s, %d against %d", suite, corrupt, victim), func(t *testing.T) {
						matrix(t, newStand(t, suite, 2, 3, corrupt, victim), malice.All)
					})
				}
			}
		}
	}
}

func TestEveryMutationOfFive(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) { matrix(t, newStand(t, suite, 3, 5, 4, 2), malice.All) })
	}
}

func TestHundredThousandSignatures(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) { statistics(t, suite, 100_000) })
	}
}

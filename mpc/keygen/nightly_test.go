//go:build nightly

package keygen

import (
	"testing"

	"github.com/ostraka/ostraka/mpc/malice"
)

func TestEveryMutation(t *testing.T) { matrix(t, newStand(t, 3, 3), malice.All) }

func TestEveryMutationOfThreeInFive(t *testing.T) { matrix(t, newStand(t, 3, 5), malice.Each) }

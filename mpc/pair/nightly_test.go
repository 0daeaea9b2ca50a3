//go:build nightly

package pair

import (
	"testing"

	"github.com/ostraka/ostraka/mpc/malice"
)

func TestEveryMutation(t *testing.T) { matrix(t, newStand(t, 3), 3, malice.All) }

func TestOneMutationPerFieldOfFive(t *testing.T) { matrix(t, newStand(t, 5), 5, malice.One) }

package ceremony

import (
	"github.com/ostraka/ostraka/mpc/engine"
)

// unguarded is a key generation of a vault without an SOS plan.
func unguarded(s Seat) (engine.Stage[Prepared], error) { return Keygen(s, nil) }

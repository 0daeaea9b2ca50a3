//go:build !nightly

package node_test

// pick takes half of n blows, others each day; nightly all are struck.
func pick(all []blow, n int) []blow { return rotate(all, n/2) }

const (
	forbidden   = 200 // intents that patched nodes allow
	storms      = 12
	cloneSigns  = 25 // in each part of the network
	rivalries   = 8  // circles with rival charters
	cameAtLeast = 3  // of them saw a second version
)

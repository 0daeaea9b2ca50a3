//go:build nightly

package node_test

func pick(all []blow, _ int) []blow { return all }

const (
	forbidden   = 2000 // intents that patched nodes allow
	storms      = 200
	cloneSigns  = 500 // in each part of the network
	rivalries   = 20
	cameAtLeast = 8
)

//go:build !nightly

package node_test

func pick(all []blow, n int) []blow { return rotate(all, n) }

const (
	forbidden  = 200 // intents that patched nodes allow
	storms     = 12
	cloneSigns = 25 // in each part of the network
)

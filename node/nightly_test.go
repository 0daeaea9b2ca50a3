//go:build nightly

package node_test

func pick(all []blow, _ int) []blow { return all }

const (
	storms     = 200
	cloneSigns = 500 // in each part of the network
)

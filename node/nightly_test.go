//go:build nightly

package node_test

func pick(all []blow, _ int) []blow { return all }

const storms = 200

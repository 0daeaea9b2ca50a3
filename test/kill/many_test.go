//go:build nightly

package kill

const kills = 10 // in an act of weight 1: 80 in all

// orders says whether the node is run before the command is again: both.
func orders(int) []string { return []string{"run", "again"} }

// failingSyncs are those of a node's syncs that fail, from its start on.
var failingSyncs = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 24, 28, 33, 38, 44, 50}

//go:build !nightly

package kill

const kills = 2 // in an act of weight 1: 4 each in the refresh and the two reshares, 16 in all

// orders says whether the node is run before the command is again: the one or the other, every day another.
func orders(i int) []string { return []string{[]string{"run", "again"}[(i+*day)%2]} }

// failingSyncs are those of a node's syncs that fail, from its start on.
var failingSyncs = []int{9, 30}

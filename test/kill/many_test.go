//go:build nightly

package kill

const kills = 10 // in an act of weight 1: 80 in all

// orders says whether the node is run before the command is again: both.
func orders(int) []string { return []string{"run", "again"} }

//go:build nightly

package kill

const kills = 10 // in an act of weight 1: 80 in all

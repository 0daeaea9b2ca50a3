//go:build !nightly

package kill

const kills = 2 // in an act of weight 1: 4 each in the refresh and the two reshares, 16 in all

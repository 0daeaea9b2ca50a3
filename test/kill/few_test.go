//go:build !nightly

package kill

const kills = 12

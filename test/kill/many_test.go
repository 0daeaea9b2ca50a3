//go:build nightly

package kill

const kills = 60

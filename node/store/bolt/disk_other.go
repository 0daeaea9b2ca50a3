//go:build unix && !linux

package bolt

import (
	"math"
	"os"
)

// refuseNetwork: only Linux tells file systems apart in one way.
func refuseNetwork(string) error { return nil }

// allocate gives bytes from..to of f space on the disk, and f at least that size.
func allocate(f *os.File, _, to int64) error { return fillZero(f, to) }

// freeBytes: only Linux is asked; elsewhere each write that finds no room says so by itself.
func freeBytes(string) (int64, error) { return math.MaxInt64, nil }

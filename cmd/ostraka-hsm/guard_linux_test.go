//go:build !failpoint

package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The PIN and the data key pass through: no core, and no debugger of the same user.
func TestGuard(t *testing.T) {
	if err := guard(); err != nil {
		t.Fatal(err)
	}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &l); err != nil || l.Max != 0 {
		t.Errorf("a core of %d bytes: %v", l.Max, err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable %d: %v", dumpable, err)
	}
}

//go:build unix

package main

import (
	"syscall"
	"testing"
)

// A process that runs a node leaves no core, and cannot take that back.
func TestWithoutCores(t *testing.T) {
	if err := withoutCores(); err != nil {
		t.Fatal(err)
	}
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &l); err != nil || l.Cur != 0 || l.Max != 0 {
		t.Errorf("cores of %d bytes, %d at most: %v", l.Cur, l.Max, err)
	}
}

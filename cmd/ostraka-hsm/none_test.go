//go:build !cgo

package main

import (
	"os/exec"
	"testing"
)

// The tests run without C, as everything that ships: those of the token run here in a program of their own.
func TestWithC(t *testing.T) {
	cmd := exec.Command("go", "test", "-count=1", ".")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

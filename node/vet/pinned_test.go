package vet_test

import (
	"testing"

	"github.com/ostraka/ostraka/evidence/attest/hardware"
)

func pinned(t *testing.T) hardware.Roots {
	t.Helper()
	r, err := hardware.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

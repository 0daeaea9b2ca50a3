package main

import (
	"crypto/x509"
	"fmt"
	"os"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	anew "github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/vetted"
)

// vettedBy judges records of nodes' hardware anew, by the roots that this program carries and, where the charter lists them, those of a file; "": none.
func vettedBy(file string) (func(vetted.Record, charter.Demand) error, error) {
	pinned, err := hardware.Pinned()
	if err != nil {
		return nil, err
	}
	var given []*x509.Certificate
	if file != "" {
		raw, err := os.ReadFile(file)
		var all attest.Authorities
		if err == nil {
			all, err = attest.ReadAuthorities(raw)
		}
		if err != nil {
			return nil, fmt.Errorf("certificates of makers of hardware, %s: %w", file, err)
		}
		given = append(all.Roots, all.Issuers...)
	}
	return func(r vetted.Record, x charter.Demand) error { return anew.Again(r, x, pinned, given) }, nil
}

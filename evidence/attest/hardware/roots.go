package hardware

import (
	"crypto/x509"
	_ "embed"
	"errors"

	"github.com/ostraka/ostraka/evidence/attest"
)

// Roots that makers publish (roots/SOURCES.md).
var (
	//go:embed roots/amd
	amdRoots []byte
	//go:embed roots/intel
	intelRoots []byte
	//go:embed roots/nitro
	nitroRoots []byte
)

// Roots are the certificates that a reader believes, per kind.
type Roots struct{ TPM, SNP, TDX, Nitro []*x509.Certificate }

// Pinned are those that the program carries: AMD's, Intel's and AWS's. TPMs have many makers: theirs are given.
func Pinned() (Roots, error) {
	var r Roots
	for _, x := range []struct {
		file []byte
		to   *[]*x509.Certificate
	}{{amdRoots, &r.SNP}, {intelRoots, &r.TDX}, {nitroRoots, &r.Nitro}} {
		var err error
		if *x.to, err = ReadRoots(x.file); err != nil {
			return Roots{}, err
		}
	}
	return r, nil
}

// ReadRoots reads a file of roots in PEM, with empty lines and comments after #, or one in DER. Each must have signed itself.
func ReadRoots(file []byte) ([]*x509.Certificate, error) {
	a, err := attest.ReadAuthorities(file)
	if err != nil {
		return nil, err
	}
	if len(a.Issuers) > 0 {
		return nil, errors.New("certificates: " + a.Issuers[0].Subject.String() + " did not sign itself: it is no root")
	}
	return a.Roots, nil
}

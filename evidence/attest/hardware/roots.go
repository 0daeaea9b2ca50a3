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
type Roots struct {
	TPM, SNP, TDX, Nitro []*x509.Certificate

	// Between may stand between a TPM's certificate and a root, where the TPM itself does not hold what its maker's line signed with. They are believed
	// if a root signed them.
	Between []*x509.Certificate
}

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
	roots, between, err := ReadAuthorities(file)
	if err == nil && len(between) > 0 {
		err = errors.New("certificates: " + between[0].Subject.String() + " did not sign itself: it is no root")
	}
	if err != nil {
		return nil, err
	}
	return roots, nil
}

// ReadAuthorities reads such a file in which others may stand besides, and keeps them apart: a maker's roots, and what stands between.
func ReadAuthorities(file []byte) (roots, between []*x509.Certificate, err error) {
	a, err := attest.ReadAuthorities(file)
	return a.Roots, a.Issuers, err
}

package node

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	quote "github.com/ostraka/ostraka/node/quote/tpm"
	"github.com/ostraka/ostraka/node/quote/tsm"
	"github.com/ostraka/ostraka/node/tpm"
	"github.com/ostraka/ostraka/node/vet"
)

// AttestSettings say how this node shows what it runs on, where a charter demands that, and what it judges others by.
type AttestSettings struct {
	Kind  string `json:"kind,omitempty"`  // of this machine: tpm2, sev-snp or tdx; empty: its TPM, where the settings name one
	Carry string `json:"carry,omitempty"` // folder of what makers sign of it, which its evidence carries along
	Roots string `json:"roots,omitempty"` // file of certificates of makers of others' hardware, PEM: those count that the charter lists
	Lists string `json:"lists,omitempty"` // folder of what makers withdrew, and of their word on platforms, that this node holds itself
}

// Holds says whether this node has lists of its own of what makers withdrew.
func (a *AttestSettings) Holds() bool { return a != nil && a.Lists != "" }

// maxRootsFile bounds a file of certificates, in bytes.
const maxRootsFile = 1 << 20

// maker makes evidence of this machine; nil: the settings name none. Paths are as seen from the data folder.
func (s Settings) maker(dir string, device *tpm.Device) (vet.Maker, error) {
	var a AttestSettings
	if s.Attest != nil {
		a = *s.Attest
	}
	if a.Kind == "" && s.TPM != nil {
		a.Kind = charter.KindTPM
	}
	switch a.Kind {
	case "":
		return nil, nil
	case charter.KindSEVSNP, charter.KindTDX:
		return tsm.New(a.Kind, tsm.Folder, within(dir, a.Carry))
	case charter.KindTPM:
		if s.TPM == nil {
			return nil, errors.New("settings: attest: kind tpm2 wants to know which TPM: name its device (tpm, device)")
		}
		pcrs, err := tpm.ParseSelection(s.TPM.PCRs)
		if err != nil {
			return nil, err
		}
		return quoter{quote.New(device, pcrs)}, nil
	}
	return nil, fmt.Errorf("settings: attest: kind: %q is not tpm2, sev-snp or tdx", a.Kind)
}

// quoter is a TPM as a maker.
type quoter struct{ *quote.Quoter }

func (q quoter) Answer(ctx context.Context, challenge []byte) ([]byte, error) {
	secret, err := q.Quoter.Answer(ctx, challenge)
	return secret[:], err
}

// attests is what a node with these settings shows, and judges others by.
func (s Settings) attests(dir string, device *tpm.Device) (maker vet.Maker, means vet.Means, err error) {
	if maker, err = s.maker(dir, device); err == nil {
		means.Certificates, err = s.Attest.roots(dir)
	}
	if err != nil || !s.Attest.Holds() {
		return maker, means, err
	}
	folder := within(dir, s.Attest.Lists)
	means.Held = func() (hardware.Collateral, error) { return readLists(folder) }
	if _, err := means.Held(); err != nil { // now its operator is there to hear of it
		return nil, means, fmt.Errorf("settings: attest: lists: %w", err)
	}
	return maker, means, nil
}

// roots reads the certificates that the operator gave.
func (a *AttestSettings) roots(dir string) ([]*x509.Certificate, error) {
	if a == nil || a.Roots == "" {
		return nil, nil
	}
	path := within(dir, a.Roots)
	raw, err := os.ReadFile(path)
	if err == nil && len(raw) > maxRootsFile {
		err = fmt.Errorf("it has %d bytes, at most %d are read", len(raw), maxRootsFile)
	}
	if err != nil {
		return nil, fmt.Errorf("settings: attest: roots: %w", err)
	}
	all, err := attest.ReadAuthorities(raw)
	if err != nil {
		return nil, fmt.Errorf("settings: attest: roots: %s: %w", path, err)
	}
	return append(all.Roots, all.Issuers...), nil // which of them are believed the charter says
}

func within(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

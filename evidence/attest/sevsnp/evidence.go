package sevsnp

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Kind is the first field of a guest's evidence.
const Kind = "sev-snp"

// Bounds of what evidence carries, in bytes. Peers send it, so that each is checked before anything is read.
const (
	ReportSize     = 1184
	MaxCertificate = 4 << 10
	MaxList        = 8 << 10
	MaxEvidence    = ReportSize + 2*MaxCertificate + MaxList + 64
)

// Fields of evidence (spec/attest 10.1).
const (
	fieldKind transcript.Tag = iota + 1
	fieldReport
	fieldSigner
	fieldIssuer
	fieldWithdrawn
)

// Evidence is what a node in a guest shows. Nothing in it is verified: who decodes it knows its form and no more.
type Evidence struct {
	Report    []byte // ATTESTATION_REPORT, as the processor gave it
	Signer    []byte // certificate of the key that signed it, VCEK or VLEK, DER
	Issuer    []byte // certificate above it, ASK or ASVK, DER
	Withdrawn []byte // AMD's list of withdrawn certificates, DER; empty: not carried
}

// Encode is the canonical form.
func (e *Evidence) Encode() []byte {
	var out transcript.Encoder
	return out.String(fieldKind, Kind).Bytes(fieldReport, e.Report).Bytes(fieldSigner, e.Signer).Bytes(fieldIssuer, e.Issuer).Bytes(fieldWithdrawn, e.Withdrawn).Sum()
}

// Decode reads evidence. Its fields alias b.
func Decode(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidence {
		return nil, fmt.Errorf("decode a SEV-SNP guest's evidence: %d bytes, at most %d are allowed", len(b), MaxEvidence)
	}
	d := transcript.NewDecoder(b)
	if kind := d.String(fieldKind, 32); d.Err() == nil && kind != Kind {
		return nil, fmt.Errorf("decode a SEV-SNP guest's evidence: its kind is %q, not %q", kind, Kind)
	}
	e := &Evidence{
		d.Fixed(fieldReport, ReportSize), d.Bytes(fieldSigner, MaxCertificate),
		d.Bytes(fieldIssuer, MaxCertificate), d.Bytes(fieldWithdrawn, MaxList),
	}
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode a SEV-SNP guest's evidence: %w", err)
	}
	return e, nil
}

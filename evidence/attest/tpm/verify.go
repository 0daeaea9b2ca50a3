package tpm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/pki"
)

// Activated names a pair of keys, an endorsement and an attestation key, that answered a challenge: they lie in one TPM.
type Activated struct{ EK, AK [32]byte }

// Activate names the pair that evidence shows. Whoever asked takes it once the answer to NewChallenge was the secret.
func Activate(e *Evidence) Activated {
	return Activated{sha256.Sum256(e.EK), sha256.Sum256(e.AK)}
}

// Trust is what a reader believes, and the time by which to judge.
type Trust struct {
	Roots     []*x509.Certificate // of makers of TPMs
	Between   []*x509.Certificate // may stand below them, beside what the evidence carries
	Activated *Activated          // what the reader's own challenge showed; nil: it asked nothing
	Now       time.Time
}

// Genuine is a quote that holds.
type Genuine struct {
	Device   [32]byte // SHA-256 of the endorsement key, as SubjectPublicKeyInfo
	Maker    string   // of the TPM, as its certificate says
	Model    string
	Revision string
	Shown    bool // to this reader, that the attestation key lies in the TPM of the endorsement key
	Clock    Clock
	Firmware uint64
	PCRs     []PCR
	Digest   [32]byte // SHA-256 of the PCRs' values
	Expires  time.Time
}

// Verify verifies evidence: that a maker's certificate is of the endorsement key, and the quote is the attestation key's over these PCRs, for
// this node and this nonce. That both keys lie in one TPM only a challenge shows (Trust.Activated).
func (e *Evidence) Verify(t Trust, binding [32]byte) (*Genuine, error) {
	ek, err := readEK(e.EK)
	if err != nil {
		return nil, err
	}
	ak, err := readAK(e.AK)
	if err != nil {
		return nil, err
	}
	g := &Genuine{PCRs: e.PCRs, Shown: t.Activated != nil}
	// A challenge that other keys answered says nothing of these.
	if t.Activated != nil && *t.Activated != Activate(e) {
		return nil, errors.New("attestation key: another pair of keys answered the challenge")
	}
	if err := g.certified(e, ek, t); err != nil {
		return nil, err
	}
	return g, g.quoted(e, ak, binding)
}

// Names of what certificates of endorsement keys say (TCG EK Credential Profile).
var (
	oidAlternative = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidEKUsage     = asn1.ObjectIdentifier{2, 23, 133, 8, 1}
	oidMaker       = asn1.ObjectIdentifier{2, 23, 133, 2, 1}
	oidModel       = asn1.ObjectIdentifier{2, 23, 133, 2, 2}
	oidRevision    = asn1.ObjectIdentifier{2, 23, 133, 2, 3}
)

const fieldCertificate = "endorsement key's certificate"

func (g *Genuine) certified(e *Evidence, ek *public, t Trust) error {
	c, err := pki.Certificate(fieldCertificate, e.EKCertificate)
	if err != nil {
		return err
	}
	between := slices.Clone(t.Between)
	for i, der := range e.Chain {
		up, err := pki.Certificate(fmt.Sprintf("certificate %d above the endorsement key's", i), der)
		if err != nil {
			return err
		}
		between = append(between, up)
	}
	if err := g.names(c); err != nil {
		return err
	}
	path, err := pki.Path(fieldCertificate, c, between, t.Roots, t.Now)
	if err != nil {
		return err
	}
	// Makers' authorities sign for other things as well, attestation keys among them.
	if !slices.ContainsFunc(c.UnknownExtKeyUsage, oidEKUsage.Equal) || c.IsCA {
		return fmt.Errorf("%s: it is not for an endorsement key (%v)", fieldCertificate, oidEKUsage)
	}
	if ek.rsa != nil && !ek.rsa.Equal(c.PublicKey) || ek.ecc != nil && !ek.ecc.Equal(c.PublicKey) {
		return fmt.Errorf("%s: it is of another key", fieldCertificate)
	}
	g.Device, g.Expires = sha256.Sum256(c.RawSubjectPublicKeyInfo), pki.Expires(path)
	return nil
}

// names reads the subject's alternative names. Makers mark them critical and give a directory's name, which Go's x509 leaves unhandled: this
// extension is taken off that list, and no other.
func (g *Genuine) names(c *x509.Certificate) error {
	value, ok := pki.Extension(c, oidAlternative)
	if !ok {
		return fmt.Errorf("%s: it names no maker", fieldCertificate)
	}
	var all []asn1.RawValue
	if err := pki.Whole(value, &all); err != nil {
		return fmt.Errorf("%s: names: %w", fieldCertificate, err)
	}
	for _, v := range all {
		if v.Class != asn1.ClassContextSpecific || v.Tag != 4 {
			continue
		}
		var parts pkix.RDNSequence
		if err := pki.Whole(v.Bytes, &parts); err != nil {
			return fmt.Errorf("%s: names: %w", fieldCertificate, err)
		}
		for _, part := range parts {
			for _, a := range part {
				g.take(a)
			}
		}
	}
	if g.Maker == "" {
		return fmt.Errorf("%s: it names no maker", fieldCertificate)
	}
	c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, oidAlternative.Equal)
	return nil
}

func (g *Genuine) take(a pkix.AttributeTypeAndValue) {
	text, ok := a.Value.(string)
	if !ok || len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return
	}
	switch {
	case a.Type.Equal(oidMaker):
		g.Maker = text
	case a.Type.Equal(oidModel):
		g.Model = text
	case a.Type.Equal(oidRevision):
		g.Revision = text
	}
}

func (g *Genuine) quoted(e *Evidence, ak *public, binding [32]byte) error {
	q, err := readQuote(e.Quote)
	if err != nil {
		return err
	}
	r, s, err := readSignature(e.Signature)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(e.Quote); !ecdsa.Verify(ak.ecc, sum[:], r, s) {
		return errors.New("signature: it is not the attestation key's over the quote")
	}
	// Another node's quote, or one for another nonce.
	if !bytes.Equal(q.extra, binding[:]) {
		return errors.New("quote: its qualifying data are not of this node and this nonce")
	}
	// In another hierarchy a TPM hides its counters from readers.
	if !bytes.Equal(q.signer, qualified(ak.name())) {
		return errors.New("quote: its signer is not the attestation key in the endorsement hierarchy")
	}
	if !slices.EqualFunc(q.pcrs, e.PCRs, func(i uint8, p PCR) bool { return i == p.Index }) {
		return fmt.Errorf("PCRs: the quote is over %v, not over those that are given", q.pcrs)
	}
	h := sha256.New()
	for _, p := range e.PCRs {
		h.Write(p.Value[:])
	}
	if h.Sum(g.Digest[:0]); !bytes.Equal(q.digest, g.Digest[:]) {
		return errors.New("PCRs: the quote is over other values")
	}
	g.Clock, g.Firmware = q.clock, q.firmware
	return nil
}

// qualified is the qualified name of a primary key in the endorsement hierarchy.
func qualified(name []byte) []byte {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint32(nil, endorsement), name...))
	return append([]byte{algSHA256 >> 8, algSHA256 & 0xff}, sum[:]...)
}

// Text is what a charter lists of a machine: which PCRs, and the SHA-256 of their values one after the other.
func (g *Genuine) Text() string {
	var all []string
	for _, p := range g.PCRs {
		all = append(all, fmt.Sprint(p.Index))
	}
	return fmt.Sprintf("%s:%s:%x", Kind, strings.Join(all, ","), g.Digest)
}

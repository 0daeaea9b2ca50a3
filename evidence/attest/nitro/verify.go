package nitro

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/pki"
)

// Trust is what a reader believes, and the time by which to judge.
type Trust struct {
	Roots []*x509.Certificate // AWS's
	Now   time.Time
}

// Genuine is a document that AWS's keys vouch for.
type Genuine struct {
	*Document
	At      time.Time // when the security module signed
	Region  string    // as the signer's certificate names it; empty: it does not
	Expires time.Time // of the certificates: hours
}

// skew is how far the security module's clock may be before ours.
const skew = 5 * time.Minute

// Authenticate verifies who signed: certificates to a root, and the document by the first. What the document says is not judged by it (Judge).
func (e *Evidence) Authenticate(t Trust) (*Genuine, error) {
	d, err := Read(e.Document)
	if err != nil {
		return nil, err
	}
	if d.Digest != "SHA384" {
		return nil, fmt.Errorf("document: digest is %.32q, not SHA384", d.Digest)
	}
	signer, err := pki.Certificate("certificate", d.Certificate)
	if err != nil {
		return nil, err
	}
	key, ok := signer.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P384() {
		return nil, errors.New("certificate: its key is not on P-384")
	}
	half := sizeOfSignature / 2
	sum, r, s := sha512.Sum384(d.signed()), new(big.Int).SetBytes(d.signature[:half]), new(big.Int).SetBytes(d.signature[half:])
	if !ecdsa.Verify(key, sum[:], r, s) {
		return nil, errors.New("document: the signature is not the certificate's")
	}
	var between []*x509.Certificate
	for i, der := range d.Bundle {
		c, err := pki.Certificate(fmt.Sprintf("cabundle %d", i), der)
		if err != nil {
			return nil, err
		}
		between = append(between, c)
	}
	path, err := pki.Path("certificate", signer, between, t.Roots, t.Now)
	if err != nil {
		return nil, err
	}
	if signer.IsCA || len(path) < 2 {
		return nil, errors.New("certificate: it is an authority's, not an enclave's")
	}
	g := &Genuine{Document: d, Expires: pki.Expires(path)}
	if g.At, err = d.at(signer, t.Now); err != nil {
		return nil, err
	}
	if below, ok := strings.CutPrefix(signer.Subject.CommonName, d.Module+"."); ok {
		g.Region = strings.TrimSuffix(below, ".aws")
	}
	return g, nil
}

// at checks when the module signed: not in the future, and while its certificate held.
func (d *Document) at(signer *x509.Certificate, now time.Time) (time.Time, error) {
	const latest = 1 << 48 // milliseconds; some 8,900 years
	if d.Milliseconds == 0 || d.Milliseconds > latest {
		return time.Time{}, fmt.Errorf("document: timestamp %d is no time", d.Milliseconds)
	}
	at := time.UnixMilli(int64(d.Milliseconds)).UTC()
	switch {
	case at.After(now.Add(skew)):
		return time.Time{}, fmt.Errorf("document: timestamp is from the future: %s", at.Format(time.RFC3339))
	case at.Before(signer.NotBefore.Add(-skew)) || at.After(signer.NotAfter):
		return time.Time{}, fmt.Errorf("document: timestamp %s is not of the time of its certificate", at.Format(time.RFC3339))
	}
	return at, nil
}

// Judge decides on what a genuine document says: that it is of our enclave, which nobody else looks into.
func (g *Genuine) Judge(binding [32]byte) error {
	// Another node's document, or one for another nonce.
	if string(g.UserData) != string(binding[:]) {
		return errors.New("document: user_data is not of this node and this nonce")
	}
	instance, enclave, ok := strings.Cut(g.Module, "-enc")
	if !ok || instance == "" || enclave == "" || strings.Trim(g.Module, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("document: module_id %.64q is not an instance's and an enclave's", g.Module)
	}
	for _, i := range []uint8{0, 1, 2} {
		// An enclave started for debugging measures nothing: its console is open to the instance that it runs in.
		if value, ok := g.PCRs[i]; !ok || value == [sizeOfPCR]byte{} {
			return fmt.Errorf("document: PCR %d is missing or zero: the enclave was started for debugging", i)
		}
	}
	return nil
}

// Text is what a charter lists of an enclave: PCR 0, which measures its whole image.
func (g *Genuine) Text() string { return fmt.Sprintf("%s:%x", Kind, g.PCRs[0]) }

// Instance is the machine that the enclave runs in.
func (g *Genuine) Instance() string {
	instance, _, _ := strings.Cut(g.Module, "-enc")
	return instance
}

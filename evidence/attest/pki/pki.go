// Package pki checks what makers of hardware sign for it: certificates, up to a root that the reader has, and lists of what was withdrawn
// (spec/attest 9.3). Bytes in, verdicts out: time and roots are arguments, nothing is fetched.
package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/evidence/attest"
)

// Certificate reads one certificate in DER. Errors begin with the field that held it.
func Certificate(field string, der []byte) (*x509.Certificate, error) {
	if len(der) == 0 {
		return nil, fmt.Errorf("%s: is missing", field)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return c, nil
}

// Path leads from a certificate over others to a root, all of which hold now, and returns it, root last. It says what was withdrawn only if
// asked (Withdrawn).
func Path(field string, leaf *x509.Certificate, between, roots []*x509.Certificate, now time.Time) ([]*x509.Certificate, error) {
	if len(roots) == 0 {
		return nil, &attest.UnknownError{Lacks: fmt.Sprintf("%s: there is no root to judge it by; its issuer is %.128q", field, leaf.Issuer.String())}
	}
	above, upper := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range roots {
		upper.AddCert(c)
	}
	for _, c := range between {
		above.AddCert(c)
	}
	paths, err := leaf.Verify(x509.VerifyOptions{Roots: upper, Intermediates: above, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return paths[0], nil
}

// Expires is when the first of these ceases to hold.
func Expires(path []*x509.Certificate) time.Time {
	var first time.Time
	for _, c := range path {
		first = Sooner(first, c.NotAfter)
	}
	return first
}

// Sooner is the earlier of two times; zero is never.
func Sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// A List says which certificates an issuer has withdrawn, until it is to be fetched again.
type List struct {
	Until   time.Time
	numbers map[string]bool
}

// Withdrawn reads a list in DER, which its issuer signed and which holds now. A stale one is refused: what was withdrawn since is not on it.
func Withdrawn(field string, der []byte, issuer *x509.Certificate, now time.Time) (*List, error) {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	if err := l.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("%s: %.128q did not sign it: %w", field, issuer.Subject.String(), err)
	}
	if err := Dates(field, l.ThisUpdate, l.NextUpdate, now); err != nil {
		return nil, err
	}
	list := &List{l.NextUpdate, map[string]bool{}}
	for _, e := range l.RevokedCertificateEntries {
		list.numbers[e.SerialNumber.String()] = true
	}
	return list, nil
}

// Has says whether a certificate of that issuer was withdrawn.
func (l *List) Has(c *x509.Certificate) bool { return l.numbers[c.SerialNumber.String()] }

// Unjudged says that what the reader holds itself does not hold: that is its own trouble, and says nothing of the evidence.
func Unjudged(whose string, err error) error {
	return &attest.UnknownError{Lacks: whose + ": " + err.Error()}
}

// Dates checks that something signed holds from one time to another, which both must be given.
func Dates(field string, from, until, now time.Time) error {
	switch {
	case from.IsZero() || until.IsZero():
		return fmt.Errorf("%s: does not say until when it holds", field)
	case now.Before(from):
		return fmt.Errorf("%s: is from the future: %s", field, from.UTC().Format(time.RFC3339))
	case now.After(until):
		return fmt.Errorf("%s: is stale since %s: fetch it again", field, until.UTC().Format(time.RFC3339))
	}
	return nil
}

// Extension is the value of a certificate's extension; false if it has none of that name. A parsed certificate has none twice.
func Extension(c *x509.Certificate, name asn1.ObjectIdentifier) ([]byte, bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(name) {
			return e.Value, true
		}
	}
	return nil, false
}

// Whole decodes one DER value with nothing behind it.
func Whole(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("something stands behind its end")
	}
	return err
}

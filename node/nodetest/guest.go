package nodetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest/sevsnp"
)

// A Guest stands for a machine with AMD SEV-SNP: the report of evidence/attest/hardware's tests, of a processor that nobody has, signed anew for whoever asks below a root of its own.
type Guest struct {
	t       testing.TB
	Root    *x509.Certificate
	rootKey *ecdsa.PrivateKey
	key     *ecdsa.PrivateKey
	shown   sevsnp.Evidence
	// Carried is the list of withdrawn certificates that its evidence brings along.
	Carried []byte
}

// NewGuest makes one whose certificates hold around a time.
func NewGuest(t testing.TB, now time.Time) *Guest {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "evidence", "attest", "hardware", "testdata", "sev-snp.evidence"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := sevsnp.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := x509.ParseCertificate(e.Signer)
	if err != nil {
		t.Fatal(err)
	}
	var extra []pkix.Extension
	for _, x := range signer.Extensions {
		if slices.Equal(x.Id[:min(7, len(x.Id))], []int{1, 3, 6, 1, 4, 1, 3704}) {
			extra = append(extra, x)
		}
	}
	g := &Guest{t: t}
	make509 := func(serial int64, name string, ca bool, extra []pkix.Extension, by *x509.Certificate, with *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		form := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), IsCA: ca, BasicConstraintsValid: ca, ExtraExtensions: extra}
		if ca {
			form.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		}
		if by == nil {
			by, with = form, key
		}
		der, err := x509.CreateCertificate(rand.Reader, form, by, &key.PublicKey, with)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, key
	}
	g.Root, g.rootKey = make509(1, "ARK-Genoa", true, nil, nil, nil)
	issuer, issuerKey := make509(2, "SEV-Genoa", true, nil, g.Root, g.rootKey)
	leaf, key := make509(3, "SEV-VCEK", false, extra, issuer, issuerKey)
	g.key, g.shown = key, sevsnp.Evidence{Report: slices.Clone(e.Report), Signer: leaf.Raw, Issuer: issuer.Raw}
	return g
}

// Withdrawn is a list of its maker that holds for a month from a time; with true its guests' issuer is on it.
func (g *Guest) Withdrawn(from time.Time, issuer bool) []byte {
	g.t.Helper()
	form := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.AddDate(0, 1, 0)}
	if issuer {
		form.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(2), RevocationTime: from}}
	}
	der, err := x509.CreateRevocationList(rand.Reader, form, g.Root, g.rootKey)
	if err != nil {
		g.t.Fatal(err)
	}
	return der
}

// Allows is what a charter demands of an operator with such a guest.
func (g *Guest) Allows(operator string, fresh time.Duration) charter.Demand {
	sum := sha256.Sum256(g.Root.Raw)
	r, err := sevsnp.Read(g.shown.Report)
	if err != nil {
		g.t.Fatal(err)
	}
	of := (&sevsnp.Genuine{Report: r}).Text()
	return charter.Demand{Operator: operator, Fresh: fresh, Hardware: []charter.Hardware{{Kind: charter.KindSEVSNP, Roots: [][]byte{sum[:]}, Measurements: []charter.Measurement{{Name: "r1", Value: of}}}}}
}

// Evidence implements vet.Maker.
func (g *Guest) Evidence(_ context.Context, binding [32]byte) ([]byte, error) {
	const data, signature, number = 0x50, 0x2a0, 72
	e := g.shown
	e.Report, e.Withdrawn = slices.Clone(e.Report), g.Carried
	clear(e.Report[data : data+64])
	copy(e.Report[data:], binding[:])
	sum := sha512.Sum384(e.Report[:signature])
	r, s, err := ecdsa.Sign(rand.Reader, g.key, sum[:])
	if err != nil {
		return nil, err
	}
	for i, n := range []*big.Int{r, s} {
		b := n.FillBytes(make([]byte, 48))
		slices.Reverse(b)
		copy(e.Report[signature+i*number:], b)
	}
	return e.Encode(), nil
}

// Answer implements vet.Maker: such a guest is never challenged.
func (g *Guest) Answer(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("it is no TPM")
}

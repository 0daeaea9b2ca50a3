package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/attest"
)

var now = time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)

type authority struct {
	t   *testing.T
	c   *x509.Certificate
	key *ecdsa.PrivateKey
}

func (a *authority) check(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// below makes a certificate below this authority; nil makes a root.
func below(t *testing.T, a *authority, serial int64, ca bool, until time.Time) *authority {
	n := &authority{t: t}
	var err error
	n.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	n.check(err)
	form := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "authority"}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: until, IsCA: ca, BasicConstraintsValid: true}
	if ca {
		form.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	by, with := form, n.key
	if a != nil {
		by, with = a.c, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, form, by, &n.key.PublicKey, with)
	n.check(err)
	n.c, err = x509.ParseCertificate(der)
	n.check(err)
	return n
}

func (a *authority) list(from, until time.Time, numbers ...int64) []byte {
	form := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: until}
	for _, n := range numbers {
		form.RevokedCertificateEntries = append(form.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: from})
	}
	der, err := x509.CreateRevocationList(rand.Reader, form, a.c, a.key)
	a.check(err)
	return der
}

func TestPath(t *testing.T) {
	root := below(t, nil, 1, true, now.AddDate(3, 0, 0))
	middle := below(t, root, 2, true, now.AddDate(1, 0, 0))
	leaf := below(t, middle, 3, false, now.AddDate(2, 0, 0))
	roots, between := []*x509.Certificate{root.c}, []*x509.Certificate{middle.c}
	path, err := Path("leaf", leaf.c, between, roots, now)
	if err != nil || len(path) != 3 || !Expires(path).Equal(middle.c.NotAfter) {
		t.Errorf("%v, %v", path, err)
	}
	var unknown *attest.UnknownError
	for name, c := range map[string]struct {
		between, roots []*x509.Certificate
		now            time.Time
		want           string
		unknown        bool
	}{
		"no root":      {between, nil, now, "leaf: there is no root to judge it by", true},
		"other root":   {between, []*x509.Certificate{below(t, nil, 1, true, now.AddDate(3, 0, 0)).c}, now, "leaf: x509", false},
		"nobody above": {nil, roots, now, "leaf: x509", false},
		"too late":     {between, roots, now.AddDate(1, 0, 1), "leaf: x509: certificate has expired", false},
		"too early":    {between, roots, now.AddDate(-2, 0, 0), "leaf: x509: certificate has expired or is not yet valid", false},
	} {
		_, err := Path("leaf", leaf.c, c.between, c.roots, c.now)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &unknown) != c.unknown {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c, err := Certificate("signer", []byte{1}); c != nil || err == nil || !strings.Contains(err.Error(), "signer: x509") {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := Certificate("signer", nil); err == nil || !strings.Contains(err.Error(), "signer: is missing") {
		t.Error(err)
	}
}

func TestWithdrawn(t *testing.T) {
	root := below(t, nil, 1, true, now.AddDate(3, 0, 0))
	good, bad := below(t, root, 2, false, now.AddDate(1, 0, 0)), below(t, root, 3, false, now.AddDate(1, 0, 0))
	from, until := now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)
	l, err := Withdrawn("list", root.list(from, until, 3, 4), root.c, now)
	if err != nil || l.Has(good.c) || !l.Has(bad.c) || !l.Until.Equal(until) {
		t.Errorf("%+v, %v", l, err)
	}
	other := below(t, nil, 1, true, now.AddDate(3, 0, 0))
	for name, c := range map[string]struct {
		der  []byte
		want string
	}{
		"stale":     {root.list(from.AddDate(0, -1, 0), from), "list: is stale since 2026-11-27"},
		"tomorrow":  {root.list(until, until.AddDate(0, 1, 0)), "list: is from the future"},
		"another's": {other.list(from, until), "did not sign it"},
		"no list":   {[]byte{0x30, 0}, "list: x509"},
		"nothing":   {nil, "list: x509"},
	} {
		if _, err := Withdrawn("list", c.der, root.c, now); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Dates("word", from, time.Time{}, now); err == nil || !strings.Contains(err.Error(), "does not say until when") {
		t.Error(err)
	}
}

func TestParts(t *testing.T) {
	var n int
	if err := Whole([]byte{2, 1, 7}, &n); err != nil || n != 7 {
		t.Errorf("%d, %v", n, err)
	}
	if err := Whole([]byte{2, 1, 7, 0}, &n); err == nil || !strings.Contains(err.Error(), "stands behind its end") {
		t.Error(err)
	}
	c := below(t, nil, 1, true, now.AddDate(1, 0, 0)).c
	if _, ok := Extension(c, asn1.ObjectIdentifier{2, 5, 29, 19}); !ok {
		t.Error("basic constraints are not found")
	}
	if _, ok := Extension(c, asn1.ObjectIdentifier{2, 5, 29, 99}); ok {
		t.Error("an extension that is not there is found")
	}
	early, late := now, now.AddDate(1, 0, 0)
	for _, x := range [][3]time.Time{{early, late, early}, {late, early, early}, {{}, late, late}, {late, {}, late}, {}} {
		if got := Sooner(x[0], x[1]); !got.Equal(x[2]) {
			t.Errorf("of %s and %s, %s is sooner", x[0], x[1], got)
		}
	}
}

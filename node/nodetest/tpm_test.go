package nodetest

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/tpm"
)

// What the TPM of software shows is genuine to the code that judges any TPM's, and its answer is the secret.
func TestTPM(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	m := NewMaker(t, "a maker", now)
	x := m.TPM(t, "one", "release 1")
	raw, err := x.Evidence(context.Background(), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := tpm.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	g, err := e.Verify(tpm.Trust{Roots: []*x509.Certificate{m.Root}, Now: now}, [32]byte{1})
	if err != nil || g.Text() != x.Measurement() || g.Shown {
		t.Fatalf("%+v, %v; want %s", g, err, x.Measurement())
	}
	c, secret, err := tpm.NewChallenge(NewEntropy("asker"), e.EK, e.AK)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := x.Answer(context.Background(), c.Encode()); err != nil || string(got) != string(secret[:]) {
		t.Fatalf("it opened %x, %v; want %x", got, err, secret)
	}
	if _, err := m.TPM(t, "two", "release 1").WithKeys(x).Answer(context.Background(), c.Encode()); err == nil {
		t.Fatal("another TPM opened it")
	}
}

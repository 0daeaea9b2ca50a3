package tpm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	attest "github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/internal/components/swtpm"
	"github.com/ostraka/ostraka/node/tpm"
)

var ctx = context.Background()

func quoter(t testing.TB, e *swtpm.TPM, pcrs string) *Quoter {
	t.Helper()
	d, err := tpm.New(e.Path())
	if err != nil {
		t.Fatal(err)
	}
	s, err := tpm.ParseSelection(pcrs)
	if err != nil {
		t.Fatal(err)
	}
	return New(d, s)
}

func evidence(t testing.TB, q *Quoter, qualifying [32]byte) *attest.Evidence {
	t.Helper()
	b, err := q.Evidence(ctx, qualifying)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 64<<10 {
		t.Errorf("evidence has %d bytes", len(b))
	}
	e, err := attest.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func public(t testing.TB, b []byte) (*tpm2.TPMTPublic, []byte) {
	t.Helper()
	p, err := tpm2.Unmarshal[tpm2.TPM2BPublic](b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Contents()
	if err != nil {
		t.Fatal(err)
	}
	name, err := tpm2.ObjectName(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, name.Buffer
}

func challenge(t testing.TB, ek, ak []byte, secret []byte) []byte {
	t.Helper()
	pub, _ := public(t, ek)
	_, name := public(t, ak)
	key, err := tpm2.ImportEncapsulationKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	credential, encrypted, err := tpm2.CreateCredential(rand.Reader, key, name, secret)
	if err != nil {
		t.Fatal(err)
	}
	return (&attest.Challenge{Credential: credential, Secret: encrypted}).Encode()
}

// What the TPM signed is what was asked, over the PCRs as they are. (evidence/attest judges all of it; here: that it is there.)
func signed(t testing.TB, e *attest.Evidence, qualifying [32]byte) {
	t.Helper()
	ak, _ := public(t, e.AK)
	point, err := ak.Unique.ECC()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := tpm2.Unmarshal[tpm2.TPMTSignature](e.Signature)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := sig.Signature.ECDSA()
	if err != nil {
		t.Fatal(err)
	}
	key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(point.X.Buffer), Y: new(big.Int).SetBytes(point.Y.Buffer)}
	digest := sha256.Sum256(e.Quote)
	if !ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(rs.SignatureR.Buffer), new(big.Int).SetBytes(rs.SignatureS.Buffer)) {
		t.Error("the quote's signature does not verify")
	}
	said, err := tpm2.Unmarshal[tpm2.TPMSAttest](e.Quote)
	if err != nil {
		t.Fatal(err)
	}
	quoted, err := said.Attested.Quote()
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, p := range e.PCRs {
		h.Write(p.Value[:])
	}
	if !bytes.Equal(said.ExtraData.Buffer, qualifying[:]) || !bytes.Equal(quoted.PCRDigest.Buffer, h.Sum(nil)) {
		t.Error("the quote is of something else")
	}
}

func TestBareTPM(t *testing.T) {
	s := swtpm.Start(t)
	q := quoter(t, s, "sha256:0,7,16")
	first := evidence(t, q, [32]byte{1})
	signed(t, first, [32]byte{1})
	if len(first.EKCertificate) != 0 || len(first.PCRs) != 3 {
		t.Errorf("%+v", first)
	}
	s.Extend(t, 16, strings.Repeat("01", 32))
	second := evidence(t, q, [32]byte{2})
	signed(t, second, [32]byte{2})
	if second.PCRs[2] == first.PCRs[2] || second.PCRs[0] != first.PCRs[0] {
		t.Error("the extended PCR has its old value")
	}
	s.End()
	s.Begin(t)
	q = quoter(t, s, "sha256:0,7,16")
	third := evidence(t, q, [32]byte{1})
	if !bytes.Equal(third.AK, first.AK) || !bytes.Equal(third.EK, first.EK) {
		t.Error("the keys are others after a restart")
	}
	secret := bytes.Repeat([]byte{9}, attest.SecretSize)
	if got, err := q.Answer(ctx, challenge(t, first.EK, first.AK, secret)); err != nil || !bytes.Equal(got[:], secret) {
		t.Errorf("answer %x, %v", got, err)
	}
	// A challenge to another TPM, for another attestation key, of another length, or damaged.
	o := quoter(t, swtpm.Start(t), "")
	other := evidence(t, o, [32]byte{1})
	damaged := challenge(t, first.EK, first.AK, secret)
	damaged[len(damaged)-1] ^= 1
	for name, c := range map[string][]byte{
		"another TPM's":   challenge(t, other.EK, first.AK, secret),
		"another AK's":    challenge(t, first.EK, other.AK, secret),
		"a short secret":  challenge(t, first.EK, first.AK, secret[1:]),
		"damaged":         damaged,
		"not a challenge": []byte("challenge"),
	} {
		if got, err := q.Answer(ctx, c); err == nil || got != [32]byte{} {
			t.Errorf("%s is answered", name)
		}
	}
	signed(t, evidence(t, q, [32]byte{3}), [32]byte{3}) // nothing was left in the TPM that has no room for more
}

// A TPM with its maker's certificate: the key in it is the one that is shown, and the chain ends at the maker's root.
func TestCertifiedTPM(t *testing.T) {
	s, roots := swtpm.StartCertified(t)
	q := quoter(t, s, "")
	e := evidence(t, q, [32]byte{1})
	signed(t, e, [32]byte{1})
	cert, err := x509.ParseCertificate(e.EKCertificate)
	if err != nil {
		t.Fatal(err)
	}
	ek, _ := public(t, e.EK)
	modulus, err := ek.Unique.RSA()
	if err != nil {
		t.Fatal(err)
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); !ok || !bytes.Equal(key.N.Bytes(), modulus.Buffer) {
		t.Error("the certificate is of another key")
	}
	var pool []*x509.Certificate
	for b, rest := pem.Decode(roots); b != nil; b, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		pool = append(pool, c)
	}
	if len(pool) != 2 || cert.CheckSignatureFrom(pool[1]) != nil || pool[1].CheckSignatureFrom(pool[0]) != nil {
		t.Errorf("%d certificates above, or they did not sign", len(pool))
	}
	secret := bytes.Repeat([]byte{9}, attest.SecretSize)
	if got, err := q.Answer(ctx, challenge(t, e.EK, e.AK, secret)); err != nil || !bytes.Equal(got[:], secret) {
		t.Errorf("answer %x, %v", got, err)
	}
}

func TestEventLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(n int) {
		if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if eventLog("") != nil || eventLog(path) != nil {
		t.Error("a log that is not there")
	}
	write(maxEventLog)
	if len(eventLog(path)) != maxEventLog {
		t.Error("the longest log is left out")
	}
	write(maxEventLog + 1)
	if eventLog(path) != nil {
		t.Error("a longer log is shown")
	}
}

func TestCertificates(t *testing.T) {
	der := func(n int) []byte { return append([]byte{0x30, 0x82, byte(n >> 8), byte(n)}, make([]byte, n)...) }
	two := append(append(der(300), der(1000)...), bytes.Repeat([]byte{0xff}, 40)...)
	if list := certificates(two); len(list) != 2 || len(list[1]) != 1004 {
		t.Errorf("%d certificates", len(list))
	}
	for _, raw := range [][]byte{nil, der(300)[:200], []byte{0x30, 0x82}, bytes.Repeat([]byte{0xff}, 600)} {
		if list := certificates(raw); len(list) != 0 {
			t.Errorf("%d certificates in %x", len(list), raw)
		}
	}
	if list := certificates(bytes.Repeat(der(300), attest.MaxChain+2)); len(list) != attest.MaxChain {
		t.Errorf("%d certificates", len(list))
	}
}

func BenchmarkEvidence(b *testing.B) {
	q := quoter(b, swtpm.Start(b), "")
	for b.Loop() {
		evidence(b, q, [32]byte{1})
	}
}

func BenchmarkAnswer(b *testing.B) {
	q := quoter(b, swtpm.Start(b), "")
	e := evidence(b, q, [32]byte{1})
	c := challenge(b, e.EK, e.AK, make([]byte, attest.SecretSize))
	for b.Loop() {
		if _, err := q.Answer(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
}

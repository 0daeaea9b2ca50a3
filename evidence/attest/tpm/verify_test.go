package tpm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/ostraka/ostraka/evidence/attest"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recorded is evidence of swtpm, and its root.
func recorded(t testing.TB, name string) (*Evidence, Trust) {
	t.Helper()
	e, err := Decode(file(t, name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file(t, "swtpm.root"))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return e, Trust{Roots: []*x509.Certificate{root}, Now: now}
}

// What a real TPM's software gave is verified, and what its maker's certificate says is read.
func TestRecorded(t *testing.T) {
	e, trust := recorded(t, "swtpm-rsa.evidence")
	g, err := e.Verify(trust, binding)
	if err != nil {
		t.Fatal(err)
	}
	if g.Maker == "" || g.Model != "swtpm" || g.Shown || len(g.PCRs) != 4 || g.Clock.Resets == 0 && g.Clock.Clock == 0 {
		t.Errorf("%+v", g)
	}
	if text := g.Text(); !strings.HasPrefix(text, "tpm2:0,2,4,7:") || len(text) != len("tpm2:0,2,4,7:")+64 {
		t.Errorf("%s", text)
	}
	var unknown *attest.UnknownError
	if _, err := e.Verify(Trust{Now: now}, binding); !errors.As(err, &unknown) {
		t.Errorf("without a root it was judged: %v", err)
	}
	bare, trust := recorded(t, "swtpm-ecc.evidence")
	if _, err := bare.Verify(trust, binding); err == nil || !strings.Contains(err.Error(), "endorsement key's certificate: is missing") {
		t.Error(err)
	}
}

// Each byte of quote, signature, keys and values is held by something.
func TestEachFlippedByteIsRefused(t *testing.T) {
	e, trust := recorded(t, "swtpm-rsa.evidence")
	activated := Activate(e)
	trust.Activated = &activated
	for name, b := range map[string][]byte{"quote": e.Quote, "signature": e.Signature, "AK": e.AK, "EK": e.EK, "certificate": e.EKCertificate} {
		step := 1
		if name == "certificate" {
			step = 7
		}
		for i := 0; i < len(b); i += step {
			b[i] ^= 1 << (i % 8)
			if _, err := e.Verify(trust, binding); err == nil {
				t.Errorf("%s with byte %d turned is taken", name, i)
			}
			b[i] ^= 1 << (i % 8)
		}
	}
	for i := range e.PCRs {
		for k := range 32 {
			e.PCRs[i].Value[k] ^= 1
			if _, err := e.Verify(trust, binding); err == nil {
				t.Errorf("value of PCR %d with byte %d turned is taken", e.PCRs[i].Index, k)
			}
			e.PCRs[i].Value[k] ^= 1
		}
	}
	if _, err := e.Verify(trust, binding); err != nil {
		t.Fatal(err)
	}
}

func ak(change func(*tpm2.TPMAObject)) func(*maker) {
	return func(m *maker) { change(&m.akPart.ObjectAttributes) }
}

// What evidence must hold, field by field. The maker signs each anew, so that nothing but the field can refuse it.
func TestRefusals(t *testing.T) {
	parms := func(c func(*tpm2.TPMSECCParms)) func(*maker) {
		return func(m *maker) {
			p, err := m.akPart.Parameters.ECCDetail()
			m.check(err)
			q := *p
			c(&q)
			m.akPart.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &q)
		}
	}
	for name, c := range map[string]struct {
		change func(*maker)
		want   string // empty: it holds
	}{
		"as it should be":       {func(*maker) {}, ""},
		"RSA":                   {(*maker).withRSA, ""},
		"no dictionary attacks": {ak(func(a *tpm2.TPMAObject) { a.NoDA = true }), ""},
		"AK that moves":         {ak(func(a *tpm2.TPMAObject) { a.FixedTPM = false }), "attestation key: attributes"},
		"AK with a new parent":  {ak(func(a *tpm2.TPMAObject) { a.FixedParent = false }), "attestation key: attributes"},
		"AK from outside":       {ak(func(a *tpm2.TPMAObject) { a.SensitiveDataOrigin = false }), "attestation key: attributes"},
		"AK signs anything":     {ak(func(a *tpm2.TPMAObject) { a.Restricted = false }), "attestation key: attributes"},
		"AK signs nothing":      {ak(func(a *tpm2.TPMAObject) { a.SignEncrypt = false }), "attestation key: attributes"},
		"AK decrypts too":       {ak(func(a *tpm2.TPMAObject) { a.Decrypt = true }), "attestation key: attributes"},
		"AK's name by SHA-384":  {func(m *maker) { m.akPart.NameAlg = tpm2.TPMAlgSHA384 }, "attestation key: hash of name is 0x000c"},
		"AK on P-384":           {parms(func(p *tpm2.TPMSECCParms) { p.CurveID = tpm2.TPMECCNistP384 }), "attestation key: curve is 0x0004"},
		"AK by SHA-384": {parms(func(p *tpm2.TPMSECCParms) {
			p.Scheme.Details = tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA384})
		}), "attestation key: hash of scheme is 0x000c"},
		"EK for AK":        {func(m *maker) { m.change = func(e *Evidence) { e.AK = e.EK } }, "attestation key: attributes"},
		"AK for EK":        {func(m *maker) { m.change = func(e *Evidence) { e.EK = e.AK } }, "endorsement key: attributes"},
		"AK cut":           {func(m *maker) { m.change = func(e *Evidence) { e.AK = e.AK[:len(e.AK)-1] } }, "attestation key: ends too early"},
		"AK with a tail":   {func(m *maker) { m.change = func(e *Evidence) { e.AK = append(e.AK, 0) } }, "attestation key: 1 bytes too many"},
		"AK off the curve": {func(m *maker) { m.change = func(e *Evidence) { e.AK[len(e.AK)-1] ^= 1 } }, "attestation key: P256 point not on curve"},
		"EK signs":         {func(m *maker) { m.ekPart.ObjectAttributes.SignEncrypt = true }, "endorsement key: attributes"},
		"EK without AES": {func(m *maker) {
			m.change = func(e *Evidence) { i := bytes.Index(e.EK, []byte{0, 6, 0, 128}); e.EK[i+1] = 0x10 }
		}, "endorsement key: symmetric"},
		"EK's exponent":         {func(m *maker) { m.withRSA(); m.change = func(e *Evidence) { e.EK[len(e.EK)-256-3] = 3 } }, "endorsement key: it is no RSA key"},
		"another EK":            {func(m *maker) { m.another = true }, "endorsement key's certificate: it is of another key"},
		"another RSA EK":        {func(m *maker) { m.withRSA(); m.another = true }, "endorsement key's certificate: it is of another key"},
		"no certificate":        {func(m *maker) { m.change = func(e *Evidence) { e.EKCertificate = nil } }, "endorsement key's certificate: is missing"},
		"no chain":              {func(m *maker) { m.change = func(e *Evidence) { e.Chain = nil } }, "endorsement key's certificate: x509"},
		"chain of bytes":        {func(m *maker) { m.change = func(e *Evidence) { e.Chain = [][]byte{{1}} } }, "certificate 0 above the endorsement key's: x509"},
		"certificate's purpose": {func(m *maker) { m.usage = nil }, "it is not for an endorsement key"},
		"another purpose":       {func(m *maker) { m.usage = []asn1.ObjectIdentifier{{2, 23, 133, 8, 3}} }, "it is not for an endorsement key"},
		"an authority":          {func(m *maker) { m.ca = true }, "it is not for an endorsement key"},
		"no maker":              {func(m *maker) { m.names = m.names[1:] }, "it names no maker"},
		"no names":              {func(m *maker) { m.bare = true }, "it names no maker"},
		"maker in colours":      {func(m *maker) { m.names[0].Value = "\x1b[31m" }, "it names no maker"},
		"critical extension": {func(m *maker) {
			m.extra = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 23, 133, 9}, Critical: true, Value: []byte{5, 0}}}
		}, "endorsement key's certificate: x509: unhandled critical extension"},
		"not a quote": {func(m *maker) {
			m.attest.Type = tpm2.TPMSTAttestTime
			m.attest.Attested = tpm2.NewTPMUAttest(tpm2.TPMSTAttestTime, &tpm2.TPMSTimeAttestInfo{})
		}, "quote: type is 0x8019"},
		"made outside":      {func(m *maker) { m.change = func(e *Evidence) { e.Quote[0] = 0 } }, "a TPM did not make it"},
		"another's nonce":   {func(m *maker) { m.attest.ExtraData.Buffer = bytes.Repeat([]byte{1}, 32) }, "quote: its qualifying data are not of this node"},
		"data behind":       {func(m *maker) { m.attest.ExtraData.Buffer = append(bytes.Clone(binding[:]), 0) }, "quote: its qualifying data"},
		"no data":           {func(m *maker) { m.attest.ExtraData.Buffer = nil }, "quote: its qualifying data"},
		"another hierarchy": {func(m *maker) { m.qn = append([]byte{0, 0x0b}, make([]byte, 32)...) }, "quote: its signer"},
		"other values":      {func(m *maker) { m.digest = make([]byte, 32) }, "PCRs: the quote is over other values"},
		"a PCR left out":    {func(m *maker) { m.change = func(e *Evidence) { e.PCRs = e.PCRs[1:] } }, "PCRs: the quote is over [0 2 7]"},
		"a PCR more":        {func(m *maker) { m.change = func(e *Evidence) { e.PCRs = append(e.PCRs, PCR{Index: 8}) } }, "PCRs: the quote is over [0 2 7]"},
		"PCRs exchanged": {func(m *maker) {
			m.change = func(e *Evidence) { e.PCRs = []PCR{{0, e.PCRs[1].Value}, {2, e.PCRs[0].Value}, e.PCRs[2]} }
		}, "PCRs: the quote is over other values"},
		"another's signature":   {func(m *maker) { m.change = func(e *Evidence) { e.Signature = made(t).make().Signature } }, "signature: it is not the attestation key's"},
		"signature's algorithm": {func(m *maker) { m.change = func(e *Evidence) { e.Signature[1] = 0x14 } }, "signature: algorithm is 0x0014"},
		"signature's hash":      {func(m *maker) { m.change = func(e *Evidence) { e.Signature[3] = 4 } }, "signature: hash is 0x0004"},
		"signature with a tail": {func(m *maker) { m.change = func(e *Evidence) { e.Signature = append(e.Signature, 0) } }, "signature: 1 bytes too many"},
		"quote with a tail":     {func(m *maker) { m.change = func(e *Evidence) { e.Quote = append(e.Quote, 0) } }, "quote: 1 bytes too many"},
		"a long r": {func(m *maker) {
			m.change = func(e *Evidence) { e.Signature = append([]byte{0, 0x18, 0, 0x0b, 0, 33}, make([]byte, 35)...) }
		}, "signature: a number has more than 32 bytes"},
	} {
		m := made(t)
		c.change(m)
		e := m.make()
		_, err := e.Verify(m.trust(), binding)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Another pair's answer says nothing of this one: somebody with a genuine TPM cannot lend it his software's key.
func TestActivated(t *testing.T) {
	m, other := made(t), made(t)
	e, foreign := m.make(), other.make()
	right := Activate(e)
	for name, c := range map[string]struct {
		activated Activated
		want      string
	}{
		"its own":    {right, ""},
		"other keys": {Activate(foreign), "attestation key: another pair of keys"},
		"another AK": {Activated{right.EK, Activate(foreign).AK}, "attestation key: another pair of keys"},
		"another EK": {Activated{Activate(foreign).EK, right.AK}, "attestation key: another pair of keys"},
		"none":       {Activated{}, "attestation key: another pair of keys"},
	} {
		trust := m.trust()
		trust.Activated = &c.activated
		g, err := e.Verify(trust, binding)
		if c.want == "" && (err != nil || !g.Shown) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

// entropy is what the recorded challenges were made from.
var entropy = bytes.Repeat([]byte("entropy of a test, 32 bytes long"), 8)

// A challenge from the same entropy is the one that a TPM answered as it was recorded.
func TestRecordedChallenge(t *testing.T) {
	for _, name := range []string{"swtpm-rsa", "swtpm-ecc"} {
		e, _ := recorded(t, name+".evidence")
		c, secret, err := NewChallenge(bytes.NewReader(entropy), e.EK, e.AK)
		if err != nil || !bytes.Equal(secret[:], entropy[:32]) || !bytes.Equal(c.Encode(), file(t, name+".challenge")) {
			t.Errorf("%s: %x, %v", name, c.Encode(), err)
		}
	}
}

// open is what a TPM does with a challenge, written after part 1 of the specification with go-tpm's functions.
func (m *maker) open(c *Challenge, name []byte) ([]byte, error) {
	var seed []byte
	switch k := m.ek.(type) {
	case *rsa.PrivateKey:
		var err error
		if seed, err = rsa.DecryptOAEP(sha256.New(), nil, k, c.Secret, []byte("IDENTITY\x00")); err != nil {
			return nil, err
		}
	case *ecdsa.PrivateKey:
		p, err := tpm2.Unmarshal[tpm2.TPMSECCPoint](c.Secret)
		if err != nil {
			return nil, err
		}
		ours, err := k.ECDH()
		if err != nil {
			return nil, err
		}
		theirs, err := ours.Curve().NewPublicKey(append(append([]byte{4}, p.X.Buffer...), p.Y.Buffer...))
		if err != nil {
			return nil, err
		}
		z, err := ours.ECDH(theirs)
		if err != nil {
			return nil, err
		}
		hash, err := tpm2.TPMAlgSHA256.Hash()
		if err != nil {
			return nil, err
		}
		seed = tpm2.KDFe(hash, z, "IDENTITY", p.X.Buffer, ours.PublicKey().Bytes()[1:33], 256)
	}
	hash, err := tpm2.TPMAlgSHA256.Hash()
	if err != nil {
		return nil, err
	}
	mac, err := tpm2.Unmarshal[tpm2.TPM2BDigest](c.Credential)
	if err != nil {
		return nil, err
	}
	hidden := c.Credential[2+len(mac.Buffer):]
	h := hmac.New(sha256.New, tpm2.KDFa(hash, seed, "INTEGRITY", nil, nil, 256))
	h.Write(hidden)
	h.Write(name)
	if !hmac.Equal(h.Sum(nil), mac.Buffer) {
		return nil, errors.New("integrity")
	}
	block, err := aes.NewCipher(tpm2.KDFa(hash, seed, "STORAGE", name, nil, 128))
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(hidden))
	//lint:ignore SA1019 TPMs do it so
	cipher.NewCFBDecrypter(block, make([]byte, 16)).XORKeyStream(plain, hidden)
	secret, err := tpm2.Unmarshal[tpm2.TPM2BDigest](plain)
	if err != nil {
		return nil, err
	}
	return secret.Buffer, nil
}

// Challenges of ours and of go-tpm's are opened alike, by the holder of the endorsement key, for this attestation key alone.
func TestChallenge(t *testing.T) {
	for name, rsaKey := range map[string]bool{"RSA": true, "P-256": false} {
		m := made(t)
		if rsaKey {
			m.withRSA()
		}
		e := m.make()
		object, err := tpm2.ObjectName(&m.akPart)
		if err != nil {
			t.Fatal(err)
		}
		ours, secret, err := NewChallenge(bytes.NewReader(entropy), e.EK, e.AK)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.open(ours, object.Buffer); err != nil || !bytes.Equal(got, secret[:]) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
		if got, err := m.open(ours, make([]byte, 34)); err == nil {
			t.Errorf("%s: another attestation key opens it: %x", name, got)
		}
		key, err := tpm2.ImportEncapsulationKey(&m.ekPart)
		if err != nil {
			t.Fatal(err)
		}
		credential, sealed, err := tpm2.CreateCredential(bytes.NewReader(entropy), key, object.Buffer, secret[:])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.open(&Challenge{credential, sealed}, object.Buffer); err != nil || !bytes.Equal(got, secret[:]) {
			t.Errorf("%s, go-tpm's: %x, %v", name, got, err)
		}
		for what, err := range map[string]error{
			"no entropy":   tryChallenge(nil, e.EK, e.AK),
			"little":       tryChallenge(entropy[:40], e.EK, e.AK),
			"no scalars":   tryChallenge(append(bytes.Clone(entropy[:32]), bytes.Repeat([]byte{0xff}, 31)...), e.EK, e.AK),
			"EK for AK":    tryChallenge(entropy, e.EK, e.EK),
			"AK for EK":    tryChallenge(entropy, e.AK, e.AK),
			"no EK at all": tryChallenge(entropy, nil, e.AK),
		} {
			if err == nil {
				t.Errorf("%s: %s is taken", name, what)
			}
		}
	}
}

func tryChallenge(entropy, ek, ak []byte) error {
	_, _, err := NewChallenge(bytes.NewReader(entropy), ek, ak)
	return err
}

// What we read of a quote, go-tpm reads as well.
func FuzzQuote(f *testing.F) {
	e, _ := recorded(f, "swtpm-rsa.evidence")
	f.Add(e.Quote)
	f.Add(made(f).make().Quote)
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := readQuote(b)
		if err != nil {
			return
		}
		their, err := tpm2.Unmarshal[tpm2.TPMSAttest](b)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		info, err := their.Attested.Quote()
		if err != nil || !bytes.Equal(their.ExtraData.Buffer, q.extra) || !bytes.Equal(info.PCRDigest.Buffer, q.digest) || !bytes.Equal(their.QualifiedSigner.Buffer, q.signer) ||
			their.ClockInfo.ResetCount != q.clock.Resets || their.FirmwareVersion != q.firmware {
			t.Errorf("%x is read as %+v and %+v, %v", b, q, their, err)
		}
	})
}

// What we read of a key, go-tpm reads as well, with the same name.
func FuzzPublic(f *testing.F) {
	for _, name := range []string{"swtpm-rsa.evidence", "swtpm-ecc.evidence"} {
		e, _ := recorded(f, name)
		f.Add(e.EK)
		f.Add(e.AK)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func([]byte) (*public, error){readAK, readEK} {
			p, err := read(b)
			if err != nil {
				continue
			}
			their, err := tpm2.Unmarshal[tpm2.TPMTPublic](b[2:])
			if err != nil {
				t.Fatalf("%x: %v", b, err)
			}
			name, err := tpm2.ObjectName(their)
			if err != nil || !bytes.Equal(name.Buffer, p.name()) {
				t.Errorf("%x is named %x and %x, %v", b, p.name(), name, err)
			}
		}
	})
}

func FuzzSignature(f *testing.F) {
	e, _ := recorded(f, "swtpm-rsa.evidence")
	f.Add(e.Signature)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, s, err := readSignature(b)
		if err != nil {
			return
		}
		their, err := tpm2.Unmarshal[tpm2.TPMTSignature](b)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		x, err := their.Signature.ECDSA()
		if err != nil || !reflect.DeepEqual(r.Bytes(), bytes.TrimLeft(x.SignatureR.Buffer, "\x00")) || !reflect.DeepEqual(s.Bytes(), bytes.TrimLeft(x.SignatureS.Buffer, "\x00")) {
			t.Errorf("%x is read as %x and %x, %v", b, r, s, err)
		}
	})
}

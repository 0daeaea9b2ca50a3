package tpm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
)

var (
	now = time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)
	// binding is of the node and the nonce that the tests of evidence/attest/hardware name.
	binding = [32]byte(unhex("9370deb69e5f965b369b71351a893b41fe5247b6da3bc049ef0835253d13d6fc"))
)

// A maker is a maker of TPMs that tests make up, and a machine with one. Its structures are go-tpm's.
type maker struct {
	t       testing.TB
	rsa     bool // of the endorsement key
	ekPart  tpm2.TPMTPublic
	akPart  tpm2.TPMTPublic
	attest  tpm2.TPMSAttest
	pcrs    []PCR
	names   []pkix.AttributeTypeAndValue
	usage   []asn1.ObjectIdentifier
	extra   []pkix.Extension
	ca      bool   // the endorsement key's certificate is an authority's
	bare    bool   // no alternative names
	another bool   // the certificate is of another key
	names4  []byte // what stands in place of the directory's name
	banks   int    // more selections of PCRs than one
	qn      []byte
	digest  []byte
	change  func(*Evidence) // what is done to the evidence once all is signed

	root *x509.Certificate
	ek   any // private
	ak   *ecdsa.PrivateKey
}

// oneRSA is drawn once: it takes its time.
var oneRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func made(t testing.TB) *maker {
	m := &maker{
		t: t, ekPart: tpm2.ECCEKTemplate, usage: []asn1.ObjectIdentifier{oidEKUsage},
		names: []pkix.AttributeTypeAndValue{{Type: oidMaker, Value: "id:4F535452"}, {Type: oidModel, Value: "tests"}, {Type: oidRevision, Value: "id:1"}},
		pcrs:  []PCR{{0, [32]byte{0xa0}}, {2, [32]byte{0xa2}}, {7, [32]byte{0xa7}}},
	}
	m.akPart = tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, Restricted: true, SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			CurveID: tpm2.TPMECCNistP256,
			Scheme:  tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})},
		}),
	}
	m.attest = tpm2.TPMSAttest{
		Magic: tpm2.TPMGeneratedValue, Type: tpm2.TPMSTAttestQuote, ExtraData: tpm2.TPM2BData{Buffer: binding[:]},
		ClockInfo: tpm2.TPMSClockInfo{Clock: 123456, ResetCount: 3, RestartCount: 1, Safe: true}, FirmwareVersion: 0x20191023,
	}
	return m
}

func (m *maker) withRSA() { m.rsa, m.ekPart = true, tpm2.RSAEKTemplate }

func (m *maker) check(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) key() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m.check(err)
	return k
}

func point(k *ecdsa.PublicKey) tpm2.TPMUPublicID {
	b, err := k.Bytes()
	if err != nil {
		panic(err)
	}
	return tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: b[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: b[33:]}})
}

func (m *maker) certificate(serial int64, name string, ca bool, public any, by *x509.Certificate, with *ecdsa.PrivateKey, form x509.Certificate) *x509.Certificate {
	form.SerialNumber, form.Subject = big.NewInt(serial), pkix.Name{CommonName: name}
	form.NotBefore, form.NotAfter = now.AddDate(-1, 0, 0), now.AddDate(10, 0, 0)
	form.IsCA, form.BasicConstraintsValid = ca, true
	if ca {
		form.KeyUsage = x509.KeyUsageCertSign
	}
	if by == nil {
		by = &form
	}
	der, err := x509.CreateCertificate(rand.Reader, &form, by, public, with)
	m.check(err)
	c, err := x509.ParseCertificate(der)
	m.check(err)
	return c
}

// alternative is the critical extension with the TPM's maker.
func (m *maker) alternative() pkix.Extension {
	var names pkix.RDNSequence
	for _, n := range m.names {
		names = append(names, pkix.RelativeDistinguishedNameSET{n})
	}
	inner, err := asn1.Marshal(names)
	m.check(err)
	if m.names4 != nil {
		inner = m.names4
	}
	der, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: inner}})
	m.check(err)
	return pkix.Extension{Id: oidAlternative, Critical: true, Value: der}
}

// make signs all of it.
func (m *maker) make() *Evidence {
	rootKey, upperKey, eccKey := m.key(), m.key(), m.key()
	m.ak = m.key()
	var public any
	if m.rsa {
		k := oneRSA()
		m.ek, public = k, &k.PublicKey
		m.ekPart.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: k.N.Bytes()})
	} else {
		m.ek, public = eccKey, &eccKey.PublicKey
		m.ekPart.Unique = point(&eccKey.PublicKey)
	}
	m.akPart.Unique = point(&m.ak.PublicKey)
	if m.another {
		public = &m.key().PublicKey
	}
	m.root = m.certificate(1, "TPM maker", true, &rootKey.PublicKey, nil, rootKey, x509.Certificate{})
	upper := m.certificate(2, "TPM maker's line", true, &upperKey.PublicKey, m.root, rootKey, x509.Certificate{})
	form := x509.Certificate{UnknownExtKeyUsage: m.usage, ExtraExtensions: m.extra}
	if !m.bare {
		form.ExtraExtensions = append(form.ExtraExtensions, m.alternative())
	}
	leaf := m.certificate(3, "", m.ca, public, upper, upperKey, form)
	e := &Evidence{EKCertificate: leaf.Raw, Chain: [][]byte{upper.Raw}, EK: tpm2.Marshal(tpm2.New2B(m.ekPart)), AK: tpm2.Marshal(tpm2.New2B(m.akPart)), PCRs: m.pcrs}
	e.Quote = m.quote()
	sum := sha256.Sum256(e.Quote)
	r, s, err := ecdsa.Sign(rand.Reader, m.ak, sum[:])
	m.check(err)
	e.Signature = tpm2.Marshal(tpm2.TPMTSignature{SigAlg: tpm2.TPMAlgECDSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, &tpm2.TPMSSignatureECC{
		Hash: tpm2.TPMAlgSHA256, SignatureR: tpm2.TPM2BECCParameter{Buffer: r.Bytes()}, SignatureS: tpm2.TPM2BECCParameter{Buffer: s.Bytes()},
	})})
	if m.change != nil {
		m.change(e)
	}
	return e
}

func (m *maker) quote() []byte {
	name, err := tpm2.ObjectName(&m.akPart)
	m.check(err)
	var indices []uint
	h := sha256.New()
	for _, p := range m.pcrs {
		indices = append(indices, uint(p.Index))
		h.Write(p.Value[:])
	}
	if m.digest == nil {
		m.digest = h.Sum(nil)
	}
	if m.qn == nil {
		sum := sha256.Sum256(append([]byte{0x40, 0, 0, 0x0b}, name.Buffer...))
		m.qn = append([]byte{0, 0x0b}, sum[:]...)
	}
	m.attest.QualifiedSigner = tpm2.TPM2BName{Buffer: m.qn}
	if m.attest.Type == tpm2.TPMSTAttestQuote {
		var selections []tpm2.TPMSPCRSelection
		for range m.banks + 1 {
			selections = append(selections, tpm2.TPMSPCRSelection{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(indices...)})
		}
		m.attest.Attested = tpm2.NewTPMUAttest(tpm2.TPMSTAttestQuote, &tpm2.TPMSQuoteInfo{
			PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: selections},
			PCRDigest: tpm2.TPM2BDigest{Buffer: m.digest},
		})
	}
	return tpm2.Marshal(m.attest)
}

func (m *maker) trust() Trust { return Trust{Roots: []*x509.Certificate{m.root}, Now: now} }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

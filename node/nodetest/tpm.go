package nodetest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
)

// A TPM is one of software, for tests of what nodes make of real evidence: its keys, certificate, quotes and answers to challenges are made here, by
// the TPM 2.0 Library Specification, and judged by the same code as any. Nothing of it is hardware.
type TPM struct {
	root   *x509.Certificate
	ek, ak *ecdsa.PrivateKey
	cert   []byte
	PCRs   []tpm.PCR

	Broken error // what it says to everything; nil: it works
	Made   int   // pieces of evidence
	Opened int   // challenges
}

// Maker is who makes TPMs, and vouches for them.
type Maker struct {
	Root *x509.Certificate
	key  *ecdsa.PrivateKey
}

func tpmKey(name string) *ecdsa.PrivateKey {
	sum := sha256.Sum256([]byte("key of a TPM of software: " + name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), sum[:])
	if err != nil {
		panic(err) // one in 2³²
	}
	return key
}

// NewMaker is a maker of TPMs with a root of its own.
func NewMaker(t testing.TB, name string, now time.Time) *Maker {
	t.Helper()
	m := &Maker{key: tpmKey("maker " + name)}
	from := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(nil, from, from, m.key.Public(), m.key)
	if err == nil {
		m.Root, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Fingerprint is what a charter lists of the maker's root.
func (m *Maker) Fingerprint() []byte {
	sum := sha256.Sum256(m.Root.Raw)
	return sum[:]
}

// TPM makes one, whose PCRs say what runs.
func (m *Maker) TPM(t testing.TB, name, runs string) *TPM {
	t.Helper()
	x := &TPM{root: m.Root, ek: tpmKey("ek " + name), ak: tpmKey("ak " + name)}
	for _, i := range []uint8{0, 4, 7} {
		x.PCRs = append(x.PCRs, tpm.PCR{Index: i, Value: sha256.Sum256(fmt.Appendf(nil, "%s %d", runs, i))})
	}
	names, err := asn1.Marshal(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 1}, Value: "id:54455354"}, {Type: asn1.ObjectIdentifier{2, 23, 133, 2, 2}, Value: "software"},
	}}.ToRDNSequence())
	if err == nil {
		names, err = asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: names}})
	}
	if err != nil {
		t.Fatal(err)
	}
	from := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: m.Root.NotBefore, NotAfter: m.Root.NotAfter, KeyUsage: x509.KeyUsageKeyAgreement, BasicConstraintsValid: true,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 1}}, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: names}},
	}
	if x.cert, err = x509.CreateCertificate(nil, from, m.Root, x.ek.Public(), m.key); err != nil {
		t.Fatal(err)
	}
	return x
}

// Measurement is what a charter lists of what runs.
func (x *TPM) Measurement() string {
	return fmt.Sprintf("tpm2:0,4,7:%x", x.digest())
}

func (x *TPM) digest() []byte {
	h := sha256.New()
	for _, p := range x.PCRs {
		h.Write(p.Value[:])
	}
	return h.Sum(nil)
}

// Allows is what a charter demands of operators whose nodes run on TPMs of this maker.
func (m *Maker) Allows(operator string, fresh time.Duration, measurements ...string) charter.Demand {
	h := charter.Hardware{Kind: charter.KindTPM, Roots: [][]byte{m.Fingerprint()}}
	for i, text := range measurements {
		h.Measurements = append(h.Measurements, charter.Measurement{Name: fmt.Sprintf("r%d", i+1), Value: text})
	}
	return charter.Demand{Operator: operator, Fresh: fresh, Hardware: []charter.Hardware{h}}
}

func tpm2B(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

func words(all ...uint16) (b []byte) {
	for _, w := range all {
		b = binary.BigEndian.AppendUint16(b, w)
	}
	return b
}

func point(k *ecdsa.PrivateKey) (x, y []byte) {
	raw, err := k.PublicKey.Bytes()
	if err != nil {
		panic(err) // a key of P-256
	}
	return raw[1:33], raw[33:]
}

// area is a TPMT_PUBLIC of P-256.
func area(k *ecdsa.PrivateKey, attributes uint32, scheme []byte) []byte {
	b := append(words(0x23, 0x0b), binary.BigEndian.AppendUint32(nil, attributes)...)
	b = append(append(b, 0, 0), scheme...)
	px, py := point(k)
	return append(append(append(b, words(3, 0x10)...), tpm2B(px)...), tpm2B(py)...)
}

const attributesBoth = 1<<1 | 1<<4 | 1<<5 | 1<<16

func (x *TPM) ekArea() []byte { return area(x.ek, attributesBoth|1<<17, words(0x06, 128, 0x43, 0x10)) }
func (x *TPM) akArea() []byte {
	return area(x.ak, attributesBoth|1<<6|1<<18, words(0x10, 0x18, 0x0b))
}

func tpmName(area []byte) []byte {
	sum := sha256.Sum256(area)
	return append(words(0x0b), sum[:]...)
}

// Evidence is a quote over these bytes.
func (x *TPM) Evidence(_ context.Context, binding [32]byte) ([]byte, error) {
	if x.Broken != nil {
		return nil, x.Broken
	}
	x.Made++
	q := append([]byte{0xff, 'T', 'C', 'G'}, words(0x8018)...)
	q = append(q, tpm2B(tpmName(append(binary.BigEndian.AppendUint32(nil, 0x4000000b), tpmName(x.akArea())...)))...)
	q = append(q, tpm2B(binding[:])...)
	q = append(q, make([]byte, 8+4+4)...) // clock, resets, restarts
	q = append(append(q, 1), make([]byte, 8)...)
	q = append(binary.BigEndian.AppendUint32(q, 1), words(0x0b)...)
	bits := []byte{0, 0, 0}
	for _, p := range x.PCRs {
		bits[p.Index/8] |= 1 << (p.Index % 8)
	}
	q = append(append(append(q, 3), bits...), tpm2B(x.digest())...)
	sum := sha256.Sum256(q)
	der, err := x.ak.Sign(nil, sum[:], crypto.SHA256)
	var sig struct{ R, S *big.Int }
	if err == nil {
		_, err = asn1.Unmarshal(der, &sig)
	}
	if err != nil {
		return nil, err
	}
	e := tpm.Evidence{
		EKCertificate: x.cert, Chain: [][]byte{x.root.Raw}, EK: tpm2B(x.ekArea()), AK: tpm2B(x.akArea()), Quote: q, PCRs: x.PCRs,
		Signature: append(append(words(0x18, 0x0b), tpm2B(sig.R.FillBytes(make([]byte, 32)))...), tpm2B(sig.S.FillBytes(make([]byte, 32)))...),
	}
	return e.Encode(), nil
}

// Answer opens a challenge, as TPM2_ActivateCredential does.
func (x *TPM) Answer(_ context.Context, challenge []byte) ([]byte, error) {
	if x.Broken != nil {
		return nil, x.Broken
	}
	x.Opened++
	c, err := tpm.DecodeChallenge(challenge)
	if err != nil {
		return nil, err
	}
	if len(c.Secret) != 68 || len(c.Credential) < 34 {
		return nil, errors.New("a challenge that no TPM takes")
	}
	theirs := append([]byte{4}, append(bytes.Clone(c.Secret[2:34]), c.Secret[36:68]...)...)
	key, err := x.ek.ECDH()
	if err != nil {
		return nil, err
	}
	peer, err := ecdh.P256().NewPublicKey(theirs)
	if err != nil {
		return nil, err
	}
	z, err := key.ECDH(peer)
	if err != nil {
		return nil, err
	}
	px, _ := point(x.ek)
	seed := sha256.Sum256(bytes.Join([][]byte{{0, 0, 0, 1}, z, []byte("IDENTITY\x00"), c.Secret[2:34], px}, nil))
	mac, hidden, name := c.Credential[2:34], c.Credential[34:], tpmName(x.akArea())
	want := hmac.New(sha256.New, kdf(seed[:], "INTEGRITY\x00", nil, 256))
	want.Write(hidden)
	want.Write(name)
	if !hmac.Equal(mac, want.Sum(nil)) {
		return nil, errors.New("TPM_RC_INTEGRITY")
	}
	block, err := aes.NewCipher(kdf(seed[:], "STORAGE\x00", name, 128))
	if err != nil {
		return nil, err
	}
	plain, last := bytes.Clone(hidden), make([]byte, aes.BlockSize)
	for at := 0; at < len(plain); at += aes.BlockSize { // CFB, which is what TPMs use
		block.Encrypt(last, last)
		part := plain[at:min(at+aes.BlockSize, len(plain))]
		for i := range part {
			part[i], last[i] = part[i]^last[i], part[i]
		}
	}
	return plain[2:], nil
}

func kdf(key []byte, label string, context []byte, bits uint32) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(bytes.Join([][]byte{{0, 0, 0, 1}, []byte(label), context, binary.BigEndian.AppendUint32(nil, bits)}, nil))
	return mac.Sum(nil)[:bits/8]
}

// WithKeys is this TPM with another's attestation key: what somebody would show who holds a genuine certificate, and no TPM with it.
func (x *TPM) WithKeys(other *TPM) *TPM {
	y := *x
	y.ak = other.ak
	return &y
}

package nitro

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sampled is a time at which the genuine document's certificates hold.
var sampled = time.Date(2022, 9, 15, 17, 44, 0, 0, time.UTC)

func sample(t testing.TB) (*Evidence, Trust) {
	t.Helper()
	block, _ := pem.Decode(file(t, "../hardware/roots/nitro"))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return &Evidence{file(t, "testdata/us-east-1.cose")}, Trust{Roots: []*x509.Certificate{root}, Now: sampled}
}

var (
	now = time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)
	// binding is of the node and the nonce that the tests of evidence/attest/hardware name.
	binding = [32]byte(unhex("9370deb69e5f965b369b71351a893b41fe5247b6da3bc049ef0835253d13d6fc"))
)

type fieldsOf map[string]any

// A maker is an authority that tests make up in AWS's place, and an enclave's document. Its CBOR is fxamacker's.
type maker struct {
	t         testing.TB
	fields    fieldsOf
	protected any
	headers   map[any]any
	curve     elliptic.Curve
	leafCA    bool
	short     bool                // the signature lacks a byte
	before    func([]byte) []byte // what is done to the payload before it is signed

	root *x509.Certificate
}

func made(t testing.TB) *maker {
	pcrs := map[uint64][]byte{}
	for i := range uint64(16) {
		pcrs[i] = make([]byte, 48)
	}
	for i := range uint64(3) {
		pcrs[i] = bytes.Repeat([]byte{byte(0x10 + i)}, 48)
	}
	return &maker{t: t, curve: elliptic.P384(), protected: map[int]int{1: -35}, headers: map[any]any{}, fields: fieldsOf{
		"module_id": "i-0123-enc4567", "digest": "SHA384", "timestamp": uint64(now.UnixMilli()), "pcrs": pcrs, "public_key": nil, "user_data": binding[:], "nonce": nil,
	}}
}

func (m *maker) check(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) certificate(serial int64, name string, ca bool, key *ecdsa.PrivateKey, by *x509.Certificate, with *ecdsa.PrivateKey) *x509.Certificate {
	form := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(2 * time.Hour),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if ca {
		form.KeyUsage = x509.KeyUsageCertSign
	}
	if by == nil {
		by, with = form, key
	}
	der, err := x509.CreateCertificate(rand.Reader, form, by, &key.PublicKey, with)
	m.check(err)
	c, err := x509.ParseCertificate(der)
	m.check(err)
	return c
}

func (m *maker) encode(v any) []byte {
	mode, err := cbor.EncOptions{}.EncMode()
	m.check(err)
	b, err := mode.Marshal(v)
	m.check(err)
	return b
}

// make signs all of it.
func (m *maker) make() *Evidence {
	var keys [3]*ecdsa.PrivateKey
	for i := range keys {
		curve := elliptic.P384()
		if i == 2 {
			curve = m.curve
		}
		var err error
		keys[i], err = ecdsa.GenerateKey(curve, rand.Reader)
		m.check(err)
	}
	m.root = m.certificate(1, "aws.nitro-enclaves", true, keys[0], nil, nil)
	middle := m.certificate(2, "i-0123.eu-north-1.aws.nitro-enclaves", true, keys[1], m.root, keys[0])
	leaf := m.certificate(3, "i-0123-enc4567.eu-north-1.aws", m.leafCA, keys[2], middle, keys[1])
	for name, value := range map[string]any{"certificate": leaf.Raw, "cabundle": [][]byte{m.root.Raw, middle.Raw}} {
		if _, given := m.fields[name]; !given {
			m.fields[name] = value
		} else if m.fields[name] == "none" {
			delete(m.fields, name)
		}
	}
	payload, protected := m.encode(m.fields), m.encode(m.protected)
	if m.before != nil {
		payload = m.before(payload)
	}
	sum := sha512.Sum384(m.encode([]any{"Signature1", protected, []byte{}, payload}))
	r, s, err := ecdsa.Sign(rand.Reader, keys[2], sum[:])
	m.check(err)
	signature := append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)
	if m.short {
		signature = signature[1:]
	}
	return &Evidence{m.encode([]any{protected, m.headers, payload, signature})}
}

func (m *maker) trust() Trust { return Trust{Roots: []*x509.Certificate{m.root}, Now: now} }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

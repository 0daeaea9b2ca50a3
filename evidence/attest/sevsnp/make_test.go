package sevsnp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sampled is a time at which the genuine certificates hold.
var sampled = time.Date(2022, 9, 24, 1, 0, 0, 0, time.UTC)

// sample is the genuine evidence, and AMD's root as it was recorded beside it.
func sample(t testing.TB) (*Evidence, *x509.Certificate) {
	t.Helper()
	issuer, rest := pem.Decode(file(t, "milan.chain"))
	root, _ := pem.Decode(rest)
	c, err := x509.ParseCertificate(root.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return &Evidence{Report: file(t, "milan.report"), Signer: file(t, "milan.vcek"), Issuer: issuer.Bytes}, c
}

// A maker is an authority that tests make up in AMD's place, and a report of one chip.
type maker struct {
	t         testing.TB
	line      string // of processors
	vlek      bool
	chip      []byte
	tcb       map[int]int // extension below 3: number
	cloud     string
	names     [3]string // root, issuer, signer; empty: AMD's
	report    []byte
	withdrawn []int64 // serial numbers
	crl       time.Time
	curve     elliptic.Curve
	extra     []pkix.Extension

	root    *x509.Certificate
	rootKey *ecdsa.PrivateKey
}

var (
	now = time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)
	// binding is of the node and the nonce that the tests of evidence/attest/hardware name.
	binding = [32]byte(unhex("9370deb69e5f965b369b71351a893b41fe5247b6da3bc049ef0835253d13d6fc"))
	chip    = bytes.Repeat([]byte{0xc4}, 64)
)

// made is a maker whose evidence holds.
func made(t testing.TB) *maker {
	m := &maker{t: t, line: "Genoa", chip: slices.Clone(chip), tcb: map[int]int{1: 9, 2: 0, 3: 23, 4: 0, 5: 0, 6: 0, 7: 0, 8: 72}, curve: elliptic.P384()}
	m.names = [3]string{"ARK-Genoa", "SEV-Genoa", "SEV-VCEK"}
	r := make([]byte, ReportSize)
	binary.LittleEndian.PutUint32(r, 3)
	binary.LittleEndian.PutUint32(r[atSVN:], 7)
	binary.LittleEndian.PutUint64(r[atPolicy:], policyAlways|policySMT)
	binary.LittleEndian.PutUint32(r[atAlgorithm:], algorithmP384)
	for _, at := range []int{atCurrentTCB, atReportedTCB, atCommittedTCB, atLaunchTCB} {
		copy(r[at:], []byte{9, 0, 0, 0, 0, 0, 23, 72})
	}
	copy(r[atData:], binding[:])
	copy(r[atMeasurement:], bytes.Repeat([]byte{0x3e}, 48))
	copy(r[atAgent:], bytes.Repeat([]byte{0xff}, 32))
	copy(r[atProcessor:], []byte{0x19, 0x11, 1})
	copy(r[atChipID:], chip)
	m.report = r
	return m
}

// turin makes the report and the certificate of a processor of that line.
func (m *maker) turin() {
	m.line, m.names = "Turin", [3]string{"ARK-Turin", "SEV-Turin", "SEV-VCEK"}
	m.chip = m.chip[:8]
	clear(m.report[atChipID+8 : atChipID+64])
	m.tcb = map[int]int{1: 1, 2: 2, 3: 3, 8: 84, 9: 4}
	for _, at := range []int{atCurrentTCB, atReportedTCB, atCommittedTCB, atLaunchTCB} {
		copy(m.report[at:], []byte{4, 1, 2, 3, 0, 0, 0, 84})
	}
	copy(m.report[atProcessor:], []byte{0x1a, 0x02, 0})
}

// cloudy makes a report that a cloud's key signed.
func (m *maker) cloudy() {
	m.vlek, m.chip, m.cloud = true, nil, "cloud.example"
	m.names[1], m.names[2] = "SEV-VLEK-Genoa", "SEV-VLEK"
	m.report[atKey] = byte(VLEK) << 2
}

func (m *maker) check(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) key(curve elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	m.check(err)
	return k
}

func (m *maker) certificate(serial int64, name string, ca bool, extra []pkix.Extension, key *ecdsa.PrivateKey, by *x509.Certificate, with *ecdsa.PrivateKey) *x509.Certificate {
	form := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: ca, BasicConstraintsValid: ca, ExtraExtensions: extra,
	}
	if ca {
		form.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
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

// extensions are those of the signer's certificate.
func (m *maker) extensions() []pkix.Extension {
	all := slices.Clone(m.extra)
	add := func(name asn1.ObjectIdentifier, value []byte) {
		all = append(all, pkix.Extension{Id: name, Value: value})
	}
	for arc, n := range m.tcb {
		der, err := asn1.Marshal(n)
		m.check(err)
		add(below(3, arc), der)
	}
	if m.chip != nil {
		add(oidChip, m.chip)
	}
	if m.cloud != "" {
		der, err := asn1.MarshalWithParams(m.cloud, "ia5")
		m.check(err)
		add(oidCloud, der)
	}
	return all
}

// make signs all of it.
func (m *maker) make() *Evidence {
	rootKey, issuerKey, signerKey := m.key(elliptic.P384()), m.key(elliptic.P384()), m.key(m.curve)
	m.root, m.rootKey = m.certificate(1, m.names[0], true, nil, rootKey, nil, nil), rootKey
	issuer := m.certificate(2, m.names[1], true, nil, issuerKey, m.root, rootKey)
	signer := m.certificate(3, m.names[2], false, m.extensions(), signerKey, issuer, issuerKey)
	e := &Evidence{Report: m.report, Signer: signer.Raw, Issuer: issuer.Raw}
	sum := sha512.Sum384(e.Report[:atSignature])
	r, s, err := ecdsa.Sign(rand.Reader, signerKey, sum[:])
	m.check(err)
	putNumber(e.Report[atSignature:], r)
	putNumber(e.Report[atSignature+sizeOfNumber:], s)
	if !m.crl.IsZero() {
		e.Withdrawn = m.list(m.crl, m.withdrawn...)
	}
	return e
}

// list is one of the root, once all is signed.
func (m *maker) list(from time.Time, withdrawn ...int64) []byte {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.AddDate(0, 1, 0)}
	for _, n := range withdrawn {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: from})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, m.root, m.rootKey)
	m.check(err)
	return der
}

func putNumber(to []byte, n *big.Int) {
	b := n.FillBytes(make([]byte, 48))
	slices.Reverse(b)
	copy(to, b)
}

func (m *maker) trust() Trust { return Trust{Roots: []*x509.Certificate{m.root}, Now: now} }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

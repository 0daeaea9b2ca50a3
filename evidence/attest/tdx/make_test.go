package tdx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
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

var (
	now = time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)
	// binding is of the node and the nonce that the tests of evidence/attest/hardware name.
	binding = [32]byte(unhex("9370deb69e5f965b369b71351a893b41fe5247b6da3bc049ef0835253d13d6fc"))
)

type object = map[string]any

// A maker is an authority that tests make up in Intel's place, and a quote of one platform.
type maker struct {
	t        testing.TB
	names    [4]string // root, issuer, platform, signer of collateral
	svn      [16]uint8
	pcesvn   int
	family   []byte
	extra    []pair // of the SGX extension
	header   []byte
	kind     []byte // and size of the body, in version 5
	body     []byte
	enclave  []byte
	auth     []byte
	info     object
	identity object
	from     time.Time // of the lists
	badRoot  []int64   // serial numbers: withdrawn by the root
	badPCK   []int64   // by the issuer

	offCurve bool            // the attestation key is no point
	change   func(*Evidence) // what is done to the evidence once all is signed

	root, issuer, pck, signer     *x509.Certificate
	rootKey, issuerKey, signerKey *ecdsa.PrivateKey
}

type pair struct {
	Name  asn1.ObjectIdentifier
	Value any
}

func numbers(of [16]uint8) (all []object) {
	for _, n := range of {
		all = append(all, object{"svn": n})
	}
	return all
}

// made is a maker whose evidence holds: a platform that is up to date, with a TDX module of line 1.
func made(t testing.TB) *maker {
	m := &maker{
		t: t, names: [4]string{"Intel SGX Root CA", "Intel SGX PCK Platform CA", "Intel SGX PCK Certificate", "Intel SGX TCB Signing"},
		svn: [16]uint8{5, 5, 2, 2, 3, 1, 0, 3}, pcesvn: 11, family: []byte{0x50, 0x80, 0x6f, 0, 0, 0}, auth: []byte("of the enclave"), from: now.AddDate(0, 0, -1),
	}
	m.header = make([]byte, headerSize)
	binary.LittleEndian.PutUint16(m.header, version4)
	binary.LittleEndian.PutUint16(m.header[2:], keyP256)
	binary.LittleEndian.PutUint32(m.header[4:], teeTDX)
	copy(m.header[12:], qeVendor[:])
	m.body = make([]byte, bodySize)
	copy(m.body, []byte{5, 1, 6})
	copy(m.body[16:], bytes.Repeat([]byte{0x5e}, 48))
	binary.LittleEndian.PutUint64(m.body[120:], attributesNoVE)
	copy(m.body[136:], bytes.Repeat([]byte{0x3e}, 48))
	for i := range 4 {
		copy(m.body[328+48*i:], bytes.Repeat([]byte{byte(0xa0 + i)}, 48))
	}
	copy(m.body[520:], binding[:])
	m.enclave = make([]byte, enclaveSize)
	m.enclave[48] = 0x11
	copy(m.enclave[128:], bytes.Repeat([]byte{0xdc}, 32))
	binary.LittleEndian.PutUint16(m.enclave[256:], 2)
	binary.LittleEndian.PutUint16(m.enclave[258:], 4)
	m.words()
	return m
}

// newer makes a quote of version 5, with a body of TDX 1.5.
func (m *maker) newer() {
	m.header[0] = version5
	m.kind = slices.Concat(le16(bodyTDX15), le32(newBodySize))
	m.body = append(m.body, make([]byte, newBodySize-bodySize)...)
	copy(m.body[bodySize:], []byte{6, 1, 7})
}

func zeros(n int) string { return string(bytes.Repeat([]byte("0"), n)) }
func effs(n int) string  { return string(bytes.Repeat([]byte("F"), n)) }

// words are what Intel says of the platform.
func (m *maker) words() {
	level := func(first uint8, status string) object {
		return object{
			"tcb":     object{"sgxtcbcomponents": numbers([16]uint8{first, 5, 2, 2, 3, 1, 0, 3}), "pcesvn": 11, "tdxtcbcomponents": numbers([16]uint8{3, 0, 6})},
			"tcbDate": "2026-08-01T00:00:00Z", "tcbStatus": status, "advisoryIDs": []string{"INTEL-SA-00001"},
		}
	}
	versions := func(list ...any) (all []object) {
		for i := 0; i < len(list); i += 2 {
			all = append(all, object{"tcb": object{"isvsvn": list[i]}, "tcbDate": "2026-08-01T00:00:00Z", "tcbStatus": list[i+1]})
		}
		return all
	}
	m.info = object{
		"id": "TDX", "version": 3, "issueDate": "2026-11-20T00:00:00Z", "nextUpdate": "2026-12-20T00:00:00Z", "fmspc": "50806f000000", "pceId": "0000", "tcbType": 0,
		"tcbEvaluationDataNumber": 18, "tdxModule": object{"mrsigner": zeros(96), "attributes": zeros(16), "attributesMask": effs(16)},
		"tdxModuleIdentities": []object{
			{"id": "TDX_01", "mrsigner": zeros(96), "attributes": zeros(16), "attributesMask": effs(16), "tcbLevels": versions(5, "UpToDate", 2, "OutOfDate", 1, "Revoked")},
		},
		"tcbLevels": []object{level(5, "UpToDate"), level(4, "SWHardeningNeeded"), level(3, "ConfigurationNeeded"), level(2, "OutOfDate"), level(1, "Revoked")},
	}
	m.identity = object{
		"id": "TD_QE", "version": 2, "issueDate": "2026-11-20T00:00:00Z", "nextUpdate": "2026-12-19T00:00:00Z", "tcbEvaluationDataNumber": 17,
		"miscselect": zeros(8), "miscselectMask": effs(8), "attributes": "11" + zeros(30), "attributesMask": "FBFFFFFFFFFFFFFF" + zeros(16),
		"mrsigner": string(bytes.Repeat([]byte("DC"), 32)), "isvprodid": 2, "tcbLevels": versions(4, "UpToDate", 2, "OutOfDate"),
	}
}

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

func (m *maker) certificate(serial int64, name string, ca bool, key *ecdsa.PrivateKey, by *x509.Certificate, with *ecdsa.PrivateKey, extra ...pkix.Extension) *x509.Certificate {
	form := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, Organization: []string{"Test Corporation"}}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: ca, BasicConstraintsValid: true, ExtraExtensions: extra, KeyUsage: x509.KeyUsageDigitalSignature, CRLDistributionPoints: []string{"https://example.test/root.crl"},
	}
	if ca {
		form.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	} else {
		form.SubjectKeyId = []byte{byte(serial)}
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

func sub(arcs ...int) asn1.ObjectIdentifier { return append(slices.Clone(oidSGX), arcs...) }

func (m *maker) extension() pkix.Extension {
	tcb := []pair{}
	for i, n := range m.svn {
		tcb = append(tcb, pair{sub(2, i+1), int(n)})
	}
	tcb = append(tcb, pair{sub(2, 17), m.pcesvn}, pair{sub(2, 18), m.svn[:]})
	list := append([]pair{{sub(1), bytes.Repeat([]byte{0x1d}, 16)}, {sub(2), tcb}, {sub(3), []byte{0, 0}}, {sub(4), m.family}, {sub(5), asn1.Enumerated(1)}}, m.extra...)
	der, err := asn1.Marshal(list)
	m.check(err)
	return pkix.Extension{Id: oidSGX, Value: der}
}

func (m *maker) sign(key *ecdsa.PrivateKey, message []byte) []byte {
	sum := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	m.check(err)
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func (m *maker) list(by *x509.Certificate, with *ecdsa.PrivateKey, bad []int64) []byte {
	form := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: m.from, NextUpdate: m.from.AddDate(0, 1, 0)}
	for _, n := range bad {
		form.RevokedCertificateEntries = append(form.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: m.from})
	}
	der, err := x509.CreateRevocationList(rand.Reader, form, by, with)
	m.check(err)
	return der
}

func (m *maker) word(what object, key *ecdsa.PrivateKey) Signed {
	b, err := json.Marshal(what)
	m.check(err)
	return Signed{b, m.sign(key, b)}
}

func le32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
func le16(n int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }

func toPEM(all ...*x509.Certificate) (b []byte) {
	for _, c := range all {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// make signs all of it.
func (m *maker) make() *Evidence {
	rootKey, issuerKey, pckKey, signerKey, attestKey := m.key(), m.key(), m.key(), m.key(), m.key()
	m.rootKey, m.issuerKey, m.signerKey = rootKey, issuerKey, signerKey
	m.root = m.certificate(1, m.names[0], true, rootKey, nil, nil)
	m.issuer = m.certificate(2, m.names[1], true, issuerKey, m.root, rootKey)
	m.pck = m.certificate(3, m.names[2], false, pckKey, m.issuer, issuerKey, m.extension())
	m.signer = m.certificate(4, m.names[3], false, signerKey, m.root, rootKey)
	public, err := attestKey.PublicKey.Bytes()
	m.check(err)
	if public = public[1:]; m.offCurve {
		public[0] ^= 1
	}
	sum := sha256.Sum256(append(slices.Clone(public), m.auth...))
	copy(m.enclave[320:], sum[:])
	chain := toPEM(m.pck, m.issuer, m.root)
	certificates := slices.Concat(le16(dataPCKChain), le32(len(chain)), chain)
	inner := slices.Concat(m.enclave, m.sign(pckKey, m.enclave), le16(len(m.auth)), m.auth, certificates)
	signed := slices.Concat(m.header, m.kind, m.body)
	outer := slices.Concat(m.sign(attestKey, signed), public, le16(dataEnclave), le32(len(inner)), inner)
	e := &Evidence{Quote: slices.Concat(signed, le32(len(outer)), outer)}
	e.Collateral = m.collateral()
	if m.change != nil {
		m.change(e)
	}
	return e
}

// collateral is what these authorities say now.
func (m *maker) collateral() Collateral {
	return Collateral{
		TCBInfo: m.word(m.info, m.signerKey), Identity: m.word(m.identity, m.signerKey), Signer: m.signer.Raw,
		RootList: m.list(m.root, m.rootKey, m.badRoot), PCKList: m.list(m.issuer, m.issuerKey, m.badPCK),
	}
}

func (m *maker) trust() Trust { return Trust{Roots: []*x509.Certificate{m.root}, Now: now} }

// judge does all that the face does.
func judge(e *Evidence, t Trust, borne ...string) (*Genuine, *Evaluation, error) {
	g, err := e.Authenticate(t)
	if err != nil {
		return nil, nil, err
	}
	v, err := g.Evaluate(&e.Collateral, t)
	if err != nil {
		return nil, nil, err
	}
	return g, v, g.Judge(v, binding, borne)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

package tdx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"github.com/ostraka/ostraka/evidence/attest/pki"
)

// A Quote is what the quoting enclave signed, as far as anything is judged by it.
type Quote struct {
	TCB            [16]byte // TEE_TCB_SVN: versions of the TDX module and what lies below
	Module         [48]byte // MRSEAM: measurement of the TDX module
	ModuleSigner   [48]byte // zero: Intel
	ModuleFlags    [8]byte  // SEAMATTRIBUTES
	Attributes     uint64   // of the guest
	XFAM           [8]byte
	MRTD           [48]byte // measurement of what the guest started from
	ConfigID       [48]byte // as whoever started the guest set it
	Owner          [48]byte
	OwnerConfig    [48]byte
	RTMR           [4][48]byte // what was measured since
	Data           [64]byte    // what the guest had signed
	TCBNow         [16]byte    // TEE_TCB_SVN_2: versions that are loaded now; zero: the quote does not say
	Service        [48]byte    // MRSERVICETD: a service's guest that is bound to this one; zero: none, or the quote does not say
	QEVendor       [16]byte
	signature, key []byte
	signed         []byte // header and body
	enclave        enclave
	chain          []byte // PEM
}

// An enclave is the report of the quoting enclave, which the platform's certified key signed.
type enclave struct {
	raw        []byte
	misc       [4]byte
	attributes [16]byte
	signer     [32]byte
	product    uint16
	version    uint16
	data       [64]byte
	signature  []byte
	auth       []byte // what it had itself sign beside its key
}

// Where fields stand. All numbers are little-endian.
const (
	headerSize   = 48
	bodySize     = 584 // of TDX 1.0
	newBodySize  = 648 // of TDX 1.5
	bodyTDX10    = 2   // kinds of bodies, in quotes of version 5
	bodyTDX15    = 3
	enclaveSize  = 384
	keySize      = 64
	dataPCKChain = 5 // kinds of certification data
	dataEnclave  = 6
	version4     = 4
	version5     = 5
	keyP256      = 2
	teeTDX       = 0x81
)

// qeVendor is Intel's id as the quoting enclave's vendor.
var qeVendor = [16]byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

// A cursor takes parts off the front of bytes, and remembers that they ended too early.
type cursor struct {
	b    []byte
	size int // of all
	err  error
}

func (c *cursor) take(name string, n int) []byte {
	if c.err == nil && n > len(c.b) {
		c.err = fmt.Errorf("quote: %s ends too early, at byte %d", name, c.size)
	}
	if c.err != nil {
		return make([]byte, min(n, newBodySize))
	}
	part := c.b[:n:n]
	c.b = c.b[n:]
	return part
}

func (c *cursor) u16(name string) uint16 { return binary.LittleEndian.Uint16(c.take(name, 2)) }
func (c *cursor) u32(name string) uint32 { return binary.LittleEndian.Uint32(c.take(name, 4)) }

// sized takes what its length stands before; all that is left must be it.
func (c *cursor) sized(name string) *cursor {
	n := c.u32(name)
	if c.err == nil && int64(n) != int64(len(c.b)) {
		c.err = fmt.Errorf("quote: %s says %d bytes, %d follow", name, n, len(c.b))
	}
	return c
}

// body takes what says of which kind a body is, in quotes of version 5.
func (c *cursor) body() (size int, err error) {
	kind, n := c.u16("kind of body"), c.u32("size of body")
	switch {
	case c.err != nil:
		return 0, c.err
	case kind == bodyTDX10 && n == bodySize, kind == bodyTDX15 && n == newBodySize:
		return int(n), nil
	}
	return 0, fmt.Errorf("quote: a body of kind %d and %d bytes is not known", kind, n)
}

// Read reads a quote's form. Nothing of it is verified.
func Read(raw []byte) (*Quote, error) {
	if len(raw) > MaxQuote {
		return nil, fmt.Errorf("quote: %d bytes, at most %d are allowed", len(raw), MaxQuote)
	}
	c := &cursor{b: raw, size: len(raw)}
	head := c.take("header", headerSize)
	if c.err != nil {
		return nil, c.err
	}
	q := &Quote{}
	copy(q.QEVendor[:], head[12:])
	version := binary.LittleEndian.Uint16(head)
	switch key, tee := binary.LittleEndian.Uint16(head[2:]), binary.LittleEndian.Uint32(head[4:]); {
	case version != version4 && version != version5:
		return nil, fmt.Errorf("quote: version %d, %d and %d are known", version, version4, version5)
	case key != keyP256:
		return nil, fmt.Errorf("quote: key of kind %d, not %d (ECDSA P-256)", key, keyP256)
	case tee != teeTDX:
		return nil, fmt.Errorf("quote: of technology %#x, not TDX (%#x)", tee, teeTDX)
	case q.QEVendor != qeVendor:
		return nil, fmt.Errorf("quote: the quoting enclave is of vendor %x, not Intel", q.QEVendor)
	}
	size := bodySize
	if version == version5 {
		if size, c.err = c.body(); c.err != nil {
			return nil, c.err
		}
	}
	q.readBody(c.take("body", size))
	q.signed = raw[:len(raw)-len(c.b)]
	c.sized("signature data")
	q.signature, q.key = c.take("signature", signatureSize), c.take("attestation key", keySize)
	if kind := c.u16("certification data"); c.err == nil && kind != dataEnclave {
		return nil, fmt.Errorf("quote: certification data of kind %d, not %d (quoting enclave)", kind, dataEnclave)
	}
	c.sized("certification data")
	q.readEnclave(c)
	if kind := c.u16("certificates"); c.err == nil && kind != dataPCKChain {
		return nil, fmt.Errorf("quote: certificates of kind %d, not %d (the platform's chain): fetch them before", kind, dataPCKChain)
	}
	q.chain = c.sized("certificates").b
	return q, c.err
}

func (q *Quote) readBody(body []byte) {
	q.Attributes = binary.LittleEndian.Uint64(body[120:])
	for at, to := range map[int][]byte{
		0: q.TCB[:], 16: q.Module[:], 64: q.ModuleSigner[:], 112: q.ModuleFlags[:], 128: q.XFAM[:], 136: q.MRTD[:], 184: q.ConfigID[:], 232: q.Owner[:],
		280: q.OwnerConfig[:], 328: q.RTMR[0][:], 376: q.RTMR[1][:], 424: q.RTMR[2][:], 472: q.RTMR[3][:], 520: q.Data[:],
	} {
		copy(to, body[at:])
	}
	if len(body) == newBodySize {
		copy(q.TCBNow[:], body[bodySize:])
		copy(q.Service[:], body[bodySize+16:])
	}
}

func (q *Quote) readEnclave(c *cursor) {
	e := &q.enclave
	e.raw = c.take("quoting enclave", enclaveSize)
	for at, to := range map[int][]byte{16: e.misc[:], 48: e.attributes[:], 128: e.signer[:], 320: e.data[:]} {
		copy(to, e.raw[at:])
	}
	e.product, e.version = binary.LittleEndian.Uint16(e.raw[256:]), binary.LittleEndian.Uint16(e.raw[258:])
	e.signature = c.take("quoting enclave's signature", signatureSize)
	e.auth = c.take("quoting enclave's data", int(c.u16("quoting enclave's data")))
}

// certificates are those in the quote: the platform's (PCK), its issuer's, and a root, which is not believed for standing there.
func (q *Quote) certificates() (pck, issuer *x509.Certificate, err error) {
	rest := bytes.TrimSuffix(q.chain, []byte{0})
	var all []*x509.Certificate
	for range 3 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			return nil, nil, errors.New("quote: certificates: there are not three in PEM")
		}
		c, err := pki.Certificate("quote: certificates", block.Bytes)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, c)
	}
	if len(rest) > 0 {
		return nil, nil, fmt.Errorf("quote: certificates: %d bytes stand behind the third", len(rest))
	}
	return all[0], all[1], nil
}

// signedBy checks a signature of r and s by a key on P-256.
func signedBy(key *ecdsa.PublicKey, message, signature []byte) bool {
	if len(signature) != signatureSize {
		return false
	}
	sum := sha256.Sum256(message)
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

func p256(c *x509.Certificate) (*ecdsa.PublicKey, bool) {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	return key, ok && key.Curve == elliptic.P256()
}

// authentic checks the three signatures: the platform's key over the enclave, the enclave over the key that it made, and that key over the quote.
func (q *Quote) authentic(pck *x509.Certificate) error {
	platform, ok := p256(pck)
	if !ok {
		return errors.New("platform's certificate: its key is not on P-256")
	}
	if !signedBy(platform, q.enclave.raw, q.enclave.signature) {
		return errors.New("quote: the quoting enclave's report is not signed by the platform's key")
	}
	var data [64]byte
	sum := sha256.Sum256(append(bytes.Clone(q.key), q.enclave.auth...))
	copy(data[:], sum[:])
	if data != q.enclave.data {
		return errors.New("quote: the attestation key is not the quoting enclave's")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, q.key...))
	if err != nil {
		return fmt.Errorf("quote: attestation key: %w", err)
	}
	if !signedBy(key, q.signed, q.signature) {
		return errors.New("quote: the signature is not the attestation key's")
	}
	return nil
}

// A Platform is what the platform's certificate says of it.
type Platform struct {
	ID     [16]byte // PPID
	Family [6]byte  // FMSPC
	PCE    [2]byte  // id of the enclave that certifies
	SVN    [16]uint8
	PCESVN uint16
}

var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

// pairs reads a list of names and values in DER, which each stand once; a name is the last arc below a prefix.
func pairs(der []byte, below asn1.ObjectIdentifier) (map[int]asn1.RawValue, error) {
	var list []struct {
		Name  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	if err := pki.Whole(der, &list); err != nil {
		return nil, err
	}
	all := map[int]asn1.RawValue{}
	for _, p := range list {
		last := len(p.Name) - 1
		if last != len(below) || !p.Name[:last].Equal(below) {
			return nil, fmt.Errorf("%v is not known", p.Name)
		}
		if _, twice := all[p.Name[last]]; twice {
			return nil, fmt.Errorf("%v stands twice", p.Name)
		}
		all[p.Name[last]] = p.Value
	}
	return all, nil
}

// readPlatform reads the extension of Intel's in a platform's certificate.
func readPlatform(pck *x509.Certificate) (*Platform, error) {
	p, err := sgxExtension(pck)
	if err != nil {
		return nil, fmt.Errorf("platform's certificate: extension %v: %w", oidSGX, err)
	}
	return p, nil
}

func sgxExtension(pck *x509.Certificate) (*Platform, error) {
	value, ok := pki.Extension(pck, oidSGX)
	if !ok {
		return nil, errors.New("is missing")
	}
	all, err := pairs(value, oidSGX)
	if err != nil {
		return nil, err
	}
	p := &Platform{}
	for arc, to := range map[int][]byte{1: p.ID[:], 3: p.PCE[:], 4: p.Family[:]} {
		v := all[arc]
		if v.Tag != asn1.TagOctetString || v.Class != asn1.ClassUniversal || len(v.Bytes) != len(to) {
			return nil, fmt.Errorf("field %d is not %d bytes", arc, len(to))
		}
		copy(to, v.Bytes)
	}
	tcb, err := pairs(all[2].FullBytes, append(oidSGX[:len(oidSGX):len(oidSGX)], 2))
	if err != nil {
		return nil, fmt.Errorf("TCB: %w", err)
	}
	number := func(arc, most int) (n int) {
		if e := pki.Whole(tcb[arc].FullBytes, &n); err == nil && (e != nil || n < 0 || n > most) {
			err = fmt.Errorf("TCB: field %d is no number from 0 to %d", arc, most)
		}
		return n
	}
	for i := range p.SVN {
		p.SVN[i] = uint8(number(i+1, 255))
	}
	p.PCESVN = uint16(number(17, 65535))
	return p, err
}

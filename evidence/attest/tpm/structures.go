package tpm

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Numbers of the TPM 2.0 Library Specification, part 2.
const (
	algRSA    = 0x0001
	algAES    = 0x0006
	algSHA256 = 0x000b
	algNull   = 0x0010
	algECDSA  = 0x0018
	algECC    = 0x0023
	algCFB    = 0x0043
	curveP256 = 0x0003

	generated   = 0xff544347 // what a TPM makes itself begins so
	typeQuote   = 0x8018
	endorsement = 0x4000000b // the hierarchy whose keys do not change with the owner

	fixedTPM      = 1 << 1
	fixedParent   = 1 << 4
	madeWithin    = 1 << 5 // sensitiveDataOrigin
	restricted    = 1 << 16
	decrypts      = 1 << 17
	signs         = 1 << 18
	attributesAK  = fixedTPM | fixedParent | madeWithin | restricted | signs
	attributesEK  = fixedTPM | fixedParent | madeWithin | restricted | decrypts
	attributesAny = attributesAK | attributesEK
)

// A cursor takes numbers and parts off the front of a TPM's structure, and remembers the first error.
type cursor struct {
	field string
	b     []byte
	err   error
}

func (c *cursor) take(n int) []byte {
	if c.err == nil && n > len(c.b) {
		c.err = fmt.Errorf("%s: ends too early", c.field)
	}
	if c.err != nil {
		return make([]byte, min(n, 8))
	}
	part := c.b[:n:n]
	c.b = c.b[n:]
	return part
}

func (c *cursor) u8() uint8   { return c.take(1)[0] }
func (c *cursor) u16() uint16 { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32 { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64 { return binary.BigEndian.Uint64(c.take(8)) }

// sized takes a TPM2B.
func (c *cursor) sized() []byte { return c.take(int(c.u16())) }

// is takes a number that must be one of these.
func (c *cursor) is(what string, those ...uint16) uint16 {
	n := c.u16()
	if c.err == nil && !slices.Contains(those, n) {
		c.err = fmt.Errorf("%s: %s is %#04x, not %#04x", c.field, what, n, those)
	}
	return n
}

func (c *cursor) done() error {
	if c.err == nil && len(c.b) > 0 {
		c.err = fmt.Errorf("%s: %d bytes too many", c.field, len(c.b))
	}
	return c.err
}

// public is a TPMT_PUBLIC of the two forms that are taken.
type public struct {
	area []byte // as the TPM hashes it
	ecc  *ecdsa.PublicKey
	rsa  *rsa.PublicKey
}

// name is the TPM's name of an object: what ties it to its attributes.
func (p *public) name() []byte {
	sum := sha256.Sum256(p.area)
	return append([]byte{algSHA256 >> 8, algSHA256 & 0xff}, sum[:]...)
}

// readAK reads an attestation key: ECDSA on P-256 with SHA-256, which the TPM made, keeps, and signs with nothing but what it made itself.
// Without *restricted* the TPM's owner could have it sign a quote that he wrote; without *fixedTPM* he could take it to another machine.
func readAK(tpm2b []byte) (*public, error) {
	c := &cursor{field: "attestation key", b: tpm2b}
	c.u16() // its length was checked as it was decoded
	p := &public{area: c.b}
	c.is("type", algECC)
	c.attributes(attributesAK)
	c.is("symmetric", algNull)
	c.is("scheme", algECDSA)
	c.is("hash of scheme", algSHA256)
	p.ecc = c.point()
	return p, c.done()
}

// readEK reads an endorsement key: RSA of 2048 bits or ECDH on P-256, with AES of 128 bits for what is put under it.
func readEK(tpm2b []byte) (*public, error) {
	c := &cursor{field: "endorsement key", b: tpm2b}
	c.u16()
	p := &public{area: c.b}
	kind := c.is("type", algRSA, algECC)
	c.attributes(attributesEK)
	c.is("symmetric", algAES)
	c.is("bits of symmetric", 128)
	c.is("mode of symmetric", algCFB)
	c.is("scheme", algNull)
	if kind == algECC {
		p.ecc = c.point()
		return p, c.done()
	}
	c.is("bits", 2048)
	exponent, n := c.u32(), c.sized()
	p.rsa = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	if c.err == nil && (exponent != 0 && exponent != 65537 || len(n) != 256 || n[0] < 0x80) {
		c.err = fmt.Errorf("%s: it is no RSA key of 2048 bits with exponent 65537", c.field)
	}
	return p, c.done()
}

func (c *cursor) attributes(want uint32) {
	c.is("hash of name", algSHA256)
	if a := c.u32(); c.err == nil && a&attributesAny != want {
		c.err = fmt.Errorf("%s: attributes %#x are not those of a key made in this TPM, which stays there and serves this alone (%#x)", c.field, a, want)
	}
	c.sized() // policy
}

func (c *cursor) point() *ecdsa.PublicKey {
	c.is("curve", curveP256)
	c.is("KDF", algNull)
	x, y := c.sized(), c.sized()
	if c.err != nil {
		return nil
	}
	if len(x) > 32 || len(y) > 32 {
		c.err = fmt.Errorf("%s: a coordinate has more than 32 bytes", c.field)
		return nil
	}
	raw := make([]byte, 65)
	raw[0] = 4
	copy(raw[33-len(x):], x)
	copy(raw[65-len(y):], y)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		c.err = fmt.Errorf("%s: %w", c.field, err)
	}
	return key
}

// dh is the key as ECDH takes it.
func (p *public) dh() (*ecdh.PublicKey, error) { return p.ecc.ECDH() }

// A Clock is what a TPM says of its time: how often it was reset, and milliseconds while it had power.
type Clock struct {
	Clock    uint64
	Resets   uint32
	Restarts uint32
	Safe     bool // no higher time was told before
}

// quoted is a TPMS_ATTEST over PCRs of the SHA-256 bank.
type quoted struct {
	signer   []byte // qualified name
	extra    []byte
	clock    Clock
	firmware uint64
	pcrs     []uint8
	digest   []byte
}

func readQuote(b []byte) (*quoted, error) {
	c := &cursor{field: "quote", b: b}
	q := &quoted{}
	// A restricted key signs foreign bytes too, unless they begin so: here is what a TPM can have made alone.
	if m := c.u32(); c.err == nil && m != generated {
		return nil, fmt.Errorf("quote: begins with %#x: a TPM did not make it", m)
	}
	c.is("type", typeQuote)
	q.signer, q.extra = c.sized(), c.sized()
	q.clock = Clock{Clock: c.u64(), Resets: c.u32(), Restarts: c.u32()}
	safe := c.u8()
	q.firmware = c.u64()
	if n := c.u32(); c.err == nil && (safe > 1 || n != 1) {
		return nil, fmt.Errorf("quote: it selects PCRs of %d banks, not of one", n)
	}
	q.clock.Safe = safe == 1
	c.is("bank", algSHA256)
	for i, bits := range c.take(int(c.u8())) {
		for bit := range 8 {
			if bits>>bit&1 == 1 {
				q.pcrs = append(q.pcrs, uint8(min(8*i+bit, 255)))
			}
		}
	}
	q.digest = c.sized()
	return q, c.done()
}

// readSignature reads a TPMT_SIGNATURE of ECDSA with SHA-256.
func readSignature(b []byte) (r, s *big.Int, err error) {
	c := &cursor{field: "signature", b: b}
	c.is("algorithm", algECDSA)
	c.is("hash", algSHA256)
	x, y := c.sized(), c.sized()
	if err := c.done(); err != nil {
		return nil, nil, err
	}
	if len(x) > 32 || len(y) > 32 {
		return nil, nil, errors.New("signature: a number has more than 32 bytes")
	}
	return new(big.Int).SetBytes(x), new(big.Int).SetBytes(y), nil
}

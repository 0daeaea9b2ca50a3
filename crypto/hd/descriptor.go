package hd

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Script is the form of a descriptor: which addresses the keys stand for.
type Script string

const (
	WPKH Script = "wpkh" // BIP 382: P2WPKH
	TR   Script = "tr"   // BIP 386: P2TR without scripts
)

// children is what a descriptor derives below its account: the addresses that nodes give out, m/department/account/index.
const children = "/*"

// A Descriptor is an output descriptor of Bitcoin for an account below a root (BIP 380): a wallet that holds it
// watches the addresses of the account's children 0/0, 0/1, …, and can spend nothing. NewDescriptor and ParseDescriptor make it.
//
// Whoever holds it and one of these children's private keys has the account's (doc.go).
type Descriptor struct {
	Script      Script
	Network     Network
	Fingerprint [4]byte // of the root
	Path        Path    // from the root to the account
	Account     Key
}

// NewDescriptor describes the account at a path below a root, a key of depth 0. The path leaves two of MaxDepth steps for the children.
func NewDescriptor(script Script, n Network, root Key, account Path) (Descriptor, error) {
	if root.Depth != 0 {
		return Descriptor{}, fmt.Errorf("describe account %v: the root has depth %d, not 0", account, root.Depth)
	}
	key, _, err := root.Derive(account)
	if err != nil {
		return Descriptor{}, fmt.Errorf("describe account %v: %w", account, err)
	}
	d := Descriptor{Script: script, Network: n, Fingerprint: root.Fingerprint(), Path: slices.Clone(account), Account: key}
	if err := d.check(); err != nil {
		return Descriptor{}, fmt.Errorf("describe account %v: %w", account, err)
	}
	return d, nil
}

// check refuses what does not fit together. That the account lies at its path below the root cannot be seen without the root,
// except for the first steps.
func (d Descriptor) check() error {
	k := d.Account
	switch {
	case d.Script != WPKH && d.Script != TR:
		return fmt.Errorf("%.20q is not %s or %s", string(d.Script), WPKH, TR)
	case d.Network != Mainnet && d.Network != Testnet:
		return fmt.Errorf("version %08x is not a public key's", uint32(d.Network))
	case len(d.Path)+1 > MaxDepth:
		return fmt.Errorf("account path %v has %d steps, and %d are derived with the children's", d.Path, len(d.Path), MaxDepth)
	case int(k.Depth) != len(d.Path):
		return fmt.Errorf("the key has depth %d, its path %v has %d steps", k.Depth, d.Path, len(d.Path))
	case len(d.Path) == 0 && k.Fingerprint() != d.Fingerprint:
		return fmt.Errorf("the fingerprint is %x, the root's is %x", d.Fingerprint, k.Fingerprint())
	case len(d.Path) > 0 && k.Step != d.Path[len(d.Path)-1]:
		return fmt.Errorf("the key is child %d, the last step of %v", k.Step, d.Path)
	case len(d.Path) == 1 && k.Parent != d.Fingerprint:
		return fmt.Errorf("the fingerprint is %x, the key's parent is %x", d.Fingerprint, k.Parent)
	}
	return nil
}

// String is, for example, wpkh([d34db33f/0/5]xpub…/*)#checksum.
func (d Descriptor) String() string {
	s := fmt.Sprintf("%s([%x%s]%s%s)", d.Script, d.Fingerprint, strings.TrimPrefix(d.Path.String(), "m"), d.Account.XPub(d.Network), children)
	sum, err := descriptorChecksum(s)
	if err != nil {
		panic("hd: a descriptor has a character that descriptors do not have: " + err.Error())
	}
	return s + "#" + sum
}

// ParseDescriptor parses what String writes, and nothing else of BIP 380: wpkh or tr, with an origin in lower-case hex and no
// hardened step, an extended public key, the children *, and a checksum that is right.
func ParseDescriptor(s string) (Descriptor, error) {
	d, err := parseDescriptor(s)
	if err != nil {
		return Descriptor{}, fmt.Errorf("parse descriptor: %w", err)
	}
	return d, nil
}

// maxDescriptor is longer than any descriptor of ours: script and brackets, fingerprint, steps, key, children, checksum.
const maxDescriptor = 8 + 8 + 11*MaxDepth + XPubSize + 8 + 9

func parseDescriptor(s string) (Descriptor, error) {
	if len(s) > maxDescriptor {
		return Descriptor{}, fmt.Errorf("has %d characters, more than %d", len(s), maxDescriptor)
	}
	body, sum, ok := strings.Cut(s, "#")
	if !ok {
		return Descriptor{}, errors.New("has no checksum")
	}
	want, err := descriptorChecksum(body)
	if err != nil {
		return Descriptor{}, err
	}
	if sum != want {
		return Descriptor{}, fmt.Errorf("checksum is %.20q, not %s", sum, want)
	}
	script, rest, _ := strings.Cut(body, "(")
	inner, closed := strings.CutSuffix(rest, children+")")
	if !closed {
		return Descriptor{}, fmt.Errorf("is not a script of one key that ends in %s)", children)
	}
	inner, opened := strings.CutPrefix(inner, "[")
	origin, xpub, ends := strings.Cut(inner, "]")
	if !opened || !ends {
		return Descriptor{}, errors.New("the key has no origin in [ ]")
	}
	d := Descriptor{Script: Script(script)}
	if d.Fingerprint, d.Path, err = parseOrigin(origin); err != nil {
		return Descriptor{}, err
	}
	if d.Account, d.Network, err = ParseXPub(xpub); err != nil {
		return Descriptor{}, err
	}
	return d, d.check()
}

func parseOrigin(s string) (fingerprint [4]byte, path Path, err error) {
	digits, steps, more := strings.Cut(s, "/")
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(fingerprint) || hex.EncodeToString(b) != digits {
		return fingerprint, nil, fmt.Errorf("fingerprint %.20q is not 8 lower-case hex digits", digits)
	}
	if more {
		path, err = ParsePath("m/" + steps)
	}
	return [4]byte(b), path, err
}

const (
	// BIP 380's characters, in three groups of 32, and the digits of its checksum.
	descriptorChars  = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
	descriptorDigits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
)

// Checksummed is a descriptor's text with "#" and its checksum (BIP 380) behind it. A character that descriptors do not have is refused.
func Checksummed(descriptor string) (string, error) {
	sum, err := descriptorChecksum(descriptor)
	if err != nil {
		return "", fmt.Errorf("descriptor: %w", err)
	}
	return descriptor + "#" + sum, nil
}

// descriptorChecksum is BIP 380's: of each character its place in its group, and after each three the numbers of their groups in
// base 3, as symbols of a code over GF(32) with 8 check symbols.
func descriptorChecksum(s string) (string, error) {
	sum, groups := uint64(1), uint64(0)
	for i := range len(s) {
		v := strings.IndexByte(descriptorChars, s[i])
		if v < 0 {
			return "", fmt.Errorf("character %d is not one of BIP 380's", i+1)
		}
		sum = checksumStep(sum, uint64(v)&31)
		groups = groups*3 + uint64(v)>>5
		if i%3 == 2 {
			sum, groups = checksumStep(sum, groups), 0
		}
	}
	if len(s)%3 != 0 {
		sum = checksumStep(sum, groups)
	}
	for range 8 {
		sum = checksumStep(sum, 0)
	}
	sum ^= 1
	var out [8]byte
	for i := range out {
		out[i] = descriptorDigits[sum>>(5*(7-i))&31]
	}
	return string(out[:]), nil
}

// checksumStep multiplies by x, adds a symbol, and reduces modulo the generator.
func checksumStep(sum, symbol uint64) uint64 {
	top := sum >> 35
	sum = sum&(1<<35-1)<<5 ^ symbol
	for i, g := range [5]uint64{0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a, 0x644d626ffd} {
		if top>>i&1 == 1 {
			sum ^= g
		}
	}
	return sum
}

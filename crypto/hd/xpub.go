package hd

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// A Network is the first four bytes of a serialized key.
type Network uint32

const (
	Mainnet Network = 0x0488b21e // xpub…
	Testnet Network = 0x043587cf // tpub…
)

const (
	serializedSize = 78                 // BIP 32: version 4, depth 1, parent 4, step 4, chain code 32, key 33
	checkedSize    = serializedSize + 4 // with its checksum
	// XPubSize is the length of every xpub and tpub in characters.
	XPubSize = 111
)

// XPub is BIP 32's serialization in base58check, XPubSize characters.
func (k Key) XPub(n Network) string {
	b := make([]byte, 0, checkedSize)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	b = append(b, k.Depth)
	b = append(b, k.Parent[:]...)
	b = binary.BigEndian.AppendUint32(b, k.Step)
	b = append(b, k.ChainCode[:]...)
	b = append(b, k.Point.Bytes()...)
	sum := checksum(b)
	return base58Encode(append(b, sum[:]...))
}

// ParseXPub parses an xpub or tpub of any depth. Private keys are refused: nobody should
// have sent one.
func ParseXPub(s string) (Key, Network, error) {
	k, n, err := parseXPub(s)
	if err != nil {
		return Key{}, 0, fmt.Errorf("parse extended public key: %w", err)
	}
	return k, n, nil
}

func parseXPub(s string) (Key, Network, error) {
	b, err := base58Decode(s)
	if err != nil {
		return Key{}, 0, err
	}
	if sum := checksum(b[:serializedSize]); sum != [4]byte(b[serializedSize:]) {
		return Key{}, 0, errors.New("checksum is wrong")
	}
	n := Network(binary.BigEndian.Uint32(b))
	if n != Mainnet && n != Testnet {
		return Key{}, 0, fmt.Errorf("version %08x is not a public key's", uint32(n))
	}
	k := Key{
		Depth: b[4], Parent: [4]byte(b[5:9]), Step: binary.BigEndian.Uint32(b[9:13]), ChainCode: [32]byte(b[13:45]),
	}
	if k.Depth == 0 && (k.Parent != [4]byte{} || k.Step != 0) {
		return Key{}, 0, errors.New("depth is 0, yet a parent or a step is given")
	}
	if k.Point, err = secp256k1.DecodePoint(b[45:serializedSize]); err != nil {
		return Key{}, 0, err
	}
	return k, n, nil
}

// checksum is the first four bytes of SHA-256 twice.
func checksum(b []byte) [4]byte {
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return [4]byte(second[:])
}

const base58Digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

var base58 = big.NewInt(58)

// base58Encode encodes a key, whose first byte is not zero.
func base58Encode(b []byte) string {
	v, digit := new(big.Int).SetBytes(b), new(big.Int)
	out := make([]byte, XPubSize)
	for i := range out {
		v.QuoRem(v, base58, digit)
		out[len(out)-1-i] = base58Digits[digit.Uint64()]
	}
	return string(out)
}

// base58Decode gives exactly checkedSize bytes.
func base58Decode(s string) ([]byte, error) {
	if len(s) != XPubSize {
		return nil, fmt.Errorf("has %d characters, not %d", len(s), XPubSize)
	}
	v := new(big.Int)
	for i := range len(s) {
		d := strings.IndexByte(base58Digits, s[i])
		if d < 0 {
			return nil, fmt.Errorf("character %d is not of base58", i+1)
		}
		v.Mul(v, base58).Add(v, big.NewInt(int64(d)))
	}
	if v.BitLen() > 8*checkedSize {
		return nil, fmt.Errorf("is longer than %d bytes", checkedSize)
	}
	return v.FillBytes(make([]byte, checkedSize)), nil
}

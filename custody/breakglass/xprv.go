package breakglass

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	xprvSize    = 78 // BIP 32: version 4, depth 1, parent 4, step 4, chain code 32, 0, private key 32
	base58Chars = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

// xprv is BIP 32's serialization of a private key of depth 0, in base58check.
func xprv(chainCode [32]byte, private []byte) []byte {
	var b [xprvSize + 4]byte
	defer secret.Wipe(b[:])
	binary.BigEndian.PutUint32(b[:], xprvVersion)
	copy(b[13:], chainCode[:])
	copy(b[46:], private)
	first := sha256.Sum256(b[:xprvSize])
	second := sha256.Sum256(first[:])
	copy(b[xprvSize:], second[:4])
	return base58(b[:], hd.XPubSize)
}

// base58 writes a number of big-endian bytes in n digits. Its steps and its reads do not depend on the value, which math/big's do.
func base58(b []byte, n int) []byte {
	value := append([]byte(nil), b...)
	defer secret.Wipe(value)
	out := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		rest := uint32(0)
		for j, v := range value { // long division by 58
			rest = rest<<8 | uint32(v)
			value[j] = byte(rest / 58)
			rest %= 58
		}
		for d := range len(base58Chars) {
			subtle.ConstantTimeCopy(subtle.ConstantTimeEq(int32(d), int32(rest)), out[i:i+1], []byte{base58Chars[d]})
		}
	}
	return out
}

package store

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// A Part is one part of a key, already in the form in which it is stored. Parts never
// contain "/", so that keys of different parts differ.
type Part string

// Number is 16 lower-case hex digits, big-endian: byte order is number order.
func Number(v uint64) Part { return Part(fmt.Sprintf("%016x", v)) }

// ID is lower-case hex.
func ID(b []byte) Part { return Part(hex.EncodeToString(b)) }

// Name is text; bytes outside a-z, 0-9, "-", "_" and "." become %xx.
func Name(s string) Part {
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02x", c)
		}
	}
	return Part(out.String())
}

// Key builds "<kind>/<part>/<part>…". Kinds and their parts stand in spec/store.md.
func Key(kind string, parts ...Part) string {
	key := kind
	for _, p := range parts {
		key += "/" + string(p)
	}
	return key
}

// Prefix is what all keys below kind and parts begin with: Key and a final "/".
func Prefix(kind string, parts ...Part) string { return Key(kind, parts...) + "/" }

// Kinds that more than one room knows.
const (
	KindBurn = "burn" // burn/<keyID>/<peer>: pair refuses ECDSA (protocols.md 1.5 step 9)
	KindSeen = "seen" // seen/<not-after>/<id>: setup already joined
)

// BurnKey is the burn flag of a pair.
func BurnKey(keyID, peer []byte) string { return Key(KindBurn, ID(keyID), ID(peer)) }

// SeenKey is the mark of a setup that was seen; notAfter is its Unix time in seconds.
// Not-after stands first, so that the expired lie together at the front of "seen/".
func SeenKey(notAfter uint64, id []byte) string { return Key(KindSeen, Number(notAfter), ID(id)) }

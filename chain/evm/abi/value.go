package abi

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// A Value is one of its type. Of Int, Bytes and List the one is set that the type means.
type Value struct {
	Type  *Type
	Int   *big.Int // of an integer in the type's range; 0 or 1 of bool
	Bytes []byte   // of address (20), bytesN (N), bytes, and string (UTF-8)
	List  []Value  // of an array, and of a struct in its fields' order
}

// Address is an address' 20 bytes; zero of another type.
func (v Value) Address() (a [20]byte) {
	if v.Type.kind == addressKind {
		copy(a[:], v.Bytes)
	}
	return a
}

// Field is a struct's part by name; the zero Value where there is none.
func (v Value) Field(name string) Value {
	for i, f := range v.Type.fields {
		if f.Name == name {
			return v.List[i]
		}
	}
	return Value{Type: &Type{kind: bytesKind}}
}

// Text is the value for people. Values of one type that differ have other texts: integers in decimal, bytes as 0x and hex, addresses by
// EIP-55, strings in Go's quotes with what is not printable escaped, arrays as [a,b], structs as (name=a,other=b).
func (v Value) Text() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v Value) write(b *strings.Builder) {
	switch v.Type.kind {
	case uintKind, intKind:
		b.WriteString(v.Int.String())
	case boolKind:
		b.WriteString(strconv.FormatBool(v.Int.Sign() != 0))
	case addressKind:
		b.WriteString(common.Address(v.Bytes).Hex())
	case fixedKind, bytesKind:
		b.WriteString("0x" + hex.EncodeToString(v.Bytes))
	case stringKind:
		b.WriteString(strconv.Quote(string(v.Bytes)))
	case arrayKind:
		b.WriteByte('[')
		for i, e := range v.List {
			if i > 0 {
				b.WriteByte(',')
			}
			e.write(b)
		}
		b.WriteByte(']')
	case structKind:
		b.WriteByte('(')
		for i, e := range v.List {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(v.Type.fields[i].Name + "=")
			e.write(b)
		}
		b.WriteByte(')')
	}
}

// Shown is the type and Text in at most most bytes (200 or more): of a longer one its beginning, its length and the Keccak-256 of the whole,
// so that what is shown changes with every byte.
func (v Value) Shown(most int) string {
	text := v.Type.String() + " " + v.Text()
	if len(text) <= most {
		return text
	}
	tail := " … " + strconv.Itoa(len(text)) + " bytes in all, keccak 0x" + hex.EncodeToString(crypto.Keccak256([]byte(text)))
	return strings.ToValidUTF8(text[:most-len(tail)], "") + tail
}

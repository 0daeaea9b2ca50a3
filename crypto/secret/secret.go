// Package secret holds bytes that must not leave the process: they redact
// themselves wherever they are printed, and can be wiped.
//
// Go may copy memory when it moves stacks or grows slices, so wiping shortens the
// life of a secret in memory but does not promise that no copy remains. SECURITY.md
// says what is promised.
package secret

import (
	"crypto/subtle"
	"fmt"
	"runtime"
)

// Redacted is what every secret prints instead of its value.
const Redacted = "[secret]"

// Bytes is a secret byte string. The zero value is empty.
type Bytes struct{ b []byte }

// New takes ownership of b: the caller must not use it afterwards.
func New(b []byte) Bytes { return Bytes{b} }

// Copy makes a secret from a copy of b.
func Copy(b []byte) Bytes { return Bytes{append([]byte(nil), b...)} }

// Expose returns the bytes themselves, not a copy.
func (s Bytes) Expose() []byte { return s.b }

// Len is the number of bytes.
func (s Bytes) Len() int { return len(s.b) }

// Equal compares in constant time for equal lengths.
func (s Bytes) Equal(o Bytes) bool { return subtle.ConstantTimeCompare(s.b, o.b) == 1 }

// Wipe overwrites the bytes with zero.
func (s Bytes) Wipe() { Wipe(s.b) }

func (Bytes) String() string   { return Redacted }
func (Bytes) GoString() string { return Redacted }

// Format redacts under every verb, so that %x and %v print the same.
func (Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// MarshalText redacts in JSON, YAML and structured logs.
func (Bytes) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Wipe overwrites b with zero.
func Wipe(b []byte) {
	clear(b)
	runtime.KeepAlive(b)
}

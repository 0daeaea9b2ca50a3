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

// Bytes is a secret byte string. The zero value is empty. It holds a function, because fmt
// prints the unexported fields of a struct without asking their methods: it follows even a
// pointer under a wrong verb, but of a function it shows the address only.
type Bytes struct {
	get     func() []byte
	release func() // of memory that was lent; nil: Go's own
}

// New takes ownership of b: the caller must not use it afterwards.
func New(b []byte) Bytes { return Bytes{get: func() []byte { return b }} }

// NewIn is a secret in memory that was lent to it: Wipe overwrites it and gives it back once, by release; from then on the secret is empty. Slices
// that Expose returned must not be used after that: the memory is another secret's.
func NewIn(b []byte, release func()) Bytes {
	return Bytes{get: func() []byte { return b }, release: func() {
		if b != nil {
			Wipe(b)
			b = nil
			release()
		}
	}}
}

// Copy makes a secret from a copy of b.
func Copy(b []byte) Bytes { return New(append([]byte(nil), b...)) }

// Expose returns the bytes themselves, not a copy.
func (s Bytes) Expose() []byte {
	if s.get == nil {
		return nil
	}
	return s.get()
}

// Len is the number of bytes.
func (s Bytes) Len() int { return len(s.Expose()) }

// Equal compares in constant time for equal lengths.
func (s Bytes) Equal(o Bytes) bool { return subtle.ConstantTimeCompare(s.Expose(), o.Expose()) == 1 }

// Wipe overwrites the bytes with zero. Memory that was lent goes back: the secret is empty then.
func (s Bytes) Wipe() {
	if s.release != nil {
		s.release()
		return
	}
	Wipe(s.Expose())
}

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

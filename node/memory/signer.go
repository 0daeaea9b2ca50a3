package memory

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/crypto/secret"
)

// ErrForgotten is what a Signer says whose key was wiped, or whose arena was closed.
var ErrForgotten = errors.New("the key is wiped")

// A Signer is an Ed25519 key that is read where it lies, for the moment of a signature. It is a crypto.Signer, as TLS and certificates want one. Its
// methods may be called at the same time.
type Signer struct {
	mu       sync.RWMutex // Wipe and Keep wait until who signs is done
	public   ed25519.PublicKey
	seed     secret.Bytes
	expanded secret.Bytes
	room     func(size int) secret.Bytes
	derived  []*Signer
}

// NewSigner makes one of a seed, which stays the caller's, in memory that room lends.
func NewSigner(seed []byte, room func(size int) secret.Bytes) (*Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the seed of an Ed25519 key has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	return newSigner(seed, room), nil
}

func newSigner(seed []byte, room func(size int) secret.Bytes) *Signer {
	s := &Signer{room: room, seed: room(len(seed)), expanded: room(eddsa.Size)}
	copy(s.seed.Expose(), seed)
	Do(func() { s.public = eddsa.Expand((*[eddsa.Size]byte)(s.expanded.Expose()), s.seed.Expose()) })
	return s
}

// Heap is room on Go's heap, for what lies there a moment.
func Heap(size int) secret.Bytes { return secret.New(make([]byte, size)) }

// Keep moves the key into other memory. Nothing may have been derived of it.
func (s *Signer) Keep(room func(size int) secret.Bytes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range []*secret.Bytes{&s.seed, &s.expanded} {
		b := room(at.Len())
		copy(b.Expose(), at.Expose())
		at.Wipe()
		*at = b
	}
	s.room = room
}

// Public implements crypto.Signer: an ed25519.PublicKey.
func (s *Signer) Public() crypto.PublicKey { return append(ed25519.PublicKey{}, s.public...) }

// Sign implements crypto.Signer. It signs messages as they are: those that were hashed before it refuses.
func (s *Signer) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	if o, ok := opts.(*ed25519.Options); opts == nil || opts.HashFunc() != 0 || ok && o.Context != "" {
		return nil, errors.New("this key signs by Ed25519 alone: neither hashes, nor with a context")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	whole := false
	Do(func() {
		if b := s.expanded.Expose(); len(b) == eddsa.Size {
			sig, whole = eddsa.Sign((*[eddsa.Size]byte)(b), message)
		}
	})
	if !whole {
		return nil, ErrForgotten
	}
	return sig, nil
}

// Derive makes the key whose seed f gives of this one's, which f only reads. It lies where this one does, and is wiped with it, if not before. That of
// a key that is wiped signs nothing.
func (s *Signer) Derive(f func(seed []byte) [32]byte) crypto.Signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lives() {
		return &Signer{public: make(ed25519.PublicKey, ed25519.PublicKeySize)}
	}
	var fresh [32]byte
	defer secret.Wipe(fresh[:])
	Do(func() { fresh = f(s.seed.Expose()) })
	child := newSigner(fresh[:], s.room)
	s.derived = append(s.derived, child)
	return child
}

// lives says whether there is a key: of every expanded one this bit is set.
func (s *Signer) lives() bool {
	b := s.expanded.Expose()
	return len(b) == eddsa.Size && b[31]&64 != 0
}

// Seed is a copy of the seed, for an export alone; the caller wipes it.
func (s *Signer) Seed() secret.Bytes {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.room(s.seed.Len())
	copy(b.Expose(), s.seed.Expose())
	return b
}

// Wipe overwrites the key, which signs nothing afterwards.
func (s *Signer) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seed.Wipe()
	s.expanded.Wipe()
	for _, d := range s.derived {
		d.Wipe()
	}
}

// Format redacts under every verb.
func (s *Signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

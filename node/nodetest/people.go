package nodetest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Entropy is a node's randomness, the same in every run of a test. It keeps what it gave
// when it is told to.
type Entropy struct {
	mu    sync.Mutex
	from  *rand.ChaCha8
	Keep  bool
	Drawn [][]byte
}

// NewEntropy expands a seed.
func NewEntropy(seed string) *Entropy {
	return &Entropy{from: rand.NewChaCha8(sha256.Sum256([]byte("entropy " + seed)))}
}

// Read fills b.
func (e *Entropy) Read(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, err := e.from.Read(b)
	if e.Keep {
		e.Drawn = append(e.Drawn, append([]byte{}, b[:n]...))
	}
	return n, err
}

// A Person is somebody with an SSH key.
type Person struct {
	Name   string
	Signer ssh.Signer
	Key    signet.Key
}

// NewPerson makes the person of this name: always the same key.
func NewPerson(t testing.TB, name string) Person {
	t.Helper()
	seed := sha256.Sum256([]byte("person " + name))
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	k, err := signet.NewKey(s.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return Person{name, s, k}
}

// Sign makes an armored signature.
func (p Person) Sign(t testing.TB, verb signet.Verb, message []byte) []byte {
	t.Helper()
	armored, err := signet.Sign(NewEntropy("signature"), p.Signer, verb, message)
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

// Makes signs a statement as its maker.
func (p Person) Makes(t testing.TB, s statement.Statement) []byte {
	t.Helper()
	return p.Sign(t, signet.Makes(s.Kind()), s.Bytes())
}

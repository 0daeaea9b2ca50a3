package seal

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/memory"
)

const (
	// KeySize is the length of a data key in bytes.
	KeySize = chacha20poly1305.KeySize

	// MaxPlain is the largest row, in bytes.
	MaxPlain = 1 << 20

	// Overhead is what sealing adds to a row: version, nonce and tag, in bytes.
	Overhead = 1 + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

	version = 1

	maxLabelPart = 512
)

// ErrSealed means that a sealed value does not open: it was changed, or sealed under
// another label or data key.
var ErrSealed = errors.New("sealed value does not open under this label and key")

// A Label says what a sealed value is. It is authenticated, not stored. Each part has at
// most 512 bytes.
type Label struct {
	Key      []byte // key id; empty for what belongs to no key
	Epoch    []byte // eh, the hash of the epoch record; empty for what belongs to no epoch
	Operator []byte // identity of the node's operator
	Row      string // name of the row, for instance its store key
}

// Data is the label as associated data: the tree of domain, version, key, epoch,
// operator and row, and then whatever else a provider binds.
func (l Label) Data(domain transcript.Label, more ...[]byte) ([]byte, error) {
	for name, n := range map[string]int{"key": len(l.Key), "epoch": len(l.Epoch), "operator": len(l.Operator), "row": len(l.Row)} {
		if n > maxLabelPart {
			return nil, fmt.Errorf("label's %s has %d bytes, at most %d are allowed", name, n, maxLabelPart)
		}
	}
	h := transcript.New(domain).Uint(version).Bytes(l.Key).Bytes(l.Epoch).Bytes(l.Operator).Bytes([]byte(l.Row))
	return h.List(more...).Tree(), nil
}

// A Sealer seals rows.
type Sealer interface {
	// Seal encrypts plain, at most MaxPlain bytes, under label. Two calls never give
	// the same bytes.
	Seal(label Label, plain []byte) ([]byte, error)

	// Open decrypts what Seal made under an equal label; ErrSealed if it does not open.
	Open(label Label, sealed []byte) (secret.Bytes, error)
}

// A KEK wraps data keys. Its methods may be called at the same time, and may ask a
// device, a service or another process.
type KEK interface {
	// Name is the provider's name in the key file: a-z, 0-9 and "-".
	Name() string

	// Wrap encrypts a data key of KeySize bytes under label, to at most MaxWrapped bytes.
	Wrap(ctx context.Context, dek secret.Bytes, label Label) ([]byte, error)

	// Unwrap reverses Wrap. Wrapped comes from a file that others may have written.
	Unwrap(ctx context.Context, wrapped []byte, label Label) (secret.Bytes, error)
}

// A Box seals with one data key. It redacts itself where it is printed.
type Box struct {
	mu   sync.Mutex // guards rand
	rand io.Reader
	dek  secret.Bytes
	room Memory // where rows are opened; nil: on Go's heap
}

// Memory gives room for a secret of so many bytes, all zero, which its Wipe gives back.
type Memory func(size int) secret.Bytes

var _ Sealer = (*Box)(nil)

// NewBox makes a box of a data key, which it takes over; rand gives nonces.
func NewBox(dek secret.Bytes, rand io.Reader) (*Box, error) {
	if dek.Len() != KeySize {
		return nil, fmt.Errorf("data key has %d bytes, not %d", dek.Len(), KeySize)
	}
	return &Box{rand: rand, dek: dek}, nil
}

// Keep moves the data key into other memory, and opens rows there from now on. No other call may run.
func (b *Box) Keep(room Memory) {
	dek := room(b.dek.Len())
	copy(dek.Expose(), b.dek.Expose())
	b.dek.Wipe()
	b.dek, b.room = dek, room
}

// NewKey draws a data key.
func NewKey(rand io.Reader) (secret.Bytes, error) {
	b := make([]byte, KeySize)
	if _, err := io.ReadFull(rand, b); err != nil {
		return secret.Bytes{}, fmt.Errorf("draw data key: %w", err)
	}
	return secret.New(b), nil
}

// Seal implements Sealer: version (1 byte, 1) ‖ nonce (24, random) ‖ ciphertext ‖ tag (16).
func (b *Box) Seal(label Label, plain []byte) ([]byte, error) {
	if len(plain) > MaxPlain {
		return nil, fmt.Errorf("seal %q: row has %d bytes, at most %d are allowed", label.Row, len(plain), MaxPlain)
	}
	data, err := label.Data(transcript.SealRow)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out, err := Encrypt(b.rand, b.dek, data, plain)
	if err != nil {
		return nil, fmt.Errorf("seal %q: %w", label.Row, err)
	}
	return out, nil
}

// Open implements Sealer.
func (b *Box) Open(label Label, sealed []byte) (secret.Bytes, error) {
	data, err := label.Data(transcript.SealRow)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open: %w", err)
	}
	plain, err := decrypt(b.dek, data, sealed, MaxPlain, b.room)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open %q: %w", label.Row, err)
	}
	return plain, nil
}

// DataKey gives a copy of the data key, for an export alone: it opens every row. The caller wipes it.
func (b *Box) DataKey() secret.Bytes { return secret.New(append([]byte{}, b.dek.Expose()...)) }

// Wipe overwrites the data key; the box opens nothing afterwards. No other call may run.
func (b *Box) Wipe() { b.dek.Wipe() }

// Format redacts under every verb: fmt does not ask unexported fields.
func (b *Box) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// Encrypt is XChaCha20-Poly1305 for providers whose key (32 bytes) is in memory:
// version ‖ nonce ‖ ciphertext ‖ tag, with data authenticated.
func Encrypt(rand io.Reader, key secret.Bytes, data, plain []byte) ([]byte, error) {
	const head = 1 + chacha20poly1305.NonceSizeX
	out := make([]byte, head, head+len(plain)+chacha20poly1305.Overhead)
	out[0] = version
	if _, err := io.ReadFull(rand, out[1:]); err != nil {
		return nil, fmt.Errorf("draw nonce: %w", err)
	}
	var err error
	memory.Do(func() { // the cipher has a copy of the key
		var aead cipher.AEAD
		if aead, err = chacha20poly1305.NewX(key.Expose()); err == nil {
			out = aead.Seal(out, out[1:head], plain, data)
			forget(aead)
		}
	})
	return out, err
}

// forget overwrites the key that a cipher holds: on the heap it would lie where it was freed until these bytes are used again, and come into swap. The
// library has no way to ask for it; a test holds its form.
func forget(aead cipher.AEAD) bool {
	v := reflect.ValueOf(aead)
	if v.Kind() != reflect.Pointer || v.Elem().Type().Size() != chacha20poly1305.KeySize {
		return false
	}
	secret.Wipe((*[chacha20poly1305.KeySize]byte)(v.UnsafePointer())[:])
	return true
}

// Decrypt reverses Encrypt for plaintexts of at most max bytes; ErrSealed if it does
// not open.
func Decrypt(key secret.Bytes, data, sealed []byte, max int) (secret.Bytes, error) {
	return decrypt(key, data, sealed, max, nil)
}

func decrypt(key secret.Bytes, data, sealed []byte, max int, room Memory) (out secret.Bytes, err error) {
	if len(sealed) < Overhead || len(sealed) > Overhead+max {
		return secret.Bytes{}, fmt.Errorf("sealed value has %d bytes, %d to %d are allowed", len(sealed), Overhead, Overhead+max)
	}
	if sealed[0] != version {
		return secret.Bytes{}, fmt.Errorf("sealed value has version %d, this program knows %d", sealed[0], version)
	}
	const head = 1 + chacha20poly1305.NonceSizeX
	if room == nil {
		room = func(n int) secret.Bytes { return secret.New(make([]byte, n)) }
	}
	out = room(len(sealed) - Overhead)
	memory.Do(func() { // the cipher has a copy of the key
		var aead cipher.AEAD
		if aead, err = chacha20poly1305.NewX(key.Expose()); err != nil {
			return
		}
		if _, openErr := aead.Open(out.Expose()[:0], sealed[1:head], sealed[head:], data); openErr != nil {
			err = ErrSealed
		}
		forget(aead)
	})
	if err != nil {
		out.Wipe()
		return secret.Bytes{}, err
	}
	return out, nil
}

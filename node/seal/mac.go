package seal

import (
	"crypto/sha256"
	"fmt"
	"io"
	"sync"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/memory"
)

// A MAC is HMAC-SHA-256 under a key that follows from a data key (spec/sealing 1.4). It redacts itself where it is printed.
type MAC struct {
	mu  sync.RWMutex // held for reading while the key is used
	key secret.Bytes
}

// MAC derives the key of this label, which lies where the data key does. The caller wipes it.
func (b *Box) MAC(label transcript.Label) (*MAC, error) {
	room := b.room
	if room == nil {
		room = func(n int) secret.Bytes { return secret.New(make([]byte, n)) }
	}
	key := room(sha256.Size)
	if err := expand(key.Expose(), b.dek, label); err != nil {
		key.Wipe()
		return nil, err
	}
	return &MAC{key: key}, nil
}

// expand writes a key that follows from a data key: HKDF-Expand-SHA-256, of one block.
func expand(into []byte, dek secret.Bytes, label transcript.Label) error {
	if dek.Len() != KeySize {
		return fmt.Errorf("derive a key: the data key has %d bytes, not %d", dek.Len(), KeySize)
	}
	keyed(into, dek.Expose(), []byte(label.String()), []byte{1})
	return nil
}

// Sum is the MAC of data; false once the key is wiped.
func (m *MAC) Sum(data []byte) (sum [sha256.Size]byte, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.key.Len() != sha256.Size {
		return sum, false
	}
	keyed(sum[:], m.key.Expose(), data)
	return sum, true
}

// keyed writes HMAC-SHA-256 of the pieces, one behind the other, under a key of at most a block. The key's blocks, and the states that follow from them, are
// overwritten: the library's HMAC, and so its HKDF, leave them on the heap.
func keyed(into, key []byte, pieces ...[]byte) {
	memory.Do(func() {
		h, block, inner := sha256.New(), make([]byte, sha256.BlockSize), make([]byte, 0, sha256.Size)
		defer secret.Wipe(block)
		pad(block, key, 0x36)
		h.Write(block)
		for _, p := range pieces {
			h.Write(p)
		}
		inner = h.Sum(inner)
		defer secret.Wipe(inner)
		h.Reset()
		pad(block, key, 0x5c)
		h.Write(block)
		h.Write(inner)
		h.Sum(into[:0])
		h.Reset()
	})
}

func pad(block, key []byte, with byte) {
	for i := range block {
		block[i] = with
	}
	for i, k := range key {
		block[i] ^= k
	}
}

// Wipe overwrites the key: the MAC says nothing any more. It waits for who uses it.
func (m *MAC) Wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.key.Wipe()
	m.key = secret.Bytes{}
}

// Format redacts under every verb: fmt does not ask unexported fields.
func (m *MAC) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

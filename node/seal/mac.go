package seal

import (
	"crypto/hkdf"
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
	var err error
	memory.Do(func() {
		var derived []byte
		if derived, err = hkdf.Expand(sha256.New, b.dek.Expose(), label.String(), sha256.Size); err == nil {
			copy(key.Expose(), derived)
			secret.Wipe(derived)
		}
	})
	if err != nil {
		key.Wipe()
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return &MAC{key: key}, nil
}

// Sum is the MAC of data; false once the key is wiped. The key's blocks are overwritten: the library's HMAC leaves them on the heap.
func (m *MAC) Sum(data []byte) (sum [sha256.Size]byte, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.key.Len() != sha256.Size {
		return sum, false
	}
	memory.Do(func() {
		h, block := sha256.New(), make([]byte, sha256.BlockSize)
		defer secret.Wipe(block)
		pad(block, m.key.Expose(), 0x36)
		h.Write(block)
		h.Write(data)
		inner := h.Sum(nil)
		h.Reset()
		pad(block, m.key.Expose(), 0x5c)
		h.Write(block)
		h.Write(inner)
		h.Sum(sum[:0])
	})
	return sum, true
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

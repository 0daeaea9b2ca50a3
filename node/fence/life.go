package fence

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// A Life is what a process says of itself: 136 bytes (spec/node 8.1).
type Life struct {
	Counter   uint64 // starts of this store; ≥ 1
	Confirmed uint64 // the operator answers for all lives up to this counter; < Counter
	Instance  [16]byte
	Log       tlog.Head // when this was said
	Signature [ed25519.SignatureSize]byte
}

const (
	lifeBody = 8 + 8 + 16 + 8 + 32
	lifeSize = lifeBody + ed25519.SignatureSize
)

func (l *Life) body() []byte {
	b := make([]byte, 0, lifeSize)
	b = binary.BigEndian.AppendUint64(b, l.Counter)
	b = binary.BigEndian.AppendUint64(b, l.Confirmed)
	b = append(b, l.Instance[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Log.Size))
	return append(b, l.Log.Root[:]...)
}

func (l *Life) tree(identity ed25519.PublicKey) []byte {
	return transcript.New(transcript.NodeLife).Bytes(identity).Bytes(l.body()).Tree()
}

func (l *Life) sign(key crypto.Signer) error {
	sig, err := eddsa.SignBy(key, l.tree(key.Public().(ed25519.PublicKey)))
	copy(l.Signature[:], sig)
	return err
}

// Encode is the canonical form.
func (l *Life) Encode() []byte { return append(l.body(), l.Signature[:]...) }

// ErrForged says that a life is not signed by the node that it is said to be of.
var ErrForged = errors.New("life is not signed by this identity")

// DecodeLife reads a life of the node with this identity.
func DecodeLife(identity ed25519.PublicKey, b []byte) (*Life, error) {
	if len(b) != lifeSize {
		return nil, fmt.Errorf("decode life: %d bytes, not %d", len(b), lifeSize)
	}
	l := &Life{Counter: binary.BigEndian.Uint64(b), Confirmed: binary.BigEndian.Uint64(b[8:]), Instance: [16]byte(b[16:32])}
	size := binary.BigEndian.Uint64(b[32:])
	l.Log.Size, l.Log.Root = int64(size), tlog.Hash(b[40:72])
	copy(l.Signature[:], b[lifeBody:])
	switch {
	case l.Counter == 0 || l.Counter > maxCounter || l.Confirmed >= l.Counter:
		return nil, fmt.Errorf("decode life: counter %d, confirmed %d", l.Counter, l.Confirmed)
	case size > maxLog || size == 0 && l.Log != tlog.Empty:
		return nil, fmt.Errorf("decode life: the log has %d leaves, or an empty one another root", size)
	case len(identity) != ed25519.PublicKeySize || !ed25519.Verify(identity, l.tree(identity), l.Signature[:]):
		return nil, fmt.Errorf("decode life: %w", ErrForged)
	}
	return l, nil
}

const (
	maxCounter = 1 << 48
	maxLog     = 1 << 48
)

// sameProcess: one process says many lives, as its log grows.
func (l *Life) sameProcess(o *Life) bool {
	return o != nil && l.Counter == o.Counter && l.Instance == o.Instance
}

func (l *Life) String() string {
	return fmt.Sprintf("start %d, instance %x, %d log entries", l.Counter, l.Instance[:4], l.Log.Size)
}

// hail is what one node tells another (spec/node 8.2): its life, a nonce of the receiver that
// it answers, a nonce that it wants answered, and what it holds of the receiver.
type hail struct {
	life          []byte
	answers, asks [nonceSize]byte
	held          [][]byte // 0 to 5 lives
}

const (
	nonceSize = 16
	maxPast   = 3               // earlier processes of a peer that are held
	maxHeld   = 1 + maxPast + 1 // the highest, those before it, and another one
)

func (h *hail) encode() []byte {
	b := bytes.Clone(h.life)
	b = append(append(b, h.answers[:]...), h.asks[:]...)
	return append(b, bytes.Join(h.held, nil)...)
}

func decodeHail(b []byte) (*hail, error) {
	const head = lifeSize + 2*nonceSize
	if len(b) < head || (len(b)-head)%lifeSize != 0 || (len(b)-head)/lifeSize > maxHeld {
		return nil, fmt.Errorf("decode hail: %d bytes", len(b))
	}
	h := &hail{life: b[:lifeSize], answers: [nonceSize]byte(b[lifeSize:]), asks: [nonceSize]byte(b[lifeSize+nonceSize:])}
	for rest := b[head:]; len(rest) > 0; rest = rest[lifeSize:] {
		h.held = append(h.held, rest[:lifeSize])
	}
	return h, nil
}

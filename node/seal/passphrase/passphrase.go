package passphrase

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"golang.org/x/crypto/argon2"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/seal"
)

// Cost is what one guess costs.
type Cost struct {
	Time      uint32 // passes over memory
	MemoryKiB uint32
	Threads   uint8
}

var (
	// Default costs about a second and 256 MiB.
	Default = Cost{Time: 3, MemoryKiB: 256 << 10, Threads: 2}

	// Floor is the least that is made or opened: below it, guessing is cheap.
	Floor = Cost{Time: 3, MemoryKiB: 64 << 10, Threads: 1}

	// Ceiling is the most that is opened: a hostile key file must not eat the machine.
	Ceiling = Cost{Time: 16, MemoryKiB: 1 << 20, Threads: 16}

	// ErrPassphrase means that the passphrase is wrong. Nothing else happens: the file
	// stays as it is, and the next try costs the same.
	ErrPassphrase = errors.New("wrong passphrase")
)

const (
	saltSize = 32
	version  = 1
)

const (
	tagVersion transcript.Tag = iota + 1
	tagTime
	tagMemory
	tagThreads
	tagSalt
	tagSealed
)

// A KEK wraps with a passphrase. It redacts itself where it is printed.
type KEK struct {
	mu    sync.Mutex // guards rand; one derivation at a time bounds memory
	rand  io.Reader
	pass  secret.Bytes
	cost  Cost
	floor Cost
}

var _ seal.KEK = (*KEK)(nil)

// Option changes a KEK.
type Option func(*KEK)

// WithCost sets the cost of new wraps, between Floor and Ceiling.
func WithCost(c Cost) Option { return func(k *KEK) { k.cost = c } }

// TestingOnlyCost sets a cost of new wraps below Floor, and opens what has it.
func TestingOnlyCost(c Cost) Option { return func(k *KEK) { k.cost, k.floor = c, c } }

// New takes over a passphrase of at least one byte. Equal passphrases must be equal
// bytes: the caller normalises what people type. rand gives salts and nonces.
func New(pass secret.Bytes, rand io.Reader, opts ...Option) (*KEK, error) {
	k := &KEK{rand: rand, pass: pass, cost: Default, floor: Floor}
	for _, o := range opts {
		o(k)
	}
	if pass.Len() == 0 {
		return nil, errors.New("passphrase is empty")
	}
	if err := k.check(k.cost); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *KEK) check(c Cost) error {
	for _, f := range []struct {
		name            string
		v, floor, limit uint64
	}{
		{"time", uint64(c.Time), uint64(max(k.floor.Time, 1)), uint64(Ceiling.Time)},
		{"memory (KiB)", uint64(c.MemoryKiB), uint64(max(k.floor.MemoryKiB, 8)), uint64(Ceiling.MemoryKiB)},
		{"threads", uint64(c.Threads), uint64(max(k.floor.Threads, 1)), uint64(Ceiling.Threads)},
	} {
		if f.v < f.floor || f.v > f.limit {
			return fmt.Errorf("argon2id %s is %d, %d to %d are allowed", f.name, f.v, f.floor, f.limit)
		}
	}
	return nil
}

// Name implements seal.KEK.
func (k *KEK) Name() string { return "passphrase" }

// Wipe overwrites the passphrase. No other call may run.
func (k *KEK) Wipe() { k.pass.Wipe() }

// Format redacts under every verb: fmt does not ask unexported fields.
func (k *KEK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// Wrap implements seal.KEK, with a fresh salt.
func (k *KEK) Wrap(ctx context.Context, dek secret.Bytes, label seal.Label) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	w := wrapped{cost: k.cost, salt: make([]byte, saltSize)}
	if _, err := io.ReadFull(k.rand, w.salt); err != nil {
		return nil, fmt.Errorf("draw salt: %w", err)
	}
	data, err := w.data(label)
	if err != nil {
		return nil, err
	}
	key := k.derive(w)
	defer key.Wipe()
	if w.sealed, err = seal.Encrypt(k.rand, key, data, dek.Expose()); err != nil {
		return nil, fmt.Errorf("wrap data key: %w", err)
	}
	return w.encode(), nil
}

// Unwrap implements seal.KEK. A wrong passphrase and a wrong label look alike; the
// former is what happens, hence ErrPassphrase.
func (k *KEK) Unwrap(ctx context.Context, b []byte, label seal.Label) (secret.Bytes, error) {
	if err := ctx.Err(); err != nil {
		return secret.Bytes{}, err
	}
	w, err := decode(b)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("decode wrapped data key: %w", err)
	}
	if err := k.check(w.cost); err != nil { // before any memory is taken
		return secret.Bytes{}, err
	}
	data, err := w.data(label)
	if err != nil {
		return secret.Bytes{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.derive(w)
	defer key.Wipe()
	dek, err := seal.Decrypt(key, data, w.sealed, seal.KeySize)
	if errors.Is(err, seal.ErrSealed) {
		return secret.Bytes{}, ErrPassphrase
	}
	return dek, err
}

func (k *KEK) derive(w wrapped) secret.Bytes {
	key := argon2.IDKey(k.pass.Expose(), w.salt, w.cost.Time, w.cost.MemoryKiB, w.cost.Threads, seal.KeySize)
	if w.cost.MemoryKiB >= Floor.MemoryKiB {
		debug.FreeOSMemory() // else hundreds of MiB stay resident until the next collection
	}
	return secret.New(key)
}

type wrapped struct {
	cost   Cost
	salt   []byte // 32 bytes
	sealed []byte // the data key: seal.Overhead + 32 bytes
}

// data binds cost and salt, so that a changed cost shows as damage and not as a key
// derived in another way.
func (w wrapped) data(label seal.Label) ([]byte, error) {
	var e transcript.Encoder
	w.head(&e)
	return label.Data(transcript.SealWrap, e.Sum())
}

func (w wrapped) head(e *transcript.Encoder) {
	e.Uint(tagVersion, version)
	e.Uint(tagTime, uint64(w.cost.Time)).Uint(tagMemory, uint64(w.cost.MemoryKiB)).Uint(tagThreads, uint64(w.cost.Threads))
	e.Bytes(tagSalt, w.salt)
}

func (w wrapped) encode() []byte {
	var e transcript.Encoder
	w.head(&e)
	return e.Bytes(tagSealed, w.sealed).Sum()
}

func decode(b []byte) (w wrapped, err error) {
	d := transcript.NewDecoder(b)
	if v := d.Uint(tagVersion, version); d.Err() == nil && v != version {
		d.Fail(tagVersion, fmt.Errorf("is %d, this program knows %d", v, version))
	}
	w.cost.Time = uint32(d.Uint(tagTime, uint64(Ceiling.Time)))
	w.cost.MemoryKiB = uint32(d.Uint(tagMemory, uint64(Ceiling.MemoryKiB)))
	w.cost.Threads = uint8(d.Uint(tagThreads, uint64(Ceiling.Threads)))
	w.salt = d.Fixed(tagSalt, saltSize)
	w.sealed = d.Fixed(tagSealed, seal.Overhead+seal.KeySize)
	return w, d.Done()
}

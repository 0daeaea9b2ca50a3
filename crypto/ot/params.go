package ot

import (
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/secret"
)

// Suite names every constant of this package, spec/ot 1. Callers hash it into each PairID;
// a change of any constant changes it.
const Suite = "ostraka-ot-1/secp256k1/ristretto255/sha256/aes128ctr/c128,s80,x416,k4,l2,r1"

// Spec/ot 1: symbols as in the papers.
const (
	columns   = 128                 // λ_c: base OTs, columns of the extension, bits of Δ
	treeDepth = 4                   // k
	leaves    = 1 << treeDepth      // leaves per tree
	trees     = columns / treeDepth // all-but-one OTs
	payload   = 416                 // ξ = 256 + 2·80: rows that become oblivious transfers
	columnLen = (payload + 128) / 8 // 68: a column is the payload and 128 mask bits
	keyLen    = 16                  // λ_c bits: keys, nodes, leaves, rows
	hashLen   = 32                  // proofs and digests
	inputs    = 2                   // ℓ: products per multiplication
	width     = inputs + 1          // ℓ+ρ: with the check column
	scalarLen = 32
	slots     = 2 * columns // points in φ and in M
	corrLen   = (treeDepth - 1) * 2 * keyLen
	treeLen   = corrLen + 2*hashLen // corrections, t̃, s̃
)

// Lengths of the messages in bytes. Other lengths are refused.
const (
	ChoiceSize    = slots * 32                            // 8,192: φ
	AnswerSize    = slots*32 + trees*treeLen              // 13,312: M and the trees
	ExtensionSize = trees*columnLen + (1+columns)*keyLen  // 4,240: u, x̂, t̂
	ProductSize   = payload*width*scalarLen + 2*scalarLen // 40,000: ã, η̂, μ
	LeavesSize    = 1 + trees*leaves*keyLen               // 8,193: stored, B
	PuncturedSize = 1 + keyLen + trees*(leaves-1)*keyLen  // 7,697: stored, A
)

// A PairID is psid: it names one set-up or one signing session of one ordered pair, with both
// parties and their roles. A value is used for one set-up or one extension only.
type PairID [32]byte

// Families of errors. An error that is none of them comes from the source of randomness.
var (
	// ErrEncoding: the peer sent what no honest party sends, and the bytes alone show it.
	// The caller blames the peer; the pair's state is as it was.
	ErrEncoding = errors.New("malformed")
	// ErrCheck: a check against our secrets failed, and the peer may learn from the verdict.
	// In a set-up the caller discards all base OTs of the pair; in signing it burns the pair.
	ErrCheck = errors.New("check failed")
	// ErrSpent: the caller used one-time state twice.
	ErrSpent = errors.New("one-time state was used before")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrEncoding, fmt.Errorf(format, args...))
}

func checkLen(what string, b []byte, n int) error {
	if len(b) != n {
		return malformed("%s has %d bytes, not %d", what, len(b), n)
	}
	return nil
}

func checkFailed(what string) error { return fmt.Errorf("%s: %w", what, ErrCheck) }

// checkState reads the head of a stored state. A bad one is damage on our own side, no fault of a peer.
func checkState(what string, b []byte, n int, format byte) error {
	if len(b) != n {
		return fmt.Errorf("stored %s have %d bytes, not %d", what, len(b), n)
	}
	if b[0] != format {
		return fmt.Errorf("stored %s begin with format %d, not %d", what, b[0], format)
	}
	return nil
}

func read(rand io.Reader, b []byte, what string) error {
	if _, err := io.ReadFull(rand, b); err != nil {
		return fmt.Errorf("read randomness for %s: %w", what, err)
	}
	return nil
}

// redacted makes a type that embeds it print as "[secret]".
type redacted struct{}

func (redacted) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(secret.Redacted)) }
func (redacted) String() string               { return secret.Redacted }
func (redacted) GoString() string             { return secret.Redacted }
func (redacted) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }

// bit is bit n of b, least significant first.
func bit(b []byte, n int) byte { return b[n/8] >> (n % 8) & 1 }

// maskOf is 0xff for bit 1 and 0 for bit 0.
func maskOf(bit byte) byte { return -bit }

// selectBytes sets dst to a where bit is 0 and to b where it is 1.
func selectBytes(dst, a, b []byte, bit byte) {
	m := maskOf(bit)
	for i := range dst {
		dst[i] = a[i] ^ m&(a[i]^b[i])
	}
}

// xorMasked adds src to dst where bit is 1.
func xorMasked(dst, src []byte, bit byte) {
	m := maskOf(bit)
	for i := range dst {
		dst[i] ^= m & src[i]
	}
}

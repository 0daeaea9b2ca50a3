package session

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
)

// Coins expands one draw of entropy into a session's randomness, hedged with the secret
// share, the session id and the payload: if the entropy source repeats itself, after a
// virtual machine was cloned for instance, the coins of two different sessions or messages
// still differ.
func Coins(rand io.Reader, share []byte, id engine.SessionID, payload []byte) (io.Reader, error) {
	var seed [32]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return nil, fmt.Errorf("read entropy for session %v: %w", id, err)
	}
	key := transcript.NewSecret(transcript.SessionSeed).Bytes(seed[:]).Bytes(share).Bytes(id[:]).Bytes(payload).Sum256()
	secret.Wipe(seed[:])
	stream, err := chacha20.NewUnauthenticatedCipher(key[:], make([]byte, chacha20.NonceSize))
	secret.Wipe(key[:])
	if err != nil {
		return nil, fmt.Errorf("expand coins: %w", err)
	}
	return &coins{stream}, nil
}

// coins reads a ChaCha20 key stream: 256 GiB, which no session comes near.
type coins struct{ stream *chacha20.Cipher }

var errCoinsWiped = errors.New("the coins of the session were wiped")

func (c *coins) Read(b []byte) (int, error) {
	if c.stream == nil {
		return 0, errCoinsWiped
	}
	clear(b)
	c.stream.XORKeyStream(b, b)
	return len(b), nil
}

// WipeCoins forgets what Coins made, and reading it is an error from then on: with the key of
// the stream every nonce of the session could be drawn again. Other sources stay as they are.
func WipeCoins(r io.Reader) {
	if c, ok := r.(*coins); ok && c.stream != nil {
		*c.stream = chacha20.Cipher{}
		c.stream = nil
	}
}

// Format redacts under every verb.
func (*coins) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

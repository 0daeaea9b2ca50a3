package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
)

const (
	challengeLife = 5 * time.Minute
	tokenLife     = 12 * time.Hour
	maxTokens     = 4096
)

// tokens gives challenges and read tokens, in memory alone: a restart asks people for a new
// hello. A challenge is time ‖ nonce ‖ MAC, so that asking for many costs us nothing and
// pushes nobody's out; it is remembered only once it was answered by somebody we know.
// Tokens are kept by their hash.
type tokens struct {
	key [32]byte

	mu      sync.Mutex
	spent   map[[32]byte]time.Time
	holders map[[32]byte]holder
}

type holder struct {
	key   signet.Key
	until time.Time
}

func newTokens() *tokens {
	t := &tokens{spent: map[[32]byte]time.Time{}, holders: map[[32]byte]holder{}}
	rand.Read(t.key[:]) //nolint:errcheck // crypto/rand never fails: it ends the process
	return t
}

func (t *tokens) challenge(now time.Time) (c [32]byte) {
	binary.BigEndian.PutUint64(c[:], uint64(now.Unix()))
	rand.Read(c[8:16]) //nolint:errcheck // crypto/rand never fails: it ends the process
	copy(c[16:], t.mac(c[:16]))
	return c
}

func (t *tokens) mac(b []byte) []byte {
	m := hmac.New(sha256.New, t.key[:])
	m.Write(b)
	return m.Sum(nil)[:16]
}

var errChallenge = errors.New("the challenge is not known or ran out: ask for a new one")

// check says whether a challenge is ours, young and not answered before.
func (t *tokens) check(now time.Time, c [32]byte) error {
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(c[:])), 0))
	if !hmac.Equal(c[16:], t.mac(c[:16])) || age < -time.Second || age > challengeLife {
		return errChallenge
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, used := t.spent[c]; used {
		return errChallenge
	}
	return nil
}

// spend uses a challenge up, once its answer was verified.
func (t *tokens) spend(now time.Time, c [32]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, used := t.spent[c]; used {
		return errChallenge
	}
	for old, at := range t.spent {
		if now.Sub(at) > challengeLife {
			delete(t.spent, old)
		}
	}
	t.spent[c] = now
	return nil
}

func (t *tokens) issue(now time.Time, k signet.Key) (string, time.Time) {
	var raw [32]byte
	rand.Read(raw[:]) //nolint:errcheck // crypto/rand never fails: it ends the process
	until := now.Add(tokenLife)
	t.mu.Lock()
	defer t.mu.Unlock()
	prune(t.holders, maxTokens, func(h holder) bool { return now.After(h.until) })
	t.holders[sha256.Sum256(raw[:])] = holder{k, until}
	return base64.RawURLEncoding.EncodeToString(raw[:]), until
}

var errNoToken = errors.New("this takes a token: sign a hello first")

// who says whose token a request's Authorization header carries.
func (t *tokens) who(now time.Time, header string) (signet.Key, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(header, "Bearer "))
	if err != nil || len(raw) != 32 {
		return signet.Key{}, errNoToken
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.holders[sha256.Sum256(raw)]
	if !ok || now.After(h.until) {
		return signet.Key{}, errNoToken
	}
	return h.key, nil
}

func prune[V any](m map[[32]byte]V, most int, over func(V) bool) {
	if len(m) < most {
		return
	}
	for k, v := range m {
		if over(v) {
			delete(m, k)
		}
	}
	for k := range m {
		if len(m) < most {
			return
		}
		delete(m, k)
	}
}

package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
)

const (
	challengeLife = 5 * time.Minute
	tokenLife     = 12 * time.Hour
	maxChallenges = 4096
	maxTokens     = 4096
)

// tokens keeps challenges and read tokens, in memory alone: a restart asks people for a new
// hello. Tokens are kept by their hash.
type tokens struct {
	mu         sync.Mutex
	challenges map[[32]byte]time.Time
	holders    map[[32]byte]holder
}

type holder struct {
	key   signet.Key
	until time.Time
}

func newTokens() *tokens {
	return &tokens{challenges: map[[32]byte]time.Time{}, holders: map[[32]byte]holder{}}
}

// challenge makes one; when too many are open, those that ran out go first, then any.
func (t *tokens) challenge(now time.Time) (c [32]byte) {
	rand.Read(c[:]) //nolint:errcheck // crypto/rand never fails: it ends the process
	t.mu.Lock()
	defer t.mu.Unlock()
	prune(t.challenges, maxChallenges, func(until time.Time) bool { return now.After(until) })
	t.challenges[c] = now.Add(challengeLife)
	return c
}

// spend uses a challenge up.
func (t *tokens) spend(now time.Time, c [32]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	until, ok := t.challenges[c]
	delete(t.challenges, c)
	if !ok || now.After(until) {
		return errors.New("the challenge is not known or ran out: ask for a new one")
	}
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

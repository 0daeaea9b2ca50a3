package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Cache keeps tokens in a folder, one file per node and person, so that two commands at once
// do not disturb each other. The zero value keeps nothing.
type Cache struct{ Dir string }

// early is how long before its end a token is no longer used.
const early = time.Minute

type cached struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

func (c Cache) path(node ed25519.PublicKey, person signet.Key) string {
	sum := sha256.Sum256(append(bytes.Clone(node), person.String()...))
	return filepath.Join(c.Dir, hex.EncodeToString(sum[:16])+".json")
}

// Get returns a token that is good for a while yet, or "".
func (c Cache) Get(node ed25519.PublicKey, person signet.Key, now time.Time) string {
	if c.Dir == "" {
		return ""
	}
	raw, err := os.ReadFile(c.path(node, person))
	var t cached
	if err != nil || json.Unmarshal(raw, &t) != nil || !now.Add(early).Before(t.Expires) {
		return "" // a cache: what cannot be read is asked for again
	}
	return t.Token
}

// Put keeps a token.
func (c Cache) Put(node ed25519.PublicKey, person signet.Key, token string, expires time.Time) error {
	if c.Dir == "" {
		return nil
	}
	raw, err := json.Marshal(cached{token, expires.UTC()})
	if err == nil {
		err = WritePrivate(c.path(node, person), raw)
	}
	if err != nil {
		return fmt.Errorf("keep the token: %w", err)
	}
	return nil
}

// Forget drops a token that its node does not take any more.
func (c Cache) Forget(node ed25519.PublicKey, person signet.Key) {
	if c.Dir != "" {
		os.Remove(c.path(node, person))
	}
}

// bearer puts the person's token on every call that needs one, and asks for a new one when the
// node does not know it.
type bearer struct {
	node   Node
	signer *Signer // nil: only what is public
	cache  Cache
	bare   ostrakav1connect.PeopleClient // without tokens

	mu    sync.Mutex
	token string
}

// public are the calls that take no token (spec/people 3).
var public = map[string]bool{
	ostrakav1connect.PeopleHelloProcedure: true, ostrakav1connect.PeopleTokenProcedure: true,
	ostrakav1connect.PeopleSubmitProcedure: true, ostrakav1connect.PeopleRosterProcedure: true,
	ostrakav1connect.PeopleBackupsProcedure: true, ostrakav1connect.PeopleBackupSetProcedure: true,
}

func (b *bearer) intercept(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if public[req.Spec().Procedure] {
			return next(ctx, req)
		}
		for again := false; ; again = true {
			token, err := b.get(ctx, again)
			if err != nil {
				return nil, err
			}
			req.Header().Set("Authorization", "Bearer "+token)
			res, err := next(ctx, req)
			if again || connect.CodeOf(err) != connect.CodeUnauthenticated || err == nil {
				return res, err
			}
		}
	}
}

// get returns the token at hand, or a new one if there is none or renew says so.
func (b *bearer) get(ctx context.Context, renew bool) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.signer == nil {
		return "", fmt.Errorf("log in at node %s: %w", b.node.Name, ErrNoKey)
	}
	if renew {
		b.token = ""
		b.cache.Forget(b.node.Identity, b.signer.Key())
	}
	if b.token == "" {
		b.token = b.cache.Get(b.node.Identity, b.signer.Key(), time.Now())
	}
	if b.token != "" {
		return b.token, nil
	}
	token, expires, err := login(ctx, b.bare, b.node, b.signer)
	if err != nil {
		return "", err
	}
	b.token = token
	return token, b.cache.Put(b.node.Identity, b.signer.Key(), token, expires)
}

// LogIn gets a token of every node, and waits for the key as long as ctx allows: a call to a node has seconds, and a person at
// a page needs more. One touch logs in at one node: a hello that named several would let each of them log in at the others. Nodes
// that fail here fail again where they are asked something; that all do is an error.
func (c *Circle) LogIn(ctx context.Context) error {
	out := make(Answers[struct{}], len(c.Members))
	var wg sync.WaitGroup
	for i, m := range c.Members {
		wg.Go(func() { out[i] = Answer[struct{}]{Node: m.Name, Err: m.bearer.logIn(ctx)} })
	}
	wg.Wait()
	_, err := out.Need("log in", 1)
	return err
}

// logIn holds the token at hand against the node, which forgets them when it restarts.
func (b *bearer) logIn(ctx context.Context) error {
	token, err := b.get(ctx, false)
	if err != nil {
		return err
	}
	probe, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req := connect.NewRequest(&v1.VaultsRequest{})
	req.Header().Set("Authorization", "Bearer "+token)
	if _, err = b.bare.Vaults(probe, req); connect.CodeOf(err) == connect.CodeUnauthenticated {
		_, err = b.get(ctx, true)
	}
	return err
}

// login answers the node's challenge with a signed hello (spec/people 4).
func login(ctx context.Context, people ostrakav1connect.PeopleClient, n Node, s *Signer) (token string, expires time.Time, err error) {
	hello, err := brief(ctx, people.Hello, &v1.HelloRequest{})
	if err != nil {
		return "", expires, err
	}
	h := hello.Msg
	switch {
	case !bytes.Equal(h.Identity, n.Identity):
		return "", expires, &VerifyError{n.Name, errors.New("its hello names another identity")}
	case len(h.Roster) != 32:
		return "", expires, connect.NewError(connect.CodeUnavailable, fmt.Errorf("node %s has no roster yet: its operators must accept a roster first (`ostraka operator accept`)", n.Name))
	case len(h.Challenge) != 32:
		return "", expires, &VerifyError{n.Name, fmt.Errorf("its challenge has %d bytes, not 32", len(h.Challenge))}
	}
	stmt, err := charter.Hello{
		Roster: statement.ID(h.Roster), Identity: n.Identity, Challenge: [32]byte(h.Challenge), Person: s.Key(), Created: time.Now(),
	}.Statement(NewSalt())
	if err != nil {
		return "", expires, err
	}
	sig, err := s.Sign(ctx, signet.Makes(statement.Hello), stmt.Bytes())
	if err != nil {
		return "", expires, err
	}
	res, err := brief(ctx, people.Token, &v1.TokenRequest{Statement: stmt.Bytes(), Signature: sig})
	if err != nil {
		return "", expires, err
	}
	expires, err = time.Parse(time.RFC3339, res.Msg.Expires)
	if err != nil {
		return "", expires, &VerifyError{n.Name, fmt.Errorf("the token's end: %w", err)}
	}
	return res.Msg.Token, expires, nil
}

// brief makes one call with the time of one.
func brief[A, B any](ctx context.Context, call func(context.Context, *connect.Request[A]) (*connect.Response[B], error), req *A) (*connect.Response[B], error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx, connect.NewRequest(req))
}

// NewSalt draws a statement's salt.
func NewSalt() (s statement.Salt) {
	rand.Read(s[:]) //nolint:errcheck // never fails
	return s
}

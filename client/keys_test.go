package client

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

func keyFile(t *testing.T, key ed25519.PrivateKey, pass string) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "test")
	if pass != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "test", []byte(pass))
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func never(t *testing.T) func() ([]byte, error) {
	return func() ([]byte, error) {
		t.Error("a passphrase was asked for")
		return nil, errors.New("no")
	}
}

func signs(t *testing.T, s *Signer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(t.Context(), signet.Approve, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signet.Verify(sig, signet.Approve, []byte("text"), []signet.Key{s.Key()}); err != nil {
		t.Fatal(err)
	}
}

func TestKeyFile(t *testing.T) {
	s, err := KeyFile(t.Context(), keyFile(t, secretOf("alice"), ""), never(t))
	signs(t, s, err)
	locked := keyFile(t, secretOf("alice"), "secret")
	s, err = KeyFile(t.Context(), locked, func() ([]byte, error) { return []byte("secret"), nil })
	signs(t, s, err)
	if _, err := KeyFile(t.Context(), locked, func() ([]byte, error) { return []byte("wrong"), nil }); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong passphrase: %v", err)
	}
	if _, err := KeyFile(t.Context(), locked, func() ([]byte, error) { return nil, errors.New("no terminal") }); err == nil || !strings.Contains(err.Error(), "no terminal") {
		t.Errorf("nobody to ask: %v", err)
	}
	garbage := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(garbage, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := KeyFile(t.Context(), garbage, never(t)); err == nil || !strings.Contains(err.Error(), "neither") {
		t.Errorf("garbage: %v", err)
	}
	if err := os.WriteFile(garbage, make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := KeyFile(t.Context(), garbage, never(t)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a file beyond the bound: %v", err)
	}
}

func ringOf(t *testing.T, keys ...ed25519.PrivateKey) agent.ExtendedAgent {
	t.Helper()
	ring := agent.NewKeyring().(agent.ExtendedAgent)
	for _, k := range keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	return ring
}

// runAgent serves keys as ssh-agent does.
func runAgent(t *testing.T, keys ...ed25519.PrivateKey) {
	t.Helper()
	serveAgent(t, ringOf(t, keys...))
}

func serveAgent(t *testing.T, ring agent.Agent) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // short: a Unix socket's path is bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn) //nolint:errcheck // ends with the connection
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", l.Addr().String())
}

func TestAgent(t *testing.T) {
	runAgent(t, secretOf("alice"))
	s, err := AgentKey(t.Context(), nil)
	signs(t, s, err)
	// A public key file names one of the agent's keys.
	pub := filepath.Join(t.TempDir(), "id.pub")
	if err := os.WriteFile(pub, []byte(person(t, "alice").Key().String()+" alice@laptop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = KeyFile(t.Context(), pub, never(t))
	signs(t, s, err)

	runAgent(t, secretOf("alice"), secretOf("bob"))
	if _, err := AgentKey(t.Context(), nil); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "several") {
		t.Errorf("two keys, none chosen: %v", err)
	}
	want := person(t, "bob").Key()
	if s, err = AgentKey(t.Context(), &want); err != nil || !s.Key().Equal(want) {
		t.Errorf("bob's of two: %v", err)
	}
	want = person(t, "carol").Key()
	if _, err = AgentKey(t.Context(), &want); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), want.Fingerprint()) {
		t.Errorf("one that it does not hold: %v", err)
	}
	for _, line := range []string{signettest.NewWallet("alice").Line(), signettest.NewPasskey(statement.Passkey256, "alice").Line()} {
		if err := os.WriteFile(pub, []byte(line+" alice\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var outside *OutsideError
		if _, err := KeyFile(t.Context(), pub, never(t)); !errors.As(err, &outside) || outside.Key.String() != line {
			t.Errorf("%s: %v", line, err)
		}
	}
	runAgent(t)
	if _, err := AgentKey(t.Context(), nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("an empty agent: %v", err)
	}
	t.Setenv("SSH_AUTH_SOCK", "")
	if _, err := AgentKey(t.Context(), nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("no agent: %v", err)
	}
}

// stuck is an agent that waits for a finger which never comes.
type stuck struct {
	agent.ExtendedAgent
	asked chan struct{}
	list  bool // it asks before it lists
}

func (a stuck) List() ([]*agent.Key, error) {
	if a.list {
		a.asked <- struct{}{}
		select {}
	}
	return a.ExtendedAgent.List()
}

func (a stuck) SignWithFlags(ssh.PublicKey, []byte, agent.SignatureFlags) (*ssh.Signature, error) {
	a.asked <- struct{}{}
	select {}
}

// Whoever waits for a touch, or for an agent that asks somebody, can leave at once.
func TestAgentGivesWay(t *testing.T) {
	wait := func(what string, asked chan struct{}, do func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		var unsigned *UnsignedError
		err := do(ctx)
		if !errors.As(err, &unsigned) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "nothing was signed") || Down(err) {
			t.Errorf("%s: %v", what, err)
		}
		if err := do(ctx); !errors.As(err, &unsigned) {
			t.Errorf("%s, after it was left: %v", what, err)
		}
	}
	asked := make(chan struct{}, 1)
	serveAgent(t, stuck{ExtendedAgent: ringOf(t, secretOf("alice")), asked: asked})
	s, err := AgentKey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wait("sign", asked, func(ctx context.Context) error {
		_, err := s.Sign(ctx, signet.Approve, []byte("text"))
		return err
	})
	serveAgent(t, stuck{ExtendedAgent: ringOf(t, secretOf("alice")), asked: asked, list: true})
	wait("list", asked, func(ctx context.Context) error {
		_, err := AgentKey(ctx, nil)
		return err
	})
}

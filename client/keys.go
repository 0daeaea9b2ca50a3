package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/ostraka/ostraka/custody/signet"
)

// A Signer signs as a person with one key: an SSH key in this process or in an agent, or a passkey on a page.
type Signer struct {
	key  signet.Key
	sign func(ctx context.Context, verb signet.Verb, message []byte) ([]byte, error)
}

// NewSigner accepts the keys that statements accept.
func NewSigner(s ssh.Signer) (*Signer, error) {
	key, err := signet.NewKey(s.PublicKey())
	if err != nil {
		return nil, err
	}
	return &Signer{key, func(ctx context.Context, verb signet.Verb, message []byte) ([]byte, error) {
		return heed(ctx, "the key "+key.Fingerprint(), func() ([]byte, error) { return signet.Sign(rand.Reader, s, verb, message) })
	}}, nil
}

// OutsideSigner signs with a key whose signatures are made outside this program: sign makes them, armored, and heeds ctx.
func OutsideSigner(key signet.Key, sign func(ctx context.Context, verb signet.Verb, message []byte) ([]byte, error)) *Signer {
	return &Signer{key, func(ctx context.Context, verb signet.Verb, message []byte) ([]byte, error) {
		armored, err := sign(ctx, verb, message)
		if err != nil && ctx.Err() != nil {
			return nil, &UnsignedError{"the key " + key.Fingerprint(), ctx.Err()}
		}
		return armored, err
	}}
}

// Key is the public key.
func (s *Signer) Key() signet.Key { return s.key }

// Sign makes an armored signature for one verb. A key may want to be touched, or its agent ask
// somebody: when ctx ends before, Sign ends at once with an *UnsignedError.
func (s *Signer) Sign(ctx context.Context, verb signet.Verb, message []byte) ([]byte, error) {
	return s.sign(ctx, verb, message)
}

// An UnsignedError says that a key or its agent did not answer before it was no longer waited
// for.
type UnsignedError struct {
	Who string
	Err error // the context's
}

func (e *UnsignedError) Error() string {
	return fmt.Sprintf("%s was waited for (its touch, PIN or confirmation) and did not answer: nothing was signed", e.Who)
}

func (e *UnsignedError) Unwrap() error { return e.Err }

// heed gives up waiting when ctx ends. What was begun is left behind, and its answer thrown
// away: nothing can call back an agent that waits for a finger.
func heed[T any](ctx context.Context, who string, do func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, &UnsignedError{who, err}
	}
	done := make(chan answer, 1)
	go func() {
		value, err := do()
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		return none, &UnsignedError{who, ctx.Err()}
	}
}

// ErrNoKey says that there is no key to sign with, or that several might be meant.
var ErrNoKey = errors.New("no key to sign with")

// An OutsideError says that a key file holds a key that signs outside this program: a passkey in a browser, a wallet by itself.
type OutsideError struct {
	Path string
	Key  signet.Key
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("read key %s: it is of type %s, which no file and no agent signs with", e.Path, e.Key.Type())
}

// maxKeyFile bounds a private key file, in bytes.
const maxKeyFile = 64 << 10

// KeyFile reads a private key, or a public one whose private part an agent holds; of any other it returns an *OutsideError. ask gives
// the passphrase of an encrypted key; it is not called for others.
func KeyFile(ctx context.Context, path string, ask func() ([]byte, error)) (*Signer, error) {
	raw, err := readBounded(path, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	defer clear(raw)
	if !bytes.Contains(raw, []byte("PRIVATE KEY-----")) {
		key, err := signet.ParseKey(string(raw))
		if err != nil {
			return nil, fmt.Errorf("read key %s: it holds neither a private nor a public key: %w", path, err)
		}
		if key.Outside() {
			return nil, &OutsideError{path, key}
		}
		if os.Getenv("SSH_AUTH_SOCK") == "" {
			return nil, fmt.Errorf("%w: %s is a public key and no ssh-agent runs: give the private key file", ErrNoKey, path)
		}
		return AgentKey(ctx, &key)
	}
	s, err := ssh.ParsePrivateKey(raw)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		pass, askErr := ask()
		if askErr != nil {
			return nil, fmt.Errorf("read key %s: it is encrypted: %w", path, askErr)
		}
		defer clear(pass)
		s, err = ssh.ParsePrivateKeyWithPassphrase(raw, pass)
	}
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	return NewSigner(s)
}

func readBounded(path string, most int64) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are allowed", path, info.Size(), most)
	}
	return os.ReadFile(path)
}

// AgentKey takes a key from the agent at $SSH_AUTH_SOCK: the one asked for, or for nil the only
// one there.
func AgentKey(ctx context.Context, want *signet.Key) (*Signer, error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, fmt.Errorf("%w: no ssh-agent runs ($SSH_AUTH_SOCK is empty)", ErrNoKey)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("%w: reach the ssh-agent: %w", ErrNoKey, err)
	}
	// They keep the connection, until the command ends. An agent may ask somebody before it lists.
	signers, err := heed(ctx, "the ssh-agent", agent.NewClient(conn).Signers)
	if unsigned := (*UnsignedError)(nil); errors.As(err, &unsigned) {
		conn.Close()
		return nil, err
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: ask the ssh-agent: %w", ErrNoKey, err)
	}
	var fit []*Signer
	var names []string
	for _, s := range signers {
		one, err := fromAgent(s)
		if err != nil || want != nil && !want.Equal(one.key) {
			continue // a key of a kind that statements do not accept
		}
		if !slices.ContainsFunc(fit, func(o *Signer) bool { return o.key.Equal(one.key) }) {
			fit, names = append(fit, one), append(names, one.key.Fingerprint())
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case want != nil:
		err = fmt.Errorf("%w: the ssh-agent does not hold %s", ErrNoKey, want.Fingerprint())
	case len(fit) == 0:
		err = fmt.Errorf("%w: the ssh-agent holds none that may stand in a vault", ErrNoKey)
	default:
		err = fmt.Errorf("%w: the ssh-agent holds several (%s)", ErrNoKey, strings.Join(names, ", "))
	}
	conn.Close()
	return nil, err
}

// agentSigner shows an agent's key as what it is: the agent's own form hides the point, which
// statements look at.
type agentSigner struct {
	ssh.AlgorithmSigner
	public ssh.PublicKey
}

func (s agentSigner) PublicKey() ssh.PublicKey { return s.public }

func fromAgent(s ssh.Signer) (*Signer, error) {
	signer, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return nil, errors.New("the ssh-agent's key does not sign with a chosen algorithm")
	}
	public, err := ssh.ParsePublicKey(s.PublicKey().Marshal())
	if err != nil {
		return nil, err
	}
	return NewSigner(agentSigner{signer, public})
}

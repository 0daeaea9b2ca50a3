package charter

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Hello answers a node's challenge: it shows that its sender holds a person's key.
// It names the node, so that a node cannot pass the answer on to another.
type Hello struct {
	Roster    statement.ID
	Identity  ed25519.PublicKey // of the node that asked
	Challenge [32]byte          // the node's own random bytes, used once
	Person    signet.Key
	Created   time.Time
}

// HelloSkew is how far a hello's time may lie from the node's.
const HelloSkew = 5 * time.Minute

// Statement writes the hello.
func (h Hello) Statement(salt statement.Salt) (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("roster", h.Roster).AddHex("identity", h.Identity).AddHex("challenge", h.Challenge[:])
	b = b.Add("person", h.Person.String()).AddTime("created", h.Created)
	return statement.Build(statement.Hello, b, salt)
}

// HelloOf gives a hello statement its meaning.
func HelloOf(s statement.Statement) (Hello, error) {
	if err := s.Require(statement.Hello); err != nil {
		return Hello{}, err
	}
	f := s.Fields()
	keys, err := readKeys(f, "person")
	if err != nil {
		return Hello{}, err
	}
	return Hello{
		Roster: f.ID("roster"), Identity: f.Hex("identity"), Challenge: f.ID("challenge"),
		Person: keys[0], Created: f.Time("created"),
	}, nil
}

// Errors of VerifyHello.
var (
	ErrOtherNode      = errors.New("hello is meant for another node")
	ErrOtherCircle    = errors.New("hello is meant for another circle")
	ErrOtherChallenge = errors.New("hello answers another challenge")
	ErrHelloTime      = errors.New("hello's time is too far from this node's clock")
)

// VerifyHello checks a person's answer to this node's challenge and returns it. Whether
// the key belongs to anybody is the caller's to ask (Vault.Who, Roster).
func VerifyHello(s statement.Statement, armored []byte, roster statement.ID, node ed25519.PublicKey, challenge [32]byte, now time.Time) (Hello, error) {
	h, err := HelloOf(s)
	if err != nil {
		return Hello{}, err
	}
	switch {
	case h.Roster != roster:
		return Hello{}, fmt.Errorf("%w: it names roster %s, ours is %s", ErrOtherCircle, h.Roster.Short(), roster.Short())
	case !h.Identity.Equal(node):
		return Hello{}, fmt.Errorf("%w: identity %x…", ErrOtherNode, h.Identity[:4])
	case h.Challenge != challenge:
		return Hello{}, ErrOtherChallenge
	case h.Created.Sub(now).Abs() > HelloSkew:
		return Hello{}, fmt.Errorf("%w: it says %s, here it is %s", ErrHelloTime, statement.FormatTime(h.Created), statement.FormatTime(now))
	}
	if _, err := signet.Verify(armored, signet.Makes(statement.Hello), s.Bytes(), []signet.Key{h.Person}); err != nil {
		return Hello{}, fmt.Errorf("hello: %w", err)
	}
	return h, nil
}

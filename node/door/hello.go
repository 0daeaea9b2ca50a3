package door

import (
	"crypto/ed25519"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Doors that a node has, as the end of the server names that its callers ask for.
const (
	Link   = "ostraka-link"
	People = "ostraka-people"
)

// nameBytes of the hash stand in a name: enough that no two nodes share one, and that none can be made to.
const nameBytes = 16

// Name is the server name under which a node's door is asked for: the first 32 hex digits of a hash of its identity, a point, and
// which door it is (spec/link 1.1). It is no secret and proves nothing; the handshake proves who answers.
func Name(identity ed25519.PublicKey, door string) string {
	h := transcript.New(transcript.DoorName).Bytes(identity).Sum256()
	return hex.EncodeToString(h[:nameBytes]) + "." + door
}

// CutName takes a server name apart: whose it is, and which door.
func CutName(name string) (who, door string, ok bool) {
	who, door, ok = strings.Cut(name, ".")
	raw, err := hex.DecodeString(who)
	return who, door, ok && err == nil && len(raw) == nameBytes && who == strings.ToLower(who) && (door == Link || door == People)
}

// maxHello bounds what is read of a connection before it is known whom it wants. A ClientHello with a post-quantum key has about 1,700 bytes.
const maxHello = 16 << 10

// unrecognized is TLS's alert unrecognized_name, so that the dialler learns why.
var unrecognized = []byte{21, 3, 3, 0, 2, 2, 112}

var errHeard = errors.New("the ClientHello was read")

// ReadHello reads the first words of a TLS connection until it is known which server name the dialler asks for, and gives all that was read, to be
// handed on. It answers nothing. What is no ClientHello, has more than 16 KiB, or is not whole by the deadline is an error.
func ReadHello(conn net.Conn, by time.Time) (name string, said []byte, err error) {
	if err := conn.SetReadDeadline(by); err != nil {
		return "", nil, err
	}
	ear := &ear{Conn: conn}
	// The library's own parser reads the ClientHello; it is stopped before it says a word.
	err = tls.Server(ear, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name = h.ServerName
		return nil, errHeard
	}}).Handshake()
	if !errors.Is(err, errHeard) {
		return "", ear.said, fmt.Errorf("read the ClientHello: %w", err)
	}
	return name, ear.said, conn.SetReadDeadline(time.Time{})
}

// ear listens and says nothing.
type ear struct {
	net.Conn
	said []byte
}

func (e *ear) Read(b []byte) (int, error) {
	left := maxHello - len(e.said)
	if left <= 0 {
		return 0, fmt.Errorf("it has more than %d bytes", maxHello)
	}
	n, err := e.Conn.Read(b[:min(len(b), left)])
	e.said = append(e.said, b[:n]...)
	return n, err
}

func (e *ear) Write(b []byte) (int, error) { return len(b), nil }

func (e *ear) Close() error { return nil }

func (e *ear) SetWriteDeadline(time.Time) error { return nil }

var _ io.ReadWriteCloser = (*ear)(nil)

package client

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// serverName is the same for all nodes: a connection does not tell observers whom it looks for.
const serverName = "ostraka-people"

const (
	dialTimeout      = 4 * time.Second
	handshakeTimeout = 5 * time.Second
	// downFor is how long a node that could not be reached is taken to be down: a command of
	// several steps waits for it once.
	downFor = 8 * time.Second
)

// An IdentityError says that another node answered than the pinned one: a wrong address, a
// node made anew, or somebody in between.
type IdentityError struct {
	Node        string
	Address     string
	Want, Found ed25519.PublicKey
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("node %s: at %s answers %s, pinned is %s", e.Node, e.Address, FormatIdentity(e.Found), FormatIdentity(e.Want))
}

// pinned admits the one identity: TLS 1.3, X25519MLKEM768, and a certificate of which nothing
// but the key is believed (spec/people 1).
func pinned(n Node) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519MLKEM768},
		ServerName:         serverName,
		NextProtos:         []string{"h2"},
		InsecureSkipVerify: true, // there is no CA and no name to check; VerifyConnection compares the key
		VerifyConnection: func(cs tls.ConnectionState) error {
			if cs.Version != tls.VersionTLS13 || cs.CurveID != tls.X25519MLKEM768 {
				return fmt.Errorf("node %s: agreed %s with %v, not TLS 1.3 with X25519MLKEM768", n.Name, tls.VersionName(cs.Version), cs.CurveID)
			}
			if len(cs.PeerCertificates) != 1 {
				return fmt.Errorf("node %s: %d certificates were shown, not 1", n.Name, len(cs.PeerCertificates))
			}
			key, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok {
				return fmt.Errorf("node %s: the certificate's key is %v, not Ed25519", n.Name, cs.PeerCertificates[0].PublicKeyAlgorithm)
			}
			if !key.Equal(n.Identity) {
				return &IdentityError{n.Name, n.Address, n.Identity, key}
			}
			return nil
		},
	}
}

// errDown is what a node that could not be reached a moment ago answers.
type errDown struct{ err error }

func (e *errDown) Error() string { return e.err.Error() }
func (e *errDown) Unwrap() error { return e.err }

// dialer remembers for a while that a node is down.
type dialer struct {
	net  net.Dialer
	mu   sync.Mutex
	last error
	till time.Time
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	last, till := d.last, d.till
	d.mu.Unlock()
	if last != nil && time.Now().Before(till) {
		return nil, &errDown{last}
	}
	conn, err := d.net.DialContext(ctx, network, addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = nil
	var timeout net.Error
	// Refused at once costs nothing to ask again; only silence is remembered.
	if err != nil && errors.As(err, &timeout) && timeout.Timeout() {
		d.last, d.till = err, time.Now().Add(downFor)
	}
	return conn, err
}

// transport is the HTTP client of one node.
func transport(n Node) *http.Transport {
	d := &dialer{net: net.Dialer{Timeout: dialTimeout}}
	return &http.Transport{
		DialContext:         d.dial,
		TLSClientConfig:     pinned(n),
		TLSHandshakeTimeout: handshakeTimeout,
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     time.Minute,
		Proxy:               nil, // a pinned connection goes to the node itself
		DisableCompression:  true,
	}
}

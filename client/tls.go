package client

import (
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/ostraka/ostraka/node/door"
)

const (
	dialTimeout      = 4 * time.Second
	handshakeTimeout = 5 * time.Second
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
		ServerName:         door.Name(n.Identity, door.People), // where many nodes share an address, their door reads it
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

// transport is the HTTP client of one node.
func transport(n Node) *http.Transport {
	d := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		DialContext:         d.DialContext,
		TLSClientConfig:     pinned(n),
		TLSHandshakeTimeout: handshakeTimeout,
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     time.Minute,
		Proxy:               nil, // a pinned connection goes to the node itself
		DisableCompression:  true,
	}
}

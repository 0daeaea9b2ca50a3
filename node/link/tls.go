package link

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	doors "github.com/ostraka/ostraka/node/door"
)

const (
	needs = "both sides must speak TLS 1.3 with X25519MLKEM768"
	// serverName stands in every node's certificate, where nobody believes it.
	serverName = doors.Link
)

// selfSigned wraps the identity key in a certificate, because TLS carries no bare keys here. Nobody believes
// anything in it but the key; its dates and names are constants.
func selfSigned(key crypto.Signer) (identity, tls.Certificate, error) {
	if key == nil {
		return identity{}, tls.Certificate{}, errors.New("Config.Key is nil")
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return identity{}, tls.Certificate{}, fmt.Errorf("the identity key is %T, not Ed25519", key.Public())
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: serverName},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 4.1.2.5: no expiry
		KeyUsage:     x509.KeyUsageDigitalSignature,
		DNSNames:     []string{serverName},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return identity{}, tls.Certificate{}, fmt.Errorf("make the certificate of identity %s: %w", Fingerprint(public), err)
	}
	return identity(public), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// baseTLS is what both directions share (spec/link 1). No tickets: every connection proves both keys anew.
func baseTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{cert},
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       []tls.CurveID{tls.X25519MLKEM768},
		NextProtos:             []string{"h2"},
		ServerName:             serverName,
		SessionTicketsDisabled: true,
	}
}

// serverTLS admits every Ed25519 identity: who may do what is decided behind the door.
func serverTLS(cert tls.Certificate) *tls.Config {
	c := baseTLS(cert)
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := identityOf(cs)
		return err
	}
	return c
}

// clientTLS admits the one pinned identity.
func clientTLS(cert tls.Certificate, want ed25519.PublicKey) *tls.Config {
	c := baseTLS(cert)
	c.ServerName = doors.Name(want, doors.Link) // where many nodes share an address, their door reads it
	c.InsecureSkipVerify = true                 // there is no CA and no name to check; VerifyConnection compares the key
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		found, err := identityOf(cs)
		if err == nil && found != identity(want) {
			err = &IdentityError{Want: want, Found: found[:]}
		}
		return err
	}
	return c
}

// identityOf returns the key that the other side has proved to own: TLS has checked a signature by it over this
// handshake. Everything else in the certificate, its time, name and own signature, is ignored.
func identityOf(cs tls.ConnectionState) (identity, error) {
	switch {
	case cs.Version != tls.VersionTLS13 || cs.CurveID != tls.X25519MLKEM768:
		return identity{}, fmt.Errorf("%s with %v was agreed: %s", tls.VersionName(cs.Version), cs.CurveID, needs)
	case cs.NegotiatedProtocol != "h2":
		return identity{}, fmt.Errorf("the application protocol %q was agreed, not h2", cs.NegotiatedProtocol)
	case len(cs.PeerCertificates) != 1:
		return identity{}, fmt.Errorf("%d certificates were shown, not 1", len(cs.PeerCertificates))
	}
	key, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || len(key) != ed25519.PublicKeySize {
		return identity{}, fmt.Errorf("the certificate's key is %v, not Ed25519", cs.PeerCertificates[0].PublicKeyAlgorithm)
	}
	return identity(key), nil
}

// exporter is the label of what names a connection (spec/link 1.6).
const exporter = "EXPERIMENTAL ostraka/1/link/connection"

// connectionOf names a connection as nobody but its two ends can: whoever stands between two others has one name with each of them.
func connectionOf(cs tls.ConnectionState) (name [32]byte, err error) {
	b, err := cs.ExportKeyingMaterial(exporter, nil, len(name))
	if err != nil {
		return name, fmt.Errorf("name the connection: %w", err)
	}
	return [32]byte(b), nil
}

// dial connects to addr and proves both identities. The caller closes the connection.
func dial(ctx context.Context, cert tls.Certificate, addr string, want ed25519.PublicKey, wait timing) (*tls.Conn, error) {
	dialer := net.Dialer{Timeout: wait.dial}
	raw, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait.handshake)
	defer cancel()
	conn := tls.Client(raw, clientTLS(cert, want))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		var other *IdentityError
		if errors.As(err, &other) {
			return nil, fmt.Errorf("%s %w", addr, other)
		}
		return nil, fmt.Errorf("handshake with %s: %w (%s)", addr, err, needs)
	}
	return conn, nil
}

// ServerTLS is for a server that shows the identity and asks callers for no certificate: the people's interface.
// Callers pin the identity, as peers do.
func ServerTLS(key crypto.Signer) (*tls.Config, error) {
	_, cert, err := selfSigned(key)
	if err != nil {
		return nil, err
	}
	return baseTLS(cert), nil
}

package link

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"testing"

	doors "github.com/ostraka/ostraka/node/door"
)

// TestServerName: a dialler asks for the identity that it pinned, and a node answers whatever it is asked for: a door may stand before it, and
// releases before this one ask for all nodes by one name.
func TestServerName(t *testing.T) {
	want := keyOf("answers").Public().(ed25519.PublicKey)
	_, cert, err := selfSigned(keyOf("answers"))
	if err != nil {
		t.Fatal(err)
	}
	_, own, err := selfSigned(keyOf("dials"))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 2)
	config := serverTLS(cert)
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		asked <- h.ServerName
		return nil, nil
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go c.(*tls.Conn).Handshake() //nolint:errcheck // the dialler says what came of it
		}
	}()
	c, err := dial(context.Background(), own, ln.Addr().String(), want, defaultTiming())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := <-asked; got != doors.Name(want, doors.Link) {
		t.Errorf("the dialler asks for %q", got)
	}
	old := clientTLS(own, want)
	old.ServerName = "ostraka-link"
	o, err := tls.Dial("tcp", ln.Addr().String(), old)
	if err != nil {
		t.Fatalf("a dialler of a release before: %v", err)
	}
	o.Close()
	if got := <-asked; got != "ostraka-link" {
		t.Errorf("it asked for %q", got)
	}
}

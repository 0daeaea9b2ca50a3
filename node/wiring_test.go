package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/link"
	"github.com/ostraka/ostraka/node/presign"
	"github.com/ostraka/ostraka/node/store/memory"
)

// A node in its process binds evidence of hardware to what its own link names a connection, as the other end does: without that no evidence would ever count.
func TestTheDaemonNamesItsConnections(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir, _ := cheapFolder(t)
	u, err := unlock(ctx, dir, cheapRing().Open, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	st, err := memory.NewDisk().Open()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{Dir: dir, Settings: u.settings, Started: time.Now(), log: slog.New(slog.DiscardHandler), fail: make(chan error, 1), wake: make(chan struct{}, 1)}
	if err := d.open(ctx, u, st, &ports{link: ln}, presign.Mode("")); err != nil {
		t.Fatal(err)
	}
	peer, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	self := u.own.Identity
	other, err := link.New(link.Config{Key: key, Listen: "127.0.0.1:0", Peers: []link.Peer{{Key: self, Addr: ln.Addr().String(), Name: "acme"}}, Receive: func(ed25519.PublicKey, []byte) {}})
	if err != nil {
		t.Fatal(err)
	}
	d.Link.SetPeers([]link.Peer{{Key: peer, Name: "bolt"}})
	ended := make(chan error, 2)
	for _, l := range []*link.Link{d.Link, other} {
		go func() { ended <- l.Run(ctx) }()
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		name := d.Node.cfg.Connection(peer)
		if name != [32]byte{} && name == other.Connection(self) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the node never names the connection as its other end does")
		}
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

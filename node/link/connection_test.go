package link

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"
)

// A connection has one name at both ends and no other connection has it: not the one that follows, and not the two that somebody between two nodes has with them.
func TestConnectionNames(t *testing.T) {
	a, b := start(t, "acme"), start(t, "bolt")
	p := newProxy(t, b.Addr())
	a.SetPeers([]Peer{{Key: publicOf("bolt"), Addr: p.ln.Addr().String(), Name: "bolt"}})
	b.SetPeers([]Peer{guest("acme")})
	named := func() (name [32]byte) {
		eventually(t, "both ends name the connection alike", func() bool {
			name = a.Connection(publicOf("bolt"))
			return name != [32]byte{} && name == b.Connection(publicOf("acme"))
		})
		return name
	}
	first := named()
	p.cut()
	eventually(t, "another connection stands", func() bool { n := a.Connection(publicOf("bolt")); return n != [32]byte{} && n != first })
	second := named()
	if first == second {
		t.Error("two connections have one name")
	}
	// A thief of bolt's key, to whom acme is led: its connection is not one that bolt itself could name.
	b.stop()
	if name := a.Connection(publicOf("cora")); name != [32]byte{} {
		t.Errorf("a connection to nobody is named %x", name)
	}
	thief := start(t, "bolt", peersOf(guest("acme")))
	a.SetPeers([]Peer{thief.peer()})
	eventually(t, "the thief's connection stands", func() bool { n := a.Connection(publicOf("bolt")); return n != [32]byte{} && n != second })
	if n := a.Connection(publicOf("bolt")); n == first || n == second {
		t.Error("the thief's connection has the name of one of bolt's own")
	}
}

// A thief of bolt's key has sent what acme did not read yet, and is gone; bolt's own node connects. Nothing of the thief's is handed over while bolt's
// connection stands, and what Receive has in hand meanwhile is of no connection.
func TestFramesOfAConnectionBefore(t *testing.T) {
	var mu sync.Mutex
	var a *node
	hold, first, under := make(chan struct{}), true, map[string][32]byte{}
	a = start(t, "acme", configured(func(c *Config) {
		c.Receive = func(from ed25519.PublicKey, f []byte) {
			if first {
				first = false
				<-hold
			}
			mu.Lock()
			defer mu.Unlock()
			under[string(f)] = a.Connection(from)
		}
	}), timed(func(w *timing) { w.probe = 300 * time.Millisecond }))
	a.SetPeers([]Peer{guest("bolt")})
	thief := start(t, "bolt", peersOf(a.peer()))
	eventually(t, "the thief's connection stands", func() bool { return a.Connection(publicOf("bolt")) != [32]byte{} })
	for i := range 20 {
		thief.send(t, "acme", fmt.Sprint("thief ", i))
	}
	eventually(t, "the thief's frames are out", func() bool { return thief.Status()[0].Counters.FramesSent == 20 })
	thief.stop()
	bolt := start(t, "bolt", peersOf(a.peer()))
	eventually(t, "bolt's own connection stands", func() bool { return bolt.Connection(publicOf("acme")) != [32]byte{} })
	own := bolt.Connection(publicOf("acme"))
	bolt.send(t, "acme", "bolt")
	close(hold)
	got := func() map[string][32]byte { mu.Lock(); defer mu.Unlock(); return maps.Clone(under) }
	eventually(t, "bolt's own frame is handed over", func() bool { _, ok := got()["bolt"]; return ok })
	for f, c := range got() {
		if f == "bolt" && c != own || f != "bolt" && c != [32]byte{} {
			t.Errorf("%q was handed over under %x; bolt's own connection is %x", f, c[:4], own[:4])
		}
	}
	if len(got()) != 2 {
		t.Errorf("handed over: %d frames, want the one in hand and bolt's", len(got()))
	}
}

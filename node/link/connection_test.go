package link

import "testing"

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

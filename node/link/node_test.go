package link

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// fast is defaultTiming for tests. No test measures time; waits only bound how long a failure takes to show.
func fast() timing {
	return timing{
		dial: 5 * time.Second, handshake: 5 * time.Second, hello: 5 * time.Second,
		headStart: 20 * time.Millisecond, backoffMin: 5 * time.Millisecond, backoffMax: 50 * time.Millisecond,
		settled: 10 * time.Second, ackDelay: 2 * time.Millisecond, ping: 50 * time.Millisecond,
		idle: 5 * time.Second, probe: 5 * time.Second, stranger: 5 * time.Second, drain: time.Second,
	}
}

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicOf(name string) ed25519.PublicKey { return keyOf(name).Public().(ed25519.PublicKey) }

// node is a Link that remembers what it received.
type node struct {
	*Link
	name string
	stop func()
	log  *journal

	mu  sync.Mutex
	got map[string][]string // by name of the sender
}

// journal is a log that tests can read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

type option func(*Config, *timing, *uint16)

func peersOf(peers ...Peer) option { return func(c *Config, _ *timing, _ *uint16) { c.Peers = peers } }

func timed(change func(*timing)) option { return func(_ *Config, w *timing, _ *uint16) { change(w) } }

func configured(change func(*Config)) option {
	return func(c *Config, _ *timing, _ *uint16) { change(c) }
}

func speaking(v uint16) option { return func(_ *Config, _ *timing, n *uint16) { *n = v } }

// start runs a node until the test ends or stop is called. Names are keys.
func start(t testing.TB, name string, options ...option) *node {
	t.Helper()
	n := &node{name: name, log: &journal{}, got: make(map[string][]string)}
	cfg := Config{
		Key: crypto.Signer(keyOf(name)), Listen: "127.0.0.1:0",
		Receive: n.receive, Log: slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	wait, speaks := fast(), uint16(version)
	for _, o := range options {
		o(&cfg, &wait, &speaks)
	}
	l, err := newLink(cfg, wait, speaks)
	if err != nil {
		t.Fatal(err)
	}
	n.Link = l
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	n.stop = func() { cancel(); <-ended }
	t.Cleanup(n.stop)
	return n
}

func (n *node) receive(from ed25519.PublicKey, frame []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got[string(from)] = append(n.got[string(from)], string(frame))
}

func (n *node) from(name string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.got[string(publicOf(name))]...)
}

func (n *node) peer() Peer { return Peer{Key: publicOf(n.name), Addr: n.Addr(), Name: n.name} }

// guest is the peer without address: it must dial.
func guest(name string) Peer { return Peer{Key: publicOf(name), Name: name} }

func (n *node) about(name string) Status {
	for _, s := range n.Status() {
		if s.Peer.Key.Equal(publicOf(name)) {
			return s
		}
	}
	return Status{}
}

func (n *node) send(t testing.TB, to string, body string) {
	t.Helper()
	if err := n.Send(publicOf(to), []byte(body)); err != nil {
		t.Fatal(err)
	}
}

// mesh starts nodes that all dial each other.
func mesh(t testing.TB, names ...string) []*node {
	t.Helper()
	var nodes []*node
	for _, name := range names {
		nodes = append(nodes, start(t, name))
	}
	for _, n := range nodes {
		var peers []Peer
		for _, other := range nodes {
			if other != n {
				peers = append(peers, other.peer())
			}
		}
		n.SetPeers(peers)
	}
	return nodes
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func connected(t testing.TB, a, b *node) {
	t.Helper()
	eventually(t, a.name+" and "+b.name+" are connected", func() bool {
		return a.about(b.name).Connected && b.about(a.name).Connected
	})
}

func wantContains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s %d %s", prefix, i, strings.Repeat("x", i*i%5000))
	}
	return all
}

func wantFrames(t testing.TB, n *node, from string, want []string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %d frames of %s", n.name, len(want), from), func() bool { return len(n.from(from)) >= len(want) })
	got := n.from(from)
	if len(got) != len(want) {
		t.Fatalf("%s has %d frames of %s, %d were sent", n.name, len(got), from, len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: frame %d of %s has %d bytes %.40q, want %d bytes %.40q", n.name, i, from, len(got[i]), got[i], len(want[i]), want[i])
		}
	}
}

// proxy is a TCP relay that ill-treats what passes.
type proxy struct {
	ln     net.Listener
	target string

	mu     sync.Mutex
	conns  map[net.Conn]bool
	budget int           // bytes until everything is cut; 0: none
	piece  int           // largest write; 0: any
	delay  time.Duration // before each write
	mute   bool          // swallow everything, keep connections open
	count  int           // bytes relayed, both ways
	cuts   int
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, target: target, conns: make(map[net.Conn]bool)}
	t.Cleanup(func() { ln.Close(); p.cut() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", p.target)
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns[in], p.conns[out] = true, true
			p.mu.Unlock()
			go p.relay(out, in)
			go p.relay(in, out)
		}
	}()
	return p
}

func (p *proxy) set(change func(*proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked()
}

func (p *proxy) cutLocked() {
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
	p.cuts++
}

func (p *proxy) relay(dst, src net.Conn) {
	defer dst.Close()
	defer src.Close()
	b := make([]byte, 16<<10)
	for {
		n, err := src.Read(b)
		for part := b[:n]; len(part) > 0; {
			p.mu.Lock()
			size, delay, mute := len(part), p.delay, p.mute
			if p.piece > 0 {
				size = min(size, p.piece)
			}
			p.count += size
			if p.budget > 0 {
				if p.budget -= size; p.budget <= 0 {
					p.budget = 0
					p.cutLocked()
				}
			}
			p.mu.Unlock()
			time.Sleep(delay)
			if !mute {
				if _, err := dst.Write(part[:size]); err != nil {
					return
				}
			}
			part = part[size:]
		}
		if err != nil {
			if err == io.EOF {
				dst.(*net.TCPConn).CloseWrite()
			}
			return
		}
	}
}

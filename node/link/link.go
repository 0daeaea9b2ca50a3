package link

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What Send refuses.
var (
	ErrUnknownPeer = errors.New("no peer is pinned with this identity")
	ErrTooLarge    = errors.New("the frame is larger than 8 MiB")
	ErrQueueFull   = errors.New("the queue for this peer is full")
)

// A Peer is a pinned node. Name is for people only and is never sent.
type Peer struct {
	Key  ed25519.PublicKey // 32 bytes
	Addr string            // host:port; empty: this node never dials it
	Name string
}

// Config is read once by New.
type Config struct {
	Key    crypto.Signer // Ed25519; may live in a module or another process
	Listen string        // host:port; port 0 takes a free one
	// Listener takes connections in place of Listen, and is closed with the link; nil: the link binds Listen itself.
	Listener net.Listener
	Peers    []Peer

	// Receive gets the frames of each peer in the order in which they were sent, one at a time per peer, and owns
	// the slice. It is called under no lock, but while it runs nothing else of that peer is read: HTTP/2 flow control
	// holds the peer back (about 1 MiB is buffered), acknowledgements wait and round trips look long. A frame is
	// acknowledged when Receive returns.
	Receive func(from ed25519.PublicKey, frame []byte)

	// Knock answers one small request of a node that may be a stranger; from has proved that it owns its key,
	// nothing else. The answer and the error's text go to the caller. Nil: knocks are refused.
	Knock func(ctx context.Context, remote string, from ed25519.PublicKey, body []byte) ([]byte, error)

	// Silent says that nothing may leave at this moment, as while the link is paused; nil: never. It is asked before each message: a process that
	// was suspended knows nothing of it, and a single answer of its own beside another replica's would make peers think that the node runs twice.
	Silent func() bool

	MaxQueue int              // unacknowledged bytes held per peer; 0: 64 MiB
	Log      *slog.Logger     // nil: nothing is logged
	Now      func() time.Time // the clock shown to peers and in Status; nil: time.Now
}

// timing holds every wait of the room; tests make them short.
type timing struct {
	dial, handshake, hello time.Duration // limits of the three steps of a connection
	headStart              time.Duration // the higher key lets the lower one dial first
	backoffMin, backoffMax time.Duration
	settled                time.Duration // a stream that stood so long was a good one
	ackDelay               time.Duration // an acknowledgement waits so long for a frame to ride on
	ping                   time.Duration // own pings: round trip and clock
	idle                   time.Duration // HTTP/2 pings after so long a silence; the answer has as long again
	probe                  time.Duration // a standing stream must answer within this when another one arrives
	stranger               time.Duration // life of an unpinned identity's connection
	drain                  time.Duration // what is queued may still leave at the end
}

func defaultTiming() timing {
	return timing{
		dial: 5 * time.Second, handshake: 5 * time.Second, hello: 5 * time.Second,
		headStart: 200 * time.Millisecond, backoffMin: 100 * time.Millisecond, backoffMax: 5 * time.Second,
		settled: 10 * time.Second, ackDelay: 20 * time.Millisecond, ping: 5 * time.Second, idle: 5 * time.Second,
		probe: 3 * time.Second, stranger: 20 * time.Second, drain: time.Second,
	}
}

type identity [ed25519.PublicKeySize]byte

// A Link is one node's end of all its pairs. See the package comment for who owns what.
type Link struct {
	cfg     Config
	wait    timing
	version uint16
	cert    tls.Certificate
	self    identity
	born    Incarnation
	log     *slog.Logger
	door    *door
	stats   stats
	paused  atomic.Pointer[pause] // nil: frames flow

	mu      sync.Mutex
	pairs   map[identity]*pair
	last    map[identity]uint64 // number of the newest frame to each peer that was unpinned: it goes on from there if it is pinned again
	running bool                // Run was called
	closed  bool                // Close was called; for good
	tasks   sync.WaitGroup      // dial loops and handlers; added to only under mu and while !closed
}

// New makes a Link and binds its port at once, so that a taken port is known before anything else starts.
// Connections wait in the kernel until Run.
func New(cfg Config) (*Link, error) { return newLink(cfg, defaultTiming(), version) }

func newLink(cfg Config, wait timing, version uint16) (*Link, error) {
	if cfg.Receive == nil {
		return nil, errors.New("link: Config.Receive is nil")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxQueue <= 0 {
		cfg.MaxQueue = 64 << 20
	}
	self, cert, err := selfSigned(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	l := &Link{
		cfg: cfg, wait: wait, version: version, cert: cert, self: self, log: cfg.Log,
		pairs: make(map[identity]*pair), last: make(map[identity]uint64),
	}
	rand.Read(l.born[:])
	if err := l.checkPeers(cfg.Peers); err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	ln := cfg.Listener
	if ln == nil {
		if ln, err = Listen(cfg.Listen); err != nil {
			return nil, err
		}
	}
	l.door = newDoor(l, ln)
	l.SetPeers(cfg.Peers)
	return l, nil
}

// Listen binds a port for Config.Listener; its error says what to do.
func Listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, listenError(addr, err)
	}
	return ln, nil
}

func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("link: listen on %s: the port is taken: stop the process that holds it or choose another listen address: %w", addr, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("link: listen on %s: this user may not open the port: choose one above 1023 or grant the right: %w", addr, err)
	}
	return fmt.Errorf("link: listen on %s: choose a host:port of this machine: %w", addr, err)
}

func (l *Link) checkPeers(peers []Peer) error {
	seen := make(map[identity]bool)
	for _, p := range peers {
		if len(p.Key) != ed25519.PublicKeySize {
			return fmt.Errorf("peer %q: the key has %d bytes, not 32", p.Name, len(p.Key))
		}
		id := identity(p.Key)
		if id == l.self {
			return fmt.Errorf("peer %q: %s is this node's own identity", p.Name, Fingerprint(p.Key))
		}
		if seen[id] {
			return fmt.Errorf("peer %q: %s is pinned twice", p.Name, Fingerprint(p.Key))
		}
		seen[id] = true
	}
	return nil
}

// Run serves and dials until ctx ends; then it lets what is queued leave for up to a second, closes
// everything and returns nil. It may be called once.
func (l *Link) Run(ctx context.Context) error {
	l.mu.Lock()
	if l.running || l.closed {
		l.mu.Unlock()
		return errors.New("link: Run needs a new Link: this one has run or was closed")
	}
	l.running = true
	for _, p := range l.pairs {
		l.tasks.Go(p.dialLoop)
	}
	l.mu.Unlock()
	l.door.open()
	<-ctx.Done()
	l.drain()
	l.Close()
	l.tasks.Wait()
	l.door.wait()
	return nil
}

// Settled says that no connected peer owes us an acknowledgement, or we one to it.
func (l *Link) Settled() bool {
	return !slices.ContainsFunc(l.allPairs(), func(p *pair) bool { return !p.drained() })
}

// drain waits until every connected peer has acknowledged its frames and got our acknowledgements.
func (l *Link) drain() {
	deadline := time.Now().Add(l.wait.drain)
	for _, p := range l.allPairs() {
		for !p.drained() && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// Close frees the port and cuts all connections at once. Run does it by itself; Close is for a Link that never
// ran. Calling it again does nothing.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	for _, p := range l.allPairs() {
		p.cut(errClosing)
	}
	l.door.close()
}

// Addr is the bound address, with the port that was taken when Listen named port 0.
func (l *Link) Addr() string { return l.door.ln.Addr().String() }

// Send queues a copy of frame for one peer and returns. Nil means queued, not delivered: the frame stays in memory
// until the peer has acknowledged it, through reconnects and restarts of the peer, and is lost when this process
// ends or the peer is unpinned. Frames of one peer arrive in order; a life of the peer sees each once.
func (l *Link) Send(to ed25519.PublicKey, frame []byte) error {
	if len(frame) > MaxFrame {
		return fmt.Errorf("send %d bytes: %w", len(frame), ErrTooLarge)
	}
	p := l.pairOf(to)
	if p == nil {
		return fmt.Errorf("send to %s: %w", Fingerprint(to), ErrUnknownPeer)
	}
	return p.send(frame)
}

func (l *Link) pairOf(key ed25519.PublicKey) *pair {
	if len(key) != ed25519.PublicKeySize {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pairs[identity(key)]
}

// allPairs lists the pairs in the order of their keys.
func (l *Link) allPairs() []*pair {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*pair, 0, len(l.pairs))
	for _, p := range l.pairs {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pair) int { return bytes.Compare(a.id[:], b.id[:]) })
	return all
}

// SetPeers replaces the pins. Removed peers are cut at once and their queues dropped; a call of Receive that already
// runs is not waited for, and no other follows. Peers that stay keep queue and stream; a new address counts from the
// next dial. Entries that New would refuse are logged and left out. It may be called from Receive and Knock.
func (l *Link) SetPeers(peers []Peer) {
	wanted := make(map[identity]Peer)
	for _, peer := range peers {
		if err := l.checkPeers([]Peer{peer}); err != nil {
			l.log.Error("peer left out", "reason", err.Error())
			continue
		}
		peer.Key = bytes.Clone(peer.Key)
		wanted[identity(peer.Key)] = peer
	}
	var removed []*pair
	l.mu.Lock()
	for id, p := range l.pairs {
		if _, keep := wanted[id]; !keep {
			delete(l.pairs, id)
			l.last[id] = p.close()
			removed = append(removed, p)
		}
	}
	for id, peer := range wanted {
		if p := l.pairs[id]; p != nil {
			p.rename(peer)
			continue
		}
		p := newPair(l, id, peer)
		p.last, p.acked = l.last[id], l.last[id]
		delete(l.last, id)
		l.pairs[id] = p
		if l.running && !l.closed {
			l.tasks.Go(p.dialLoop)
		}
	}
	l.mu.Unlock()
	for _, p := range removed {
		p.cut(errUnpinned)
		l.door.cut(p.id)
	}
}

// Status describes every pinned peer, in the order of their keys.
func (l *Link) Status() []Status {
	pairs := l.allPairs()
	all := make([]Status, len(pairs))
	for i, p := range pairs {
		all[i] = p.status()
	}
	return all
}

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What one port lets in at once. Memory for strangers is bounded by these numbers times what TLS and HTTP/2
// hold per connection, and by nothing that a stranger chooses.
const (
	maxPending   = 64 // connections whose handshake is not finished
	maxStrangers = 16 // finished handshakes of unpinned identities
	maxPerPeer   = 4  // connections of one pinned identity
	maxStreams   = 4  // HTTP/2 streams of one connection
	http2Buffer  = 1 << 20
	warnBurst    = 10
)

// inbound is a connection that came through the port.
type inbound struct {
	net.Conn
	door   *door
	remote string
	closed sync.Once
	used   atomic.Bool // a stream was asked for: one connection carries one

	name [32]byte // of the connection; written once, before sort

	// Written once, by sort under door.mu, before the HTTP/2 server sees the connection.
	id     identity
	pinned bool // id was pinned when the handshake ended; only then may a stream begin
	expiry *time.Timer

	gone bool // forgotten; guarded by door.mu
}

func (in *inbound) Close() error {
	var err error
	in.closed.Do(func() {
		err = in.Conn.Close()
		in.door.forget(in)
	})
	return err
}

// door owns the port: it bounds, authenticates and sorts connections, and hands those that finished
// their handshake to the HTTP/2 server.
type door struct {
	link   *Link
	ln     net.Listener
	tls    *tls.Config
	server *http.Server
	ready  chan *tls.Conn
	done   chan struct{}  // closed by close
	tasks  sync.WaitGroup // accept loop, server and handshakes

	mu        sync.Mutex
	closed    bool
	pending   crowd
	strangers crowd
	peers     map[identity]map[*inbound]bool
	warnings  allowance // one a second
	unwarned  int       // left out since the last one
}

func newDoor(l *Link, ln net.Listener) *door {
	d := &door{
		link: l, ln: ln, tls: serverTLS(l.cert),
		ready: make(chan *tls.Conn), done: make(chan struct{}),
		pending: crowd{max: maxPending}, strangers: crowd{max: maxStrangers},
		peers: make(map[identity]map[*inbound]bool),
	}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	d.server = &http.Server{
		Handler:        l.handler(),
		TLSConfig:      serverTLS(l.cert), // its own copy: the server changes it
		Protocols:      &protocols,
		HTTP2:          http2Config(l.wait),
		MaxHeaderBytes: 8 << 10,
		IdleTimeout:    l.wait.stranger,
		ErrorLog:       slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, inboundKey{}, c.(*tls.Conn).NetConn().(*inbound))
		},
	}
	return d
}

type inboundKey struct{}

// http2Config is the same for both directions: a connection that stays silent through idle and one ping is dead.
func http2Config(wait timing) *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReceiveBufferPerConnection: http2Buffer,
		MaxReceiveBufferPerStream:     http2Buffer,
		MaxReadFrameSize:              maxMessage,
		SendPingTimeout:               wait.idle,
		PingTimeout:                   wait.idle,
		WriteByteTimeout:              2 * wait.idle,
	}
}

// open starts to serve. Accept, Close and Addr make the door the server's listener.
func (d *door) open() {
	d.tasks.Go(d.acceptLoop)
	d.tasks.Go(func() { d.server.Serve(d) })
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.ready:
		return c, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}

func (d *door) Addr() net.Addr { return d.ln.Addr() }

func (d *door) Close() error { return nil }

func (d *door) acceptLoop() {
	for {
		raw, err := d.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// For instance no file descriptors: the port stays, new connections wait.
			d.link.log.Error("accept", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-d.done:
				return
			}
			continue
		}
		d.link.stats.accepted.Add(1)
		in := &inbound{Conn: raw, door: d, remote: raw.RemoteAddr().String()}
		if d.admit(in) {
			d.tasks.Go(func() { d.handshake(in) })
		}
	}
}

// admit counts in as pending. When all places are taken, the address that holds the most of them
// loses its oldest: a flood from one place pushes out itself.
func (d *door) admit(in *inbound) bool {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		in.Conn.Close()
		return false
	}
	out := d.pending.add(in)
	d.mu.Unlock()
	if out != nil {
		d.link.stats.evicted.Add(1)
		out.Close()
	}
	return true
}

// handshake authenticates one connection within its time and passes it on.
func (d *door) handshake(in *inbound) {
	ctx, cancel := context.WithTimeout(context.Background(), d.link.wait.handshake)
	defer cancel()
	conn := tls.Server(in, d.tls)
	err := conn.HandshakeContext(ctx)
	var id identity
	if err == nil {
		id, err = identityOf(conn.ConnectionState())
	}
	if err == nil {
		in.name, err = connectionOf(conn.ConnectionState())
	}
	if err == nil && id == d.link.self {
		d.link.stats.ownIdentity.Add(1)
		err = errors.New("it holds this node's own identity key: find the second process that runs with it and stop one")
	}
	if err == nil {
		err = d.sort(in, id)
	}
	if err != nil {
		d.link.stats.handshakeFailures.Add(1)
		d.warn("connection refused", in, err.Error()+" ("+needs+")")
		in.Close()
		return
	}
	select {
	case d.ready <- conn:
	case <-d.done:
		in.Close()
	}
}

// sort moves a connection that finished its handshake from pending to its peer or to the strangers.
func (d *door) sort(in *inbound, id identity) error {
	pinned := d.link.pairOf(id[:]) != nil
	d.mu.Lock()
	d.pending.remove(in)
	in.id, in.pinned = id, pinned
	var out *inbound
	switch {
	case d.closed, in.gone:
		d.mu.Unlock()
		return net.ErrClosed
	case pinned && len(d.peers[in.id]) >= maxPerPeer:
		d.mu.Unlock()
		return errors.New("this identity has too many connections")
	case pinned:
		if d.peers[in.id] == nil {
			d.peers[in.id] = make(map[*inbound]bool)
		}
		d.peers[in.id][in] = true
	default:
		d.link.stats.strangers.Add(1)
		out = d.strangers.add(in)
		in.expiry = time.AfterFunc(d.link.wait.stranger, func() { in.Close() })
	}
	d.mu.Unlock()
	if out != nil {
		d.link.stats.evicted.Add(1)
		out.Close()
	}
	// SetPeers may have unpinned the key before it stood in peers for cut to find.
	if pinned && d.link.pairOf(id[:]) == nil {
		return errUnpinned
	}
	return nil
}

// forget removes a closed connection from wherever it is counted.
func (d *door) forget(in *inbound) {
	d.mu.Lock()
	defer d.mu.Unlock()
	in.gone = true
	d.pending.remove(in)
	d.strangers.remove(in)
	if in.expiry != nil {
		in.expiry.Stop()
	}
	if set := d.peers[in.id]; set[in] {
		delete(set, in)
		if len(set) == 0 {
			delete(d.peers, in.id)
		}
	}
}

// cut closes all connections of a key that is no longer pinned.
func (d *door) cut(id identity) {
	d.mu.Lock()
	var all []*inbound
	for in := range d.peers[id] {
		all = append(all, in)
	}
	d.mu.Unlock()
	for _, in := range all {
		in.Close()
	}
}

func (d *door) close() {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	all := append(d.pending.all(), d.strangers.all()...)
	for _, set := range d.peers {
		for in := range set {
			all = append(all, in)
		}
	}
	d.mu.Unlock()
	close(d.done)
	d.ln.Close()
	for _, in := range all {
		in.Close()
	}
	d.server.Close()
}

func (d *door) wait() { d.tasks.Wait() }

func (d *door) pendingCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending.list)
}

// warn logs what an unauthenticated or unpinned node did, at most a few times a second: a flood must not fill the disk.
func (d *door) warn(what string, in *inbound, reason string) {
	now := time.Now()
	d.mu.Lock()
	if d.warnings.fill(now, warnBurst, time.Second) < 1 {
		d.unwarned++
		d.mu.Unlock()
		return
	}
	d.warnings.left--
	left := d.unwarned
	d.unwarned = 0
	d.mu.Unlock()
	d.link.log.Warn(what, "remote", in.remote, "reason", reason, "more_not_shown", left)
}

// crowd is a bounded list of connections, oldest first. Its owner locks it.
type crowd struct {
	max  int
	list []*inbound
}

// add appends in and returns the one that must go for it, if any.
func (c *crowd) add(in *inbound) (out *inbound) {
	if len(c.list) >= c.max {
		count := make(map[string]int)
		for _, other := range c.list {
			a := addressOf(other.remote)
			if count[a]++; out == nil || count[a] > count[addressOf(out.remote)] {
				out = other
			}
		}
		most := addressOf(out.remote)
		for _, other := range c.list {
			if addressOf(other.remote) == most {
				out = other
				break
			}
		}
		c.remove(out)
	}
	c.list = append(c.list, in)
	return out
}

func (c *crowd) remove(in *inbound) {
	for i, other := range c.list {
		if other == in {
			copy(c.list[i:], c.list[i+1:])
			c.list[len(c.list)-1] = nil
			c.list = c.list[:len(c.list)-1]
			return
		}
	}
}

func (c *crowd) all() []*inbound { return append([]*inbound(nil), c.list...) }

// addressOf is what one place can have many of: the address without port, for IPv6 the /64 network.
func addressOf(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	addr := ap.Addr().Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return remote
	}
	return prefix.String()
}

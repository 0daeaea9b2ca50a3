package replica

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Bounds of a door. What passes is encrypted to the owner, which bounds it again.
const (
	maxPassing  = 256              // connections that are passed on at once; more are closed
	dialWithin  = 3 * time.Second  // to the owner
	dyingFor    = 10 * time.Second // one direction may go on so long after the other has ended
	acceptAgain = 100 * time.Millisecond
)

// A Door is one port of a replica, open as long as its process lives. While the replica owns the node, connections are
// its own; else they are passed on to the owner's port, byte by byte: TLS ends there, so a door learns and changes
// nothing (spec/replicas 5).
type Door struct {
	ln  net.Listener
	log *slog.Logger

	mu      sync.Mutex
	inside  *inside               // the owner's listener; nil: this replica stands by
	owner   string                // host:port of the owner's; "": nobody is known
	passing map[net.Conn]struct{} // both ends of each
	closed  bool
	tasks   sync.WaitGroup
}

// NewDoor takes over a bound port. Connections wait in the kernel until Run.
func NewDoor(ln net.Listener, log *slog.Logger) *Door {
	return &Door{ln: ln, log: log, passing: map[net.Conn]struct{}{}}
}

// Addr is the bound address.
func (d *Door) Addr() net.Addr { return d.ln.Addr() }

// Run takes connections until Close.
func (d *Door) Run() {
	for {
		c, err := d.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no file descriptors, for instance: the port stays
			d.log.Error("accept", "address", d.ln.Addr().String(), "error", err)
			time.Sleep(acceptAgain)
			continue
		}
		d.take(c)
	}
}

// take hands a connection inside, or begins to pass it on.
func (d *Door) take(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		c.Close()
	case d.inside != nil:
		in := d.inside
		d.tasks.Go(func() { in.offer(c) })
	case d.owner == "" || len(d.passing) >= 2*maxPassing:
		c.Close() // whoever dials tries again
	default:
		owner := d.owner
		d.passing[c] = struct{}{}
		d.tasks.Go(func() { d.pass(c, owner) })
	}
}

// Pass says where connections go while this replica stands by; "": they are closed. Those that are passed to another
// place are cut.
func (d *Door) Pass(owner string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.owner != owner {
		d.owner = owner
		d.cut()
	}
}

// Inside begins to take connections for this process itself, and cuts those that were passed on. Closing the listener
// ends that; the port stays open.
func (d *Door) Inside() net.Listener {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut()
	d.inside = &inside{door: d, conns: make(chan net.Conn), done: make(chan struct{})}
	return d.inside
}

// Close frees the port and cuts what is passed on.
func (d *Door) Close() error {
	err := d.ln.Close()
	d.mu.Lock()
	d.closed = true
	in := d.inside
	d.cut()
	d.mu.Unlock()
	if in != nil {
		in.Close()
	}
	d.tasks.Wait()
	return err
}

// cut ends all that is passed on. d.mu is held.
func (d *Door) cut() {
	for c := range d.passing {
		c.Close()
	}
}

// pass copies bytes both ways until both directions have ended.
func (d *Door) pass(c net.Conn, owner string) {
	defer d.forget(c)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), dialWithin)
	defer cancel()
	o, err := new(net.Dialer).DialContext(ctx, "tcp", owner)
	if err != nil {
		d.log.Debug("the owner does not answer", "owner", owner, "error", err)
		return
	}
	defer o.Close()
	d.mu.Lock()
	current := d.owner == owner && d.inside == nil && !d.closed
	if current {
		d.passing[o] = struct{}{}
	}
	d.mu.Unlock()
	if !current {
		return
	}
	defer d.forget(o)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		half(o, c)
	}()
	half(c, o)
	select {
	case <-ended:
	case <-time.After(dyingFor):
		c.Close()
		o.Close()
		<-ended
	}
}

func (d *Door) forget(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.passing, c)
}

// half copies one direction, and passes its end on.
func half(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if w, ok := to.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
}

// inside is a door's listener for the process itself.
type inside struct {
	door  *Door
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (in *inside) offer(c net.Conn) {
	select {
	case in.conns <- c:
	case <-in.done:
		c.Close()
	}
}

func (in *inside) Accept() (net.Conn, error) {
	select {
	case c := <-in.conns:
		return c, nil
	case <-in.done:
		return nil, net.ErrClosed
	}
}

func (in *inside) Addr() net.Addr { return in.door.ln.Addr() }

func (in *inside) Close() error {
	in.once.Do(func() {
		close(in.done)
		in.door.mu.Lock()
		defer in.door.mu.Unlock()
		if in.door.inside == in {
			in.door.inside = nil
		}
	})
	return nil
}

package replica

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/ostraka/ostraka/node/door"
)

// maxPassing is how many connections a door passes on at once. What passes is bounded again where it ends.
const maxPassing = 256

// A Door is one port of a replica, open as long as its process lives. While the replica owns the node, connections are
// its own; else they are passed on to the owner's port, byte by byte: TLS ends there, so a door learns and changes
// nothing (spec/replicas 5).
type Door struct {
	ln  net.Listener
	log *slog.Logger

	mu    sync.Mutex
	to    *side  // who takes connections now; nil: they are closed
	owner string // host:port to pass them on to; "": nobody
	own   bool   // to is this process itself
	tasks sync.WaitGroup
}

// NewDoor takes over a bound port. Connections wait in the kernel until Run.
func NewDoor(ln net.Listener, log *slog.Logger) *Door { return &Door{ln: ln, log: log} }

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
			time.Sleep(100 * time.Millisecond)
			continue
		}
		d.mu.Lock()
		to := d.to
		d.mu.Unlock()
		if to == nil || !to.offer(c) {
			c.Close() // whoever dials tries again
		}
	}
}

// Pass says where connections go while this replica stands by; "": they are closed. Those that are passed to another
// place are cut.
func (d *Door) Pass(owner string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.owner != owner {
		d.owner = owner
		d.turn()
	}
}

// Inside begins to take connections for this process itself, and cuts those that were passed on. Closing the listener
// ends that; the port stays open.
func (d *Door) Inside() net.Listener {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turnTo(newSide(d.ln.Addr()))
	d.own = true
	in := d.to
	return &inside{side: in, left: func() { d.leave(in) }}
}

// leave ends what Inside began.
func (d *Door) leave(in *side) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.to == in {
		d.own = false
		d.turn()
	}
}

// Close frees the port and cuts what is passed on.
func (d *Door) Close() error {
	err := d.ln.Close()
	d.mu.Lock()
	d.turnTo(nil)
	d.mu.Unlock()
	d.tasks.Wait()
	return err
}

// turn passes connections on to the owner, unless they are this process's own. d.mu is held.
func (d *Door) turn() {
	if d.own {
		return
	}
	if d.owner == "" {
		d.turnTo(nil)
		return
	}
	s, owner := newSide(d.ln.Addr()), d.owner
	d.turnTo(s)
	room := door.NewRoom(maxPassing)
	passing := door.New(door.Config{Log: d.log, Idle: -1, Route: func(door.Call) (door.Target, error) { return door.Target{Addr: owner, Room: room}, nil }})
	d.tasks.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stop := context.AfterFunc(s.ctx, cancel)
		defer stop()
		_ = passing.Serve(ctx, s) // it ends when the side is left
	})
}

// turnTo lets another side take connections; the one before is closed, and what it passed on is cut. d.mu is held.
func (d *Door) turnTo(s *side) {
	if d.to != nil {
		d.to.Close()
	}
	d.to = s
}

// A side is a listener that is given its connections.
type side struct {
	addr  net.Addr
	conns chan net.Conn
	ctx   context.Context // ends with it
	end   context.CancelFunc
}

func newSide(addr net.Addr) *side {
	s := &side{addr: addr, conns: make(chan net.Conn)}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// offer hands a connection over, unless the side was left.
func (s *side) offer(c net.Conn) bool {
	select {
	case s.conns <- c:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *side) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (s *side) Addr() net.Addr { return s.addr }

func (s *side) Close() error {
	s.end()
	return nil
}

// inside is the side of the process itself.
type inside struct {
	*side
	left func()
}

func (in *inside) Close() error {
	in.left()
	return in.side.Close()
}

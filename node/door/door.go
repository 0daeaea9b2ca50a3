// Package door takes connections at one address and hands each, byte for byte, to somebody behind it: a provider's customers behind one address
// (spec/provider 3), or the replica that works, behind one that waits. It ends no TLS and holds no key: who is spoken with is proved
// from end to end, past it. All that a stranger can make it hold is bounded here.
package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Waits and bounds that a Config leaves open.
const (
	DefaultPending = 256
	DefaultHello   = 5 * time.Second
	DefaultDial    = 5 * time.Second
	DefaultIdle    = 10 * time.Minute // a link pings every few seconds, and the system finds out who is gone
)

// A Call is a connection that asks to be let through.
type Call struct {
	Remote net.Addr
	Name   string // the server name that it asked for; empty unless Config.Names
}

// A Target is where a call goes.
type Target struct {
	Addr string // host:port
	Room *Room  // whose places it takes; nil: none are counted
}

// A Route's answers to a name that nobody here has, and to that of somebody who is not there now.
var (
	ErrUnknown = errors.New("nobody behind this door has that name")
	ErrAway    = errors.New("whoever has that name does not run")
)

// Config says how a door works. Route alone is needed.
type Config struct {
	// Route says where a call goes. It must not block for long; its error closes the connection.
	Route func(Call) (Target, error)
	// Names has the door read each connection's ClientHello, for the name that the dialler asks for. Without it a connection that says
	// nothing is let through too.
	Names bool
	// Source gives the local address to dial from, so that who is behind the door can tell callers apart; nil, or if the system
	// has no such address: any.
	Source func(remote net.Addr) net.Addr

	Pending int           // connections at once that are not through yet; 0: DefaultPending
	Hello   time.Duration // for the ClientHello; 0: DefaultHello
	Dial    time.Duration // for the connection behind; 0: DefaultDial
	Idle    time.Duration // a connection on which nothing moves for so long ends; 0: DefaultIdle; < 0: it never does
	Log     *slog.Logger  // nil: nothing is logged
}

func (c Config) whole() Config {
	if c.Pending <= 0 {
		c.Pending = DefaultPending
	}
	for at, usual := range map[*time.Duration]time.Duration{&c.Hello: DefaultHello, &c.Dial: DefaultDial, &c.Idle: DefaultIdle} {
		if *at == 0 {
			*at = usual
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Stats counts what came to a door since it opened.
type Stats struct {
	Accepted uint64 `json:"accepted"` // connections
	Passed   uint64 `json:"passed"`   // of them, that were let through
	Unread   uint64 `json:"unread"`   // that sent no ClientHello in time, or something else
	Unknown  uint64 `json:"unknown"`  // that asked for whom nobody knows, or that Route refused
	Full     uint64 `json:"full"`     // that were closed for others, or found no place
	Failed   uint64 `json:"failed"`   // whom nobody answered behind the door
}

// A Door lets connections through. Its methods may be called at the same time.
type Door struct {
	cfg     Config
	pending *Room
	tasks   sync.WaitGroup
	said    atomic.Int64 // when something was logged last, Unix seconds

	accepted, passed, unread, unknown, full, failed atomic.Uint64
}

// New makes a door.
func New(cfg Config) *Door {
	cfg = cfg.whole()
	return &Door{cfg: cfg, pending: NewRoom(cfg.Pending)}
}

// Stats shows what came so far.
func (d *Door) Stats() Stats {
	return Stats{
		Accepted: d.accepted.Load(), Passed: d.passed.Load(), Unread: d.unread.Load(), Unknown: d.unknown.Load(),
		Full: d.full.Load(), Failed: d.failed.Load(),
	}
}

// Serve lets through what comes to a listener until ctx ends; then it closes the listener and all connections, and returns when they are gone.
// It may be called for several listeners.
func (d *Door) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	defer d.tasks.Wait()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("the door at %s: %w", ln.Addr(), err)
		case err != nil:
			// For instance no file descriptors: the port stays, new connections wait.
			d.warn("accept", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		d.accepted.Add(1)
		d.tasks.Go(func() { d.pass(ctx, conn) })
	}
}

// pass takes one connection from the step outside to whoever it wants, and stays with it until it ends.
func (d *Door) pass(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	place, ok := d.pending.enter(conn)
	if !ok {
		d.full.Add(1)
		return
	}
	defer place.leave()
	call, said := Call{Remote: conn.RemoteAddr()}, []byte(nil)
	if d.cfg.Names {
		var err error
		if call.Name, said, err = ReadHello(conn, time.Now().Add(d.cfg.Hello)); err != nil {
			d.unread.Add(1)
			d.warn("connection refused: it does not say whom it wants", "remote", conn.RemoteAddr(), "error", err)
			return
		}
	}
	to, err := d.cfg.Route(call)
	if errors.Is(err, ErrAway) {
		d.failed.Add(1)
		d.warn("nobody answers behind the door", "name", call.Name, "error", err)
		return
	}
	if err != nil {
		d.unknown.Add(1)
		d.warn("connection refused", "remote", conn.RemoteAddr(), "name", call.Name, "error", err)
		if d.cfg.Names {
			conn.SetWriteDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the connection is given up
			conn.Write(unrecognized)                           //nolint:errcheck
		}
		return
	}
	d.through(ctx, conn, said, to, place)
}

// through dials whom a call wants and splices the two.
func (d *Door) through(ctx context.Context, conn net.Conn, said []byte, to Target, outside *place) {
	if to.Room != nil {
		inside, ok := to.Room.enter(conn)
		if !ok {
			d.full.Add(1)
			d.warn("connection refused: no place is left", "remote", conn.RemoteAddr(), "to", to.Addr)
			return
		}
		defer inside.leave()
	}
	behind, err := d.dial(ctx, to.Addr, conn.RemoteAddr())
	if err != nil {
		d.failed.Add(1)
		d.warn("nobody answers behind the door", "to", to.Addr, "error", err)
		return
	}
	defer behind.Close()
	outside.leave() // it is through: others may come to the step
	d.passed.Add(1)
	if len(said) > 0 {
		behind.SetWriteDeadline(time.Now().Add(d.cfg.Dial)) //nolint:errcheck // then the write fails
		if _, err := behind.Write(said); err != nil {
			return
		}
	}
	up, down := Splice(ctx, conn, behind, d.cfg.Idle)
	if to.Room != nil {
		to.Room.bytes.Add(uint64(up + down + int64(len(said))))
	}
}

func (d *Door) dial(ctx context.Context, addr string, remote net.Addr) (net.Conn, error) {
	dialer := net.Dialer{Timeout: d.cfg.Dial}
	if d.cfg.Source != nil {
		from := dialer
		if from.LocalAddr = d.cfg.Source(remote); from.LocalAddr != nil {
			if c, err := from.DialContext(ctx, "tcp", addr); err == nil {
				return c, nil
			}
		}
	}
	return dialer.DialContext(ctx, "tcp", addr)
}

// warn logs what strangers did, once a second at most: a flood must not fill the disk.
func (d *Door) warn(what string, about ...any) {
	now := time.Now().Unix()
	if was := d.said.Load(); was == now || !d.said.CompareAndSwap(was, now) {
		return
	}
	d.cfg.Log.Warn(what, about...)
}

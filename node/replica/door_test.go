package replica

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// serve answers each line with the server's name before it.
func serve(ln net.Listener, name string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for s := bufio.NewScanner(c); s.Scan(); {
				fmt.Fprintf(c, "%s: %s\n", name, s.Text())
			}
		}()
	}
}

// A talk is a client's connection.
type talk struct {
	net.Conn
	r *bufio.Reader
}

func call(t *testing.T, addr string) *talk {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return &talk{c, bufio.NewReader(c)}
}

func (c *talk) says(what string) (string, error) {
	if _, err := io.WriteString(c, what+"\n"); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	return strings.TrimSpace(line), err
}

func (c *talk) wants(t *testing.T, what, want string) {
	t.Helper()
	if got, err := c.says(what); err != nil || got != want {
		t.Fatalf("%q is answered by %q, %v; want %q", what, got, err, want)
	}
}

// cut wants that the connection ends.
func (c *talk) cut(t *testing.T) {
	t.Helper()
	if _, err := c.r.ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Fatalf("the connection was not cut: %v", err)
	}
}

// A door serves its own process, or passes on to the owner of the moment; who was passed on to one that is the owner no more is cut.
func TestDoor(t *testing.T) {
	one, two := listen(t), listen(t)
	go serve(one, "one")
	go serve(two, "two")
	d := NewDoor(listen(t), slog.New(slog.DiscardHandler))
	go d.Run()
	addr := d.Addr().String()

	call(t, addr).cut(t) // nobody is known

	d.Pass(one.Addr().String())
	a := call(t, addr)
	a.wants(t, "hello", "one: hello")
	d.Pass(one.Addr().String()) // again: nothing changes
	a.wants(t, "still", "one: still")

	d.Pass(two.Addr().String())
	a.cut(t)
	b := call(t, addr)
	b.wants(t, "hello", "two: hello")

	in := d.Inside()
	go serve(in, "own")
	b.cut(t)
	c := call(t, addr)
	c.wants(t, "hello", "own: hello")
	d.Pass(one.Addr().String()) // an old word of the store changes nothing while this process is the owner
	call(t, addr).wants(t, "hello", "own: hello")

	in.Close()
	c.wants(t, "on", "own: on") // its server's affair
	e := call(t, addr)
	e.wants(t, "hello", "one: hello")

	d.Close()
	e.cut(t)
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the port of a closed door still answers")
	}
}

// An owner that is gone costs its callers a connection each, and the door nothing.
func TestDoorToNobody(t *testing.T) {
	gone := listen(t)
	gone.Close()
	d := NewDoor(listen(t), slog.New(slog.DiscardHandler))
	go d.Run()
	t.Cleanup(func() { d.Close() })
	d.Pass(gone.Addr().String())
	for range 3 {
		call(t, d.Addr().String()).cut(t)
	}
}

package door

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// certificate is a server's own.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// behind is a TLS server that says its word to whoever comes, then repeats what it hears; it notes where callers come from.
func behind(t testing.TB, word string) (addr string, callers func() []string) {
	t.Helper()
	ln := listen(t)
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	var mu sync.Mutex
	var from []string
	go func() {
		for {
			raw, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			from = append(from, Place(raw.RemoteAddr()))
			mu.Unlock()
			go func() {
				defer raw.Close()
				c := tls.Server(raw, config)
				io.WriteString(c, word) //nolint:errcheck
				io.Copy(c, c)           //nolint:errcheck
				c.CloseWrite()          //nolint:errcheck
			}()
		}
	}()
	return ln.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), from...)
	}
}

func serve(t testing.TB, cfg Config) (*Door, string) {
	t.Helper()
	d, ln := New(cfg), listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d, ln.Addr().String()
}

// ask dials a door for a name and gives what the other end says in the end, to what was said to it.
func ask(addr, name, say string) (string, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}})
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck
	if _, err := io.WriteString(c, say); err != nil {
		return "", err
	}
	if err := c.CloseWrite(); err != nil {
		return "", err
	}
	raw, err := io.ReadAll(c)
	return string(raw), err
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: does not happen", what)
		}
	}
}

// names routes to targets by server name.
func names(table map[string]Target) func(Call) (Target, error) {
	return func(c Call) (Target, error) {
		to, ok := table[c.Name]
		if !ok {
			return to, ErrUnknown
		}
		return to, nil
	}
}

func TestRoutesByName(t *testing.T) {
	a, _ := behind(t, "A:")
	b, _ := behind(t, "B:")
	gone := listen(t)
	gone.Close()
	rooms := NewRoom(4)
	d, addr := serve(t, Config{Names: true, Route: names(map[string]Target{
		"a.ostraka-link": {Addr: a, Room: rooms}, "b.ostraka-link": {Addr: b}, "c.ostraka-link": {Addr: gone.Addr().String()},
	})})
	long := strings.Repeat("0123456789abcdef", 1<<16) // a megabyte, both ways
	for name, want := range map[string]string{"a.ostraka-link": "A:", "b.ostraka-link": "B:"} {
		if got, err := ask(addr, name, long); err != nil || got != want+long {
			t.Errorf("%s: %d bytes, %.12q, %v", name, len(got), got, err)
		}
	}
	if _, err := ask(addr, "x.ostraka-link", ""); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name that nobody has: %v", err)
	}
	if _, err := ask(addr, "c.ostraka-link", ""); err == nil {
		t.Error("who does not run answers")
	}
	until(t, "all are counted", func() bool { return d.Stats() == Stats{Accepted: 4, Passed: 2, Unknown: 1, Failed: 1} })
	until(t, "all places are free", func() bool { return rooms.Stats().Held == 0 && rooms.Stats().Bytes > 2<<20 })
}

// TestWithoutNames: a door of one target says and reads nothing of its own.
func TestWithoutNames(t *testing.T) {
	ln := listen(t)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			io.WriteString(c, "first") //nolint:errcheck // a protocol in which the server speaks first
			c.Close()
		}
	}()
	_, addr := serve(t, Config{Route: func(Call) (Target, error) { return Target{Addr: ln.Addr().String()}, nil }})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := io.ReadAll(c); err != nil || string(got) != "first" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestSlowCallers: who says nothing, little by little, or something else is let go in time, and pushes out its own like first.
func TestSlowCallers(t *testing.T) {
	a, _ := behind(t, "A:")
	d, addr := serve(t, Config{Names: true, Pending: 8, Hello: 300 * time.Millisecond, Route: names(map[string]Target{"a": {Addr: a}})})
	var idle []net.Conn
	for range 20 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
		c.Write([]byte{22, 3, 1, 2, 0, 1}) //nolint:errcheck // the beginning of a ClientHello
	}
	other, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	io.WriteString(other, "GET / HTTP/1.1\r\n\r\n") //nolint:errcheck
	for _, c := range append(idle, other) {
		c.SetReadDeadline(time.Now().Add(5 * time.Second)) //nolint:errcheck
		if n, err := io.Copy(io.Discard, c); n != 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	if got, err := ask(addr, "a", ""); err != nil || got != "A:" {
		t.Fatalf("after them: %q, %v", got, err)
	}
	if s := d.Stats(); s.Passed != 1 || s.Unread < 8 {
		t.Fatalf("%+v", s)
	}
}

// TestRoomsStandApart: a flood at one target takes no place of another's, and in its own room pushes out itself.
func TestRoomsStandApart(t *testing.T) {
	a, _ := behind(t, "A:")
	b, _ := behind(t, "B:")
	rooms := [2]*Room{NewRoom(3), NewRoom(3)}
	_, addr := serve(t, Config{Names: true, Route: names(map[string]Target{"a": {a, rooms[0]}, "b": {b, rooms[1]}})})
	config := &tls.Config{ServerName: "a", InsecureSkipVerify: true}
	for range 12 {
		c, err := tls.Dial("tcp", addr, config)
		if err == nil {
			defer c.Close()
		}
	}
	until(t, "the room is full", func() bool { return rooms[0].Stats().Held == 3 && rooms[0].Stats().Pushed == 9 })
	if got, err := ask(addr, "b", ""); err != nil || got != "B:" {
		t.Fatalf("b: %q, %v", got, err)
	}
	rooms[1].Resize(0)
	if _, err := ask(addr, "b", ""); err == nil {
		t.Fatal("a room without places lets in")
	}
}

// TestPushedOut: another address keeps its places.
func TestPushedOut(t *testing.T) {
	r := NewRoom(3)
	conn := func(from string) *fakeConn { return &fakeConn{from: from} }
	quiet := conn("10.0.0.1:1")
	if _, ok := r.enter(quiet); !ok {
		t.Fatal("the first has no place")
	}
	flood := []*fakeConn{}
	for range 9 {
		c := conn("[2001:db8::1:2]:7")
		flood = append(flood, c)
		r.enter(c)
	}
	if quiet.closed {
		t.Fatal("another's flood closed it")
	}
	for i, c := range flood {
		if c.closed != (i < 7) {
			t.Fatalf("flood %d: closed %t", i, c.closed)
		}
	}
}

type fakeConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", c.from)
	return a
}

func (c *fakeConn) Close() error {
	c.closed = true
	return nil
}

// TestSplice: one end's last word is handed on while the other goes on; nothing that moves for idle ends both.
func TestSplice(t *testing.T) {
	pair := func() (x, y net.Conn) {
		ln := listen(t)
		x, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if y, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
		return x, y
	}
	a, left := pair()
	right, b := pair()
	done := make(chan [2]int64, 1)
	go func() {
		up, down := Splice(context.Background(), left, right, time.Minute)
		done <- [2]int64{up, down}
	}()
	io.WriteString(a, "question") //nolint:errcheck
	a.(*net.TCPConn).CloseWrite() //nolint:errcheck
	if got, _ := io.ReadAll(b); string(got) != "question" {
		t.Fatalf("%q", got)
	}
	io.WriteString(b, "an answer") //nolint:errcheck
	b.Close()
	if got, _ := io.ReadAll(a); string(got) != "an answer" {
		t.Fatalf("%q", got)
	}
	if sums := <-done; sums != [2]int64{8, 9} {
		t.Fatalf("%v", sums)
	}
	// What moves one way alone keeps both; silence ends them.
	a, left = pair()
	right, b = pair()
	began := time.Now()
	go func() { Splice(context.Background(), left, right, 200*time.Millisecond); done <- [2]int64{} }()
	for range 6 {
		time.Sleep(100 * time.Millisecond)
		if _, err := a.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if <-done; time.Since(began) < 600*time.Millisecond {
		t.Fatal("it ended while something moved")
	}
	if n, _ := io.Copy(io.Discard, b); n != 6 {
		t.Fatalf("%d bytes", n)
	}
	// The end of the caller's patience ends both.
	_, left = pair()
	right, _ = pair()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { Splice(ctx, left, right, -1); done <- [2]int64{} }()
	cancel()
	<-done
}

// TestSource: callers from different places have different addresses behind the door, where the system has them.
func TestSource(t *testing.T) {
	of := Loopback([]byte("salt"))
	one, two := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1}
	again := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 2}
	if of(one).String() == of(two).String() || of(one).String() != of(again).String() || Loopback([]byte("other"))(one).String() == of(one).String() {
		t.Fatalf("%v %v %v", of(one), of(two), of(again))
	}
	a, callers := behind(t, "A:")
	_, addr := serve(t, Config{Source: of, Route: func(Call) (Target, error) { return Target{Addr: a}, nil }})
	if _, err := ask(addr, "x", ""); err != nil {
		t.Fatal(err)
	}
	want := of(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}).(*net.TCPAddr).IP.String() + "/32"
	if got := callers(); got[0] != want && got[0] != "127.0.0.1/32" {
		t.Fatalf("%v, want %s", got, want)
	}
	// A system without such addresses dials from any.
	_, addr = serve(t, Config{Source: func(net.Addr) net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7)} }, Route: func(Call) (Target, error) { return Target{Addr: a}, nil }})
	if got, err := ask(addr, "x", ""); err != nil || got != "A:" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestNames(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	const want = "83a1d95ee0d25bc9bc9adf70b4adc9e8.ostraka-link" // fixed for ever: a caller of any release asks for it
	if got := Name(key, Link); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	who, door, ok := CutName(Name(key, People))
	if !ok || door != People || Name(key, Link) != who+"."+Link {
		t.Errorf("%q %q %t", who, door, ok)
	}
	for _, bad := range []string{"", Link, "." + Link, strings.ToUpper(who) + "." + Link, who[2:] + "." + Link, who + ".example", who + "." + Link + ".", who} {
		if _, _, ok := CutName(bad); ok {
			t.Errorf("%q is taken for a name", bad)
		}
	}
}

// hello is what a dialler says first.
func hello(t testing.TB, name string) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer b.Close()
	go tls.Client(a, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake() //nolint:errcheck
	raw := make([]byte, maxHello)
	n, err := b.Read(raw)
	if err != nil {
		t.Fatal(err)
	}
	return raw[:n]
}

// FuzzReadHello: whatever is said, what is handed on is what was read, bounded, and nothing is answered.
func FuzzReadHello(f *testing.F) {
	f.Add(hello(f, "a.ostraka-link"))
	f.Add([]byte{22, 3, 1, 0x40, 0})
	f.Add(bytes.Repeat([]byte{22, 3, 1, 0x3f, 0xff, 1, 0xff, 0xff}, 4096))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &said{Reader: bytes.NewReader(raw)}
		name, got, err := ReadHello(c, time.Now().Add(time.Second))
		if len(got) > maxHello || !bytes.HasPrefix(raw, got) {
			t.Fatalf("%d bytes were read of %d", len(got), len(raw))
		}
		if err != nil && name != "" || c.wrote {
			t.Fatalf("name %q beside %v, answered: %t", name, err, c.wrote)
		}
	})
}

type said struct {
	net.Conn
	*bytes.Reader
	wrote bool
}

func (s *said) Read(b []byte) (int, error)       { return s.Reader.Read(b) }
func (s *said) Write(b []byte) (int, error)      { s.wrote = true; return len(b), nil }
func (s *said) WriteTo(io.Writer) (int64, error) { panic("not asked for") }
func (s *said) SetReadDeadline(time.Time) error  { return nil }
func (s *said) Close() error                     { s.wrote = true; return nil }

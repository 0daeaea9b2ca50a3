package link

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// certificate makes a self-signed certificate; change spoils the template.
func certificate(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "someone"}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// ill is one way to spoil a TLS configuration, and what the honest side then says.
type ill struct {
	change func(*tls.Config)
	says   string
}

func ills(t *testing.T) map[string]ill {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	double := certificate(t, keyOf("b"), nil)
	double.Certificate = append(double.Certificate, double.Certificate[0])
	stolen := certificate(t, keyOf("b"), nil)
	stolen.PrivateKey = keyOf("thief")
	return map[string]ill{
		"TLS 1.2":                     {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, "TLS 1.3 with X25519MLKEM768"},
		"X25519 without ML-KEM":       {func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256} }, "TLS 1.3 with X25519MLKEM768"},
		"another hybrid":              {func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.SecP256r1MLKEM768} }, "TLS 1.3 with X25519MLKEM768"},
		"RSA certificate":             {func(c *tls.Config) { c.Certificates = []tls.Certificate{certificate(t, rsaKey, nil)} }, "not Ed25519"},
		"ECDSA certificate":           {func(c *tls.Config) { c.Certificates = []tls.Certificate{certificate(t, p256, nil)} }, "not Ed25519"},
		"two certificates":            {func(c *tls.Config) { c.Certificates = []tls.Certificate{double} }, "2 certificates"},
		"no h2":                       {func(c *tls.Config) { c.NextProtos = nil }, "not h2"},
		"certificate without its key": {func(c *tls.Config) { c.Certificates = []tls.Certificate{stolen} }, "sign"},
	}
}

func honestTLS(t testing.TB, key crypto.Signer) *tls.Config {
	c := baseTLS(certificate(t, key, nil))
	c.InsecureSkipVerify = true
	return c
}

func TestServerRefusesHandshakes(t *testing.T) {
	cases := ills(t)
	cases["no certificate"] = ill{func(c *tls.Config) { c.Certificates = nil }, "certificate"}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := start(t, "a", peersOf(guest("b")))
			config := honestTLS(t, keyOf("b"))
			c.change(config)
			conn, err := tls.Dial("tcp", a.Addr(), config)
			if err == nil {
				// In TLS 1.3 the client is done before the server has judged its certificate.
				_, err = conn.Read(make([]byte, 1))
				conn.Close()
			}
			if err == nil {
				t.Error("the connection stands")
			}
			eventually(t, "it is counted", func() bool { return a.Stats().HandshakeFailures > 0 })
			eventually(t, "it is logged", func() bool { return strings.Contains(a.log.String(), c.says) })
		})
	}
}

func TestClientRefusesHandshakes(t *testing.T) {
	for name, c := range ills(t) {
		t.Run(name, func(t *testing.T) {
			config := honestTLS(t, keyOf("b"))
			config.ClientAuth = tls.RequireAnyClientCert
			c.change(config)
			ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					conn.(*tls.Conn).Handshake()
					conn.Close()
				}
			}()
			a := start(t, "a", peersOf(Peer{Key: publicOf("b"), Addr: ln.Addr().String()}))
			eventually(t, "Status says why", func() bool { return a.about("b").LastError != "" })
			wantContains(t, a.about("b").LastError, c.says)
		})
	}
}

// Nothing in the certificate counts but the key.
func TestOddCertificatesWithTheRightKey(t *testing.T) {
	for name, change := range map[string]func(*x509.Certificate){
		"expired": func(c *x509.Certificate) { c.NotAfter = time.Unix(1, 0) },
		"not yet": func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		},
		"other name": func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "bank.example", []string{"bank.example"} },
		"a CA": func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		},
	} {
		a := start(t, "a", peersOf(guest("b")))
		s, err := rawStream(t, a, certificate(t, keyOf("b"), change))
		if err == nil {
			_, err = s.greet(sampleHello())
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		eventually(t, name+" is connected", func() bool { return a.about("b").Connected })
	}
}

func TestOwnKeyElsewhere(t *testing.T) {
	a := start(t, "a")
	conn, err := tls.Dial("tcp", a.Addr(), honestTLS(t, keyOf("a")))
	if err == nil {
		defer conn.Close()
	}
	eventually(t, "a notices its own key", func() bool { return a.Stats().OwnIdentity == 1 })
	eventually(t, "a says so", func() bool { return strings.Contains(a.log.String(), "own identity key") })
}

// raw is an authenticated peer that sends what it likes.
type raw struct {
	wire  *connect.BidiStreamForClient[wrapperspb.BytesValue, wrapperspb.BytesValue]
	close func() error
}

func rawStream(t testing.TB, to *node, cert tls.Certificate) (*raw, error) {
	t.Helper()
	conn, err := dial(context.Background(), cert, to.Addr(), publicOf(to.name), fast())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.NetConn().Close() })
	client := connect.NewClient[wrapperspb.BytesValue, wrapperspb.BytesValue](
		&http.Client{Transport: transportOver(conn, fast())}, "https://"+serverName+streamPath)
	return &raw{client.CallBidiStream(context.Background()), conn.NetConn().Close}, nil
}

// greet opens the stream as an honest node would.
func (r *raw) greet(h hello) (hello, error) {
	if err := put(r.wire, h.encode()); err != nil {
		return hello{}, err
	}
	b, err := receive(r.wire)
	if err != nil {
		return hello{}, err
	}
	if err := put(r.wire, []byte{kindReady}); err != nil {
		return hello{}, err
	}
	answer, err := decodeHello(b, version)
	if err != nil {
		return hello{}, err
	}
	return answer, receiveReady(r.wire)
}

// ended returns what the peer says in the end.
func (r *raw) ended() error {
	for {
		if _, err := receive(r.wire); err != nil {
			return err
		}
	}
}

// Each malformed message ends its own stream with a reason, is counted, and leaves the other pair alone.
func TestMalformedMessages(t *testing.T) {
	a := start(t, "a")
	c := start(t, "c", peersOf(a.peer()))
	a.SetPeers([]Peer{guest("b"), guest("c")})
	connected(t, a, c)
	cert := certificate(t, keyOf("b"), nil)
	enc := func(m message) []byte { return m.append(nil) }
	start := func(seq uint64, total uint32, data []byte) []byte {
		return enc(message{kind: kindFrame, seq: seq, total: total, data: data})
	}
	full := make([]byte, maxChunk)
	base := uint64(7) // of sampleHello
	pings := []byte{kindPing, 0, 0, 0, 0, 0, 0, 0, 1}
	for name, k := range map[string]struct {
		send [][]byte
		says string
	}{
		"empty":             {[][]byte{{}}, "0 bytes"},
		"unknown kind":      {[][]byte{{99}}, "kind 99"},
		"second hello":      {[][]byte{sampleHello().encode()}, "kind 1"},
		"second ready":      {[][]byte{{kindReady}}, "ready inside"},
		"long ready":        {[][]byte{{kindReady, 0}}, "kind 2 with 2 bytes"},
		"short frame":       {[][]byte{{kindFrame, 0, 0}}, "kind 3 with 3 bytes"},
		"short ack":         {[][]byte{{kindAck, 0}}, "kind 5 with 2 bytes"},
		"long ping":         {[][]byte{append(pings, 0)}, "kind 6 with 10 bytes"},
		"long pong":         {[][]byte{make18(kindPong)}, "kind 7 with 18 bytes"},
		"unasked pong":      {[][]byte{enc(message{kind: kindPong, nonce: 99})}, "without a ping"},
		"ack of the unsent": {[][]byte{enc(message{kind: kindAck, ack: 1 << 60})}, "frame 1152921504606846976 acknowledged"},
		"frame acks unsent": {[][]byte{enc(message{kind: kindFrame, seq: base, ack: 1 << 60})}, "acknowledged"},
		"4 GiB claimed":     {[][]byte{start(base, 1<<32-1, full)}, "claims 4294967295"},
		"chunk too long":    {[][]byte{start(base, 3, []byte("four"))}, "where 3 belong"},
		"chunk outside":     {[][]byte{{kindMore, 1}}, "outside any frame"},
		"frame in frame":    {[][]byte{start(base, maxChunk+1, full), start(base+1, 0, nil)}, "inside"},
		"gap at first":      {[][]byte{start(base+1, 0, nil)}, "after frame"},
		"gap later":         {[][]byte{start(base, 0, nil), start(base+2, 0, nil)}, "after frame"},
		"message too long":  {[][]byte{make([]byte, maxMessage+100)}, "read message"},
		"message of 65537":  {[][]byte{append([]byte{kindMore}, make([]byte, maxMessage)...)}, "65537 bytes"},
	} {
		before := a.about("b").Faults
		s, err := rawStream(t, a, cert)
		if err != nil {
			t.Fatal(err)
		}
		h := sampleHello()
		rand.Read(h.born[:]) // each time as if restarted
		if _, err := s.greet(h); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, b := range k.send {
			put(s.wire, b)
		}
		wantContains(t, s.ended().Error(), k.says)
		eventually(t, name+" is counted", func() bool { return a.about("b").Faults == before+1 && !a.about("b").Connected })
		wantContains(t, a.about("b").LastError, k.says)
		s.close()
		eventually(t, "its place is free", func() bool { return a.connectionsOf("b") == 0 })
	}
	a.send(t, "c", "undisturbed")
	wantFrames(t, c, "a", []string{"undisturbed"})
	if s := a.about("c"); s.Connects != 1 || s.Faults != 0 {
		t.Errorf("the honest pair was disturbed: %+v", s)
	}
	// The same identity, honest again, is taken back.
	b := startNode(t, "b", a)
	connected(t, a, b)
}

func (n *node) connectionsOf(name string) int {
	n.door.mu.Lock()
	defer n.door.mu.Unlock()
	return len(n.door.peers[identity(publicOf(name))])
}

func startNode(t *testing.T, name string, to *node) *node { return start(t, name, peersOf(to.peer())) }

func make18(kind byte) []byte { return append([]byte{kind}, make([]byte, 17)...) }

func TestMalformedHellos(t *testing.T) {
	a := start(t, "a", peersOf(guest("b")))
	cert := certificate(t, keyOf("b"), nil)
	change := func(f func(*hello)) []byte { h := sampleHello(); f(&h); return h.encode() }
	for name, k := range map[string]struct {
		first, second []byte
		says          string
	}{
		"a frame first":            {message{kind: kindFrame, seq: 1}.append(nil), nil, "not a hello"},
		"version 9":                {change(func(h *hello) { h.version = 9 }), nil, "link version 9"},
		"no ready":                 {sampleHello().encode(), []byte{kindPing, 0, 0, 0, 0, 0, 0, 0, 0}, "no ready"},
		"heard what we never sent": {change(func(h *hello) { h.known, h.received = a.born, 5 }), []byte{kindReady}, "frame 5 acknowledged, 0 were sent"},
	} {
		s, err := rawStream(t, a, cert)
		if err != nil {
			t.Fatal(err)
		}
		put(s.wire, k.first)
		if k.second != nil {
			put(s.wire, k.second)
		}
		wantContains(t, s.ended().Error(), k.says)
		if a.about("b").Connected {
			t.Errorf("%s: connected", name)
		}
		s.close()
		eventually(t, "its place is free", func() bool { return a.connectionsOf("b") == 0 })
	}
}

// Too many unread answers: the peer asks without reading, and does not make us remember.
func TestPingFlood(t *testing.T) {
	a := start(t, "a", peersOf(guest("b")))
	p := a.pairOf(publicOf("b"))
	s := newStream(p, nil, nopCloser{}, false, sampleHello())
	for i := range maxPongs + 1 {
		err := s.handle(message{kind: kindPing, nonce: uint64(i)})
		if (err != nil) != (i == maxPongs) {
			t.Errorf("ping %d: %v", i, err)
		}
	}
}

// One connection carries one stream; other paths, methods and encodings lead nowhere.
func TestOnlyTwoProcedures(t *testing.T) {
	a := start(t, "a", peersOf(guest("b")))
	conn, err := dial(context.Background(), certificate(t, keyOf("b"), nil), a.Addr(), publicOf("a"), fast())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := &http.Client{Transport: transportOver(conn, fast())}
	for _, c := range []struct {
		method, path, kind string
		status             int
	}{
		{"GET", streamPath, "application/connect+proto", 405},
		{"POST", "/", "application/proto", 404},
		{"POST", streamPath, "application/grpc", 404},
		{"POST", streamPath, "application/connect+json", 404},
		{"POST", knockPath, "application/json", 404},
		{"POST", knockPath, "application/proto; charset=utf-8", 404},
	} {
		r, _ := http.NewRequest(c.method, "https://"+serverName+c.path, strings.NewReader("x"))
		r.Header.Set("Content-Type", c.kind)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.status {
			t.Errorf("%s %s %s: %d, want %d", c.method, c.path, c.kind, answer.StatusCode, c.status)
		}
	}
	streams := connect.NewClient[wrapperspb.BytesValue, wrapperspb.BytesValue](client, "https://"+serverName+streamPath)
	first, second := &raw{wire: streams.CallBidiStream(context.Background())}, &raw{wire: streams.CallBidiStream(context.Background())}
	if _, err := first.greet(sampleHello()); err != nil {
		t.Fatal(err)
	}
	if _, err := second.greet(sampleHello()); err == nil || !strings.Contains(err.Error(), "one stream") {
		t.Errorf("a second stream: %v", err)
	}
}

// A flood of connections that never authenticate: places and memory stay bounded, a ping-pong between honest
// nodes goes on over its stream, and a new honest node still gets in.
func TestFlood(t *testing.T) {
	var a, b *node
	a = start(t, "a")
	b = start(t, "b", configured(func(c *Config) {
		c.Peers = []Peer{a.peer()}
		c.Receive = func(from ed25519.PublicKey, frame []byte) { b.Send(from, frame) }
	}))
	a.SetPeers([]Peer{guest("b"), guest("c")})
	connected(t, a, b)
	held := a.about("b").Connects
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()

	const connections, workers = 3000, 20
	garbage := make([]byte, 4096)
	rand.Read(garbage)
	var flood sync.WaitGroup
	var most, goroutines int
	for w := range workers {
		flood.Go(func() {
			var open []net.Conn
			for i := range connections / workers {
				conn, err := net.Dial("tcp", a.Addr())
				if err != nil {
					t.Error(err)
					return
				}
				switch i % 4 {
				case 0: // silent
				case 1: // garbage
					conn.Write(garbage)
				case 2: // the first bytes of a ClientHello that claims 64 KiB
					conn.Write([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff})
				case 3: // HTTP/2 without TLS
					conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
				}
				if open = append(open, conn); len(open) > 20 {
					open[0].Close()
					open = open[1:]
				}
				if w == 0 {
					most, goroutines = max(most, a.Stats().Pending), max(goroutines, runtime.NumGoroutine())
				}
			}
			for _, conn := range open {
				conn.Close()
			}
		})
	}
	for i := range 200 {
		a.send(t, "b", string(rune('A'+i%26)))
		eventually(t, "the pong comes", func() bool { return len(a.from("b")) == i+1 })
	}
	c := start(t, "c", peersOf(a.peer()))
	connected(t, a, c)
	flood.Wait()

	if most > maxPending {
		t.Errorf("%d connections were pending, the limit is %d", most, maxPending)
	}
	if goroutines > 1000 {
		t.Errorf("%d goroutines", goroutines)
	}
	s := a.Stats()
	if s.Accepted < connections/2 || s.HandshakeFailures == 0 {
		t.Errorf("the flood did not arrive: %+v", s)
	}
	if after := heap(); after > before+32<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if st := a.about("b"); st.Connects != held || st.Faults != 0 {
		t.Errorf("the honest stream was disturbed: %+v", st)
	}
	if n := strings.Count(a.log.String(), "level=WARN"); n > connections/10 {
		t.Errorf("%d warnings for %d connections", n, connections)
	}
}

// Slow handshakes, silent strangers and peers that never greet are closed.
func TestSlowConnectionsEnd(t *testing.T) {
	a := start(t, "a", peersOf(guest("b")), timed(func(w *timing) {
		w.handshake, w.hello, w.stranger = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	}))
	slow, err := net.Dial("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	go func() { // one byte at a time, for ever
		for _, b := range append([]byte{22, 3, 1, 0x20, 0}, make([]byte, 0x2000)...) {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	stranger, err := tls.Dial("tcp", a.Addr(), honestTLS(t, keyOf("stranger")))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	for _, conn := range []net.Conn{slow, stranger} {
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err := io.Copy(io.Discard, conn)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Error("the connection was left open")
		}
	}
	s, err := rawStream(t, a, certificate(t, keyOf("b"), nil))
	if err != nil {
		t.Fatal(err)
	}
	go func() { s.wire.Send(nil) }() // headers only
	if err := s.ended(); err == nil {
		t.Error("a stream without hello was left open")
	}
	eventually(t, "all places are free", func() bool {
		a.door.mu.Lock()
		defer a.door.mu.Unlock()
		return len(a.door.pending.list)+len(a.door.strangers.list) == 0
	})
}

// Strangers have few places, and a flood from one address pushes out itself.
func TestCrowd(t *testing.T) {
	at := func(remote string) *inbound { return &inbound{remote: remote} }
	c := crowd{max: 4}
	lone, old, mid, young := at("192.0.2.1:1"), at("192.0.2.9:1"), at("192.0.2.9:2"), at("192.0.2.9:3")
	for _, in := range []*inbound{lone, old, mid, young} {
		if c.add(in) != nil {
			t.Fatal("pushed out too early")
		}
	}
	if out := c.add(at("192.0.2.7:1")); out != old {
		t.Errorf("%v went, want the oldest of the address with the most", out.remote)
	}
	if out := c.add(at("192.0.2.8:1")); out != mid {
		t.Errorf("%v went, want the oldest of the address with the most", out.remote)
	}
	if out := c.add(at("192.0.2.6:1")); out != lone {
		t.Errorf("%v went, want the oldest", out.remote)
	}
	if len(c.list) != 4 {
		t.Errorf("%d in a crowd of 4", len(c.list))
	}
	for remote, want := range map[string]string{
		"192.0.2.1:77": "192.0.2.1/32", "[2001:db8::1:2:3:4]:5": "2001:db8::/64", "[::ffff:192.0.2.1]:7": "192.0.2.1/32", "odd": "odd",
	} {
		if got := addressOf(remote); got != want {
			t.Errorf("addressOf(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestPlacesPerPeer(t *testing.T) {
	a := start(t, "a", peersOf(guest("b"), guest("c")))
	for range maxPerPeer + 3 {
		conn, err := tls.Dial("tcp", a.Addr(), honestTLS(t, keyOf("b")))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "the rest is refused", func() bool { return a.Stats().HandshakeFailures == 3 })
	if n := a.connectionsOf("b"); n != maxPerPeer {
		t.Errorf("%d connections of one identity", n)
	}
	c := startNode(t, "c", a)
	connected(t, a, c)
}

func TestKnock(t *testing.T) {
	a := start(t, "a", configured(func(c *Config) {
		c.Knock = func(_ context.Context, remote string, from ed25519.PublicKey, body []byte) ([]byte, error) {
			switch {
			case !strings.HasPrefix(remote, "127.0.0.1:"):
				return nil, errors.New("remote is " + remote)
			case string(body) == "wrong":
				return nil, errors.New("the invitation has expired: ask for a new one")
			case string(body) == "huge":
				return make([]byte, MaxKnock+1), nil
			}
			return append([]byte(Fingerprint(from)+" "), body...), nil
		}
	}))
	ctx := context.Background()
	ask := func(body string) (string, error) {
		answer, err := Knock(ctx, keyOf("stranger"), a.Addr(), publicOf("a"), []byte(body))
		return string(answer), err
	}
	if answer, err := ask("let me in"); err != nil || answer != Fingerprint(publicOf("stranger"))+" let me in" {
		t.Errorf("%q, %v", answer, err)
	}
	big := strings.Repeat("x", MaxKnock-100)
	if answer, err := ask(big); err != nil || !strings.HasSuffix(answer, big) {
		t.Errorf("a big knock: %v", err)
	}
	for body, says := range map[string]string{"wrong": "ask for a new one", "huge": "65537 bytes", strings.Repeat("x", MaxKnock+1): "the limit is 65536"} {
		if _, err := ask(body); err == nil {
			t.Errorf("%.10q: accepted", body)
		} else {
			wantContains(t, err.Error(), says)
		}
	}
	if _, err := Knock(ctx, keyOf("stranger"), a.Addr(), publicOf("other"), nil); err == nil {
		t.Error("another identity answered")
	} else {
		wantContains(t, err.Error(), Fingerprint(publicOf("a")), Fingerprint(publicOf("other")))
	}
	if _, err := Knock(ctx, keyOf("stranger"), a.Addr(), nil, nil); err == nil {
		t.Error("a knock without a pinned key")
	}
	var refused error
	for range knockBurst + 1 {
		if _, err := ask("again"); err != nil {
			refused = err
		}
	}
	if refused == nil {
		t.Errorf("more than %d knocks at once were served", knockBurst)
	} else {
		wantContains(t, refused.Error(), "too many knocks")
	}
	if s := a.Stats(); s.Knocks < 4 || s.KnocksRefused < 3 {
		t.Errorf("%+v", s)
	}
	silent := start(t, "b")
	if _, err := Knock(ctx, keyOf("stranger"), silent.Addr(), publicOf("b"), nil); err == nil || !strings.Contains(err.Error(), "takes no knocks") {
		t.Errorf("a node without Knock: %v", err)
	}
}

func TestKnockAllowance(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	k := &knocker{}
	for i := range knockBurst + 1 {
		if k.allow("one", now) != (i < knockBurst) {
			t.Errorf("knock %d", i)
		}
	}
	if !k.allow("two", now) {
		t.Error("one address used up another's allowance")
	}
	if !k.allow("one", now.Add(knockEvery)) || k.allow("one", now.Add(knockEvery)) {
		t.Error("one knock per interval comes back")
	}
	// Many addresses share one allowance, and the table of addresses stays bounded.
	served := 0
	for i := range 5 * maxKnockers {
		if k.allow(time.Unix(int64(i), 0).String(), now) {
			served++
		}
	}
	if served > knockAllBurst || len(k.each) > maxKnockers {
		t.Errorf("%d served, %d addresses remembered", served, len(k.each))
	}
	if !k.allow("later", now.Add(time.Hour)) || len(k.each) > maxKnockers {
		t.Error("the table is not freed again")
	}
}

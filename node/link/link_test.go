package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestThreeNodesDeliverInOrder(t *testing.T) {
	nodes := mesh(t, "a", "b", "c")
	big := strings.Repeat("whole", MaxFrame/5+1)[:MaxFrame]
	sent := make(map[[2]string][]string)
	for _, from := range nodes {
		for _, to := range nodes {
			if from == to {
				continue
			}
			frames := append(numbered(from.name+to.name, 150), "", big, "after", strings.Repeat("y", maxChunk), strings.Repeat("z", maxChunk+1))
			sent[[2]string{from.name, to.name}] = frames
			for _, f := range frames {
				from.send(t, to.name, f)
			}
		}
	}
	for way, frames := range sent {
		for _, n := range nodes {
			if n.name == way[1] {
				wantFrames(t, n, way[0], frames)
			}
		}
	}
	for _, n := range nodes {
		for _, other := range nodes {
			if n == other {
				continue
			}
			eventually(t, "all is acknowledged both ways", func() bool {
				return n.about(other.name).QueuedFrames+other.about(n.name).QueuedFrames == 0
			})
			s := n.about(other.name)
			if !s.Connected || s.Version != version || s.Peer.Name != other.name || s.Faults != 0 || s.QueuedBytes != 0 {
				t.Errorf("%s about %s: %+v", n.name, other.name, s)
			}
			if s.FramesSent != 155 || s.FramesReceived != 155 {
				t.Errorf("%s about %s: %d frames sent and %d received, want 155", n.name, other.name, s.FramesSent, s.FramesReceived)
			}
		}
	}
}

// One stream is left, and both ends agree which, though both dial at the same moment again and again.
func TestBothDial(t *testing.T) {
	now := timed(func(w *timing) { w.headStart = 0 })
	for range 10 {
		a, b := start(t, "a", now), start(t, "b", now)
		a.SetPeers([]Peer{b.peer()})
		b.SetPeers([]Peer{a.peer()})
		connected(t, a, b)
		eventually(t, "both ends name the same dialler", func() bool {
			x, y := a.about("b"), b.about("a")
			return x.Connected && y.Connected && x.Dialled != y.Dialled
		})
		a.send(t, "b", "ping")
		wantFrames(t, b, "a", []string{"ping"})
		if s := a.about("b"); s.Twin != "" || s.Faults != 0 {
			t.Errorf("%+v", s)
		}
		a.stop()
		b.stop()
	}
}

// Every byte position can be the last: connections break after random amounts, bytes come one by one or late.
func TestResendAcrossCuts(t *testing.T) {
	b := start(t, "b", peersOf(guest("a")))
	p := newProxy(t, b.Addr())
	a := start(t, "a", peersOf(Peer{Key: publicOf("b"), Addr: p.ln.Addr().String(), Name: "b"}))
	random := mathrand.New(mathrand.NewPCG(1, 2))
	there, back := numbered("there", 400), numbered("back", 400)
	for i := range there {
		a.send(t, "b", there[i])
		b.send(t, "a", back[i])
		if i%20 == 0 {
			size := 2000 + random.IntN(60000)
			p.set(func(p *proxy) {
				p.budget = size
				p.piece = []int{0, 7, 1000}[i/20%3]
				p.delay = time.Duration(i/20%3/2) * 100 * time.Microsecond
			})
			eventually(t, "the budget is used up", func() bool {
				a.Send(publicOf("b"), nil) // something always flows
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.budget == 0
			})
		}
	}
	p.set(func(p *proxy) { p.budget, p.piece, p.delay = 0, 0, 0 })
	wantFrames(t, a, "b", back)
	eventually(t, "b has all", func() bool {
		s := a.about("b")
		return s.QueuedFrames == 0 && s.FramesSent == b.about("a").FramesReceived
	})
	var got []string
	for _, f := range b.from("a") {
		if f != "" {
			got = append(got, f)
		}
	}
	if strings.Join(got, "|") != strings.Join(there, "|") {
		t.Error("frames are missing, repeated or out of order")
	}
	if p.cuts < 20 || b.about("a").Connects < 5 {
		t.Errorf("%d cuts, %d connects: the test did not do its work", p.cuts, b.about("a").Connects)
	}
	if f := a.about("b").Faults + b.about("a").Faults; f != 0 {
		t.Errorf("%d faults between honest nodes", f)
	}
}

// A connection that stays open but carries nothing is found dead, and replaced.
func TestSilentConnectionIsReplaced(t *testing.T) {
	soon := timed(func(w *timing) { w.idle, w.probe = 150*time.Millisecond, 300*time.Millisecond })
	b := start(t, "b", peersOf(guest("a")), soon)
	p := newProxy(t, b.Addr())
	a := start(t, "a", peersOf(Peer{Key: publicOf("b"), Addr: p.ln.Addr().String()}), soon)
	connected(t, a, b)
	p.set(func(p *proxy) { p.mute = true })
	a.send(t, "b", "lost at first")
	eventually(t, "a notices", func() bool { return !a.about("b").Connected })
	eventually(t, "b notices", func() bool { return !b.about("a").Connected })
	p.set(func(p *proxy) { p.mute = false })
	wantFrames(t, b, "a", []string{"lost at first"})
}

func TestPeerRestart(t *testing.T) {
	a := start(t, "a")
	b := start(t, "b", peersOf(a.peer()))
	a.SetPeers([]Peer{guest("b")})
	a.send(t, "b", "first life")
	wantFrames(t, b, "a", []string{"first life"})
	eventually(t, "a heard that b has it", func() bool { return a.about("b").QueuedFrames == 0 }) // else it is sent to the second life too, rightly
	b.stop()
	eventually(t, "a notices", func() bool { return !a.about("b").Connected })
	want := numbered("later", 50)
	for _, f := range want {
		a.send(t, "b", f)
	}
	b = start(t, "b", peersOf(a.peer()))
	wantFrames(t, b, "a", want)
	b.send(t, "a", "second life")
	wantFrames(t, a, "b", []string{"second life"})
	if s := a.about("b"); s.Twin != "" {
		t.Errorf("a restart was taken for a twin: %s", s.Twin)
	}
}

// Two processes with one key: the second is refused while the first lives, and both facts are visible.
func TestTwin(t *testing.T) {
	a := start(t, "a")
	first := start(t, "b", peersOf(a.peer()))
	a.SetPeers([]Peer{guest("b")})
	connected(t, a, first)
	second := start(t, "b", peersOf(a.peer()))
	eventually(t, "a names the twin", func() bool { return a.about("b").Twin != "" })
	wantContains(t, a.about("b").Twin, "two processes", Fingerprint(publicOf("b")), first.born.String(), second.born.String())
	eventually(t, "the second is told", func() bool { return strings.Contains(second.about("a").LastError, "two processes") })
	a.send(t, "b", "to the first")
	wantFrames(t, first, "a", []string{"to the first"})
	if s := a.about("b"); s.Connects != 1 || !s.Connected || s.TwinSeen.IsZero() {
		t.Errorf("the first stream was disturbed: %+v", s)
	}
	// The first goes, the second takes over, the first's incarnation cannot come back unseen.
	first.stop()
	connected(t, a, second)
}

func TestIncarnationThatReturnsIsATwin(t *testing.T) {
	a := start(t, "a", peersOf(guest("b")))
	p := a.pairOf(publicOf("b"))
	one, two := Incarnation{1}, Incarnation{2}
	for i, born := range []Incarnation{one, two, one} {
		s := newStream(p, nil, nopCloser{}, false, hello{version: 1, born: born, base: 1, clock: time.Now()})
		if err := p.adopt(s); err != nil {
			t.Fatal(err)
		}
		if err := p.deliver(s, 1, []byte(born.String())); err != nil {
			t.Fatal(err)
		}
		s.end(errSilent)
		if twin := a.about("b").Twin; (twin != "") != (i == 2) {
			t.Errorf("stream %d: twin %q", i, twin)
		}
	}
	// What the first life had said is not delivered again.
	wantFrames(t, a, "b", []string{one.String(), two.String()})
	if r := a.about("b").FramesRepeated; r != 1 {
		t.Errorf("%d repeated frames, want 1", r)
	}
}

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

func TestWrongIdentity(t *testing.T) {
	b := start(t, "b")
	a := start(t, "a", peersOf(Peer{Key: publicOf("other"), Addr: b.Addr(), Name: "other"}))
	eventually(t, "a sees another identity", func() bool { return a.about("other").LastError != "" })
	wantContains(t, a.about("other").LastError, "another identity", "found "+Fingerprint(publicOf("b")), "pinned is "+Fingerprint(publicOf("other")))

	// b does not pin c: c is told so, b counts it.
	c := start(t, "c", peersOf(b.peer()))
	eventually(t, "c is refused", func() bool { return strings.Contains(c.about("b").LastError, "not pinned here") })
	if b.Stats().StreamsRefused == 0 || b.Stats().Strangers == 0 {
		t.Errorf("b counted nothing: %+v", b.Stats())
	}
	wantContains(t, b.log.String(), Fingerprint(publicOf("c")))

	// A peer's address leads back to the node itself.
	d := start(t, "d")
	d.SetPeers([]Peer{{Key: publicOf("e"), Addr: d.Addr(), Name: "e"}})
	eventually(t, "d sees itself", func() bool { return d.about("e").LastError != "" })
	wantContains(t, d.about("e").LastError, "found "+Fingerprint(publicOf("d")))
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		a, b   uint16
		common uint16 // 0: refused
	}{{1, 1, 1}, {1, 2, 1}, {3, 2, 2}, {1, 3, 0}, {4, 2, 0}} {
		a := start(t, "a", speaking(c.a))
		b := start(t, "b", speaking(c.b), peersOf(a.peer()))
		a.SetPeers([]Peer{guest("b")})
		if c.common > 0 {
			connected(t, a, b)
			if x, y := a.about("b").Version, b.about("a").Version; x != c.common || y != c.common {
				t.Errorf("versions %d and %d agreed on %d and %d", c.a, c.b, x, y)
			}
		} else {
			for _, n := range []*node{a, b} {
				other := map[string]string{"a": "b", "b": "a"}[n.name]
				eventually(t, "both are told", func() bool { return strings.Contains(n.about(other).LastError, "link version") })
				wantContains(t, n.about(other).LastError, "must be upgraded")
				if n.about(other).Connected {
					t.Errorf("versions %d and %d are connected", c.a, c.b)
				}
			}
		}
		a.stop()
		b.stop()
	}
}

func TestClockSkew(t *testing.T) {
	later := func() time.Time { return time.Now().Add(5 * time.Minute) }
	a := start(t, "a")
	b := start(t, "b", configured(func(c *Config) { c.Now = later; c.Peers = []Peer{a.peer()} }))
	a.SetPeers([]Peer{guest("b")})
	eventually(t, "round trip known", func() bool { return a.about("b").RoundTrip > 0 && b.about("a").RoundTrip > 0 })
	for _, c := range []struct {
		skew time.Duration
		want time.Duration
	}{{a.about("b").Skew, 5 * time.Minute}, {b.about("a").Skew, -5 * time.Minute}} {
		if off := c.skew - c.want; off.Abs() > time.Minute {
			t.Errorf("skew %v, want about %v", c.skew, c.want)
		}
	}
}

func TestSetPeers(t *testing.T) {
	a, b, c := start(t, "a"), start(t, "b"), start(t, "c")
	a.SetPeers([]Peer{b.peer(), c.peer()})
	b.SetPeers([]Peer{a.peer()})
	c.SetPeers([]Peer{a.peer()})
	connected(t, a, b)
	connected(t, a, c)
	held := c.about("a").Connects

	a.SetPeers([]Peer{c.peer()})
	if err := a.Send(publicOf("b"), []byte("x")); !errors.Is(err, ErrUnknownPeer) {
		t.Errorf("send to a removed peer: %v", err)
	}
	if len(a.Status()) != 1 {
		t.Errorf("%d peers in Status", len(a.Status()))
	}
	eventually(t, "b is told why", func() bool {
		s := b.about("a")
		return !s.Connected && strings.Contains(s.LastError, "not pinned here")
	})
	a.send(t, "c", "still here")
	wantFrames(t, c, "a", []string{"still here"})
	if now := c.about("a").Connects; now != held {
		t.Errorf("removing b made c reconnect: %d streams, then %d", held, now)
	}

	b.send(t, "a", "kept by b")
	a.SetPeers([]Peer{b.peer(), c.peer()})
	wantFrames(t, a, "b", []string{"kept by b"})

	// A peer moves: the new address counts without a new pair.
	b.stop()
	b = start(t, "b", peersOf(guest("a")))
	a.SetPeers([]Peer{b.peer(), c.peer()})
	connected(t, a, b)

	// Entries that New would refuse are left out and logged.
	a.SetPeers([]Peer{c.peer(), {Key: publicOf("a"), Name: "self"}, {Key: []byte{1}, Name: "short"}})
	if len(a.Status()) != 1 {
		t.Errorf("%d peers in Status", len(a.Status()))
	}
	wantContains(t, a.log.String(), "own identity", "1 bytes")
}

// A node may change its pins and answer from inside Receive, even unpin the very sender.
func TestReceiveMayCallBack(t *testing.T) {
	var a *node
	ready := make(chan struct{})
	done := make(chan error, 2)
	a = start(t, "a", configured(func(c *Config) {
		c.Receive = func(from ed25519.PublicKey, frame []byte) {
			<-ready
			done <- a.Send(from, frame)
			if string(frame) == "unpin me" {
				a.SetPeers(nil)
				done <- a.Send(from, frame)
			}
		}
	}))
	b := start(t, "b", peersOf(a.peer()))
	a.SetPeers([]Peer{guest("b")})
	close(ready)
	b.send(t, "a", "unpin me")
	b.send(t, "a", "never seen")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrUnknownPeer) {
		t.Errorf("send after unpinning: %v", err)
	}
	eventually(t, "b is cut", func() bool { return strings.Contains(b.about("a").LastError, "not pinned") })
	if len(done) != 0 {
		t.Error("a frame was delivered after its sender was unpinned")
	}
}

func TestQueueBounds(t *testing.T) {
	hold := make(chan struct{})
	a := start(t, "a", configured(func(c *Config) { c.MaxQueue = 4 << 20 }))
	var b *node
	b = start(t, "b", configured(func(c *Config) {
		c.Peers = []Peer{a.peer()}
		c.Receive = func(from ed25519.PublicKey, frame []byte) { <-hold; b.receive(from, frame) }
	}))
	a.SetPeers([]Peer{guest("b")})
	if err := a.Send(publicOf("nobody"), nil); !errors.Is(err, ErrUnknownPeer) {
		t.Errorf("unknown peer: %v", err)
	}
	if err := a.Send(ed25519.PublicKey{1}, nil); !errors.Is(err, ErrUnknownPeer) {
		t.Errorf("short key: %v", err)
	}
	if err := a.Send(publicOf("b"), make([]byte, MaxFrame+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	// The receiver stands still: nothing is acknowledged, the queue fills, Send says so and does not wait.
	var want []string
	body := make([]byte, 64<<10)
	for {
		err := a.Send(publicOf("b"), body)
		if errors.Is(err, ErrQueueFull) {
			wantContains(t, err.Error(), Fingerprint(publicOf("b")))
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, string(body))
		body[0]++
	}
	if s := a.about("b"); s.QueuedBytes > 4<<20 || s.QueuedFrames != len(want) || len(want) != 63 {
		t.Errorf("queue of %d bytes, %d frames; %d were taken", s.QueuedBytes, s.QueuedFrames, len(want))
	}
	close(hold)
	wantFrames(t, b, "a", want)
	eventually(t, "there is room again", func() bool { return a.Send(publicOf("b"), body) == nil })
}

// A receiver that stands still holds back frames, not the connection: HTTP/2 pings are answered below it.
func TestSlowReceiveKeepsTheConnection(t *testing.T) {
	soon := timed(func(w *timing) { w.idle = 300 * time.Millisecond })
	a := start(t, "a", soon)
	hold := make(chan struct{})
	var b *node
	b = start(t, "b", soon, configured(func(c *Config) {
		c.Peers = []Peer{a.peer()}
		c.Receive = func(from ed25519.PublicKey, frame []byte) { <-hold; b.receive(from, frame) }
	}))
	a.SetPeers([]Peer{guest("b")})
	connected(t, a, b)
	var want []string
	for range 100 { // more than all buffers between the two take
		want = append(want, strings.Repeat("x", 100<<10))
		a.send(t, "b", want[0])
	}
	time.Sleep(3 * 2 * 300 * time.Millisecond) // three times as long as a dead connection would live
	close(hold)
	wantFrames(t, b, "a", want)
	if x, y := a.about("b").Connects, b.about("a").Connects; x != 1 || y != 1 {
		t.Errorf("%d and %d connects, want 1", x, y)
	}
}

// A pinned peer that comes and goes does not fill the log.
func TestLogIsBounded(t *testing.T) {
	a := start(t, "a", peersOf(guest("b")))
	p := a.pairOf(publicOf("b"))
	for i := range 1000 {
		p.fail("disconnected", faultf("reason %d", i))
	}
	if n := strings.Count(a.log.String(), "level=WARN"); n < warnBurst || n > 100 {
		t.Errorf("%d warnings for 1000 faults", n)
	}
	if f := a.about("b").Faults; f != 1000 {
		t.Errorf("%d faults counted", f)
	}
}

func TestShutdown(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		nodes := mesh(t, "a", "b", "c")
		connected(t, nodes[0], nodes[1])
		connected(t, nodes[1], nodes[2])
		want := numbered("last words", 100)
		for _, f := range want {
			nodes[0].send(t, "b", f)
		}
		nodes[0].stop() // lets the queue leave
		wantFrames(t, nodes[1], "a", want)
		if err := nodes[0].Run(context.Background()); err == nil {
			t.Error("a second Run succeeded")
		}
		nodes[0].Close()
		nodes[0].SetPeers([]Peer{nodes[1].peer()})
		nodes[1].stop()
		nodes[2].stop()
	}
	eventually(t, "all goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
}

func TestNewRefuses(t *testing.T) {
	a := start(t, "a")
	receive := func(ed25519.PublicKey, []byte) {}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cfg  Config
		says []string
	}{
		{Config{Key: keyOf("b"), Listen: a.Addr(), Receive: receive}, []string{a.Addr(), "port is taken", "choose another"}},
		{Config{Key: keyOf("b"), Listen: "203.0.113.1:0", Receive: receive}, []string{"203.0.113.1", "this machine"}},
		{Config{Key: keyOf("b"), Listen: "127.0.0.1:0"}, []string{"Receive"}},
		{Config{Listen: "127.0.0.1:0", Receive: receive}, []string{"Key is nil"}},
		{Config{Key: p256, Listen: "127.0.0.1:0", Receive: receive}, []string{"not Ed25519"}},
		{Config{Key: keyOf("b"), Listen: "127.0.0.1:0", Receive: receive, Peers: []Peer{guest("b")}}, []string{"own identity"}},
		{Config{Key: keyOf("b"), Listen: "127.0.0.1:0", Receive: receive, Peers: []Peer{guest("c"), guest("c")}}, []string{"twice"}},
		{Config{Key: keyOf("b"), Listen: "127.0.0.1:0", Receive: receive, Peers: []Peer{{Name: "x"}}}, []string{"0 bytes"}},
	} {
		l, err := New(c.cfg)
		if err == nil {
			l.Close()
			t.Errorf("New accepted what should say %q", c.says)
			continue
		}
		wantContains(t, err.Error(), c.says...)
	}
	// Close frees the port of a Link that never ran.
	l, err := New(Config{Key: keyOf("b"), Listen: "127.0.0.1:0", Receive: receive})
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr()
	l.Close()
	if l, err = New(Config{Key: keyOf("b"), Listen: addr, Receive: receive}); err != nil {
		t.Fatal(err)
	}
	l.Close()
}

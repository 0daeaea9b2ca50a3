package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	streamPath = "/ostraka.link.v1.Link/Stream"
	knockPath  = "/ostraka.link.v1.Link/Knock"

	maxPongs  = 16        // answers owed to the peer
	maxPings  = 16        // answers the peer owes
	ackAtOnce = 256 << 10 // so many unacknowledged bytes do not wait for a frame to ride on
	readMax   = maxMessage + 16
	linger    = time.Second // an ending stream may still say why
	maxReason = 300         // bytes of a peer's error text that are shown
)

// messages is what the two directions of Connect have in common.
type messages interface {
	Send(*wrapperspb.BytesValue) error
	Receive() (*wrapperspb.BytesValue, error)
}

// A stream is one Connect stream of a pair, from its hellos to its end.
type stream struct {
	pair    *pair
	wire    messages
	conn    io.Closer // the connection below, which carries nothing else
	name    [32]byte  // of that connection
	dialled bool      // by this node
	hello   hello     // the peer's

	wake chan struct{} // there is something to write
	done chan struct{} // closed by end
	once sync.Once

	// Of the reader alone.
	assembler assembler

	// Of the writer alone.
	current frame // being sent, offset bytes of it are out
	offset  int
	buffer  []byte

	// Guarded by pair.mu.
	err      error // why it ended; final once done is closed
	adopted  time.Time
	progress bool   // a frame went through, in either direction
	next     uint64 // the next frame to begin
	ackSent  uint64 // the last acknowledgement written
	ackSeen  uint64 // the last one read
	ackSize  int    // bytes handed over since ackSent
	ackDue   time.Time
	pongs    []uint64
	pings    []ping // unanswered, oldest first
	nonce    uint64
}

type ping struct {
	nonce    uint64
	written  time.Time     // zero: not yet
	answered chan struct{} // closed by the pong
}

func newStream(p *pair, wire messages, conn io.Closer, dialled bool, h hello) *stream {
	return &stream{
		pair: p, wire: wire, conn: conn, dialled: dialled, hello: h,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// end closes the connection, once, and frees the place of the standing stream. Not to be called with pair.mu held.
func (s *stream) end(err error) {
	s.finish(err)
	s.conn.Close()
}

// finish ends the stream but leaves the connection for a last word.
func (s *stream) finish(err error) {
	s.once.Do(func() {
		s.pair.mu.Lock()
		if s.pair.standing == s {
			s.pair.standing = nil
			s.pair.since = s.pair.link.cfg.Now().UTC()
		}
		s.err = err
		s.pair.mu.Unlock()
		close(s.done)
	})
}

// wasGood says that the pair may dial again at once.
func (s *stream) wasGood() bool {
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	var f *fault
	if s.adopted.IsZero() || errors.As(s.err, &f) {
		return false
	}
	return s.progress || time.Since(s.adopted) > s.pair.link.wait.settled
}

func (s *stream) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run carries frames until the stream ends, and says why it did.
func (s *stream) run() error {
	s.pair.mu.Lock()
	s.adopted = time.Now()
	s.pair.mu.Unlock()
	s.pair.say(slog.LevelInfo, "connected", "dialled", s.dialled, "incarnation", s.hello.born.String())
	written := make(chan struct{})
	go func() {
		defer close(written)
		if err := s.write(); err != nil {
			s.end(err)
		}
	}()
	s.finish(s.read())
	// The writer may hang in flow control; it must be gone before the stream is given back to Connect.
	select {
	case <-written:
	case <-time.After(linger):
		s.conn.Close()
		<-written
	}
	return s.err
}

// read handles messages until one is wrong or the connection ends.
func (s *stream) read() error {
	for {
		b, err := receive(s.wire)
		if err != nil {
			return err
		}
		m, err := decodeMessage(b)
		if err != nil {
			return err
		}
		if err := s.handle(m); err != nil {
			return err
		}
	}
}

func receive(wire messages) ([]byte, error) {
	m, err := wire.Receive()
	if err != nil {
		return nil, wireError(err)
	}
	if len(m.ProtoReflect().GetUnknown()) != 0 {
		return nil, faultf("decode message: unknown protobuf fields")
	}
	return m.Value, nil
}

// wireError keeps a peer's text short and printable.
func wireError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the peer closed the stream")
	}
	var c *connect.Error
	if !errors.As(err, &c) {
		return err
	}
	text := c.Message()
	if len(text) > maxReason {
		text = text[:maxReason] + "…"
	}
	if connect.IsWireError(err) && c.Code() == connect.CodeAlreadyExists {
		return errDuplicate
	}
	if connect.IsWireError(err) {
		return fmt.Errorf("the peer says: %s", quoteIfOdd(text))
	}
	if c.Code() == connect.CodeResourceExhausted || c.Code() == connect.CodeInvalidArgument {
		return faultf("read message: %s", quoteIfOdd(text))
	}
	return fmt.Errorf("connection lost: %s", quoteIfOdd(text))
}

func quoteIfOdd(s string) string {
	if q := strconv.QuoteToASCII(s); q != `"`+s+`"` {
		return q
	}
	return s
}

func (s *stream) handle(m message) error {
	p := s.pair
	p.mu.Lock()
	p.heardAt = p.link.cfg.Now().UTC()
	var err error
	switch m.kind {
	case kindFrame, kindAck:
		err = s.sawAck(m.ack)
	case kindPing:
		if len(s.pongs) == maxPongs {
			err = faultf("%d pings at once", maxPongs)
			break
		}
		s.pongs = append(s.pongs, m.nonce)
		s.wakeUp()
	case kindPong:
		err = s.sawPong(m)
	case kindReady:
		err = faultf("ready inside the stream")
	}
	p.mu.Unlock()
	if err != nil || (m.kind != kindFrame && m.kind != kindMore) {
		return err
	}
	body, done, err := s.assembler.take(m)
	if err != nil || !done {
		return err
	}
	if err := p.deliver(s, s.assembler.seq, body); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.progress = true
	s.ackSize += len(body)
	if s.ackDue.IsZero() {
		s.ackDue = time.Now().Add(p.link.wait.ackDelay)
	}
	s.wakeUp()
	return nil
}

// sawAck takes an acknowledgement. p.mu is held.
func (s *stream) sawAck(seq uint64) error {
	if seq < s.ackSeen {
		return faultf("acknowledgement %d after %d", seq, s.ackSeen)
	}
	s.ackSeen = seq
	if seq <= s.pair.acked {
		return nil
	}
	s.progress = true
	return s.pair.acknowledge(seq)
}

// sawPong takes round trip and clock from the answer to one of our pings. p.mu is held.
func (s *stream) sawPong(m message) error {
	for i, q := range s.pings {
		if q.nonce != m.nonce || q.written.IsZero() {
			continue
		}
		if !clockInRange(int64(m.clock)) {
			return faultf("pong: the clock says %d ms since 1970", int64(m.clock))
		}
		p := s.pair
		p.rtt = time.Since(q.written)
		p.skew = time.UnixMilli(int64(m.clock)).Sub(p.link.cfg.Now().Add(-p.rtt / 2))
		p.skewOK = true
		close(q.answered)
		s.pings = append(s.pings[:i:i], s.pings[i+1:]...)
		return nil
	}
	return faultf("a pong without a ping")
}

// ask queues a ping; nil when too many are unanswered.
func (s *stream) ask() <-chan struct{} {
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	if len(s.pings) == maxPings {
		return nil
	}
	s.nonce++
	q := ping{nonce: s.nonce, answered: make(chan struct{})}
	s.pings = append(s.pings, q)
	s.wakeUp()
	return q.answered
}

// answers says whether the stream is alive at the other end.
func (s *stream) answers(limit time.Duration) bool {
	answered := s.ask()
	if answered == nil {
		return false
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-answered:
		return true
	case <-s.done:
	case <-timer.C:
	}
	return false
}

// write sends what there is to send until the stream ends.
func (s *stream) write() error {
	pings := time.NewTicker(s.pair.link.wait.ping)
	defer pings.Stop()
	acks := time.NewTimer(0)
	defer acks.Stop()
	s.ask()
	for {
		select {
		case <-s.done:
			return nil
		default:
		}
		m, wait := s.pick()
		if m.kind != 0 {
			if err := s.pair.link.pausing(); err != nil {
				return err
			}
			s.buffer = m.append(s.buffer[:0])
			if err := s.wire.Send(&wrapperspb.BytesValue{Value: s.buffer}); err != nil {
				if errors.Is(err, io.EOF) {
					return nil // Connect's way to say that the reader knows why
				}
				return wireError(err)
			}
			continue
		}
		if wait > 0 {
			acks.Reset(wait)
		}
		select {
		case <-s.done:
			return nil
		case <-s.wake:
		case <-acks.C:
		case <-pings.C:
			s.ask()
		}
	}
}

// pick chooses the next message: answers first, then the frame at hand, then the next one. Kind 0 means nothing now;
// an acknowledgement falls due after wait if that is not 0.
func (s *stream) pick() (m message, wait time.Duration) {
	p := s.pair
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(s.pongs) > 0 {
		m = message{kind: kindPong, nonce: s.pongs[0], clock: uint64(p.link.cfg.Now().UnixMilli())}
		s.pongs = s.pongs[1:]
		return m, 0
	}
	for i := range s.pings {
		if q := &s.pings[i]; q.written.IsZero() {
			q.written = time.Now()
			return message{kind: kindPing, nonce: q.nonce}, 0
		}
	}
	if !s.ackDue.IsZero() {
		if wait = time.Until(s.ackDue); wait <= 0 || s.ackSize >= ackAtOnce {
			return message{kind: kindAck, ack: s.takeAck()}, 0
		}
	}
	if s.offset > 0 {
		return s.chunk(message{kind: kindMore}), 0
	}
	s.next = max(s.next, p.acked+1)
	if s.next > p.last {
		return message{}, wait
	}
	f := &p.queue[s.next-p.acked-1]
	if f.sent {
		p.counters.FramesResent++
	} else {
		p.counters.FramesSent++
		p.counters.BytesSent += uint64(len(f.body))
	}
	f.sent = true
	s.current = *f
	s.next++
	return s.chunk(message{kind: kindFrame, seq: f.seq, ack: s.takeAck(), total: uint32(len(f.body))}), 0
}

// takeAck is the newest acknowledgement for this stream's incarnation. pair.mu is held.
func (s *stream) takeAck() uint64 {
	if h := s.pair.find(s.hello.born); h != nil {
		s.ackSent = h.last
	}
	s.ackDue, s.ackSize = time.Time{}, 0
	return s.ackSent
}

// chunk cuts the next piece off the frame at hand.
func (s *stream) chunk(m message) message {
	end := min(s.offset+maxChunk, len(s.current.body))
	m.data = s.current.body[s.offset:end]
	s.offset = end
	if end == len(s.current.body) {
		s.current, s.offset = frame{}, 0
	}
	return m
}

// dialOnce dials, greets and carries frames until the stream ends. It says whether the stream was a good one.
func (p *pair) dialOnce(addr string) (good bool) {
	p.mu.Lock()
	p.counters.Dials++
	p.attempt++
	attempt := p.attempt
	p.mu.Unlock()
	conn, err := dial(p.ctx, p.link.cert, addr, p.id[:], p.link.wait)
	if err != nil {
		p.dialFailed(err)
		return false
	}
	raw := conn.NetConn()
	defer raw.Close()
	name, err := connectionOf(conn.ConnectionState())
	if err != nil {
		p.dialFailed(fmt.Errorf("%s: %w", addr, err))
		return false
	}
	stop := context.AfterFunc(p.ctx, func() { raw.Close() })
	defer stop()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	transport := transportOver(conn, p.link.wait)
	defer transport.CloseIdleConnections()
	client := connect.NewClient[wrapperspb.BytesValue, wrapperspb.BytesValue](
		&http.Client{Transport: transport}, "https://"+serverName+streamPath, clientOptions()...)
	wire := client.CallBidiStream(ctx)
	s, err := p.greetFirst(wire, raw, name, attempt)
	if err != nil {
		p.dialFailed(fmt.Errorf("%s: %w", addr, err))
		return false
	}
	err = s.run()
	wire.CloseRequest()
	p.fail("disconnected", err)
	return s.wasGood()
}

func (p *pair) dialFailed(err error) {
	p.mu.Lock()
	p.counters.DialFailures++
	p.mu.Unlock()
	p.fail("dial", err)
}

// greetFirst is the dialler's half of spec/link 3.1: hello, the peer's hello, ready, the peer's ready, adopt.
func (p *pair) greetFirst(wire messages, raw net.Conn, name [32]byte, attempt uint64) (*stream, error) {
	timer := time.AfterFunc(p.link.wait.hello+p.link.wait.probe, func() { raw.Close() })
	defer timer.Stop()
	if err := p.put(wire, p.greet(attempt).encode()); err != nil {
		return nil, err
	}
	b, err := receive(wire)
	if err != nil {
		return nil, err
	}
	h, err := decodeHello(b, p.link.version)
	if err != nil {
		return nil, err
	}
	if h.attempt != attempt {
		return nil, faultf("hello: answers dial %d, this is %d", h.attempt, attempt)
	}
	if err := p.put(wire, message{kind: kindReady}.append(nil)); err != nil {
		return nil, err
	}
	if err := receiveReady(wire); err != nil {
		return nil, err
	}
	s := newStream(p, wire, raw, true, h)
	s.name = name
	if err := p.adopt(s); err != nil {
		return nil, err
	}
	return s, nil
}

func receiveReady(wire messages) error {
	b, err := receive(wire)
	if err != nil {
		return err
	}
	if m, err := decodeMessage(b); err != nil || m.kind != kindReady {
		return faultf("hello: no ready after it")
	}
	return nil
}

// put sends one message of a greeting, unless this node must be silent.
func (p *pair) put(wire messages, b []byte) error {
	if err := p.link.pausing(); err != nil {
		return err
	}
	return put(wire, b)
}

// put sends one message. Connect reports a stream that the peer has ended as io.EOF; the next receive says why.
func put(wire messages, b []byte) error {
	if err := wire.Send(&wrapperspb.BytesValue{Value: b}); err != nil && !errors.Is(err, io.EOF) {
		return wireError(err)
	}
	return nil
}

// transportOver is an HTTP/2 client over one connection that stands already.
func transportOver(conn *tls.Conn, wait timing) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	var once sync.Once
	return &http.Transport{
		Protocols: &protocols,
		HTTP2:     http2Config(wait),
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			err := errors.New("the connection is lost")
			once.Do(func() { err = nil })
			if err != nil {
				return nil, err
			}
			return conn, nil
		},
		MaxResponseHeaderBytes: 8 << 10,
		DisableCompression:     true,
	}
}

func clientOptions() []connect.ClientOption {
	return []connect.ClientOption{
		connect.WithReadMaxBytes(readMax),
		connect.WithAcceptCompression("gzip", nil, nil), // no compression: no bombs, no length oracles
	}
}

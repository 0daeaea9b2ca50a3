package link

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	maxKnocking  = 4    // calls of Config.Knock at once
	maxKnockers  = 1024 // addresses whose allowance is remembered
	knockTimeout = 10 * time.Second
	// allowances: so many at once, then one more per interval
	knockBurst, knockEvery       = 8, 2 * time.Second
	knockAllBurst, knockAllEvery = 64, 100 * time.Millisecond
)

// handler serves the two procedures and nothing else: only Connect, only binary protobuf, only POST.
func (l *Link) handler() http.Handler {
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(readMax),
		connect.WithCompression("gzip", nil, nil),
		connect.WithRequireConnectProtocolHeader(),
	}
	stream := connect.NewBidiStreamHandler(streamPath, l.serveStream, options...)
	knocks := &knocker{link: l, running: make(chan struct{}, maxKnocking)}
	knock := connect.NewUnaryHandler(knockPath, knocks.serve, options...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.enter() {
			return
		}
		defer l.tasks.Done()
		kind := r.Header.Get("Content-Type")
		switch {
		case r.Method != http.MethodPost:
			http.Error(w, "POST only", http.StatusMethodNotAllowed)
		case r.URL.Path == streamPath && kind == "application/connect+proto":
			stream.ServeHTTP(w, r)
		case r.URL.Path == knockPath && kind == "application/proto":
			knock.ServeHTTP(w, r)
		default:
			http.Error(w, "not found", http.StatusNotFound)
		}
	})
}

// enter counts a handler as a task of Run, unless the link is closed.
func (l *Link) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.tasks.Add(1)
	return true
}

// serveStream is the answering half of spec/link 3.1: the peer's hello, ours, its ready, adopt, our ready.
func (l *Link) serveStream(ctx context.Context, wire *connect.BidiStream[wrapperspb.BytesValue, wrapperspb.BytesValue]) error {
	in := ctx.Value(inboundKey{}).(*inbound)
	p := l.pairOf(in.id[:])
	switch {
	case p == nil:
		l.stats.streamsRefused.Add(1)
		l.door.warn("stream refused", in, Fingerprint(in.id[:])+" is not pinned here")
		return connect.NewError(connect.CodePermissionDenied, errUnpinned)
	case !in.pinned:
		return connect.NewError(connect.CodeUnavailable, errors.New("the identity was pinned after this connection began: dial again"))
	case in.used.Swap(true):
		return connect.NewError(connect.CodeResourceExhausted, errors.New("a connection carries one stream"))
	}
	s, err := p.greetSecond(wire, in)
	if err == nil {
		err = s.run()
	}
	p.fail("disconnected", fmt.Errorf("from %s: %w", addressOf(in.remote), err))
	if errors.Is(err, errDuplicate) {
		return connect.NewError(connect.CodeAlreadyExists, err)
	}
	return connect.NewError(connect.CodeAborted, err)
}

func (p *pair) greetSecond(wire messages, in *inbound) (*stream, error) {
	timer := time.AfterFunc(p.link.wait.hello, func() { in.Close() })
	defer timer.Stop()
	b, err := receive(wire)
	if err != nil {
		return nil, err
	}
	h, err := decodeHello(b, p.link.version)
	if err != nil {
		return nil, err
	}
	if err := p.put(wire, p.greet(h.attempt).encode()); err != nil {
		return nil, err
	}
	// Only a live process can be ready: a hello may have lain in a buffer while its sender died.
	if err := receiveReady(wire); err != nil {
		return nil, err
	}
	timer.Stop()
	s := newStream(p, wire, in, false, h)
	s.name = in.name
	if err := p.adopt(s); err != nil {
		return nil, err
	}
	if err := p.put(wire, message{kind: kindReady}.append(nil)); err != nil {
		s.end(err)
		return nil, err
	}
	return s, nil
}

// Knock asks a node that need not know us one thing: body and answer have at most 64 KiB. The node at addr must own key.
func Knock(ctx context.Context, signer crypto.Signer, addr string, key ed25519.PublicKey, body []byte) ([]byte, error) {
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("knock at %s: the pinned key has %d bytes, not 32", addr, len(key))
	}
	if len(body) > MaxKnock {
		return nil, fmt.Errorf("knock at %s with %d bytes: the limit is %d", addr, len(body), MaxKnock)
	}
	_, cert, err := selfSigned(signer)
	if err != nil {
		return nil, fmt.Errorf("knock at %s: %w", addr, err)
	}
	wait := defaultTiming()
	conn, err := dial(ctx, cert, addr, key, wait)
	if err != nil {
		return nil, fmt.Errorf("knock: %w", err)
	}
	defer conn.NetConn().Close()
	transport := transportOver(conn, wait)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, wait.stranger)
	defer cancel()
	client := connect.NewClient[wrapperspb.BytesValue, wrapperspb.BytesValue](
		&http.Client{Transport: transport}, "https://"+serverName+knockPath, clientOptions()...)
	answer, err := client.CallUnary(ctx, connect.NewRequest(&wrapperspb.BytesValue{Value: body}))
	if err != nil {
		return nil, fmt.Errorf("knock at %s: %w", addr, wireError(err))
	}
	return answer.Msg.Value, nil
}

// knocker limits what strangers can ask for.
type knocker struct {
	link    *Link
	running chan struct{}

	mu   sync.Mutex
	all  allowance
	each map[string]*allowance
}

func (k *knocker) serve(ctx context.Context, r *connect.Request[wrapperspb.BytesValue]) (*connect.Response[wrapperspb.BytesValue], error) {
	in := ctx.Value(inboundKey{}).(*inbound)
	refuse := func(code connect.Code, reason string) (*connect.Response[wrapperspb.BytesValue], error) {
		k.link.stats.knocksRefused.Add(1)
		k.link.door.warn("knock refused", in, reason)
		return nil, connect.NewError(code, errors.New(reason))
	}
	switch {
	case k.link.cfg.Knock == nil:
		return refuse(connect.CodeUnimplemented, "this node takes no knocks")
	case len(r.Msg.Value) > MaxKnock || len(r.Msg.ProtoReflect().GetUnknown()) != 0:
		return refuse(connect.CodeInvalidArgument, fmt.Sprintf("the request is malformed or larger than %d bytes", MaxKnock))
	case !k.allow(addressOf(in.remote), time.Now()):
		return refuse(connect.CodeResourceExhausted, "too many knocks: try again in a minute")
	}
	select {
	case k.running <- struct{}{}:
		defer func() { <-k.running }()
	default:
		return refuse(connect.CodeResourceExhausted, "too many knocks at once: try again in a minute")
	}
	k.link.stats.knocks.Add(1)
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	answer, err := k.link.cfg.Knock(ctx, in.remote, in.id[:], r.Msg.Value)
	if err == nil && len(answer) > MaxKnock {
		err = fmt.Errorf("the answer has %d bytes, the limit is %d", len(answer), MaxKnock)
	}
	if err != nil {
		return refuse(connect.CodeFailedPrecondition, err.Error())
	}
	return connect.NewResponse(&wrapperspb.BytesValue{Value: answer}), nil
}

// allow takes one from the allowance of the address and one from that of all.
func (k *knocker) allow(addr string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.each) >= maxKnockers {
		for a, left := range k.each {
			if left.fill(now, knockBurst, knockEvery) >= knockBurst {
				delete(k.each, a)
			}
		}
	}
	one := k.each[addr]
	if one == nil {
		if len(k.each) >= maxKnockers {
			return false
		}
		if k.each == nil {
			k.each = make(map[string]*allowance)
		}
		one = new(allowance)
		k.each[addr] = one
	}
	if one.fill(now, knockBurst, knockEvery) < 1 || k.all.fill(now, knockAllBurst, knockAllEvery) < 1 {
		return false
	}
	one.left--
	k.all.left--
	return true
}

// allowance is a token bucket; its zero value is full.
type allowance struct {
	left float64
	at   time.Time
}

func (a *allowance) fill(now time.Time, burst float64, every time.Duration) float64 {
	if a.at.IsZero() {
		a.left = burst
	} else {
		a.left = math.Min(burst, a.left+float64(now.Sub(a.at))/float64(every))
	}
	a.at = now
	return a.left
}

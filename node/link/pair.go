package link

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Why a stream ended, apart from faults and the network's own errors.
var (
	errClosing   = errors.New("this node is shutting down")
	errUnpinned  = errors.New("the identity is not pinned here: no roster in force here has it")
	errReplaced  = errors.New("another stream of the same pair took its place")
	errDuplicate = errors.New("a stream of this pair stands already")
	errSilent    = errors.New("the standing stream did not answer")
	errPaused    = errors.New("this node cannot tell whether another replica of it took over, and is silent until it can")
)

// frame is one unacknowledged frame. Its bytes never change.
type frame struct {
	seq  uint64
	body []byte
	sent bool // at least once, on any stream
}

// frameCost is added to each frame's length in the queue, so that empty frames are not free.
const frameCost = 64

// heard is how far one incarnation of the peer has been heard.
type heard struct {
	born Incarnation
	last uint64 // number of the last frame handed to Receive
}

const maxRetired = 8 // earlier incarnations remembered per peer

// A pair is this node and one peer: the queue, what was heard, and at most one standing stream.
type pair struct {
	link   *Link
	id     identity
	ctx    context.Context // ends with cut
	cancel context.CancelFunc
	poke   chan struct{} // the peer's address changed

	// delivery is held while Receive runs: one frame at a time, whichever stream brought it. Taken before mu.
	delivery sync.Mutex

	mu       sync.Mutex // guards all below, and the fields of streams so marked
	peer     Peer
	cutErr   error   // set by cut, for good
	queue    []frame // acked+1 … last, in order
	queued   int     // bytes with frameCost
	acked    uint64  // all up to here were acknowledged
	last     uint64  // number of the newest frame
	attempt  uint64  // dials so far
	now      heard
	retired  []heard // oldest first
	standing *stream
	handing  *stream // whose frame Receive has
	counters Counters
	since    time.Time
	heardAt  time.Time
	rtt      time.Duration
	skew     time.Duration
	skewOK   bool
	lastErr  string
	errAt    time.Time
	twin     string
	twins    int // times that twin was noted
	twinAt   time.Time
	lines    allowance // of log lines
}

func newPair(l *Link, id identity, peer Peer) *pair {
	p := &pair{link: l, id: id, peer: peer, poke: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *pair) rename(peer Peer) {
	p.mu.Lock()
	changed := p.peer.Addr != peer.Addr
	p.peer = peer
	p.mu.Unlock()
	if changed {
		select {
		case p.poke <- struct{}{}:
		default:
		}
	}
}

func (p *pair) send(body []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cutErr != nil {
		return fmt.Errorf("send to %s: %w", Fingerprint(p.id[:]), ErrUnknownPeer)
	}
	if cost := len(body) + frameCost; p.queued+cost > p.link.cfg.MaxQueue {
		return fmt.Errorf("send %d bytes to %s with %d of %d bytes queued: %w",
			len(body), Fingerprint(p.id[:]), p.queued, p.link.cfg.MaxQueue, ErrQueueFull)
	} else {
		p.queued += cost
	}
	p.last++
	p.queue = append(p.queue, frame{seq: p.last, body: bytes.Clone(body)})
	if p.standing != nil {
		p.standing.wakeUp()
	}
	return nil
}

// acknowledge drops the frames up to seq. p.mu is held.
func (p *pair) acknowledge(seq uint64) error {
	if seq > p.last {
		return faultf("frame %d acknowledged, %d were sent", seq, p.last)
	}
	for p.acked < seq {
		p.queued -= len(p.queue[0].body) + frameCost
		p.queue[0] = frame{}
		p.queue = p.queue[1:]
		p.acked++
	}
	if len(p.queue) == 0 {
		p.queue = nil
	}
	return nil
}

// deliver hands one frame to Receive, unless this incarnation of the peer was heard that far already, or the stream stands no more: what its peer
// has shown counts for that connection alone.
func (p *pair) deliver(s *stream, seq uint64, body []byte) error {
	p.delivery.Lock()
	defer p.delivery.Unlock()
	p.mu.Lock()
	h := p.find(s.hello.born)
	switch {
	case p.cutErr != nil:
		p.mu.Unlock()
		return p.cutErr
	case h == nil || p.standing != s:
		p.mu.Unlock()
		return errReplaced
	case seq <= h.last:
		p.counters.FramesRepeated++
		p.mu.Unlock()
		return nil
	case seq != h.last+1:
		defer p.mu.Unlock()
		return faultf("frame %d after frame %d", seq, h.last)
	}
	p.handing = s
	p.mu.Unlock()
	p.link.cfg.Receive(p.id[:], body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handing = nil
	// The incarnation may have been retired meanwhile: find it again.
	if h := p.find(s.hello.born); h != nil {
		h.last = seq
	}
	p.counters.FramesReceived++
	p.counters.BytesReceived += uint64(len(body))
	return nil
}

// find returns the state of an incarnation, current or retired. p.mu is held.
func (p *pair) find(born Incarnation) *heard {
	if p.now.born == born {
		return &p.now
	}
	for i := range p.retired {
		if p.retired[i].born == born {
			return &p.retired[i]
		}
	}
	return nil
}

// greet makes the hello of a new stream.
func (p *pair) greet(attempt uint64) hello {
	p.mu.Lock()
	defer p.mu.Unlock()
	return hello{
		version: p.link.version, born: p.link.born, attempt: attempt, base: p.acked + 1,
		known: p.now.born, received: p.now.last, clock: p.link.cfg.Now(),
	}
}

// adopt makes s the standing stream, or says why it may not be. Both ends come to the same answer
// (spec/link 4): of one dialler's streams the newest stands, of two diallers' that of the lower key. A standing
// stream that would lose nothing but time must first show that it is alive.
func (p *pair) adopt(s *stream) error {
	for {
		p.mu.Lock()
		if err := cmp.Or(p.cutErr, p.link.pausing()); err != nil {
			p.mu.Unlock()
			return err
		}
		old := p.standing
		if old == nil || p.yields(old, s) {
			twins := p.twins
			err := p.install(s)
			twins = p.twins - twins
			p.mu.Unlock()
			if twins > 0 {
				p.logTwin()
			}
			if err == nil && old != nil {
				old.end(errReplaced)
			}
			return err
		}
		p.mu.Unlock()
		if !old.answers(p.link.wait.probe) {
			old.end(errSilent)
			continue
		}
		if old.hello.born == s.hello.born {
			p.mu.Lock()
			p.counters.Duplicates++
			p.mu.Unlock()
			return errDuplicate
		}
		return p.sawTwin(old.hello.born, s.hello.born)
	}
}

// yields says whether old goes without a question. p.mu is held.
func (p *pair) yields(old, s *stream) bool {
	switch {
	case old.hello.born != s.hello.born:
		return false
	case old.dialled == s.dialled:
		return s.hello.attempt > old.hello.attempt
	}
	weAreLower := bytes.Compare(p.link.self[:], p.id[:]) < 0
	return s.dialled == weAreLower
}

// sawTwin notes that two processes with the peer's identity answered at the same time.
func (p *pair) sawTwin(a, b Incarnation) error {
	p.mu.Lock()
	p.noteTwin(a, b)
	err := errors.New(p.twin)
	p.mu.Unlock()
	p.logTwin()
	return err
}

// noteTwin fills what Status shows. p.mu is held.
func (p *pair) noteTwin(a, b Incarnation) {
	p.twin = fmt.Sprintf("two processes run with the identity %s (incarnations %s and %s): its operator must stop one of them",
		Fingerprint(p.id[:]), a, b)
	p.twinAt = p.link.cfg.Now().UTC()
	p.twins++
}

func (p *pair) logTwin() {
	p.say(slog.LevelError, "twin", "reason", p.status().Twin)
}

// install takes over what the hello says. p.mu is held.
func (p *pair) install(s *stream) error {
	h := s.hello
	if h.known == p.link.born {
		if err := p.acknowledge(max(h.received, p.acked)); err != nil {
			return err
		}
	}
	next := heard{born: h.born}
	if old := p.find(h.born); old != nil {
		next = *old
	}
	// Frames below base are gone: a life of this node that is not ours acknowledged them.
	next.last = max(next.last, h.base-1)
	if p.now.born != h.born {
		if p.find(h.born) != nil {
			// It spoke, another one spoke after it, and now it lives: neither is the other's restart.
			p.noteTwin(p.now.born, h.born)
		}
		if (p.now.born != Incarnation{}) {
			p.retire(p.now, h.born)
		}
	}
	p.now = next
	p.standing, s.next, s.ackSent = s, p.acked+1, p.now.last
	p.counters.Connects++
	p.since = p.link.cfg.Now().UTC()
	p.skew, p.skewOK = h.clock.Sub(p.since), true
	p.lastErr, p.errAt = "", time.Time{}
	return nil
}

// retire remembers an earlier incarnation and forgets the one that is now current again. p.mu is held.
func (p *pair) retire(old heard, current Incarnation) {
	kept := p.retired[:0]
	for _, h := range p.retired {
		if h.born != current {
			kept = append(kept, h)
		}
	}
	kept = append(kept, old)
	if len(kept) > maxRetired {
		kept = append(kept[:0], kept[1:]...)
	}
	p.retired = kept
}

// close takes no frames any more, since the peer is unpinned, and returns the number of the newest.
func (p *pair) close() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cutErr == nil {
		p.cutErr = errUnpinned
	}
	p.queue, p.queued = nil, 0
	p.acked = p.last
	return p.last
}

// cut ends the pair for good.
func (p *pair) cut(reason error) {
	p.mu.Lock()
	if p.cutErr == nil {
		p.cutErr = reason
		p.queue, p.queued = nil, 0
		p.acked = p.last
	}
	s := p.standing
	p.mu.Unlock()
	p.cancel()
	if s != nil {
		s.end(reason)
	}
}

// drained is true when neither side owes the other anything, or nobody is there to owe it to.
func (p *pair) drained() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing == nil || (len(p.queue) == 0 && p.standing.ackSent == p.now.last)
}

// dialLoop dials whenever no stream stands and an address is known, until the pair is cut.
func (p *pair) dialLoop() {
	higher := bytes.Compare(p.link.self[:], p.id[:]) > 0
	for fails := 0; p.ctx.Err() == nil; {
		p.mu.Lock()
		standing, addr := p.standing, p.peer.Addr
		p.mu.Unlock()
		if standing != nil {
			select {
			case <-standing.done:
			case <-p.ctx.Done():
			}
			if standing.wasGood() {
				fails = 0
			}
			continue
		}
		if pause := p.link.paused.Load(); pause != nil {
			select {
			case <-pause.over:
			case <-p.ctx.Done():
			}
			continue
		}
		if addr == "" {
			select {
			case <-p.poke:
			case <-p.ctx.Done():
			}
			continue
		}
		wait := p.backoff(fails)
		if higher {
			wait += p.link.wait.headStart
		}
		if !p.pause(wait) || p.isStanding() {
			continue
		}
		fails++
		if good := p.dialOnce(addr); good {
			fails = 0
		}
	}
}

// backoff is 0 at first, then doubles from backoffMin to backoffMax, each time 50 % to 100 % of that at random.
func (p *pair) backoff(fails int) time.Duration {
	if fails == 0 {
		return 0
	}
	d := p.link.wait.backoffMax
	if shift := fails - 1; shift < 16 {
		d = min(d, p.link.wait.backoffMin<<shift)
	}
	return d/2 + rand.N(d/2+1)
}

// pause is false when it was interrupted by a new address or the end.
func (p *pair) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p.ctx.Err() == nil
	case <-p.poke:
	case <-p.ctx.Done():
	}
	return false
}

func (p *pair) isStanding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing != nil
}

// fail notes why a dial or a stream ended.
func (p *pair) fail(what string, err error) {
	if errors.Is(err, errDuplicate) || errors.Is(err, errReplaced) || p.ctx.Err() != nil {
		p.say(slog.LevelDebug, what, "reason", err.Error())
		return
	}
	var f *fault
	p.mu.Lock()
	if errors.As(err, &f) {
		p.counters.Faults++
	}
	repeated := p.lastErr == err.Error()
	p.lastErr, p.errAt = err.Error(), p.link.cfg.Now().UTC()
	p.mu.Unlock()
	// A peer that stays away fails the same way for hours: one line says it.
	if !repeated {
		p.say(slog.LevelWarn, what, "reason", err.Error())
	}
}

// say logs about this pair, and falls silent above Debug while the peer gives cause too often: even a pinned
// peer must not fill the disk.
func (p *pair) say(level slog.Level, what string, args ...any) {
	p.mu.Lock()
	name := p.peer.Name
	switch {
	case level <= slog.LevelDebug:
	case p.lines.fill(time.Now(), warnBurst, time.Second) < 1:
		level = slog.LevelDebug
	default:
		p.lines.left--
	}
	p.mu.Unlock()
	p.link.log.Log(context.Background(), level, what, append([]any{"peer", name, "identity", Fingerprint(p.id[:])}, args...)...)
}

func (p *pair) status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{
		Peer: p.peer, Connected: p.standing != nil, Since: p.since, LastHeard: p.heardAt, RoundTrip: p.rtt,
		Skew: p.skew, SkewKnown: p.skewOK, QueuedFrames: len(p.queue), QueuedBytes: p.queued - frameCost*len(p.queue),
		LastError: p.lastErr, LastErrorAt: p.errAt, Twin: p.twin, TwinSeen: p.twinAt, Counters: p.counters,
	}
	if p.standing != nil {
		s.Dialled = p.standing.dialled
		s.Version = min(p.link.version, p.standing.hello.version)
	}
	return s
}

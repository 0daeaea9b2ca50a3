package link

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"
)

// Fingerprint writes an identity as all texts of this room do: "ed25519:" and the 32 bytes of the
// public key in lower-case hex, so that it can be laid beside the roster without any calculation.
func Fingerprint(key ed25519.PublicKey) string { return "ed25519:" + hex.EncodeToString(key) }

// Status is what one pair looks like from here. Times are UTC and zero when there is none.
type Status struct {
	Peer      Peer
	Connected bool
	Dialled   bool          // the standing stream was dialled by this node
	Version   uint16        // wire version in use; 0 when not connected
	Since     time.Time     // when it was connected, or when the connection was lost
	LastHeard time.Time     // last message of any kind
	RoundTrip time.Duration // of the last ping; 0 before the first answer
	Skew      time.Duration // the peer's clock minus ours; half the round trip is taken off
	SkewKnown bool

	QueuedFrames int
	QueuedBytes  int // unacknowledged bytes held for the peer

	LastError   string // why the last attempt or stream ended; empty once connected
	LastErrorAt time.Time
	Twin        string // not empty: two live processes were seen using this identity
	TwinSeen    time.Time

	Counters
}

// Version is the wire version in use with a peer; 0: it is not connected.
func (l *Link) Version(key ed25519.PublicKey) uint16 {
	p := l.pairOf(key)
	if p == nil {
		return 0
	}
	return p.status().Version
}

// Connection names the connection to a peer that stands now, and no other one (spec/link 1.6); zeros: none stands. Both ends have the same name for it.
func (l *Link) Connection(key ed25519.PublicKey) (name [32]byte) {
	p := l.pairOf(key)
	if p == nil {
		return name
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.standing != nil && (p.handing == nil || p.handing == p.standing) {
		name = p.standing.name
	}
	return name
}

// Counters only grow while the peer stays pinned.
type Counters struct {
	FramesSent, FramesResent, FramesReceived, FramesRepeated uint64 // repeated: dropped as duplicates
	BytesSent, BytesReceived                                 uint64 // of frames, without overhead
	Connects, Duplicates                                     uint64 // streams that stood; streams refused as the second
	Dials, DialFailures                                      uint64
	Faults                                                   uint64 // malformed at link level
}

// Stats counts what concerns no single peer.
type Stats struct {
	Accepted          uint64 // connections taken from the port
	HandshakeFailures uint64
	Evicted           uint64 // unauthenticated connections closed to make room
	Strangers         uint64 // finished handshakes of unpinned identities
	StreamsRefused    uint64 // streams asked for by unpinned identities
	OwnIdentity       uint64 // handshakes of another process (or a loop) with this node's own key
	Knocks            uint64
	KnocksRefused     uint64
	Pending           int // unauthenticated connections now
}

type stats struct {
	accepted, handshakeFailures, evicted, strangers, streamsRefused, ownIdentity, knocks, knocksRefused atomic.Uint64
}

// Stats returns the counters of the whole link.
func (l *Link) Stats() Stats {
	s := &l.stats
	return Stats{
		Accepted:          s.accepted.Load(),
		HandshakeFailures: s.handshakeFailures.Load(),
		Evicted:           s.evicted.Load(),
		Strangers:         s.strangers.Load(),
		StreamsRefused:    s.streamsRefused.Load(),
		OwnIdentity:       s.ownIdentity.Load(),
		Knocks:            s.knocks.Load(),
		KnocksRefused:     s.knocksRefused.Load(),
		Pending:           l.door.pendingCount(),
	}
}

// IdentityError says that another identity stands where a pinned one should.
type IdentityError struct{ Want, Found ed25519.PublicKey }

func (e *IdentityError) Error() string {
	return fmt.Sprintf("answers with another identity: found %s, pinned is %s: check the address, or pin the new key once the operator has confirmed it",
		Fingerprint(e.Found), Fingerprint(e.Want))
}

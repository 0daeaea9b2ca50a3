package dkls

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/sim"
)

// What a node tells the checkers.
type (
	// Begun says which setup a session came from.
	Begun struct {
		Setup   [32]byte
		Session engine.SessionID
	}
	// Passed is a frame that the host gave to the link.
	Passed struct{ Frame []byte }
	// Judged names the peers of pairs that are judged now.
	Judged struct{ Peers []engine.PartyID }
	// Signed is a signature that the node would give to everyone.
	Signed struct {
		Setup, Digest [32]byte
		Signature     ceremony.Signature
	}
	// Ended says that a session ended without a signature.
	Ended struct {
		Session engine.SessionID
		Accused []engine.PartyID
		Burned  bool // the pairs with the accused
	}
	// Damaged says that the log does not check.
	Damaged struct{ Err error }
)

// A Request is what the client asks of a node: to allow an intent's message, and, where
// the node is the first of the signers, to open the session.
type Request struct {
	Intent, Message, Attempt byte
	Signers                  sim.Set
}

const frameRequest, frameDecline = 'q', 'D'

func (q Request) encode() []byte {
	return wrap(wireData, 0, 0, []byte{frameRequest, q.Intent, q.Message, q.Attempt, byte(q.Signers)})
}

// Digest is what an intent's message comes to.
func (q Request) Digest() [32]byte { return sha256.Sum256([]byte{q.Intent, q.Message}) }

func decideKey(intent byte) string { return store.Key("decide", store.Number(uint64(intent))) }

// A node is the session host and the journal over what the simulator gives.
type node struct {
	sim.Env
	com     *Committee
	timeout time.Duration
	adverse *rand.Rand // of a node in the adversary's hands; nil of an honest one
	life    uint64
	link    link
	journal *journal.Journal
	host    *session.Host
}

var ctx = context.Background()

func newNode(env sim.Env, com *Committee, timeout time.Duration, corrupt bool) *node {
	var seed [16]byte
	_, _ = env.Rand.Read(seed[:]) // a ChaCha8 generator: it does not fail
	n := &node{Env: env, com: com, timeout: timeout}
	n.life = binary.BigEndian.Uint64(seed[:])
	if corrupt {
		n.adverse = rand.New(rand.NewPCG(n.life, 'x'))
	}
	n.link = link{send: env.Send, life: n.life, queues: map[int][]parcel{}}
	return n
}

// Start opens journal and host, and reads the whole log.
func (n *node) Start(time.Time) {
	var err error
	if n.journal, err = journal.Open(ctx, n.Store); err == nil {
		_, err = n.journal.Verify(ctx)
	}
	if err != nil {
		n.Tell(Damaged{err})
		n.Stop()
		return
	}
	n.host, err = session.NewHost(ctx, session.Config{
		Self: n.self(), Sign: n.com.Signer(n.self()), Journal: n.journal, Rand: n.Rand, Log: slog.New(slog.DiscardHandler),
		Send: func(to engine.PartyID, frame []byte) {
			n.Tell(Passed{frame})
			n.link.post(n.Now(), n.com.Member(to), frame)
		},
		Admit: n.admit,
		Fatal: func(error) { n.Stop() },
	})
	if err != nil {
		n.Tell(Damaged{err})
		n.Stop()
	}
}

func (n *node) self() engine.PartyID { return n.com.Parties[n.ID].ID }

// Crash leaves everything to the next incarnation.
func (n *node) Crash() {}

func (n *node) Tick(now time.Time) {
	if n.host == nil {
		return
	}
	n.link.tick(now, len(n.com.Parties))
	n.host.Tick(ctx, now)
}

func (n *node) Deliver(now time.Time, from int, wire []byte) {
	if n.host == nil {
		return
	}
	if from == sim.Client {
		_, _, _, frame, ok := unwrap(wire)
		if ok && len(frame) == 5 && frame[0] == frameRequest {
			n.request(now, Request{Intent: frame[1], Message: frame[2], Attempt: frame[3], Signers: sim.Set(frame[4])})
		}
		return
	}
	frame := n.link.take(from, wire)
	if len(frame) == 0 {
		return
	}
	peer := n.com.Parties[from].ID
	if frame[0] == frameDecline && len(frame) == 1+32 {
		n.host.Declined(ctx, now, peer, [32]byte(frame[1:]), "declined", false)
		return
	}
	if err := n.host.Deliver(ctx, now, peer, frame); errors.Is(err, session.ErrRefused) {
		if s, err := mpc.OpenSetup(frame); err == nil && s.Opener == peer {
			hash := s.Hash()
			n.link.post(now, from, append([]byte{frameDecline}, hash[:]...))
		}
	}
}

// request decides: one message for each intent, for ever. The first of the signers opens.
func (n *node) request(now time.Time, q Request) {
	if !q.Signers.Has(n.ID) || n.decide(now, q) != nil {
		return
	}
	var members []int
	for i := range n.com.Parties {
		if q.Signers.Has(i) {
			members = append(members, i)
		}
	}
	if members[0] == n.ID {
		digest := q.Digest()
		// Refused for a burned pair or a full disk: the client asks for other signers.
		_ = n.host.Open(ctx, now, n.com.Setup(members, [32]byte{q.Intent}, digest, now))
	}
}

func (n *node) decide(now time.Time, q Request) error {
	digest := q.Digest()
	it, err := n.Store.Get(ctx, decideKey(q.Intent))
	switch {
	case err == nil && bytes.Equal(it.Value, digest[:]):
		return nil
	case err == nil:
		return fmt.Errorf("intent %d has another message", q.Intent)
	}
	return n.journal.Write(ctx, journal.Entry{
		Batch: store.Batch{
			If:  []store.Cond{store.Absent(decideKey(q.Intent))},
			Put: []store.Entry{{Key: decideKey(q.Intent), Value: digest[:]}},
		},
		Leaves: []tlog.Filed{{Leaf: tlog.Leaf{Kind: tlog.KindDecision, Time: now, ID: digest}}},
	})
}

// admit takes part in what this node decided, and in nothing else.
func (n *node) admit(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	req, err := ceremony.DecodeRequest(s.Payload)
	if err != nil {
		return nil, err
	}
	it, err := n.Store.Get(ctx, decideKey(req.Intent[0]))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(it.Value, req.Digest[:]) || req.Intent != [32]byte{req.Intent[0]} {
		return nil, fmt.Errorf("intent %d has another message", req.Intent[0])
	}
	if n.adverse == nil {
		if err := n.host.Fit(ctx, now, s, s.Epoch); err != nil {
			return nil, err
		}
	}
	begun := Begun{Setup: s.Hash()}
	return n.com.Task(n.journal, n.ID, now, s, Hooks{
		Timeout: n.timeout,
		Begin: func(seat ceremony.Seat) {
			begun.Session = seat.Session
			n.Tell(begun)
		},
		Wrap: func(m session.Machine) session.Machine {
			if n.adverse != nil {
				return Bend(m, n.lie)
			}
			return &watched{m, n.Tell}
		},
		Signed: func(sig *ceremony.Signature) { n.Tell(Signed{begun.Setup, req.Digest, *sig}) },
		Done: func(err error, _ bool) {
			var f *engine.Fault
			if err != nil {
				e := Ended{Session: begun.Session}
				if errors.As(err, &f) {
					e.Accused, e.Burned = f.Accused, f.Class == engine.BurnPair
				}
				n.Tell(e)
			}
		},
	})
}

// lie is the adversary inside a session: it spoils bodies before they are sealed.
func (n *node) lie(m *engine.Msg) {
	if n.adverse.IntN(6) > 0 || len(m.Body) == 0 {
		return
	}
	switch n.adverse.IntN(4) {
	case 0:
		m.Body = m.Body[:n.adverse.IntN(len(m.Body))]
	case 1:
		clear(m.Body)
	default:
		m.Body[n.adverse.IntN(len(m.Body))] ^= 1 << n.adverse.IntN(8)
	}
}

// watched tells of every judgement before it is made.
type watched struct {
	session.Machine
	tell func(any)
}

func (w *watched) Judge() (session.Effects, error) {
	var j Judged
	for _, t := range w.Guard() {
		j.Peers = append(j.Peers, t.Peer)
	}
	w.tell(j)
	return w.Machine.Judge()
}

package vet

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Rows of this room (spec/store).
const (
	kindVetted   = "vetted"   // vetted/<party>: the last record that was good
	kindEnrolled = "enrolled" // enrolled/<party>: keys of its TPMs that were shown to lie in one TPM
)

const (
	patience   = time.Minute      // for an answer, which a slow TPM makes after others
	again      = 10 * time.Second // after a failure, doubled each time, up to
	againMost  = 10 * time.Minute
	answerGap  = 5 * time.Second // between two questions of one peer that are answered, and two that it is asked, after
	askBurst   = 4               // at once, as where its connection breaks again and again
	hearGap    = 5 * time.Second // between two words of one peer on our own evidence, or on why it shows none, that are told on
	tellEvery  = time.Minute     // how often a peer is told again what is held of its evidence
	makeWithin = 50 * time.Second

	// What one peer may fill of this node's log with evidence: so many of the largest records at once, as where it starts again and again, and then one in gap. A smaller one costs
	// less, as few bytes as least at the least: a TPM's is shown anew every minute, if need be, over connections that break.
	burst = 8
	gap   = 10 * time.Minute
	least = 4 << 10
)

// A Maker makes evidence of this machine.
type Maker interface {
	// Evidence has the hardware sign these 32 bytes. It may take seconds.
	Evidence(ctx context.Context, binding [32]byte) ([]byte, error)
	// Answer opens a challenge, which shows that the keys of the evidence lie in this TPM. Others than TPMs are never asked.
	Answer(ctx context.Context, challenge []byte) ([]byte, error)
}

// Means are what an operator gave its node to judge others' hardware by, besides what the program carries.
type Means struct {
	Certificates []*x509.Certificate // of makers: those count that the charter lists
	// Held is what makers withdrew, and their word on platforms, as it lies there now: it is read for each judgement, since it is fetched again and again. nil: there is none.
	Held func() (hardware.Collateral, error)
}

// held is what there is now.
func (m Means) held() (hardware.Collateral, error) {
	if m.Held == nil {
		return hardware.Collateral{}, nil
	}
	c, err := m.Held()
	if err != nil {
		return c, &attest.UnknownError{Lacks: "this node's own lists of what makers withdrew: " + err.Error()}
	}
	return c, nil
}

// Config is what a Vet works with.
type Config struct {
	Operator string
	Identity ed25519.PublicKey
	Journal  *journal.Journal
	Rand     io.Reader
	Log      *slog.Logger

	// Charter is the one in force.
	Charter func() (charter.Charter, bool)
	// Peers are the other members; Peer finds one.
	Peers func() []engine.PartyID
	Peer  func(engine.PartyID) (charter.Operator, bool)
	// Life is the newest process of a peer, Own that of this node.
	Life func(engine.PartyID) (vetted.Life, bool)
	Own  func() vetted.Life
	// Connection names the connection to a peer that stands now; zeros: none does. Its other end names it alike, and nobody else can.
	Connection func(engine.PartyID) [32]byte
	// Linked says whether the link to a peer stands; Speaks, whether in a wire version that knows these frames.
	Linked, Speaks func(engine.PartyID) bool
	// Send hands a frame of a kind to a peer's link. It must not block.
	Send func(to engine.PartyID, kind Frame, body []byte)
	Wake func() // may be nil

	Pinned hardware.Roots // that the program carries
	Given  Means          // that the operator gave

	Maker Maker // nil: this node shows nothing
	// Lacks says why there is no maker, or what is wrong with it.
	Lacks string
	// Beside runs what takes long; nil: at once.
	Beside func(func(context.Context))
}

// Vet is what a node knows of others' hardware.
type Vet struct {
	cfg     Config
	demands atomic.Pointer[demands]
	now     atomic.Int64 // of the last tick, Unix nanoseconds

	mu     sync.Mutex
	peers  map[engine.PartyID]*peer
	busy   bool       // evidence is being made
	queue  []question // of peers, each once
	failed string     // why evidence could not be made last
	self   *self      // what this machine shows; nil: it was not looked at
	seen   bool       // that it is looked at was asked for
}

// demands are those of the charter in force.
type demands struct {
	charter statement.ID
	of      map[string]charter.Demand // by operator
	hash    map[string][32]byte
}

// peer is what is known of one peer.
type peer struct {
	last *vetted.Record // good when it was judged; it may count no more
	id   [32]byte       // of its leaf
	keys []enrolled     // of its TPMs

	nonce    [32]byte // outstanding question; zero: none
	life     vetted.Life
	conn     [32]byte // over which it was asked
	demand   [32]byte
	sent     time.Time
	proving  *proving // a TPM's keys are being shown to lie together
	next     time.Time
	failures int
	why      string // what was wrong last; empty: nothing
	spent    time.Time
	asked    time.Time // up to when the allowance of questions is used (allow)
	lacked   string    // what the log told last of why it showed nothing
	lackedAt time.Time
	refused  string         // for what its evidence was refused last; empty: it was not since
	refusal  *journal.Entry // that is not durable yet

	said     [32]byte // over which connection it told what it holds of our evidence
	holds    bool     // and it holds it good
	saysWhy  string
	news     bool      // what it said last was not told on yet
	heard    time.Time // when something was
	told     standing  // what it was told last
	toldAt   time.Time
	toldOn   [32]byte // over which connection
	answered time.Time
	waits    *ask   // its last question, until it is its time
	shown    *shown // what we showed it last, which its challenge may be about
}

// standing is what a node tells a peer of the peer's evidence.
type standing struct {
	good bool
	why  string
}

// Open reads back what was found. A row that cannot be read counts for nothing: the peer is asked again.
func Open(ctx context.Context, now time.Time, cfg Config) (*Vet, error) {
	v := &Vet{cfg: cfg, peers: map[engine.PartyID]*peer{}}
	v.tick(now)
	v.demands.Store(&demands{})
	for kind, take := range map[string]func(*peer, []byte) error{kindVetted: (*peer).load, kindEnrolled: (*peer).loadKeys} {
		items, err := cfg.Journal.Store().Range(ctx, store.Prefix(kind), "", store.MaxLimit)
		if err != nil {
			return nil, fmt.Errorf("read what was found of others' hardware: %w", err)
		}
		for _, it := range items {
			id, err := partyOf(kind, it.Key)
			if err == nil {
				err = take(v.peer(id), it.Value)
			}
			if err != nil {
				cfg.Log.Error("a row of what was found of others' hardware is passed over: the peer is asked again", "row", it.Key, "error", err)
			}
		}
	}
	v.Refresh()
	return v, nil
}

// peer finds or makes what is known of one. Open, or mu is held.
func (v *Vet) peer(id engine.PartyID) *peer {
	if v.peers[id] == nil {
		v.peers[id] = &peer{}
	}
	return v.peers[id]
}

// Refresh reads what the charter in force demands.
func (v *Vet) Refresh() {
	x, ok := v.cfg.Charter()
	was := v.demands.Load()
	if !ok || x.ID == was.charter && was.of != nil {
		return
	}
	d := &demands{charter: x.ID, of: map[string]charter.Demand{}, hash: map[string][32]byte{}}
	for _, one := range x.Demands {
		d.of[one.Operator], d.hash[one.Operator] = one, one.Hash()
	}
	v.demands.Store(d)
}

// Demands says whether the charter in force demands anything of anybody.
func (v *Vet) Demands() bool { return len(v.demands.Load().of) > 0 }

// Demand is what the charter in force demands of an operator.
func (v *Vet) Demand(operator string) (charter.Demand, bool) {
	x, ok := v.demands.Load().of[operator]
	return x, ok
}

// An UnvettedError says why no session is held with an operator's node.
type UnvettedError struct {
	Operator, Why, Next string
}

func (e *UnvettedError) Error() string {
	return fmt.Sprintf("operator %s must show what its node runs on, as the charter demands, and did not: %s; %s", e.Operator, e.Why, e.Next)
}

// clock is the time of the last tick or frame.
func (v *Vet) clock() time.Time { return time.Unix(0, v.now.Load()) }

// Fit says why no session is held with a peer: the charter demands evidence of it, and this node has none that counts.
func (v *Vet) Fit(id engine.PartyID) error {
	o, ok := v.cfg.Peer(id)
	if !ok {
		return nil // who is no member is refused elsewhere
	}
	x, ok := v.Demand(o.Name)
	if !ok {
		return nil
	}
	at := v.at(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	_, err := v.counts(v.peer(id), x, at, v.clock())
	if err == nil {
		return nil
	}
	return v.unvetted(id, o.Name, v.peer(id), err)
}

// present is which process of a peer there is, and at the other end of which connection.
type present struct {
	life  vetted.Life
	known bool // its life is
	conn  [32]byte
}

func (v *Vet) at(id engine.PartyID) (at present) {
	at.conn = v.cfg.Connection(id)
	at.life, at.known = v.cfg.Life(id)
	return at
}

// counts is the record of a peer that counts now.
func (v *Vet) counts(p *peer, x charter.Demand, at present, now time.Time) (*vetted.Record, error) {
	switch {
	case p.last == nil && p.why != "":
		return nil, errors.New(p.why)
	case p.last == nil:
		return nil, errNone
	case !at.known || p.last.Life != at.life:
		return nil, vetted.ErrLife
	case at.conn == [32]byte{} || p.last.Connection != at.conn:
		return nil, vetted.ErrLink
	}
	return p.last, p.last.Meets(x, now)
}

var errNone = errors.New("this node has no evidence of it")

// unvetted says what is wrong, and who is to do what. mu is held.
func (v *Vet) unvetted(id engine.PartyID, operator string, p *peer, err error) *UnvettedError {
	e := &UnvettedError{Operator: operator, Why: err.Error()}
	switch {
	case !v.cfg.Linked(id):
		e.Next = "it is asked as soon as the link to it stands"
	case !v.cfg.Speaks(id):
		e.Why, e.Next = "its node speaks an older wire version, in which nodes cannot show it", "its operator upgrades it"
	case p.why != "" && !strings.Contains(e.Why, p.why):
		e.Why += "; when it was asked last: " + p.why
		fallthrough
	case p.why != "":
		e.Next = "its operator runs `ostraka doctor`; it is asked again by itself"
	default:
		e.Next = "it is asked by itself: wait a moment"
	}
	return e
}

// Welcome says why a session with a peer need not be tried: it told this node that it does not hold our own evidence good.
func (v *Vet) Welcome(id engine.PartyID) error {
	if _, demanded := v.Demand(v.cfg.Operator); !demanded || !v.cfg.Speaks(id) {
		return nil // a node of an older wire version asks for nothing, and says nothing
	}
	conn := v.cfg.Connection(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch p := v.peer(id); {
	case conn == [32]byte{} || p.said != conn:
		return errors.New("it has not said yet whether it holds this node's evidence good")
	case !p.holds:
		return fmt.Errorf("it does not hold this node's evidence good: %s", p.saysWhy)
	}
	return nil
}

// Meet is on which records a session with these parties rests. It refuses one with a party that the charter demands evidence of and that has shown
// none that counts, unless an emergency's activation is carried out with it; nil, where it demands nothing of any of them.
func (v *Vet) Meet(now time.Time, session, emergency [32]byte, with []engine.PartyID) (*vetted.Meeting, error) {
	v.Refresh()
	v.tick(now)
	m, any := &vetted.Meeting{Session: session}, false
	for _, id := range with {
		o, ok := v.cfg.Peer(id)
		if !ok {
			continue // who is no member is refused elsewhere
		}
		w := vetted.With{Operator: o.Name}
		if x, demanded := v.Demand(o.Name); demanded {
			at := v.at(id)
			v.mu.Lock()
			p := v.peer(id)
			_, err := v.counts(p, x, at, now)
			w.Record, any = p.id, true
			if err != nil {
				err = v.unvetted(id, o.Name, p, err)
			}
			v.mu.Unlock()
			if err != nil && emergency == [32]byte{} {
				return nil, err
			}
			if err != nil {
				w.Record, m.Emergency = [32]byte{}, emergency
			}
		}
		m.With = append(m.With, w)
	}
	if !any {
		return nil, nil
	}
	m.Sort()
	return m, nil
}

func (v *Vet) tick(now time.Time) { v.now.Store(now.UnixNano()) }

package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Bounds of what unfinished sessions may hold.
const (
	maxSessions = 1024
	keepDone    = 256 // finished sessions that `session list` still shows
)

// A Task is one node's part in one admitted session.
type Task struct {
	Standing mpc.Standing
	Hedge    secret.Bytes  // our share, or empty: goes into the session's coins
	Timeout  time.Duration // from our Join on
	Title    string        // for people: "sign intent 1a2b3c4d of vault treasury"
	// Pairs names the key whose pairs the session uses: nothing goes on once one of them is burned. Zero: it
	// uses none that exist yet.
	Pairs [32]byte

	// Emergency lets parties join whom Config.Unfit names.
	Emergency bool

	// Admit is written durably together with the mark that this setup was seen, before our
	// Join leaves.
	Admit journal.Entry
	// Admitted is told that Admit is durable. May be nil. If it cannot be made so, Done is told
	// instead.
	Admitted func()
	// Begin makes the machine once all have joined.
	Begin func(ceremony.Seat) (Machine, error)
	// Save turns a machine's records into an entry: sealed, under their keys.
	Save func(now time.Time, rows []engine.Record) (journal.Entry, error)
	// Saved reads back what Save wrote, before anything that depends on it leaves. May be nil.
	Saved func(ctx context.Context) error
	// Done is told how the session ended: err is nil after a result. sentLast says that our
	// last message may have left, so that an abort means "possibly signed". It is called once,
	// under the session's lock: it must not call the Host.
	Done func(ctx context.Context, now time.Time, err error, sentLast bool)
}

// Config is what a Host works with.
type Config struct {
	Self    engine.PartyID
	Sign    mpc.Signer
	Journal *journal.Journal
	Send    func(to engine.PartyID, frame []byte) // must not block
	Rand    io.Reader                             // safe for concurrent use
	Log     *slog.Logger
	// Admit decides whether we take part in a Setup: policy and our own records. It must not
	// believe anything in the Setup. It is asked once for each Setup, restarts included, and
	// only for Setups that name us.
	Admit func(ctx context.Context, now time.Time, s *mpc.Setup) (*Task, error)
	// Halted says why no session may be held at all, whatever was admitted before. It must not
	// block. May be nil.
	Halted func() error
	// Unfit says why a Join that comes from a peer now counts for nothing: over the connection that stands it has not shown
	// what it must. It must not block. May be nil.
	Unfit func(engine.PartyID) error
	// Burned is told of pairs whose flags were set, before the flags are durable and before anything that follows from them
	// leaves. It is called under the pairs' locks and must not call the Host. May be nil.
	Burned func([]engine.Token)
	// Fatal ends the process: a burn flag could not be made durable. Should it return, the host
	// begins nothing more.
	Fatal func(error)
}

// Host runs sessions.
type Host struct {
	cfg Config

	mu        sync.Mutex
	closed    bool
	admitting map[[32]byte]bool         // by hash of setup: being decided on
	open      map[[32]byte]*run         // by hash of setup
	running   map[engine.SessionID]*run // those of open that run, by session id
	done      []Status                  // the youngest last
	over      over
	orphans   orphans

	pairs pairs
	uses  uses

	unattributed journal.Sweep
}

// NewHost makes a host. Burn flags are read from the journal's store.
func NewHost(ctx context.Context, cfg Config) (*Host, error) {
	h := &Host{
		cfg: cfg, admitting: map[[32]byte]bool{}, open: map[[32]byte]*run{}, running: map[engine.SessionID]*run{},
		over: newOver(), orphans: newOrphans(), unattributed: journal.Sweep{Prefix: store.Prefix(kindUnattributed)},
	}
	if err := h.pairs.load(ctx, cfg.Journal.Store()); err != nil {
		return nil, err
	}
	lost, err := h.uses.load(ctx, cfg.Journal.Store())
	if err != nil {
		return nil, err
	}
	h.pairs.set(lost)
	for t, x := range h.uses.of {
		if x.lost >= tellLost {
			cfg.Log.Warn("lives of this node ended while it signed with a peer: from the limit on the pair counts as burned; `ostraka vault refresh` makes new ones", "peer", t.Peer, "lives", x.lost, "limit", maxLost)
		}
	}
	return h, nil
}

// ErrRefused wraps why we take no part in a session.
var ErrRefused = errors.New("session refused")

// ErrNotYet says that a node takes no part for now, and will once what it waits for has come: nobody is in the way.
var ErrNotYet = errors.New("not yet")

// Open starts a session as its opener: it signs the Setup, answers it itself, and sends
// both to all parties.
func (h *Host) Open(ctx context.Context, now time.Time, s *mpc.Setup) error {
	s.Opener = h.cfg.Self
	if _, err := io.ReadFull(h.cfg.Rand, s.Nonce[:]); err != nil {
		return fmt.Errorf("open session: read entropy: %w", err)
	}
	frame, err := mpc.SealSetup(s, h.cfg.Sign)
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	r, join, err := h.admit(ctx, now, s)
	if err != nil {
		return err
	}
	for _, p := range s.Parties {
		if p.ID != h.cfg.Self {
			h.cfg.Send(p.ID, frame)
			h.cfg.Send(p.ID, join)
		}
	}
	h.revive(ctx, now, r)
	return nil
}

// errKnown says that a setup is open here or being decided on: the link repeated it.
var errKnown = errors.New("the setup came before")

// admit makes the setup ours: policy, then the seen mark and the admission durably, then
// the Join, which the caller sends. Nothing asks policy twice about one Setup: a replay, even
// one of long ago, must not move an intent (TOB-SILA-9).
func (h *Host) admit(ctx context.Context, now time.Time, s *mpc.Setup) (*run, []byte, error) {
	if err := s.Current(now); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if _, in := s.Party(h.cfg.Self); !in {
		return nil, nil, fmt.Errorf("%w: we are not among its parties", ErrRefused)
	}
	hash := s.Hash()
	if err := h.reserve(hash); err != nil {
		return nil, nil, err
	}
	r, join, err := h.decide(ctx, now, s, hash)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.admitting, hash)
	if err != nil {
		h.over.add(hash)
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	h.open[hash] = r
	return r, join, nil
}

// reserve keeps a place among the open sessions for this setup.
func (h *Host) reserve(hash [32]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return fmt.Errorf("%w: this node is stopping", ErrRefused)
	case h.admitting[hash] || h.open[hash] != nil:
		return errKnown
	case len(h.admitting)+len(h.open) >= maxSessions:
		return fmt.Errorf("%w: %d sessions are open here: wait for some to end", ErrRefused, maxSessions)
	}
	h.admitting[hash] = true
	return nil
}

func (h *Host) decide(ctx context.Context, now time.Time, s *mpc.Setup, hash [32]byte) (*run, []byte, error) {
	if err := h.unseen(ctx, s, hash); err != nil {
		return nil, nil, err
	}
	task, err := h.cfg.Admit(ctx, now, s)
	if err != nil {
		return nil, nil, err
	}
	failpoint.Hit("session-before-join")
	used, err := h.markSeen(ctx, s, hash, task)
	if err != nil {
		return nil, nil, h.abandon(ctx, now, task, err)
	}
	failpoint.Hit("session-after-join")
	if task.Admitted != nil {
		task.Admitted()
	}
	if err := h.halted(); err != nil {
		used(now)
		return nil, nil, h.abandon(ctx, now, task, err)
	}
	joining, join, err := mpc.NewJoin(s, h.cfg.Self, task.Standing, h.cfg.Rand, h.cfg.Sign)
	if err != nil {
		used(now)
		return nil, nil, h.abandon(ctx, now, task, err)
	}
	r := newRun(h, s, hash, task, joining, now)
	r.used = used
	return r, join, nil
}

// abandon tells an admitted task that nothing came of it.
func (h *Host) abandon(ctx context.Context, now time.Time, t *Task, cause error) error {
	t.Hedge.Wipe()
	if t.Done != nil {
		t.Done(context.WithoutCancel(ctx), now, &NotBegunError{&engine.Fault{Check: "admission", Class: engine.Transient, Err: cause}}, false)
	}
	return cause
}

// errRelayed refuses what another than its author hands over. It says nothing of the author.
var errRelayed = errors.New("session frames count over their author's own link alone, and this one is another's")

// Deliver takes a session frame that arrived over the link of a peer, its author. What does not
// authenticate is dropped. Errors are for the log; but an ErrRefused is for the opener, and
// after a *mpc.StandingError its sender may need the final certificate. The frame must not be
// changed afterwards.
func (h *Host) Deliver(ctx context.Context, now time.Time, link engine.PartyID, frame []byte) error {
	t, err := mpc.TypeOf(frame)
	if err != nil {
		return err
	}
	switch t {
	case mpc.SetupFrame:
		return h.takeSetup(ctx, now, link, frame)
	case mpc.JoinFrame:
		return h.takeJoin(ctx, now, link, frame)
	default:
		return h.takeMessage(ctx, now, link, frame)
	}
}

func (h *Host) takeSetup(ctx context.Context, now time.Time, link engine.PartyID, frame []byte) error {
	s, err := mpc.OpenSetup(frame)
	if err != nil {
		return err
	}
	if s.Opener != link {
		return errRelayed
	}
	r, join, err := h.admit(ctx, now, s)
	if errors.Is(err, errKnown) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, p := range s.Parties {
		if p.ID != h.cfg.Self {
			h.cfg.Send(p.ID, join)
		}
	}
	h.revive(ctx, now, r)
	return nil
}

// revive hands a new session what came before it.
func (h *Host) revive(ctx context.Context, now time.Time, r *run) {
	h.mu.Lock()
	early := h.orphans.take(r.hash)
	h.mu.Unlock()
	for _, f := range early {
		if err := r.join(ctx, now, f); err != nil {
			h.cfg.Log.Warn("join dropped", "setup", fmt.Sprintf("%x", r.hash[:6]), "error", err)
		}
	}
}

func (h *Host) takeJoin(ctx context.Context, now time.Time, link engine.PartyID, frame []byte) error {
	hash, from, err := mpc.JoinSetup(frame)
	if err != nil {
		return err
	}
	if from != link {
		return errRelayed
	}
	came := orphan{of: hash, frame: frame, since: now}
	if h.cfg.Unfit != nil {
		came.unfit = h.cfg.Unfit(link)
	}
	h.mu.Lock()
	r := h.open[hash]
	if r == nil && !h.over.has(hash) {
		h.orphans.keep(link, came)
	}
	h.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.join(ctx, now, came)
}

func (h *Host) takeMessage(ctx context.Context, now time.Time, link engine.PartyID, frame []byte) error {
	env, err := mpc.ReadEnvelope(frame)
	if err != nil {
		return err
	}
	if env.From != link {
		return errRelayed
	}
	h.mu.Lock()
	r := h.running[env.Session]
	if r == nil && !h.over.has(env.Session) {
		h.orphans.keep(link, orphan{of: env.Session, frame: frame, since: now})
	}
	h.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.take(ctx, now, frame)
}

// Declined takes a peer's word, over its own link, that it will not join a session of ours; or not yet.
func (h *Host) Declined(ctx context.Context, now time.Time, by engine.PartyID, setup [32]byte, reason string, notYet bool) {
	h.mu.Lock()
	r := h.open[setup]
	h.mu.Unlock()
	if r != nil {
		r.declined(ctx, now, by, reason, notYet)
	}
}

// Joined lists the other parties of a session of ours that has not begun; none if we did not open it, or it is online: those
// end soon by themselves, and all count on that time.
func (h *Host) Joined(setup [32]byte) (others []engine.PartyID) {
	h.mu.Lock()
	r := h.open[setup]
	h.mu.Unlock()
	if r == nil || r.setup.Opener != h.cfg.Self || r.setup.Protocol == ceremony.ProtocolOnline {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.machine != nil {
		return nil
	}
	for _, p := range r.setup.Parties {
		if p.ID != h.cfg.Self {
			others = append(others, p.ID)
		}
	}
	return others
}

// Tick ends sessions whose time is over or whose pairs burned, and forgets early frames that
// nobody claimed.
func (h *Host) Tick(ctx context.Context, now time.Time) {
	h.mu.Lock()
	h.orphans.expire(now)
	open := h.all()
	h.mu.Unlock()
	for _, r := range open {
		if _, burned := h.pairs.burned(r.pairs); burned || now.After(r.deadline) {
			r.mu.Lock()
			r.overdue(ctx, now)
			r.mu.Unlock()
		}
	}
	if err := h.rest(ctx, now, false); err != nil {
		h.cfg.Log.Warn("pairs stay marked as in use", "error", err)
	}
}

// Busy reports whether a session whose setup satisfies f is open.
func (h *Host) Busy(f func(*mpc.Setup) bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.all(), func(r *run) bool { return f(r.setup) })
}

// Idle reports that no session is open, and none is being admitted.
func (h *Host) Idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open) == 0 && len(h.admitting) == 0
}

// all lists the open sessions in an order that does not depend on the map's.
func (h *Host) all() []*run {
	return slices.SortedFunc(maps.Values(h.open), func(a, b *run) int { return slices.Compare(a.hash[:], b.hash[:]) })
}

// Status is what people see of a session.
type Status struct {
	Setup    [32]byte
	Session  engine.SessionID // zero while parties join
	Key      [32]byte         // key id
	Protocol string
	Title    string
	Parties  []engine.PartyID
	Opener   engine.PartyID
	Round    uint8
	Waiting  []engine.PartyID // whom we wait for; nobody is accused of being silent
	Started  time.Time
	Deadline time.Time
	Ended    time.Time // zero while it runs
	Err      error     // why it ended without a result; a fault's evidence stands in its row alone
}

// Sessions lists open and lately ended sessions, the open ones first.
func (h *Host) Sessions() []Status {
	h.mu.Lock()
	open := h.all()
	done := slices.Clone(h.done)
	h.mu.Unlock()
	var out []Status
	for _, r := range open {
		out = append(out, r.status())
	}
	slices.Reverse(done)
	return append(out, done...)
}

func (h *Host) halted() error {
	if h.cfg.Halted == nil {
		return nil
	}
	return h.cfg.Halted()
}

// Drop ends all sessions: what they hold is of no use any more.
func (h *Host) Drop(ctx context.Context, now time.Time, why error) {
	h.mu.Lock()
	open := h.all()
	h.mu.Unlock()
	for _, r := range open {
		r.stop(ctx, now, &engine.Fault{Check: "this node may not go on", Class: engine.Transient, Err: why})
	}
}

// Renewed ends the sessions that wait for a party whose process is new: signing never resumes, so nothing comes any more.
func (h *Host) Renewed(ctx context.Context, now time.Time, peer engine.PartyID) {
	h.mu.Lock()
	open := h.all()
	h.mu.Unlock()
	for _, r := range open {
		r.renewed(ctx, now, peer)
	}
}

// Close ends all sessions and begins no others: signing never resumes.
func (h *Host) Close(ctx context.Context, now time.Time) {
	h.mu.Lock()
	h.closed = true
	open := h.all()
	h.mu.Unlock()
	for _, r := range open {
		r.stop(ctx, now, &engine.Fault{Check: "node is stopping", Class: engine.Transient})
	}
	if err := h.rest(ctx, now, true); err != nil {
		h.cfg.Log.Warn("pairs stay marked as in use", "error", err)
	}
}

// forget drops an ended session from the tables.
func (h *Host) forget(r *run, s Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, r.hash)
	h.over.add(r.hash)
	if r.channel != nil {
		delete(h.running, r.channel.Session())
		h.over.add(r.channel.Session())
	}
	h.done = append(h.done, s)
	if len(h.done) > keepDone {
		h.done = slices.Delete(h.done, 0, len(h.done)-keepDone)
	}
}

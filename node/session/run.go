package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
)

// A run is one session on this node: joining, then running, then ended.
type run struct {
	host     *Host
	setup    *mpc.Setup
	hash     [32]byte
	pairs    []engine.Token // that the session uses: none of a key that it makes
	task     *Task
	started  time.Time
	deadline time.Time

	mu       sync.Mutex
	joining  *mpc.Joining // until all have joined
	channel  *mpc.Channel // from then on
	machine  Machine
	private  map[place][]byte        // what came for us alone, in clear: wiped with the session
	proved   map[engine.PartyID]bool // whose equivocation is kept
	used     func(time.Time)         // its pairs, no more
	sentLast bool
	ended    bool
}

func newRun(h *Host, s *mpc.Setup, hash [32]byte, t *Task, joining *mpc.Joining, now time.Time) *run {
	r := &run{
		host: h, setup: s, hash: hash, task: t, joining: joining, started: now, deadline: now.Add(t.Timeout),
		proved: map[engine.PartyID]bool{}, private: map[place][]byte{}, pairs: h.pairsOf(s, t),
	}
	return r
}

// place is where one private message of a session belongs.
type place struct {
	from  engine.PartyID
	round uint8
	kind  engine.Kind
}

// hold remembers the bytes of a private message, which the machine keeps: shares and what they are made of. Of one that is
// repeated it kept the first.
func (r *run) hold(m engine.Msg) {
	if m.To == engine.Everyone {
		return
	}
	at := place{m.From, m.Round, m.Kind}
	if first, held := r.private[at]; held && bytes.Equal(first, m.Body) {
		secret.Wipe(m.Body)
		return
	}
	r.private[at] = m.Body
}

func (r *run) name() string {
	if r.channel != nil {
		return r.channel.Session().String()
	}
	return fmt.Sprintf("%x", r.hash[:6])
}

func (r *run) status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.statusLocked()
}

func (r *run) statusLocked() Status {
	s := Status{
		Setup: r.hash, Key: r.setup.KeyID, Protocol: r.setup.Protocol, Title: r.task.Title, Parties: r.setup.IDs(), Opener: r.setup.Opener,
		Started: r.started, Deadline: r.deadline,
	}
	if r.channel != nil {
		s.Session = r.channel.Session()
	}
	switch {
	case r.ended:
	case r.machine == nil:
		s.Waiting = r.joining.Missing()
	default:
		s.Round, s.Waiting = r.machine.Round(), r.machine.Waiting()
	}
	return s
}

// join takes one Join; the last one starts the machine. One that counted for nothing when it came does so for good, or a thief's would count once
// the party itself is back.
func (r *run) join(ctx context.Context, now time.Time, came orphan) error {
	if came.unfit != nil && !r.task.Emergency {
		return fmt.Errorf("join refused: %w", came.unfit)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.machine != nil || r.overdue(ctx, now) {
		return nil
	}
	if came.unfit != nil {
		r.host.cfg.Log.Error("an emergency is carried out with a node that has not shown what it runs on", "setup", fmt.Sprintf("%x", r.hash[:6]), "why", came.unfit)
	}
	if err := r.joining.Add(came.frame); err != nil {
		var behind *mpc.StandingError
		if errors.As(err, &behind) {
			r.end(ctx, now, fmt.Errorf("%w: one of us lags behind and is being sent the final certificate", err))
		}
		return err
	}
	if len(r.joining.Missing()) > 0 {
		return nil
	}
	if err := r.begin(ctx, now); err != nil {
		r.end(ctx, now, err)
		return err
	}
	return nil
}

// begin makes channel, coins and machine, and takes the messages that came early.
func (r *run) begin(ctx context.Context, now time.Time) error {
	channel, err := r.joining.Complete()
	if err != nil {
		return err
	}
	r.channel = channel
	coins, err := mpc.Coins(r.host.cfg.Rand, r.task.Hedge.Expose(), channel.Session(), r.setup.Payload)
	r.task.Hedge.Wipe()
	if err != nil {
		return err
	}
	r.machine, err = r.task.Begin(ceremony.Seat{
		Session: channel.Session(), Setup: r.setup, Self: r.host.cfg.Self, Sign: r.host.cfg.Sign, Rand: coins,
		Nonces: channel.Nonces(),
	})
	if err != nil {
		mpc.WipeCoins(coins)
		return err
	}
	r.host.mu.Lock()
	r.host.running[channel.Session()] = r
	early := r.host.orphans.take(channel.Session())
	r.host.mu.Unlock()
	eff, err := r.machine.Start()
	if r.settle(ctx, now, eff, err) {
		return nil
	}
	for _, f := range early {
		if err := r.step(ctx, now, f.frame); err != nil {
			r.host.cfg.Log.Warn("message dropped", "session", r.name(), "error", err)
		}
	}
	return nil
}

func (r *run) take(ctx context.Context, now time.Time, frame []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.step(ctx, now, frame)
}

// step opens one frame and steps the machine. An error means that the frame was dropped.
func (r *run) step(ctx context.Context, now time.Time, frame []byte) error {
	if r.ended || r.overdue(ctx, now) {
		return nil
	}
	m, err := r.channel.Open(frame)
	if err != nil {
		return err
	}
	eff, err := r.machine.Step(m)
	var rejected *engine.Rejected
	if errors.As(err, &rejected) {
		r.keepEvidence(ctx, now, rejected)
		return err
	}
	r.hold(m)
	r.settle(ctx, now, eff, err)
	return nil
}

// settle carries effects out, and makes all judgements that are due.
func (r *run) settle(ctx context.Context, now time.Time, eff Effects, err error) (ended bool) {
	if r.offer(ctx, now, eff, err) {
		return true
	}
	for len(r.machine.Guard()) > 0 {
		if r.judge(ctx, now) {
			return true
		}
	}
	return false
}

// offer carries out the effects of a step that judged no pair. What leaves, leaves under the
// pairs' locks with their flags read again (protocols.md 2.5): else a burn could fall between.
func (r *run) offer(ctx context.Context, now time.Time, eff Effects, err error) (ended bool) {
	if len(eff.Send) > 0 {
		unlock := r.host.pairs.lock(r.pairs)
		defer unlock()
		if r.burnt(ctx, now) {
			return true
		}
	}
	return r.carryOut(ctx, now, eff, err)
}

// burnt ends the session if one of its pairs is burned, or the node may hold no session any more.
func (r *run) burnt(ctx context.Context, now time.Time) bool {
	if err := r.host.halted(); err != nil {
		r.end(ctx, now, &engine.Fault{Check: "this node may not go on", Class: engine.Transient, Err: err})
		return true
	}
	t, burned := r.host.pairs.burned(r.pairs)
	if burned {
		r.end(ctx, now, &BurnedError{Token: t})
	}
	return burned
}

// overdue ends the session if one of its pairs is burned, or its time is over: after a pause
// of the process nothing stale is sent.
func (r *run) overdue(ctx context.Context, now time.Time) bool {
	if r.ended || r.burnt(ctx, now) {
		return true
	}
	if !now.After(r.deadline) {
		return false
	}
	s := r.statusLocked()
	r.end(ctx, now, &engine.Fault{Session: s.Session, Round: s.Round, Check: "deadline", Class: engine.Transient, Err: &SilentError{s.Waiting}})
	return true
}

func (r *run) renewed(ctx context.Context, now time.Time, peer engine.PartyID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	if s := r.statusLocked(); slices.Contains(s.Waiting, peer) {
		r.end(ctx, now, &engine.Fault{Session: s.Session, Round: s.Round, Check: "a party was started anew", Class: engine.Transient, Err: &SilentError{[]engine.PartyID{peer}}})
	}
}

// judge makes a verdict on pairs, one at a time per pair: locks in sorted order, flags read
// again, verdict, burn durable, messages sent, locks released.
func (r *run) judge(ctx context.Context, now time.Time) (ended bool) {
	guard := append(r.machine.Guard(), r.pairs...)
	unlock := r.host.pairs.lock(guard)
	defer unlock()
	if r.burnt(ctx, now) {
		return true
	}
	if t, burned := r.host.pairs.burned(guard); burned {
		r.end(ctx, now, &BurnedError{Token: t})
		return true
	}
	eff, err := r.machine.Judge()
	return r.carryOut(ctx, now, eff, err)
}

// BurnedError refuses work with a pair that failed a check before.
type BurnedError struct{ Token engine.Token }

func (e *BurnedError) Error() string {
	return fmt.Sprintf("the pair with party %v is burned for key %x: a check on it failed before; every operator runs `ostraka vault refresh`",
		e.Token.Peer, e.Token.Key[:6])
}

// carryOut does what the machine asks, in order, and reports whether the session ended.
// Burn and Save come first even beside an error.
func (r *run) carryOut(ctx context.Context, now time.Time, eff Effects, err error) (ended bool) {
	if len(eff.Burn) > 0 {
		if burnErr := r.burn(ctx, now, eff.Burn); burnErr != nil {
			r.end(ctx, now, errors.Join(burnErr, err))
			return true
		}
	}
	if len(eff.Save) > 0 {
		failpoint.Hit("session-before-save")
		if saveErr := r.save(ctx, now, eff.Save); saveErr != nil {
			r.end(ctx, now, errors.Join(saveErr, err))
			return true
		}
		failpoint.Hit("session-after-save")
	}
	if err != nil {
		r.end(ctx, now, err)
		return true
	}
	if sendErr := r.send(eff.Send); sendErr != nil {
		r.end(ctx, now, sendErr)
		return true
	}
	if eff.Finish == nil {
		return false
	}
	failpoint.Hit("session-before-result")
	resErr := eff.Finish(ctx, now)
	failpoint.Hit("session-after-result")
	r.end(ctx, now, resErr)
	return true
}

// burn sets the flags in memory, then durably. A flag that cannot be kept ends the
// process: the pair would be used again.
func (r *run) burn(ctx context.Context, now time.Time, tokens []engine.Token) error {
	r.host.pairs.set(tokens)
	if r.host.cfg.Burned != nil {
		r.host.cfg.Burned(tokens)
	}
	failpoint.Hit("session-before-burn")
	var e journal.Entry
	for _, t := range tokens {
		count, err := r.host.countBurn(ctx, now, r.setup.KeyID, t.Peer)
		if err != nil {
			r.host.shut()
			r.host.cfg.Fatal(err)
			return err
		}
		e.Put = append(e.Put, burnRow(t, r.hash, now), count)
		e.Leaves = append(e.Leaves, tlog.Notes(tlog.KindBurn, now, [32]byte{}, sha256.Sum256(append(t.Key[:], t.Peer[:]...))))
	}
	e.Reserve = true
	if err := r.host.cfg.Journal.Write(context.WithoutCancel(ctx), e); err != nil {
		err = fmt.Errorf("keep the burn of %d pairs: %w", len(tokens), err)
		r.host.shut()
		r.host.cfg.Fatal(err)
		return err
	}
	failpoint.Hit("session-after-burn")
	for _, t := range tokens {
		r.host.cfg.Log.Error("pair burned", "peer", t.Peer, "key", fmt.Sprintf("%x", t.Key[:6]), "session", r.name())
	}
	r.host.cancelPairs(ctx, now, tokens, r)
	return nil
}

func (r *run) save(ctx context.Context, now time.Time, rows []engine.Record) error {
	e, err := r.task.Save(now, rows)
	if err != nil {
		return fmt.Errorf("seal what session %s must keep: %w", r.name(), err)
	}
	if err := r.host.cfg.Journal.Write(ctx, e); err != nil {
		return fmt.Errorf("keep what session %s must keep: %w", r.name(), err)
	}
	if r.task.Saved == nil {
		return nil
	}
	if err := r.task.Saved(ctx); err != nil {
		return fmt.Errorf("read back what session %s kept: %w", r.name(), err)
	}
	return nil
}

// send seals and sends. All is sealed before anything leaves.
func (r *run) send(msgs []engine.Msg) error {
	frames := make([][]byte, len(msgs))
	for i, m := range msgs {
		var err error
		if frames[i], err = r.channel.Seal(m); err != nil {
			return err
		}
	}
	for _, m := range msgs {
		if m.To != engine.Everyone {
			secret.Wipe(m.Body) // it leaves encrypted
		}
	}
	if len(frames) > 0 && r.machine.Last() {
		r.sentLast = true
	}
	failpoint.Hit("session-before-send")
	for i, m := range msgs {
		for _, p := range r.setup.Parties {
			if p.ID != r.host.cfg.Self && (m.To == engine.Everyone || m.To == p.ID) {
				r.host.cfg.Send(p.ID, frames[i])
			}
		}
	}
	failpoint.Hit("session-after-send")
	return nil
}

// keepEvidence logs that a party sent two different messages for one slot: once for each
// party, or the log would grow as fast as it can send.
func (r *run) keepEvidence(ctx context.Context, now time.Time, rej *engine.Rejected) {
	if rej.Proof == nil || r.proved[rej.From] {
		return
	}
	r.proved[rej.From] = true
	if err := r.host.cfg.Journal.Write(ctx, faultEntry(now, r, rej.Proof)); err != nil {
		r.host.cfg.Log.Error("evidence not kept", "session", r.name(), "error", err)
	}
}

// SilentError names whom a session waited for when its time was over.
type SilentError struct{ Waiting []engine.PartyID }

func (e *SilentError) Error() string {
	return fmt.Sprintf("nothing came from %v in time: check that their nodes run and are reachable, then try again", e.Waiting)
}

// declined ends a session that a party refused to join.
func (r *run) declined(ctx context.Context, now time.Time, by engine.PartyID, reason string, notYet bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, in := r.setup.Party(by); !in || r.ended || r.machine != nil {
		return
	}
	err := error(&DeclinedError{by, printable(reason), notYet})
	if by == r.setup.Opener { // somebody told it so, and it tells us: it is not in the way itself
		err = fmt.Errorf("its opener gave it up: %s", printable(reason))
		if notYet {
			err = fmt.Errorf("its opener gave it up: %w: %s", ErrNotYet, printable(reason))
		}
	}
	r.end(ctx, now, &engine.Fault{Check: "join", Class: engine.Transient, Err: err})
}

// maxReason bounds what is kept of a party's words, in bytes.
const maxReason = 512

// printable makes a peer's words safe for a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, s[:min(len(s), maxReason)])
}

// DeclinedError says that a party refused to join, in its own words.
type DeclinedError struct {
	By     engine.PartyID
	Reason string
	NotYet bool
}

func (e *DeclinedError) Error() string { return fmt.Sprintf("party %v declined: %s", e.By, e.Reason) }

func (e *DeclinedError) Unwrap() error {
	if e.NotYet {
		return ErrNotYet
	}
	return nil
}

func (r *run) stop(ctx context.Context, now time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.end(ctx, now, err)
	}
}

// NotBegunError wraps why a session ended before its protocol began: nothing was learned or
// sent but our Join.
type NotBegunError struct{ Err error }

func (e *NotBegunError) Error() string { return e.Err.Error() }
func (e *NotBegunError) Unwrap() error { return e.Err }

// end is the only way out: it keeps the fault, wipes, and tells the task.
func (r *run) end(ctx context.Context, now time.Time, err error) {
	if err != nil && r.machine == nil {
		err = &NotBegunError{err}
	}
	s := r.statusLocked()
	s.Ended, s.Err = now, err
	r.ended, r.joining = true, nil
	r.task.Hedge.Wipe()
	if r.channel != nil {
		r.channel.Wipe()
	}
	if m, ok := r.machine.(interface{ Abandon() }); ok { // wipes the stage, unless its session ended
		m.Abandon()
	}
	var fault *engine.Fault
	if errors.As(err, &fault) && fault.Class != engine.Transient {
		if logErr := r.host.cfg.Journal.Write(context.WithoutCancel(ctx), faultEntry(now, r, fault)); logErr != nil {
			r.host.cfg.Log.Error("fault not kept", "session", r.name(), "error", logErr)
		}
		fault.Evidence = nil // it is kept in its row, and would fill the memory
	}
	for _, body := range r.private { // a fault's row has what it needs
		secret.Wipe(body)
	}
	clear(r.private)
	r.host.forget(r, s)
	r.used(now)
	level := r.host.cfg.Log.Info
	if err != nil {
		level = r.host.cfg.Log.Warn
	}
	level("session ended", "session", r.name(), "protocol", r.setup.Protocol, "what", r.task.Title, "error", err)
	if r.task.Done != nil {
		r.task.Done(context.WithoutCancel(ctx), now, err, r.sentLast)
	}
}

// cancelPairs ends all other sessions in flight that use a burned pair.
func (h *Host) cancelPairs(ctx context.Context, now time.Time, tokens []engine.Token, but *run) {
	h.mu.Lock()
	open := h.all()
	h.mu.Unlock()
	for _, o := range open {
		if o == but || !slices.ContainsFunc(tokens, func(t engine.Token) bool { return slices.Contains(o.pairs, t) }) {
			continue
		}
		// Who holds the session may be waiting for the very locks that we hold. It reads the
		// flags again before it sends, and ends there; if it does nothing more, Tick ends it.
		if o.mu.TryLock() {
			o.overdue(ctx, now)
			o.mu.Unlock()
		}
	}
}

// shut begins nothing more.
func (h *Host) shut() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
}

package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

const (
	signTimeout = 20 * time.Second
	setupLife   = 5 * time.Minute // clocks may differ by that much
	turn        = 5 * time.Second // the next node may open after that
	retry       = 2 * time.Second // after a session failed, doubled each time
)

// Tick expires intents, decides where an endpoint was in the way, and returns the signing
// sessions that this node should open now.
func (d *Desk) Tick(ctx context.Context, now time.Time) (open []*mpc.Setup) {
	d.raise(ctx, now)
	for _, f := range d.moving() {
		s, err := d.moveOn(ctx, now, f)
		if err != nil {
			d.cfg.Log.Error("intent does not move on", "intent", f.stmt.ID().Short(), "error", err)
		}
		if s != nil {
			open = append(open, s)
		}
	}
	return open
}

// moveOn moves one. Whoever loses the store on the way does not come back, and leaves the lock open.
func (d *Desk) moveOn(ctx context.Context, now time.Time, f *file) (*mpc.Setup, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := d.move(ctx, now, f)
	d.settle(f)
	return s, err
}

func (d *Desk) move(ctx context.Context, now time.Time, f *file) (*mpc.Setup, error) {
	if f.admitting {
		return nil, nil
	}
	switch f.life.State() {
	case intent.Proposed, intent.Approving, intent.Allowed:
	default:
		return nil, nil
	}
	if !now.Before(f.life.Intent().Expires) {
		next, err := f.life.Apply(intent.Expire{}, now)
		if err == nil {
			err = d.cfg.Journal.Write(ctx, f.moved(next, f.notes(tlog.KindChain, now, f.stmt.ID())))
		}
		if err == nil {
			d.went(f, next)
		}
		return nil, err
	}
	d.recount(f)
	// An intent whose epoch or charter is over is denied for that at once, and not when somebody votes on it.
	// So is one whose proposal counts no more, or it would keep its nonce.
	over := d.outlived(f) || d.underCharter(f) != nil || d.mayDecide(f) && d.disowned(ctx, f)
	if d.mayDecide(f) && (over || (f.due || f.waits != "") && !now.Before(f.again)) {
		if err := d.decide(ctx, now, f); err != nil {
			return nil, err
		}
	}
	if f.life.State() == intent.Allowed {
		return d.plan(ctx, now, f)
	}
	return nil, nil
}

// plan says whether it is our turn to open the signing session: the signers are the t
// lowest-index reachable nodes with ALLOW, the lowest opens, each next one 5 s later.
func (d *Desk) plan(ctx context.Context, now time.Time, f *file) (*mpc.Setup, error) {
	it := f.life.Intent()
	v, err := d.vaultOf(it)
	if err != nil || f.payload == nil {
		return nil, err
	}
	if !d.serves(it) {
		f.waits = errOldEpoch.Error()
		return nil, nil
	}
	if f.life.Verdict(d.cfg.Operator) == intent.Allow {
		f.waits = ""
		if err := d.stands(ctx, now, f, v); err != nil {
			f.waits = err.Error()
			return nil, nil
		}
		if by, _, ok := d.rival(f, d.replaces(f), false); ok {
			f.waits = by.taken() // a signature appeared that this node knew nothing of when it allowed this one
			return nil, nil
		}
		if err := errors.Join(d.heldBack(now, v), d.cosigned(f, v)); err != nil {
			f.waits = err.Error()
			return nil, nil
		}
	}
	missing := f.missing()
	if len(missing) == 0 {
		return nil, fmt.Errorf("intent %s: all its signatures are known, and it is %s", f.stmt.ID().Short(), f.life.State())
	}
	use := f.payload.Uses()[missing[0]]
	w, err := d.root(v, use.Suite)
	if err != nil {
		f.waits = err.Error()
		return nil, nil
	}
	return d.opens(ctx, now, f, w, use)
}

// opens makes the setup of the session that makes a use's signature, if it is our turn to open it.
func (d *Desk) opens(ctx context.Context, now time.Time, f *file, v ceremony.View, use effect.Use) (*mpc.Setup, error) {
	signers, err := d.signers(ctx, now, v, f)
	if errors.Is(err, session.ErrTooManyFailures) {
		f.waits = err.Error()
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(signers) < v.Vault.Threshold && d.cfg.Unvetted != nil && f.life.Verdict(d.cfg.Operator) == intent.Allow {
		f.waits = d.cfg.Unvetted(v.Parties)
	}
	rank := slices.IndexFunc(signers, func(p mpc.Party) bool { return p.ID == d.cfg.Self })
	// The turns count from when anybody may open, also after a failure: two that open at the
	// same moment would refuse each other's session.
	from := f.allowedAt
	if f.next.After(from) {
		from = f.next
	}
	if len(signers) < v.Vault.Threshold || rank < 0 || now.Before(from.Add(time.Duration(rank)*turn)) {
		return nil, nil
	}
	r := v.Current.Record
	req, err := request(f.life.Intent(), f.stmt.ID(), use)
	if err != nil {
		return nil, err
	}
	s := &mpc.Setup{
		Protocol: protocol.ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Parties: signers, Payload: req.Encode(), NotAfter: now.Add(setupLife).UTC().Truncate(time.Second),
	}
	if !f.plain {
		if id, held := d.cfg.Presignatures.Next(now, v, signers); held {
			online := protocol.OnlineRequest{Request: req, Presignature: id}
			s.Protocol, s.Payload = protocol.ProtocolOnline, online.Encode()
		}
	}
	return s, nil
}

// serves says whether an intent may be signed as far as its epoch goes: approvals that were collected under another committee or
// threshold must not serve under this one.
func (d *Desk) serves(it intent.Intent) bool {
	return d.cfg.Named(it.Vault, it.Key, it.Epoch) == ceremony.Serves
}

// outlived says that an intent's epoch is over here: the key went to another committee or threshold.
func (d *Desk) outlived(f *file) bool {
	it := f.life.Intent()
	return d.cfg.Named(it.Vault, it.Key, it.Epoch) == ceremony.Over
}

var errOldEpoch = errors.New("the vault's key went to another committee or threshold since it was proposed: propose it anew")

// signers are the t lowest-index reachable nodes with ALLOW. Those with whom the key cannot
// be used are left out; so are those who failed the last session, if t others are there: one
// silent operator of a t-of-n vault must not halt it. Of sets whose sessions failed too often the next takes the place.
func (d *Desk) signers(ctx context.Context, now time.Time, v ceremony.View, f *file) ([]mpc.Party, error) {
	all, good, err := d.willing(ctx, now, v, f)
	if err != nil {
		return nil, err
	}
	t := v.Vault.Threshold
	if len(good) < t {
		good = all[:min(t, len(all))]
	}
	return d.cfg.Choose(ctx, now, v.Current.Record.KeyID, good, t)
}

func (d *Desk) reachable(v ceremony.View, id engine.PartyID) bool {
	if v.Current.Record.Rescued() {
		return d.cfg.There(id)
	}
	return d.cfg.Reachable(id)
}

// willing lists who could sign, and those of them whom we have no reason to leave out.
func (d *Desk) willing(ctx context.Context, now time.Time, v ceremony.View, f *file) (all, good []mpc.Party, err error) {
	unfit, err := d.cfg.Unfit(ctx, v.Current.Record.KeyID, protocol.PairKey(v.Current.Record))
	if err != nil {
		return nil, nil, err
	}
	for _, p := range v.Parties {
		there := p.ID == d.cfg.Self && v.Bare == "" || p.ID != d.cfg.Self && d.reachable(v, p.ID)
		if !there || unfit[p.ID] || f.life.Verdict(v.Names[p.ID]) != intent.Allow {
			continue
		}
		all = append(all, p)
		if !now.Before(f.skip[p.ID]) && !d.shuns(now, p.ID) {
			good = append(good, p)
		}
	}
	return all, good, nil
}

// avoids refuses a session with somebody who failed us lately, in whatever intent, while t
// others are there: one operator that opens sessions and lets them die must not keep the
// others from signing.
func (d *Desk) avoids(ctx context.Context, now time.Time, v ceremony.View, f *file, s *mpc.Setup) error {
	_, good, err := d.willing(ctx, now, v, f)
	if err != nil || len(good) < v.Vault.Threshold {
		return err
	}
	for _, p := range s.Parties {
		if p.ID != d.cfg.Self && d.shuns(now, p.ID) {
			return fmt.Errorf("intent %s: not now with %s: sessions with it failed, and others are there", f.stmt.ID().Short(), v.Names[p.ID])
		}
	}
	return nil
}

// Admit decides whether we take part in a signing session. The digest is derived again from
// the transaction that this node decoded; the record is our own.
func (d *Desk) Admit(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	req, err := requestOf(s)
	if err != nil {
		return nil, err
	}
	f, err := d.take(req.Intent)
	if err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return nil, err
	}
	i, w, err := d.mayJoin(ctx, now, v, f, s, req)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range s.Parties {
		names = append(names, w.Names[p.ID])
	}
	hash := s.Hash()
	next, err := f.life.Apply(intent.SessionStarted{Session: hash, Signers: names}, now)
	if err != nil {
		return nil, err
	}
	p, err := d.part(ctx, now, w, s, req)
	if err != nil {
		return nil, err
	}
	d.went(f, next)
	f.lastErr, f.waits, f.admitting, f.online = "", "", true, s.Protocol == protocol.ProtocolOnline
	admit := f.moved(next, f.notes(tlog.KindSession, now, hash))
	admit.Add(p.admit)
	return d.task(f, w, s, i, p, admit), nil
}

// requestOf reads the payload of a setup of either kind; the presignature is zero in three rounds.
func requestOf(s *mpc.Setup) (*protocol.OnlineRequest, error) {
	if s.Protocol == protocol.ProtocolOnline {
		return protocol.DecodeOnlineRequest(s.Payload)
	}
	req, err := protocol.DecodeRequest(s.Payload)
	if err != nil {
		return nil, err
	}
	return &protocol.OnlineRequest{Request: *req}, nil
}

// IntentOf is the intent that a signing session is over.
func IntentOf(s *mpc.Setup) (statement.ID, error) {
	req, err := requestOf(s)
	if err != nil {
		return statement.ID{}, err
	}
	return req.Intent, nil
}

// mayJoin holds a setup to what this node decided and holds itself, and finds which of the intent's signatures it is for, by which root.
func (d *Desk) mayJoin(ctx context.Context, now time.Time, v ceremony.View, f *file, s *mpc.Setup, req *protocol.OnlineRequest) (i int, w ceremony.View, err error) {
	if err := d.mayTakePart(ctx, now, v, f, s); err != nil {
		return 0, w, err
	}
	if i, w, err = d.asked(f, v, s, req); err != nil {
		return 0, w, err
	}
	if err := d.avoids(ctx, now, w, f, s); err != nil {
		return 0, w, err
	}
	r := w.Current.Record
	if err := protocol.CheckSigners(protocol.Seat{Setup: s, Self: d.cfg.Self}, r); err != nil {
		return 0, w, err
	}
	return i, w, d.cfg.Fit(ctx, now, s, protocol.PairKey(r))
}

// mayTakePart says why this node joins no session for an intent now, whichever of its signatures it is for.
func (d *Desk) mayTakePart(ctx context.Context, now time.Time, v ceremony.View, f *file, s *mpc.Setup) error {
	it := f.life.Intent()
	if now.Before(f.held) || now.Before(f.idle[s.Opener]) {
		return fmt.Errorf("intent %s: not now: a cancellation or rejection waits, or the opener's last session never began", f.stmt.ID().Short())
	}
	if s.Protocol == protocol.ProtocolOnline && f.plain {
		return fmt.Errorf("intent %s: an online session of it never began: it is signed in three rounds", f.stmt.ID().Short())
	}
	if err := f.life.CheckSign(d.cfg.Operator, now); err != nil {
		return err
	}
	if !d.serves(it) {
		return fmt.Errorf("intent %s: %w", f.stmt.ID().Short(), errOldEpoch)
	}
	if err := d.stands(ctx, now, f, v); err != nil {
		return err
	}
	if by, _, ok := d.rival(f, d.replaces(f), false); ok {
		return fmt.Errorf("intent %s: %s", f.stmt.ID().Short(), by.taken())
	}
	if err := errors.Join(d.heldBack(now, v), d.cosigned(f, v)); err != nil {
		return fmt.Errorf("intent %s: %w", f.stmt.ID().Short(), err)
	}
	return nil
}

// task is a session's. What it signs is what this node had decoded when it joined, under the file's lock.
func (d *Desk) task(f *file, v ceremony.View, s *mpc.Setup, i int, p *part, admit journal.Entry) *session.Task {
	message := f.payload.Uses()[i].Message
	return &session.Task{
		Admitted: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.admitting = false
		},
		Standing: ceremony.Standing(v.Current), Pairs: protocol.PairKey(v.Current.Record), Hedge: p.hedge, Timeout: p.timeout,
		Title: fmt.Sprintf("sign intent %s of vault %s%s", f.stmt.ID().Short(), v.Vault.Name, p.how), Admit: admit, Save: p.save,
		Begin: func(seat protocol.Seat) (session.Machine, error) {
			stage, err := p.first(seat, message)
			if err != nil {
				return nil, err
			}
			es, err := protocol.Engine(seat, stage)
			if err != nil {
				return nil, err
			}
			return session.NewMachine(es, p.rounds, func(ctx context.Context, now time.Time, sig *protocol.Signature) error {
				return d.release(ctx, now, f, s.Hash(), i, effect.Signature{Bytes: sig.Bytes, Recovery: sig.RecoveryID})
			}), nil
		},
		Done: func(ctx context.Context, now time.Time, err error, sentLast bool) {
			p.done(ctx, now, err)
			if failErr := d.over(ctx, now, f, v, s, i, err, sentLast); failErr != nil {
				d.cfg.Log.Error("failed session not noted", "intent", f.stmt.ID().Short(), "error", failErr)
			}
		},
	}
}

// release makes a signature durable, then gives it to everyone. It was verified by the
// protocol; the payload verifies it again, in the form that the chain knows.
func (d *Desk) release(ctx context.Context, now time.Time, f *file, session [32]byte, i int, sig effect.Signature) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.raw != nil {
		return nil // another signer's copy came first
	}
	all, whole := f.with(i, sig)
	if !whole {
		return d.goOn(ctx, now, f, session, i, sig)
	}
	signed, err := f.payload.Assemble(all)
	if err != nil {
		return err
	}
	id := f.stmt.ID()
	n := outbox.Note{Kind: NoteSigned, Fields: [][]byte{id[:], signed.Raw}}
	err = d.sign(now, f, signed.Raw, func(e journal.Entry) error { return d.cfg.Post(ctx, now, e, n) })
	if errors.Is(err, outbox.ErrOld) {
		return nil // another signer's copy came first
	}
	return err
}

// over takes note of a session's end, and of who was in its way.
func (d *Desk) over(ctx context.Context, now time.Time, f *file, v ceremony.View, s *mpc.Setup, i int, err error, sentLast bool) error {
	if err == nil {
		return d.forgive(ctx, now, s)
	}
	d.shunning.Lock()
	defer d.shunning.Unlock()
	idle, early := idled(s, err), d.tooEarly(v, f, err)
	var rows store.Batch
	if !idle && !early {
		rows = d.shun(now, s, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.admitting = false
	if sig, known := f.parts[i]; known && f.raw == nil { // another signer told it: the session failed here alone
		return errors.Join(d.goOn(ctx, now, f, s.Hash(), i, sig), d.keepRows(ctx, rows))
	}
	switch {
	case idle:
		return d.fallBack(ctx, now, f, s, err)
	case early:
		return d.comeBack(ctx, now, f, s, err)
	}
	f.remember(now, s.Opener, d.cfg.Self, err)
	return d.fail(ctx, now, f, s.Hash(), err, sentLast, rows)
}

// fail notes a session that ended without a signature here. After our last message left,
// others may hold one: the intent is not tried again, unless it needs another one, too. rows say who is shunned from now on.
func (d *Desk) fail(ctx context.Context, now time.Time, f *file, hash [32]byte, cause error, sentLast bool, rows store.Batch) error {
	if f.raw != nil {
		return d.keepRows(ctx, rows) // another party's signature came first
	}
	// While another signature is missing here it goes on; but whoever keeps back what each session made holds all of them in the end, and no honest node knows of one.
	ev := intent.SessionFailed{Session: hash, Class: classOf(cause), PossiblySigned: sentLast, Partial: len(f.missing()) > 1}
	notBegun, declined := (*session.NotBegunError)(nil), (*session.DeclinedError)(nil)
	if errors.As(cause, &notBegun) {
		f.idles++
		// Who declines where nobody can stand in ends the intent after a few tries.
		final := errors.As(cause, &declined) && !d.spare(ctx, f)
		ev.Idle = !final && f.idles%idlesPerAttempt != 0
	}
	if err := d.settled(ctx, now, f, ev, cause, rows); err != nil {
		return err
	}
	f.next = now.Add(retry << min(f.life.Attempts(), 2))
	if notBegun != nil && declined == nil {
		f.next = now.Add(idleFor + time.Second) // the others would refuse us before that
	}
	return nil
}

// settled makes the end of a session without signature durable together with who is shunned for it, unless another party's signature came first.
func (d *Desk) settled(ctx context.Context, now time.Time, f *file, ev intent.SessionFailed, cause error, rows store.Batch) error {
	if f.raw != nil {
		return d.keepRows(ctx, rows)
	}
	next, err := f.life.Apply(ev, now)
	if err != nil {
		return errors.Join(err, d.keepRows(ctx, rows))
	}
	e := f.moved(next, f.notes(tlog.KindFault, now, ev.Session))
	e.Put, e.Delete = append(e.Put, rows.Put...), append(e.Delete, rows.Delete...)
	if err := d.cfg.Journal.Write(ctx, e); err != nil {
		return err
	}
	d.went(f, next)
	f.lastErr = d.cfg.Explain(cause)
	return nil
}

// spare says whether more nodes than needed could sign: a single refusal then ends nothing.
func (d *Desk) spare(ctx context.Context, f *file) bool {
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return false
	}
	unfit, err := d.cfg.Unfit(ctx, v.Current.Record.KeyID, protocol.PairKey(v.Current.Record))
	n := 0
	for _, p := range v.Parties {
		if !unfit[p.ID] && f.life.Verdict(v.Names[p.ID]) == intent.Allow {
			n++
		}
	}
	return err == nil && n > v.Vault.Threshold
}

// idlesPerAttempt sessions that never began count as one attempt: an intent that cannot be
// signed ends before its time.
const idlesPerAttempt = 8

const (
	skipFor = time.Minute     // whom a session waited for in vain, or who failed it
	idleFor = 5 * time.Second // an opener whose session never began
)

// remember notes who was in a failed session's way.
func (f *file) remember(now time.Time, opener, self engine.PartyID, err error) {
	var notBegun *session.NotBegunError
	if errors.As(err, &notBegun) && opener != self {
		f.idle = with(f.idle, opener, now.Add(idleFor))
	}
	for _, p := range session.Culprits(err) {
		f.skip = with(f.skip, p, now.Add(skipFor))
	}
}

func with(m map[engine.PartyID]time.Time, p engine.PartyID, until time.Time) map[engine.PartyID]time.Time {
	if m == nil {
		m = map[engine.PartyID]time.Time{}
	}
	m[p] = until
	return m
}

// classOf is how a session failed, in the intent's terms. Refusals and lag before the
// protocol began are transient; a burned pair and everything unknown are not.
func classOf(err error) intent.FailureClass {
	var fault *engine.Fault
	var burned *session.BurnedError
	var behind *mpc.StandingError
	switch {
	case errors.As(err, &burned):
		return intent.BurnPair
	case errors.As(err, &behind), errors.Is(err, errRestarted):
		return intent.Transient
	case !errors.As(err, &fault):
		return intent.Unattributed
	}
	switch fault.Class {
	case engine.Transient:
		return intent.Transient
	case engine.Blame:
		return intent.Blame
	case engine.BurnPair:
		return intent.BurnPair
	}
	return intent.Unattributed
}

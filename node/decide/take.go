package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// writer makes an entry durable together with the note that it belongs to.
type writer = func(journal.Entry) error

var fieldCount = map[outbox.Kind]int{NoteProposal: 2, NoteVote: 3, NoteDecision: 2, NoteCancel: 2, NoteSigned: 2, NotePast: 3, NotePart: 3}

// Take checks a note, whether it came from a peer or from a person at this node's door, and
// rules again on its intent.
func (d *Desk) Take(ctx context.Context, now time.Time, n outbox.Note, write writer) error {
	err := d.route(ctx, now, n, write)
	if errors.Is(err, intent.ErrFuture) {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err) // clocks get mended
	}
	return err
}

func (d *Desk) route(ctx context.Context, now time.Time, n outbox.Note, write writer) error {
	if want := fieldCount[n.Kind]; len(n.Fields) != want {
		return fmt.Errorf("note of kind %#x has %d fields, not %d", uint8(n.Kind), len(n.Fields), want)
	}
	f := n.Fields
	switch n.Kind {
	case NoteProposal:
		return d.propose(ctx, now, f[0], f[1], write)
	case NoteVote:
		return d.vote(ctx, now, f[0], signet.Verb(f[1]), f[2], write)
	case NoteDecision:
		return d.decision(now, f[0], f[1], write)
	case NoteCancel:
		return d.cancel(now, f[0], f[1], write)
	case NotePast:
		return d.takePast(ctx, now, f, write)
	case NotePart:
		return d.takePart(now, f[0], f[1], f[2], write)
	default:
		return d.signed(now, f[0], f[1], write)
	}
}

func (d *Desk) propose(ctx context.Context, now time.Time, raw, armored []byte, write writer) error {
	s, err := statement.ParseKind(raw, statement.Intent)
	if err != nil {
		return err
	}
	it, err := intent.Of(s)
	if err != nil {
		return err
	}
	v, err := d.vaultOf(it)
	if err != nil {
		return err
	}
	if _, err := intent.VerifyProposal(s, armored, d.officers(v.Vault, it.Initiator), now); err != nil {
		return err
	}
	if x, _ := d.cfg.Charter(); x.ID != it.Charter {
		return fmt.Errorf("intent %s: %w", s.ID().Short(), errOldCharter)
	}
	if it.Key == v.KeyID && d.cfg.Named(it.Vault, it.Key, it.Epoch) == ceremony.Unknown {
		// The final certificate is on its way. Whose decisions count is of the epoch, so it is not guessed.
		return fmt.Errorf("%w: intent %s names epoch %.6x of vault %s, which is not in force here yet", outbox.ErrLater, s.ID().Short(), it.Epoch, v.Title())
	}
	life, err := intent.New(s, v.Vault, now)
	if err != nil {
		return err
	}
	f := &file{stmt: s, proposal: armored, life: life, decisions: map[string]ruling{}, others: map[string]ruling{}}
	if err := d.mayPropose(ctx, f, v); err != nil {
		return err
	}
	d.decode(f, v) // its nonce is claimed before anything is ruled on it
	f.mu.Lock()
	defer f.mu.Unlock()
	d.mu.Lock()
	first := d.files[s.ID()]
	if err := d.damaged[s.ID()]; err != nil {
		d.mu.Unlock()
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	if first == nil && d.open[initiator{it.Vault, it.Initiator}] >= MaxOpen {
		d.mu.Unlock()
		return &CrowdedError{it.Initiator, v.Vault.Name}
	}
	if first == nil {
		d.files[s.ID()], d.live[s.ID()] = f, f
		d.track(f)
	}
	d.mu.Unlock()
	if first != nil {
		return first.arrived()
	}
	e := f.moved(f.life, f.proposed(now))
	e.Put = append(e.Put, store.Entry{Key: proposalKey(s.ID()), Value: encodeProposal(s, armored)})
	if err := write(e); err != nil {
		d.drop(f)
		return err
	}
	return d.decide(ctx, now, f)
}

// drop lets go of a file that could not be made durable. The caller holds its lock.
func (d *Desk) drop(f *file) {
	f.gone = true
	d.mu.Lock()
	defer d.mu.Unlock()
	id := f.stmt.ID()
	delete(d.files, id)
	delete(d.live, id)
	d.untrack(id)
	d.debit(f)
}

// arrived waits until the first copy of a proposal is durable here: a second one, by another
// way or with another valid signature, tells nothing new.
func (f *file) arrived() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return fmt.Errorf("%w: intent %s could not be kept", outbox.ErrLater, f.stmt.ID().Short())
	}
	return outbox.ErrOld
}

func (d *Desk) fileOf(raw []byte) (*file, error) {
	if len(raw) != 32 {
		return nil, fmt.Errorf("intent id has %d bytes, not 32", len(raw))
	}
	f, err := d.take(statement.ID(raw))
	if errors.Is(err, ErrUnknown) {
		return nil, fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	return f, err
}

// hold keeps sessions from beginning while a cancellation or rejection that came during a
// session waits to be brought again.
func (f *file) hold(now time.Time) error {
	f.held = now.Add(holdFor)
	return fmt.Errorf("%w: intent %s is in a signing session; it is heard when that ends", outbox.ErrLater, f.stmt.ID().Short())
}

const holdFor = time.Minute

func (d *Desk) vote(ctx context.Context, now time.Time, id []byte, verb signet.Verb, armored []byte, write writer) error {
	f, err := d.fileOf(id)
	if err != nil {
		return err
	}
	defer f.mu.Unlock()
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return err
	}
	if err := d.underCharter(f); err != nil {
		return err
	}
	vote, err := intent.VerifyVote(f.stmt, v.Vault, verb, armored, now)
	if err != nil {
		return err
	}
	if verb == signet.Reject && d.emergency(ctx, f, v).rules() {
		return fmt.Errorf("intent %s: the plan of SOS is the rule, and nobody's rejection counts", f.stmt.ID().Short())
	}
	if verb == signet.Reject && f.life.State() == intent.Signing {
		return f.hold(now)
	}
	if slices.ContainsFunc(f.votes, func(b ballot) bool { return b.vote.Verb == verb && slices.Equal(b.armored, armored) }) {
		return outbox.ErrOld
	}
	next, err := f.life.Apply(intent.Answer{Vote: vote}, now)
	if err != nil {
		return err
	}
	votes := append(slices.Clone(f.votes), ballot{vote, armored})
	e := f.moved(next, f.says(tlog.KindVote, now, armored))
	e.Reserve = verb == signet.Reject
	e.Put = append(e.Put, store.Entry{Key: voteKey(f.stmt.ID(), len(votes)), Value: encodeVote(verb, armored)})
	if err := write(e); err != nil {
		return err
	}
	d.went(f, next)
	f.votes, f.again = votes, time.Time{}
	return d.decide(ctx, now, f)
}

// decide publishes our verdict as soon as there is one. After an error it is due again at the
// next tick.
func (d *Desk) decide(ctx context.Context, now time.Time, f *file) error {
	err := d.publish(ctx, now, f)
	if f.due = err != nil; f.due {
		d.went(f, f.life) // the nonce is not claimed for an ALLOW that is not said
	}
	return err
}

func (d *Desk) publish(ctx context.Context, now time.Time, f *file) error {
	if !d.mayDecide(f) {
		return nil
	}
	d.recount(f)
	// From the totals to the debit nothing else of the vault is allowed: two that fit the limit each may not fit it together.
	b := d.book(f.life.Intent().Vault)
	b.Lock()
	defer b.Unlock()
	r, facts, sos, err := d.rule(ctx, now, f)
	if err != nil || r.Verdict == intent.Wait {
		return err
	}
	var salt statement.Salt
	if _, err := d.cfg.Rand.Read(salt[:]); err != nil {
		return fmt.Errorf("decide on intent %s: draw a salt: %w", f.stmt.ID().Short(), err)
	}
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return err
	}
	dec := intent.NewDecision(f.stmt, v.Vault, d.cfg.Operator, r, facts, now)
	s, err := dec.Statement(salt)
	if err != nil {
		return err
	}
	sig, err := signet.SignNode(d.cfg.Identity, s)
	if err != nil {
		return err
	}
	n := outbox.Note{Kind: NoteDecision, Fields: [][]byte{s.Bytes(), sig}}
	post := func(e journal.Entry) error { return d.cfg.Post(ctx, now, e, n) }
	return d.enter(now, f, sos.counted(ctx, now, f.life.Intent().Vault, r.Verdict, post), ruling{dec, s, sig})
}

// enter adds verified decisions of different operators to a file, at once.
func (d *Desk) enter(now time.Time, f *file, write writer, rs ...ruling) (err error) {
	next, leaves := f.life, []tlog.Filed{}
	for _, r := range rs {
		if next, err = next.Apply(intent.Decided{Operator: r.decision.Operator, Verdict: r.decision.Verdict}, now); err != nil {
			return err
		}
		kind := tlog.KindHeard
		if r.decision.Operator == d.cfg.Operator {
			kind = tlog.KindDecision
		}
		leaves = append(leaves, f.says(kind, now, r.stmt.Bytes(), r.sig))
	}
	e := f.moved(next, leaves...)
	for _, r := range rs {
		e.Put = append(e.Put, r.row(f.shelf(r)))
		e.Reserve = e.Reserve || r.decision.Verdict == intent.Deny
		d.compare(now, f, next, r, &e)
	}
	clear := d.clears(f, next, &e)
	if err := write(e); err != nil {
		return err
	}
	if clear {
		d.doubted(f.stmt.ID(), wait{})
	}
	if f.life.State() != intent.Allowed && next.State() == intent.Allowed {
		f.allowedAt = now
	}
	d.went(f, next)
	for _, r := range rs {
		f.shelve(r)
		if r.decision.Operator == d.cfg.Operator && r.decision.Verdict == intent.Allow {
			d.note(f)
		}
	}
	return nil
}

// shelf is where a decision is kept: the first of its operator, or what contradicts it.
func (f *file) shelf(r ruling) string {
	if first, ok := f.decisions[r.decision.Operator]; ok && first.decision.Verdict != r.decision.Verdict {
		return kindContrary
	}
	return kindDecision
}

func (f *file) shelve(r ruling) {
	if f.shelf(r) == kindContrary {
		f.others[r.decision.Operator] = r
		return
	}
	f.decisions[r.decision.Operator] = r
}

// compare raises an alarm if a decision contradicts another.
func (d *Desk) compare(now time.Time, f *file, next intent.Life, r ruling, e *journal.Entry) {
	other, by := f.disagrees(r.decision), r.decision.Operator
	if other == "" && slices.Contains(next.Both(), by) && !slices.Contains(f.life.Both(), by) {
		other = by + " said both ALLOW and DENY"
	}
	if other != "" {
		d.cfg.Log.Error("nodes' decisions contradict", "intent", f.stmt.ID().Short(), "what", other)
		e.Leaves = append(e.Leaves, f.says(tlog.KindAlarm, now, []byte("nodes' decisions contradict: "+other)))
	}
}

// disagrees finds a node whose decoded facts differ from these.
func (f *file) disagrees(x intent.Decision) string {
	for _, r := range f.decisions {
		if r.decision.Operator != x.Operator {
			if what := intent.DifferentFacts(r.decision, x); what != "" {
				return what
			}
		}
	}
	return ""
}

func (d *Desk) decision(now time.Time, raw, sig []byte, write writer) error {
	s, err := statement.ParseKind(raw, statement.Decision)
	if err != nil {
		return err
	}
	id := s.Fields().ID("intent")
	f, err := d.fileOf(id[:])
	if err != nil {
		return err
	}
	defer f.mu.Unlock()
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return err
	}
	r, ok := d.cfg.Roster(v.Vault.Roster)
	if !ok {
		return fmt.Errorf("%w: roster %s is not in force here", outbox.ErrLater, v.Vault.Roster.Short())
	}
	dec, err := intent.VerifyDecision(s, sig, v.Vault, r)
	if err != nil {
		return err
	}
	if dec.Operator == d.cfg.Operator {
		if own, ok := f.decisions[dec.Operator]; ok && own.stmt.ID() == s.ID() {
			return outbox.ErrOld
		}
		return &fence.ClonedError{ID: s.ID(), What: "decision"}
	}
	old, ok := f.decisions[dec.Operator]
	other, both := f.others[dec.Operator]
	if ok && old.stmt.ID() == s.ID() || both && other.stmt.ID() == s.ID() {
		return outbox.ErrOld
	}
	if _, can := bare(s, dec, f.life.Intent()); dec.Verdict == intent.Allow && !can {
		return fmt.Errorf("decision %s: %s allows other facts than the intent's, or writes as no node does: nobody who comes later could be shown it", s.ID().Short(), dec.Operator)
	}
	if both || ok && old.decision.Verdict == dec.Verdict {
		return fmt.Errorf("decision %s: %s decided before, in other bytes", s.ID().Short(), dec.Operator)
	}
	return d.enter(now, f, write, ruling{dec, s, sig})
}

func (d *Desk) cancel(now time.Time, raw, armored []byte, write writer) error {
	s, err := statement.ParseKind(raw, statement.Cancel)
	if err != nil {
		return err
	}
	id := s.Fields().ID("intent")
	f, err := d.fileOf(id[:])
	if err != nil {
		return err
	}
	defer f.mu.Unlock()
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return err
	}
	if _, err := intent.VerifyCancel(s, f.stmt, d.officers(v.Vault, f.life.Intent().Initiator), armored); err != nil {
		return err
	}
	switch f.life.State() {
	case intent.Signing:
		return f.hold(now)
	case intent.Cancelled:
		return outbox.ErrOld
	}
	next, err := f.life.Apply(intent.Cancel{}, now)
	if err != nil {
		return err
	}
	e := f.moved(next, f.says(tlog.KindPrivate, now, s.Bytes(), armored))
	e.Reserve = true
	if err := write(e); err != nil {
		return err
	}
	d.went(f, next)
	return nil
}

// signed takes a signature that others made: it verifies by itself.
func (d *Desk) signed(now time.Time, id, raw []byte, write writer) error {
	f, err := d.fileOf(id)
	if err != nil {
		return err
	}
	defer f.mu.Unlock()
	return d.sign(now, f, raw, write)
}

// sign adds a signed payload to a file: it must be this very one, signed by the vault's key at
// the intent's path.
func (d *Desk) sign(now time.Time, f *file, raw []byte, write writer) error {
	if f.payload == nil {
		v, err := d.vaultOf(f.life.Intent())
		if err != nil {
			return err
		}
		if d.decode(f, v); f.payload == nil {
			return errNotDecoded
		}
	}
	signed, err := f.payload.ParseSigned(raw)
	if err != nil {
		return fmt.Errorf("what is signed for intent %s: %w", f.stmt.ID().Short(), err)
	}
	if f.raw != nil {
		return outbox.ErrOld
	}
	next, err := f.life.Apply(intent.SignatureMade{Hash: signed.Name}, now)
	if err != nil {
		return err
	}
	made := f.says(tlog.KindSigned, now, raw)
	made.ID = signed.ID
	e := f.moved(next, made)
	e.Put = append(e.Put, store.Entry{Key: rawKey(f.stmt.ID()), Value: raw})
	for i := range f.parts {
		e.Delete = append(e.Delete, partKey(f.stmt.ID(), i))
	}
	early := next.Unallowed()
	switch {
	case early:
		d.doubts(f, now, &e)
	case next.Alarm() != "":
		d.cfg.Log.Error("signature of a closed intent", "what", next.Alarm())
		e.Leaves = append(e.Leaves, f.says(tlog.KindAlarm, now, []byte(next.Alarm())))
	}
	if err := write(e); err != nil {
		return err
	}
	if early {
		d.doubted(f.stmt.ID(), wait{first: now, last: now})
	}
	d.went(f, next)
	if d.cfg.Signed != nil {
		d.cfg.Signed(f.life.Intent().Vault)
	}
	f.raw, f.parts = raw, nil
	d.settle(f)
	return nil
}

// OnChain takes news of a signed transaction from this node's own endpoint.
func (d *Desk) OnChain(ctx context.Context, now time.Time, id statement.ID, ev intent.Event) error {
	f, err := d.take(id)
	if err != nil {
		return err
	}
	defer f.mu.Unlock()
	next, err := f.life.Apply(ev, now)
	if err != nil {
		return err
	}
	if next.State() == f.life.State() {
		return nil
	}
	write := d.tookPlace(ctx, now, f, ev, func(e journal.Entry) error { return d.cfg.Journal.Write(ctx, e) })
	if err := write(f.moved(next, f.notes(tlog.KindChain, now, id))); err != nil {
		return err
	}
	d.went(f, next)
	d.settle(f)
	return nil
}

// moved is the row of a file whose life went on, and the leaves that tell by what.
func (f *file) moved(next intent.Life, leaves ...tlog.Filed) journal.Entry {
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: intentKey(f.stmt.ID()), Value: next.Bytes()}}},
		Leaves: leaves,
	}
}

// proposed tells of the intent itself.
func (f *file) proposed(now time.Time) tlog.Filed {
	return tlog.Says(tlog.KindPrivate, now, f.life.Intent().Vault, f.stmt.Bytes(), f.proposal)
}

// says tells of something about the intent.
func (f *file) says(kind string, now time.Time, content []byte, signatures ...[]byte) tlog.Filed {
	return tlog.Says(kind, now, f.life.Intent().Vault, content, signatures...).On(f.stmt.ID())
}

func (f *file) notes(kind string, now time.Time, id [32]byte) tlog.Filed {
	return tlog.Notes(kind, now, f.life.Intent().Vault, id).On(f.stmt.ID())
}

package decide

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/ledger"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// A node that was away while an intent lived, came later, or lost its disk, takes no proposal of it any more; yet the intent may be signed, and
// what was given out counts in its limits too. So it is brought a note of the past: the intent with the ALLOWs of operators enough for a
// signature (spec/node 10). Nobody's word is needed for that: who is honest allows only what the rules permit.

// expected is how long after an intent's end it counts in some window, or may.
const expected = ledger.Longest + intent.Skew

// gone says that an intent counts in no window any more.
func gone(it intent.Intent, now time.Time) bool { return now.Sub(it.Expires) >= expected }

const (
	fieldDecision transcript.Tag = iota + 1
	fieldNodeSignature
)

// An allow is an operator's ALLOW as a note of the past carries it: without the facts, which are the intent's own (rule shown).
type allow struct {
	decision  statement.Statement
	signature []byte
}

func encodeAllows(all []allow) []byte {
	var e transcript.Encoder
	return e.List(1, len(all), func(i int, e *transcript.Encoder) {
		e.Bytes(fieldDecision, all[i].decision.Bytes()).Bytes(fieldNodeSignature, all[i].signature)
	}).Sum()
}

func decodeAllows(b []byte) (all []allow, err error) {
	d := transcript.NewDecoder(b)
	d.List(1, 2, statement.MaxOperators, func(_ int, d *transcript.Decoder) {
		raw, sig := d.Bytes(fieldDecision, outbox.MaxNote), bytes.Clone(d.Fixed(fieldNodeSignature, 64))
		if d.Err() != nil {
			return
		}
		s, err := statement.ParseKind(raw, statement.Decision)
		if err != nil {
			d.Fail(fieldDecision, err)
		}
		all = append(all, allow{s, sig})
	})
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode ALLOWs of the past: %w", err)
	}
	return all, nil
}

// bare is an ALLOW without its facts, from which a note of the past gives the whole again; ok is false if that cannot be: its facts are not the
// intent's, or it is not written as nodes write.
func bare(s statement.Statement, d intent.Decision, it intent.Intent) (out statement.Statement, ok bool) {
	d.Facts = nil
	out, err := d.Statement(s.Salt())
	if err != nil {
		return out, false
	}
	whole, err := filled(out, it)
	return out, err == nil && whole.ID() == s.ID()
}

// filled is an ALLOW with the intent's facts.
func filled(bare statement.Statement, it intent.Intent) (statement.Statement, error) {
	d, err := intent.DecisionOf(bare)
	if err != nil {
		return bare, err
	}
	d.Facts = it.Facts
	return d.Statement(bare.Salt())
}

// past makes the note of an intent that operators enough are known to have allowed; ok is false of any other. The caller holds the file's lock.
func (f *file) past() (n outbox.Note, ok bool) {
	var all []allow
	for _, by := range slices.Sorted(maps.Keys(f.decisions)) {
		for _, r := range []ruling{f.decisions[by], f.others[by]} {
			if r.decision.Verdict != intent.Allow {
				continue
			}
			if s, ok := bare(r.stmt, r.decision, f.life.Intent()); ok {
				all = append(all, allow{s, r.sig})
			}
		}
	}
	if !f.life.Suffices() || f.payload == nil || len(all) < 2 {
		return n, false
	}
	n = outbox.Note{Kind: NotePast, Fields: [][]byte{f.stmt.Bytes(), f.proposal, encodeAllows(all)}}
	return n, len(n.Encode()) <= outbox.MaxNote
}

// takePast takes an intent that this node did not hear of in its time, or whose ALLOWs it did not hear.
func (d *Desk) takePast(ctx context.Context, now time.Time, fields [][]byte, write writer) error {
	f, rulings, err := d.readPast(now, fields)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d.mu.Lock()
	id := f.stmt.ID()
	known, damaged := d.files[id], d.damaged[id]
	if known == nil && damaged == nil {
		d.files[id], d.live[id] = f, f
		d.track(f)
	}
	d.mu.Unlock()
	switch {
	case damaged != nil:
		return fmt.Errorf("%w: %w", outbox.ErrLater, damaged)
	case known != nil:
		return d.hear(now, id, rulings, write)
	}
	leaves := []tlog.Filed{f.proposed(now)}
	for _, r := range rulings {
		leaves = append(leaves, f.says(tlog.KindHeard, now, r.stmt.Bytes(), r.sig))
	}
	e := f.moved(f.life, leaves...)
	e.Put = append(e.Put, store.Entry{Key: proposalKey(id), Value: encodeProposal(f.stmt, f.proposal)})
	for _, r := range rulings {
		e.Put = append(e.Put, r.row(kindDecision))
	}
	if err := write(e); err != nil {
		d.drop(f)
		return err
	}
	d.cfg.Log.Warn("heard late of an intent that may be signed: it counts in the limits", "intent", id.Short(), "state", f.life.State().String())
	d.settle(f)
	return errors.Join(d.cloned(rulings), d.decide(ctx, now, f))
}

// cloned finds an ALLOW of this node's own among what it did not know.
func (d *Desk) cloned(fresh []ruling) error {
	for _, r := range fresh {
		if r.decision.Operator == d.cfg.Operator {
			return ownWord(r)
		}
	}
	return nil
}

// ownWord is a decision of this node's own that its store does not hold.
func ownWord(r ruling) error {
	return &fence.ClonedError{ID: r.stmt.ID(), What: "decision", At: r.decision.Created}
}

// hear adds ALLOWs to an intent that is known.
func (d *Desk) hear(now time.Time, id statement.ID, rulings []ruling, write writer) error {
	f, err := d.take(id)
	if err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	defer f.mu.Unlock()
	var fresh []ruling
	for _, r := range rulings {
		by := r.decision.Operator
		if own := f.decisions[by]; by == d.cfg.Operator && own.stmt.ID() != r.stmt.ID() && own.decision.Verdict == intent.Allow {
			return ownWord(r)
		}
		if _, both := f.others[by]; !both && f.life.Verdict(by) != intent.Allow {
			fresh = append(fresh, r)
		}
	}
	if len(fresh) == 0 {
		return outbox.ErrOld
	}
	if err := d.enter(now, f, write, fresh...); err != nil {
		return err
	}
	return d.cloned(fresh)
}

// readPast checks a note of the past by itself: the intent under the charter and the committee that it names, as they were when it was made.
func (d *Desk) readPast(now time.Time, fields [][]byte) (*file, []ruling, error) {
	s, err := statement.ParseKind(fields[0], statement.Intent)
	if err != nil {
		return nil, nil, err
	}
	it, err := intent.Of(s)
	if err != nil {
		return nil, nil, err
	}
	if gone(it, now) {
		return nil, nil, outbox.ErrOld
	}
	if d.stranger(it.Vault) {
		return nil, nil, outbox.ErrOld // limits are not its matter; should it come to hold the vault it is told anew
	}
	v, err := d.vaultOf(it)
	if err != nil {
		return nil, nil, err
	}
	if err := d.inTime(now, it, v); err != nil {
		return nil, nil, fmt.Errorf("intent %s: %w", s.ID().Short(), err)
	}
	then, ok := v, false
	if then.Vault, ok = d.cfg.TermsThen(v.Vault, it.Charter, it.Created.Add(-intent.Skew)); !ok {
		return nil, nil, fmt.Errorf("%w: charter %s is not in force here", outbox.ErrLater, it.Charter.Short())
	}
	if it.Created.Sub(now) > intent.Skew {
		return nil, nil, intent.ErrFuture
	}
	if _, err := intent.VerifyProposal(s, fields[1], d.officers(then.Vault, it.Initiator), it.Created); err != nil {
		return nil, nil, err
	}
	rulings, err := d.readAllows(s, it, then, fields[2])
	if errors.Is(err, errFew) && d.cfg.Named(it.Vault, it.Key, it.Epoch) == ceremony.Unknown && d.cfg.Lost != nil && d.cfg.Lost(it.Vault, it.Created) {
		return nil, nil, fmt.Errorf("%w: intent %s: it names epoch %.6x, and this node may have lost that: %w", outbox.ErrLater, s.ID().Short(), it.Epoch, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("intent %s: %w", s.ID().Short(), err)
	}
	f := &file{stmt: s, proposal: fields[1], decisions: map[string]ruling{}, others: map[string]ruling{}, allowedAt: now}
	if f.life, err = d.lifeOf(now, s, fields[1], v, rulings); err != nil {
		return nil, nil, err
	}
	for _, r := range rulings {
		f.decisions[r.decision.Operator] = r
	}
	if d.decode(f, v); f.payload == nil {
		return nil, nil, fmt.Errorf("intent %s: %w", s.ID().Short(), errNotDecoded)
	}
	return f, rulings, nil
}

// inTime refuses what was made after the epoch that it names was over here for long: who held the key then, and does not now, could fill limits for
// ever. An epoch that is not known may be on its way while the intent lives.
func (d *Desk) inTime(now time.Time, it intent.Intent, v ceremony.View) error {
	unknown := d.cfg.Named(it.Vault, it.Key, it.Epoch) == ceremony.Unknown
	if unknown && it.Key == v.KeyID && now.Before(it.Expires) {
		return fmt.Errorf("%w: it names epoch %.6x, which is not in force here yet", outbox.ErrLater, it.Epoch)
	}
	if end := d.cfg.Ended(it.Vault, it.Key, it.Epoch); !end.IsZero() && it.Created.Sub(end) > heardFor {
		return fmt.Errorf("it was made at %s, and the epoch that it names was over at %s", statement.FormatTime(it.Created), statement.FormatTime(end))
	}
	return nil
}

// stranger says that this node knows a vault, holds no share of it, and is not about to.
func (d *Desk) stranger(vault statement.ID) bool {
	roots := d.cfg.Vault(vault)
	return len(roots) > 0 && !slices.ContainsFunc(roots, func(v ceremony.View) bool { return !v.Outside || v.Coming })
}

// lifeOf is the life of an intent that is heard of late: it may live here still, and was not let in while its initiator had too many others.
func (d *Desk) lifeOf(now time.Time, s statement.Statement, armored []byte, v ceremony.View, rulings []ruling) (l intent.Life, err error) {
	it, err := intent.VerifyProposal(s, armored, d.officers(v.Vault, s.Get("initiator")), now)
	if x, _ := d.cfg.Charter(); err == nil && x.ID == it.Charter && d.serves(it) {
		l, err = intent.New(s, v.Vault, now)
		for _, r := range rulings {
			if err == nil {
				l, err = l.Apply(intent.Decided{Operator: r.decision.Operator, Verdict: intent.Allow}, now)
			}
		}
		return l, err
	}
	var names []string
	for _, r := range rulings {
		names = append(names, r.decision.Operator)
	}
	return intent.Past(s, v.Vault, names, now)
}

var errFew = errors.New("fewer ALLOWs than the vault's threshold")

// readAllows verifies the ALLOWs of operators enough for a signature.
func (d *Desk) readAllows(s statement.Statement, it intent.Intent, v ceremony.View, raw []byte) (out []ruling, err error) {
	all, err := decodeAllows(raw)
	if err != nil {
		return nil, err
	}
	r, ok := d.cfg.Roster(v.Vault.Roster)
	if !ok {
		return nil, fmt.Errorf("%w: roster %s is not in force here", outbox.ErrLater, v.Vault.Roster.Short())
	}
	last := ""
	for _, a := range all {
		dec, err := intent.DecisionOf(a.decision)
		if err != nil {
			return nil, err
		}
		if len(dec.Facts) > 0 || dec.Intent != s.ID() || dec.Verdict != intent.Allow || dec.Operator <= last {
			return nil, fmt.Errorf("ALLOW of %s: it has facts, is of another intent, no ALLOW, or out of order", dec.Operator)
		}
		last = dec.Operator
		if !slices.Contains(v.Vault.Committee, dec.Operator) {
			continue // of a committee that this node never knew
		}
		whole, err := filled(a.decision, it)
		if err != nil {
			return nil, err
		}
		if dec, err = intent.VerifyDecision(whole, a.signature, v.Vault, r); err != nil {
			return nil, err
		}
		out = append(out, ruling{dec, whole, a.signature})
	}
	if len(out) < v.Vault.Threshold {
		return nil, fmt.Errorf("%w: %d of %s, not %d", errFew, len(out), v.Vault.Name, v.Vault.Threshold)
	}
	return out, nil
}

// Lacks says whether a peer that answers *later* to a note need not be sent it again, since it never will know the intent. If the intent may
// be signed, the peer is told of it as of the past, once.
func (d *Desk) Lacks(now time.Time, p outbox.Peer, n outbox.Note) (enough bool) {
	id, ok := intentOf(n)
	if !ok {
		return false
	}
	f, err := d.file(id)
	if err != nil || !f.mu.TryLock() {
		return false
	}
	defer f.mu.Unlock()
	it := f.life.Intent()
	if n.Kind == NotePast {
		return gone(it, now)
	}
	if told, done := f.toldAt[p]; done && now.Sub(told) < heardFor {
		return false
	} else if !done && f.life.Suffices() && !gone(it, now) && d.holds(p, it) {
		if f.toldAt == nil {
			f.toldAt = map[outbox.Peer]time.Time{}
		}
		f.toldAt[p] = now
		d.mu.Lock()
		d.owed = append(d.owed, Owed{p, id})
		d.mu.Unlock()
		return false
	}
	return now.Sub(it.Expires) > heardFor
}

// holds says whether a peer holds a share of an intent's key, or may be about to: limits are its matter.
func (d *Desk) holds(p outbox.Peer, it intent.Intent) bool {
	return slices.ContainsFunc(d.cfg.Vault(it.Vault), func(v ceremony.View) bool {
		here := v.Plan != nil || slices.ContainsFunc(v.Parties, func(x mpc.Party) bool { return x.ID == p })
		return v.Current != nil && v.Current.Record.KeyID == it.Key && here
	})
}

// Owed is what a peer is to be told of the past.
type Owed struct {
	Peer   outbox.Peer
	Intent statement.ID
}

// Tell hands over what peers are to be told of the past.
func (d *Desk) Tell(send func(outbox.Peer, outbox.Note) error) error {
	d.mu.Lock()
	owed := d.owed
	d.owed = nil
	d.mu.Unlock()
	var failed error
	for _, o := range owed {
		f, err := d.file(o.Intent)
		if err != nil {
			continue
		}
		f.mu.Lock()
		n, ok := f.past()
		f.mu.Unlock()
		if !ok {
			continue
		}
		if err := send(o.Peer, n); err != nil {
			failed = errors.Join(failed, err)
			d.mu.Lock()
			d.owed = append(d.owed, o)
			d.mu.Unlock()
		}
	}
	return failed
}

// Told is all of these vaults that counts in some window: what who came later, or lost its disk, must come to know.
func (d *Desk) Told(now time.Time, vaults ...statement.ID) (out []outbox.Note) {
	for _, f := range d.all() {
		f.mu.Lock()
		if it := f.life.Intent(); slices.Contains(vaults, it.Vault) && !gone(it, now) {
			out = append(out, f.told()...)
		}
		f.mu.Unlock()
	}
	return out
}

// told is the note of the past of an intent, and its signature; none if there is no such note.
func (f *file) told() []outbox.Note {
	n, ok := f.past()
	if !ok {
		return nil
	}
	id := f.stmt.ID()
	if f.raw == nil {
		return []outbox.Note{n}
	}
	return []outbox.Note{n, {Kind: NoteSigned, Fields: [][]byte{id[:], f.raw}}}
}

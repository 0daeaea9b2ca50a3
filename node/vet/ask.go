package vet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// proving is evidence of a TPM whose attestation key is being shown to lie beside its endorsement key.
type proving struct {
	nonce    [32]byte
	evidence []byte
	keys     enrolled
	secret   [32]byte
	at       time.Time // when the evidence came: it is judged as of then
}

// Tick asks whom it is time to ask, and tells peers what is held of their evidence.
func (v *Vet) Tick(ctx context.Context, now time.Time) error {
	v.Refresh()
	v.tick(now)
	v.mu.Lock()
	look := v.cfg.Maker != nil && !v.seen
	v.seen = true
	v.mu.Unlock()
	if look {
		v.enqueue(question{look: now})
	}
	for _, id := range v.cfg.Peers() {
		o, ok := v.cfg.Peer(id)
		if !ok {
			continue
		}
		v.hear(now, id, o.Name)
		v.answerNext(now, id)
		if err := v.write(ctx, id, o.Name); err != nil {
			v.cfg.Log.Warn("it is tried again", "error", err)
		}
		x, demanded := v.Demand(o.Name)
		if !demanded || !v.cfg.Linked(id) || !v.cfg.Speaks(id) {
			continue
		}
		if err := v.due(now, id, o, x); err != nil {
			return err
		}
		v.tell(now, id, x)
	}
	return nil
}

// due asks a peer whose evidence is missing, or two thirds through its time.
func (v *Vet) due(now time.Time, id engine.PartyID, o charter.Operator, x charter.Demand) error {
	at := v.at(id)
	if !at.known || at.conn == [32]byte{} {
		return nil
	}
	v.mu.Lock()
	p := v.peer(id)
	if p.life != at.life || p.demand != v.demands.Load().hash[o.Name] {
		// Another process, or another demand: what failed before says nothing.
		p.life, p.demand, p.next, p.failures, p.why, p.refused, p.nonce, p.proving = at.life, v.demands.Load().hash[o.Name], now, 0, "", "", [32]byte{}, nil
	}
	if p.conn != at.conn {
		// Another connection: it is asked anew, at once unless the same process was refused, or connections break so often that the allowance is used.
		p.conn, p.nonce, p.proving = at.conn, [32]byte{}, nil
		if p.refused == "" {
			p.next, p.failures, p.why = now, 0, ""
		}
	}
	r, err := v.counts(p, x, at, now)
	waits := p.nonce != [32]byte{} && now.Sub(p.sent) < patience && !now.Before(p.sent)
	fresh := err == nil && now.Before(r.At.Add(x.Fresh*2/3))
	if p.nonce != [32]byte{} && !waits {
		p.nonce, p.proving = [32]byte{}, nil
		v.fails(p, now, "its node did not answer in time")
	}
	if fresh || waits || now.Before(p.next) && p.next.Sub(now) <= againMost || !allow(&p.asked, now, answerGap, askBurst*answerGap) {
		v.mu.Unlock()
		return nil
	}
	if _, err := io.ReadFull(v.cfg.Rand, p.nonce[:]); err != nil {
		p.nonce = [32]byte{}
		v.mu.Unlock()
		return fmt.Errorf("draw a question about hardware: read entropy: %w", err)
	}
	p.sent, p.proving = now, nil
	q := ask{p.nonce, p.conn}
	v.mu.Unlock()
	v.cfg.Send(id, FrameAsk, q.encode())
	return nil
}

// fails notes that a question led to nothing. mu is held.
func (v *Vet) fails(p *peer, now time.Time, why string) {
	p.why = short(why)
	p.next = now.Add(min(again<<min(p.failures, 10), againMost))
	p.failures++
}

// tell tells a peer what is held of its evidence, so that its operator knows and it opens no session in vain.
func (v *Vet) tell(now time.Time, id engine.PartyID, x charter.Demand) {
	at := v.at(id)
	v.mu.Lock()
	p := v.peer(id)
	_, err := v.counts(p, x, at, now)
	s := standing{good: err == nil}
	if err != nil {
		s.why = short(cmp.Or(p.why, err.Error()))
	}
	since := now.Sub(p.toldAt)
	if s == p.told && p.toldOn == at.conn && since >= 0 && since < tellEvery {
		v.mu.Unlock()
		return
	}
	p.told, p.toldAt, p.toldOn = s, now, at.conn
	v.mu.Unlock()
	v.cfg.Send(id, FrameStanding, s.encode())
}

// Take takes a frame of a peer.
func (v *Vet) Take(ctx context.Context, now time.Time, from engine.PartyID, kind Frame, body []byte) error {
	v.tick(now)
	o, ok := v.cfg.Peer(from)
	if !ok {
		return errors.New("a question about hardware from a node that is no member")
	}
	switch kind {
	case FrameAsk:
		q, err := decodeAsk(body)
		if err != nil {
			return err
		}
		v.takeAsk(now, from, q)
		return nil
	case FrameEnrol:
		c, err := decodeChallenge(body)
		if err != nil {
			return err
		}
		return v.takeEnrol(from, c)
	case FrameStanding:
		s, err := decodeStanding(body)
		if err != nil {
			return err
		}
		v.takeStanding(now, from, o, s)
		return nil
	case FrameEvidence:
		a, err := decodeAnswer(body, vetted.MaxEvidence)
		if err != nil {
			return err
		}
		return v.takeEvidence(ctx, now, from, o, a)
	case FrameEnrolled:
		a, err := decodeAnswer(body, tpm.SecretSize)
		if err != nil {
			return err
		}
		return v.takeEnrolled(ctx, now, from, o, a)
	}
	return fmt.Errorf("frame %d is not of this room", kind)
}

// answered takes the question that an answer is to; each is answered once, or a peer could try again and again at our cost. subject is what the
// evidence must be bound to.
func (v *Vet) open(from engine.PartyID, nonce [32]byte, take func(p *peer) error) (s vetted.Subject, err error) {
	at := v.at(from)
	o, _ := v.cfg.Peer(from)
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.peer(from)
	if p.nonce == [32]byte{} || subtle.ConstantTimeCompare(p.nonce[:], nonce[:]) != 1 {
		return s, fmt.Errorf("an answer of %s about its hardware is to no open question of ours", o.Name)
	}
	if err := take(p); err != nil {
		return s, err
	}
	switch {
	case !at.known || p.life != at.life:
		return s, fmt.Errorf("an answer of %s about its hardware is of a process before: it is asked anew", o.Name)
	case at.conn == [32]byte{} || p.conn != at.conn:
		return s, fmt.Errorf("an answer of %s about its hardware is to a question over a connection before: it is asked anew", o.Name)
	}
	return vetted.Subject{Identity: o.Identity, Life: at.life, Asker: v.cfg.Identity, Nonce: nonce, Connection: at.conn}, nil
}

// takeEvidence judges what a peer shows.
func (v *Vet) takeEvidence(ctx context.Context, now time.Time, from engine.PartyID, o charter.Operator, a answer) error {
	done := func(p *peer) error {
		if p.proving != nil {
			return fmt.Errorf("%s shows evidence a second time", o.Name)
		}
		p.nonce = [32]byte{}
		return nil
	}
	s, err := v.open(from, a.nonce, done)
	if err != nil {
		return err
	}
	x, demanded := v.Demand(o.Name)
	if !demanded {
		return nil
	}
	if a.why != "" {
		return v.lacking(now, from, o, "its node shows nothing: "+a.why)
	}
	r, err := v.judge(a.body, s, x, now, nil)
	var unknown *attest.UnknownError
	if errors.As(err, &unknown) { // this node lacks what it takes to judge it: that says nothing against the peer
		return v.lacking(now, from, o, "this node cannot judge what it shows: "+err.Error()+": a root is to stand in the charter, and the certificate in the evidence or in the settings here (attest, roots); a list of this node's own that does not hold is to be fetched again (attest, lists)")
	}
	if err != nil {
		return v.refuse(ctx, now, from, o, s, x, err)
	}
	if r.Shown {
		return v.keep(ctx, now, from, o, r, nil)
	}
	keys, err := keysOf(a.body)
	if err != nil {
		return v.refuse(ctx, now, from, o, s, x, err)
	}
	return v.enrol(ctx, now, from, o, s, x, a, keys)
}

func (v *Vet) judge(evidence []byte, s vetted.Subject, x charter.Demand, now time.Time, keys *enrolled) (vetted.Record, error) {
	asked := judge.Asked{Subject: s, Demand: x, Now: now, Pinned: v.cfg.Pinned, Given: v.cfg.Given.Certificates}
	if kind, _ := hardware.KindOf(evidence); kind == hardware.SNP || kind == hardware.TDX {
		var err error
		if asked.Held, err = v.cfg.Given.held(); err != nil {
			return vetted.Record{}, err
		}
	}
	if keys != nil {
		asked.Activated = &tpm.Activated{EK: keys.ek, AK: keys.ak}
	}
	r, err := judge.Evidence(evidence, asked)
	r.Charter = v.demands.Load().charter
	return r, err
}

// keysOf are the keys of a TPM's evidence that was judged before.
func keysOf(evidence []byte) (enrolled, error) {
	e, err := tpm.Decode(evidence)
	if err != nil {
		return enrolled{}, fmt.Errorf("it does not show all that its kind can: %w", err)
	}
	return enrolled{ek: sha256.Sum256(e.EK), ak: sha256.Sum256(e.AK)}, nil
}

// enrol challenges a TPM whose keys are new to this node: that they lie in one TPM only it can show, and only to who asks.
func (v *Vet) enrol(ctx context.Context, now time.Time, from engine.PartyID, o charter.Operator, s vetted.Subject, x charter.Demand, a answer, keys enrolled) error {
	v.mu.Lock()
	known := slices.ContainsFunc(v.peer(from).keys, func(k enrolled) bool { return k.ek == keys.ek && k.ak == keys.ak })
	v.mu.Unlock()
	if known {
		r, err := v.judge(a.body, s, x, now, &keys)
		if err != nil {
			return v.refuse(ctx, now, from, o, s, x, err)
		}
		return v.keep(ctx, now, from, o, r, nil)
	}
	e, err := tpm.Decode(a.body)
	if err != nil {
		return err
	}
	c, secret, err := tpm.NewChallenge(v.cfg.Rand, e.EK, e.AK)
	if err != nil {
		return v.refuse(ctx, now, from, o, s, x, err)
	}
	v.mu.Lock()
	p := v.peer(from)
	p.nonce, p.sent = a.nonce, now
	p.proving = &proving{nonce: a.nonce, evidence: a.body, keys: keys, secret: secret, at: now}
	v.mu.Unlock()
	v.cfg.Send(from, FrameEnrol, challenge{a.nonce, c.Encode()}.encode())
	return nil
}

// takeEnrolled takes what a TPM opened. Only one that holds both keys can have.
func (v *Vet) takeEnrolled(ctx context.Context, now time.Time, from engine.PartyID, o charter.Operator, a answer) error {
	var was *proving
	s, err := v.open(from, a.nonce, func(p *peer) error {
		if was = p.proving; was == nil {
			return fmt.Errorf("%s answers a challenge to its TPM that was not made", o.Name)
		}
		p.nonce, p.proving = [32]byte{}, nil
		return nil
	})
	if err != nil {
		return err
	}
	x, demanded := v.Demand(o.Name)
	if !demanded {
		return nil
	}
	if a.why != "" {
		return v.lacking(now, from, o, "its TPM does not open this node's challenge: "+a.why)
	}
	if len(a.body) != tpm.SecretSize || subtle.ConstantTimeCompare(a.body, was.secret[:]) != 1 {
		return v.refuse(ctx, now, from, o, s, x, errors.New("its attestation key does not lie in the TPM that its endorsement certificate names: it opened something else"))
	}
	was.keys.at = now
	r, err := v.judge(was.evidence, s, x, was.at, &was.keys)
	if err != nil {
		return v.refuse(ctx, now, from, o, s, x, err)
	}
	return v.keep(ctx, now, from, o, r, &was.keys)
}

// lacking notes that a peer showed nothing. What it showed before counts on, for as long as it does. The log tells it once in hearGap, and what it told last not again: a peer that
// gives another reason each time would fill it.
func (v *Vet) lacking(now time.Time, from engine.PartyID, o charter.Operator, why string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.peer(from)
	if since := now.Sub(p.lackedAt); p.lacked != short(why) && (p.lackedAt.IsZero() || since < 0 || since >= hearGap) {
		p.lacked, p.lackedAt = short(why), now
		v.cfg.Log.Warn("a peer does not show what it runs on", "operator", o.Name, "error", why)
	}
	v.fails(p, now, why)
	return nil
}

// keep makes durable what was found, with its leaf; then it counts.
func (v *Vet) keep(ctx context.Context, now time.Time, from engine.PartyID, o charter.Operator, r vetted.Record, keys *enrolled) error {
	value := r.Encode()
	if !v.spends(from, now, len(value)) {
		return v.lacking(now, from, o, "it shows evidence so often, as where it starts again and again or its connection breaks, that it would fill this node's log")
	}
	e := journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: store.Key(kindVetted, store.ID(from[:])), Value: value}}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindVetted, now, [32]byte{}, value)},
	}
	v.mu.Lock()
	p := v.peer(from)
	all := p.keys
	v.mu.Unlock()
	if keys != nil {
		all = with(all, *keys)
		e.Put = append(e.Put, store.Entry{Key: store.Key(kindEnrolled, store.ID(from[:])), Value: encodeKeys(all)})
	}
	failpoint.Hit("vet-before-record")
	if err := v.cfg.Journal.Write(ctx, e); err != nil {
		return fmt.Errorf("keep what was found of the hardware of %s: %w", o.Name, err)
	}
	failpoint.Hit("vet-after-record")
	v.mu.Lock()
	first := p.last == nil || p.why != ""
	p.last, p.id, p.keys, p.why, p.failures, p.lacked = &r, sha256.Sum256(value), all, "", 0, ""
	p.refused, p.refusal = "", nil // its row is another now
	v.mu.Unlock()
	if first {
		v.cfg.Log.Info("a peer showed what it runs on", "operator", o.Name, "kind", r.Kind, "measurement", r.Name, "device", r.Device)
	}
	v.tell(now, from, v.demands.Load().of[o.Name])
	if v.cfg.Wake != nil {
		v.cfg.Wake()
	}
	return nil
}

// refuse takes evidence that does not hold: whatever the peer showed before counts no more. It stands in the log once for each reason.
func (v *Vet) refuse(ctx context.Context, now time.Time, from engine.PartyID, o charter.Operator, s vetted.Subject, x charter.Demand, cause error) error {
	why := short(cause.Error())
	v.mu.Lock()
	p := v.peer(from)
	told := p.refused == why && p.last == nil
	p.last, p.id = nil, [32]byte{}
	v.fails(p, now, why)
	v.mu.Unlock()
	v.tell(now, from, x)
	if told {
		return v.write(ctx, from, o.Name)
	}
	v.cfg.Log.Error("a peer's evidence of what it runs on is refused: no session is held with it", "operator", o.Name, "error", why)
	e := journal.Entry{Batch: store.Batch{Delete: []string{store.Key(kindVetted, store.ID(from[:]))}}}
	r := vetted.Record{Subject: s, Operator: o.Name, At: now.UTC().Truncate(time.Second), Charter: v.demands.Load().charter, Demand: x.Hash(), Why: why}
	if value := r.Encode(); v.spends(from, now, len(value)) {
		e.Leaves = []tlog.Filed{tlog.Says(tlog.KindVetted, now, [32]byte{}, value)}
	}
	v.mu.Lock()
	p.refused, p.refusal = why, &e
	v.mu.Unlock()
	return v.write(ctx, from, o.Name)
}

// write makes a refusal durable. Until that succeeds each tick tries again, or the record before would count once more after a restart.
func (v *Vet) write(ctx context.Context, from engine.PartyID, operator string) error {
	v.mu.Lock()
	p := v.peer(from)
	e := p.refusal
	v.mu.Unlock()
	if e == nil {
		return nil
	}
	if err := v.cfg.Journal.Write(ctx, *e); err != nil {
		return fmt.Errorf("keep that the evidence of %s was refused: %w", operator, err)
	}
	v.mu.Lock()
	if p.refusal == e {
		p.refusal = nil
	}
	v.mu.Unlock()
	return nil
}

// spends says whether a peer may have one more record of so many bytes written here.
func (v *Vet) spends(from engine.PartyID, now time.Time, size int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return allow(&v.peer(from).spent, now, gap*time.Duration(max(size, least))/vetted.MaxEvidence, burst*gap)
}

// allow takes a cost, in time, off an allowance that fills as time goes by, up to a window; it says no where that does not suffice. spent is up to when all time is used.
func allow(spent *time.Time, now time.Time, cost, window time.Duration) bool {
	from := *spent
	if floor := now.Add(-window); from.Before(floor) || from.After(now.Add(time.Minute)) {
		from = floor // long ago, or a clock that was set back
	}
	if from.Add(cost).After(now) {
		return false
	}
	*spent = from.Add(cost)
	return true
}

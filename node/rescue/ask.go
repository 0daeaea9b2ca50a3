package rescue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
)

const (
	askEvery    = 2 * time.Second  // a question is sent again to who has not answered
	askAnew     = 10 * time.Minute // and is another by then: answers are not older than that
	answerEvery = time.Second      // so often one node is answered about one request
)

// A question is what we ask before we give our part, and what came of it. It lives in memory alone.
type question struct {
	sos.Question
	sent    time.Duration // monotonic
	answers map[string]act.NoVeto
	notes   map[statement.ID]tlog.Filed
	why     error // for people: why we have not given yet
}

type answered struct {
	asker   string
	request statement.ID
}

const (
	fieldAskVault transcript.Tag = iota + 1
	fieldAskRequest
	fieldAskNonce
)

func encodeQuestion(vault, request statement.ID, nonce [32]byte) []byte {
	var e transcript.Encoder
	return e.Bytes(fieldAskVault, vault[:]).Bytes(fieldAskRequest, request[:]).Bytes(fieldAskNonce, nonce[:]).Sum()
}

func decodeQuestion(raw []byte) (vault, request statement.ID, nonce [32]byte, err error) {
	d := transcript.NewDecoder(raw)
	copy(vault[:], d.Fixed(fieldAskVault, 32))
	copy(request[:], d.Fixed(fieldAskRequest, 32))
	copy(nonce[:], d.Fixed(fieldAskNonce, 32))
	if err = d.Done(); err != nil {
		err = fmt.Errorf("decode a question about vetoes: %w", err)
	}
	return vault, request, nonce, err
}

// AskedOf is the vault that a question is about.
func AskedOf(question []byte) (vault statement.ID, err error) {
	vault, _, _, err = decodeQuestion(question)
	return vault, err
}

// Answer is what we say to a peer that asks whether we know of a veto: every word against the request that we know, for it to count them itself, and then, if
// they are too few to end it, a no-veto. Nothing, if we may say nothing.
func (d *Desk) Answer(ctx context.Context, now time.Time, asker string, raw []byte) (notes []outbox.Note, err error) {
	vault, request, nonce, err := decodeQuestion(raw)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, vault)
	if err != nil {
		return nil, err
	}
	if _, known := k.Case(request); !known { // of such a peer could name any number
		return nil, fmt.Errorf("a question about vetoes of SOS request %s: %w", request.Short(), sos.ErrUnknown)
	}
	if err := d.mayAnswer(now, asker, request); err != nil { // whatever becomes of it: looking it up costs as much
		return nil, err
	}
	v, err := k.NoVeto(request, asker, nonce, d.cfg.Theirs(ctx, asker), d.reading(now))
	if notes = d.against(vault, request); err != nil && !k.Rolled() && len(notes) > 0 {
		return notes, nil // it is over here, or we are not as far: what we know of is told all the same
	}
	if err != nil {
		return nil, err
	}
	salt, err := d.drawSalt()
	if err != nil {
		return nil, err
	}
	v.Created = now.UTC().Truncate(time.Second)
	s, err := v.Statement(salt)
	if err != nil {
		return nil, err
	}
	sig, err := signet.SignNode(d.cfg.Identity, s)
	if err != nil {
		return nil, err
	}
	// Vetoes may be spread: too few here, too few there, and enough together. Those that are known here go first.
	return append(notes, outbox.Note{Kind: NoteSaid, Fields: [][]byte{s.Bytes(), sig}}), nil
}

// mayAnswer bounds how often a peer is answered about a request, or about a vault.
func (d *Desk) mayAnswer(now time.Time, asker string, about statement.ID) error {
	who := answered{asker, about}
	if last, before := d.answers[who]; before && now.Sub(last) < answerEvery && !now.Before(last) {
		return fmt.Errorf("%s was answered about %s a moment ago", asker, about.Short())
	}
	if len(d.answers) > 4096 { // of requests long over
		clear(d.answers)
	}
	d.answers[who] = now
	return nil
}

// opposes says of which kinds a word is that may end a request.
func opposes(k statement.Kind) bool {
	return k == statement.SOSVeto || k == statement.SOSAlive || k == statement.SOSSigned
}

// against are the vetoes, the proofs of life and the live signatures that we know.
func (d *Desk) against(vault, request statement.ID) (notes []outbox.Note) {
	for _, w := range d.words[vault] {
		if w.request == request && opposes(w.said.Kind()) {
			notes = append(notes, outbox.Note{Kind: NoteSaid, Fields: [][]byte{w.said.Bytes(), w.sig}})
		}
	}
	slices.SortFunc(notes, func(a, b outbox.Note) int { x, y := a.ID(), b.ID(); return bytes.Compare(x[:], y[:]) })
	return notes
}

// TakeAnswer keeps a no-veto that answers a question of ours. It moves nothing by itself.
func (d *Desk) TakeAnswer(ctx context.Context, now time.Time, n outbox.Note) error {
	if n.Kind != NoteSaid || len(n.Fields) != 2 {
		return errors.New("an answer about vetoes is a statement and a signature")
	}
	s, err := statement.ParseKind(n.Fields[0], statement.SOSNoVeto)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, s.Fields().ID("vault"))
	if err != nil {
		return err
	}
	c, ok := k.Case(s.Fields().ID("request"))
	if !ok {
		return fmt.Errorf("no-veto %s: %w", s.ID().Short(), sos.ErrUnknown)
	}
	v, err := act.VerifyNoVeto(s, n.Fields[1], c.Plan())
	if err != nil {
		return err
	}
	for _, q := range d.asks {
		if q.Nonce == v.Nonce && v.Asker == d.cfg.Operator {
			q.answers[v.Operator], q.notes[v.ID] = v, tlog.Says(tlog.KindStatement, now, c.Plan().Vault, s.Bytes(), n.Fields[1])
			return nil
		}
	}
	return fmt.Errorf("no-veto %s of %s answers no question of ours", s.ID().Short(), v.Operator)
}

// ask sends the question of an activation to every operator that has not answered it.
func (d *Desk) ask(now time.Time, c sos.Case, a act.Activation) (*question, error) {
	r := d.reading(now)
	q := d.asks[a.ID]
	if q == nil || r.Mono-q.Asked.Mono > askAnew {
		q = &question{Question: sos.Question{Asked: r}, answers: map[string]act.NoVeto{}, notes: map[statement.ID]tlog.Filed{}, sent: r.Mono - askEvery}
		if _, err := io.ReadFull(d.cfg.Rand, q.Nonce[:]); err != nil {
			return nil, fmt.Errorf("draw a nonce: %w", err)
		}
		d.asks[a.ID] = q
	}
	if r.Mono-q.sent < askEvery {
		return q, nil
	}
	q.sent = r.Mono
	for _, name := range live(c.Plan(), c.Request().Subjects, d.cfg.Operator) {
		if _, done := q.answers[name]; !done {
			d.cfg.Ask(name, encodeQuestion(c.Plan().Vault, c.ID(), q.Nonce))
		}
	}
	return q, nil
}

// give is the one decision after which vetoes are late (spec/sos 7): once enough guardians contributed and everybody who must has said that they know of
// no veto, the docket with our release, the statement and the answers that it rests on are one write.
func (d *Desk) give(ctx context.Context, now time.Time, k sos.Docket, c sos.Case) (sos.Docket, error) {
	if k.Rolled() { // nothing is given, and it is said already
		return k, nil
	}
	for _, a := range d.activations(c) {
		if !c.Activated(a.ID) || !slices.Contains(a.Contributors, d.cfg.Operator) || c.Gave(a.ID, d.cfg.Operator) || c.State() != sos.Active {
			continue
		}
		if len(d.holding(c, a.ID)) < c.Plan().Quorum {
			continue
		}
		q, err := d.ask(now, c, a)
		if err != nil {
			return k, err
		}
		if d.reading(now).Mono-q.Asked.Mono < askEvery {
			continue // whoever knows of a veto has this long to tell, though nobody's answer may be needed (r = 1)
		}
		next, err := d.release(ctx, now, k, a, q)
		if errors.Is(err, sos.ErrRolled) {
			return d.rolledBack(ctx, now, k, err)
		}
		if q.why = err; err != nil {
			continue // an answer is missing, or it is not to be: the docket says which
		}
		delete(d.asks, a.ID)
		k = next
	}
	return k, nil
}

func (d *Desk) release(ctx context.Context, now time.Time, k sos.Docket, a act.Activation, q *question) (sos.Docket, error) {
	own, err := d.cfg.Own(ctx)
	if err != nil {
		return k, err
	}
	var answers []act.NoVeto
	for _, v := range q.answers {
		// An answer that knows another log of ours than we have shows nothing by itself: anybody of the circle could write one, and stop us for good. That this store was
		// set back, peers prove by what this node signed (node/fence). Here it is no answer, and where it is needed nothing is given.
		at, err := d.cfg.At(ctx, min(v.Log.Size, own.Log.Size))
		if err != nil || v.Origin != own.Origin || v.Log.Size > own.Log.Size || v.Log.Size > 0 && at.Root != v.Log.Root {
			d.cfg.Log.Warn("SOS: an answer about vetoes knows another log of this node than it has", "from", v.Operator, "size", v.Log.Size, "ours", own.Log.Size, "error", err)
			continue
		}
		answers = append(answers, v)
	}
	next, rel, err := k.Release(a.ID, q.Question, answers, own, d.reading(now))
	if err != nil {
		return k, err
	}
	rel.Created = now.UTC().Truncate(time.Second)
	var e journal.Entry
	for _, id := range rel.NoVetos {
		e.Leaves = append(e.Leaves, q.notes[id])
	}
	_, kept, err := d.say(now, a.Vault, rel.Statement, "", &e)
	if err != nil {
		return k, err
	}
	if err := d.settle(now, a.Vault, next, sos.Effects{}, &e); err != nil {
		return k, err
	}
	failpoint.Hit("sos-before-release")
	if err := d.write(ctx, e); err != nil {
		return k, err
	}
	failpoint.Hit("sos-after-release")
	kept()
	d.became(a.Vault, next)
	return next, nil
}

// rolledBack makes durable that this node was rolled back: its delays are counted anew, and it gives nothing until its operator confirms.
func (d *Desk) rolledBack(ctx context.Context, now time.Time, k sos.Docket, cause error) (sos.Docket, error) {
	next, fx, err := k.Apply(sos.RolledBack{}, d.reading(now))
	if err != nil {
		return k, err
	}
	var vault statement.ID
	for _, c := range k.Cases() {
		vault = c.Plan().Vault
	}
	e := journal.Entry{Leaves: []tlog.Filed{tlog.Says(tlog.KindAlarm, now, vault, []byte("SOS: "+cause.Error()))}}
	e.Reserve = true
	if err := d.settle(now, vault, next, fx, &e); err != nil {
		return k, err
	}
	if err := d.write(ctx, e); err != nil {
		return k, err
	}
	d.cfg.Log.Error("SOS: this node was rolled back", "vault", vault.Short(), "why", cause)
	d.became(vault, next)
	return next, nil
}

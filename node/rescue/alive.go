package rescue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// An operator whose node lives answers a request that calls it lost (spec/sos 3.7, spec/node 12.6): by itself the node proves that it
// knows its shares, and has the vault sign with it (live.go). Both together end the request at every node.

// kindLive is sos-live/<request>/<key>: a live test signature of ours, until those of all keys are there.
const kindLive = "sos-live"

// A reply is how far this node is with one request that names its operator, or in one whose subject asks it to sign: in memory.
type reply struct {
	next  time.Time // nothing is tried before
	fails int       // in a row
	why   string    // why it is not done, for people
	open  map[[32]byte]bool
	skip  map[engine.PartyID]time.Time // whom a session waited for in vain, or who failed it
	peers map[tester]*pace             // other subjects' tests that we take part in

	signatures map[[32]byte][]byte // durable, by key
}

// A tester is a subject that opens live tests under a key.
type tester struct {
	party engine.PartyID
	key   [32]byte
}

// pace bounds the live tests that a subject opens here.
type pace struct {
	next time.Time
	runs int
}

func (d *Desk) replying(request statement.ID) *reply {
	a := d.replies[request]
	if a == nil {
		a = &reply{open: map[[32]byte]bool{}, skip: map[engine.PartyID]time.Time{}, peers: map[tester]*pace{}, signatures: map[[32]byte][]byte{}}
		d.replies[request] = a
	}
	return a
}

// named says whether a request calls our operator lost, and its life would end it. In compromise and legal it would not: the node is
// silent then (spec/sos 3.7).
func (d *Desk) named(c sos.Case) bool {
	return slices.Contains(c.Request().Subjects, d.cfg.Operator) && c.Cancels() && (c.State() == sos.Armed || c.State() == sos.Declared || c.State() == sos.Contest || c.State() == sos.Active)
}

// reply says what is ready of our answers to a vault's requests. What it says is durable before it leaves, once for each request.
func (d *Desk) reply(ctx context.Context, now time.Time, vault statement.ID, r sos.Reading) error {
	k, err := d.docket(ctx, vault)
	if err != nil {
		return nil //nolint:nilerr // tickVault said so
	}
	for _, c := range k.Cases() {
		switch a := d.replies[c.ID()]; {
		case k.Rolled(): // it does not know what it said; its operator confirms first (S2)
		case !d.named(c):
			if a != nil && c.State().Ended() {
				err = errors.Join(err, d.drop(ctx, c.ID(), a))
			}
		case a != nil && now.Before(a.next):
		case !slices.Contains(c.Alive(), d.cfg.Operator):
			err = errors.Join(err, d.tried(now, c.ID(), d.sayAlive(ctx, now, c, r)))
		case !slices.Contains(c.Signed(), d.cfg.Operator) && a != nil && len(a.signatures) == len(c.Request().Keys):
			err = errors.Join(err, d.tried(now, c.ID(), d.saySigned(ctx, now, c, a, r)))
		}
	}
	return err
}

// tried keeps an error from coming again at every tick.
func (d *Desk) tried(now time.Time, request statement.ID, err error) error {
	if err == nil {
		return nil
	}
	a := d.replying(request)
	a.fails++
	a.next, a.why = now.Add(liveRetry<<min(a.fails, maxDoubling)), err.Error()
	return fmt.Errorf("SOS request %s: %w", request.Short(), err)
}

// prove makes a proof of life for a request. Each call draws another salt: only one of them is said.
func (d *Desk) prove(ctx context.Context, now time.Time, q act.Request) (statement.Statement, act.Alive, error) {
	salt, err := d.drawSalt()
	if err != nil {
		return statement.Statement{}, act.Alive{}, err
	}
	a, err := d.cfg.Life.Prove(ctx, act.DraftAlive(q.Head(), d.cfg.Operator, moment(now, q), salt), q.Keys)
	if err != nil {
		return statement.Statement{}, act.Alive{}, err
	}
	s, err := a.Statement()
	if err != nil {
		return s, a, err
	}
	a, err = act.AliveOf(s)
	return s, a, err
}

// moment is our own clock, but no earlier than the request that is answered: clocks may differ by minutes.
func moment(now time.Time, q act.Request) time.Time {
	now = now.UTC().Truncate(time.Second)
	if now.Before(q.Created) {
		return q.Created
	}
	return now
}

// sayAlive proves our shares of a request's keys, and says so to everybody.
func (d *Desk) sayAlive(ctx context.Context, now time.Time, c sos.Case, r sos.Reading) error {
	if !d.names(c.Request()) {
		return nil // it is of other epochs, and comes to nothing
	}
	s, a, err := d.prove(ctx, now, c.Request())
	if err != nil {
		return err
	}
	failpoint.Hit("sos-before-alive")
	err = d.speak(ctx, now, c.Plan().Vault, s, sos.Lived{Alive: a}, r, journal.Entry{})
	failpoint.Hit("sos-after-alive")
	return err
}

// saySigned shows the live test signatures of all keys of a request.
func (d *Desk) saySigned(ctx context.Context, now time.Time, c sos.Case, a *reply, r sos.Reading) error {
	q := c.Request()
	x := act.Signed{Head: q.Head(), Operator: d.cfg.Operator, Created: moment(now, q)}
	var e journal.Entry
	for _, key := range q.Keys {
		x.Signatures = append(x.Signatures, act.Proof{Key: key, Bytes: a.signatures[key.Key]})
		e.Delete = append(e.Delete, liveKey(q.ID, key.Key))
	}
	if err := act.CheckSigned(x, q, d.cfg.CheckSignature); err != nil {
		return err
	}
	salt, err := d.drawSalt()
	if err != nil {
		return err
	}
	s, err := x.Statement(salt)
	if err != nil {
		return err
	}
	if x, err = act.SignedOf(s); err != nil {
		return err
	}
	ended := d.ends(c.Plan().Vault, s, &e)
	failpoint.Hit("sos-before-signed")
	if err = d.speak(ctx, now, c.Plan().Vault, s, sos.SignedLive{Signed: x}, r, e); err == nil {
		delete(d.replies, q.ID)
		ended()
	}
	failpoint.Hit("sos-after-signed")
	return err
}

// speak applies what our node says, makes it durable with its note, and moves the docket. Such statements prove themselves: nobody signs
// them.
func (d *Desk) speak(ctx context.Context, now time.Time, vault statement.ID, s statement.Statement, ev sos.Event, r sos.Reading, e journal.Entry) error {
	k, err := d.docket(ctx, vault)
	if err != nil {
		return err
	}
	next, fx, err := k.Apply(ev, r)
	if err != nil {
		return err
	}
	id, n := s.ID(), outbox.Note{Kind: NoteSaid, Fields: [][]byte{s.Bytes(), nil}}
	e.Put = append(e.Put, store.Entry{Key: store.Key(kindSay, store.ID(id[:])), Value: n.Encode()})
	e.Leaves = append(e.Leaves, tlog.Says(tlog.KindStatement, now, vault, s.Bytes()))
	kept, err := d.keep(vault, s, "", nil, &e)
	e.Reserve = true // what cancels is not lost for want of room
	if err == nil {
		err = d.settle(now, vault, next, fx, &e)
	}
	if err == nil {
		err = d.write(ctx, e)
	}
	if err != nil {
		return err
	}
	d.became(vault, next)
	kept()
	return nil
}

// bare refuses a signature beside a statement that proves itself: anybody could write other bytes there, and each would be a note of its own.
func bare(s statement.Statement, sig []byte) error {
	if (s.Kind() == statement.SOSAlive || s.Kind() == statement.SOSSigned) && len(sig) > 0 {
		return fmt.Errorf("%s statement %s: a signature stands beside it, and nobody signs it", s.Kind(), s.ID().Short())
	}
	return nil
}

// beside are the signatures of a leaf: none, of a statement that proves itself.
func beside(sig []byte) [][]byte {
	if len(sig) == 0 {
		return nil
	}
	return [][]byte{sig}
}

func liveKey(request statement.ID, key [32]byte) string {
	return store.Key(kindLive, store.ID(request[:]), store.ID(key[:]))
}

// drop lets go of an answer to what is over, and of signatures that were not shown.
func (d *Desk) drop(ctx context.Context, request statement.ID, a *reply) error {
	var e journal.Entry
	for key := range a.signatures {
		e.Delete = append(e.Delete, liveKey(request, key))
	}
	slices.Sort(e.Delete)
	if len(e.Delete) > 0 {
		if err := d.write(ctx, e); err != nil {
			return err
		}
	}
	delete(d.replies, request)
	return nil
}

// readReplies reads back live test signatures that are not shown yet.
func (d *Desk) readReplies(ctx context.Context) error {
	return d.each(ctx, kindLive, func(name string, value []byte) error {
		if len(name) != 129 || name[64] != '/' {
			return errors.New("it is not of a request and a key")
		}
		request, err := statement.ParseID(name[:64])
		if err != nil {
			return err
		}
		key, err := statement.ParseID(name[65:])
		if err == nil {
			d.replying(request).signatures[key] = value
		}
		return err
	})
}

// repeats says that a proof of life or a live test signature moves nothing here, since one of this subject was taken before, or the
// request is over. Nobody signs these statements: with another salt anybody makes another of the same signatures, and with each one taken
// the logs of all would grow.
func repeats(c sos.Case, ev sos.Event) bool {
	switch ev := ev.(type) {
	case sos.Lived:
		return c.State().Ended() || slices.Contains(c.Alive(), ev.Operator)
	case sos.SignedLive:
		return c.State().Ended() || slices.Contains(c.Signed(), ev.Operator)
	}
	return false
}

// A Living is how far this node is with its answer to one request.
type Living struct {
	Request       statement.ID
	Vault         statement.ID
	Name          string // the vault's
	State         sos.State
	Alive, Signed bool
	Why           string              // why it is not done, or cannot be; empty: it is, or nothing is in the way
	Proof         statement.Statement // a fresh proof of life, where it was asked for
}

// Reply has the node do now what it does by itself, and says how far it is with every request that calls its operator lost. With proofs
// it makes a fresh proof of life for each, for people to carry.
func (d *Desk) Reply(ctx context.Context, now time.Time, proofs bool) (out []Living, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.replies {
		a.next = time.Time{}
	}
	if err := d.cfg.Life.Halted(); err != nil {
		return nil, err
	}
	if err := d.cfg.Life.Settled(now); err != nil {
		return nil, err
	}
	for _, vault := range d.cfg.Vaults() {
		if err := errors.Join(d.reply(ctx, now, vault, d.reading(now)), d.flush(ctx, now)); err != nil {
			d.cfg.Log.Error("SOS", "error", err)
		}
		k, err := d.docket(ctx, vault)
		if err != nil {
			return nil, err
		}
		for _, c := range k.Cases() {
			if !slices.Contains(c.Request().Subjects, d.cfg.Operator) || c.State() == sos.Expired {
				continue
			}
			l := d.living(k, c)
			if proofs && d.named(c) && !k.Rolled() {
				if l.Proof, _, err = d.prove(ctx, now, c.Request()); err != nil {
					l.Why = err.Error()
				}
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// living says what is missing of an answer.
func (d *Desk) living(k sos.Docket, c sos.Case) Living {
	own := d.cfg.Operator
	l := Living{Request: c.ID(), Vault: c.Plan().Vault, Name: c.Plan().Name, State: c.State(), Alive: slices.Contains(c.Alive(), own), Signed: slices.Contains(c.Signed(), own)}
	a := d.replies[c.ID()]
	switch {
	case c.State().Ended() || c.State() == sos.LockUp:
	case !c.Cancels():
		l.Why = fmt.Sprintf("a subject does not end a request for %s: guardians veto it, enough of them", c.Request().Trigger)
	case k.Rolled():
		l.Why = "this node was rolled back: its operator runs `ostraka node confirm-restore` first"
	case l.Alive && l.Signed:
	case a != nil && a.why != "":
		l.Why = a.why
	case l.Alive && k.MayRun(sos.LiveTest, c.ID()) != nil:
		l.Why = "the live test is signed once another node has declared the request: until then its life alone is said"
	}
	return l
}

// ProveFor makes a proof of life for a request that came by hand, of which the node itself may have heard nothing: cut off from all other
// nodes, its operator still shows that it lives.
func (d *Desk) ProveFor(ctx context.Context, now time.Time, s statement.Statement) (Living, error) {
	q, err := act.RequestOf(s)
	if err != nil {
		return Living{}, err
	}
	if err := d.cfg.Life.Halted(); err != nil {
		return Living{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, q.Vault)
	if err != nil {
		return Living{}, err
	}
	_, p, err := d.inForce(q.Vault)
	if err != nil {
		return Living{}, err
	}
	c, known := k.Case(q.ID)
	switch {
	case !slices.Contains(q.Subjects, d.cfg.Operator):
		return Living{}, fmt.Errorf("SOS request %s does not call %s lost", q.ID.Short(), d.cfg.Operator)
	case !plan.Cancels(q.Trigger):
		return Living{}, fmt.Errorf("SOS request %s: a subject does not end a request for %s: guardians veto it, enough of them", q.ID.Short(), q.Trigger)
	case k.Rolled():
		return Living{}, errors.New("this node was rolled back: its operator runs `ostraka node confirm-restore` first")
	case !d.names(q):
		return Living{}, fmt.Errorf("SOS request %s: it does not name the vault's keys in the epochs in force", q.ID.Short())
	}
	l := Living{Request: q.ID, Vault: q.Vault, Name: p.Name, State: sos.Armed}
	if known {
		l = d.living(k, c)
	}
	l.Proof, _, err = d.prove(ctx, now, q)
	return l, err
}

// names says that all keys of a request are the vault's, in the epochs in force: those of one committee, of several that there may be.
func (d *Desk) names(q act.Request) bool {
	keys := d.cfg.Keys(q.Vault)
	return !slices.ContainsFunc(q.Keys, func(k act.Key) bool { return !slices.Contains(keys, k) })
}

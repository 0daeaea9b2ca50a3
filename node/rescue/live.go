package rescue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// The live test signature (spec/sos 4.6, 5.2; spec/node 12.7). The subject's own node opens it, and it alone: t operators, itself among
// them, sign what each derives from its own copy of the request.

const (
	liveTimeout = 30 * time.Second
	liveSetup   = 5 * time.Minute // clocks may differ by that much
	liveRetry   = 2 * time.Second // after a session failed, doubled each time
	maxDoubling = 6               // so 128 s at most
	liveSkip    = time.Minute     // whom a session waited for in vain, or who failed it
)

// Life is what proofs of life and live test signatures are made with.
type Life struct {
	Self engine.PartyID
	// Root is a key in the epoch in force.
	Root func(k act.Key) (ceremony.View, error)
	// Prove adds the proofs of our shares of these keys; Keys are our secrets of one, for a session.
	Prove func(ctx context.Context, a act.Alive, keys []act.Key) (act.Alive, error)
	Keys  func(ctx context.Context, key [32]byte, eh epoch.Hash) (*protocol.Keys, error)
	// Fit refuses a setup with a burned pair, a quarantined party or a failing key; Unfit are the parties with whom a key cannot be used.
	Fit       func(ctx context.Context, now time.Time, s *mpc.Setup, pairs [32]byte) error
	Unfit     func(ctx context.Context, key, pairs [32]byte) (map[engine.PartyID]bool, error)
	Reachable func(engine.PartyID) bool
	// Halted says why this node says nothing at all, of itself or by hand; Settled why it says nothing yet: the others may know more of what it
	// said than it does.
	Halted  func() error
	Settled func(now time.Time) error
}

// OpenTests gives the live tests that this node should open now: those with which its operator answers a request.
func (d *Desk) OpenTests(ctx context.Context, now time.Time) (open []*mpc.Setup) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for vault := range d.asked {
		k, err := d.docket(ctx, vault)
		if err != nil {
			continue // tickVault said so
		}
		for _, c := range k.Cases() {
			own := d.cfg.Operator
			if !d.named(c) || !slices.Contains(c.Alive(), own) || slices.Contains(c.Signed(), own) || k.MayRun(sos.LiveTest, c.ID()) != nil {
				continue
			}
			a := d.replying(c.ID())
			if now.Before(a.next) {
				continue
			}
			for _, key := range c.Request().Keys {
				if a.signatures[key.Key] != nil || a.open[key.Key] {
					continue
				}
				a.next = now.Add(liveRetry)
				s, err := d.testSetup(ctx, now, c, key, a)
				if err != nil {
					a.why = err.Error()
					continue
				}
				open = append(open, s)
			}
		}
	}
	slices.SortFunc(open, func(a, b *mpc.Setup) int { return slices.Compare(a.KeyID[:], b.KeyID[:]) })
	return open
}

// testSetup is a live test under one key.
func (d *Desk) testSetup(ctx context.Context, now time.Time, c sos.Case, key act.Key, a *reply) (*mpc.Setup, error) {
	v, err := d.cfg.Life.Root(key)
	if err != nil {
		return nil, err
	}
	r := v.Current.Record
	s := &mpc.Setup{
		Protocol: protocol.ProtocolLive, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Payload: (&protocol.Live{Request: c.ID()}).Encode(), NotAfter: now.Add(liveSetup).UTC().Truncate(time.Second),
	}
	return s, d.seat(ctx, now, v, c, a, s)
}

// seat chooses the t that sign: we, and of the others that are there those who are lost to nobody and failed no session lately first. After
// a failure others take their place.
func (d *Desk) seat(ctx context.Context, now time.Time, v ceremony.View, c sos.Case, a *reply, s *mpc.Setup) error {
	pairs := protocol.PairKey(v.Current.Record)
	unfit, err := d.cfg.Life.Unfit(ctx, s.KeyID, pairs)
	if err != nil {
		return err
	}
	var self []mpc.Party
	var ranks [3][]mpc.Party
	for _, p := range v.Current.Record.Parties() {
		switch {
		case p.ID == d.cfg.Life.Self:
			self = []mpc.Party{p}
		case unfit[p.ID] || !d.cfg.Life.Reachable(p.ID):
		case now.Before(a.skip[p.ID]):
			ranks[2] = append(ranks[2], p)
		case slices.Contains(c.Request().Subjects, v.Names[p.ID]): // another that is called lost: it lives, if it signs
			ranks[1] = append(ranks[1], p)
		default:
			ranks[0] = append(ranks[0], p)
		}
	}
	var from []mpc.Party
	for _, rank := range ranks {
		if from = append(from, rank...); len(from) >= s.Threshold-1 {
			break
		}
	}
	if len(self) == 0 || len(from) < s.Threshold-1 {
		return fmt.Errorf("vault %s: a live test signature takes %d operators, and only %d others are reachable and can sign with this node: what a restored node shared with them is burned until there are new shares",
			v.Title(), s.Threshold, len(from))
	}
	for i := range from {
		s.Parties = slices.Clone(self)
		for j := range s.Threshold - 1 {
			s.Parties = append(s.Parties, from[(a.fails+i+j)%len(from)])
		}
		slices.SortFunc(s.Parties, func(a, b mpc.Party) int { return cmp.Compare(a.Index, b.Index) })
		if err = d.cfg.Life.Fit(ctx, now, s, pairs); err == nil {
			return nil
		}
	}
	return err
}

// Admit decides whether we take part in a live test. Our operator is not asked: it spends nothing, and shows only that the vault signs. What
// is signed follows from our own copies of request, key and subject alone.
func (d *Desk) Admit(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	l, err := protocol.DecodeLive(s.Payload)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := act.Key{Key: s.KeyID, Epoch: s.Epoch}
	v, err := d.cfg.Life.Root(key)
	if err != nil {
		return nil, fmt.Errorf("%w: live test: %w", session.ErrNotYet, err)
	}
	k, err := d.docket(ctx, v.Vault.ID)
	if err != nil {
		return nil, err
	}
	c, known := k.Case(l.Request)
	if !known {
		return nil, fmt.Errorf("%w: live test for SOS request %s, which is not known here", session.ErrNotYet, statement.ID(l.Request).Short())
	}
	if err := d.mayTest(ctx, now, k, c, v, key, s); err != nil {
		return nil, fmt.Errorf("live test for SOS request %s: %w", c.ID().Short(), err)
	}
	keys, err := d.cfg.Life.Keys(ctx, s.KeyID, s.Epoch)
	if err != nil {
		return nil, err
	}
	return d.testTask(now, c, v, key, s, keys), nil
}

// mayTest holds a setup to what this node itself has of the request and the key.
func (d *Desk) mayTest(ctx context.Context, now time.Time, k sos.Docket, c sos.Case, v ceremony.View, key act.Key, s *mpc.Setup) error {
	q, subject, r := c.Request(), v.Names[s.Opener], v.Current.Record
	switch _, member := r.Member(s.Opener); {
	case !member || !slices.Contains(q.Subjects, subject): // S9: nobody else has anything signed by this way
		return fmt.Errorf("%s opened it, whom the request does not call lost", subject)
	case !slices.Contains(q.Keys, key):
		return errors.New("the request does not name this key in this epoch")
	case len(s.Parties) != r.Threshold:
		return fmt.Errorf("%d parties, and not as many as sign: %d", len(s.Parties), r.Threshold)
	case c.Cancels() && c.State() == sos.Armed:
		if err := k.MayRun(sos.LiveTest, q.ID); err != nil { // a declaration may be on its way to us
			return fmt.Errorf("%w: %w", session.ErrNotYet, err)
		}
	case slices.Contains(c.Signed(), subject):
		return fmt.Errorf("that of %s is known here", subject)
	}
	a := d.replying(q.ID)
	if p := a.peers[tester{s.Opener, key.Key}]; p != nil && s.Opener != d.cfg.Life.Self && now.Before(p.next) || a.open[key.Key] {
		return fmt.Errorf("%w: one is open, or was just over", session.ErrNotYet)
	}
	if err := k.MayRun(sos.LiveTest, q.ID); err != nil {
		return err
	}
	if err := protocol.CheckSigners(protocol.Seat{Setup: s, Self: d.cfg.Life.Self}, r); err != nil {
		return err
	}
	return d.cfg.Life.Fit(ctx, now, s, protocol.PairKey(r))
}

func (d *Desk) testTask(now time.Time, c sos.Case, v ceremony.View, key act.Key, s *mpc.Setup, keys *protocol.Keys) *session.Task {
	request, subject := c.ID(), v.Names[s.Opener]
	digest := act.TestDigest(c.Request(), key, subject)
	d.replying(request).open[key.Key] = true
	return &session.Task{
		Standing: ceremony.Standing(v.Current), Pairs: protocol.PairKey(v.Current.Record), Hedge: secret.New(keys.Share.Bytes()), Timeout: liveTimeout,
		Title: fmt.Sprintf("live test of vault %s with %s", v.Title(), subject),
		Admit: journal.Entry{Leaves: []tlog.Filed{tlog.Notes(tlog.KindSession, now, v.Vault.ID, s.Hash()).On(request)}},
		Begin: func(seat protocol.Seat) (session.Machine, error) {
			stage, err := protocol.SignLive(seat, keys, digest)
			if err != nil {
				return nil, err
			}
			es, err := protocol.Engine(seat, stage)
			if err != nil {
				return nil, err
			}
			return session.NewMachine(es, protocol.SignRounds(s.Suite), func(ctx context.Context, _ time.Time, sig *protocol.Signature) error {
				if s.Opener != d.cfg.Life.Self {
					return nil // the subject shows it, or nobody
				}
				return d.keepSignature(ctx, request, key.Key, sig.Bytes[:])
			}), nil
		},
		Done: func(_ context.Context, now time.Time, err error, _ bool) {
			keys.Wipe()
			d.tested(now, request, key.Key, s.Opener, err)
		},
	}
}

// keepSignature makes a live test signature of ours durable: it is shown when those of all keys are there.
func (d *Desk) keepSignature(ctx context.Context, request statement.ID, key [32]byte, sig []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	failpoint.Hit("sos-before-live")
	if err := d.write(ctx, journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: liveKey(request, key), Value: sig}}, Reserve: true}}); err != nil {
		return err
	}
	failpoint.Hit("sos-after-live")
	d.replying(request).signatures[key] = sig
	return nil
}

// tested notes how a live test ended, and when the next may begin. Who opens them pays for each with a longer wait, whatever became of
// it: one is enough, and a subject that opens them and lets them die must not keep the others busy.
func (d *Desk) tested(now time.Time, request statement.ID, key [32]byte, opener engine.PartyID, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.replying(request)
	delete(a.open, key)
	if opener != d.cfg.Life.Self {
		p := a.peers[tester{opener, key}]
		if p == nil {
			p = &pace{}
			a.peers[tester{opener, key}] = p
		}
		p.next, p.runs = now.Add(liveRetry/2<<min(p.runs, maxDoubling)), p.runs+1 // half of what it waits itself, if it is honest
		return
	}
	switch {
	case err == nil:
		a.why, a.fails = "", 0
	case errors.Is(err, session.ErrNotYet): // nobody is in the way
		a.why, a.next = err.Error(), now.Add(liveRetry)
	default:
		a.why, a.next = err.Error(), now.Add(liveRetry<<min(a.fails, maxDoubling))
		a.fails++
		for _, p := range session.Culprits(err) {
			a.skip[p] = now.Add(liveSkip)
		}
	}
}

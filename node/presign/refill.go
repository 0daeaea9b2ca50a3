package presign

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/dkls"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
)

const (
	timeout     = 20 * time.Second
	setupLife   = 5 * time.Minute // clocks may differ by that much
	retry       = 2 * time.Second // after a session failed, doubled each time
	maxDoubling = 6
	skipFor     = time.Minute // by whom a presign session failed
	// maxHeld bounds what one key's signer sets may hold and wait for together: a hostile opener names any of them.
	maxHeld = 4 * dkls.PoolCapacity
)

// Tick drops what no longer serves, and returns the presign sessions that this node should open now.
func (p *Pools) Tick(ctx context.Context, now time.Time) (open []*mpc.Setup) {
	roots := p.cfg.Pick(p.wants)
	p.sweep(ctx, roots)
	for _, v := range roots {
		if !p.Wants(v) || p.cfg.Pressed(now, v.Current.Record.KeyID) {
			continue
		}
		signers, err := p.signers(ctx, now, v)
		s := p.plan(now, v, signers)
		if s != nil {
			err = p.cfg.Fit(ctx, now, s, protocol.PairKey(v.Current.Record))
		}
		if p.troubled(v, err); s != nil && err == nil {
			open = append(open, s)
		}
	}
	return open
}

// troubled says once why no presignatures are made: the vault signs in three rounds meanwhile.
func (p *Pools) troubled(v ceremony.View, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, why := p.line(v), ""
	if err != nil {
		why = err.Error()
	}
	if l.trouble != why && err != nil {
		p.cfg.Log.Error("presignatures are not made; the vault signs in three rounds", "vault", v.Title(), "error", err)
	}
	l.trouble = why
}

// plan opens a presign session if we are the lowest of the signers and their pool has room.
func (p *Pools) plan(now time.Time, v ceremony.View, signers []mpc.Party) *mpc.Setup {
	r := v.Current.Record
	if len(signers) < r.Threshold || signers[0].ID != p.cfg.Self {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.line(v)
	if p.stopped || l.making || now.Before(l.next) || p.count(r, signers) >= dkls.PoolCapacity {
		return nil
	}
	return &mpc.Setup{
		Protocol: protocol.ProtocolPresign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Parties: signers, NotAfter: now.Add(setupLife).UTC().Truncate(time.Second),
	}
}

// Admit decides whether we take part in a presign session. Nothing in the Setup is believed: the record is our own, and so is
// the wish to have presignatures of it.
func (p *Pools) Admit(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	v, err := p.root(s.KeyID)
	if err != nil {
		return nil, err
	}
	r := v.Current.Record
	if err := protocol.CheckSigners(protocol.Seat{Setup: s, Self: p.cfg.Self}, r); err != nil {
		return nil, err
	}
	if len(s.Parties) != r.Threshold || s.Opener != s.Parties[0].ID || len(s.Payload) > 0 {
		return nil, fmt.Errorf("vault %s: presignatures are made by %d signers, the lowest opens, and there is no payload", v.Title(), r.Threshold)
	}
	if err := p.cfg.Fit(ctx, now, s, protocol.PairKey(r)); err != nil {
		return nil, err
	}
	if p.cfg.Pressed(now, r.KeyID) {
		return nil, fmt.Errorf("vault %s: intents wait to be signed first", v.Title())
	}
	keys, err := p.cfg.Keys(ctx, r.KeyID, r.Hash())
	if err != nil {
		return nil, err
	}
	ticket, err := p.reserve(ctx, v, s)
	if err != nil {
		keys.Wipe()
		return nil, err
	}
	return p.task(v, s, keys, ticket, now), nil
}

func (p *Pools) root(key [32]byte) (ceremony.View, error) {
	v, ok := p.cfg.Root(key)
	if !ok || v.Current == nil {
		return ceremony.View{}, fmt.Errorf("key %x: %w", key[:6], ceremony.ErrNoKey)
	}
	if !p.Wants(v) {
		return v, fmt.Errorf("vault %s: this node makes no presignatures of it", v.Title())
	}
	return v, nil
}

// reserve draws the ticket of one presign session: one at a time for each key.
func (p *Pools) reserve(ctx context.Context, v ceremony.View, s *mpc.Setup) (dkls.Ticket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(ctx); err != nil {
		return dkls.Ticket{}, err
	}
	l := p.line(v)
	if l.making {
		return dkls.Ticket{}, fmt.Errorf("vault %s: another presignature of it is being made", v.Title())
	}
	if held, open := p.pool.Count(s.Epoch); held+open >= maxHeld {
		return dkls.Ticket{}, fmt.Errorf("vault %s: %w", v.Title(), dkls.ErrPoolFull)
	}
	t, err := p.pool.Reserve(s.Epoch, s.Epoch, s.Parties)
	if err != nil {
		return t, fmt.Errorf("vault %s: %w", v.Title(), err)
	}
	l.making = true
	return t, nil
}

func (p *Pools) task(v ceremony.View, s *mpc.Setup, keys *protocol.Keys, ticket dkls.Ticket, now time.Time) *session.Task {
	r := v.Current.Record
	var names []string
	for _, q := range s.Parties {
		names = append(names, v.Names[q.ID])
	}
	return &session.Task{
		Standing: ceremony.Standing(v.Current), Pairs: protocol.PairKey(r), Hedge: secret.New(keys.Share.Bytes()), Timeout: timeout,
		Title: fmt.Sprintf("make a presignature of vault %s by %s", v.Title(), strings.Join(names, ", ")),
		Admit: journal.Entry{Leaves: []tlog.Filed{tlog.Notes(tlog.KindSession, now, v.Vault.ID, s.Hash())}},
		Begin: func(seat protocol.Seat) (session.Machine, error) {
			stage, err := protocol.Presign(seat, keys, ticket)
			if err != nil {
				return nil, err
			}
			es, err := protocol.Engine(seat, stage)
			if err != nil {
				return nil, err
			}
			// Nothing is signed by it: no end of it means "possibly signed".
			return session.NewMachine(es, 0, func(_ context.Context, _ time.Time, made *dkls.Presignature) error { return p.put(*made) }), nil
		},
		Done: func(_ context.Context, now time.Time, err error, _ bool) {
			keys.Wipe()
			p.made(now, s, ticket, err)
		},
	}
}

func (p *Pools) put(made dkls.Presignature) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.pool == nil {
		made.Wipe()
		return dkls.ErrTicket
	}
	// A ticket that was dropped meanwhile, by a burned pair or a new epoch, puts nothing.
	return p.pool.Put(made)
}

// made notes how a presign session ended, and when to try again.
func (p *Pools) made(now time.Time, s *mpc.Setup, ticket dkls.Ticket, err error) {
	p.mu.Lock()
	if p.pool != nil {
		p.pool.Release(ticket)
	}
	l := p.keys[s.Epoch]
	if l != nil {
		l.making = false
	}
	switch {
	case err == nil || errors.Is(err, dkls.ErrTicket):
		p.stats.Made++
		if l != nil {
			l.fails = 0
		}
	default:
		p.stats.Failed++
		if l != nil {
			l.failed(now, err)
		}
	}
	p.mu.Unlock()
	if err == nil && p.cfg.Wake != nil {
		p.cfg.Wake()
	}
}

// failed waits, and makes presignatures without those who were silent or to blame, for a while, if others are there. Who declined
// has reasons, an intent that waits for instance: it is asked again soon.
func (l *line) failed(now time.Time, err error) {
	var declined *session.DeclinedError
	if errors.As(err, &declined) {
		l.next = now.Add(retry)
		return
	}
	l.next = now.Add(retry << min(l.fails, maxDoubling))
	l.fails++
	for _, id := range session.Culprits(err) {
		l.skip[id] = now.Add(skipFor)
	}
}

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
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
)

// Take checks what a person or a node says of an SOS, and what guardians contribute. Whoever carries it, it counts by its own signature or proof alone.
func (d *Desk) Take(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if len(n.Fields) != 2 {
		return fmt.Errorf("note of kind %#x has %d fields, not 2", uint8(n.Kind), len(n.Fields))
	}
	write = d.heard(write)
	if n.Kind == NoteContribution {
		return d.takeContribution(ctx, now, n, write)
	}
	s, err := statement.Parse(n.Fields[0])
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.takeSaid(ctx, now, s, n.Fields[1], write)
}

func (d *Desk) takeSaid(ctx context.Context, now time.Time, s statement.Statement, sig []byte, write func(journal.Entry) error) error {
	vault := s.Fields().ID("vault")
	k, err := d.docket(ctx, vault)
	if err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	e := journal.Entry{Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, vault, s.Bytes(), beside(sig)...)}}
	if s.Kind() == statement.SOSChallenge {
		return d.challenge(now, vault, s, sig, e, write)
	}
	next, fx, by, err := d.apply(now, vault, k, s, sig)
	switch {
	case errors.Is(err, sos.ErrOver):
		return d.tooLate(vault, s, by, sig, e, write)
	case errors.Is(err, sos.ErrUnknown), errors.Is(err, sos.ErrEarly), errors.Is(err, sos.ErrConsent), errors.Is(err, sos.ErrUnseated):
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	case err != nil:
		return err
	}
	if err := d.again(vault, s, by); err != nil {
		return err
	}
	kept, err := d.keep(vault, s, by, sig, &e)
	if err != nil {
		return err
	}
	e.Reserve = stops(s.Kind())
	if err := d.settle(now, vault, next, fx, &e); err != nil {
		return err
	}
	ended := d.ends(vault, s, &e)
	failpoint.Hit("sos-before-" + string(s.Kind()))
	hit("sos-before-", k, next)
	if err := write(e); err != nil {
		return err
	}
	failpoint.Hit("sos-after-" + string(s.Kind()))
	hit("sos-after-", k, next)
	d.became(vault, next)
	kept()
	ended()
	d.spoke(s, by)
	d.ticked = time.Time{} // what follows from it follows at once
	return d.flush(ctx, now)
}

// tooLate logs what came after its request was over, each signer's first word in a place: it moves nothing.
func (d *Desk) tooLate(vault statement.ID, s statement.Statement, by string, sig []byte, e journal.Entry, write func(journal.Entry) error) error {
	if _, taken := d.words[vault][placeOf(s, by)]; taken {
		return outbox.ErrOld
	}
	kept, err := d.keep(vault, s, by, sig, &e)
	if err != nil {
		return err
	}
	if err := write(e); err != nil {
		return err
	}
	kept()
	return nil
}

// apply verifies a statement against the plan that it is under, and lets the docket have it. What several sign waits until all did: the tick lets the
// docket have it then. by is who signed of them.
func (d *Desk) apply(now time.Time, vault statement.ID, k sos.Docket, s statement.Statement, sig []byte) (next sos.Docket, fx sos.Effects, by string, err error) {
	r := d.reading(now)
	switch s.Kind() {
	case statement.SOSRequest:
		q, err := act.RequestOf(s)
		if err != nil {
			return k, fx, "", err
		}
		_, p, err := d.inForce(vault, q.Keys...)
		if err != nil {
			return k, fx, "", fmt.Errorf("%w: %w", outbox.ErrLater, err)
		}
		if err := d.ahead(now, s); err != nil {
			return k, fx, "", err
		}
		if _, err := act.VerifyRequest(s, sig, p); err != nil {
			return k, fx, "", err
		}
		if q.Trigger == plan.Refusal && !d.called(q) { // it may be on its way; or there is none
			d.want(now, q)
			return k, fx, "", fmt.Errorf("%w: SOS request %s: challenge %s of a subject is not counted here", outbox.ErrLater, s.ID().Short(), q.Challenge.Short())
		}
		next, fx, err = k.Under(p).Ask(s, r)
		return next, fx, "", err
	}
	c, ok := k.Case(s.Fields().ID("request"))
	if !ok {
		return k, fx, "", fmt.Errorf("%s %s: %w", s.Kind(), s.ID().Short(), sos.ErrUnknown)
	}
	switch s.Kind() {
	case statement.SOSSeat:
		return k, fx, "", d.checkSeat(c, s, sig)
	case statement.SOSActivation, statement.SOSClose, statement.SOSEarlyRelease:
		by, err = d.share(now, k, c, s, sig)
		return k, fx, by, err
	}
	ev, err := d.event(c, s, sig)
	if err != nil {
		return k, fx, "", err
	}
	if repeats(c, ev) {
		return k, fx, "", outbox.ErrOld
	}
	next, fx, err = k.Apply(ev, r)
	return next, fx, "", err
}

// ahead: a request may be under a version of the charter that is on its way here. It is taken later, while it may still be declared: afterwards nobody waits for a
// version that may never be.
func (d *Desk) ahead(now time.Time, s statement.Statement) error {
	q, err := act.RequestOf(s)
	if err == nil && !d.cfg.Version(q.Charter) && now.Before(q.Expires) {
		err = fmt.Errorf("%w: SOS request %s: charter %s is not known here", outbox.ErrLater, q.ID.Short(), q.Charter.Short())
	}
	return err
}

// checkSeat: whoever may be of the new committee, for a key of the request.
func (d *Desk) checkSeat(c sos.Case, s statement.Statement, sig []byte) error {
	v, err := act.VerifySeat(s, sig, c.Plan())
	switch {
	case err != nil:
		return err
	case v.Head.Of(c.Request()) != nil || !slices.Contains(c.Request().Keys, v.Key):
		return fmt.Errorf("%s %s: %w: another request, key or epoch", s.Kind(), s.ID().Short(), sos.ErrForeign)
	case v.Attempt > d.next(c, v.Key)+ahead: // seats for attempts that may never be would fill the store
		return fmt.Errorf("%s %s: %w: attempt %d, and %d is next", s.Kind(), s.ID().Short(), sos.ErrEarly, v.Attempt, d.next(c, v.Key))
	}
	if err := c.MaySit(v.Operator); err != nil || !c.State().Ended() {
		return err
	}
	return sos.ErrOver
}

// share is one signature of several: whose, and that the statement is of the request. An activation is held to the plan before anybody else signs it.
func (d *Desk) share(now time.Time, k sos.Docket, c sos.Case, s statement.Statement, sig []byte) (by string, err error) {
	if by, err = d.signer(c, s, sig); err != nil {
		return "", err
	}
	tranches := s.Kind() == statement.SOSEarlyRelease && c.State() == sos.Closed
	if c.State().Ended() && s.Kind() != statement.SOSActivation && !tranches { // a certificate of an activation holds, whatever became of the request here
		return by, sos.ErrOver
	}
	switch s.Kind() {
	case statement.SOSActivation:
		a, err := act.ActivationOf(s)
		if err == nil {
			err = k.Fits(d.activated(c, a))
		}
		if err == nil && a.Attempt > d.next(c, a.Key)+ahead { // whoever signs far ahead would leave no attempt to the others
			err = fmt.Errorf("activation %s: %w: attempt %d, and %d is next", a.ID.Short(), sos.ErrEarly, a.Attempt, d.next(c, a.Key))
		}
		return by, err
	case statement.SOSClose:
		v, err := act.CloseOf(s)
		if err == nil {
			err = d.dated(now, v.Head, v.Created, c)
		}
		for _, k := range v.Keys {
			if err == nil && !slices.ContainsFunc(c.Request().Keys, func(o act.Key) bool { return o.Key == k.Key.Key }) {
				err = fmt.Errorf("%s %s: %w: key %x is none of the request's", s.Kind(), s.ID().Short(), sos.ErrForeign, k.Key.Key[:6])
			}
		}
		return by, err
	default:
		v, err := act.EarlyReleaseOf(s)
		if err == nil {
			err = d.dated(now, v.Head, v.Created, c)
		}
		return by, err
	}
}

// dated: of the request, and not from the future. One that never counts would keep out all that its signers say after it.
func (d *Desk) dated(now time.Time, h act.Head, created time.Time, c sos.Case) error {
	if err := h.Of(c.Request()); err != nil {
		return err
	}
	if created.After(now.Add(act.Skew)) {
		return fmt.Errorf("%w: it was made at %s", sos.ErrEarly, statement.FormatTime(created))
	}
	return nil
}

// event is a statement that was verified, under the plan that the case keeps.
func (d *Desk) event(c sos.Case, s statement.Statement, sig []byte) (sos.Event, error) {
	p := c.Plan()
	if err := bare(s, sig); err != nil {
		return nil, err
	}
	switch s.Kind() {
	case statement.SOSSupport:
		v, err := act.VerifySupport(s, sig, p)
		return sos.Supported{Support: v}, err
	case statement.SOSVeto:
		v, err := act.VerifyVeto(s, sig, p)
		return sos.Objected{Veto: v}, err
	case statement.SOSAlive:
		v, err := act.AliveOf(s)
		if err == nil {
			err = act.CheckAlive(v, c.Request(), d.cfg.Point)
		}
		return sos.Lived{Alive: v}, err
	case statement.SOSSigned:
		v, err := act.SignedOf(s)
		if err == nil {
			err = act.CheckSigned(v, c.Request(), d.cfg.CheckSignature)
		}
		return sos.SignedLive{Signed: v}, err
	case statement.SOSStep:
		v, err := act.VerifyStep(s, sig, p)
		return sos.Stepped{Step: v}, err
	case statement.SOSReleased:
		v, err := act.VerifyReleased(s, sig, p)
		if err == nil && v.Operator != d.cfg.Operator && !slices.ContainsFunc(d.activations(c), func(a act.Activation) bool {
			return a.ID == v.Activation && a.Key.Key == v.Key && a.Attempt == v.Attempt && slices.Contains(a.Contributors, v.Operator)
		}) { // releases of nothing would fill the docket
			err = fmt.Errorf("%s %s: activation %s: %w", s.Kind(), s.ID().Short(), v.Activation.Short(), sos.ErrUnknown)
		}
		return sos.Gave{Released: v}, err
	}
	return nil, fmt.Errorf("statements of kind %q are not taken here", s.Kind())
}

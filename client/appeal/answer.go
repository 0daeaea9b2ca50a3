package appeal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/guard"
)

// Errors of an appeal, beside those of custody/sos.
var (
	ErrNotYours  = errors.New("the key file is no guardian's of this vault")
	ErrUnsigned  = errors.New("the contributors have not signed an activation yet")
	ErrUnpinned  = errors.New("the charter is not the one that you were told")
	ErrOwnVeto   = errors.New("you vetoed it yourself")
	ErrElsewhere = errors.New("the contribution is of another request")
)

// Pinned holds the file to the charter that the guardian was told another way (spec/guardian 4.3). Later versions than that were enacted by every operator of
// it, one after the other.
func (a Asked) Pinned(charter statement.ID) error {
	if _, ok := a.History.Version(charter); !ok {
		return fmt.Errorf("%w: you were told %s, and the file has %s", ErrUnpinned, charter, a.Charter().ID)
	}
	return nil
}

// Who is the guardian with a card.
func (a Asked) Who(c guardian.Card) (plan.Guardian, error) {
	key, err := c.Key()
	if err != nil {
		return plan.Guardian{}, err
	}
	i := slices.IndexFunc(a.Plan.Guardians, func(g plan.Guardian) bool { return g.Key.Equal(key) })
	if i < 0 {
		return plan.Guardian{}, fmt.Errorf("%w: %s is not in charter %s", ErrNotYours, key.Fingerprint(), a.Charter().ID.Short())
	}
	return a.Plan.Guardians[i], nil
}

// bundle is what custody/sos judges a key by. Without an activation it names no contributors.
func (a Asked) bundle(k Key) sos.Bundle {
	b := sos.Bundle{Request: a.Request, Seats: a.Seats, Steps: a.Steps, Vetoes: a.Vetoes, Alive: a.Alive, Tests: a.Tests}
	if k.Activation != nil {
		b.Activation = *k.Activation
	}
	return b
}

// Term is when the guardian may contribute, on their own clock: from, and before until.
func (a Asked) Term(seen, now time.Time) (from, until time.Time, err error) {
	for i, k := range a.Keys {
		f, u, err := sos.Term(a.Plan, a.bundle(k), seen, now)
		if err != nil {
			return f, u, err
		}
		if i == 0 || f.After(from) {
			from = f
		}
		if i == 0 || u.Before(until) {
			until = u
		}
	}
	return from, until, nil
}

// Window is when the first of those who give their part has its window over, by the steps in the file: from its step into ACTIVE on (sure), or after the delay that its step into CONTEST began.
// Zero: the file shows neither. It is their word, and bounds nothing: the guardian is told, and may answer until Term is over.
func (a Asked) Window() (over time.Time, sure bool) {
	last := map[string]act.Step{}
	for _, s := range a.Steps {
		if o, ok := last[s.Operator]; a.gives(s.Operator) && (!ok || !s.Created.Before(o.Created)) {
			last[s.Operator] = s
		}
	}
	t, _ := a.Plan.Trigger(a.Request.Trigger)
	for _, s := range last {
		end := s.Created.Add(a.Plan.Window)
		switch s.State {
		case sos.Active.String():
		case sos.Contest.String():
			end = end.Add(t.Delay)
		default:
			continue
		}
		if active := s.State == sos.Active.String(); over.IsZero() || end.Before(over) {
			over, sure = end, active
		}
	}
	return over, sure
}

// gives says whether an operator gives its part; before an activation any may.
func (a Asked) gives(operator string) bool {
	named := false
	for _, k := range a.Keys {
		if k.Activation != nil {
			if named = true; slices.Contains(k.Activation.Contributors, operator) {
				return true
			}
		}
	}
	return !named && !slices.Contains(a.Request.Subjects, operator)
}

// Ahead are the contributors' steps that count for nothing yet, as they are dated ahead of this clock and of what everybody else says.
func (a Asked) Ahead(seen, now time.Time) (out []act.Step) {
	for _, k := range a.Keys {
		for _, s := range sos.Ahead(a.bundle(k), seen, now) {
			if !slices.ContainsFunc(out, func(o act.Step) bool { return o.ID == s.ID }) {
				out = append(out, s)
			}
		}
	}
	return out
}

// May says why the guardian must not contribute, nil if they may (spec/sos 7.6). Their own veto stands against them, though it ended nothing: a contribution says that
// they know of none that should.
func (a Asked) May(g plan.Guardian, seen, now time.Time) error {
	for _, v := range a.Vetoes {
		if v.By == g.Name {
			return fmt.Errorf("SOS request %s: %w (%s)", a.Request.ID.Short(), ErrOwnVeto, v.ID.Short())
		}
	}
	asked := false
	for _, k := range a.Keys {
		if k.Activation == nil {
			continue
		}
		asked = true
		if err := sos.MayContribute(a.Plan, g.Name, a.bundle(k), seen, now); err != nil {
			return err
		}
	}
	if !asked {
		return fmt.Errorf("SOS request %s: %w", a.Request.ID.Short(), ErrUnsigned)
	}
	return nil
}

// Answer makes the guardian's message for each key that has an activation (spec/guardian 5.1). Rows that dealers spoiled are reported beside it: the values were had all the
// same. May comes before it.
func (a Asked) Answer(k guardian.Key, rand io.Reader) (out carry.Contribution, spoiled []guard.SpoiledError, err error) {
	c, err := k.Card()
	if err != nil {
		return out, nil, err
	}
	g, err := a.Who(c)
	if err != nil {
		return out, nil, err
	}
	out.Guardian, out.Request = g.Name, a.Request.ID
	for _, x := range a.Keys {
		if x.Activation == nil {
			continue
		}
		raw, bad, err := x.answer(k, c, rand)
		spoiled = append(spoiled, bad...)
		if err != nil {
			return carry.Contribution{}, spoiled, fmt.Errorf("key %x: %w", x.Key.Key[:6], err)
		}
		out.Parts = append(out.Parts, carry.Part{Activation: x.Activation.ID, Contribution: raw})
	}
	return out, spoiled, nil
}

func (x Key) answer(k guardian.Key, c guardian.Card, rand io.Reader) ([]byte, []guard.SpoiledError, error) {
	dk, err := k.Decryption()
	if err != nil {
		return nil, nil, err
	}
	defer dk.Wipe()
	y, spoiled, err := x.Set.Open(x.Terms, guard.IDOf(c.Signing()), dk)
	if err != nil {
		return nil, spoiled, err
	}
	defer y.Wipe()
	var failed error
	sign := func(h *transcript.Hash) []byte {
		sig, err := k.SignTree(h)
		failed = err
		return sig
	}
	m, err := guard.Contribute(x.Terms, x.Committee, y, c.Signing(), sign, rand)
	if err == nil {
		err = failed
	}
	if err == nil { // what others would refuse is no answer, and would be held against the guardian
		err = m.Check(x.Terms, x.Set, x.Committee)
	}
	if err != nil {
		return nil, spoiled, err
	}
	return m.Encode(), spoiled, nil
}

// Check holds a contribution to what was asked, as every node does: it is whole, its guardian's, and for these activations.
func (a Asked) Check(c carry.Contribution) error {
	if c.Request != a.Request.ID {
		return fmt.Errorf("%w: %s, and this is %s", ErrElsewhere, c.Request.Short(), a.Request.ID.Short())
	}
	for _, p := range c.Parts {
		i := slices.IndexFunc(a.Keys, func(k Key) bool { return k.Activation != nil && k.Activation.ID == p.Activation })
		if i < 0 {
			return fmt.Errorf("%w: activation %s is not in the appeal", ErrElsewhere, p.Activation.Short())
		}
		k := a.Keys[i]
		m, err := guard.DecodeContribution(k.Terms.Group, k.Committee, p.Contribution)
		if err == nil {
			err = m.Check(k.Terms, k.Set, k.Committee)
		}
		if err != nil {
			return fmt.Errorf("key %x: %w", k.Key.Key[:6], err)
		}
		g, ok := a.Plan.Guardian(c.Guardian)
		if card, known := a.card(c.Guardian); !ok || !known || guard.IDOf(card.Signing()) != m.Guardian() {
			return fmt.Errorf("key %x: it is another guardian's than %s's", k.Key.Key[:6], g.Name)
		}
	}
	return nil
}

func (a Asked) card(name string) (guardian.Card, bool) {
	for _, g := range a.Charter().Guardians {
		if g.Name == name {
			return g.Card, true
		}
	}
	return guardian.Card{}, false
}

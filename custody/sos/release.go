package sos

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// MaxNoVeto is how old a no-veto may be when a node gives its part.
const MaxNoVeto = time.Hour

// A Question is what a node asks the others before it gives its part: whether they know of a veto. It lives in memory alone, so that a
// node that starts anew asks anew.
type Question struct {
	Nonce [32]byte // the node's own random bytes
	Asked Reading
}

// An Own is this node's own log as it stands.
type Own struct {
	Origin string
	Log    tlog.Head
}

// Release is the one decision after which vetoes are late (spec/sos 7). It refuses with the reason, or gives the docket with the release
// in it and the statement to sign. The host writes both in one transaction, fsyncs, and only then sends anything of its part. answers
// are no-vetos that act.VerifyNoVeto accepted.
//
// If an answer shows that this node was rolled back, the error is ErrRolled, and the host applies RolledBack.
func (d Docket) Release(id statement.ID, q Question, answers []act.NoVeto, own Own, r Reading) (Docket, act.Released, error) {
	r = r.plain()
	i := slices.IndexFunc(d.cases, func(c Case) bool { _, ok := c.activation(id); return ok })
	if i < 0 {
		return d, act.Released{}, fmt.Errorf("release for activation %s: %w", id.Short(), ErrUnknown)
	}
	fail := func(err error) (Docket, act.Released, error) {
		return d, act.Released{}, fmt.Errorf("release for activation %s of SOS request %s: %w", id.Short(), d.cases[i].request.ID.Short(), err)
	}
	next := d.clone()
	c := &next.cases[i]
	*c = c.clone()
	c.clock = c.clock.Tick(r)
	a, _ := c.activation(id)
	if err := next.mayGive(*c, a, r); err != nil {
		return fail(err)
	}
	used, err := d.unvetoed(*c, a, q, answers, own, r)
	if err != nil {
		return fail(err)
	}
	if err := c.give(gift{id, d.self}); err != nil {
		return fail(err)
	}
	return next, act.Released{
		Head: c.request.Head(), Operator: d.self, Activation: id, Key: a.key, Attempt: a.attempt, NoVetos: used,
		Credited: c.clock.Credited, FirstSeen: c.declared, Created: r.Wall,
	}, nil
}

// mayGive looks at everything once more that this node knows by itself. Nothing that was true when ACTIVE began is taken for granted.
func (d Docket) mayGive(c Case, a activation, r Reading) error {
	switch {
	case d.rolled: // S2
		return ErrRolled
	case c.late:
		return ErrVetoed
	case c.state == Vetoed || len(c.Vetoes()) >= c.plan.Vetoes(): // S4: no veto
		return ErrVetoed
	case c.state < Active: // S1
		return fmt.Errorf("%w: it is %s", ErrEarly, c.state)
	case c.state != Active:
		return fmt.Errorf("%w: it is %s", ErrLate, c.state)
	case c.clock.Credited < c.trigger().Delay: // S1, S2: not before D
		return fmt.Errorf("%w: %s of the delay are left", ErrEarly, c.trigger().Delay-c.clock.Credited)
	case c.closing(r): // S1: not after the window, even if no tick has come since
		return fmt.Errorf("%w: the window is over", ErrLate)
	case !slices.Contains(a.contributors, d.self):
		return fmt.Errorf("%w: %s contributes to another", ErrForeign, d.self)
	case !slices.Contains(c.Consents(), d.self): // silence is no consent
		return ErrConsent
	}
	for _, name := range a.contributors { // S13: fork evidence freezes
		if slices.Contains(d.forked, name) {
			return fmt.Errorf("%w: that of contributor %s", ErrForked, name)
		}
	}
	for _, o := range c.activations { // S3: used once, and never an earlier attempt after a later one
		if o.key == a.key && o.attempt >= a.attempt && slices.Contains(c.gave, gift{o.id, d.self}) {
			return fmt.Errorf("%w: this node gave its part for attempt %d", ErrUsed, o.attempt)
		}
	}
	return nil
}

// unvetoed holds the answers to what is needed: every other contributor, and w′ of the circle's operators outside the subjects' domains,
// each to this node's own question, none older than an hour. Their ids are returned, ascending.
func (d Docket) unvetoed(c Case, a activation, q Question, answers []act.NoVeto, own Own, r Reading) (used []statement.ID, err error) {
	// By the clock that nobody sets, an answer is no older than the question.
	if q.Asked.Boot != r.Boot || r.Mono < q.Asked.Mono || r.Mono-q.Asked.Mono > MaxNoVeto || r.Wall.Sub(q.Asked.Wall) > MaxNoVeto {
		return nil, fmt.Errorf("%w: the question is older than %s, or of another start of this node: ask again", ErrNoVeto, MaxNoVeto)
	}
	said := map[string]bool{}
	for _, v := range answers {
		if v.Head.Of(c.request) != nil || v.Asker != d.self || v.Nonce != q.Nonce || v.Operator == d.self || slices.Contains(c.request.Subjects, v.Operator) {
			continue // S3: to another question
		}
		if r.Wall.Sub(v.Created) > MaxNoVeto || v.Created.Sub(r.Wall) > act.Skew || slices.Contains(d.forked, v.Operator) {
			continue
		}
		if v.Origin != own.Origin || v.Log.Size > own.Log.Size || v.Log.Size == own.Log.Size && v.Log.Root != own.Log.Root {
			// S2: it cosigned what this node does not have.
			return nil, fmt.Errorf("%w: %s knows %d leaves of this node's log, it has %d itself", ErrRolled, v.Operator, v.Log.Size, own.Log.Size)
		}
		if !said[v.Operator] {
			said[v.Operator] = true
			used = append(used, v.ID)
		}
	}
	for _, name := range a.contributors {
		if name != d.self && !said[name] {
			return nil, fmt.Errorf("%w: contributor %s has not said so", ErrNoVeto, name)
		}
	}
	standing, need := 0, c.plan.Attests(c.request.Subjects)
	for _, name := range c.plan.Standing(c.request.Subjects) {
		if said[name] {
			standing++
		}
	}
	if standing < need { // S13
		return nil, fmt.Errorf("%w: %d of the operators that witness have said so, %d are needed", ErrNoVeto, standing, need)
	}
	slices.SortFunc(used, func(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) })
	return used, nil
}

// NoVeto is this node's answer to another's question: it refuses unless it has the declaration, knows of no veto, and is sure of what it
// knows. asker's log is the highest head that this node cosigned or knows to be cosigned.
func (d Docket) NoVeto(request statement.ID, asker string, nonce [32]byte, askers Own, r Reading) (act.NoVeto, error) {
	i := d.find(request)
	if i < 0 {
		return act.NoVeto{}, fmt.Errorf("no-veto on SOS request %s: %w", request.Short(), ErrUnknown)
	}
	c := d.cases[i]
	switch {
	case d.rolled: // its vetoes may be lost
		return act.NoVeto{}, fmt.Errorf("no-veto on SOS request %s: %w", request.Short(), ErrRolled)
	case c.late || c.state == Vetoed || len(c.Vetoes()) >= c.plan.Vetoes():
		return act.NoVeto{}, fmt.Errorf("no-veto on SOS request %s: %w", request.Short(), ErrVetoed)
	case c.state != Contest && c.state != Active:
		return act.NoVeto{}, fmt.Errorf("no-veto on SOS request %s: it is %s here", request.Short(), c.state)
	}
	return act.NoVeto{Head: c.request.Head(), Operator: d.self, Asker: asker, Nonce: nonce, Origin: askers.Origin, Log: askers.Log, Created: r.Wall}, nil
}

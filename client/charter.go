package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Rules are the versions of the charter that nodes show, each verified from the one before, and what stands beside them.
type Rules struct {
	History charter.History
	Enacted []charter.Enacted             // what shows it, by version
	Pending []Pending                     // ascending by id
	Revoked map[string]charter.Revocation // by key's line
	Frozen  []Frozen
}

// A Pending is a version of the charter that waits: its statement and signatures were verified here, the rest is the nodes' word.
type Pending struct {
	charter.Charter
	Signed  []string             // operators whose officer signed
	Missing []string             // and those whose must still
	Vetoes  []charter.Veto       // verified; ascending by operator
	Due     map[string]time.Time // by node: when it enacts it; zero: it waits for signatures
	Awaited []string             // operators whose nodes have not enacted it, as some node sees it
}

// A Frozen is a freeze that holds a vault, as a node says.
type Frozen struct {
	Vault    statement.ID
	Operator string
	Expires  string
	Reason   string
	Nodes    []string
}

// Terms gives a vault the terms of the charter in force, as far as this program's clock tells.
func (r Rules) Terms(v charter.Vault) charter.Vault {
	c, ok := r.History.Newest()
	if !ok {
		v.Terms = charter.Terms{}
		return v
	}
	return c.Terms(v, time.Now(), r.revoked)
}

func (r Rules) revoked(k signet.Key) bool {
	_, ok := r.Revoked[k.String()]
	return ok
}

// then gives a vault the terms that it had under a version, when something of then was made.
func (r Rules) then(v charter.Vault, under statement.ID, at time.Time) (charter.Vault, bool) {
	c, ok := r.History.Version(under)
	if !ok {
		return v, false
	}
	return c.Terms(v, at, func(signet.Key) bool { return false }), true
}

// maxEnacted bounds how many versions of a charter are read.
const maxEnacted = 4096

// ReadRules verifies what one node shows of the charter.
func ReadRules(node string, chain charter.Chain, m *v1.CharterResponse) (Rules, error) {
	r, err := readRules(node, chain, m)
	if err != nil {
		return Rules{}, &VerifyError{node, fmt.Errorf("charter: %w", err)}
	}
	return r, nil
}

func readRules(node string, chain charter.Chain, m *v1.CharterResponse) (r Rules, err error) {
	if len(m.Versions) > maxEnacted {
		return r, fmt.Errorf("%d versions, at most %d are read", len(m.Versions), maxEnacted)
	}
	r.Revoked = map[string]charter.Revocation{}
	for _, raw := range m.Versions {
		e, err := charter.DecodeEnacted(raw)
		if err != nil {
			return r, err
		}
		if r.History, err = r.History.Next(e, chain); err != nil {
			return r, err
		}
		r.Enacted = append(r.Enacted, e)
	}
	for _, x := range m.Pending {
		p, err := readPending(node, chain, r.History, x)
		if err != nil {
			return r, err
		}
		r.Pending = append(r.Pending, p)
	}
	for _, x := range m.Revocations {
		if err := r.readRevocation(chain, x); err != nil {
			return r, err
		}
	}
	for _, x := range m.Frozen {
		id, err := idOf(x.Vault)
		if err != nil {
			return r, fmt.Errorf("freeze: %w", err)
		}
		r.Frozen = append(r.Frozen, Frozen{id, x.Operator, x.Expires, x.Reason, []string{node}})
	}
	return r, nil
}

func idOf(b []byte) (id statement.ID, err error) {
	if len(b) != len(id) {
		return id, fmt.Errorf("an id has %d bytes, not %d", len(b), len(id))
	}
	return statement.ID(b), nil
}

func readPending(node string, chain charter.Chain, h charter.History, m *v1.PendingCharter) (p Pending, err error) {
	s, err := statement.ParseKind(m.Statement, statement.Charter)
	if err != nil {
		return p, err
	}
	if p.Charter, err = charter.Of(s); err != nil {
		return p, err
	}
	if err := h.CheckNext(p.Charter, chain); err != nil {
		return p, err
	}
	roster, _ := chain.Version(p.Roster)
	by, err := p.Acceptors(roster)
	if err != nil {
		return p, err
	}
	a := charter.Accepted{Statement: s}
	for _, x := range m.Acceptances {
		if a, _, err = a.Add(by, x.Signature); err != nil {
			return p, err
		}
	}
	p.Signed, p.Missing, p.Awaited, p.Due = slices.Sorted(maps.Keys(a.Signatures)), a.Missing(by), m.Awaited, map[string]time.Time{node: {}}
	if m.Due != "" {
		if p.Due[node], err = time.Parse(time.RFC3339, m.Due); err != nil {
			return p, fmt.Errorf("due: %w", err)
		}
	}
	for _, x := range m.Vetoes {
		s, err := statement.ParseKind(x.Statement, statement.Veto)
		if err != nil {
			return p, err
		}
		v, err := charter.VerifyVeto(s, x.Signature, p.Charter, roster)
		if err != nil {
			return p, err
		}
		p.Vetoes = append(p.Vetoes, v)
	}
	return p, nil
}

// readRevocation believes one that the person's own keys made, or an officer of their organisation in any version of the roster.
func (r Rules) readRevocation(chain charter.Chain, m *v1.Signed) error {
	s, err := statement.ParseKind(m.Statement, statement.Revoke)
	if err != nil {
		return err
	}
	c, ok := r.History.Version(s.Fields().ID("charter"))
	if !ok {
		return fmt.Errorf("revocation %s: it names a charter that is not shown", s.ID().Short())
	}
	var all error
	for _, roster := range chain {
		v, err := charter.VerifyRevocation(s, m.Signature, c, roster)
		if err == nil {
			r.Revoked[v.Key.String()] = v
			return nil
		}
		all = err
	}
	return all
}

// Rules reads the charter from all nodes of the circle: they must show one history, of which some may lag behind. What any of them proves
// to wait, or to be revoked, counts.
func (c *Circle) Rules(ctx context.Context) (Rules, []Failure, error) {
	chain, _, err := c.Chain(ctx)
	if err != nil {
		return Rules{}, nil, err
	}
	return c.rules(ctx, chain)
}

func (c *Circle) rules(ctx context.Context, chain charter.Chain) (Rules, []Failure, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (Rules, error) {
		res, err := m.Charter(ctx, connect.NewRequest(&v1.CharterRequest{}))
		if err != nil {
			return Rules{}, err
		}
		return ReadRules(m.Name, chain, res.Msg)
	})
	good, err := answers.Need("read the charter", 1)
	if err != nil {
		return Rules{}, nil, err
	}
	out, err := mergeRules(good)
	return out, append(answers.Failures(), lagging(good, out.History)...), err
}

// lagging finds the nodes that show fewer versions of the charter than others.
func lagging(good Answers[Rules], newest charter.History) (out []Failure) {
	for _, a := range good {
		if n := len(a.Value.History); n < len(newest) {
			what := "no charter"
			if n > 0 {
				what = fmt.Sprintf("version %d of the charter", n-1)
			}
			out = append(out, Failure{a.Node, &LagError{fmt.Sprintf("it shows %s, version %d is in force", what, len(newest)-1)}})
		}
	}
	return out
}

func mergeRules(good Answers[Rules]) (out Rules, err error) {
	out.Revoked = map[string]charter.Revocation{}
	for _, a := range good {
		if len(a.Value.History) > len(out.History) {
			out.History, out.Enacted = a.Value.History, a.Value.Enacted
		}
		maps.Copy(out.Revoked, a.Value.Revoked)
	}
	for v := range out.History {
		var copies []Copy
		for _, a := range good {
			if v < len(a.Value.History) {
				copies = append(copies, Copy{a.Node, []byte(a.Value.History[v].ID.String())})
			}
		}
		if err := Compare(fmt.Sprintf("version %d of the charter", v), copies); err != nil {
			return Rules{}, err
		}
	}
	for _, a := range good {
		for _, p := range a.Value.Pending {
			out.mergePending(p)
		}
		for _, f := range a.Value.Frozen {
			out.mergeFrozen(f)
		}
	}
	slices.SortFunc(out.Pending, func(a, b Pending) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	return out, nil
}

func (r *Rules) mergePending(p Pending) {
	if p.Version < uint64(len(r.History)) {
		return // the node that shows it lags behind
	}
	i := slices.IndexFunc(r.Pending, func(o Pending) bool { return o.ID == p.ID })
	if i < 0 {
		r.Pending = append(r.Pending, p)
		return
	}
	o := &r.Pending[i]
	o.Signed = union(o.Signed, p.Signed)
	o.Missing = slices.DeleteFunc(o.Missing, func(name string) bool { return slices.Contains(o.Signed, name) })
	o.Awaited = slices.DeleteFunc(o.Awaited, func(name string) bool { return !slices.Contains(p.Awaited, name) })
	maps.Copy(o.Due, p.Due)
	for _, v := range p.Vetoes {
		if !slices.ContainsFunc(o.Vetoes, func(x charter.Veto) bool { return x.Operator == v.Operator }) {
			o.Vetoes = append(o.Vetoes, v)
		}
	}
	slices.SortFunc(o.Vetoes, func(a, b charter.Veto) int { return strings.Compare(a.Operator, b.Operator) })
}

func (r *Rules) mergeFrozen(f Frozen) {
	i := slices.IndexFunc(r.Frozen, func(o Frozen) bool { return o.Vault == f.Vault && o.Operator == f.Operator && o.Expires == f.Expires })
	if i < 0 {
		r.Frozen = append(r.Frozen, f)
		return
	}
	r.Frozen[i].Nodes = append(r.Frozen[i].Nodes, f.Nodes...)
}

// ErrNoRules says that the circle has a roster and no charter yet.
var ErrNoRules = errors.New("the circle has no charter yet: every operator must run `ostraka charter sign FOLDER` first")

// Charter is the version in force.
func (r Rules) Charter() (charter.Charter, error) {
	c, ok := r.History.Newest()
	if !ok {
		return c, &EarlyError{ErrNoRules.Error()}
	}
	return c, nil
}

// Revoke ends one of the person's own keys, with any of them. key is the beginning of its fingerprint; empty: the key that signs.
func (c *Circle) Revoke(ctx context.Context, r Rules, key, reason string) (charter.Revocation, Answers[Taken], error) {
	if c.signer == nil {
		return charter.Revocation{}, nil, ErrNoKey
	}
	x, err := r.Charter()
	if err != nil {
		return charter.Revocation{}, nil, err
	}
	h, ok := x.Owner(c.signer.Key())
	if !ok {
		return charter.Revocation{}, nil, &RefusedError{fmt.Sprintf("key %s is nobody's in %s", c.signer.Key().Fingerprint(), x.Title())}
	}
	if key == "" {
		key = c.signer.Key().String()
	}
	k, err := charter.KeyOf(x.Document, h.Name, key)
	if err != nil {
		return charter.Revocation{}, nil, err
	}
	out := charter.Revocation{Charter: x.ID, Person: h.Name, Key: k, Reason: reason, Created: Now()}
	s, err := out.Statement(NewSalt())
	if err != nil {
		return out, nil, err
	}
	taken, err := c.SubmitStatement(ctx, s)
	if err != nil {
		return out, nil, err
	}
	_, err = taken.Need("revoke the key", 1)
	return out, taken, err
}

package client

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 16 << 20

// callTimeout bounds one call to one node.
const callTimeout = 10 * time.Second

// A command of several steps waits once for a node that is silent: it is not asked again for
// silentFor. One that refuses connections at once is asked every time.
const (
	silentFor   = 15 * time.Second
	silentAfter = time.Second
)

// A Member is one node of a circle.
type Member struct {
	Node
	ostrakav1connect.PeopleClient
	bearer *bearer

	mu     sync.Mutex
	silent error // how the last call ended, if it ended in silence
	till   time.Time
}

// quiet returns the error of a node that was silent a moment ago.
func (m *Member) quiet(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.till) {
		return m.silent
	}
	return nil
}

// note remembers how a call ended.
func (m *Member) note(begun, now time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent, m.till = nil, time.Time{}
	if err != nil && Down(err) && now.Sub(begun) >= silentAfter {
		m.silent, m.till = err, now.Add(silentFor)
	}
}

// A Circle is the nodes of one context, each behind its pinned identity.
type Circle struct {
	Name    string
	Members []*Member
	signer  *Signer
	own     bool // an operator's own node, which may not be in the roster yet

	transports []*http.Transport

	mu    sync.Mutex
	chain charter.Chain // once it was compared
}

// Dial makes a circle. It connects when it is asked something. signer may be nil: then only
// what is public can be read.
func Dial(c Context, signer *Signer, cache Cache) *Circle {
	out := &Circle{Name: c.Name, signer: signer}
	for _, n := range c.Nodes {
		t := transport(n)
		h, url := &http.Client{Transport: t}, "https://"+n.Address
		b := &bearer{node: n, signer: signer, cache: cache}
		b.bare = ostrakav1connect.NewPeopleClient(h, url, connect.WithReadMaxBytes(maxAnswer))
		people := ostrakav1connect.NewPeopleClient(h, url, connect.WithReadMaxBytes(maxAnswer),
			connect.WithInterceptors(connect.UnaryInterceptorFunc(b.intercept)))
		out.Members = append(out.Members, &Member{Node: n, PeopleClient: people, bearer: b})
		out.transports = append(out.transports, t)
	}
	return out
}

// Close ends idle connections.
func (c *Circle) Close() {
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// Signer is the person who asks, or nil.
func (c *Circle) Signer() *Signer { return c.signer }

// An Answer is what one node said.
type Answer[T any] struct {
	Node  string
	Value T
	Err   error
}

// Answers are of all nodes, in the order of the context.
type Answers[T any] []Answer[T]

// Ask calls every node at once.
func Ask[T any](ctx context.Context, c *Circle, call func(context.Context, *Member) (T, error)) Answers[T] {
	return AskFor(ctx, c, callTimeout, call)
}

// AskFor is Ask with another bound of the time that one node may take.
func AskFor[T any](ctx context.Context, c *Circle, limit time.Duration, call func(context.Context, *Member) (T, error)) Answers[T] {
	out := make(Answers[T], len(c.Members))
	var wg sync.WaitGroup
	for i, m := range c.Members {
		wg.Go(func() {
			out[i].Node = m.Name
			if out[i].Err = m.quiet(time.Now()); out[i].Err != nil {
				return
			}
			begun := time.Now()
			called, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			out[i].Value, out[i].Err = call(called, m)
			if ctx.Err() == nil { // else it was we who gave up
				m.note(begun, time.Now(), out[i].Err)
			}
		})
	}
	wg.Wait()
	return out
}

// Good are the answers without error.
func (a Answers[T]) Good() (good Answers[T]) {
	for _, x := range a {
		if x.Err == nil {
			good = append(good, x)
		}
	}
	return good
}

// Failures are the others.
func (a Answers[T]) Failures() (out []Failure) {
	for _, x := range a {
		if x.Err != nil {
			out = append(out, Failure{x.Node, x.Err})
		}
	}
	return out
}

// Need returns the good answers, or a *NodesError if there are fewer than least. An answer
// that does not hold is an error whatever the others say.
func (a Answers[T]) Need(what string, least int) (Answers[T], error) {
	for _, f := range a.Failures() {
		if Classify(f.Err) == Unverified {
			return nil, &NodesError{what, least, []Failure{f}}
		}
	}
	good := a.Good()
	if len(good) < least {
		return nil, &NodesError{what, least, a.Failures()}
	}
	return good, nil
}

// Roster returns the newest that nodes show (Chain).
func (c *Circle) Roster(ctx context.Context) (charter.Roster, []Failure, error) {
	chain, failed, err := c.Chain(ctx)
	return chain.Newest(), failed, err
}

// A LagError says that a node has not heard of the newest roster, or is in it no more. What it shows
// is no lie, and does not count.
type LagError struct{ What string }

func (e *LagError) Error() string { return e.What }

// Chain returns all versions of the roster, each verified from the one before. The nodes must show one
// and the same chain; one that lags behind, or whose operator left, is a failure and no more, as long as
// another node shows the rest. Each pinned node must be, or have been, an operator's.
func (c *Circle) Chain(ctx context.Context) (charter.Chain, []Failure, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (charter.Chain, error) {
		res, err := m.Roster(ctx, connect.NewRequest(&v1.RosterRequest{}))
		if err != nil {
			return nil, err
		}
		chain, err := readRosters(res.Msg)
		if err == nil {
			if _, ok := chain.Identity(m.Identity); !ok && !c.own {
				err = errors.New("the roster does not hold its own identity")
			}
		}
		if err != nil {
			err = &VerifyError{m.Name, err}
		}
		return chain, err
	})
	good, err := answers.Need("read the roster", 1)
	if err != nil {
		return nil, nil, err
	}
	var newest charter.Chain
	for _, a := range good {
		if len(a.Value) > len(newest) {
			newest = a.Value
		}
	}
	// A fork: two rosters that are both accepted follow the same one.
	for v := range newest {
		var copies []Copy
		for _, a := range good {
			if v < len(a.Value) {
				copies = append(copies, Copy{a.Node, []byte(a.Value[v].ID.String())})
			}
		}
		if err := Compare(fmt.Sprintf("version %d of the roster", v), copies); err != nil {
			return nil, nil, err
		}
	}
	lagging := c.lag(answers, newest)
	c.mu.Lock()
	c.chain = newest
	c.mu.Unlock()
	return newest, append(answers.Failures(), lagging...), nil
}

// lag finds the nodes that answered and do not count.
func (c *Circle) lag(answers Answers[charter.Chain], newest charter.Chain) (out []Failure) {
	for i, a := range answers {
		if a.Err != nil {
			continue
		}
		switch last := newest.Newest(); {
		case operatorOf(last, c.Members[i].Identity) == "":
			out = append(out, Failure{a.Node, &LagError{fmt.Sprintf("its operator left the circle before version %d of the roster: take it out with `ostraka context remove CONTEXT --node %s`", last.Version, a.Node)}})
		case len(a.Value) < len(newest):
			out = append(out, Failure{a.Node, &LagError{fmt.Sprintf("it shows version %d of the roster, version %d is in force", a.Value.Newest().Version, last.Version)}})
		}
	}
	return out
}

// Operator is the name by which the roster calls a node of the context; the node's own name
// before the roster is known.
func (c *Circle) Operator(node string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.Members {
		if m.Name == node {
			if o, ok := c.chain.Identity(m.Identity); ok {
				return o.Name
			}
		}
	}
	return node
}

func operatorOf(r charter.Roster, identity ed25519.PublicKey) string {
	for _, o := range r.Operators {
		if o.Identity.Equal(identity) {
			return o.Name
		}
	}
	return ""
}

// maxVersions bounds how many versions of a roster are read.
const maxVersions = 4096

// readRosters verifies every version from the one before.
func readRosters(msg *v1.RosterResponse) (chain charter.Chain, err error) {
	if len(msg.Earlier) >= maxVersions {
		return nil, fmt.Errorf("%d versions of the roster, at most %d are read", len(msg.Earlier)+1, maxVersions)
	}
	all := append(slices.Clone(msg.Earlier), &v1.Roster{Statement: msg.Statement, Acceptances: msg.Acceptances})
	for _, m := range all {
		s, err := statement.ParseKind(m.Statement, statement.Roster)
		if err != nil {
			return nil, err
		}
		r, err := charter.RosterOf(s)
		if err != nil {
			return nil, err
		}
		need, err := chain.Acceptance(r)
		if err != nil {
			return nil, err
		}
		accepted := charter.Accepted{Statement: s}
		for _, a := range m.Acceptances {
			if accepted, _, err = accepted.Add(need.All(), a.Signature); err != nil {
				return nil, fmt.Errorf("roster %s: %w", s.ID().Short(), err)
			}
		}
		if chain, err = chain.Next(accepted); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

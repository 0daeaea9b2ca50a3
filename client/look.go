package client

import (
	"context"
	"errors"
	"slices"

	"connectrpc.com/connect"

	"github.com/ostraka/ostraka/custody/statement"
)

// A Look is all that the nodes of a circle show a person at one time, for programs that watch. A node that shows what does not hold, or what
// most nodes contradict, is named in Failures and left out, so that it keeps nothing from being seen that the others show.
type Look struct {
	Rules    Rules
	Vaults   []Vault
	Cases    []*Case
	Rescues  []Rescue      // what nodes show of SOS: each for itself
	Held     []string      // nodes whose answers are in it, in the order of the context
	Failures []Failure     // of the others, one each, in the order of the context
	Apart    []*Difference // what nodes contradict one another about; the smaller groups are left out
}

// Look reads roster, charter, vaults and intents. When nobody can be believed (no node answers, or nodes contradict one another and neither side
// is larger), the error says why, and the Look holds Failures and Apart alone.
func (c *Circle) Look(ctx context.Context) (Look, error) {
	var apart []*Difference
	for bad := map[string]error{}; ; {
		part := c.without(bad)
		out, failed, err := part.lookAt(ctx)
		out.Apart = apart
		for _, f := range failed {
			blame(bad, f)
		}
		if err == nil {
			c.mu.Lock()
			c.chain = part.chain // for Operator
			c.mu.Unlock()
			return out.named(c, bad), nil
		}
		before := len(bad)
		var d *Difference
		var nodes *NodesError
		switch {
		case errors.As(err, &d):
			apart = append(apart, d)
			for _, name := range d.smaller() {
				blame(bad, Failure{name, &VerifyError{name, d}})
			}
		case errors.As(err, &nodes):
			for _, f := range nodes.Failures {
				blame(bad, f)
			}
		}
		if len(bad) == before || len(bad) == len(c.Members) {
			return Look{Apart: apart}.named(c, bad), err
		}
	}
}

func blame(bad map[string]error, f Failure) {
	if bad[f.Node] == nil {
		bad[f.Node] = f.Err
	}
}

// named sorts the nodes into those that are in the look and those that failed.
func (l Look) named(c *Circle, bad map[string]error) Look {
	l.Held, l.Failures = nil, nil
	for _, m := range c.Members {
		if err := bad[m.Name]; err != nil {
			l.Failures = append(l.Failures, Failure{m.Name, err})
		} else {
			l.Held = append(l.Held, m.Name)
		}
	}
	return l
}

// without is the circle of the other nodes.
func (c *Circle) without(bad map[string]error) *Circle {
	out := &Circle{Name: c.Name, signer: c.signer, own: c.own}
	for _, m := range c.Members {
		if bad[m.Name] == nil {
			out.Members = append(out.Members, m)
		}
	}
	return out
}

// lookAt reads all of it once. Its failures count beside an error too.
func (c *Circle) lookAt(ctx context.Context) (out Look, failed []Failure, err error) {
	chain, failed, err := c.Chain(ctx)
	if err != nil {
		return out, failed, err
	}
	var more []Failure
	if out.Rules, more, err = c.rules(ctx, chain); err == nil {
		failed = append(failed, more...)
		out.Vaults, more, err = c.vaults(ctx, chain, out.Rules)
	}
	if err == nil {
		failed = append(failed, more...)
		out.Cases, more, err = c.Cases(ctx, out.Vaults, statement.ID{})
	}
	if err == nil {
		failed = append(failed, more...)
		out.Rescues, more, err = c.rescuesSince(ctx)
	}
	return out, append(failed, more...), err
}

// rescuesSince asks for SOS, which nodes of the first releases know nothing of: that is no fault of theirs.
func (c *Circle) rescuesSince(ctx context.Context) ([]Rescue, []Failure, error) {
	older := func(f Failure) bool { return connect.CodeOf(f.Err) == connect.CodeUnimplemented }
	out, failed, err := c.Rescues(ctx)
	var none *NodesError
	if errors.As(err, &none) { // all else was read: that it shows no SOS says enough
		failed, err = none.Failures, nil
	}
	return out, slices.DeleteFunc(slices.Clone(failed), older), err
}

// smaller are the nodes outside of the largest group; none if no group is larger than every other.
func (d *Difference) smaller() (out []string) {
	largest, alone := 0, true
	for i, g := range d.Groups {
		switch most := len(d.Groups[largest]); {
		case i == 0:
		case len(g) > most:
			largest, alone = i, true
		case len(g) == most:
			alone = false
		}
	}
	for i, g := range d.Groups {
		if i != largest && alone {
			out = append(out, g...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

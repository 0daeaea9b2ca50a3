package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// rosterNode shows a chain of rosters.
type rosterNode struct {
	*fakeNode
	shows []*v1.Roster
}

func (n rosterNode) Roster(context.Context, *connect.Request[v1.RosterRequest]) (*connect.Response[v1.RosterResponse], error) {
	last := n.shows[len(n.shows)-1]
	return connect.NewResponse(&v1.RosterResponse{Statement: last.Statement, Acceptances: last.Acceptances, Earlier: n.shows[:len(n.shows)-1]}), nil
}

// chained makes the next version of a chain with some operators, signed by some.
func chained(t *testing.T, before []*v1.Roster, mark byte, names, signers string) []*v1.Roster {
	t.Helper()
	r := charter.Roster{Circle: "test", Created: time.Date(2026, 1, 31, 12, len(before), 0, 0, time.UTC), Version: uint64(len(before))}
	if len(before) > 0 {
		s, err := statement.Parse(before[len(before)-1].Statement)
		if err != nil {
			t.Fatal(err)
		}
		r.Previous = s.ID()
	}
	for _, name := range strings.Fields(names) {
		r.Operators = append(r.Operators, charter.Operator{
			Name: name, Entity: name + " Ltd", Identity: identity(name), Address: name + ".example:7000", Officers: []signet.Key{person(t, "officer-"+name).Key()},
		})
	}
	s, err := r.Statement(statement.Salt{mark})
	if err != nil {
		t.Fatal(err)
	}
	m := &v1.Roster{Statement: s.Bytes()}
	for _, name := range strings.Fields(signers) {
		sig, err := person(t, "officer-"+name).Sign(t.Context(), signet.Makes(statement.Roster), s.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		m.Acceptances = append(m.Acceptances, &v1.Signed{Signature: sig})
	}
	return append(before[:len(before):len(before)], m)
}

// Nodes show chains: who lags or left is named, who shows a fork or a chain that does not hold is an alarm.
func TestChainOverNodes(t *testing.T) {
	first := chained(t, nil, 1, "acme bolt cora", "acme bolt cora")
	second := chained(t, first, 2, "acme bolt dora", "acme bolt dora")
	fork := chained(t, first, 3, "bolt cora", "bolt cora")
	third := chained(t, second, 4, "acme bolt", "acme bolt dora")
	for _, c := range []struct {
		name, nodes string
		shows       [][]*v1.Roster
		version     uint64
		failed      string // node and reason
		err         string
	}{
		{"all alike", "acme bolt dora", [][]*v1.Roster{second, second, second}, 1, "", ""},
		{"one lags", "acme bolt", [][]*v1.Roster{second, first}, 1, "bolt it shows version 0 of the roster, version 1 is in force", ""},
		{"one left, and does not know", "acme cora", [][]*v1.Roster{second, first}, 1, "cora its operator left the circle before version 1", ""},
		{"one left, and knows", "acme dora", [][]*v1.Roster{third, third}, 2, "dora its operator left the circle before version 2", ""},
		{"a fork", "acme bolt", [][]*v1.Roster{second, fork}, 0, "", "nodes differ about version 1 of the roster"},
		{"a fork below", "acme bolt", [][]*v1.Roster{third, fork}, 0, "", "nodes differ about version 1 of the roster"},
		{"one silent that must sign", "acme", [][]*v1.Roster{chained(t, first, 5, "acme bolt dora", "acme dora")}, 0, "", "not accepted by every operator: missing [bolt]"},
		{"a version left out", "acme", [][]*v1.Roster{{first[0], third[2]}}, 0, "", "version: is 2, 1 follows"},
		{"the first left out", "acme", [][]*v1.Roster{{second[1]}}, 0, "", "version: 1 cannot be the first"},
		{"versions exchanged", "acme", [][]*v1.Roster{{second[1], first[0]}}, 0, "", "cannot be the first"},
		{"signatures of another version", "acme", [][]*v1.Roster{{first[0], {Statement: second[1].Statement, Acceptances: first[0].Acceptances}}}, 0, "", "roster"},
		{"a stranger's node", "zoe", [][]*v1.Roster{second}, 0, "", "does not hold its own identity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := Context{Name: "main"}
			for i, name := range strings.Fields(c.nodes) {
				x.Nodes = append(x.Nodes, serve(t, name, rosterNode{newFake(name), c.shows[i]}, nil))
			}
			circle := Dial(x, nil, Cache{})
			t.Cleanup(circle.Close)
			chain, failed, err := circle.Chain(t.Context())
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || Classify(err) != Unverified {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || chain.Newest().Version != c.version {
				t.Fatalf("version %d, %v", chain.Newest().Version, err)
			}
			got := ""
			for _, f := range failed {
				got += f.Node + " " + f.Reason()
				if !errors.As(f.Err, new(*LagError)) {
					t.Errorf("failure %v", f.Err)
				}
			}
			if (c.failed == "") != (got == "") || !strings.HasPrefix(got, c.failed) {
				t.Errorf("failed %q, want %q", got, c.failed)
			}
			for _, n := range x.Nodes {
				if circle.Operator(n.Name) != n.Name {
					t.Errorf("%s is called %s", n.Name, circle.Operator(n.Name))
				}
			}
		})
	}
}

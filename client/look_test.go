package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// lookNode shows a charter, vaults and intents.
type lookNode struct {
	ruleNode
	vaults  []*v1.Vault
	intents []*v1.Intent
	down    bool
}

func (n lookNode) Vaults(context.Context, *connect.Request[v1.VaultsRequest]) (*connect.Response[v1.VaultsResponse], error) {
	return connect.NewResponse(&v1.VaultsResponse{Vaults: n.vaults}), nil
}

func (n lookNode) Intents(context.Context, *connect.Request[v1.IntentsRequest]) (*connect.Response[v1.IntentsResponse], error) {
	return connect.NewResponse(&v1.IntentsResponse{Intents: n.intents}), nil
}

// honest is how acme, bolt and cora show one vault and one intent.
func (r *ruled) honest() []lookNode {
	r.t.Helper()
	vault, v := r.shownVault(r.history[1].ID, nil)
	w := newWorld(r.t)
	// The intent of another world, made for this vault: without a key it is unclear, and signed by alice all the same.
	it := w.read("acme", w.shown()).Intent
	it.Vault, it.Charter = v.ID, r.history[1].ID
	s := built(r.t)(it.Statement(statement.Salt{5}))
	id := s.ID()
	shown := &v1.Intent{Id: id[:], Vault: v.ID[:], Statement: s.Bytes(), ProposalSignature: makes(r.t, s, "alice"), State: "approving"}
	var out []lookNode
	for _, name := range operators {
		out = append(out, lookNode{ruleNode{rosterNode{newFake(name), r.rosters}, shows(r.first, r.second)}, []*v1.Vault{vault}, []*v1.Intent{shown}, false})
	}
	return out
}

func (r *ruled) look(nodes []lookNode) (Look, error) {
	r.t.Helper()
	x := Context{Name: "main"}
	for i, n := range nodes {
		one := Node{Name: operators[i], Identity: identity(operators[i])}
		if n.down {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				r.t.Fatal(err)
			}
			one.Address = l.Addr().String()
			l.Close()
		} else {
			one = serve(r.t, operators[i], n, nil)
		}
		x.Nodes = append(x.Nodes, one)
	}
	c := Dial(x, person(r.t, "alice"), Cache{})
	r.t.Cleanup(c.Close)
	return c.Look(r.t.Context())
}

// One node of three, bolt, lies, lags or is down: it is named, and all that the others show is seen.
func TestLookWithoutTheLiar(t *testing.T) {
	r := newRuled(t)
	fork := enacted(t, r.version(r.history[:1], 2, nil), all3, all3)
	for name, c := range map[string]struct {
		lie   func(*lookNode)
		class Class
		apart string
	}{
		"honest":                 {func(*lookNode) {}, 0, ""},
		"down":                   {func(n *lookNode) { n.down = true }, NotReady, ""},
		"another identity":       {func(n *lookNode) { n.fakeNode.says = identity("somebody else") }, Unverified, ""},
		"a roster that is none":  {func(n *lookNode) { n.rosterNode.shows = chained(t, nil, 1, all3, "acme") }, Unverified, ""},
		"a charter that is none": {func(n *lookNode) { n.ruleNode.says = shows(r.second) }, Unverified, ""},
		"a fork of the charter":  {func(n *lookNode) { n.ruleNode.says = shows(r.first, fork) }, Unverified, "version 1 of the charter"},
		"it lags":                {func(n *lookNode) { n.ruleNode.says = shows(r.first) }, Failed, ""},
		"a vault that is none":   {func(n *lookNode) { n.vaults = []*v1.Vault{{Name: "mine"}} }, Unverified, ""},
		"an intent that is none": {func(n *lookNode) { n.intents = []*v1.Intent{{Id: make([]byte, 32)}} }, Unverified, ""},
		"a signature that is not": {func(n *lookNode) {
			n.intents = []*v1.Intent{changedIntent(n.intents[0], func(m *v1.Intent) { m.Raw = []byte{1} })}
		}, Unverified, ""},
		"a vote that is none": {func(n *lookNode) {
			n.intents = []*v1.Intent{changedIntent(n.intents[0], func(m *v1.Intent) { m.Votes = []*v1.Ballot{{Person: "bob", Verb: string(signet.Approve)}} })}
		}, Unverified, ""},
		"it hides all": {func(n *lookNode) { n.vaults, n.intents = nil, nil }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := r.honest()
			c.lie(&nodes[1])
			l, err := r.look(nodes)
			if err != nil {
				t.Fatal(err)
			}
			wantHeld, failed := "acme bolt cora", ""
			if name != "honest" && name != "it hides all" {
				wantHeld, failed = "acme cora", "bolt"
			}
			if got := strings.Join(l.Held, " "); got != wantHeld || (failed == "") != (len(l.Failures) == 0) {
				t.Fatalf("held %s, failed %v", got, l.Failures)
			}
			if failed != "" && (l.Failures[0].Node != failed || Classify(l.Failures[0].Err) != c.class) {
				t.Errorf("%s failed, %v: class %v, want %v", l.Failures[0].Node, l.Failures[0].Err, Classify(l.Failures[0].Err), c.class)
			}
			if len(l.Rules.History) != 2 || len(l.Vaults) != 1 || len(l.Cases) != 1 || l.Vaults[0].Name != "treasury" {
				t.Errorf("%d versions, %d vaults, %d intents", len(l.Rules.History), len(l.Vaults), len(l.Cases))
			}
			if (c.apart == "") != (len(l.Apart) == 0) || c.apart != "" && l.Apart[0].What != c.apart {
				t.Errorf("apart: %v", l.Apart)
			}
		})
	}
}

func changedIntent(m *v1.Intent, change func(*v1.Intent)) *v1.Intent {
	out := &v1.Intent{Id: m.Id, Vault: m.Vault, Statement: m.Statement, ProposalSignature: m.ProposalSignature, State: m.State}
	change(out)
	return out
}

// Where neither side is larger nobody is believed, and nobody but those that fail otherwise is blamed.
func TestLookAtATie(t *testing.T) {
	r := newRuled(t)
	nodes := r.honest()
	nodes[1].ruleNode.says = shows(r.first, enacted(t, r.version(r.history[:1], 2, nil), all3, all3))
	nodes[2].down = true
	l, err := r.look(nodes)
	var d *Difference
	if !errors.As(err, &d) || len(l.Apart) != 1 || len(l.Cases) > 0 || len(l.Failures) != 1 || l.Failures[0].Node != "cora" {
		t.Errorf("%v: apart %v, failed %v", err, l.Apart, l.Failures)
	}
	for i := range nodes {
		nodes[i].down = true
	}
	l, err = r.look(nodes)
	if Classify(err) != NotReady || len(l.Failures) != 3 || len(l.Held) > 0 {
		t.Errorf("all down: %v, held %v, failed %v", err, l.Held, l.Failures)
	}
}

func TestSmallerGroups(t *testing.T) {
	for groups, want := range map[string]string{
		"a b|c": "c", "a|b c": "a", "a|b": "", "a b|c d": "", "a b|c|d": "c d", "a|b c|d e": "", "a b|c|d e f": "a b c",
	} {
		d := &Difference{}
		for _, g := range strings.Split(groups, "|") {
			d.Groups = append(d.Groups, strings.Fields(g))
		}
		if got := strings.Join(d.smaller(), " "); got != want {
			t.Errorf("%s: %q, want %q", groups, got, want)
		}
	}
}

// Each alarm of a case names the operator that it is about, the intent itself none.
func TestNamedAlarms(t *testing.T) {
	c := &Case{}
	c.alarm("the key was revoked")
	c.doubt("bolt", "bolt says %d", 1)
	c.doubt("bolt", "bolt says %d", 1)
	c.doubt("acme", "acme says 2")
	want := []Alarm{{"", "the key was revoked"}, {"bolt", "bolt says 1"}, {"acme", "acme says 2"}}
	if !slices.Equal(c.Named, want) || len(c.Alarms) != 3 || fmt.Sprint(c.Doubted) != "[acme bolt]" {
		t.Errorf("named %v, alarms %v, doubted %v", c.Named, c.Alarms, c.Doubted)
	}
}

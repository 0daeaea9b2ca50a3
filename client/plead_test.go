package client

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client/appealtest"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

// pleaNode shows what a file has.
type pleaNode struct {
	*fakeNode
	carry.Appeal
	noVault, noKey bool
	handed         []*v1.Contribution
}

func (n *pleaNode) Roster(context.Context, *connect.Request[v1.RosterRequest]) (*connect.Response[v1.RosterResponse], error) {
	out := &v1.RosterResponse{}
	for _, r := range n.Rosters {
		one := &v1.Roster{Statement: r.Statement}
		for _, s := range r.Signatures {
			one.Acceptances = append(one.Acceptances, &v1.Signed{Signature: s})
		}
		out.Earlier = append(out.Earlier, one)
	}
	last := out.Earlier[len(out.Earlier)-1]
	out.Earlier, out.Statement, out.Acceptances = out.Earlier[:len(out.Earlier)-1], last.Statement, last.Acceptances
	return connect.NewResponse(out), nil
}

func (n *pleaNode) Charter(context.Context, *connect.Request[v1.CharterRequest]) (*connect.Response[v1.CharterResponse], error) {
	return connect.NewResponse(&v1.CharterResponse{Versions: n.Charters}), nil
}

func (n *pleaNode) Vaults(context.Context, *connect.Request[v1.VaultsRequest]) (*connect.Response[v1.VaultsResponse], error) {
	if n.noVault {
		return connect.NewResponse(&v1.VaultsResponse{}), nil
	}
	return connect.NewResponse(&v1.VaultsResponse{Vaults: []*v1.Vault{{Statement: n.Vault}}}), nil
}

func (n *pleaNode) BackupSet(context.Context, *connect.Request[v1.BackupSetRequest]) (*connect.Response[v1.BackupSetResponse], error) {
	if n.noKey {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such key"))
	}
	k := n.Keys[0]
	return connect.NewResponse(&v1.BackupSetResponse{Certificate: k.Certificate, Plan: k.Plan, Set: k.Set}), nil
}

func (n *pleaNode) SOSSaid(context.Context, *connect.Request[v1.SOSSaidRequest]) (*connect.Response[v1.SOSSaidResponse], error) {
	out := &v1.SOSSaidResponse{}
	for _, s := range append([]carry.Signed{n.Request}, n.Said...) {
		out.Said = append(out.Said, &v1.SOSSaid{Statement: s.Statement, Signatures: s.Signatures})
	}
	return connect.NewResponse(out), nil
}

func (n *pleaNode) Submit(_ context.Context, r *connect.Request[v1.SubmitRequest]) (*connect.Response[v1.SubmitResponse], error) {
	n.handed = append(n.handed, r.Msg.GetContribution())
	return connect.NewResponse(&v1.SubmitResponse{Id: r.Msg.GetContribution().GetActivation()}), nil
}

// An appeal has of each thing the most that nodes show, whatever others make up; what no node shows is said.
func TestAppealOfSeveralNodes(t *testing.T) {
	v := appealtest.New(t, time.Unix(1_790_000_000, 0)) // in the past: a step of today and later stands beside those of then
	contest, usual := sos.Contest.String(), v.Usual()
	part := func(s carry.Signed, i int) carry.Signed {
		return carry.Signed{Statement: s.Statement, Signatures: s.Signatures[i : i+1]}
	}
	second := v.Activation(func(a *act.Activation) { a.Attempt = 2 })
	late, veto := v.Step(0, contest, v.Made.Add(time.Second)), v.Veto(1)
	forged := carry.Signed{Statement: veto.Statement, Signatures: [][]byte{v.Veto(2).Signatures[0]}}
	nodes := map[string]*pleaNode{
		"acme": {Appeal: v.File(usual[0], part(second, 0), usual[1], v.Step(1, sos.Declared.String(), v.Made))},
		"bolt": {Appeal: v.File(part(second, 1), late, usual[2], forged)},
		"cora": {Appeal: v.File(forged, veto, v.Step(2, contest, v.Made)), noVault: true, noKey: true},
		"dora": {Appeal: v.File()},
	}
	nodes["dora"].Charters = nodes["dora"].Charters[:0]
	nodes["dora"].Request.Signatures = forged.Signatures
	nodes["dora"].Keys = []carry.AppealKey{{Certificate: []byte("made up")}}
	circle := func(names ...string) *Circle {
		var all []Node
		for _, name := range names {
			nodes[name].fakeNode = newFake(name)
			all = append(all, serve(t, name, nodes[name], nil))
		}
		c := Dial(Context{"main", all}, person(t, "officer"), Cache{})
		t.Cleanup(c.Close)
		return c
	}
	s, err := statement.Parse(v.File().Request.Statement)
	if err != nil {
		t.Fatal(err)
	}
	q := RescueRequest{Request: v.Request, Statement: s}

	c := circle("dora", "acme", "bolt", "cora")
	f, read, failed, err := c.Appeal(t.Context(), q)
	if err != nil || len(failed) > 0 {
		t.Fatal(err, failed)
	}
	if again, err := carry.DecodeAppeal(f.Bytes()); err != nil || !bytes.Equal(again.Bytes(), f.Bytes()) {
		t.Errorf("the file is not read (%v)", err)
	}
	if a := read.Keys[0].Activation; a == nil || a.Attempt != 2 {
		t.Errorf("activation %+v, not the second", a)
	}
	if len(read.Steps) != 3 || len(read.Vetoes) != 1 || read.Vetoes[0].By != "guardian-1" {
		t.Errorf("%d steps, vetoes %+v", len(read.Steps), read.Vetoes)
	}
	if from, _, err := read.Term(v.Made, v.Made.Add(appealtest.Delay)); err != nil || !from.Equal(v.Made.Add(appealtest.Delay+time.Second)) {
		t.Errorf("from %s (%v): the last step of a node counts", from, err)
	}

	// A step that is dated a month ahead takes the place of no other, and puts nothing off.
	far := Now().Add(30 * 24 * time.Hour)
	nodes["acme"].Said = append(nodes["acme"].Said, v.Step(0, contest, far))
	_, read, _, err = circle("acme", "bolt", "cora").Appeal(t.Context(), q)
	if err != nil || len(read.Steps) != 4 {
		t.Fatalf("%d steps, %v", len(read.Steps), err)
	}
	now := v.Made.Add(appealtest.Delay)
	if from, _, err := read.Term(v.Made, now); err != nil || !from.Equal(v.Made.Add(appealtest.Delay+time.Second)) {
		t.Errorf("from %s (%v): a step from the future counts", from, err)
	}
	if ahead := read.Ahead(v.Made, now); len(ahead) != 1 || ahead[0].Operator != "operator-0" || !ahead[0].Created.Equal(far) {
		t.Errorf("ahead: %+v", ahead)
	}

	for name, x := range map[string]struct {
		edit func(n *pleaNode)
		want string
	}{
		"nobody shows the vault":      {func(n *pleaNode) { n.noVault = true }, "no node shows you the vault"},
		"nobody knows the key":        {func(n *pleaNode) { n.noKey = true }, "no node shows key"},
		"another epoch":               {func(n *pleaNode) { n.Keys = nodes["dora"].Keys }, "no node shows key"},
		"a signature of nobody's":     {func(n *pleaNode) { n.Request.Signatures = forged.Signatures }, "sos-request"},
		"nobody signed":               {func(n *pleaNode) { n.Request = veto }, "no node shows who signed"},
		"a roster that does not hold": {func(n *pleaNode) { n.Rosters[0].Signatures = nil }, "roster"},
	} {
		again, err := carry.DecodeAppeal(v.File(usual...).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		n := &pleaNode{Appeal: again}
		x.edit(n)
		nodes["acme"] = n
		if _, _, _, err := circle("acme").Appeal(t.Context(), q); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}

	parts := c.Contribute(t.Context(), carry.Contribution{Guardian: "guardian-1", Request: q.ID, Parts: []carry.Part{{Activation: statement.ID{1}, Contribution: []byte("x")}}})
	if len(parts) != 1 || len(parts[0].Good()) != 4 || len(nodes["bolt"].handed) != 1 || !bytes.Equal(nodes["bolt"].handed[0].Contribution, []byte("x")) {
		t.Errorf("%+v", parts)
	}
}

package reshare

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// held is what is left of the secrets of a run.
func held(r *run) (left []string) {
	if r.poly.Threshold() > 0 && (!r.poly.Constant().IsZero() || !r.poly.Eval(1).IsZero()) {
		left = append(left, "polynomial")
	}
	if r.held != nil && !r.held.IsZero() {
		left = append(left, "copy of the old share")
	}
	if r.own != nil && !r.own.IsZero() {
		left = append(left, "own part")
	}
	if r.nonce != nil {
		if _, err := r.nonce.Respond(secp256k1.NewScalar(1), secp256k1.NewScalar(1)); err == nil {
			left = append(left, "proof's nonce")
		}
	}
	for _, q := range r.peers {
		if q.share.Value != nil && (!q.share.Value.IsZero() || q.share.Blind != [32]byte{}) {
			left = append(left, "a peer's share")
		}
	}
	if r.Secret != nil {
		left = append(left, "the dealt secret")
	}
	return left
}

func runsForWipe(tb testing.TB) map[string]func() []Params {
	v := newVault(tb, secp256k1.Group{}, 2, 0, 1, 2)
	return map[string]func() []Params{
		"who stays":  func() []Params { return v.reshare(tb, 2, []int{0, 1}, []int{0, 1, 3}, sid, 40) },
		"who leaves": func() []Params { return v.reshare(tb, 2, []int{0, 1}, []int{1, 2, 3}, sid, 40) },
		"refresh":    func() []Params { return v.refresh(sid, 40) },
		"who joins":  func() []Params { return v.reshare(tb, 2, []int{1, 2}, []int{0, 1, 3}, sid, 40) },
	}
}

// A run that the host gives up, or whose transcripts differ, or that comes to a result, leaves
// nothing but that result; the old share stays the caller's.
func TestEveryEndWipes(t *testing.T) {
	disputed := func(m *engine.Msg) []engine.Msg {
		m.Echo[0] ^= 1
		return []engine.Msg{*m}
	}
	broken := enginetest.Edit(func(b []byte) []byte { return b[1:] })
	for name, params := range runsForWipe(t) {
		for _, kind := range []engine.Kind{KindCommit, KindOpening, KindShare, KindConfirm} {
			if name == "who leaves" && kind == KindShare {
				continue // it gets none
			}
			for how, mutate := range map[string]enginetest.Mutate{"lost": enginetest.Drop, "disputed": disputed, "broken": broken} {
				all := params()
				first := Start(all[0]).(*deal)
				sessions := machines(t, all)
				watch := &watched{Stage: first}
				sessions[0] = machine(t, all[0], watch)
				from := all[1].Self.ID // deals and receives in all of these
				hook := enginetest.On(enginetest.Match{From: from, To: all[0].Self.ID, Kind: kind}, mutate)
				p := enginetest.Run(enginetest.Options{Hook: hook}, sessions...).Parties[0]
				if p.Result != nil || (how == "lost") != (p.Err == nil) {
					t.Fatalf("%s, %#x %s: ended with %v", name, uint8(kind), how, p.Err)
				}
				p.Session.Abandon()
				if left := held(first.run); len(left) > 0 {
					t.Errorf("%s, %#x %s: %v stays", name, uint8(kind), how, left)
				}
				a, ok := watch.last.(*agree)
				if ok != (kind == KindConfirm) {
					t.Errorf("%s, %#x %s: the last stage is %T", name, uint8(kind), how, watch.last)
				} else if ok && a.out.Share != nil && !a.out.Share.IsZero() {
					t.Errorf("%s, %s: our new share stays", name, how)
				}
			}
		}
		all := params()
		first := Start(all[0]).(*deal)
		sessions := machines(t, all)
		sessions[0] = machine(t, all[0], first)
		outs, err := enginetest.Run(enginetest.Options{}, sessions...).Results()
		if err != nil {
			t.Fatal(err)
		}
		if left := held(first.run); len(left) > 0 {
			t.Errorf("%s: after the result %v stays", name, left)
		}
		if s := outs[0].Share; s != nil {
			outs[0].Wipe()
			if !s.IsZero() {
				t.Errorf("%s: the output's share is not wiped", name)
			}
		}
		outs[0].Share = nil
		outs[0].Wipe()
		if all[0].Secret != nil && all[0].Secret.IsZero() {
			t.Errorf("%s: the caller's own secret is wiped", name)
		}
	}
}

// The polynomial goes as soon as the shares are dealt, not with the session.
func TestPolynomialGoesAfterDealing(t *testing.T) {
	for name, params := range runsForWipe(t) {
		all := params()
		first := Start(all[0]).(*deal)
		sessions := machines(t, all)
		sessions[0] = machine(t, all[0], first)
		hook := enginetest.On(enginetest.Match{Kind: KindOpening}, enginetest.Drop)
		enginetest.Run(enginetest.Options{Hook: hook}, sessions...)
		if first.poly.Threshold() > 0 && !first.poly.Eval(1).IsZero() {
			t.Errorf("%s: the polynomial stays", name)
		}
		if first.held != nil && !first.held.IsZero() {
			t.Errorf("%s: the copy of the old share stays", name)
		}
	}
}

// Nothing prints secrets.
func TestRedaction(t *testing.T) {
	all := newVault(t, secp256k1.Group{}, 2, 0, 1, 2).refresh(sid, 1)
	first := Start(all[0]).(*deal)
	if _, err := first.Finish(engine.Transcript{}); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []any{first, first.run, &open{first.run}, &confirm{first.run}} {
		if s := fmt.Sprintf("%v %+v %#v", stage, stage, stage); strings.Contains(s, "poly") || strings.Contains(s, "held") {
			t.Errorf("prints %.200s", s)
		}
	}
}

// watched notes the stages that follow it.
type watched struct {
	engine.Stage[Output]
	last engine.Stage[Output]
}

func (w *watched) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	out, err := w.Stage.Finish(t)
	if out.Next != nil {
		w.last = out.Next
		out.Next = &next{out.Next, w}
	}
	return out, err
}

func (w *watched) Wipe() { w.Stage.(engine.Wiper).Wipe() }

type next struct {
	engine.Stage[Output]
	first *watched
}

func (n *next) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	out, err := n.Stage.Finish(t)
	if out.Next != nil {
		n.first.last = out.Next
		out.Next = &next{out.Next, n.first}
	}
	return out, err
}

func (n *next) Wipe() { n.Stage.(engine.Wiper).Wipe() }

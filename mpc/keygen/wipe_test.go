package keygen

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// A key generation that the host gives up, or whose transcripts differ, leaves neither polynomial
// nor share.
func TestAbandonedAndDisputedKeygenIsWiped(t *testing.T) {
	disputed := func(m *engine.Msg) []engine.Msg {
		m.Echo[0] ^= 1
		return []engine.Msg{*m}
	}
	for kind, do := range map[engine.Kind][]enginetest.Mutate{
		KindCommit: {enginetest.Drop, disputed}, KindShare: {enginetest.Drop, disputed}, KindConfirm: {enginetest.Drop, disputed},
	} {
		for _, mutate := range do {
			all := committee(secp256k1.Group{}, 2, 3, sid, 40)
			first := Start(all[0]).(*deal)
			sessions := machines(t, all)
			held := &watched{Stage: first}
			sessions[0] = machine(t, all[0], held)
			hook := enginetest.On(enginetest.Match{From: all[1].Self.ID, Kind: kind}, mutate)
			p := enginetest.Run(enginetest.Options{Hook: hook}, sessions...).Parties[0]
			if p.Result != nil {
				t.Fatalf("%#x: there is a result", uint8(kind))
			}
			p.Session.Abandon()
			if !first.poly.Constant().IsZero() || !first.poly.Eval(1).IsZero() {
				t.Errorf("%#x: the polynomial stays", uint8(kind))
			}
			if _, err := first.nonce.Respond(secp256k1.NewScalar(1), secp256k1.NewScalar(1)); err == nil {
				t.Errorf("%#x: the proof's nonce stays", uint8(kind))
			}
			for _, q := range first.peers {
				if q.share.Value != nil && !q.share.Value.IsZero() {
					t.Errorf("%#x: a peer's share stays", uint8(kind))
				}
			}
			if a, ok := held.last.(*agree); ok != (kind == KindConfirm) {
				t.Errorf("%#x: the last stage is %T", uint8(kind), held.last)
			} else if ok && !a.out.Share.IsZero() {
				t.Error("our share of the key stays")
			}
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

package pair

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// A set-up that the host gives up, or whose transcripts differ, leaves no state, seed or choice.
func TestAbandonedAndDisputedSetupsAreDiscarded(t *testing.T) {
	all := parties(2)
	disputed := func(m *engine.Msg) []engine.Msg {
		m.Echo[0] ^= 1
		return []engine.Msg{*m}
	}
	for name, c := range map[string]struct {
		kind engine.Kind
		do   enginetest.Mutate
	}{
		"round 1 is lost": {KindChoice, enginetest.Drop}, "round 2 is lost": {KindAnswer, enginetest.Drop},
		"round 1 is disputed": {KindChoice, disputed}, "round 2 is disputed": {KindAnswer, disputed},
	} {
		inner := &setup{Params: Params{Session: sid, Self: all[0], Parties: all, Rand: enginetest.Reader(5)}}
		first := stages(all, 1)
		first[0] = &choose{inner}
		p := enginetest.Run(enginetest.Options{Hook: enginetest.On(enginetest.Match{From: all[1].ID, Kind: c.kind}, c.do)}, sessions(t, all, first)...).Parties[0]
		if p.Result != nil {
			t.Fatalf("%s: there is a result", name)
		}
		p.Session.Abandon()
		q := inner.peers[0]
		if q.state.Leaves != nil && !q.state.Leaves.Encode().Equal((&ot.Leaves{}).Encode()) {
			t.Errorf("%s: leaves stay", name)
		}
		if q.own != (opening{}) || len(bytes.Trim(q.state.Seed.Expose(), "\x00")) > 0 {
			t.Errorf("%s: the seed stays", name)
		}
		if _, err := q.chooser.Finish(nil); !errors.Is(err, ot.ErrSpent) {
			t.Errorf("%s: the choices stay", name)
		}
	}
}

package verify

import (
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// Where logs tell of sessions over a request comes to whoever judges emergencies; a ceremony's are about a key.
func TestSessionsOfARequest(t *testing.T) {
	x := &vault{Vault: charter.Vault{ID: statement.ID{1}, Name: "treasury"}}
	leaf := func(kind string, id, about byte) tlog.Leaf {
		return tlog.Leaf{Kind: kind, Time: t0, Vault: x.ID, ID: hash(id), About: hash(about)}
	}
	h := &history{operator: "acme", at: map[place]int{}, times: make([]time.Time, 5), leaves: []tlog.Leaf{
		leaf(tlog.KindDecision, 2, 7), leaf(tlog.KindSession, 3, 9), leaf(tlog.KindSession, 4, 7), leaf(tlog.KindSession, 5, 7), leaf(tlog.KindSigned, 6, 7),
	}}
	v := &verifier{logs: []*history{h}, vaults: []*vault{x}, report: &Report{}}
	all := v.gather()
	if len(all) != 1 {
		t.Fatalf("%d requests", len(all))
	}
	for _, q := range all {
		v.went = append(v.went, q)
	}
	if o := v.outflows(x, nil); len(o) != 1 || !slices.Equal(o[0].Sessions["acme"], []int{2, 3}) {
		t.Errorf("%+v", o)
	}
}

//go:build open

package node_test

import (
	"slices"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// Attacks on rosters and reshares that succeed today: they cost time, disk or a name, no key and no signature.
// Each leaves this file with its mend.

// A hostile holder proposes with wrong keys what everybody wants: the newcomer's officer, who sees it, must be able to sign the
// honest one instead.
func TestNewcomerFindsTheHonestReshare(t *testing.T) {
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, d := w.Hosts[0], w.Hosts[1], w.Hosts[3]
	_, roster, _ := a.Circle.Charter()
	r := draftOf(t, w, vault, roster.ID, vault, 100, 2, a, b, d)
	r.Keys = slices.Clone(r.Keys)
	r.Keys[0].PublicKey = epochKeyOf(t, w, a, vault)
	lie := signedBy(t, w, r, map[string]nodetest.Person{b.Own.Name: b.Officer})
	s := setting{World: w}
	for _, h := range []*nodetest.Host{a, d} {
		if v, log := s.tell(b, h, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{lie.Statement.Bytes(), lie.Signatures[b.Own.Name]}}); v != outbox.Taken {
			t.Logf("%s: verdict %d %s", h.Own.Name, v, log)
		}
	}
	wish := nodetest.Wish(vault, 2, a, b, d)
	wish.Instead = true
	honest := w.SignReshare(a, true, wish)
	w.Deliver()
	w.Run("the honest one is here", func() bool {
		return slices.ContainsFunc(d.Circle.Reshares(vault), func(x charter.Accepted) bool { return x.Statement.ID() == honest })
	})
	for _, instead := range []bool{false, true} {
		wish.Instead = instead
		got, _, err := d.Circle.PrepareReshare(w.Now, wish)
		if err != nil || got.Statement.ID() != honest {
			t.Errorf("instead %v: offered %s, the honest one is %s: %v", instead, got.Statement.ID().Short(), honest.Short(), err)
		}
	}
}

// Two newcomers of a complete reshare make more of them without end: every node keeps them all, and clients, who read 4,096 of a
// vault at most, read no node any more.
func TestReshareFlood(t *testing.T) {
	w, vault := circleOf(t, charter.SuiteEd25519, 5, 3, 2)
	a, b, c, d, e := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3], w.Hosts[4]
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if nodetest.OfSession(p.Frame) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	one := w.SignReshareAll(nodetest.Wish(vault, 2, a, d, e), a, b, c, d, e)
	w.Deliver()
	_, roster, _ := a.Circle.Charter()
	s := setting{World: w}
	const n = 300
	for i := range n {
		r := draftOf(t, w, vault, roster.ID, one, uint64(i+2), 2, d, e)
		s.tell(d, a, whole(signedBy(t, w, r, map[string]nodetest.Person{d.Own.Name: d.Officer, e.Own.Name: e.Officer})))
	}
	if got := len(a.Circle.Reshares(vault)); got > n/2 {
		t.Errorf("%d of %d reshares that nobody of the committee signed are kept", got-1, n)
	}
}

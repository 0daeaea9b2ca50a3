package ceremony

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
)

// lineOf makes the records of one key, as far as it matters here who follows whom.
type lineOf struct {
	w *root
	g group.Point
}

func (l lineOf) add(parent *epoch.Record, attempt uint64, threshold int, members ...byte) *epoch.Record {
	r := &epoch.Record{KeyID: [32]byte{1}, Attempt: attempt, Threshold: threshold, Public: l.g}
	if parent != nil {
		r.Epoch, r.Prev = parent.Epoch+1, parent.Hash()
	}
	for _, m := range members {
		r.Members = append(r.Members, epoch.Member{Party: mpc.Party{ID: engine.PartyID{m}, Index: share.Index(m), Identity: make([]byte, 32)}, Public: l.g})
	}
	l.w.past[r.Hash()] = r
	return r
}

func (l lineOf) lose(r *epoch.Record) { delete(l.w.past, r.Hash()) }

// Which epochs still serve, whatever came into force here after them.
func TestServes(t *testing.T) {
	g, err := epoch.GroupOf(charter.SuiteEd25519)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		line func(lineOf) *epoch.Record // what is asked about
		want bool
	}{
		{"in force", func(l lineOf) *epoch.Record { return l.add(nil, 1, 2, 1, 2, 3) }, true},
		{"new shares, twice", func(l lineOf) *epoch.Record {
			x := l.add(nil, 1, 2, 1, 2, 3)
			l.add(l.add(x, 1, 2, 1, 2, 3), 1, 2, 1, 2, 3)
			return x
		}, true},
		{"attempts one after the other", func(l lineOf) *epoch.Record {
			p := l.add(nil, 1, 2, 1, 2, 3)
			x := l.add(p, 1, 2, 1, 2, 3)
			l.add(p, 2, 2, 1, 2, 3)
			return x
		}, true},
		{"attempts at a reshare one after the other", func(l lineOf) *epoch.Record {
			p := l.add(nil, 1, 2, 1, 2, 3)
			x := l.add(p, 1, 2, 1, 2)
			l.add(p, 2, 2, 1, 2)
			return x
		}, true},
		{"of which another committee's was one", func(l lineOf) *epoch.Record {
			p := l.add(nil, 1, 2, 1, 2, 3)
			x := l.add(p, 1, 2, 1, 2)
			l.add(p, 2, 2, 1, 3)
			l.add(p, 3, 2, 1, 2)
			return x
		}, false},
		{"another committee", func(l lineOf) *epoch.Record {
			x := l.add(nil, 1, 2, 1, 2)
			l.add(x, 1, 2, 1, 2, 3)
			return x
		}, false},
		{"another committee and back", func(l lineOf) *epoch.Record {
			x := l.add(nil, 1, 2, 1, 2)
			l.add(l.add(x, 1, 2, 1, 2, 3), 1, 2, 1, 2)
			return x
		}, false},
		{"and back, the way was missed", func(l lineOf) *epoch.Record {
			x := l.add(nil, 1, 2, 1, 2)
			away := l.add(x, 1, 2, 1, 2, 3)
			l.add(away, 1, 2, 1, 2)
			l.lose(away)
			return x
		}, false},
		{"another threshold and back", func(l lineOf) *epoch.Record {
			x := l.add(nil, 1, 2, 1, 2, 3)
			l.add(l.add(x, 1, 3, 1, 2, 3), 1, 2, 1, 2, 3)
			return x
		}, false},
		{"the same seats for others", func(l lineOf) *epoch.Record {
			x := l.add(nil, 1, 2, 1, 2)
			y := l.add(x, 1, 2, 1, 2)
			l.lose(y) // under the name of before
			y.Members[1].Identity = []byte("another key of the same operator")
			l.w.past[y.Hash()] = y
			return x
		}, false},
		{"a child of another attempt's committee", func(l lineOf) *epoch.Record {
			p := l.add(nil, 1, 2, 1, 2, 3)
			other := l.add(p, 1, 2, 1, 3)
			x := l.add(p, 2, 2, 1, 2)
			l.add(other, 1, 2, 1, 2)
			return x
		}, false},
		{"what was before it does not matter", func(l lineOf) *epoch.Record {
			x := l.add(l.add(nil, 1, 2, 1, 2, 3), 1, 2, 1, 2)
			l.add(x, 1, 2, 1, 2)
			return x
		}, true},
	} {
		w := &root{reshaping: newReshaping()}
		if got := w.serves(c.line(lineOf{w, g.Generator()})); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

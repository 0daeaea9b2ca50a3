package backup

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
)

// A share is backed up if its operator noted a backup of the epoch in force, with the mask where there are guardians, at any place that the charter
// lists; who has no such place lacks nothing.
func TestLacking(t *testing.T) {
	p := secp256k1.BaseMul(secp256k1.NewScalar(7))
	r := &epoch.Record{KeyID: [32]byte{1}, Suite: charter.SuiteECDSA, Threshold: 3, Public: p}
	for i := range byte(3) {
		r.Members = append(r.Members, epoch.Member{Party: session.Party{ID: engine.PartyID{i + 1}, Index: share.Index(i + 1), Identity: make([]byte, 32)}, Public: p})
	}
	v := ceremony.View{Current: &epoch.FinalCert{Record: r}, Names: map[engine.PartyID]string{{1}: "acme", {2}: "bolt", {3}: "cora"}}
	doc := charter.Document{Operators: []charter.Station{
		{Name: "acme", Places: []charter.Place{{Name: "main", Level: charter.Replica}, {Name: "away", Level: charter.Export}, {Name: "safe", Level: charter.Paper}}},
		{Name: "bolt", Places: []charter.Place{{Name: "main", Level: charter.Replica}, {Name: "away", Level: charter.Export}}},
		{Name: "cora", Places: []charter.Place{{Name: "main", Level: charter.Replica}}},
	}}
	this := backup.NotedKey{KeyID: r.KeyID, Record: r.Hash()}
	masked := this
	masked.Mask = true
	older := this
	older.Record[0] ^= 1
	other := this
	other.KeyID[0] ^= 1
	at := func(operator string, l charter.Level, name string, k ...backup.NotedKey) Entry {
		return Entry{Noted: backup.Noted{Operator: operator, Level: l, Place: name, Keys: k}}
	}
	for name, c := range map[string]struct {
		noted   []Entry
		guarded bool
		want    string
	}{
		"nothing":                     {nil, false, "[acme bolt]"},
		"both":                        {[]Entry{at("acme", charter.Export, "away", this), at("bolt", charter.Export, "away", other, this)}, false, "[]"},
		"sheets are enough":           {[]Entry{at("acme", charter.Paper, "safe", this), at("bolt", charter.Export, "away", this)}, false, "[]"},
		"of an older epoch":           {[]Entry{at("acme", charter.Export, "away", older), at("bolt", charter.Export, "away", this)}, false, "[acme]"},
		"of another key":              {[]Entry{at("acme", charter.Export, "away", this), at("bolt", charter.Export, "away", other)}, false, "[bolt]"},
		"at a place of no charter":    {[]Entry{at("acme", charter.Export, "attic", this), at("bolt", charter.Export, "away", this)}, false, "[acme]"},
		"of a level that it has not":  {[]Entry{at("acme", charter.Paper, "away", this), at("bolt", charter.Export, "away", this)}, false, "[acme]"},
		"guardians, without the mask": {[]Entry{at("acme", charter.Export, "away", masked), at("bolt", charter.Export, "away", this)}, true, "[bolt]"},
	} {
		r.Guardians = [32]byte{}
		var noted []Entry
		if c.guarded {
			r.Guardians = [32]byte{1}
		}
		for _, e := range c.noted {
			e.Keys = slices.Clone(e.Keys)
			for i := range e.Keys {
				if e.Keys[i].Record == this.Record {
					e.Keys[i].Record = r.Hash()
				}
			}
			noted = append(noted, e)
		}
		b := &Book{cfg: Config{Document: func() (charter.Document, bool) { return doc, true }}, noted: map[place]Entry{}}
		for _, e := range noted {
			b.noted[e.place()] = e
		}
		if got := fmt.Sprint(b.Lacking(v)); got != c.want {
			t.Errorf("%s: %s lack one, want %s", name, got, c.want)
		}
	}
}

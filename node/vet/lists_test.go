package vet_test

import (
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/node/nodetest"
)

// What a guest's maker has withdrawn says the asker's own list, read anew for each judgement; a guest that brings none, or an older one, gets by where the asker has none, and the record says so.
// Whoever reads the log judges by what the evidence carries, and finds nothing wrong.
func TestOwnLists(t *testing.T) {
	c := newCircle(t)
	yesterday := c.now.AddDate(0, 0, -1)
	acme, bolt := c.all[0], c.all[1]
	guest := nodetest.NewGuest(t, c.now)
	clean, bad, stale := guest.Withdrawn(yesterday, false), guest.Withdrawn(yesterday, true), guest.Withdrawn(c.now.AddDate(0, -2, 0), false)
	acme.given, bolt.real = []*x509.Certificate{guest.Root}, guest
	var held [][]byte
	var unread error
	acme.held = func() (hardware.Collateral, error) { return hardware.Collateral{SNP: held}, unread }
	const brought, nobody = "says a list that came with the evidence, perhaps an older one", "nobody looked whether AMD has withdrawn"
	for _, x := range []struct {
		name    string
		carried []byte
		own     [][]byte
		unread  error
		want    string // of why it does not count
		notes   string
		refused bool // it stands in the log as refused; else the asker could not judge it
	}{
		{name: "no list", notes: nobody},
		{name: "the guest's own choice", carried: clean, notes: brought},
		{name: "the asker's", own: [][]byte{clean}},
		{name: "both", carried: clean, own: [][]byte{clean}},
		{name: "withdrawn, and it brings none", own: [][]byte{bad}, want: "AMD has withdrawn it", refused: true},
		{name: "withdrawn, and it brings an older one", carried: clean, own: [][]byte{bad}, want: "AMD has withdrawn it", refused: true},
		{name: "it brings a stale one", carried: stale, own: [][]byte{clean}, want: "is stale since", refused: true},
		{name: "the asker's is stale", carried: clean, own: [][]byte{stale}, want: "cannot judge what it shows: evidence of hardware (sev-snp): this reader's own: list"},
		{name: "the asker's cannot be read", carried: clean, unread: os.ErrPermission, want: "cannot judge what it shows: this node's own lists"},
	} {
		guest.Carried, held, unread = x.carried, x.own, x.unread
		bolt.life.Counter++
		bolt.start()
		acme.start()
		c.demands("bolt", guest.Allows("bolt", fresh))
		before := len(acme.leaves())
		c.run(11 * time.Minute)
		err := acme.Fit(bolt.id)
		all := acme.leaves()
		last := all[max(0, len(all)-1):]
		switch {
		case (x.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), x.want):
			t.Errorf("%s: it counts as %v", x.name, err)
		case x.want == "" && (len(all) != before+1 || last[0].Why != "" || (x.notes == "") != (last[0].Notes == "") || !strings.Contains(last[0].Notes, x.notes)):
			t.Errorf("%s: the log says %q of it", x.name, last[0].Notes)
		case x.want == "" && judge.Again(last[0], c.demand["bolt"], pinned(t), acme.given) != nil:
			t.Errorf("%s: judged anew: %v", x.name, judge.Again(last[0], c.demand["bolt"], pinned(t), acme.given))
		case x.want != "" && x.refused != (len(all) == before+1 && last[0].Why != ""):
			t.Errorf("%s: %d records more, the last %q", x.name, len(all)-before, last[0].Why)
		}
	}
	// What counted before counts on, where it is the asker's own trouble.
	guest.Carried, held, unread = nil, [][]byte{clean}, nil
	bolt.life.Counter++
	c.run(11 * time.Minute)
	unread = errors.New("gone")
	c.run(fresh*2/3 + time.Second)
	if err := acme.Fit(bolt.id); err != nil {
		t.Errorf("as its lists cannot be read: %v", err)
	}
	c.run(fresh/3 + time.Second)
	if err := acme.Fit(bolt.id); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("when it is too old: %v", err)
	}
}

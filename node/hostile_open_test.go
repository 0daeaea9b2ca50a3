//go:build open

package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// Attacks on rosters and reshares that succeed today: they cost time, disk or a name, no key and no signature.
// Each leaves this file with its mend.

// Somebody invited joins under another's name, or never comes: the inviter must not be bound to it for ever.
func TestDraftIsForEver(t *testing.T) {
	w := nodetest.New(t, 3)
	w.Found()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	bad := w.Newcomer()
	good := w.Newcomer()
	bad.Own.Name = good.Own.Name // squats
	w.Crash(bad)
	w.Run("restarted", func() bool { return bad.Up })
	w.Join(a, bad)
	w.Join(b, good)
	w.Run("the good one has the charter", func() bool { _, _, ok := good.Circle.Charter(); return ok })
	if _, err := w.SignRoster(b, nodetest.Accept); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	if _, err := w.SignRoster(good, nodetest.Accept); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	_, _ = w.SignRoster(c, nodetest.Accept)
	w.Deliver()
	w.Now = w.Now.Add(60 * 24 * time.Hour) // the invitation ran out long ago
	if _, err := w.SignRoster(a, nodetest.Accept); err != nil {
		t.Errorf("the inviter cannot sign: %v", err)
	}
}

// One hostile operator and the key of an officer who was replaced make a vault, whole: its name is taken at all nodes but one.
func TestReplacedOfficerTakesAVaultsName(t *testing.T) {
	w := nodetest.New(t, 3)
	w.Suite = charter.SuiteEd25519
	w.Found()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	_, first, _ := a.Circle.Charter()
	v, err := charter.ReadVault([]byte(w.VaultFile("payroll", 2, b, c)), []string{w.Suite}, first.ID, w.Now.UTC().Truncate(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	st, err := v.Statement(w.Salt())
	if err != nil {
		t.Fatal(err)
	}
	old := newOfficer(t, w, c, 1, a, b)
	x := charter.Accepted{Statement: st, Signatures: map[string][]byte{b.Own.Name: b.Officer.Makes(t, st), c.Own.Name: old.Makes(t, st)}}
	verdict, _ := (setting{World: w}).tell(b, a, whole(x))
	if verdict == outbox.Taken {
		_, _, err := a.Circle.PrepareVault(w.Now, []byte(w.VaultFile("payroll", 2, a, c)), []string{w.Suite})
		t.Errorf("a takes a vault that an officer signed who is none any more; the honest vault of that name: %v", err)
	}
}

// Who was invited knocks again and again: each time the inviter sends everything anew.
func TestKnockingAgain(t *testing.T) {
	w := nodetest.New(t, 3)
	w.Found()
	a, b := w.Hosts[0], w.Hosts[1]
	for v := range 6 {
		b.Own.Address = []string{"x.example:1", "y.example:1"}[v%2]
		w.Crash(b)
		w.Run("restarted", func() bool { return b.Up })
		w.Amend(uint64(v+1), nodetest.Accept, b, a, w.Hosts[2])
	}
	x := w.Newcomer()
	i, err := a.Circle.Invite(context.Background(), w.Now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Circle.Join(context.Background(), w.Now, i.Line()); err != nil {
		t.Fatal(err)
	}
	w.Run("quiet", func() bool { return a.Outbox.Waiting(x.Self()) == 0 })
	before := a.Commits
	for range 10 {
		if _, err := x.Circle.Join(context.Background(), w.Now, i.Line()); err != nil {
			t.Fatal(err)
		}
		w.Deliver()
	}
	if n := a.Commits - before; n > 50 {
		t.Errorf("ten knocks make the inviter write %d batches, with the circle's lock held", n)
	}
}

package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// An operator is lost. A newcomer takes its place, in the roster and then in the vault; the key and the address stay, and the
// lost one, should it come back, has no part in either.
func TestLostSeatGoesToANewcomer(t *testing.T) {
	t.Parallel()
	for _, suite := range changedSuites {
		t.Run(suite, func(t *testing.T) {
			w, vault := circleOf(t, suite, 3, 3, 2)
			a, b, lost := w.Hosts[0], w.Hosts[1], w.Hosts[2]
			w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(vault, "main", 1)); return err == nil })
			addr := address(t, w, vault, a, b, lost)
			w.Downtime = -1
			w.Crash(lost)
			x := w.Newcomer()
			w.Join(a, x)
			w.Amend(1, nodetest.Replace(lost), a, x, b)
			w.SignReshareAll(nodetest.Wish(vault, 2, a, b, x), a, b, x)
			w.Run("the newcomer holds a share", func() bool { return heldBy(w, vault, 2, a, b, x) })
			signs(t, w, vault, addr, 0, a, b, x)
			// Once more, among those who are left: a process that read everything back knows the newer roster.
			w.Crash(x)
			w.Start(x)
			w.SignReshareAll(nodetest.Wish(vault, 3, a, b, x), b, x, a)
			w.Run("moved once more", func() bool { return heldBy(w, vault, 3, a, b, x) })
			if _, err := w.SignRoster(x, nodetest.Resign); err == nil || !strings.Contains(err.Error(), "this node holds shares of vaults treasury") {
				t.Errorf("who holds a share by a reshare goes: %v", err)
			}
			w.Start(lost)
			w.Run("the lost one learns that it is out", func() bool { return lost.Circle.Standing() == circle.Left })
			w.Run("and what it holds no more", func() bool { return w.HeldBy(lost, vault, 3, a, b, x) })
			gone(t, w, lost, vault)
			w.Run("nobody owes it anything", func() bool {
				return a.Outbox.Waiting(lost.Self())+b.Outbox.Waiting(lost.Self())+x.Outbox.Waiting(lost.Self()) == 0
			})
			calmHosts(t, w, recordAt(a, vault, suite).KeyID)
		})
	}
}

// An operator is replaced without its word while its node runs: it learns of the reshare that takes its share, whenever that is made, and
// if all others were restarted meanwhile; one that is away hears of it when it comes back, versions later.
func TestWhoIsThrownOutErases(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("away %v", away), func(t *testing.T) {
			w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
			a, b, out, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
			if away {
				w.Downtime = -1
				w.Crash(out)
				w.Downtime = time.Second
			}
			x := w.Newcomer()
			w.Join(a, x)
			w.Amend(1, nodetest.Replace(out), a, x, b, d)
			if !away {
				w.Run("it knows that it is out", func() bool { return out.Circle.Standing() == circle.Left })
			}
			w.Run("quiet", func() bool { return away || a.Outbox.Waiting(out.Self()) == 0 })
			for v := range uint64(2) {
				x.Own.Address = fmt.Sprintf("elsewhere-%d.example:7000", v)
				w.Crash(x)
				w.Run("restarted", func() bool { return x.Up })
				w.Amend(2+v, nodetest.Accept, x, a, b, d)
			}
			w.Try(time.Minute, func() bool { return false })
			w.SignReshareAll(nodetest.Wish(vault, 2, a, b, x), a, b, x)
			held := []*nodetest.Host{a, b, x}
			w.Run("moved", func() bool {
				return !slices.ContainsFunc(held, func(h *nodetest.Host) bool { return !w.HeldBy(h, vault, 2, held...) })
			})
			for _, h := range []*nodetest.Host{a, b, d, x} {
				w.Crash(h)
			}
			if away {
				w.Try(10*time.Minute, func() bool { return false })
				w.Start(out)
			}
			w.Run("it follows the others", func() bool { return w.HeldBy(out, vault, 2, held...) })
			gone(t, w, out, vault)
			if got := out.Circle.Standing(); got != circle.Left {
				t.Errorf("it is %s", got)
			}
		})
	}
}

// A vault is reshared, and then somebody comes to the circle: it learns of the vault and of how it is held, and may be
// brought in by the next reshare.
func TestNewcomerLearnsOfReshares(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, d)
	w.Run("moved", func() bool { return w.HeldBy(a, vault, 2, a, b, d) })
	w.Amend(1, nodetest.Resign, c, a, b, d)
	x := w.Newcomer()
	w.Join(d, x)
	w.Amend(2, nodetest.Accept, d, x, a, b)
	w.Run("it knows the reshare", func() bool { return len(x.Circle.Reshares(vault)) == 1 })
	w.SignReshareAll(nodetest.Wish(vault, 2, b, d, x), a, b, d, x)
	w.Run("moved to the newcomer", func() bool {
		return !slices.ContainsFunc([]*nodetest.Host{a, b, d, x}, func(h *nodetest.Host) bool { return !w.HeldBy(h, vault, 2, b, d, x) })
	})
	gone(t, w, a, vault)
}

// An operator lists another officer: what the old one signs moves no vault, under the version that listed it or any other,
// one signature or all in one piece; and its own node does not deal for it.
func TestReplacedOfficerReshares(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	_, first, _ := a.Circle.Roster()
	old := c.Officer
	fresh := nodetest.NewPerson(t, "officer-2-new")
	c.Own.Officers = []signet.Key{fresh.Key}
	w.Crash(c)
	w.Run("restarted", func() bool { return c.Up })
	w.Amend(1, nodetest.Accept, c, a, b, d)
	_, second, _ := a.Circle.Roster()

	s := setting{World: w}
	under, keys, err := a.Keeper.Held(vault)
	if err != nil {
		t.Fatal(err)
	}
	stolen := func(version statement.ID) charter.Accepted {
		r := charter.Reshare{
			Roster: version, Vault: vault, Number: 1, Previous: under, Threshold: 2, Committee: nodetest.Names(c, d), Keys: keys,
			Created: w.Now.UTC().Truncate(time.Second),
		}
		st, err := r.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		out := charter.Accepted{Statement: st, Signatures: map[string][]byte{}}
		for _, h := range []*nodetest.Host{b, d} { // b and d are in on it
			out.Signatures[h.Own.Name] = h.Officer.Makes(t, st)
		}
		out.Signatures[c.Own.Name] = old.Makes(t, st)
		return out
	}
	for name, x := range map[string]struct {
		version statement.ID
		want    string
	}{
		"under the old version": {first.ID, "is no officer of operator operator-2 in version 1"},
		"under the new version": {second.ID, "is no officer of an operator concerned"},
		"under none":            {statement.ID{7}, "not known, or not complete"},
	} {
		got := stolen(x.version)
		verdict, log := s.tell(b, c, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{got.Statement.Bytes(), got.Signatures[c.Own.Name]}})
		if verdict == outbox.Taken || !strings.Contains(log, x.want) {
			t.Errorf("%s, a signature: verdict %d, want %q: %s", name, verdict, x.want, log)
		}
		if verdict, log = s.tell(b, c, outbox.Note{Kind: circle.NoteAccepted, Fields: [][]byte{got.Bytes()}}); verdict == outbox.Taken {
			t.Errorf("%s, whole: taken: %s", name, log)
		}
		if _, _, err := c.Circle.Accept(context.Background(), w.Clock(c), got.Statement.Bytes(), got.Signatures[c.Own.Name]); err == nil {
			t.Errorf("%s: its own node takes it", name)
		}
	}
	w.Try(3*time.Minute, func() bool { return false })
	if slices.ContainsFunc([]*nodetest.Host{a, b, c}, func(h *nodetest.Host) bool { return !w.HeldBy(h, vault, 2, a, b, c) }) {
		t.Fatal("the vault moved")
	}
	c.Officer = fresh
	w.SignReshareAll(nodetest.Wish(vault, 2, b, c, d), b, c, d)
	w.Run("moved with the present officer", func() bool { return heldBy(w, vault, 2, b, c, d) })
}

// A reshare cannot name an older version of the roster than what it follows.
func TestReshareUnderAnOlderRoster(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	_, first, _ := a.Circle.Roster()
	d.Own.Address = "elsewhere.example:7000"
	w.Crash(d)
	w.Run("restarted", func() bool { return d.Up })
	w.Amend(1, nodetest.Accept, d, a, b, c)
	one := w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, d)
	w.Run("moved", func() bool { return heldBy(w, vault, 2, a, b, d) })
	_, keys, err := a.Keeper.Held(vault)
	if err != nil {
		t.Fatal(err)
	}
	back := charter.Reshare{
		Roster: first.ID, Vault: vault, Number: 2, Previous: one, Threshold: 2, Committee: nodetest.Names(a, b, c), Keys: keys,
		Created: w.Now.UTC().Truncate(time.Second),
	}
	st, err := back.Statement(w.Salt())
	if err != nil {
		t.Fatal(err)
	}
	v, log := (setting{World: w}).tell(b, a, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{st.Bytes(), b.Officer.Makes(t, st)}})
	if v != outbox.Refused || !strings.Contains(log, "it is under version 0 of the roster, what it follows is under 1") {
		t.Errorf("verdict %d: %s", v, log)
	}
}

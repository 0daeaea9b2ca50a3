package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// version says which roster a host has, and how it stands to it.
func version(h *nodetest.Host) string {
	_, r, _ := h.Circle.Roster()
	return fmt.Sprintf("%d %s %s", r.Version, strings.Join(r.Names(), ","), h.Circle.Standing())
}

func expect(t *testing.T, h *nodetest.Host, want string) {
	t.Helper()
	if got := version(h); got != want {
		t.Errorf("%s: %s, want %s", h.Own.Name, got, want)
	}
}

// An operator comes into a running circle; the vault signs on, and a vault with the newcomer is made.
func TestOperatorComes(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 2)
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	x := w.Newcomer()
	w.Join(b, x)
	w.Run("the newcomer holds the charter", func() bool { _, _, ok := x.Circle.Roster(); return ok })
	expect(t, x, "0 operator-0,operator-1,operator-2 invited")
	if _, err := w.SignRoster(x, nodetest.Accept); err == nil || !strings.Contains(err.Error(), "no roster that takes this node in") {
		t.Errorf("the newcomer proposes itself: %v", err)
	}
	if _, err := w.SignRoster(b, nodetest.Accept); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	if _, err := w.SignRoster(a, nodetest.Accept); err == nil || !strings.Contains(err.Error(), "operator-3, who comes, must sign") {
		t.Errorf("an old operator signs before the newcomer: %v", err)
	}
	w.Amend(1, nodetest.Accept, b, x, c, a)
	for _, h := range w.Hosts {
		expect(t, h, "1 operator-0,operator-1,operator-2,operator-3 member")
		if len(h.Peers()) != 3 || len(h.Circle.Draft()) != 0 {
			t.Errorf("%s has %d peers, drafts %v", h.Own.Name, len(h.Peers()), h.Circle.Draft())
		}
	}
	w.Run("the newcomer knows the vault", func() bool { return len(x.Keeper.Vault(vault)) > 0 })
	s := w.Propose(vault, addr, 0)
	w.Approve(s)
	w.Run("the old vault signs", func() bool { return w.State(a, s.ID()) == intent.Signed && w.State(b, s.ID()) == intent.Signed })
	id := w.AcceptVault(w.VaultFile("second", 3))
	w.Run("a vault of all four", func() bool { return w.Published(id) })
}

// The node of an operator is lost. The others replace it without its word; found again, it learns that
// it is out, and keeps what it has.
func TestOperatorReplaced(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 2)
	a, b, lost := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	w.Downtime = -1
	w.Crash(lost)
	if _, err := w.SignRoster(a, nodetest.Replace(lost)); err == nil || !strings.Contains(err.Error(), "0 operators joined at this node") {
		t.Errorf("replaced by nobody: %v", err)
	}
	x := w.Newcomer()
	w.Join(a, x)
	w.Amend(1, nodetest.Replace(lost), a, x, b)
	expect(t, a, "1 operator-0,operator-1,operator-3 member")
	s := w.Propose(vault, addr, 0)
	w.Approve(s)
	w.Run("two of the old committee sign", func() bool { return w.State(a, s.ID()) == intent.Signed && w.State(b, s.ID()) == intent.Signed })
	w.Start(lost)
	w.Run("the lost node learns that it is out", func() bool { return lost.Circle.Standing() == circle.Left })
	expect(t, lost, "1 operator-0,operator-1,operator-3 left")
	if len(lost.Keeper.Vault(vault)) == 0 || len(lost.Peers()) != 0 {
		t.Errorf("it has %d vaults and %d peers", len(lost.Keeper.Vault(vault)), len(lost.Peers()))
	}
	// What it sends besides rosters is not taken.
	before := strings.Count(w.Log.String(), "its operator is not in the roster in force")
	(setting{World: w}).tell(lost, a, outbox.Note{Kind: circle.NoteVault, Fields: [][]byte{{1}, {2}}})
	if strings.Count(w.Log.String(), "its operator is not in the roster in force") == before {
		t.Error("a vault's note of who left is looked at")
	}
	for _, k := range []outbox.Kind{circle.NoteAccepted, ceremony.NoteFinalCert} { // it is told these, and tells none
		before = strings.Count(w.Log.String(), "its operator is not in the roster in force")
		(setting{World: w}).tell(lost, a, outbox.Note{Kind: k, Fields: [][]byte{{1}}})
		if strings.Count(w.Log.String(), "its operator is not in the roster in force") == before {
			t.Errorf("a note of kind %#x of who left is looked at", uint8(k))
		}
	}
	if _, err := lost.Circle.Invite(context.Background(), w.Now, "operator-9", time.Hour); err == nil {
		t.Error("who left invites")
	}
	if _, err := w.SignRoster(lost, nodetest.Anew); err == nil {
		t.Error("who left proposes")
	}
}

// Who holds a share of a vault may not go; who holds none says so with its own signature.
func TestOperatorResigns(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 4)
	w.Found()
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	id := w.AcceptVault(w.VaultFile("treasury", 2, a, b, c), a, b, c)
	w.Run("the key is published", func() bool {
		v, ok := a.Keeper.Root(id, charter.SuiteECDSA)
		return ok && v.Current != nil
	})
	if _, err := w.SignRoster(c, nodetest.Resign); err == nil || !strings.Contains(err.Error(), "holds shares of vaults treasury: reshare them to a committee without operator-2 first") {
		t.Errorf("it goes with a share: %v", err)
	}
	w.Amend(1, nodetest.Resign, d, a, b, c)
	expect(t, d, "1 operator-0,operator-1,operator-2 left")
	ch, _, _ := a.Circle.Roster()
	if _, ok := ch.Signatures["operator-3"]; !ok {
		t.Error("its own signature is not kept")
	}
	// It comes back, under its own name and key.
	w.Join(b, d)
	w.Amend(2, nodetest.Accept, b, d, a, c)
	expect(t, d, "2 operator-0,operator-1,operator-2,operator-3 member")
	chain := a.Circle.Versions()
	if len(chain) != 3 {
		t.Errorf("%d versions", len(chain))
	}
}

// Two of three: neither can throw the other out, and a circle of one is none.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 2)
	w.Found()
	a, b := w.Hosts[0], w.Hosts[1]
	if _, err := w.SignRoster(a, nodetest.Resign); err == nil || !strings.Contains(err.Error(), "2 to 16 are allowed") {
		t.Errorf("one is left: %v", err)
	}
	x := w.Newcomer()
	w.Join(a, x)
	for _, h := range []*nodetest.Host{a, x} {
		prepare := nodetest.Accept
		if h == a {
			prepare = nodetest.Replace(b)
		}
		w.Run("signed", func() bool { _, err := w.SignRoster(h, prepare); return err == nil })
	}
	w.Try(time.Minute, func() bool { return false })
	expect(t, a, "0 operator-0,operator-1 member")
	w.Amend(1, func(h *nodetest.Host, now time.Time) (charter.Accepted, bool, error) {
		return h.Circle.PrepareResign(now)
	}, b, a, x)
	expect(t, x, "1 operator-0,operator-2 member")
}

// A node signs, and is away while the version comes into force: it catches up from whoever is there. Its
// proposer never comes back.
func TestRosterCatchesUp(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 4)
	w.Found()
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	x := w.Newcomer()
	w.Join(a, x)
	w.Downtime = -1
	for i, h := range []*nodetest.Host{a, x, b, c} {
		w.Run("signed", func() bool { _, err := w.SignRoster(h, nodetest.Accept); return err == nil })
		if i == 2 {
			w.Try(10*time.Second, func() bool { return false })
			w.Crash(b)
			w.Crash(x)
		}
	}
	w.Run("signed", func() bool { _, err := w.SignRoster(d, nodetest.Accept); return err == nil })
	w.Run("in force", func() bool { return strings.HasPrefix(version(d), "1 ") && strings.HasPrefix(version(c), "1 ") })
	w.Crash(a)
	expect(t, d, "1 operator-0,operator-1,operator-2,operator-3,operator-4 member")
	for _, h := range []*nodetest.Host{b, x} {
		w.Start(h)
		w.Run("it catches up", func() bool { return version(h) == version(d) })
	}
}

// An operator lists its new officer and address: it signs that with the officer it had, and what the
// old one signs afterwards is worth nothing.
func TestOfficerChanges(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	w.List(w.VaultFile("late", 2))
	first, _, err := a.Circle.PrepareVault(w.Now, "late")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Circle.Accept(context.Background(), w.Now, first.Statement.Bytes(), a.Officer.Makes(t, first.Statement)); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	old := c.Officer
	c.Own.Officers = []signet.Key{nodetest.NewPerson(t, "officer-2-new").Key}
	c.Own.Address = "elsewhere.example:7000"
	w.Crash(c)
	w.Run("restarted", func() bool { return c.Up })
	w.Amend(1, nodetest.Accept, c, a, b)
	_, r, _ := a.Circle.Roster()
	if o, _ := r.Operator(c.Own.Name); o.Address != c.Own.Address || len(o.Officers) != 1 || !o.Officers[0].Equal(c.Own.Officers[0]) {
		t.Errorf("the roster lists %+v", o)
	}
	n := outbox.Note{Kind: circle.NoteVault, Fields: [][]byte{first.Statement.Bytes(), old.Makes(t, first.Statement)}}
	if v, log := (setting{World: w}).tell(c, b, n); v != outbox.Refused || !strings.Contains(log, "is no officer of operator operator-2 in version 1") {
		t.Errorf("a replaced officer signs a vault: verdict %d, %s", v, log)
	}
	// The vault that waited stands under the version before, where nobody signs for c any more: its name goes to one under the new.
	if x, fresh, err := b.Circle.PrepareVault(w.Now, "late"); err != nil || !fresh || x.Statement.ID() == first.Statement.ID() {
		t.Errorf("the vault that cannot be completed is offered: fresh %v, %v", fresh, err)
	}
	c.Officer = nodetest.NewPerson(t, "officer-2-new")
	w.AcceptVault(w.VaultFile("under-the-new", 2))
}

// Two operators propose at once, each its own newcomer; each officer may sign one. They meet at the lower
// id, and every node has the same roster.
func TestRosterProposedTwice(t *testing.T) {
	t.Parallel()
	for seed := range 6 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := nodetest.New(t, 3+seed%2)
			w.Found()
			for range seed {
				w.Salt() // another order of ids
			}
			a, b := w.Hosts[0], w.Hosts[1]
			old := slices.Clone(w.Hosts)
			x, y := w.Newcomer(), w.Newcomer()
			w.Join(a, x)
			w.Join(b, y)
			w.Deliver()
			for _, h := range []*nodetest.Host{a, b} {
				if _, err := w.SignRoster(h, nodetest.Accept); err != nil {
					t.Fatal(err)
				}
			}
			all := append([]*nodetest.Host{x, y}, old...)
			slices.Reverse(all[2:])
			if !w.Try(nodetest.Patience, func() bool {
				for _, h := range all {
					w.SignRoster(h, nodetest.Accept) //nolint:errcheck // again and again, until it is in force
					w.Deliver()
				}
				return !slices.ContainsFunc(old, func(h *nodetest.Host) bool { return !strings.HasPrefix(version(h), "1 ") })
			}) {
				t.Fatalf("no version comes into force: %s", w.Tail())
			}
			for _, h := range old {
				if version(h) != version(a) || h.Circle.Fork() != "" {
					t.Errorf("%s has %s, %s has %s; fork %q", h.Own.Name, version(h), a.Own.Name, version(a), h.Circle.Fork())
				}
			}
		})
	}
}

// A newcomer never signs: the others go on without it, by a roster with a lower id.
func TestNewcomerNeverSigns(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 4)
	w.Found()
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	x, y := w.Newcomer(), w.Newcomer()
	w.Join(a, x)
	w.Join(b, y)
	if _, err := w.SignRoster(a, nodetest.Accept); err != nil {
		t.Fatal(err)
	}
	w.Downtime = -1
	w.Crash(x)
	w.Deliver()
	w.Amend(1, nodetest.Anew, b, y, c, d, a)
	expect(t, a, "1 operator-0,operator-1,operator-2,operator-3,operator-5 member")
}

// A dishonest operator of three signs two rosters, each without one of the others, who are deceived. Both
// are complete: who sees the second raises the alarm and stays with the first.
func TestRosterForkIsSeen(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	a, traitor, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	_, last, _ := a.Circle.Roster()
	without := func(out *nodetest.Host) charter.Accepted {
		r := charter.Roster{Circle: last.Circle, Version: 1, Previous: last.ID, Created: last.Created}
		for _, o := range last.Operators {
			if o.Name != out.Own.Name {
				r.Operators = append(r.Operators, o)
			}
		}
		s, err := r.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		return charter.Accepted{Statement: s}
	}
	note := func(x charter.Accepted, by *nodetest.Host) outbox.Note {
		return outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{x.Statement.Bytes(), by.Officer.Makes(t, x.Statement)}}
	}
	one, two := without(c), without(a)
	tell := setting{World: w}
	tell.tell(traitor, a, note(one, traitor))
	if _, _, err := a.Circle.Accept(context.Background(), w.Now, one.Statement.Bytes(), a.Officer.Makes(t, one.Statement)); err != nil {
		t.Fatal(err)
	}
	w.Queue = nil
	expect(t, a, "1 operator-0,operator-1 member")
	if a.Circle.Fork() != "" {
		t.Error("an alarm without a fork")
	}
	tell.tell(traitor, a, note(two, traitor))
	tell.tell(c, a, note(two, c))
	expect(t, a, "1 operator-0,operator-1 member")
	if f := a.Circle.Fork(); !strings.Contains(f, "two rosters of version 1 are complete") || !strings.Contains(w.Log.String(), "operators signed both") {
		t.Errorf("no alarm: %q", f)
	}
	w.Crash(a)
	w.Run("restarted", func() bool { return a.Up })
	if a.Circle.Fork() == "" {
		t.Error("the alarm is forgotten")
	}
}

package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// rosterStory takes a newcomer in, replaces an operator by another, and lets one resign, with a blow.
// However it falls, all come to one chain, and nobody says two things.
func rosterStory(t *testing.T, b *blow) (all []blow) {
	t.Helper()
	w := nodetest.New(t, 6)
	everybody := w.Hosts
	w.Hosts = everybody[:4]
	w.Found()
	w.Hosts = everybody
	one, two, three, out, x, y := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3], w.Hosts[4], w.Hosts[5]
	before, fell := commits(w), new(bool)
	if b != nil {
		fell = b.strike(w)
	}
	w.Join(two, x)
	w.Run("the newcomer holds the charter", func() bool { _, _, ok := charterOf(x); return ok })
	w.Amend(1, nodetest.Accept, two, x, one, three, out)
	w.Join(one, y)
	w.Run("the newcomer holds the charter", func() bool { _, r, _ := charterOf(y); return r.Version == 1 })
	w.Amend(2, nodetest.Replace(out), one, y, two, three, x)
	w.Amend(3, nodetest.Resign, three, one, two, x, y)
	w.Run("all know", func() bool {
		return w.All(func(h *nodetest.Host) bool { return h == out || strings.HasPrefix(version(h), "3 ") })
	})
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	want := one.Circle.Versions()
	for _, h := range w.Hosts {
		for v, a := range h.Circle.Versions() {
			if a.Statement.ID() != want[v].Statement.ID() {
				t.Errorf("%s has another version %d than %s", h.Own.Name, v, one.Own.Name)
			}
		}
		if h.Circle.Fork() != "" {
			t.Errorf("%s: %s", h.Own.Name, h.Circle.Fork())
		}
	}
	for _, h := range []*nodetest.Host{one, two, x, y} {
		expect(t, h, "3 operator-0,operator-1,operator-4,operator-5 member")
	}
	expect(t, three, "3 operator-0,operator-1,operator-4,operator-5 left")
	all = blows(w, before)
	believed(t, w, one, two, x, y)
	return all
}

// dropStory lets two guests go, one of whom was only invited, with a blow, then takes another in. Its officer repeats what failed.
func dropStory(t *testing.T, b *blow) (all []blow) {
	t.Helper()
	w := nodetest.New(t, 2)
	w.Found()
	one := w.Hosts[0]
	guest, good := w.Newcomer(), w.Newcomer()
	w.Join(one, guest)
	ctx := context.Background()
	if _, err := one.Circle.Invite(ctx, w.Now, "never-comes", time.Hour); err != nil {
		t.Fatal(err)
	}
	before, fell := commits(w), new(bool)
	if b != nil {
		fell = b.strike(w)
	}
	for _, name := range []string{guest.Own.Name, "never-comes"} {
		w.Run("dropped", func() bool {
			var err error
			lived := one.Up && w.Act(one, func() { _, err = one.Circle.Drop(ctx, w.Now, name) })
			return lived && (err == nil || strings.Contains(err.Error(), "nobody joined as operator"))
		})
	}
	all = blows(w, before)
	w.Join(one, good)
	w.Amend(1, nodetest.Accept, one, good, w.Hosts[1])
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	for _, h := range []*nodetest.Host{one, w.Hosts[1], good} {
		expect(t, h, fmt.Sprintf("1 operator-0,operator-1,%s member", good.Own.Name))
	}
	for _, row := range append(w.Rows(one, "draft/"), w.Rows(one, "invite/")...) {
		if v := string(row.Value); strings.Contains(v, "never-comes") || strings.Contains(v, string(guest.Own.Identity)) {
			t.Errorf("row %s is left", row.Key)
		}
	}
	return all
}

// hearsayStory: a vault comes whole that a replaced officer and a hostile operator signed, with a blow at who takes it. However that
// falls, its name is free, and nobody is told of it.
func hearsayStory(t *testing.T, b *blow) (all []blow) {
	t.Helper()
	w, hosts := founded(t, 4)
	one, bad, three, four := hosts[0], hosts[1], hosts[2], hosts[3]
	_, first, _ := one.Circle.Roster()
	w.List(w.VaultFile("payroll", 2, bad, three))
	old := newOfficer(t, w, three, 1, one, bad, four)
	st := vaultOf(t, w, w.VaultFile("payroll", 2, bad, three), first.ID)
	x := charter.Accepted{Statement: st, Signatures: map[string][]byte{bad.Own.Name: bad.Officer.Makes(t, st), three.Own.Name: old.Makes(t, st)}}
	before, fell := commits(w), new(bool)
	if b != nil {
		fell = b.strike(w)
	}
	w.Forge(bad, one, frameOf(whole(x)))
	all = blows(w, before)
	w.Run("it is there again", func() bool { return one.Up })
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	for _, row := range w.Rows(one, "vault/") {
		if id := st.ID(); strings.HasSuffix(row.Key, string(store.ID(id[:]))) != (len(w.Rows(one, "hearsay/")) == 1) {
			t.Error("the vault and what is known of it are not one batch")
		}
	}
	published(t, w, w.AcceptVault(w.VaultFile("payroll", 2, one, three), one, three), "payroll", one, three)
	guest := w.Newcomer()
	w.Join(one, guest)
	w.Amend(2, nodetest.Accept, one, guest, three, four, bad)
	w.Run("the newcomer heard of a vault", func() bool { return len(vaultsNamed(guest, "payroll")) > 0 })
	if got := vaultsNamed(guest, "payroll"); len(got) != 1 || got[0] == st.ID() {
		t.Errorf("the newcomer was told of %d vaults", len(got))
	}
	return all
}

func TestCrashAtEveryBatchOfDropAndHearsay(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]func(*testing.T, *blow) []blow{"drop": dropStory, "hearsay": hearsayStory} {
		all := story(t, nil)
		some := pick(all, 8)
		t.Logf("%s: %d of %d", name, len(some), len(all))
		for _, b := range some {
			t.Run(name+" "+b.String(), func(t *testing.T) { story(t, &b) })
		}
	}
}

func charterOf(h *nodetest.Host) (charter.Accepted, charter.Roster, bool) {
	if !h.Up {
		return charter.Accepted{}, charter.Roster{}, false
	}
	return h.Circle.Roster()
}

func TestCrashAtEveryBatchOfRosters(t *testing.T) {
	t.Parallel()
	all := rosterStory(t, nil)
	some := pick(all, 40)
	t.Logf("%d of %d", len(some), len(all))
	for _, b := range some {
		t.Run(b.String(), func(t *testing.T) { rosterStory(t, &b) })
	}
}

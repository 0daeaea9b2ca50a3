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
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// founded is a circle of n nodes without a vault.
func founded(t *testing.T, n int) (*nodetest.World, []*nodetest.Host) {
	t.Helper()
	w := nodetest.New(t, n)
	w.Suite = charter.SuiteEd25519
	w.Found()
	return w, w.Hosts
}

// signVault has one officer sign what its node offers for a vault that the charter lists.
func signVault(t *testing.T, w *nodetest.World, h *nodetest.Host, name string) (id statement.ID, fresh bool, err error) {
	t.Helper()
	a, fresh, err := h.Circle.PrepareVault(w.Now, name)
	if err == nil {
		id = a.Statement.ID()
		_, _, err = h.Circle.Accept(context.Background(), w.Now, a.Statement.Bytes(), h.Officer.Makes(t, a.Statement))
	}
	return id, fresh, err
}

// vaultOf is a vault's statement as a hostile operator writes one, under a roster and the newest charter that lists the vault so.
func vaultOf(t *testing.T, w *nodetest.World, file charter.Blueprint, roster statement.ID) statement.Statement {
	t.Helper()
	v := charter.Vault{
		Roster: roster, Name: file.Name, Suites: file.Suites, Threshold: file.Threshold, Committee: file.Committee, Created: w.Now.UTC().Truncate(time.Second),
	}
	for _, x := range w.Hosts[0].Charters.History() {
		if x.Lists(v) {
			v.Charter = x.ID
		}
	}
	if v.Charter.IsZero() {
		t.Fatalf("no charter ever listed vault %s of %v", file.Name, file.Committee)
	}
	st, err := v.Statement(w.Salt())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// vaultsNamed lists the vaults that a node shows under a name.
func vaultsNamed(h *nodetest.Host, name string) (ids []statement.ID) {
	for _, a := range h.Circle.Vaults() {
		if a.Statement.Get("name") == name {
			ids = append(ids, a.Statement.ID())
		}
	}
	return ids
}

// published waits until some hosts publish a vault's key, and holds that this is the one that they show under its name.
func published(t *testing.T, w *nodetest.World, vault statement.ID, name string, hosts ...*nodetest.Host) {
	t.Helper()
	w.Run("the vault's key is published", func() bool {
		for _, h := range hosts {
			if v, ok := h.Keeper.Root(vault, w.Suite); !ok || v.Current == nil {
				return false
			}
		}
		return true
	})
	for _, h := range hosts {
		if ids := vaultsNamed(h, name); len(ids) != 1 || ids[0] != vault {
			t.Errorf("%s shows %d vaults of that name", h.Own.Name, len(ids))
		}
	}
}

// One hostile operator and the key of an officer who was replaced make a vault, whole: its name stays free, also after a restart.
func TestReplacedOfficerTakesAVaultsName(t *testing.T) {
	t.Parallel()
	w, hosts := founded(t, 4)
	a, b, c, d := hosts[0], hosts[1], hosts[2], hosts[3]
	_, first, _ := a.Circle.Roster()
	w.List(w.VaultFile("payroll", 2, b, c), w.VaultFile("savings", 2, b, c))
	old := newOfficer(t, w, c, 1, a, b, d)
	s := setting{World: w}
	forged := map[string]statement.ID{"payroll": {}, "savings": {}}
	for name := range forged {
		st := vaultOf(t, w, w.VaultFile(name, 2, b, c), first.ID)
		x := charter.Accepted{Statement: st, Signatures: map[string][]byte{b.Own.Name: b.Officer.Makes(t, st), c.Own.Name: old.Makes(t, st)}}
		forged[name] = st.ID()
		for _, h := range []*nodetest.Host{a, d} {
			v, log := s.tell(b, h, whole(x))
			t.Logf("%s: verdict %d %s", h.Own.Name, v, log)
		}
	}
	w.Crash(a)
	w.Run("restarted", func() bool { return a.Up })
	published(t, w, w.AcceptVault(w.VaultFile("payroll", 2, a, c), a, c), "payroll", a, c)
	for _, h := range hosts {
		if got := vaultsNamed(h, "payroll"); h != b && (len(got) != 1 || got[0] == forged["payroll"]) {
			t.Errorf("%s shows %d vaults of that name", h.Own.Name, len(got))
		}
	}
	newcomer := w.Newcomer()
	w.Join(a, newcomer)
	w.Amend(2, nodetest.Accept, a, newcomer, c, d, b)
	w.Run("the newcomer heard of the vault", func() bool { return len(vaultsNamed(newcomer, "payroll")) > 0 })
	if got := w.Rows(newcomer, "vault/"); len(got) != 1 || vaultsNamed(newcomer, "payroll")[0] == forged["payroll"] {
		t.Errorf("the newcomer was told of %d vaults", len(got))
	}
}

// While a vault is being made, an officer is replaced: some nodes had heard the old signature, others will not take it any more. All sign
// once more, and the vault comes into being.
func TestVaultInTheMakingWhenAnOfficerIsReplaced(t *testing.T) {
	t.Parallel()
	w, hosts := founded(t, 3)
	a, b, c := hosts[0], hosts[1], hosts[2]
	w.List(w.VaultFile("payroll", 2))
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // a does not hear of the vault
		if p.To == a && p.Frame[0] == nodetest.FrameNote {
			if n, err := outbox.Decode(p.Frame[1:]); err == nil && n.Kind == circle.NoteVault {
				return nil
			}
		}
		return []nodetest.Parcel{p}
	}
	before, _, err := signVault(t, w, c, "payroll")
	if err != nil {
		t.Fatal(err)
	}
	w.Run("b hears of it", func() bool { return len(vaultsNamed(b, "payroll")) == 1 })
	if id, fresh, err := signVault(t, w, b, "payroll"); err != nil || fresh || id != before {
		t.Fatalf("b signs another one: %v", err)
	}
	newOfficer(t, w, c, 1, a, b)
	w.Pass = nil
	w.Run("b's signature, and not that of c's old officer, is at a", func() bool {
		for _, x := range a.Circle.Vaults() {
			if x.Statement.ID() == before {
				return x.Signatures[b.Own.Name] != nil && x.Signatures[c.Own.Name] == nil
			}
		}
		return false
	})
	after := w.SignVault("payroll", a, b, c)
	if after == before {
		t.Fatal("officers are shown the statement that can never be whole")
	}
	published(t, w, after, "payroll", a, b, c)
}

// withoutSessions lets everything through but sessions.
func withoutSessions(p nodetest.Parcel) []nodetest.Parcel {
	if nodetest.OfSession(p.Frame) {
		return nil
	}
	return []nodetest.Parcel{p}
}

// All have a vault whole and no key when an officer is replaced. Who has signed it anew makes no key of the old statement, also
// after a restart, and then all make that of the new one.
func TestVaultIsGivenUpForANewerOne(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		givenUp(t, restart)
	}
}

func givenUp(t *testing.T, restart bool) {
	w, hosts := founded(t, 3)
	a, b, c := hosts[0], hosts[1], hosts[2]
	w.List(w.VaultFile("payroll", 2))
	w.Pass = withoutSessions
	for { // an officer signs no higher one of what says the same; this one is low
		x, _, err := a.Circle.PrepareVault(w.Now, "payroll")
		if err != nil {
			t.Fatal(err)
		}
		if id := x.Statement.ID(); id[0] < 4 {
			if _, _, err := a.Circle.Accept(context.Background(), w.Now, x.Statement.Bytes(), a.Officer.Makes(t, x.Statement)); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	before := w.SignVault("payroll", hosts...)
	w.Run("it is whole everywhere", func() bool { return w.All(func(h *nodetest.Host) bool { return len(h.Keeper.Vault(before)) == 1 }) })
	newOfficer(t, w, c, 1, a, b)
	after, fresh, err := signVault(t, w, b, "payroll")
	if err != nil || !fresh {
		t.Fatalf("b signs no new one: %v", err)
	}
	if restart {
		w.Crash(b)
		w.Run("restarted", func() bool { return b.Up })
	}
	w.Pass = nil
	w.Try(3*time.Minute, func() bool { return a.Keeper.Made(before) })
	if a.Keeper.Made(before) || b.Keeper.Made(before) || !strings.Contains(w.Log.String(), "is given up: this node's officer signed another of that name") {
		t.Error("a key of the old statement is made, or nobody tried")
	}
	for _, h := range []*nodetest.Host{a, c} {
		id := statement.ID{}
		w.Run("signed anew", func() bool { id, _, err = signVault(t, w, h, "payroll"); return err == nil })
		if id != after {
			t.Fatalf("%s signs statement %s", h.Own.Name, id.Short())
		}
	}
	published(t, w, after, "payroll", a, b, c)
	if b.Keeper.Made(before) {
		t.Error("a key of the old statement is made")
	}
}

// Two officers begin while the roster changes, under two versions: all meet at one of the two.
func TestVaultsOfTwoVersionsMeet(t *testing.T) {
	t.Parallel()
	for range 4 { // either may have the lower id
		w, hosts := founded(t, 3)
		a, b, c := hosts[0], hosts[1], hosts[2]
		w.List(w.VaultFile("payroll", 2))
		w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // nobody hears of b's
			if n, err := outbox.Decode(p.Frame[1:]); err == nil && p.Frame[0] == nodetest.FrameNote && n.Kind == circle.NoteVault {
				return nil
			}
			return []nodetest.Parcel{p}
		}
		first, _, err := signVault(t, w, b, "payroll")
		if err != nil {
			t.Fatal(err)
		}
		c.Own.Entity = "Another Ltd"
		w.Crash(c)
		w.Run("restarted", func() bool { return c.Up })
		w.Amend(1, nodetest.Accept, c, a, b)
		second, fresh, err := signVault(t, w, a, "payroll")
		if err != nil || !fresh {
			t.Fatal(fresh, err)
		}
		w.Pass = nil
		w.Run("both are known", func() bool { return w.All(func(h *nodetest.Host) bool { return len(vaultsNamed(h, "payroll")) == 2 }) })
		id := w.SignVault("payroll", c, b, a)
		if id != first && id != second {
			t.Fatalf("a third one is made: %s", id.Short())
		}
		w.Run("the vault's key is published", func() bool { return w.Published(id) })
	}
}

// A vault that has its key keeps its name, whoever is replaced: at its committee's nodes and, though they see no key, at others.
func TestVaultWithAKeyKeepsItsName(t *testing.T) {
	t.Parallel()
	w, hosts := founded(t, 4)
	a, b, c, d := hosts[0], hosts[1], hosts[2], hosts[3]
	file := w.VaultFile("payroll", 2, a, b, c)
	vault := w.AcceptVault(file, a, b, c)
	published(t, w, vault, "payroll", a, b, c)
	newOfficer(t, w, c, 1, a, b, d)
	if id, fresh, err := signVault(t, w, a, "payroll"); err != nil || fresh || id != vault {
		t.Errorf("a makes another one: fresh %v, %v", fresh, err)
	}
	// Nor does a charter that lists it otherwise take it away.
	w.List(w.VaultFile("payroll", 2, a, d))
	for _, h := range []*nodetest.Host{a, d} {
		_, _, err := signVault(t, w, h, "payroll")
		mustRefuse(t, err, "differs in committee")
	}
	// Two hostile ones that are not of its committee, or are part of it, change nothing at others.
	_, newest, _ := a.Circle.Roster()
	w.List(w.VaultFile("payroll", 2, b, d))
	st := vaultOf(t, w, w.VaultFile("payroll", 2, b, d), newest.ID)
	s := setting{World: w}
	for _, h := range []*nodetest.Host{a, c} {
		n := outbox.Note{Kind: circle.NoteVault, Fields: [][]byte{st.Bytes(), b.Officer.Makes(t, st)}}
		if verdict, _ := s.tell(b, h, n); verdict != outbox.Refused {
			t.Errorf("%s: verdict %d", h.Own.Name, verdict)
		}
	}
	if got := vaultsNamed(d, "payroll"); len(got) != 1 || got[0] != vault {
		t.Errorf("d shows %d vaults of that name", len(got))
	}
}

// One hostile operator and the key of an officer who was replaced tell a newcomer of a vault with the name of one that exists, before anybody
// tells it of that one. The newcomer takes the true one all the same, and is given a share of it.
func TestNewcomerHearsOfAForgedVaultFirst(t *testing.T) {
	t.Parallel()
	for _, changed := range []string{"nothing", "an officer", "the charter"} { // of the true one meanwhile
		w, hosts := founded(t, 4)
		a, b, c, d := hosts[0], hosts[1], hosts[2], hosts[3]
		_, first, _ := a.Circle.Roster()
		w.List(w.VaultFile("payroll", 2, b, c))
		vault := w.AcceptVault(w.VaultFile("payroll", 2, a, d), a, d)
		published(t, w, vault, "payroll", a, d)
		old := newOfficer(t, w, c, 1, a, b, d)
		version := uint64(2)
		switch changed {
		case "an officer":
			newOfficer(t, w, d, version, a, b, c)
			version++
		case "the charter":
			w.List(w.VaultFile("payroll", 2, b, c))
		}
		st := vaultOf(t, w, w.VaultFile("payroll", 2, b, c), first.ID)
		forged := charter.Accepted{Statement: st, Signatures: map[string][]byte{b.Own.Name: b.Officer.Makes(t, st), c.Own.Name: old.Makes(t, st)}}
		newcomer := w.Newcomer()
		w.Join(a, newcomer)
		w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
			if p.To == newcomer && noteOf(p).Kind == circle.NoteAccepted {
				return nil // the others are slow
			}
			return []nodetest.Parcel{p}
		}
		w.Amend(version, nodetest.Accept, a, newcomer, b, c, d)
		w.Run("the newcomer is a member", func() bool { _, r, _ := newcomer.Circle.Roster(); return r.Version == version })
		w.Forge(b, newcomer, frameOf(whole(forged)))
		b.Hostile, w.Pass = false, nil
		if !w.Try(10*time.Minute, func() bool {
			for _, x := range newcomer.Circle.Vaults() {
				if x.Statement.ID() == vault {
					return true
				}
			}
			return false
		}) {
			t.Fatalf("%s changed: the newcomer never hears of the vault that has the name: %s", changed, w.Tail())
		}
		w.SignReshareAll(nodetest.Wish(vault, 2, a, d, newcomer), a, d, newcomer)
		w.Run("the newcomer holds a share", func() bool { return w.HeldBy(newcomer, vault, 2, a, d, newcomer) })
	}
}

// The same at a node that was in the circle already, and has not heard of the true vault yet: officers' signatures of that come one by one.
func TestLaggingNodeHearsOfAForgedVaultFirst(t *testing.T) {
	t.Parallel()
	w, hosts := founded(t, 5)
	a, b, c, d, e := hosts[0], hosts[1], hosts[2], hosts[3], hosts[4]
	_, first, _ := a.Circle.Roster()
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.To == a && noteOf(p).Kind == circle.NoteVault {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.List(w.VaultFile("payroll", 2, b, c))
	vault := w.AcceptVault(w.VaultFile("payroll", 2, d, e), d, e)
	published(t, w, vault, "payroll", d, e)
	old := newOfficer(t, w, c, 1, a, b, d, e)
	if len(vaultsNamed(a, "payroll")) > 0 {
		t.Fatal("it has heard of it already")
	}
	st := vaultOf(t, w, w.VaultFile("payroll", 2, b, c), first.ID)
	forged := charter.Accepted{Statement: st, Signatures: map[string][]byte{b.Own.Name: b.Officer.Makes(t, st), c.Own.Name: old.Makes(t, st)}}
	w.Forge(b, a, frameOf(whole(forged)))
	b.Hostile, w.Pass = false, nil
	if !w.Try(10*time.Minute, func() bool { return slices.Equal(vaultsNamed(a, "payroll"), []statement.ID{vault}) }) {
		t.Fatalf("it shows %d vaults of that name: %s", len(vaultsNamed(a, "payroll")), w.Tail())
	}
}

// An officer signs more vaults at once than others keep of one operator: the rest reaches them once there is room.
func TestVaultsBeyondTheRoomComeLater(t *testing.T) {
	t.Parallel()
	w, hosts := founded(t, 2)
	a, b := hosts[0], hosts[1]
	const n = 10
	var files []charter.Blueprint
	for i := range n {
		files = append(files, w.VaultFile(fmt.Sprint("vault-", i), 2))
	}
	w.List(files...)
	for _, file := range files {
		if _, _, err := signVault(t, w, b, file.Name); err != nil {
			t.Fatal(err)
		}
	}
	w.Try(time.Minute, func() bool { return false })
	if got := len(a.Circle.Vaults()); got != 8 {
		t.Fatalf("%d are kept", got)
	}
	for _, x := range a.Circle.Vaults() {
		if _, _, err := a.Circle.Accept(context.Background(), w.Now, x.Statement.Bytes(), a.Officer.Makes(t, x.Statement)); err != nil {
			t.Fatal(err)
		}
	}
	if !w.Try(10*time.Minute, func() bool { return len(a.Circle.Vaults()) == n }) {
		t.Errorf("%d of %d vaults that an officer signed have come", len(a.Circle.Vaults()), n)
	}
}

// A node dies while a key is being made, and starts again when another member is gone: whether its last word is out, only that one could
// tell. The vault's making is not given up, and people are told whom it waits for; once it is there, it is.
func TestMakingWaitsForWhoIsUnheard(t *testing.T) {
	t.Parallel()
	w, hosts := founded(t, 3)
	b, c := hosts[1], hosts[2]
	w.Fate = func(h *nodetest.Host, _ int, batch store.Batch) nodetest.Fate {
		if h == b && slices.ContainsFunc(batch.Put, func(e store.Entry) bool {
			return strings.HasPrefix(e.Key, "epoch/") && strings.HasSuffix(e.Key, "/"+string(store.Name("record")))
		}) {
			return nodetest.CrashAfter
		}
		return nodetest.Live
	}
	vault := w.AcceptVault(w.VaultFile("payroll", 2))
	w.Downtime = -1
	w.Run("it died with a record prepared", func() bool { return !b.Up })
	w.Fate = nil
	w.Crash(c)
	w.Start(b)
	w.Try(5*time.Minute, func() bool { return false })
	err := b.Keeper.GiveUp(vault, false)
	if err == nil || !strings.Contains(err.Error(), c.Own.Name+" has not been heard since") || strings.Contains(err.Error(), hosts[0].Own.Name) {
		t.Errorf("with %s away: %v", c.Own.Name, err)
	}
	w.Pass = withoutSessions
	w.Start(c)
	w.Run("given up", func() bool { return b.Keeper.GiveUp(vault, false) == nil })
}

// The roster and the charter go on while two officers begin: each node has heard of one of the two only, so neither statement is under the later
// version of both. One of them has lost an officer: all meet at the other.
func TestVaultsUnderRosterAndCharterApart(t *testing.T) {
	t.Parallel()
	w, hosts := founded(t, 3)
	a, b, c := hosts[0], hosts[1], hosts[2]
	w.List(w.VaultFile("payroll", 2))
	prepare := func(h *nodetest.Host, low bool) statement.ID { // b signs the lower id: of what says the same its officer signs no higher one
		for {
			x, _, err := h.Circle.PrepareVault(w.Now, "payroll")
			if err != nil {
				t.Fatal(err)
			}
			if id := x.Statement.ID(); (id[0] < 128) == low {
				if _, _, err := h.Circle.Accept(context.Background(), w.Now, x.Statement.Bytes(), h.Officer.Makes(t, x.Statement)); err != nil {
					t.Fatal(err)
				}
				return id
			}
		}
	}
	blocked := map[outbox.Kind][]*nodetest.Host{charters.NoteEnact: {a, c}, circle.NoteVault: hosts}
	var held []nodetest.Parcel
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if slices.Contains(blocked[noteOf(p).Kind], p.To) {
			held = append(held, p)
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.Change = func(d *charter.Document) { d.Heartbeat = 2 * time.Hour }
	for i, h := range hosts {
		w.Run("the charter is signed", func() bool { return w.SignCharter(h, w.Document(), i == 0) == nil })
	}
	w.Run("in force at b", func() bool { return number(b) == 1 })
	c.Own.Officers = []signet.Key{nodetest.NewPerson(t, "another").Key}
	w.Crash(c)
	w.Run("restarted", func() bool { return c.Up })
	for _, h := range []*nodetest.Host{c, b} {
		w.Run("the roster is signed", func() bool { _, err := w.SignRoster(h, nodetest.Accept); return err == nil })
		w.Try(10*time.Second, func() bool { return false })
	}
	blocked[circle.NoteRoster] = []*nodetest.Host{b}
	w.Run("the roster is signed", func() bool { _, err := w.SignRoster(a, nodetest.Accept); return err == nil })
	c.Officer = nodetest.NewPerson(t, "another")
	version := func(h *nodetest.Host) uint64 { _, r, _ := h.Circle.Roster(); return r.Version }
	if number(a) != 0 || version(a) != 1 || number(b) != 1 || version(b) != 0 {
		t.Fatalf("a has roster %d and charter %d, b %d and %d", version(a), number(a), version(b), number(b))
	}
	old, fresh := prepare(b, true), prepare(a, false)
	w.Pass = nil
	for _, p := range held {
		w.Queue = append(w.Queue, p)
	}
	w.Run("all know both", func() bool {
		return w.All(func(h *nodetest.Host) bool {
			return number(h) == 1 && version(h) == 1 && len(vaultsNamed(h, "payroll")) > 0
		})
	})
	id := statement.ID{}
	for _, h := range []*nodetest.Host{c, b, a} {
		w.Run(h.Own.Name+" signs", func() bool {
			x, _, err := signVault(t, w, h, "payroll")
			if err == nil {
				id = x
			}
			return err == nil
		})
	}
	if id == old || id != fresh {
		t.Errorf("they meet at %s, not at %s", id.Short(), fresh.Short())
	}
	published(t, w, id, "payroll", hosts...)
}

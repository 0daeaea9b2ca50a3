package node_test

import (
	"context"
	"math"
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

// draftOf is a reshare as a hostile operator writes one.
func draftOf(t *testing.T, w *nodetest.World, vault, version, previous statement.ID, number uint64, threshold int, hosts ...*nodetest.Host) charter.Reshare {
	t.Helper()
	_, keys, err := w.Hosts[0].Keeper.Held(vault)
	if err != nil {
		t.Fatal(err)
	}
	return charter.Reshare{
		Roster: version, Vault: vault, Number: number, Previous: previous, Threshold: threshold, Committee: nodetest.Names(hosts...), Keys: keys,
		Created: w.Now.UTC().Truncate(time.Second),
	}
}

func signedBy(t *testing.T, w *nodetest.World, r charter.Reshare, by map[string]nodetest.Person) charter.Accepted {
	t.Helper()
	st, err := r.Statement(w.Salt())
	if err != nil {
		t.Fatal(err)
	}
	out := charter.Accepted{Statement: st, Signatures: map[string][]byte{}}
	for name, p := range by {
		out.Signatures[name] = p.Makes(t, st)
	}
	return out
}

func whole(a charter.Accepted) outbox.Note {
	return outbox.Note{Kind: circle.NoteAccepted, Fields: [][]byte{a.Bytes()}}
}

// newOfficer has a host's operator list another officer in the next version.
func newOfficer(t *testing.T, w *nodetest.World, h *nodetest.Host, version uint64, others ...*nodetest.Host) (old nodetest.Person) {
	t.Helper()
	old = h.Officer
	fresh := nodetest.NewPerson(t, "fresh officer of "+h.Own.Name)
	h.Own.Officers = []signet.Key{fresh.Key}
	w.Crash(h)
	w.Run("restarted", func() bool { return h.Up })
	w.Amend(version, nodetest.Accept, append([]*nodetest.Host{h}, others...)...)
	h.Officer = fresh
	return old
}

// One hostile operator and the key of an officer who was replaced: a reshare of theirs under the old version of the roster, with
// the highest number, sent whole, keeps the honest ones from moving the vault for ever.
func TestReplacedOfficerBlocksAVault(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	_, first, _ := a.Circle.Roster()
	old := newOfficer(t, w, c, 1, a, b, d)
	bomb := signedBy(t, w, draftOf(t, w, vault, first.ID, vault, math.MaxInt64, 2, b, c), map[string]nodetest.Person{b.Own.Name: b.Officer, c.Own.Name: old})
	s := setting{World: w}
	for _, h := range []*nodetest.Host{a, d} {
		v, log := s.tell(b, h, whole(bomb))
		t.Logf("%s: verdict %d %s", h.Own.Name, v, log)
	}
	wish := nodetest.Wish(vault, 2, a, c, d)
	for i, h := range []*nodetest.Host{a, c, d} {
		var err error
		if !w.Try(time.Minute, func() bool { _, err = w.TrySignReshare(h, i == 0, wish); return err == nil }) {
			t.Fatalf("%s cannot sign any more: %v", h.Own.Name, err)
		}
	}
	if !w.Try(10*time.Minute, func() bool { return w.HeldBy(a, vault, 2, a, c, d) }) {
		v, _ := a.Keeper.Root(vault, w.Suite)
		t.Fatalf("the vault does not move: plan %v, %s", v.Plan, v.LastErr)
	}
}

// The same with a modest number, and an anchor that is none: what a and c agree on is not carried out, and no new shares
// are made either.
func TestReplacedOfficerShadowsReshares(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	_, first, _ := a.Circle.Roster()
	old := newOfficer(t, w, c, 1, a, b, d)
	r := draftOf(t, w, vault, first.ID, vault, 100, 2, b, c)
	bomb := signedBy(t, w, r, map[string]nodetest.Person{b.Own.Name: b.Officer, c.Own.Name: old})
	wish := nodetest.Wish(vault, 2, a, c, d)
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // they are not quick enough
		if nodetest.OfSession(p.Frame) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.SignReshareAll(wish, a, c, d)
	w.Deliver()
	s := setting{World: w}
	for _, h := range []*nodetest.Host{a, d} {
		s.tell(b, h, whole(bomb))
	}
	w.Pass = nil
	if !w.Try(10*time.Minute, func() bool { return w.HeldBy(a, vault, 2, a, c, d) }) {
		v, _ := a.Keeper.Root(vault, w.Suite)
		t.Fatalf("the vault does not move: plan %d, %s", v.Plan.Number, v.LastErr)
	}
}

// Two newcomers whom officers want in a vault, and who never held a share, agree on a reshare that follows the one that names
// them: nobody of the old committee signs it, and it takes the place of all others.
func TestNewcomersShadowReshares(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 5, 3, 2)
	a, b, c, d, e := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3], w.Hosts[4]
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == d || p.From == e { // they withhold what they should say
			if nodetest.OfSession(p.Frame) {
				return nil
			}
		}
		return []nodetest.Parcel{p}
	}
	one := w.SignReshareAll(nodetest.Wish(vault, 2, a, d, e), a, b, c, d, e)
	w.Deliver()
	_, roster, _ := a.Circle.Roster()
	bomb := signedBy(t, w, draftOf(t, w, vault, roster.ID, one, math.MaxInt64, 2, d, e), map[string]nodetest.Person{d.Own.Name: d.Officer, e.Own.Name: e.Officer})
	s := setting{World: w}
	for _, h := range []*nodetest.Host{a, b, c} {
		v, log := s.tell(d, h, whole(bomb))
		t.Logf("%s: verdict %d %s", h.Own.Name, v, log)
	}
	wish := nodetest.Wish(vault, 3, a, b, c) // without them
	for i, h := range []*nodetest.Host{a, b, c} {
		var err error
		if !w.Try(time.Minute, func() bool { _, err = w.TrySignReshare(h, i == 0, wish); return err == nil }) {
			t.Fatalf("%s cannot sign any more: %v", h.Own.Name, err)
		}
	}
	if !w.Try(10*time.Minute, func() bool { return w.HeldBy(a, vault, 3, a, b, c) }) {
		v, _ := a.Keeper.Root(vault, w.Suite)
		t.Fatalf("the vault does not move: plan %d, %s", v.Plan.Number, v.LastErr)
	}
}

// A stolen officer's key signs a reshare, and waits. The operator replaces the officer; then a hostile operator adds its own
// signature: the replaced officer's moves the vault.
func TestPlantedSignatureOfAReplacedOfficer(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	_, first, _ := a.Circle.Roster()
	planted := signedBy(t, w, draftOf(t, w, vault, first.ID, vault, 1, 2, b, d), map[string]nodetest.Person{
		b.Own.Name: b.Officer, c.Own.Name: c.Officer, d.Own.Name: d.Officer,
	})
	s := setting{World: w}
	note := func(h *nodetest.Host) outbox.Note {
		return outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{planted.Statement.Bytes(), planted.Signatures[h.Own.Name]}}
	}
	for _, h := range []*nodetest.Host{a, b, c, d} {
		from := b
		if h == b {
			from = d
		}
		if v, log := s.tell(from, h, note(c)); v != outbox.Taken {
			t.Fatal(h.Own.Name, v, log)
		}
	}
	newOfficer(t, w, c, 1, a, b, d)
	for _, by := range []*nodetest.Host{b, d} { // hostile
		for _, h := range []*nodetest.Host{a, b, c, d} {
			if h != by {
				s.tell(by, h, note(by))
			} else {
				s.tell(a, h, note(by))
			}
		}
	}
	w.Try(5*time.Minute, func() bool { return w.HeldBy(b, vault, 2, b, d) })
	if w.HeldBy(b, vault, 2, b, d) {
		t.Fatal("the vault is held by b and d, by the signature of an officer who was replaced")
	}
}

// The proposer of a reshare pins as anchor what never was in force: officers cannot tell, their nodes can. Else the newcomers
// are never introduced, every holder logs that several times a second, and the key gets no new shares meanwhile.
func TestForeignAnchor(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	_, roster, _ := a.Circle.Roster()
	r := draftOf(t, w, vault, roster.ID, vault, 1, 2, a, b, d)
	r.Keys = slices.Clone(r.Keys)
	r.Keys[0].Anchor = [32]byte{7}
	x := signedBy(t, w, r, map[string]nodetest.Person{c.Own.Name: c.Officer})
	s := setting{World: w}
	for _, h := range []*nodetest.Host{a, b, d} {
		if v, log := s.tell(c, h, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{x.Statement.Bytes(), x.Signatures[c.Own.Name]}}); v != outbox.Taken {
			t.Fatal(v, log)
		}
	}
	if _, _, err := a.Circle.Accept(context.Background(), w.Now, x.Statement.Bytes(), a.Officer.Makes(t, x.Statement)); err != nil {
		return // it said so
	}
	w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), b, d)
	from := w.Log.Len()
	w.Try(2*time.Minute, func() bool { return false })
	lines := strings.Count(w.Log.String()[from:], "is no ancestor of the epoch in force")
	for _, h := range []*nodetest.Host{a, b, c} {
		if err := h.Keeper.AskRefresh(context.Background(), w.Clock(h), vault, w.Suite); err != nil {
			t.Fatal(err)
		}
	}
	fresh := w.Try(10*time.Minute, func() bool { return recordAt(a, vault, w.Suite).Epoch == 1 })
	v, _ := a.Keeper.Root(vault, w.Suite)
	t.Errorf("a holder's node signed for an anchor that never was in force; %d log lines in two minutes; new shares are made: %v; %s", lines, fresh, v.LastErr)
}

// An officer signs a reshare and is replaced while one node, which leaves the committee, hears of the next version of the roster
// before it hears that signature: it takes it no more, so it follows the others never, and keeps its share.
func TestLeaverHearsTheRosterFirst(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // its links are slow for notes of reshares
		if p.To == c && noteOf(p).Kind == circle.NoteReshare || nodetest.OfSession(p.Frame) && p.To == c {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, d)
	w.Run("moved", func() bool {
		return w.HeldBy(a, vault, 2, a, b, d) && w.HeldBy(b, vault, 2, a, b, d) && w.HeldBy(d, vault, 2, a, b, d)
	})
	newOfficer(t, w, b, 1, a, c, d)
	w.Pass = nil
	if !w.Try(time.Hour, func() bool { return w.HeldBy(c, vault, 2, a, b, d) }) {
		v, _ := c.Keeper.Root(vault, w.Suite)
		t.Errorf("%s shows the vault as %q, held by %v in epoch %d, and keeps %d rows of shares", c.Own.Name, v.Step, v.Vault.Committee, v.Current.Record.Epoch, len(shareRows(w, c)))
	}
}

// A node is set back to a backup that was made before a reshare and before a version of the roster: it must hear of both again.
// Its peers once had its word that it took them.
func TestRestoredNodeHearsOfReshareAndRoster(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"reshare", "roster"} {
		t.Run(what, func(t *testing.T) {
			w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
			a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
			snap := w.Rows(c, "")
			if what == "reshare" {
				w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, d)
				w.Run("moved", func() bool { return heldBy(w, vault, 2, a, b, d) })
			} else {
				newOfficer(t, w, b, 1, a, c, d)
			}
			w.Try(time.Minute, func() bool { return false })
			w.Restore(c, snap)
			w.Try(time.Minute, func() bool { return false })
			if c.Fence.Fenced() != nil {
				if _, err := c.ConfirmRestore(context.Background(), w.Now); err != nil {
					t.Fatal(err)
				}
			}
			ok := func() bool { _, r, _ := c.Circle.Roster(); return r.Version == 1 }
			if what == "reshare" {
				ok = func() bool { return w.HeldBy(c, vault, 2, a, b, d) }
			}
			if !w.Try(time.Hour, ok) {
				v, _ := c.Keeper.Root(vault, w.Suite)
				t.Errorf("%s: %s; the vault is held by %v, its step is %q, it keeps %d rows of shares", c.Own.Name, version(c), v.Vault.Committee, v.Step, len(shareRows(w, c)))
			}
		})
	}
}

// An operator that said FINAL of new shares which another's FINAL still may put in force holds a share of the vault to be: it may not go.
func TestResignsWithAPendingShare(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 5, 3, 2)
	a, b, c, d, e := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3], w.Hosts[4]
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; p.From == b && (k == 0x11 || k == 0x12) { // b withholds its FINAL
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.SignReshareAll(nodetest.Wish(vault, 3, a, b, d), a, b, c, d)
	w.Run("d said FINAL", func() bool { return len(w.Rows(d, "final/")) > 0 && len(w.Rows(a, "final/")) > 1 })
	wish := nodetest.Wish(vault, 3, b, c, e)
	wish.Instead = true
	w.SignReshareAll(wish, b, c, e)
	w.Deliver()
	_, err := w.SignRoster(d, nodetest.Resign)
	if err != nil {
		return
	}
	w.Amend(1, nodetest.Resign, d, a, b, c, e)
	w.Pass = nil // and now b speaks
	w.Try(20*time.Minute, func() bool { return w.HeldBy(a, vault, 3, a, b, d) })
	if w.HeldBy(a, vault, 3, a, b, d) {
		t.Errorf("the vault is held by 3 of %v, and %s is %s", nodetest.Names(a, b, d), d.Own.Name, d.Circle.Standing())
	} else {
		t.Error("it may go")
	}
}

// The same with a number in reach, said after the honest officers made another one without them.
func TestNewcomersShadowLaterReshares(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 5, 3, 2)
	a, b, c, d, e := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3], w.Hosts[4]
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // slow
		if nodetest.OfSession(p.Frame) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	one := w.SignReshareAll(nodetest.Wish(vault, 2, a, d, e), a, b, c, d, e)
	w.Deliver()
	w.SignReshareAll(nodetest.Wish(vault, 3, a, b, c), a, b, c)
	w.Deliver()
	_, roster, _ := a.Circle.Roster()
	bomb := signedBy(t, w, draftOf(t, w, vault, roster.ID, one, 100, 2, d, e), map[string]nodetest.Person{d.Own.Name: d.Officer, e.Own.Name: e.Officer})
	for _, h := range []*nodetest.Host{a, b, c} {
		(setting{World: w}).tell(d, h, whole(bomb))
	}
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if nodetest.OfSession(p.Frame) && (p.From == d || p.From == e) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	if !w.Try(15*time.Minute, func() bool { return w.HeldBy(a, vault, 3, a, b, c) }) {
		v, _ := a.Keeper.Root(vault, w.Suite)
		t.Fatalf("the vault does not move: plan %d, %s", v.Plan.Number, v.LastErr)
	}
}

// A reshare is complete at some nodes, and never at one whose share it would move; then an officer who signed it is replaced. It
// counts at no node any more, and people sign another one.
func TestOfficerReplacedBeforeTheMove(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.To == a && noteOf(p).Kind == circle.NoteReshare {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, d, b)
	newOfficer(t, w, b, 1, a, c, d)
	w.Pass = nil
	w.Try(5*time.Minute, func() bool { return false })
	for _, h := range []*nodetest.Host{a, b, c} {
		if !w.HeldBy(h, vault, 2, a, b, c) {
			t.Fatalf("%s follows a reshare of an officer who is none any more", h.Own.Name)
		}
	}
	again := nodetest.Wish(vault, 2, a, b, d)
	again.Instead = true
	w.SignReshareAll(again, a, b, d)
	w.Run("moved by another statement", func() bool { return heldBy(w, vault, 2, a, b, d) })
}

// Who was invited knocks again and again: the inviter sends it everything once in a minute.
func TestKnockingAgain(t *testing.T) {
	t.Parallel()
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
	i, err := a.Circle.Invite(context.Background(), w.Now, x.Own.Name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Circle.Join(context.Background(), w.Now, i.Line()); err != nil {
		t.Fatal(err)
	}
	w.Run("quiet", func() bool { return a.Outbox.Waiting(x.Self()) == 0 })
	knocks := func(n int) int {
		before := a.Commits
		for range n {
			if _, err := x.Circle.Join(context.Background(), w.Now, i.Line()); err != nil {
				t.Fatal(err)
			}
			w.Deliver()
		}
		return a.Commits - before
	}
	if n := knocks(10); n > 0 {
		t.Errorf("ten knocks make the inviter write %d batches, with the circle's lock held", n)
	}
	w.Now = w.Now.Add(time.Minute)
	once := knocks(1)
	if n := knocks(10); once == 0 || n > 0 {
		t.Errorf("after a minute a knock makes %d batches, and ten more %d", once, n)
	}
	a.Skew = -time.Hour // the inviter's clock is set back: the guest does not wait for it
	if knocks(1) == 0 {
		t.Error("a guest waits for a clock that was set back")
	}
}

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
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// peopled is a 2-of-3 vault with an address, whose approver abel is of operator-1, and a third approver of none.
func peopled(t *testing.T) setting {
	t.Helper()
	w, _ := founded(t, 3)
	w.Change = func(d *charter.Document) {
		d.Groups[0].People = []string{"abel", "bea", "cleo"}
		d.People = append(d.People, charter.Human{Name: "cleo", Organisation: "customer", Keys: []signet.Key{nodetest.NewPerson(t, "cleo").Key}})
		slices.SortFunc(d.People, func(a, b charter.Human) int { return strings.Compare(a.Name, b.Name) })
		person(d, "abel").Organisation = "operator-1"
	}
	vault := w.Vault(2)
	return setting{w, vault, w.Account(vault)}
}

func person(d *charter.Document, name string) *charter.Human {
	return &d.People[slices.IndexFunc(d.People, func(h charter.Human) bool { return h.Name == name })]
}

// long proposes something that lives for an hour.
func (s setting) long(nonce uint64) statement.Statement {
	s.T.Helper()
	it := s.Intent(s.vault, s.addr, nonce)
	it.Expires = it.Created.Add(time.Hour)
	st, n := s.Proposal(it)
	s.Run("proposal taken", func() bool { _, err := s.Submit(n); return err == nil })
	return st
}

// votes has people approve, at all nodes.
func (s setting) votes(st statement.Statement, people ...string) {
	s.T.Helper()
	for _, name := range people {
		n := s.Vote(st, name, signet.Approve)
		s.Run("approval taken", func() bool { _, err := s.Submit(n); return err == nil })
	}
	s.Deliver()
}

// agreed has all nodes allow something, and none of them sign it.
func (s setting) agreed(nonce uint64) statement.Statement {
	s.T.Helper()
	s.Pass = withoutSessions
	st := s.long(nonce)
	s.votes(st, "abel", "bea")
	s.Run("allowed", func() bool {
		return s.All(func(h *nodetest.Host) bool { return s.State(h, st.ID()) == intent.Allowed })
	})
	return st
}

// unsigned holds that no node signs something within a while.
func (s setting) unsigned(what string, st statement.Statement, d time.Duration) {
	s.T.Helper()
	s.Try(d, func() bool {
		return slices.ContainsFunc(s.Hosts, func(h *nodetest.Host) bool { return s.State(h, st.ID()) == intent.Signed })
	})
	for _, h := range s.Hosts {
		if state := s.State(h, st.ID()); state == intent.Signed || state == intent.Signing {
			s.T.Fatalf("%s: it is %s at %s", what, state, h.Own.Name)
		}
	}
}

// revocation is somebody's word that a person's key ends.
func (s setting) revocation(name string, by nodetest.Person) outbox.Note {
	s.T.Helper()
	x, _ := s.Hosts[0].Charters.Charter()
	st, err := charter.Revocation{Charter: x.ID, Person: name, Key: nodetest.NewPerson(s.T, name).Key, Reason: "lost", Created: s.Now}.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: charters.NoteRevoke, Fields: [][]byte{st.Bytes(), by.Makes(s.T, st)}}
}

// A key that is revoked while a version waits which lists it holds nothing up: the version comes into force, also at a node that was restarted, and
// the key counts for nothing in it. No officer signs the next version that lists it.
func TestKeyRevokedWhileAVersionWaits(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	d := changed(s.World, func(d *charter.Document) { d.Delay = wait })
	signCharter(t, s.World, d, s.Hosts...)
	s.Run("in force", func() bool { return inForce(s.World, d) })
	d.Vaults = slices.Clone(d.Vaults)
	looser(&d)
	signCharter(t, s.World, d, s.Hosts...)
	s.Run("all signed", func() bool {
		return s.All(func(h *nodetest.Host) bool { p := h.Charters.Pending(); return len(p) == 1 && !p[0].Since.IsZero() })
	})
	note := s.revocation("abel", nodetest.NewPerson(t, "abel"))
	s.Run("revoked", func() bool { _, err := s.Submit(note); return err == nil })
	s.Crash(s.Hosts[1])
	s.Run("restarted", func() bool { return s.All(func(*nodetest.Host) bool { return true }) })
	leap(s.World, d.Delay+time.Hour)
	if !inForce(s.World, d) {
		t.Fatalf("a revocation holds the version up: %s", s.Tail())
	}
	for _, h := range s.Hosts {
		v := h.Keeper.Vault(s.vault)[0]
		if p, ok := v.Vault.Approver("abel"); ok && len(p.Keys) > 0 {
			t.Errorf("%s: the revoked key counts in the new version", h.Own.Name)
		}
	}
	d.Vaults = slices.Clone(d.Vaults)
	stricter(&d)
	if err := s.SignCharter(s.Hosts[0], d, true); err == nil || !strings.Contains(err.Error(), "was revoked") {
		t.Errorf("an officer signs a version that lists it: %v", err)
	}
	d.People = slices.Clone(d.People)
	person(&d, "abel").Keys = []signet.Key{nodetest.NewPerson(t, "abel's next").Key}
	signCharter(t, s.World, d, s.Hosts...)
	leap(s.World, d.Delay+time.Hour)
	if !inForce(s.World, d) {
		t.Fatalf("no other version follows: %s", s.Tail())
	}
}

// A key ends at once, on all nodes and after a restart, at the word of its person or of an officer of their organisation; approvals that it
// gave count no more, even where the nodes have allowed for them. Nobody else ends it.
func TestRevokedKeyCountsForNothing(t *testing.T) {
	t.Parallel()
	base := peopled(t)
	for _, name := range []string{"bea", "mallory", "officer-0", "officer-2", "admin-1"} {
		if _, err := base.Submit(base.revocation("abel", nodetest.NewPerson(t, name))); err == nil || !strings.Contains(err.Error(), "abel's own keys may sign it, and the officers of operator operator-1") {
			t.Errorf("by %s: %v", name, err)
		}
	}
	for _, by := range []string{"abel", "officer-1"} {
		s := base.copy(t, by)
		given := s.long(1)
		s.votes(given, "abel")
		agreed := s.agreed(2)
		one := s.Hosts[0]
		if _, err := one.Submit(context.Background(), s.Clock(one), s.revocation("abel", nodetest.NewPerson(t, by))); err != nil {
			t.Fatalf("by %s: %v", by, err)
		}
		s.Run("known to all", func() bool { return s.All(func(h *nodetest.Host) bool { return len(h.Charters.Revoked()) == 1 }) })
		s.Crash(s.Hosts[1])
		s.Run("restarted", func() bool { return s.Hosts[1].Up })
		s.Pass = nil
		if _, err := s.Submit(s.Vote(s.long(3), "abel", signet.Approve)); err == nil {
			t.Error("a revoked key approves")
		}
		s.votes(given, "bea")
		s.unsigned("one approval before the key was revoked, one after", given, 2*time.Minute)
		s.unsigned("allowed before the key was revoked", agreed, 2*time.Minute)
		s.votes(given, "cleo")
		s.votes(agreed, "cleo")
		s.Run("two others suffice", func() bool { return s.Signed(given) && s.Signed(agreed) })
		// It is revoked for good: no later charter lists it.
		if _, _, err := one.Charters.Prepare(s.Now, changed(s.World, stricter)); err == nil || !strings.Contains(err.Error(), "person abel") || !strings.Contains(err.Error(), "was revoked") {
			t.Errorf("it stands in the next charter: %v", err)
		}
	}
}

// freeze has an operator's officer freeze the vault.
func (s setting) freeze(h *nodetest.Host, d time.Duration) (id statement.ID, missing []string) {
	s.T.Helper()
	f, err := h.Charters.PrepareFreeze(s.Clock(h), s.vault, d, "a stolen laptop")
	if err == nil {
		missing, err = h.Charters.Accept(context.Background(), s.Clock(h), f, h.Officer.Makes(s.T, f))
	}
	if err != nil {
		s.T.Fatal(err)
	}
	return f.ID(), missing
}

func (s setting) frozen() (n int) {
	for _, h := range s.Hosts {
		if h.Charters.Frozen(s.vault, s.Clock(h)) != "" {
			n++
		}
	}
	return n
}

// One operator freezes a vault: all nodes stop signing at once, also what they have allowed; it ends by itself.
func TestFreeze(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	st := s.agreed(1)
	s.freeze(s.Hosts[1], 20*time.Minute)
	s.Deliver()
	if s.frozen() != 3 {
		t.Fatalf("frozen at %d nodes", s.frozen())
	}
	s.Pass = nil
	s.Crash(s.Hosts[2])
	next := s.long(2)
	s.votes(next, "abel", "bea")
	s.unsigned("frozen", st, 19*time.Minute)
	s.unsigned("proposed while it was frozen", next, time.Second)
	v, err := s.Hosts[0].Desk.Show(next.ID())
	if err != nil || !strings.Contains(v.Waits, "frozen by operator-1 until") || !strings.Contains(v.Waits, "a stolen laptop") {
		t.Errorf("people are told %q, %v", v.Waits, err)
	}
	s.Run("both are signed once it is over", func() bool { return s.Signed(st) && s.Signed(next) })
	if s.frozen() != 0 {
		t.Errorf("frozen at %d nodes", s.frozen())
	}
}

// All operators that hold the vault end a freeze before its time, and none fewer.
func TestUnfreeze(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	st := s.agreed(1)
	s.Pass = nil
	s.freeze(s.Hosts[0], 72*time.Hour)
	s.Run("frozen", func() bool { return s.frozen() == 3 })
	for i, h := range s.Hosts {
		s.unsigned("frozen", st, time.Minute)
		a, fresh, err := h.Charters.PrepareUnfreeze(s.Now, s.vault)
		if err != nil || fresh != (i == 0) {
			t.Fatalf("%s: fresh %v, %v", h.Own.Name, fresh, err)
		}
		missing, err := h.Charters.Accept(context.Background(), s.Now, a.Statement, h.Officer.Makes(t, a.Statement))
		if err != nil || len(missing) != 2-i {
			t.Fatalf("%s: %v are missing, %v", h.Own.Name, missing, err)
		}
	}
	s.Run("signed", func() bool { return s.Signed(st) })
	if s.frozen() != 0 {
		t.Errorf("frozen at %d nodes", s.frozen())
	}
}

// The third freeze of one operator within 30 days needs a second operator; another's first one does not.
func TestThirdFreezeNeedsASecond(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	a, b := s.Hosts[0], s.Hosts[1]
	for range 2 {
		if _, missing := s.freeze(a, time.Minute); len(missing) > 0 {
			t.Fatalf("a freeze waits for %v", missing)
		}
		s.Run("frozen", func() bool { return s.frozen() == 3 })
		s.Try(2*time.Minute, func() bool { return false })
	}
	third, missing := s.freeze(a, time.Hour)
	s.Try(time.Minute, func() bool { return false })
	if !slices.Equal(missing, []string{"operator-1", "operator-2"}) || s.frozen() != 0 {
		t.Fatalf("the third waits for %v; frozen at %d nodes", missing, s.frozen())
	}
	var f statement.Statement
	for _, n := range b.Charters.Told() {
		if x, err := statement.Parse(n.Fields[0]); n.Kind == charters.NoteFreeze && err == nil && x.ID() == third {
			f = x
		}
	}
	if _, err := b.Charters.Accept(context.Background(), s.Now, f, b.Officer.Makes(t, f)); err != nil {
		t.Fatal(err)
	}
	s.Run("frozen by two", func() bool { return s.frozen() == 3 })
	s.Try(time.Hour, func() bool { return s.frozen() == 0 })
	if _, missing := s.freeze(b, time.Minute); len(missing) > 0 {
		t.Errorf("another operator's first waits for %v", missing)
	}
	s.Now = s.Now.Add(30 * 24 * time.Hour)
	if _, missing := s.freeze(a, time.Minute); len(missing) > 0 {
		t.Errorf("thirty days later it waits for %v", missing)
	}
}

// Approvals under an older charter, of an approver who was removed, or by a key that has expired count for nothing; nor do those that somebody
// collected over ten attempts that failed.
func TestApprovalsThatCountForNothing(t *testing.T) {
	t.Parallel()
	base := peopled(t)
	t.Run("older charter", func(t *testing.T) {
		s := base.copy(t, "older")
		open, agreed := s.long(1), s.agreed(2)
		s.votes(open, "abel")
		change := s.Change
		s.Change = func(d *charter.Document) { change(d); stricter(d) }
		s.Enact()
		s.Pass = nil
		for _, st := range []statement.Statement{open, agreed} {
			if _, err := s.Submit(s.Vote(st, "cleo", signet.Approve)); err == nil {
				t.Error("an approval is taken under another charter")
			}
			s.unsigned("under another charter", st, time.Minute)
		}
		for _, h := range s.Hosts {
			v, _ := h.Desk.Show(open.ID())
			i := slices.IndexFunc(v.Decisions, func(d decide.Decision) bool { return d.Operator == h.Own.Name })
			if v.State != intent.Denied || i < 0 || v.Decisions[i].Rule != intent.RuleCharter {
				t.Errorf("%s: %s, %+v", h.Own.Name, v.State, v.Decisions)
			}
		}
		if v, err := s.Hosts[0].Desk.Show(agreed.ID()); err != nil || !strings.Contains(v.Waits, "another version of the charter came into force") {
			t.Errorf("of what was allowed, people are told %q, %v", v.Waits, err)
		}
		if _, err := s.Submit(s.cancellation(agreed)); err != nil {
			t.Fatal(err)
		}
		s.Run("what was allowed is taken back", func() bool {
			return s.All(func(h *nodetest.Host) bool { return s.State(h, agreed.ID()) == intent.Cancelled })
		})
	})
	t.Run("removed approver", func(t *testing.T) {
		s := base.copy(t, "removed")
		change := s.Change
		s.Change = func(d *charter.Document) { change(d); d.Groups[0].People = []string{"bea", "cleo"} }
		s.Enact()
		st := s.long(1)
		if _, err := s.Submit(s.Vote(st, "abel", signet.Approve)); err == nil {
			t.Error("a removed approver approves")
		}
		s.votes(st, "bea")
		s.unsigned("with one approver left", st, time.Minute)
	})
	t.Run("expired key", func(t *testing.T) {
		s := base.copy(t, "expired")
		change := s.Change
		end := s.Now.Add(20 * time.Minute).Truncate(time.Second)
		s.Change = func(d *charter.Document) { change(d); person(d, "abel").Expires = end }
		s.Enact()
		st, agreed := s.long(1), s.agreed(2)
		s.votes(st, "abel")
		s.Now = end.Add(-time.Second)
		s.Deliver()
		s.Step(time.Second)
		s.Pass = nil
		if _, err := s.Submit(s.Vote(s.long(3), "abel", signet.Approve)); err == nil {
			t.Error("an expired key approves")
		}
		s.votes(st, "bea")
		s.unsigned("one of two approvals has expired", st, time.Minute)
		s.unsigned("allowed for an approval that has expired", agreed, time.Minute)
		s.votes(st, "cleo")
		s.Run("two others suffice", func() bool { return s.Signed(st) })
	})
	t.Run("harvested", func(t *testing.T) {
		s := base.copy(t, "harvested")
		s.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // every session dies in its second round
			if env, err := mpc.ReadEnvelope(p.Frame); err == nil && env.Protocol == protocol.ProtocolSign && env.Round == 2 {
				return nil
			}
			return []nodetest.Parcel{p}
		}
		var votes []outbox.Note
		for n := range uint64(10) {
			st := s.Propose(s.vault, s.addr, n)
			all := []string{"abel", "bea", "cleo"}
			for _, by := range []string{all[n%3], all[(n+1)%3]} {
				s.votes(st, by)
				votes = append(votes, s.Vote(st, by, signet.Approve))
			}
			failed := 0
			s.Run("it fails", func() bool {
				failed = 0
				return s.All(func(h *nodetest.Host) bool {
					if s.State(h, st.ID()) == intent.Failed {
						failed++
					}
					return s.State(h, st.ID()) == intent.Failed || s.State(h, st.ID()) == intent.Expired
				})
			})
			if failed == 0 {
				t.Fatal("it ran out, and no session burned its approvals")
			}
		}
		s.Pass = nil
		st := s.Propose(s.vault, s.addr, 0)
		id, accepted := st.ID(), 0
		for _, n := range votes {
			for _, n := range []outbox.Note{n, {Kind: decide.NoteVote, Fields: [][]byte{id[:], n.Fields[1], n.Fields[2]}}} {
				for _, h := range s.Hosts {
					if known, err := h.Submit(context.Background(), s.Clock(h), n); err == nil && !known {
						accepted++
					}
				}
			}
		}
		if v, err := s.Hosts[0].Desk.Show(id); err != nil || accepted > 0 || len(v.Votes) > 0 {
			t.Errorf("%d of them are accepted, %d votes, %v", accepted, len(v.Votes), err)
		}
	})
}

// officerNote is a statement that somebody signed, as a note.
func officerNote(t *testing.T, kind outbox.Kind, s statement.Statement, by nodetest.Person) outbox.Note {
	t.Helper()
	return outbox.Note{Kind: kind, Fields: [][]byte{s.Bytes(), by.Makes(t, s)}}
}

// Who has an operator's officer key cannot undo that operator's freeze with freezes dated before it.
func TestFreezeDatedBack(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	a := s.Hosts[0]
	s.freeze(a, time.Hour)
	s.Run("frozen", func() bool { return s.frozen() == 3 })
	x, _ := a.Charters.Charter()
	refused := 0
	for i := range 2 {
		f, err := charter.Freeze{Charter: x.ID, Vault: s.vault, Operator: a.Own.Name, Created: s.Now.Add(-time.Duration(i+1) * time.Minute).Truncate(time.Second), Expires: s.Now.Add(time.Minute).Truncate(time.Second)}.Statement(s.Salt())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range s.Hosts {
			if _, log := s.tell(s.Hosts[2], h, officerNote(t, charters.NoteFreeze, f, a.Officer)); strings.Contains(log, "would undo it") {
				refused++
			}
		}
	}
	s.Try(5*time.Minute, func() bool { return false })
	if s.frozen() != 3 || refused == 0 {
		t.Errorf("frozen at %d nodes, refused %d times", s.frozen(), refused)
	}
}

// Once a freeze has ended, unfreezings of it are worth nothing, and are not kept.
func TestUnfreezingsWithoutEnd(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	id, _ := s.freeze(s.Hosts[0], time.Hour)
	s.Run("frozen", func() bool { return s.frozen() == 3 })
	for _, h := range s.Hosts {
		s.Run("all who hold it end it", func() bool {
			a, _, err := h.Charters.PrepareUnfreeze(s.Clock(h), s.vault)
			if err == nil {
				_, err = h.Charters.Accept(context.Background(), s.Clock(h), a.Statement, h.Officer.Makes(t, a.Statement))
			}
			return err == nil
		})
		s.Deliver()
	}
	s.Run("ended", func() bool { return s.frozen() == 0 })
	x, _ := s.Hosts[0].Charters.Charter()
	before := len(s.Hosts[0].Charters.Told())
	for range 20 {
		u, err := charter.Unfreeze{Charter: x.ID, Vault: s.vault, Freezes: []statement.ID{id}, Created: s.Now.Truncate(time.Second)}.Statement(s.Salt())
		if err != nil {
			t.Fatal(err)
		}
		s.tell(s.Hosts[2], s.Hosts[0], officerNote(t, charters.NoteUnfreeze, u, s.Hosts[2].Officer))
	}
	if n := len(s.Hosts[0].Charters.Told()); n != before {
		t.Errorf("%d statements are kept that end nothing", n-before)
	}
}

// Revocations count alike in whatever order nodes hear them, and by an officer who was replaced since.
func TestRevocationsInAnyOrder(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	d := changed(s.World, func(d *charter.Document) {
		d.People = slices.Clone(d.People)
		p := person(d, "abel")
		p.Keys = append(slices.Clone(p.Keys), nodetest.NewPerson(t, "abel's spare").Key)
		slices.SortFunc(p.Keys, func(a, b signet.Key) int { return strings.Compare(a.String(), b.String()) })
	})
	signCharter(t, s.World, d, s.Hosts...)
	leap(s.World, d.Delay+time.Minute)
	if !inForce(s.World, d) {
		t.Fatal("no spare key")
	}
	x, _ := s.Hosts[0].Charters.Charter()
	revoke := func(key, by string) outbox.Note {
		st, err := charter.Revocation{Charter: x.ID, Person: "abel", Key: nodetest.NewPerson(t, key).Key, Created: s.Now}.Statement(s.Salt())
		if err != nil {
			t.Fatal(err)
		}
		return officerNote(t, charters.NoteRevoke, st, nodetest.NewPerson(t, by))
	}
	notes := []outbox.Note{revoke("abel", "abel's spare"), revoke("abel's spare", "abel")}
	for i, h := range s.Hosts[:2] { // one hears them in this order, one in the other, before they hear of one another
		for j := range notes {
			n := notes[(i+j)%2]
			if _, err := h.Submit(context.Background(), s.Clock(h), n); err != nil {
				t.Errorf("%s, revocation %d: %v", h.Own.Name, j, err)
			}
		}
	}
	s.Run("known to all", func() bool { return s.All(func(h *nodetest.Host) bool { return len(h.Charters.Revoked()) == 2 }) })
}

// protections is a freeze that all who hold the vault end, and a key that is revoked, with a blow at one batch.
func protections(t *testing.T, base setting, b *blow) (all []blow) {
	t.Helper()
	s := base.copy(t, fmt.Sprint(b))
	before, fell := commits(s.World), new(bool)
	if b != nil {
		fell = b.strike(s.World)
	}
	again := func(h *nodetest.Host, what string, done func() bool, do func() error) { // who saw no answer does it again
		var err error
		if !s.Try(nodetest.Patience, func() bool {
			return s.Act(h, func() {
				if err = nil; !done() {
					err = do()
				}
			}) && err == nil
		}) {
			t.Fatalf("%s: %v; log:\n%s", what, err, s.Tail())
		}
	}
	a := s.Hosts[0]
	frozen := func(h *nodetest.Host) bool { return h.Charters.Frozen(s.vault, s.Clock(h)) != "" }
	again(a, "freeze", func() bool { return frozen(a) }, func() error {
		f, err := a.Charters.PrepareFreeze(s.Clock(a), s.vault, 72*time.Hour, "")
		if err == nil {
			_, err = a.Charters.Accept(context.Background(), s.Clock(a), f, a.Officer.Makes(t, f))
		}
		return err
	})
	s.Run("frozen", func() bool { return s.All(frozen) })
	for _, h := range s.Hosts {
		again(h, "unfreeze", func() bool { return !frozen(h) }, func() error {
			u, _, err := h.Charters.PrepareUnfreeze(s.Clock(h), s.vault)
			if err == nil {
				_, err = h.Charters.Accept(context.Background(), s.Clock(h), u.Statement, h.Officer.Makes(t, u.Statement))
			}
			return err
		})
		s.Try(10*time.Second, func() bool { return false })
	}
	s.Run("ended", func() bool { return s.All(func(h *nodetest.Host) bool { return !frozen(h) }) })
	note := s.revocation("abel", nodetest.NewPerson(t, "abel"))
	s.Run("revoked", func() bool { _, err := s.Submit(note); return err == nil })
	s.Run("known to all", func() bool {
		return s.All(func(h *nodetest.Host) bool { return len(h.Charters.Revoked()) == 1 && !frozen(h) })
	})
	all = blows(s.World, before)
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	return all
}

// A node that dies before or after any batch of a freeze, its end, or a revocation comes to the same end.
func TestProtectionsUnderCrashes(t *testing.T) {
	t.Parallel()
	base := peopled(t)
	for _, b := range pick(protections(t, base, nil), 12) {
		t.Run(fmt.Sprint(b), func(t *testing.T) { protections(t, base, &b) })
	}
}

package node_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// wantNew has the operators of some hosts ask for new shares, of all if none is named: they ask until their node has
// taken their word.
func (s setting) wantNew(hosts ...*nodetest.Host) {
	s.T.Helper()
	if len(hosts) == 0 {
		hosts = s.Hosts
	}
	for _, h := range hosts {
		s.Run("asked for new shares at "+h.Own.Name, func() (asked bool) {
			s.Act(h, func() { asked = h.Keeper.AskRefresh(context.Background(), s.Clock(h), s.vault, s.Suite) == nil })
			return asked
		})
	}
}

func (s setting) root(h *nodetest.Host) ceremony.View {
	v, _ := h.Keeper.Root(s.vault, s.Suite)
	return v
}

// record is what is in force at a host.
func (s setting) record(h *nodetest.Host) *epoch.Record { return s.root(h).Current.Record }

// in says whether hosts stand in an epoch; all must be up.
func (s setting) in(e uint64, hosts ...*nodetest.Host) bool {
	return !slices.ContainsFunc(hosts, func(h *nodetest.Host) bool { return !h.Up || s.record(h).Epoch != e })
}

// moved waits until all stand in an epoch, in the same record, and holds it to the one before.
func (s setting) moved(e uint64, before *epoch.Record) *epoch.Record {
	s.T.Helper()
	s.Run(fmt.Sprint("all stand in epoch ", e), func() bool { return s.in(e, s.Hosts...) })
	r := s.record(s.Hosts[0])
	for _, h := range s.Hosts {
		if s.record(h).Hash() != r.Hash() {
			s.T.Fatalf("%s stands in another record of epoch %d", h.Own.Name, e)
		}
		if _, err := s.Keys(h, r); err != nil {
			s.T.Fatalf("%s: %v", h.Own.Name, err)
		}
	}
	if !r.Public.Equal(before.Public) || r.ChainCode != before.ChainCode || r.KeyID != before.KeyID {
		s.T.Fatal("the key has changed")
	}
	s.onlyOf(r)
	return r
}

// onlyOf wants that the disks hold secrets of one record alone.
func (s setting) onlyOf(r *epoch.Record) {
	s.T.Helper()
	eh := r.Hash()
	own := store.Prefix("epoch", store.ID(r.KeyID[:]), store.ID(eh[:]))
	for _, h := range s.Hosts {
		for _, it := range s.Rows(h, store.Prefix("epoch", store.ID(r.KeyID[:]))) {
			row := it.Key[strings.LastIndexByte(it.Key, '/')+1:]
			secret := row == string(store.Name(protocol.RowShare)) || strings.HasPrefix(row, "pair")
			if secret && !strings.HasPrefix(it.Key, own) {
				s.T.Errorf("%s still holds %s", h.Own.Name, it.Key)
			}
		}
	}
}

// New shares in every suite: the key, its addresses and its certificate stay good, the old shares are gone, and intents that waited
// are signed as new ones are.
func TestRefreshOfEverySuite(t *testing.T) {
	t.Parallel()
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			s := ofSuite(t, suite, 3, 2)
			old := s.record(s.Hosts[0])
			waits := s.Propose(s.vault, s.addr, 1)
			s.wantNew()
			r := s.moved(1, old)
			if r.Attempt == 0 || r.Prev != old.Hash() || r.Threshold != 2 {
				t.Errorf("record of attempt %d, threshold %d, after %v", r.Attempt, r.Threshold, r.Prev)
			}
			s.Approve(waits)
			for _, h := range s.Hosts {
				if _, err := s.Keys(h, old); err == nil {
					t.Errorf("%s still loads its old share", h.Own.Name)
				}
			}
			s.Run("signed in the new epoch", func() bool { return s.Signed(waits) })
			s.signs(3)
			s.wantNew()
			s.moved(2, old)
			s.signs(4)
			calm(t, s.World, s.vault)
			for _, h := range s.Hosts {
				links := s.Rows(h, store.Prefix("link", store.ID(old.KeyID[:])))
				if len(links) != 3 {
					t.Errorf("%s keeps %d certificates of 3 epochs", h.Own.Name, len(links))
				}
			}
		})
	}
}

// Intents that wait for approvals end with their committee and threshold at once, without anybody's vote, and their nonce is free for
// the next proposal.
func TestIntentsEndWithTheirCommittee(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteECDSA, 3, 2)
	waits, another := s.Propose(s.vault, s.addr, 1), s.Propose(s.vault, s.addr, 2)
	s.SignReshareAll(nodetest.Wish(s.vault, 3, s.Hosts...), s.Hosts...)
	s.Run("moved", func() bool { return heldBy(s.World, s.vault, 3, s.Hosts...) })
	for _, st := range []statement.Statement{waits, another} {
		for _, h := range s.Hosts {
			s.Run("denied at "+h.Own.Name, func() bool { return s.State(h, st.ID()) == intent.Denied })
			v, err := h.Desk.Show(st.ID())
			if err != nil || !v.Over {
				t.Errorf("over %v, %v", v.Over, err)
			}
			for _, d := range v.Decisions {
				if d.Rule != intent.RuleEpoch || !strings.Contains(d.Reason, "propose it anew") {
					t.Errorf("%s: rule %s: %s", d.Operator, d.Rule, d.Reason)
				}
			}
		}
	}
	again := s.Propose(s.vault, s.addr, 1)
	s.Approve(again)
	s.Run("the next one is signed", func() bool { return s.Signed(again) })
	if v, err := s.Hosts[0].Desk.Show(again.ID()); err != nil || v.Over {
		t.Errorf("what is signed is called over: %v", err)
	}
}

// refreshStory is new shares on a copy of a circle, with a blow; then a signature.
func refreshStory(t *testing.T, ready setting, b *blow) (all []blow) {
	t.Helper()
	s := ready.copy(t, "refresh "+fmt.Sprint(b))
	old := s.record(s.Hosts[0])
	before, fell := commits(s.World), new(bool)
	if b != nil {
		fell = b.strike(s.World)
	}
	s.wantNew()
	s.moved(1, old)
	all = blows(s.World, before)
	if b == nil {
		return all
	}
	if !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	s.Fate = nil
	sign(t, s.World, s.vault, s.addr)
	calm(t, s.World, s.vault)
	believed(t, s.World)
	return all
}

func TestCrashAtEveryBatchOfRefresh(t *testing.T) {
	t.Parallel()
	for suite, n := range map[string]int{charter.SuiteECDSA: 10, charter.SuiteBIP340: 24, charter.SuiteEd25519: 10} {
		t.Run(suite, func(t *testing.T) {
			ready := ofSuite(t, suite, 3, 2)
			all := refreshStory(t, ready, nil)
			some := pick(all, n)
			t.Logf("%d of %d", len(some), len(all))
			for _, b := range some {
				t.Run(b.String(), func(t *testing.T) { refreshStory(t, ready, &b) })
			}
		})
	}
}

// While a member is away nothing begins, and the others sign; when it comes back, what its operators asked for is done.
func TestRefreshWaitsForAllMembers(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	old := s.record(s.Hosts[0])
	s.wantNew()
	c := s.Hosts[2]
	s.Downtime = -1
	s.Crash(c)
	s.Queue = nil
	st := s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	s.Run("signed by the two others", func() bool { return s.at(st, intent.Signed, s.Hosts[:2]...) })
	s.Try(5*time.Minute, func() bool { return false })
	if step := s.root(s.Hosts[0]).Change.Step; !s.in(0, s.Hosts[:2]...) || step != "waits for all members" {
		t.Errorf("without a member: %q", step)
	}
	s.Start(c)
	s.moved(1, old)
	s.signs(2)
}

// An operator who comes to it hours after the others finds them in whatever attempt: they go on together.
func TestRefreshAtTheLastOperatorsWord(t *testing.T) {
	t.Parallel()
	for last := range 3 {
		t.Run(fmt.Sprint("last ", last), func(t *testing.T) {
			s := ofSuite(t, charter.SuiteBIP340, 3, 2)
			old := s.record(s.Hosts[0])
			seats := s.seats()
			s.wantNew(slices.Delete(slices.Clone(seats), last, last+1)...)
			s.Try(3*time.Hour, func() bool { return false })
			if !s.in(0, s.Hosts...) {
				t.Fatal("new shares were made without the third operator")
			}
			s.wantNew(seats[last])
			s.moved(1, old)
			s.signs(1)
		})
	}
}

// A member withholds its FINAL: the others sign in the old epoch as before, keep the shares of both, and a later attempt
// succeeds once it says FINAL again.
func TestRefreshWithFinalWithheld(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	old := s.record(s.Hosts[0])
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; (p.From == c || p.To == c) && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.wantNew()
	both := func() bool { return s.root(a).Change.Step == "FINAL" && s.root(b).Change.Step == "FINAL" }
	s.Run("two said FINAL", both)
	if !slices.Contains(s.root(a).Change.Waiting, c.Own.Name) {
		t.Errorf("it does not say whom it waits for: %v", s.root(a).Change.Waiting)
	}
	for nonce := range uint64(2) {
		st := s.Propose(s.vault, s.addr, nonce)
		s.Approve(st)
		s.Run("signed in the old epoch", func() bool { return s.Signed(st) })
	}
	first := s.root(a).Change
	s.Try(8*time.Minute, func() bool { return false }) // beyond the patience: a later attempt stands beside the first
	if !s.in(0, s.Hosts...) {
		t.Fatal("an epoch is in force without the FINAL of all")
	}
	n := 0
	for _, it := range s.Rows(a, store.Prefix("final", store.ID(old.KeyID[:]))) {
		if strings.HasSuffix(it.Key, string(store.ID(partyID(a)))) {
			n++
		}
	}
	if n < 3 { // of epoch 0, and of two attempts at the next
		t.Errorf("no attempt follows the one of which two said FINAL: %d FINALs, first step %v", n, first)
	}
	s.signs(5)
	s.Pass = nil
	s.moved(1, old)
	s.signs(6)
	calm(t, s.World, s.vault)
}

func partyID(h *nodetest.Host) []byte { id := h.Self(); return id[:] }

// A member that said FINAL and hears nothing more stays in the old epoch: its intents are denied by the others, none of
// its sessions begins, and the certificate brings it on.
func TestMemberThatMissedTheCertificate(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	old := s.record(s.Hosts[0])
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; p.To == c && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.wantNew()
	s.Run("two have moved", func() bool { return s.in(1, a, b) })
	if !s.in(0, c) {
		t.Fatal("the third has moved without the certificate")
	}
	st := s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	s.Run("signed by the two who moved", func() bool { return s.at(st, intent.Signed, a, b) })
	s.Try(10*time.Minute, func() bool { return false })
	s.Pass = nil
	r := s.moved(1, old)
	if v := s.root(c); v.Change.Step != "" || v.LastErr != "" {
		t.Errorf("the one that was behind: %+v, %q", v.Change, v.LastErr)
	}
	s.signs(2)
	s.wantNew()
	s.moved(2, r)
}

// scheduled is a circle whose vault makes new shares by itself.
func scheduled(t *testing.T, every time.Duration) setting {
	w := nodetest.New(t, 3)
	w.Suite = charter.SuiteBIP340
	w.Found()
	file := w.VaultFile("treasury", 2)
	file.RefreshEvery = every
	s := setting{World: w, vault: w.AcceptVault(file)}
	w.Run("the vault's key is published", func() bool { return w.Published(s.vault) })
	s.addr = w.Account(s.vault)
	return s
}

// alarms counts how often nodes raised the alarm of an overdue refresh.
func (s setting) alarms() int { return bytes.Count(s.Log.Bytes(), []byte("refresh overdue")) }

// New shares are made when they are due, by nobody's word, though all nodes find it at the same moment; and again one
// interval later.
func TestScheduledRefresh(t *testing.T) {
	t.Parallel()
	s := scheduled(t, time.Hour)
	old := s.record(s.Hosts[0])
	from := s.Now
	s.Try(50*time.Minute, func() bool { return !s.in(0, s.Hosts...) })
	if !s.in(0, s.Hosts...) {
		t.Fatalf("new shares after %v", s.Now.Sub(from))
	}
	r := s.moved(1, old)
	if took := s.Now.Sub(from); took > 65*time.Minute {
		t.Errorf("new shares after %v, they were due after an hour", took)
	}
	s.Now = s.Now.Add(50 * time.Minute)
	s.moved(2, r)
	if n := s.alarms(); n != 0 {
		t.Errorf("%d alarms", n)
	}
	s.signs(1)
	calm(t, s.World, s.vault)
}

// A refresh that is long overdue is an alarm, once at each node, until it is made; the next one is an alarm of its own.
func TestOverdueRefreshIsAnAlarm(t *testing.T) {
	t.Parallel()
	s := scheduled(t, time.Hour)
	r := s.record(s.Hosts[0])
	for round := range 2 {
		c := s.Hosts[2]
		s.Downtime = -1
		s.Crash(c)
		s.Now = s.Now.Add(time.Hour)
		s.Try(3*time.Minute, func() bool { return false })
		if n := s.alarms(); n != 3*round {
			t.Fatalf("round %d: %d alarms as soon as it is due", round, n)
		}
		s.Now = s.Now.Add(time.Hour)
		s.Try(5*time.Minute, func() bool { return false })
		if n := s.alarms(); n != 3*round+2 || !s.root(s.Hosts[0]).Change.Overdue {
			t.Fatalf("round %d: %d alarms, want one of each node that is up", round, n)
		}
		s.Start(c)
		r = s.moved(uint64(round)+1, r)
		if n := s.alarms(); n != 3*round+3 { // who was away finds it overdue as it starts
			t.Errorf("round %d: %d alarms of three nodes", round, n)
		}
		for _, h := range s.Hosts {
			if s.root(h).Change.Overdue {
				t.Errorf("%s: the alarm stays", h.Own.Name)
			}
		}
	}
}

// The FINAL that was missing comes when a newer attempt is certified already: the older one comes into force, the newer, whose
// parent is no longer current, is given up, and the next new shares are made as ever.
func TestLateFinalBesideANewerAttempt(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	old := s.record(s.Hosts[0])
	a, c := s.Hosts[0], s.Hosts[2]
	tests := true
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; (p.From == c || p.To == c) && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
			return nil
		}
		if env, err := mpc.ReadEnvelope(p.Frame); err == nil && !tests && env.Protocol == protocol.ProtocolTest {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.wantNew()
	s.Run("two said FINAL", func() bool { return s.root(a).Change.Step == "FINAL" && s.root(s.Hosts[1]).Change.Step == "FINAL" })
	tests = false
	s.Run("a newer attempt waits for its test everywhere", func() bool {
		return s.All(func(h *nodetest.Host) bool { return s.root(h).Change.Step == "test signature" })
	})
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); err == nil && !tests && env.Protocol == protocol.ProtocolTest {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.Run("the older attempt is in force", func() bool { return s.in(1, s.Hosts...) })
	tests = true
	r := s.record(a)
	s.Run("the newer one is given up", func() bool {
		return s.All(func(h *nodetest.Host) bool { return s.root(h).Change.Step == "" })
	})
	s.onlyOf(r)
	s.signs(1)
	s.wantNew()
	s.moved(2, old)
	s.signs(2)
}

// Storms over new shares and a signature: any node may crash at any batch, again and again. When the storm is over all stand in
// the same later epoch, whatever was tried on the way, and sign.
func TestRefreshStorms(t *testing.T) {
	t.Parallel()
	day := int(time.Now().Unix() / 86400)
	for _, suite := range []string{charter.SuiteBIP340, charter.SuiteECDSA} {
		ready := ofSuite(t, suite, 3, 2)
		n := storms
		if suite == charter.SuiteECDSA {
			n = storms / 4
		}
		for seed := range n {
			t.Run(fmt.Sprintf("%s day %d seed %d", suite, day, seed), func(t *testing.T) {
				dice := rand.New(rand.NewPCG(uint64(day), uint64(seed)+1000))
				s := ready.copy(t, fmt.Sprint("refresh storm", day, seed))
				old := s.record(s.Hosts[0])
				crashes, calmFor := 0, dice.IntN(20)
				s.Fate = func(*nodetest.Host, int, store.Batch) nodetest.Fate {
					if calmFor--; crashes >= 8 || calmFor >= 0 {
						return nodetest.Live
					}
					crashes, calmFor = crashes+1, dice.IntN(20)
					s.KeepSent = dice.IntN(2) == 0
					return nodetest.CrashBefore + nodetest.Fate(dice.IntN(2))
				}
				s.wantNew()
				s.Run("all stand in epoch 1", func() bool { return s.in(1, s.Hosts...) })
				if crashes == 0 {
					t.Fatal("the storm never struck")
				}
				s.Fate = nil
				s.moved(1, old)
				sign(t, s.World, s.vault, s.addr)
				calm(t, s.World, s.vault)
			})
		}
	}
}

// Two said FINAL of a newer attempt as well when the older one comes into force: they keep the newer one's shares, for it may
// come into force elsewhere, sign with the older ones, and erase both with the next new shares.
func TestLateFinalBesideANewerFinal(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	old := s.record(s.Hosts[0])
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	first, withheld := true, true
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		k := noteOf(p).Kind
		env, err := mpc.ReadEnvelope(p.Frame)
		switch {
		case withheld && (p.From == c || p.To == c) && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert):
			return nil
		case !first && err == nil && env.Protocol == protocol.ProtocolTest && env.Round == protocol.SignRounds(s.Suite) && p.To == c:
			return nil
		}
		return []nodetest.Parcel{p}
	}
	finals := func(h *nodetest.Host) (n int) {
		for _, it := range s.Rows(h, store.Prefix("final", store.ID(old.KeyID[:]))) {
			if strings.HasSuffix(it.Key, "/"+string(store.ID(partyID(h)))) {
				n++
			}
		}
		return n
	}
	s.wantNew()
	s.Run("all said FINAL once", func() bool { return finals(a) == 2 && finals(b) == 2 && finals(c) == 2 })
	first = false
	s.Run("two said it of the next attempt too", func() bool { return finals(a) == 3 && finals(b) == 3 })
	if finals(c) != 2 {
		t.Fatal("the third said it as well")
	}
	withheld = false
	s.Run("the older attempt is in force", func() bool { return s.in(1, s.Hosts...) })
	r := s.record(a)
	for _, h := range s.Hosts {
		if s.record(h).Hash() != r.Hash() {
			t.Fatalf("%s stands in another record", h.Own.Name)
		}
	}
	s.signs(1)
	first = true
	s.wantNew()
	s.moved(2, old) // and nothing of any other record is left
	s.signs(2)
	calm(t, s.World, s.vault)
}

package node_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/store"
)

// emergency is a circle of four with a guarded 3-of-3 vault of the first three; the fourth may follow one that is lost.
func emergency(t *testing.T, suite string, edits ...func(*charter.Rescue)) setting {
	t.Helper()
	w := nodetest.New(t, 4)
	w.Suite = suite
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			if d.Vaults[i].Rescue == nil {
				d.Vaults[i].Rescue = nodetest.Plan(2, 2, w.Hosts[3].Own.Name)
				for _, edit := range edits {
					edit(d.Vaults[i].Rescue)
				}
			}
		}
	}
	w.Found()
	vault := w.AcceptVault(w.VaultFile("treasury", 3, w.Hosts[:3]...), w.Hosts[:3]...)
	w.Run("the vault's key is published", func() bool {
		for _, h := range w.Hosts[:3] {
			if v, ok := h.Keeper.Root(vault, suite); !ok || v.Current == nil {
				return false
			}
		}
		return true
	})
	return setting{World: w, vault: vault}
}

// declare takes a request because of the third host to ACTIVE at the others.
func (s setting) declare() act.Request {
	s.T.Helper()
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name)
	s.Run("known to all that live", s.allStand(sos.Armed, r, a, b, d))
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.consent(a, r)
	s.consent(b, r)
	s.Run("active", s.allStand(sos.Active, r, a, b, d))
	return r
}

// activate has a host's operator carry the plan out.
func (s setting) activate(h *nodetest.Host, successors ...string) (ids []statement.ID) {
	s.T.Helper()
	var last error
	s.Run("activated by "+h.Own.Name, func() (done bool) {
		s.Act(h, func() {
			ids, last = h.Rescue.AskActivation(s.T.Context(), s.Clock(h), s.vault, successors, 0, true)
			done = last == nil
		})
		return done
	})
	return ids
}

// contribution is a guardian's, made offline of what everybody may see.
func (s setting) contribution(r act.Request, id statement.ID, i int) outbox.Note {
	s.T.Helper()
	h := s.Hosts[0]
	var c sos.Case
	var a act.Activation
	s.Act(h, func() {
		d, err := h.Rescue.Docket(s.T.Context(), s.vault)
		if err != nil {
			s.T.Fatal(err)
		}
		c, _ = d.Case(r.ID)
		for _, x := range h.Rescue.Said(s.T.Context(), s.vault) {
			if x.Statement.ID() == id {
				a, err = act.ActivationOf(x.Statement)
			}
		}
		if err != nil {
			s.T.Fatal(err)
		}
	})
	to, err := rescue.Of(c, a)
	if err != nil {
		s.T.Fatal(err)
	}
	record := s.record(h)
	plan, _, set, err := h.Keeper.Backups(s.T.Context(), record)
	if err != nil {
		s.T.Fatal(err)
	}
	terms, err := record.Terms(plan)
	if err != nil {
		s.T.Fatal(err)
	}
	raw := nodetest.Contribute(s.T, nodetest.GuardianKey(s.T, i, 0), terms, set, to, rand.Reader)
	return outbox.Note{Kind: rescue.NoteContribution, Fields: [][]byte{id[:], raw}}
}

// One of three is gone. The two that live, two guardians and a successor of the plan make new shares of the same key; the vault signs on
// under lock-up, and the one that is gone is out.
func TestGuardedReshare(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{charter.SuiteECDSA, charter.SuiteEd25519} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			s := emergency(t, suite)
			a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
			before, gone := s.record(a), s.Publish(c)
			s.Downtime = 1000 * time.Hour
			s.Crash(c)
			if s.heldExport(a) {
				t.Error("before a request no export is cut")
			}
			r := s.declare()
			ids := s.activate(a)
			if len(ids) != 1 {
				t.Fatalf("%d activations", len(ids))
			}
			if !s.heldExport(a) || !s.heldExport(b) || s.heldExport(d) {
				t.Error("an export is cut of the old shares, or refused to who has none")
			}
			s.Run("nobody replaces what guardians may be answering", func() (carried bool) {
				s.Act(a, func() {
					shown, err := a.Rescue.Show(t.Context(), s.Clock(a), s.vault)
					if err != nil || len(shown.Cases) != 1 || len(shown.Cases[0].Doings) != 1 {
						t.Fatalf("%v %+v", err, shown)
					}
					if x := shown.Cases[0].Doings[0]; x.ID == ids[0] && x.Whole && len(x.Signed) == 2 && len(x.Given) == 0 {
						_, err = a.Rescue.AskActivation(t.Context(), s.Clock(a), s.vault, nil, 0, false)
						carried = errors.Is(err, rescue.ErrCarried)
					}
				})
				return carried
			})
			for i := range 2 {
				n := s.contribution(r, ids[0], i)
				s.Run("a contribution is taken", func() (taken bool) {
					s.Act(b, func() {
						_, err := b.Submit(t.Context(), s.Clock(b), n)
						taken = err == nil
					})
					return taken
				})
			}
			s.Run("new shares", func() bool {
				return s.HeldBy(a, s.vault, 3, a, b, d) && s.HeldBy(b, s.vault, 3, a, b, d) && s.HeldBy(d, s.vault, 3, a, b, d)
			})
			s.Run("exports are cut of new shares, in ACTIVE", func() bool { return !s.heldExport(a) && !s.heldExport(b) && !s.heldExport(d) })
			after := s.record(d)
			if !after.Public.Equal(before.Public) || after.KeyID != before.KeyID || !after.Rescued() || after.Rescue.Activation != ids[0] || after.Epoch != before.Epoch+1 {
				t.Errorf("the new epoch: %+v", after)
			}
			if _, still := after.Member(mpc.IDOf(c.Own.Identity)); still {
				t.Error("the subject is still a member")
			}
			s.Run("no key of the ceremony is kept", func() bool {
				return len(s.Rows(a, "sos-key"))+len(s.Rows(b, "sos-key"))+len(s.Rows(d, "sos-key")) == 0
			})
			for range 70 { // an hour's window, of which each step earns a minute at most
				s.Step(time.Minute)
				s.Deliver()
			}
			s.Run("lock-up", s.allStand(sos.LockUp, r, a, b, d))
			if s.heldExport(a) || s.heldExport(d) {
				t.Error("in LOCK-UP no export is cut, and a closing asks for it")
			}
			if suite == charter.SuiteECDSA {
				s.judged(after, gone, s.Publish(a), s.Publish(b), s.Publish(d))
			}
			s.heldByTheRecord(d)
		})
	}
}

// heldExport says whether a host cuts no export because of an emergency. The charter lists no place for one: so it ends in any case.
func (s setting) heldExport(h *nodetest.Host) bool {
	s.T.Helper()
	_, err := h.Export(s.T.Context(), s.Clock(h), node.Settings{}, "away", nil, func(int) error { return nil }, io.Discard)
	if err == nil || !errors.Is(err, sos.ErrHeld) && !strings.Contains(err.Error(), "place") {
		s.T.Errorf("an export: %v", err)
	}
	return errors.Is(err, sos.ErrHeld)
}

// judged has an outsider read what all nodes publish of an emergency that made new shares: every key of the ceremony is a seat's, and who gave, who follows and
// how long it is locked stand in the report. A log whose seat was taken out of all is found.
func (s setting) judged(after *epoch.Record, all ...*nodetest.Published) {
	t := s.T.(*testing.T)
	r, err := verify.Verify(sources(t, all), verify.Options{Now: s.Now})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed {
		t.Fatalf("honest nodes are accused:\n%s", strings.Join(failures(r), "\n"))
	}
	e, live := r.Vaults[0].Emergencies[0], []string{s.Hosts[0].Own.Name, s.Hosts[1].Own.Name, s.Hosts[3].Own.Name}
	if len(e.Guardians) != 2 || len(e.Gave) != 2 || !slices.Equal(e.Committee, live) || e.Locked == nil || e.Locked.Unix() != int64(after.Rescue.Until) || e.Delay == "" {
		t.Errorf("%+v", e)
	}
	for _, n := range e.Nodes {
		if len(n.Steps) != 4 || n.Steps[3].State != "lock-up" || n.Steps[2].Credited == 0 {
			t.Errorf("%+v", n)
		}
	}
	changed := copied(all)
	for _, p := range changed[1:] {
		unlogged(t, p, func(l tlog.Filed) bool {
			return opens(l, statement.SOSSeat) && bytes.Contains(l.Content, []byte("operator: "+s.Hosts[3].Own.Name))
		})
	}
	if r, err = verify.Verify(sources(t, changed), verify.Options{Now: s.Now}); err != nil || !strings.Contains(strings.Join(failures(r), "\n"), s.Hosts[3].Own.Name+"'s key of this ceremony is made up") {
		t.Errorf("a key that no seat names is not found: %v\n%s", err, strings.Join(failures(r), "\n"))
	}
}

// A node whose store was set back in the middle of a delay, and whose operator confirmed it, counts the whole delay anew: what it heard since the copy is lost.
func TestDelayAfterRestore(t *testing.T) {
	t.Parallel()
	s := emergency(t, charter.SuiteEd25519)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	s.Downtime = 5 * time.Second
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name)
	s.Run("known", s.allStand(sos.Armed, r, a, b))
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.consent(a, r)
	s.consent(b, r)
	s.Run("the delay runs", s.allStand(sos.Contest, r, a, b))
	for s.credited(b, r) < 40*time.Second {
		s.Step(time.Second)
		s.Deliver()
	}
	rows := s.Rows(b, "")
	s.Run("active", s.allStand(sos.Active, r, a, b))
	pass(s.World, 15*time.Second) // the peers are told of its log within 5 s
	s.Restore(b, rows)
	restored(t, s, b)
	if got := s.credited(b, r); got > 20*time.Second {
		t.Errorf("%s are credited after the store was set back", got)
	}
	if s.stands(b, r) != sos.Contest {
		t.Errorf("it stands at %s", s.stands(b, r))
	}
	s.Run("active in the end", s.allStand(sos.Active, r, a, b))
}

func (s setting) credited(h *nodetest.Host, r act.Request) (d time.Duration) {
	s.Act(h, func() {
		if k, err := h.Rescue.Docket(s.T.Context(), s.vault); err == nil {
			c, _ := k.Case(r.ID)
			d = c.Credited()
		}
	})
	return d
}

// restored waits until a host that was set back is confirmed by its operator and works again.
func restored(t *testing.T, s setting, h *nodetest.Host) {
	t.Helper()
	s.Run("fenced", func() bool { return h.Up && h.Fence.Fenced() != nil })
	s.Act(h, func() {
		if _, err := h.ConfirmRestore(t.Context(), s.Clock(h)); err != nil {
			t.Fatal(err)
		}
	})
	s.Run("it works again", func() bool { return h.Up && h.Halted() == nil && h.Fence.Settled(s.Clock(h)) == nil })
	s.Step(2 * time.Second)
}

// heldByTheRecord: a member that lost the docket of the emergency keeps the vault's lock-up by the record of its epoch alone, until it ends.
func (s setting) heldByTheRecord(h *nodetest.Host) {
	s.T.Helper()
	r := s.record(h)
	end := time.Unix(int64(r.Rescue.Until), 0)
	ordinary := &mpc.Setup{Protocol: protocol.ProtocolSign, KeyID: r.KeyID, Epoch: r.Hash()}
	ctx := s.T.Context()
	if why := h.Frozen(s.vault, s.Now); why != "" {
		s.T.Errorf("the docket is here, and the vault is frozen besides: %s", why)
	}
	if err := h.MayStart(ctx, s.Now, ordinary); err == nil {
		s.T.Error("a vault in lock-up signs")
	}
	s.Restore(h, slices.DeleteFunc(s.Rows(h, ""), func(it store.Item) bool {
		return strings.HasPrefix(it.Key, "sos/") || strings.HasPrefix(it.Key, "sos-")
	}))
	if !h.Rescue.Quiet() {
		s.T.Fatal("the docket is here")
	}
	for at, held := range map[time.Time]bool{end.Add(-20 * time.Minute): true, end.Add(-time.Second): true, end: false} {
		if err := h.MayStart(ctx, at, ordinary); (err != nil) != held {
			s.T.Errorf("%s from the end of the lock-up: %v", at.Sub(end), err)
		}
		if why := h.Frozen(s.vault, at); (why != "") != held {
			s.T.Errorf("%s from the end of the lock-up: %q", at.Sub(end), why)
		}
	}
}

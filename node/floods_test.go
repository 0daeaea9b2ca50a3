package node_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
)

// takes hands a host's desk a note as if the outbox had never seen it: with another salt, or other bytes of a signature, it has not.
func (s setting) takes(h *nodetest.Host, n outbox.Note) (wrote, reserve bool, err error) {
	s.T.Helper()
	s.Act(h, func() {
		err = h.Rescue.Take(s.T.Context(), s.Clock(h), n, func(e journal.Entry) error {
			wrote, reserve = true, e.Reserve
			return h.Journal.Write(s.T.Context(), e)
		})
	})
	return wrote, reserve, err
}

// old expects that a note leaves no trace.
func (s setting) old(h *nodetest.Host, what string, n outbox.Note) {
	s.T.Helper()
	if wrote, _, err := s.takes(h, n); wrote || !errors.Is(err, outbox.ErrOld) {
		s.T.Errorf("%s: written %v, %v", what, wrote, err)
	}
}

// fresh expects that a note is taken, and whether it may use the room that is kept for what stops something.
func (s setting) fresh(h *nodetest.Host, what string, n outbox.Note, reserve bool) {
	s.T.Helper()
	if wrote, kept, err := s.takes(h, n); !wrote || err != nil || kept != reserve {
		s.T.Errorf("%s: written %v, in the reserve %v, %v", what, wrote, kept, err)
	}
}

// later expects that a note waits, without a trace.
func (s setting) later(h *nodetest.Host, what string, n outbox.Note) {
	s.T.Helper()
	if wrote, _, err := s.takes(h, n); wrote || !errors.Is(err, outbox.ErrLater) {
		s.T.Errorf("%s: written %v, %v", what, wrote, err)
	}
}

func (s setting) supports(r act.Request, i int) outbox.Note {
	st, err := act.Support{Head: r.Head(), Role: act.Guardian, By: fmt.Sprintf("guardian-%d", i), Contacts: []string{"telephone: rang out"}, Created: s.Now}.Statement(s.Salt())
	return s.said(pen(s.T.(*testing.T), i), st, err)
}

func (s setting) vetoes(r act.Request, i int) outbox.Note {
	st, err := act.Veto{Head: r.Head(), By: fmt.Sprintf("guardian-%d", i), Reason: "not so", Created: s.Now}.Statement(s.Salt())
	return s.said(pen(s.T.(*testing.T), i), st, err)
}

func (s setting) steps(by *nodetest.Host, r act.Request, after int) outbox.Note {
	at := s.Now.Add(time.Duration(after) * time.Second).UTC().Truncate(time.Second)
	st, err := act.Step{Head: r.Head(), Operator: by.Own.Name, State: sos.Contest.String(), Why: "it says so", FirstSeen: at, Created: at}.Statement(s.Salt())
	return s.nodeSays(by, st, err)
}

// Who says the same again, or very much, fills nobody's log and store, and never the room of the vetoes; what is over is erased in time.
func TestFloodsOfAnEmergency(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name)
	s.Run("known to all", s.allStand(sos.Armed, r, a, b, c))
	request := s.saying(a, statement.SOSRequest)[0]
	s.old(a, "the same request", s.said(pen(t, 0), request, nil))

	t.Run("requests", func(t *testing.T) {
		q := r
		again := func() outbox.Note {
			q.Number, q.ID, q.Created = 0, statement.ID{}, q.Created.Add(time.Second)
			st, err := q.Statement(s.Salt())
			return s.said(pen(t, 0), st, err)
		}
		s := s.copy(t, "requests")
		for range 2 {
			s.fresh(s.Hosts[0], "another request", again(), false)
		}
		for range 20 {
			_, _, _ = s.takes(s.Hosts[0], again())
		}
		s.later(s.Hosts[0], "the 24th request of one guardian", again())
		if n := s.saids(s.Hosts[0], statement.SOSRequest); n > 5 {
			t.Errorf("%d requests stand in the log", n)
		}
	})
	s.unknownCharters(a, r)

	s.fresh(a, "a support", s.supports(r, 0), false)
	s.old(a, "another support of the same guardian", s.supports(r, 0))
	s.Step(2 * time.Second)
	s.old(a, "a later one", s.supports(r, 0))
	if why := a.Rescue.Awaited(s.vault, s.Now.Add(time.Minute), s.Now); why != "" {
		t.Errorf("a refresh waits for one person: %s", why)
	}
	st, err := act.Challenge{Drill: true, Charter: r.Charter, Vault: s.vault, Operator: c.Own.Name, Role: act.Guardian, By: "guardian-0", Created: s.Now}.Statement(s.Salt())
	s.fresh(a, "a challenge", s.said(pen(t, 0), st, err), false)
	st, err = act.Challenge{Drill: true, Charter: r.Charter, Vault: s.vault, Operator: c.Own.Name, Role: act.Guardian, By: "guardian-0", Created: s.Now}.Statement(s.Salt())
	s.old(a, "another challenge", s.said(pen(t, 0), st, err))

	early := s.steps(b, r, 0)
	s.fresh(a, "a step", early, false)
	for i := range 3 {
		s.fresh(a, "a step that was taken back, and again", s.steps(b, r, i+1), false)
	}
	s.old(a, "a step that its node replaced", early)
	s.later(a, "a fifth in the same moment", s.steps(b, r, 9))
	key, err := pve.NewPrivateKey(s.Rand)
	if err != nil {
		t.Fatal(err)
	}
	v, err := act.Seat{Head: r.Head(), Operator: b.Own.Name, Key: r.Keys[0], Attempt: 60, Created: s.Now.UTC().Truncate(time.Second)}.Prove(key, s.Rand)
	if err != nil {
		t.Fatal(err)
	}
	st, err = v.Statement(s.Salt())
	s.later(a, "a seat for an attempt far ahead", s.nodeSays(b, st, err))

	// Two people: a refresh that comes due after the request was made waits, and none that was due before.
	s.fresh(a, "a second support", s.supports(r, 1), false)
	s.Act(a, func() { _ = a.Rescue.Tick(t.Context(), s.Now) })
	if a.Rescue.Awaited(s.vault, r.Created.Add(time.Second), s.Now) == "" || a.Rescue.Awaited(s.vault, r.Created, s.Now) != "" || a.Rescue.Awaited(s.vault, r.Expires, r.Expires) != "" {
		t.Error("which refresh waits for the request")
	}

	s.fresh(a, "a veto", s.vetoes(r, 1), true)
	s.old(a, "another veto of the same guardian", s.vetoes(r, 1))
	s.fresh(a, "the last veto", s.vetoes(r, 2), true)
	if s.stands(a, r) != sos.Vetoed {
		t.Fatal("it is not vetoed")
	}
	s.afterTheEnd(a, r)
}

// A request under a version of the charter that is not here yet waits for it, as long as it may be declared.
func (s setting) unknownCharters(h *nodetest.Host, r act.Request) {
	q := r
	q.ID, q.Charter = statement.ID{}, statement.ID{9}
	st, err := q.Statement(s.Salt())
	s.later(h, "a request under a charter that is not known here", s.said(pen(s.T.(*testing.T), 0), st, err))
	q.Created, q.Expires = s.Now.Add(-2*time.Hour), s.Now.Add(-time.Hour)
	st, err = q.Statement(s.Salt())
	if wrote, _, err := s.takes(h, s.said(pen(s.T.(*testing.T), 0), st, err)); wrote || err == nil || errors.Is(err, outbox.ErrLater) {
		s.T.Errorf("such a request whose time is over: %v", err)
	}
}

func (s setting) afterTheEnd(h *nodetest.Host, r act.Request) {
	s.T.Helper()
	s.fresh(h, "a support too late", s.supports(r, 2), false)
	s.old(h, "another one", s.supports(r, 2))
	st, err := act.EarlyRelease{Head: r.Head(), Reason: "none", Created: s.Now}.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	if wrote, _, err := s.takes(h, outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{st.Bytes(), []byte("nobody's")}}); wrote || err == nil {
		s.T.Errorf("what nobody signed is written after the end: %v", err)
	}
	s.Act(h, func() { _ = h.Rescue.Tick(s.T.Context(), s.Now) })
	if len(s.Rows(h, "sos-said")) == 0 || len(s.Rows(h, "sos-basis")) == 0 {
		s.T.Error("nothing is kept of a request that is just over")
	}
	s.Act(h, func() {
		for i := range 2 {
			if err := h.Rescue.Tick(s.T.Context(), s.Now.Add(91*24*time.Hour+time.Duration(i)*time.Minute)); err != nil {
				s.T.Error(err)
			}
		}
	})
	if rows := append(s.Rows(h, "sos-said"), s.Rows(h, "sos-basis")...); len(rows) > 0 {
		s.T.Errorf("%q is kept after 91 days", rows[0].Key)
	}
}

// A node that hears of its own step, and has none, goes no further; its operator's word that no other copy runs ends that, and delays are counted anew.
func TestOwnWordsAreConfirmed(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, 3, 3)
	a := s.Hosts[0]
	r := s.askSOS(a, charter.TriggerLegal, s.Hosts[2].Own.Name)
	if _, err := a.ConfirmRestore(t.Context(), s.Clock(a)); err == nil {
		t.Error("there is nothing to confirm")
	}
	s.fresh(a, "its own step", s.steps(a, r, 0), false)
	rolled := func() bool { return a.Rescue.Rolled(t.Context()) }
	if !rolled() {
		t.Fatal("it knows nothing of its own step, and goes on")
	}
	s.Act(a, func() {
		if _, err := a.ConfirmRestore(t.Context(), s.Clock(a)); err != nil {
			t.Error(err)
		}
	})
	if rolled() {
		t.Error("its operator confirmed it")
	}
	s.Crash(a)
	s.Run("back", func() bool { return a.Up })
	if rolled() {
		t.Error("a restart forgets that its operator confirmed it")
	}
	// A peer's question of 65 bytes brings a whole backup set: once in a while.
	sets := func() (n int) {
		s.Queue = nil
		k := s.record(a)
		eh := k.Hash()
		b := s.Hosts[1]
		s.Act(a, func() {
			a.Deliver(t.Context(), s.Clock(a), b.Own.Identity, slices.Concat([]byte{26}, k.KeyID[:], eh[:]))
		})
		for _, p := range s.Queue {
			if p.To == b && p.Frame[0] == 27 {
				n++
			}
		}
		return n
	}
	if first, second := sets(), sets(); first == 0 || second != 0 {
		t.Errorf("%d parts, and %d a moment later", first, second)
	}
	s.Now = s.Now.Add(5 * time.Second)
	if sets() == 0 {
		t.Error("no part after 5 seconds")
	}
}

// Attempts come at a pace, whoever asks for them; and none is carried out beside a contributor's forked log (S13).
func TestActivationsAtAPace(t *testing.T) {
	t.Parallel()
	ready, r := readyToActivate(t)
	t.Run("pace", func(t *testing.T) {
		s := active(t, ready, r, "pace")
		a, b := s.Hosts[0], s.Hosts[1]
		for range 60 {
			s.Act(a, func() { _, _ = a.Rescue.AskActivation(t.Context(), s.Clock(a), s.vault, nil, 0, true) })
			s.Step(time.Second)
			s.Deliver()
		}
		n := 0
		for _, id := range s.activations(b, r) {
			if s.activated(b, r, id) {
				n++
			}
		}
		if n < 2 || n > 4 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
	t.Run("crossed", func(t *testing.T) { // both compose at once: neither signs the other's, and the next attempt is everybody's
		s := active(t, ready, r, "crossed")
		a, b := s.Hosts[0], s.Hosts[1]
		first := s.activate(a)[0]
		other := s.activate(b)[0]
		s.Run("known", func() bool { return len(s.activations(a, r)) == 2 && len(s.activations(b, r)) == 2 })
		var next statement.ID
		s.Run("asked again", func() (done bool) {
			s.Act(a, func() {
				ids, err := a.Rescue.AskActivation(t.Context(), s.Clock(a), s.vault, nil, 0, true)
				if done = err == nil && ids[0] != first; done {
					next = ids[0]
				}
			})
			return done
		})
		s.Run("signed", func() bool { return s.activated(a, r, next) && s.activated(b, r, next) })
		if s.activated(a, r, first) || s.activated(b, r, other) {
			t.Error("one of the first two is signed by all")
		}
	})
	t.Run("ahead", func(t *testing.T) { // a contributor that is not there, and never signs: the next attempt is composed all the same
		s := active(t, ready, r, "ahead")
		a, b := s.Hosts[0], s.Hosts[1]
		first := s.activate(a)[0]
		second := s.activate(a)[0]
		if first == second {
			t.Fatal("it is the same")
		}
		s.Run("signed", func() bool { return s.activated(a, r, second) && s.activated(b, r, second) })
	})
	t.Run("fork", func(t *testing.T) {
		s := active(t, ready, r, "fork")
		a, b := s.Hosts[0], s.Hosts[1]
		id := s.activate(a)[0]
		s.Run("signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) })
		s.forks(b, a)
		for i := range 2 {
			if _, err := s.submit(a, s.contribution(r, id, i)); err != nil {
				t.Fatal(err)
			}
		}
		for range 40 {
			s.Step(500 * time.Millisecond)
			s.Deliver()
		}
		if s.gave(a, r, id) || s.record(a).Rescued() {
			t.Error("it gave its part beside a forked log")
		}
		if k, err := a.Rescue.Docket(t.Context(), s.vault); err != nil || !k.LogForked(b.Own.Name) || k.LogForked(a.Own.Name) {
			t.Errorf("the docket knows of no fork: %v", err)
		}
	})
}

// forks shows a host that another's log forked.
func (s setting) forks(liar, to *nodetest.Host) {
	s.T.Helper()
	liar.Hostile = true
	key, _ := tlog.Derive(liar.Key, 0)
	signer, err := tlog.NewLogSigner(tlog.Origin(liar.Key.Public().(ed25519.PublicKey), 0), key)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Run("a fork is known", func() bool {
		_, head, _ := liar.Witness.Checkpoint()
		head.Root[0] ^= 1
		other, err := tlog.Checkpoint{Origin: signer.Verifier().Name(), Head: head}.Sign(signer)
		if err != nil {
			s.T.Fatal(err)
		}
		s.Act(to, func() {
			to.Witness.Cosign(s.T.Context(), s.Clock(to), nil, tlog.Request{Old: head.Size, Checkpoint: other}.Encode())
		})
		return len(to.Witness.Forks()) == 1
	})
}

// A refresh that comes due while a request gathers support waits for it, and is made once its time is over: new shares would end the request.
func TestRefreshWaitsForARequest(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Suite = charter.SuiteEd25519
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			if d.Vaults[i].Rescue == nil {
				d.Vaults[i].Rescue = nodetest.Plan(2, 2, "operator-9")
			}
		}
	}
	w.Found()
	file := w.VaultFile("treasury", 3)
	file.RefreshEvery = time.Hour
	s := setting{World: w, vault: w.AcceptVault(file)}
	w.Run("the vault's key is published", func() bool { return w.Published(s.vault) })
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Now = s.Now.Add(50 * time.Minute)
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name) // for an hour
	s.Run("known to all", s.allStand(sos.Armed, r, s.Hosts...))
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.Step(2 * time.Second)
	s.Deliver()
	s.Now = s.Now.Add(20 * time.Minute)
	s.Try(time.Minute, func() bool { return !s.in(0, s.Hosts...) })
	if !s.in(0, s.Hosts...) || s.stands(a, r) != sos.Armed {
		t.Fatal("new shares ended a request that gathers support")
	}
	if why := s.root(a).LastErr; !strings.Contains(why, "gathers support until") {
		t.Errorf("nobody is told why: %q", why)
	}
	s.Now = s.Now.Add(40 * time.Minute)
	s.Run("new shares once its time is over", func() bool { return s.in(1, s.Hosts...) })
}

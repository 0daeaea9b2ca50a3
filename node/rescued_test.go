package node_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/store"
)

// pen signs as a guardian with a number.
func pen(t *testing.T, i int) ssh.Signer {
	t.Helper()
	s, err := nodetest.GuardianKey(t, i, 0).Signer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// said is a person's note.
func (s setting) said(by ssh.Signer, st statement.Statement, err error) outbox.Note {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
	armored, err := signet.Sign(rand.Reader, by, signet.Makes(st.Kind()), st.Bytes())
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{st.Bytes(), armored}}
}

// askSOS is a guardian's request, handed to one node.
func (s setting) askSOS(to *nodetest.Host, trigger string, subjects ...string) act.Request {
	s.T.Helper()
	x, _ := to.Charters.Charter()
	r := act.Request{
		Drill: true, Charter: x.ID, Vault: s.vault, Trigger: trigger, Subjects: subjects, Reason: "no sign of life", Keys: []act.Key{{Key: s.root(to).KeyID, Epoch: s.record(to).Hash()}},
		Role: act.Guardian, By: "guardian-0", Created: s.Now, Expires: s.Now.Add(time.Hour),
	}
	if trigger == charter.TriggerLegal {
		r.Document = [32]byte{1}
	}
	st, err := r.Statement(s.Salt())
	n := s.said(pen(s.T.(*testing.T), 0), st, err)
	if _, err := s.submit(to, n); err != nil {
		s.T.Fatal(err)
	}
	r, err = act.RequestOf(st)
	if err != nil {
		s.T.Fatal(err)
	}
	return r
}

func (s setting) submit(to *nodetest.Host, n outbox.Note) (known bool, err error) {
	s.Act(to, func() { known, err = to.Submit(s.T.Context(), s.Clock(to), n) })
	return known, err
}

func (s setting) support(to *nodetest.Host, r act.Request, i int) {
	s.T.Helper()
	name := []string{"guardian-0", "guardian-1", "guardian-2"}[i]
	st, err := act.Support{Head: r.Head(), Role: act.Guardian, By: name, Contacts: []string{"telephone: rang out"}, Created: s.Now}.Statement(s.Salt())
	if _, err := s.submit(to, s.said(pen(s.T.(*testing.T), i), st, err)); err != nil {
		s.T.Fatal(err)
	}
}

func (s setting) consent(h *nodetest.Host, r act.Request) {
	s.T.Helper()
	st, err := act.Support{Head: r.Head(), Role: act.Operator, By: h.Own.Name, Created: s.Now}.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	n := outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{st.Bytes(), h.Officer.Makes(s.T, st)}}
	if _, err := s.submit(h, n); err != nil {
		s.T.Fatal(err)
	}
}

// stands is how far a request is at a host.
func (s setting) stands(h *nodetest.Host, r act.Request) (state sos.State) {
	s.Act(h, func() {
		if d, err := h.Rescue.Docket(s.T.Context(), s.vault); err == nil {
			if c, ok := d.Case(r.ID); ok {
				state = c.State()
			}
		}
	})
	return state
}

func (s setting) allStand(state sos.State, r act.Request, hosts ...*nodetest.Host) func() bool {
	return func() bool {
		for _, h := range hosts {
			if s.stands(h, r) != state {
				return false
			}
		}
		return true
	}
}

// One of three operators falls silent: guardians and the two that live declare, nothing ordinary is signed, the delay runs on each node's own
// clock, and the window ends with nothing given.
func TestSilenceIsDeclared(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Run("all heard of all", func() bool { return len(a.Pulse.Beats()) == 3 && len(b.Pulse.Beats()) == 3 })
	s.Step(10 * time.Second)
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	r := s.askSOS(a, charter.TriggerSilence, c.Own.Name)
	s.Run("known to both", s.allStand(sos.Armed, r, a, b))
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.consent(a, r)
	s.consent(b, r)
	s.Run("declared, and the delay runs", s.allStand(sos.Contest, r, a, b))
	if why := a.Rescue.Held(t.Context(), s.vault); why == "" {
		t.Error("the vault is not held")
	}
	s.Run("active", s.allStand(sos.Active, r, a, b))
	for range 200 { // an hour's window, of which each step earns a minute at most
		s.Step(time.Minute)
		s.Deliver()
	}
	s.Run("over", s.allStand(sos.Expired, r, a, b))
	if why := a.Rescue.Held(t.Context(), s.vault); why != "" {
		t.Errorf("the vault is held still: %s", why)
	}
}

// While SOS holds a vault no intent is signed, and a veto of the guardians gives it back. A restart in between forgets nothing.
func TestVetoGivesTheVaultBack(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name)
	s.Run("known to all", s.allStand(sos.Armed, r, a, b, c))
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.consent(a, r)
	s.consent(b, r)
	s.Run("the delay runs, the subject's node knows it too", s.allStand(sos.Contest, r, a, b, c))
	st := s.Propose(s.vault, s.addr, 0)
	s.Approve(st)
	s.Step(2 * time.Second)
	s.Crash(b)
	s.Run("b is back", func() bool { return b.Up && s.stands(b, r) == sos.Contest })
	s.Step(2 * time.Second)
	if s.Signed(st) {
		t.Fatal("an intent was signed while SOS held the vault")
	}
	for i := 1; i < 3; i++ {
		name := []string{"", "guardian-1", "guardian-2"}[i]
		v, err := act.Veto{Head: r.Head(), By: name, Reason: "I spoke to them", Created: s.Now}.Statement(s.Salt())
		if _, err := s.submit(c, s.said(pen(t, i), v, err)); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("vetoed everywhere", s.allStand(sos.Vetoed, r, a, b, c))
	s.Run("signed", func() bool { return s.Signed(st) })
}

// What nobody of the plan signed, or signed for something else, is refused, and changes nothing.
func TestSOSRefuses(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, 3, 3)
	a := s.Hosts[0]
	r := s.askSOS(a, charter.TriggerLegal, s.Hosts[2].Own.Name)
	good := act.Support{Head: r.Head(), Role: act.Guardian, By: "guardian-1", Created: s.Now}
	for name, x := range map[string]struct {
		by   ssh.Signer
		edit func(*act.Support)
	}{
		"another guardian's key":  {pen(t, 2), func(*act.Support) {}},
		"a guardian's former key": {oldPen(t), func(*act.Support) {}},
		"in earnest":              {pen(t, 1), func(v *act.Support) { v.Drill = false }},
		"another vault":           {pen(t, 1), func(v *act.Support) { v.Vault[0] ^= 1 }},
		"a stranger":              {pen(t, 1), func(v *act.Support) { v.By = "guardian-9" }},
		"before the request":      {pen(t, 1), func(v *act.Support) { v.Created = s.Now.Add(-time.Hour) }},
	} {
		v := good
		x.edit(&v)
		st, err := v.Statement(s.Salt())
		if _, err := s.submit(a, s.said(x.by, st, err)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := s.submit(a, outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{[]byte("x")}}); err == nil || !strings.Contains(err.Error(), "fields") {
		t.Errorf("one field: %v", err)
	}
	d, err := a.Rescue.Docket(t.Context(), s.vault)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := d.Case(r.ID); !ok || len(c.Consents()) != 0 || c.State() != sos.Armed {
		t.Error("the request moved")
	}
}

func oldPen(t *testing.T) ssh.Signer {
	t.Helper()
	s, err := nodetest.GuardianKey(t, 1, 7).Signer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A challenge that was followed by a signature is answered: the operator does not refuse, however long ago it was called on.
func TestASignatureEndsARefusal(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, 3, 3)
	a, c := s.Hosts[0], s.Hosts[2]
	x, _ := a.Charters.Charter()
	st, err := act.Challenge{Drill: true, Charter: x.ID, Vault: s.vault, Operator: c.Own.Name, Role: act.Guardian, By: "guardian-0", Created: s.Now}.Statement(s.Salt())
	if _, err := s.submit(a, s.said(pen(t, 0), st, err)); err != nil {
		t.Fatal(err)
	}
	refusing := func() (since time.Duration) {
		s.Act(a, func() { since = a.Rescue.Refusing(s.vault)[c.Own.Name] })
		return since
	}
	s.Run("it is counted", func() bool { return refusing() > 0 })
	for range 25 { // it is made durable every 10 minutes
		s.Step(30 * time.Second)
		s.Deliver()
	}
	counted := refusing()
	s.Crash(a)
	s.Run("a is back", func() bool { return a.Up })
	if kept := refusing(); kept > counted || kept < counted-10*time.Minute-time.Second {
		t.Errorf("%s were counted before a restart, and %s after it", counted, kept)
	}
	intent := s.Propose(s.vault, s.addr, 0)
	s.Approve(intent)
	s.Run("signed", func() bool { return s.Signed(intent) })
	if since := refusing(); since != 0 || len(s.Rows(a, store.Prefix("sos-refuse"))) > 0 {
		t.Errorf("it signed, and refuses since %s", since)
	}
}

// again submits what a person says until a node that lives has taken it: who saw no answer says it again.
func (s setting) again(to *nodetest.Host, n outbox.Note) {
	s.T.Helper()
	s.Run("taken by "+to.Own.Name, func() (taken bool) {
		lived := s.Act(to, func() {
			_, err := to.Submit(s.T.Context(), s.Clock(to), n)
			taken = err == nil
		})
		return lived && taken
	})
}

// sosStory is a request's life with a blow at one batch: asked, supported, declared, vetoed.
func sosStory(t *testing.T, ready setting, b *blow) []blow {
	t.Helper()
	s := ready.copy(t, fmt.Sprint(b))
	before, fell := commits(s.World), new(bool)
	if b != nil {
		fell = b.strike(s.World)
	}
	a, c := s.Hosts[0], s.Hosts[2]
	x, _ := ready.Hosts[0].Charters.Charter()
	r := act.Request{
		Drill: true, Charter: x.ID, Vault: s.vault, Trigger: charter.TriggerLegal, Subjects: []string{c.Own.Name}, Reason: "wound up", Document: [32]byte{1},
		Keys: []act.Key{{Key: ready.root(ready.Hosts[0]).KeyID, Epoch: ready.record(ready.Hosts[0]).Hash()}}, Role: act.Guardian, By: "guardian-0", Created: s.Now, Expires: s.Now.Add(time.Hour),
	}
	st, err := r.Statement(s.Salt())
	s.again(a, s.said(pen(t, 0), st, err))
	if r, err = act.RequestOf(st); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"guardian-0", "guardian-1"} {
		v, err := act.Support{Head: r.Head(), Role: act.Guardian, By: name, Created: s.Now}.Statement(s.Salt())
		s.again(a, s.said(pen(t, i), v, err))
	}
	for _, h := range s.Hosts[:2] {
		v, err := act.Support{Head: r.Head(), Role: act.Operator, By: h.Own.Name, Created: s.Now}.Statement(s.Salt())
		if err != nil {
			t.Fatal(err)
		}
		s.again(h, outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{v.Bytes(), h.Officer.Makes(t, v)}})
	}
	s.Run("the delay runs everywhere", s.allStand(sos.Contest, r, s.Hosts...))
	for i, name := range []string{"guardian-1", "guardian-2"} {
		v, err := act.Veto{Head: r.Head(), By: name, Reason: "not so", Created: s.Now}.Statement(s.Salt())
		s.again(c, s.said(pen(t, i+1), v, err))
	}
	s.Run("vetoed everywhere", s.allStand(sos.Vetoed, r, s.Hosts...))
	// A step of ours that a crash left behind leaves after it, and nothing waits for ever.
	s.Run("all steps are on their way", func() bool {
		return s.All(func(h *nodetest.Host) bool { return h.Up && len(s.Rows(h, store.Prefix("sos-say"))) == 0 })
	})
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	return blows(s.World, before)
}

// A node that dies before or after any batch of an SOS comes to the same end, and its steps are said.
func TestSOSUnderCrashes(t *testing.T) {
	t.Parallel()
	ready, _ := guarded(t, 3, 3)
	for _, b := range pick(sosStory(t, ready, nil), 16) {
		t.Run(fmt.Sprint(b), func(t *testing.T) { sosStory(t, ready, &b) })
	}
}

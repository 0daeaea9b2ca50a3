package node_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A rescue of a 3-of-3 vault: operator-2 is gone, the two that live consent, guardians support and give. The charter demands evidence of operator-1, whose machine
// then has other firmware. Nobody could amend the charter without operator-2: so the rescue goes on, and the log says with whom.
func TestRescueWithoutEvidence(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 4)
	w.Suite = charter.SuiteEd25519
	b := w.Hosts[1]
	maker := nodetest.NewMaker(t, "a maker", w.Now)
	good, other := maker.TPM(t, b.Own.Name, "release 1"), maker.TPM(t, b.Own.Name, "release 1, another firmware")
	turn := func(x *nodetest.TPM) {
		b.Maker = x
		w.Downtime = 5 * time.Second
		w.Crash(b)
		w.Run("it runs again", func() bool { return b.Up })
	}
	turn(good)
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			if d.Vaults[i].Rescue == nil {
				d.Vaults[i].Rescue = nodetest.Plan(2, 2, w.Hosts[3].Own.Name)
			}
		}
		if len(d.Demands) == 0 {
			d.Demands = append(d.Demands, maker.Allows(b.Own.Name, 30*24*time.Hour, good.Measurement()))
		}
	}
	w.Found()
	vault := w.AcceptVault(w.VaultFile("treasury", 3, w.Hosts[:3]...), w.Hosts[:3]...)
	w.Run("the key", func() bool {
		for _, h := range w.Hosts[:3] {
			if v, ok := h.Keeper.Root(vault, w.Suite); !ok || v.Current == nil {
				return false
			}
		}
		return true
	})
	s := setting{World: w, vault: vault}
	a, d := s.Hosts[0], s.Hosts[3]
	s.Downtime = 1000 * time.Hour
	s.Crash(s.Hosts[2])
	turn(other)
	s.Downtime = 5 * time.Second
	s.Try(time.Minute, func() bool { return false })
	if a.Vet.Fit(b.Self()) == nil {
		t.Fatal("operator-1 still has evidence that counts")
	}
	r := s.declare()
	ids := s.activate(a)
	for i := range 2 {
		n := s.contribution(r, ids[0], i)
		s.Run("a contribution is taken", func() (taken bool) {
			s.Act(a, func() {
				_, err := a.Submit(t.Context(), s.Clock(a), n)
				taken = err == nil
			})
			return taken
		})
	}
	if !s.Try(50*time.Minute, func() bool { return s.HeldBy(a, s.vault, 3, a, b, d) && s.HeldBy(d, s.vault, 3, a, b, d) }) {
		t.Fatal("no new shares within the window:\n", s.Tail())
	}
	if log := s.Log.String(); !strings.Contains(log, "an emergency is carried out with a node that has not shown what it runs on") {
		t.Error("nothing tells that operator-1 had shown nothing")
	}
	p := w.Publish(a) // up to what others cosigned: two of them are away, or not believed
	for {
		more, err := a.Journal.Leaves(t.Context(), int64(len(p.Leaves)), 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(more) == 0 {
			break
		}
		p.Leaves = append(p.Leaves, more...)
	}
	if err := p.Sign(); err != nil {
		t.Fatal(err)
	}
	report, err := verify.Verify(sources(t, []*nodetest.Published{p}), verify.Options{Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(report.Attention, func(said string) bool {
		return strings.Contains(said, "carried out an emergency with "+b.Own.Name) && strings.Contains(said, "by activation "+ids[0].Short())
	}) {
		t.Errorf("a reader is not told with whom the emergency was carried out: %v", report.Attention)
	}
	for _, c := range report.Claims {
		if c.Failed != "" && strings.Contains(c.Claim, "sessions only with nodes that showed") {
			t.Errorf("%s is said to have done wrong: %s", c.Subject, c.Failed)
		}
	}
}

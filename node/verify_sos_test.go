package node_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// sosShown is a silence that comes to ACTIVE, and what all nodes publish of it; the subject's log ends when it fell silent.
func sosShown(t *testing.T) (setting, []*nodetest.Published, act.Request) {
	s, _ := guarded(t, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Run("all heard of all, with masks", func() bool {
		return s.All(func(h *nodetest.Host) bool { return proved(h, 1) == 3 && cosigned(h, 2) })
	})
	subject := s.Publish(c)
	s.Step(10 * time.Second)
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	r := s.askSOS(a, charter.TriggerSilence, c.Own.Name)
	s.Run("known to both", s.allStand(sos.Armed, r, a, b))
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.consent(a, r)
	s.consent(b, r)
	s.Run("active", s.allStand(sos.Active, r, a, b))
	for range 30 {
		s.Step(time.Minute)
		s.Deliver()
	}
	return s, []*nodetest.Published{s.Publish(a), s.Publish(b), subject}, r
}

func TestVerifyAnEmergency(t *testing.T) {
	t.Parallel()
	s, all, r := sosShown(t)
	check := func(o verify.Options, all []*nodetest.Published) *verify.Report {
		o.Now = s.Now
		got, err := verify.Verify(sources(t, all), o)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := check(verify.Options{Grace: time.Minute}, all)
	if got.Failed {
		t.Fatalf("an honest emergency fails:\n%s", strings.Join(failures(got), "\n"))
	}
	v := got.Vaults[0]
	if len(v.Emergencies) != 1 || v.Emergencies[0].ID != r.ID || v.Emergencies[0].State != "active" || len(v.Emergencies[0].Nodes) != 2 || len(v.Emergencies[0].Supports) != 4 {
		t.Errorf("%+v", v.Emergencies)
	}
	if v.Plan == nil || v.Plan.Together != 4 || len(v.Plan.Rows) == 0 || !strings.Contains(v.Plan.Limit, "4 in all") {
		t.Errorf("%+v", v.Plan)
	}
	if c := v.Coverage[0]; c.Class != verify.Proved || c.Guardians != 3 || len(c.Masks) != 3 {
		t.Errorf("%+v", c)
	}
	// With a bound on encryptions nothing is said to be proved.
	bounded := check(verify.Options{Encryptions: 1}, all)
	if c := bounded.Vaults[0].Coverage[0]; bounded.Failed || c.Class != verify.Declared || c.Unchecked == "" || len(c.Masks) != 0 {
		t.Errorf("%+v, %s", c, failures(bounded))
	}

	step := func(l tlog.Filed) bool { return opens(l, statement.SOSStep) }
	for name, x := range map[string]struct {
		change func(t *testing.T, all []*nodetest.Published)
		want   string
	}{
		"a set that is another's": {func(t *testing.T, all []*nodetest.Published) {
			for _, p := range all {
				p.Guards = cloned(p.Guards, func(b []byte) { b[len(b)-100] ^= 1 })
			}
		}, ""},
		"a log without its steps": {func(t *testing.T, all []*nodetest.Published) { unlogged(t, all[0], step) }, "every live operator's log tells of it"},
		"a log without the supports": {func(t *testing.T, all []*nodetest.Published) {
			unlogged(t, all[1], func(l tlog.Filed) bool { return opens(l, statement.SOSSupport) })
		}, "only with those whom the plan wants"},
		"a request that is left out": {strip(func(l tlog.Filed) bool { return opens(l, statement.SOSRequest) }), "by whom the plan lets speak"},
		"a support that was changed": {func(t *testing.T, all []*nodetest.Published) {
			for _, p := range all[:2] {
				for i, l := range p.Leaves {
					if opens(l, statement.SOSSupport) {
						p.Leaves[i] = tlog.Says(l.Kind, l.Time, l.Vault, bytes.Replace(l.Content, []byte("mode: drill"), []byte("mode: real"), 1), l.Signatures...)
					}
				}
				if err := p.Sign(); err != nil {
					t.Fatal(err)
				}
			}
		}, "by whom the plan lets speak"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := copied(all)
			x.change(t, changed)
			got := check(verify.Options{Grace: time.Minute}, changed)
			told := strings.Join(failures(got), "\n")
			if x.want == "" {
				if c := got.Vaults[0].Coverage[0]; c.Class == verify.Proved || c.Unchecked == "" {
					t.Errorf("%+v", c)
				}
			} else if !strings.Contains(told, x.want) {
				t.Errorf("not found; told was:\n%s", told)
			}
		})
	}
}

func cloned(files map[string][]byte, change func([]byte)) map[string][]byte {
	out := map[string][]byte{}
	for path, b := range files {
		out[path] = bytes.Clone(b)
		change(out[path])
	}
	return out
}

// unlogged takes leaves out of a log, and signs it anew.
func unlogged(t *testing.T, p *nodetest.Published, which func(tlog.Filed) bool) {
	t.Helper()
	var kept []tlog.Filed
	for _, l := range p.Leaves {
		if !which(l) {
			kept = append(kept, l)
		}
	}
	p.Leaves = kept
	if err := p.Sign(); err != nil {
		t.Fatal(err)
	}
}

package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/vetted"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// attesting is a circle of n with a t-of-n vault, each node on a TPM of software that runs the same, and a charter that demands to see it of all.
type attesting struct {
	setting
	maker *nodetest.Maker
	tpms  []*nodetest.TPM
	runs  []string // measurements that the charter allows
}

const fresh = 6 * time.Hour

func attests(t *testing.T, n, threshold int) *attesting {
	t.Helper()
	w := nodetest.New(t, n)
	vault, addr := nodetest.Ready(w, threshold)
	s := &attesting{setting: setting{w, vault, addr}, maker: nodetest.NewMaker(t, "a maker", w.Now)}
	for i, h := range w.Hosts {
		s.tpms = append(s.tpms, s.maker.TPM(t, h.Own.Name, "release 1"))
		s.runsOn(i, s.tpms[i])
	}
	s.allow(s.tpms[0].Measurement())
	return s
}

// allow amends the charter: it demands of all that they run one of these.
func (s *attesting) allow(runs ...string) {
	s.T.Helper()
	s.runs = runs
	s.Change = func(d *charter.Document) {
		for i, h := range s.Hosts {
			if i < len(s.tpms) {
				d.Demands = append(d.Demands, s.maker.Allows(h.Own.Name, fresh, s.runs...))
			}
		}
	}
	s.Enact()
}

// runsOn starts a node anew, on another machine.
func (s *attesting) runsOn(i int, x *nodetest.TPM) {
	s.T.Helper()
	h := s.Hosts[i]
	s.tpms[i], h.Maker = x, x
	s.Crash(h)
	s.Run(h.Own.Name+" runs again", func() bool { return h.Up })
}

// leaves are those of a kind in a host's log.
func (s *attesting) leaves(h *nodetest.Host, kind string) (out []tlog.Filed) {
	s.T.Helper()
	head, err := h.Journal.Head(context.Background())
	for i := int64(0); err == nil && i < head.Size; i++ {
		var f tlog.Filed
		if f, err = h.Journal.Leaf(context.Background(), i); err == nil && f.Kind == kind {
			out = append(out, f)
		}
	}
	if err != nil {
		s.T.Fatal(err)
	}
	return out
}

// records are what a host found of an operator.
func (s *attesting) records(h *nodetest.Host, operator string) (out []vetted.Record) {
	s.T.Helper()
	for _, f := range s.leaves(h, tlog.KindVetted) {
		r, err := vetted.Decode(f.Content)
		if err != nil {
			s.T.Fatal(err)
		}
		if r.Operator == operator {
			out = append(out, r)
		}
	}
	return out
}

// waitsFor wants that an intent is not signed, and what its own node says of it.
func (s *attesting) waitsFor(h *nodetest.Host, nonce uint64, want ...string) statement.Statement {
	s.T.Helper()
	st := s.Propose(s.vault, s.addr, nonce)
	s.Approve(st)
	if s.Try(3*time.Minute, func() bool { return s.Signed(st) }) {
		s.T.Fatal("signed with a node that did not show what it runs on")
	}
	v, err := h.Desk.Show(st.ID())
	for _, text := range want {
		if err != nil || !strings.Contains(v.Waits, text) {
			s.T.Errorf("%s waits for %q, %v; want %q", h.Own.Name, v.Waits, err, text)
		}
	}
	return st
}

// Nodes sign once each has shown each other what it runs on, and write down what they found and on what their sessions rest. A process that is new shows
// it again; its TPM is known.
func TestNodesShowWhatTheyRunOn(t *testing.T) {
	t.Parallel()
	s := attests(t, 3, 3)
	st := s.wants(0)
	s.comes("with all shown", st)
	for i, h := range s.Hosts {
		if x := s.tpms[i]; x.Opened != 2 {
			t.Errorf("the TPM of %s opened %d challenges, want one of each other", h.Own.Name, x.Opened)
		}
		for j, o := range s.Hosts {
			r := s.records(h, o.Own.Name)
			if i == j && len(r) > 0 || i != j && (len(r) == 0 || r[0].Why != "" || !r[0].Shown || r[0].Name != "r1" || r[0].Measurement != s.runs[0] || !r[0].Asker.Equal(h.Own.Identity)) {
				t.Errorf("%s found of %s: %+v", h.Own.Name, o.Own.Name, r)
			}
		}
		met := s.leaves(h, tlog.KindMet)
		if len(met) == 0 {
			t.Fatalf("%s does not say on what its session rests", h.Own.Name)
		}
		m, err := vetted.DecodeMeeting(met[0].Content)
		sessions := s.leaves(h, tlog.KindSession)
		if err != nil || len(m.With) != 2 || met[0].About != m.Session || met[0].Vault != s.vault || sessions[len(sessions)-1].ID != m.Session {
			t.Errorf("%s: %+v, %v", h.Own.Name, m, err)
		}
		for _, with := range m.With {
			if !slices.ContainsFunc(s.leaves(h, tlog.KindVetted), func(f tlog.Filed) bool { return f.ID == with.Record }) {
				t.Errorf("%s: its session with %s rests on nothing in its log", h.Own.Name, with.Operator)
			}
		}
	}
	made := s.tpms[2].Made
	s.Crash(s.Hosts[2])
	s.Run("it runs again", func() bool { return s.Hosts[2].Up })
	s.comes("with a new process", s.wants(1))
	if s.tpms[2].Made != made+2+1 || // and once for its own operator
		s.tpms[2].Opened != 2 {
		t.Errorf("a new process showed %d, and opened %d challenges", s.tpms[2].Made-made, s.tpms[2].Opened)
	}
	// Over new connections all show it again, once each.
	made = s.tpms[2].Made
	for _, h := range s.Hosts {
		h.Links++
	}
	s.comes("over new connections", s.wants(2))
	if s.tpms[2].Made != made+2 {
		t.Errorf("over two new connections it showed %d times", s.tpms[2].Made-made)
	}
	for _, r := range s.records(s.Hosts[0], "operator-2") {
		if r.Connection == [32]byte{} {
			t.Errorf("a record names no connection: %+v", r)
		}
	}
	// Two thirds of its time, and a node is asked again before what it showed is too old.
	s.Now = s.Now.Add(fresh*2/3 + time.Second)
	s.Run("all are asked again", func() bool {
		return s.All(func(h *nodetest.Host) bool {
			return len(s.records(h, s.Hosts[(slices.Index(s.Hosts, h)+1)%3].Own.Name)) >= 2
		})
	})
	s.comes("with evidence made again", s.wants(3))
}

// Who runs what the charter does not allow signs with nobody, and is told so; once it is allowed, all goes on.
func TestOtherSoftwareSignsNothing(t *testing.T) {
	t.Parallel()
	s := attests(t, 3, 3)
	s.comes("with all shown", s.wants(0))
	other := s.maker.TPM(t, s.Hosts[2].Own.Name, "release 2")
	s.runsOn(2, other)
	st := s.waitsFor(s.Hosts[0], 1, "operator-2 must show what its node runs on", "measurement: it runs "+other.Measurement(), "`ostraka doctor`")
	for _, h := range s.Hosts[:2] {
		r := s.records(h, "operator-2")
		if last := r[len(r)-1]; !strings.Contains(last.Why, "none that the charter allows") || len(last.Evidence) > 0 || len(r) != 2 {
			t.Errorf("%s found %d times, last %+v", h.Own.Name, len(r), last)
		}
	}
	if v, err := s.Hosts[2].Desk.Show(st.ID()); err != nil || !strings.Contains(v.Waits, "does not hold this node's evidence good") {
		t.Errorf("operator-2 itself waits for %q, %v", v.Waits, err)
	}
	s.allow(s.runs[0], other.Measurement())
	s.comes("once it is allowed", s.wants(1)) // what was asked for under the charter before is over
	// What is allowed no more is out at once.
	s.allow(other.Measurement())
	s.waitsFor(s.Hosts[0], 2, "operator-1 must show")
}

// Two of three sign on while the third does not show what it runs on, and nobody is shunned for it.
func TestOthersSignOn(t *testing.T) {
	t.Parallel()
	s := attests(t, 3, 2)
	s.tpms[1].Broken = errors.New("TPM_RC_FAILURE")
	s.runsOn(1, s.tpms[1])
	s.comes("by the two others", s.wants(0))
	for _, h := range s.Hosts {
		if h.Desk.Shuns(s.Now, mpc.IDOf(s.Hosts[1].Own.Identity)) {
			t.Errorf("%s shuns who shows nothing", h.Own.Name)
		}
	}
	if err := s.Hosts[0].Vet.Fit(mpc.IDOf(s.Hosts[1].Own.Identity)); err == nil || !strings.Contains(err.Error(), "TPM_RC_FAILURE") {
		t.Errorf("%v", err)
	}
}

// A node that dies as it writes down what it found asks again, or has it: it signs on neither before that is durable.
func TestDyingAsARecordIsWritten(t *testing.T) {
	t.Parallel()
	for name, fate := range map[string]nodetest.Fate{"before": nodetest.CrashBefore, "after": nodetest.CrashAfter, "not known": nodetest.Unknown} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := attests(t, 2, 2)
			died := false
			s.Fate = func(h *nodetest.Host, _ int, b store.Batch) nodetest.Fate {
				record := slices.ContainsFunc(b.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "vetted/") })
				if h != s.Hosts[0] || !record || died {
					return nodetest.Live
				}
				died = true
				return fate
			}
			s.runsOn(1, s.tpms[1]) // a new process, which is asked
			s.comes("after all", s.wants(0))
			if !died {
				t.Fatal("nothing was written")
			}
			good := s.records(s.Hosts[0], "operator-1")
			for _, f := range s.leaves(s.Hosts[0], tlog.KindMet) {
				m, err := vetted.DecodeMeeting(f.Content)
				if err != nil || !slices.ContainsFunc(s.leaves(s.Hosts[0], tlog.KindVetted), func(l tlog.Filed) bool { return l.ID == m.With[0].Record && l.Time.Compare(f.Time) <= 0 }) {
					t.Errorf("its session rests on %+v, %v, and it found %+v", m, err, good)
				}
			}
		})
	}
}

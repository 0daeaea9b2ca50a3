package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A node that was away hears of a signature before the decisions that allow it. It waits for them: no alarm. If they do not come, over restarts of its own, though others are there that
// could tell, it raises one, once, though all links are cut for a moment again and again; and waits as long as nobody is there.
func TestASignatureBeforeItsDecisions(t *testing.T) {
	t.Parallel()
	const what = "are known to allow it"
	w := nodetest.New(t, 3)
	w.Suite = "ed25519"
	vault, addr := nodetest.Ready(w, 2)
	base := setting{w, vault, addr}
	for name, c := range map[string]struct {
		meanwhile func(s setting) // once it holds the signature, for minutes and more
		alarms    int
	}{
		"they come": {func(s setting) {
			s.Try(4*time.Minute, func() bool { return false })
			s.Pass = nil
			s.Run("they are known", func() bool { return len(s.Hosts[2].Desk.List()[0].Decisions) >= 2 })
		}, 0},
		"they never come": {func(s setting) { s.Try(9*time.Minute, func() bool { return false }) }, 1},
		"it starts anew": {func(s setting) {
			s.Try(9*time.Minute, func() bool { return false })
			s.Crash(s.Hosts[2])
			s.Start(s.Hosts[2])
			s.Try(9*time.Minute, func() bool { return false })
		}, 1},
		"the others are away": {func(s setting) {
			s.Crash(s.Hosts[0])
			s.Crash(s.Hosts[1])
			s.Try(time.Hour, func() bool { return false })
			s.Start(s.Hosts[0])
			s.Try(9*time.Minute, func() bool { return false })
		}, 1},
		"its links are cut for a moment": {func(s setting) {
			s.Try(6*time.Minute, func() bool { return false })
			s.blink()
			s.Try(2*time.Minute, func() bool { return false })
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := base.copy(t, name)
			s.Downtime = -1
			away := s.Hosts[2]
			s.Crash(away)
			st := s.wants(0)
			s.Run("signed by the others", func() bool {
				return s.State(s.Hosts[0], st.ID()) == intent.Signed && s.State(s.Hosts[1], st.ID()) == intent.Signed
			})
			s.Pass = withoutNote(away, decide.NoteDecision, decide.NotePast)
			s.Start(away)
			s.Run("it holds the signature", func() bool { return s.State(away, st.ID()) == intent.Signed })
			c.meanwhile(s)
			v, err := away.Desk.Show(st.ID())
			if err != nil || v.Alarm != "" || s.alarmed(away, what) != 0 {
				t.Errorf("it does not wait: %q, %v, %d alarms", v.Alarm, err, s.alarmed(away, what))
			}
			for range 6 {
				s.Try(5*time.Minute, func() bool { return false })
				s.blink()
			}
			v, err = away.Desk.Show(st.ID())
			if n := s.alarmed(away, what); err != nil || n != c.alarms || strings.Contains(v.Alarm, what) != (n > 0) {
				t.Errorf("it says %q, %v, and its log has %d alarms, want %d", v.Alarm, err, n, c.alarms)
			}
			if s.Pass = nil; c.alarms == 0 {
				return
			}
			s.Run("what comes after all ends it", func() bool { v, err := away.Desk.Show(st.ID()); return err == nil && v.Alarm == "" })
		})
	}
}

// It is stopped and started again and again, so that it never waits for long: a day after the signature came it says what is wrong all the same, and not before.
func TestAnAlarmIsPutOffByADayAtMost(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Suite = "ed25519"
	vault, addr := nodetest.Ready(w, 2)
	s := setting{w, vault, addr}
	s.Downtime = -1
	away := s.Hosts[2]
	s.Crash(away)
	st := s.wants(0)
	s.Run("signed by the others", func() bool {
		return s.State(s.Hosts[0], st.ID()) == intent.Signed && s.State(s.Hosts[1], st.ID()) == intent.Signed
	})
	s.Pass = withoutNote(away, decide.NoteDecision, decide.NotePast)
	s.Start(away)
	s.Run("it holds the signature", func() bool { return s.State(away, st.ID()) == intent.Signed })
	for i, alarms := range []int{0, 0, 0, 1} {
		s.Crash(away)
		s.Now = s.Now.Add(7 * time.Hour)
		s.Start(away)
		s.Try(time.Minute, func() bool { return false })
		if n := s.alarmed(away, "are known to allow it"); n != alarms {
			t.Errorf("after %d hours it has raised %d alarms, want %d", 7*(i+1), n, alarms)
		}
	}
}

// blink has the others be away for a moment.
func (s setting) blink() {
	for _, h := range s.Hosts[:2] {
		if !h.Up {
			continue
		}
		s.Crash(h)
		defer s.Start(h)
	}
	s.Try(2*time.Second, func() bool { return false })
}

package node_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
)

// rescued takes an emergency because of the third host through to CLOSED: the fourth sits in its place.
func (s setting) rescued() {
	s.T.Helper()
	a, b, d := s.Hosts[0], s.Hosts[1], s.Hosts[3]
	r := s.declare()
	id := s.activate(a)[0]
	for i := range 2 {
		n := s.contribution(r, id, i)
		s.Run("a contribution is taken", func() (taken bool) {
			s.Act(b, func() {
				_, err := b.Submit(s.T.Context(), s.Clock(b), n)
				taken = err == nil
			})
			return taken
		})
	}
	s.Run("new shares", func() bool { return heldBy(s.World, s.vault, 3, a, b, d) })
	for range 140 { // an hour's window and an hour's lock-up, of which each step earns a minute at most
		s.Step(time.Minute)
		s.Deliver()
	}
	s.Run("lock-up", s.allStand(sos.LockUp, r, a, b, d))
	now := s.record(a)
	st, err := act.Close{
		Head: r.Head(), Keys: []act.Backed{{Key: act.Key{Key: now.KeyID, Epoch: now.Hash()}, Backups: now.Backups}}, Drill: [32]byte{1}, Report: [32]byte{2}, Created: s.Now,
	}.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	for _, h := range []*nodetest.Host{a, b, d} {
		n := outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{st.Bytes(), h.Officer.Makes(s.T, st)}}
		s.Run("closed by "+h.Own.Name, func() bool { _, err := s.submit(h, n); return err == nil })
	}
	s.Run("closed", s.allStand(sos.Closed, r, a, b, d))
}

// verified is what an outsider finds in what these hosts publish, once they have cosigned one another's newest entries.
func (s setting) verified(enough func(failed []string) bool, hosts ...*nodetest.Host) *verify.Report {
	s.T.Helper()
	for tries := 0; ; tries++ {
		for range 20 {
			s.Deliver()
			s.Step(time.Second)
		}
		var all []*nodetest.Published
		for _, h := range hosts {
			all = append(all, s.Publish(h))
		}
		got, err := verify.Verify(sources(s.T.(*testing.T), all), verify.Options{Now: s.Now, Grace: time.Minute})
		if err != nil {
			s.T.Fatal(err)
		}
		if enough(failures(got)) {
			return got
		}
		if tries == 9 {
			s.T.Fatalf("in the logs of %v:\n%s", nodetest.Names(hosts...), strings.Join(failures(got), "\n"))
		}
	}
}

// hides says that of what outsiders find nothing is wrong, but that one operator's log is not shown.
func hides(h *nodetest.Host) func([]string) bool {
	return func(failed []string) bool {
		return len(failed) == 1 && strings.HasPrefix(failed[0], "operator "+h.Own.Name+": its log is shown: FAILED: no log of it is among what was read")
	}
}

// After an emergency is closed the vault is an ordinary one: new shares, and a committee with an operator that joined since, who is shown what the epoch rests on; and the
// operator that is lost leaves the roster without its word. From then on nobody misses its log.
func TestAfterAnEmergency(t *testing.T) {
	t.Parallel()
	s := emergency(t, charter.SuiteEd25519)
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	s.Run("all heard of all", func() bool { return s.All(func(h *nodetest.Host) bool { return len(h.Pulse.Beats()) == 4 }) })
	s.Downtime = -1
	s.Crash(c)
	for lost, want := range map[*nodetest.Host]string{c: "operator-2 holds shares of a vault: its keys go to others first", a: "run `ostraka operator resign`"} {
		if _, err := s.SignRoster(a, nodetest.Remove(lost)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is removed while it is needed: %v", lost.Own.Name, err)
		}
	}
	s.rescued()

	// New shares of the same three, by their operators' word alone.
	before := s.record(a)
	s.wantNew(a, b, d)
	s.Run("refreshed", func() bool { return s.in(before.Epoch+1, a, b, d) })
	s.verified(hides(c), a, b, d)

	s.Downtime = time.Second
	s.Crash(d) // it reads back who holds the key
	s.Run("restarted", func() bool { return d.Up })

	// All who are left take the lost one out of the roster, and nobody misses its log from then on.
	s.Amend(1, nodetest.Remove(c), a, b, d)
	x := s.Newcomer()
	s.Join(a, x)
	wait := true
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if wait && p.To == x && noteOf(p).Kind == ceremony.NoteRescued {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.Amend(2, nodetest.Accept, a, x, b, d)
	wish := nodetest.Wish(s.vault, 3, a, b, d, x)
	s.SignReshareAll(wish, a, b, d)
	s.Run("the newcomer knows the vault", func() bool { return len(x.Circle.Vaults()) == 1 })
	s.Try(20*time.Second, func() bool { return false })
	if n := len(x.Circle.Reshares(s.vault)); n > 0 {
		t.Errorf("%d reshares stand at the newcomer, who does not know what they follow", n)
	}
	s.hostileGrounds(a, x)
	wait = false
	s.SignReshareAll(wish, x)
	s.Run("the newcomer holds a share", func() bool { return heldBy(s.World, s.vault, 3, a, b, d, x) })
	got := s.verified(func(failed []string) bool { return len(failed) == 0 }, a, b, d, x)
	if !slices.ContainsFunc(got.Attention, func(w string) bool {
		return strings.Contains(w, "operator "+c.Own.Name+" is in the roster no more since version 1")
	}) {
		t.Errorf("nothing explains why the lost operator's log is not there:\n%s", strings.Join(got.Attention, "\n"))
	}
	s.verified(hides(d), a, b, x) // who is in the roster may not keep its log back

	s.Crash(x)
	s.Run("restarted", func() bool { return x.Up })
	s.SignReshareAll(nodetest.Wish(s.vault, 3, a, d, x), a, b, d, x)
	s.Run("and another committee follows", func() bool { return heldBy(s.World, s.vault, 3, a, d, x) })

	// Should the lost one come back, it learns that it is out, and what it holds no more.
	s.Start(c)
	s.Run("the lost one learns that it is out", func() bool { return c.Circle.Standing() == circle.Left && s.HeldBy(c, s.vault, 3, a, d, x) })
	gone(t, s.World, c, s.vault)
}

// hostileGrounds shows a node that does not know an emergency what its epoch rests on, spoiled in each field.
func (s setting) hostileGrounds(from, to *nodetest.Host) {
	s.T.Helper()
	notes := from.Keeper.Grounds()
	if len(notes) != 1 {
		s.T.Fatalf("%d epochs rest on emergencies", len(notes))
	}
	taken := errors.New("it would be taken")
	take := func(n outbox.Note) error {
		return to.Keeper.Take(s.T.Context(), s.Clock(to), n, func(journal.Entry) error { return taken })
	}
	if err := take(notes[0]); !errors.Is(err, taken) {
		s.T.Errorf("what is true is refused: %v", err)
	}
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	none := func([]byte) []byte { return nil }
	more := func(b []byte) []byte { return append(b, 0) }
	replaced := func(old, with string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
	}
	rows := len(s.Rows(to, ""))
	for name, x := range map[string]struct {
		field  int
		change func([]byte) []byte
		want   string
	}{
		"no chain":                         {0, none, "open chain"},
		"a chain and a byte":               {0, more, "open chain: 1 bytes too many"},
		"another certificate":              {0, flip, "signature fails"},
		"the epoch before alone":           {0, func(b []byte) []byte { return b[:len(b)/2] }, "open chain"},
		"no request":                       {1, none, "statement does not end"},
		"a request and a byte":             {1, more, "statement does not end"},
		"a request for another reason":     {1, replaced("no sign of life", "no sign of like"), "signature does not cover"},
		"a request of other subjects":      {1, replaced("subject: ", "subject: x"), "signature does not cover"},
		"a request in earnest":             {1, replaced("mode: drill", "mode: real"), "signature does not cover"},
		"the activation for the request":   {1, func([]byte) []byte { return bytes.Clone(notes[0].Fields[3]) }, "not \"sos-request\""},
		"nobody's request":                 {2, none, "signature is malformed"},
		"a request that another signed":    {2, replaced("\n", "\nA"), "signature is malformed"},
		"no activation":                    {3, none, "statement does not end"},
		"an activation with another t":     {3, replaced("threshold: 3", "threshold: 2"), "not by this node"},
		"an activation of another attempt": {3, replaced("attempt: 1", "attempt: 2"), "not by this node"},
		"an activation of another request": {3, replaced("request: ", "request: 00"), "request: has 66 characters"},
		"the request for the activation":   {3, func([]byte) []byte { return bytes.Clone(notes[0].Fields[1]) }, "not \"sos-activation\""},
		"an activation that nobody signed": {4, none, "decode node signatures"},
		"an activation, one hand unsigned": {4, flip, "not by this node"},
		"signatures and a byte":            {4, more, "decode node signatures: 1 bytes"},
	} {
		n := outbox.Note{Kind: notes[0].Kind, Fields: slices.Clone(notes[0].Fields)}
		n.Fields[x.field] = x.change(bytes.Clone(n.Fields[x.field]))
		if bytes.Equal(n.Fields[x.field], notes[0].Fields[x.field]) {
			s.T.Errorf("%s: nothing was changed", name)
		}
		if err := take(n); err == nil || errors.Is(err, taken) || errors.Is(err, outbox.ErrLater) || !strings.Contains(err.Error(), x.want) {
			s.T.Errorf("%s: not refused for %q: %v", name, x.want, err)
		}
	}
	for _, fields := range [][][]byte{nil, notes[0].Fields[:4], append(slices.Clone(notes[0].Fields), nil)} {
		if err := take(outbox.Note{Kind: notes[0].Kind, Fields: fields}); err == nil || !strings.Contains(err.Error(), "fields") {
			s.T.Errorf("%d fields: %v", len(fields), err)
		}
	}
	if n := len(s.Rows(to, "")); n != rows || len(to.Keeper.Grounds()) > 0 {
		s.T.Errorf("%d rows after %d, %d grounds", n, rows, len(to.Keeper.Grounds()))
	}
}

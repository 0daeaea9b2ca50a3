package epoch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
	"github.com/ostraka/ostraka/mpc/session"
)

// A handover is the last round of a ceremony: four old members, of whom 3 and 4 deal and
// leave, hand their key to 1, 2 and a newcomer.
type handover struct {
	w              *world
	parent, record *Record
	parties        []engine.PartyID
}

func newHandover(tb testing.TB, attempt uint64) *handover {
	h := &handover{w: newWorld(tb)}
	h.parent = h.w.record(1, 1, 3, []int{0, 1, 2, 3}, nil, 0)
	h.record = h.w.record(1, 2+attempt, 2, []int{0, 1, 6}, h.parent, attempt)
	for _, i := range []byte{1, 2, 3, 4, 7} {
		h.parties = append(h.parties, engine.PartyID{i})
	}
	return h
}

func (h *handover) change() Change {
	return Change{Parent: h.parent, Dealers: h.parties[:4], LowerThreshold: true}
}

// last is a first stage whose end is the outcome of PrepareChild: the rounds before are
// other protocols'.
type last struct{ out engine.Outcome[Cert] }

func (s *last) Expect() engine.Expect                                        { return engine.Expect{} }
func (s *last) Accept(engine.Kind, engine.PartyID, []byte) error             { return nil }
func (s *last) Finish(engine.Transcript) (o engine.Outcome[Cert], err error) { return s.out, nil }

// sessions lets one party alter what it says.
func (h *handover) sessions(tb testing.TB, corrupt engine.PartyID, edit func(uint8, []engine.Out) []engine.Out) (all []*engine.Session[Cert]) {
	tb.Helper()
	for _, id := range h.parties {
		out, err := PrepareChild(h.record, h.change(), id, []engine.Record{{Name: "record", Value: h.record.Encode()}}, session.NewSigner(h.w.keys[id]))
		if err != nil {
			tb.Fatal(err)
		}
		var first engine.Stage[Cert] = &last{out}
		if id == corrupt && edit != nil {
			first = enginetest.Corrupt(first, edit)
		}
		s, err := engine.New(engine.Params{Session: engine.SessionID{1}, Parties: h.parties, MaxBody: 4096, Kinds: 2}, id, first)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func (h *handover) sent(tb testing.TB) (msgs []engine.Msg) {
	c := enginetest.Run(enginetest.Options{}, h.sessions(tb, engine.Everyone, nil)...)
	certs, err := c.Results()
	if err != nil {
		tb.Fatal(err)
	}
	for i, p := range c.Parties {
		if err := certs[i].Check(h.record, h.parent); err != nil || len(p.Saved) != 1 {
			tb.Fatalf("party %v: %v, kept %d rows", p.ID, err, len(p.Saved))
		}
		msgs = append(msgs, p.Sent...)
	}
	return msgs
}

// table is spec/epochs 3: every byte of both messages.
func table() []malice.Message {
	fields := []malice.Field{
		{Name: "eh", Type: malice.Hash, Size: 32, Want: malice.Blame},
		{Name: "signature", Type: malice.Hash, At: 32, Size: 64, Want: malice.Blame},
	}
	return []malice.Message{{Name: "prep", Kind: KindPrep, Size: 96, Fields: fields}, {Name: "old-ok", Kind: KindOldOK, Size: 96, Fields: fields}}
}

func judge(tb testing.TB, h *handover, corrupt engine.PartyID, c *enginetest.Cluster[Cert]) malice.Result {
	tb.Helper()
	var ends []malice.End
	for _, p := range c.Parties {
		if p.ID == corrupt {
			continue
		}
		if p.Result != nil && p.Result.Check(h.record, h.parent) != nil {
			tb.Errorf("party %v has a certificate that does not hold", p.ID)
		}
		ends = append(ends, malice.End{Party: p.ID, Done: p.Result != nil, Err: p.Err, Burned: p.Burned})
	}
	r, err := malice.Judge(corrupt, ends)
	if err != nil {
		tb.Error(err)
	}
	return r
}

func TestMaliciousParty(t *testing.T) {
	h := newHandover(t, 0)
	now, earlier := h.sent(t), newHandover(t, 1).sent(t)
	body := func(msgs []engine.Msg, kind engine.Kind, from engine.PartyID) []byte {
		i := slices.IndexFunc(msgs, func(m engine.Msg) bool { return m.Kind == kind && m.From == from })
		if i < 0 {
			t.Fatalf("party %v sends no kind %#x", from, uint8(kind))
		}
		return msgs[i].Body
	}
	if len(now) != 5 {
		t.Fatalf("%d messages", len(now))
	}
	for _, m := range table() {
		corrupt, other := h.parties[1], h.parties[0]
		if m.Kind == KindOldOK {
			corrupt, other = h.parties[2], h.parties[3]
		}
		if err := m.Check(body(now, m.Kind, corrupt)); err != nil {
			t.Fatal(err)
		}
		seen := malice.Seen{Other: body(now, m.Kind, other), Earlier: body(earlier, m.Kind, corrupt)}
		run := func(name string, want malice.Result, edit func([]byte) []byte, hook enginetest.Mutate) {
			t.Run(name, func(t *testing.T) {
				var do func(uint8, []engine.Out) []engine.Out
				if edit != nil {
					do = func(_ uint8, out []engine.Out) []engine.Out {
						for i := range out {
							out[i].Body = edit(bytes.Clone(out[i].Body))
						}
						return out
					}
				}
				var o enginetest.Options
				if hook != nil {
					o.Hook = enginetest.On(enginetest.Match{From: corrupt, To: h.parties[0], Kind: m.Kind}, hook)
				}
				if got := judge(t, h, corrupt, enginetest.Run(o, h.sessions(t, corrupt, do)...)); got != want {
					t.Errorf("came to %s, want %s", got, want)
				}
			})
		}
		for _, x := range append(m.Mutations(secp256k1.Group{}, malice.All), m.Replays(malice.Blame)...) {
			if own := body(now, m.Kind, corrupt); bytes.Equal(x.Edit(bytes.Clone(own), seen), own) {
				continue // all say the same eh
			}
			run(x.String(), x.Want, func(b []byte) []byte { return x.Edit(b, seen) }, nil)
		}
		for _, x := range m.Lengths() {
			run(x.String(), x.Want, nil, enginetest.Edit(func(b []byte) []byte { return x.Edit(b, seen) }))
		}
		flip := func(b []byte) []byte { b[50] ^= 1; return b }
		run(m.Name+"/whole/lost", malice.Timeout, nil, enginetest.Drop)
		run(m.Name+"/whole/repeated", malice.Unaffected, nil, enginetest.Twice)
		run(m.Name+"/whole/second version after the first", malice.Unaffected, nil, enginetest.Besides(flip))
		run(m.Name+"/whole/equivocated", malice.Blame, nil, enginetest.Edit(flip))
		swapped := KindOldOK + KindPrep - m.Kind
		t.Run(m.Name+"/whole/as the other kind", func(t *testing.T) {
			c := enginetest.Run(enginetest.Options{}, h.sessions(t, corrupt, func(_ uint8, out []engine.Out) []engine.Out {
				for i := range out {
					out[i].Kind = swapped
				}
				return out
			})...)
			if got := judge(t, h, corrupt, c); got != malice.Timeout {
				t.Errorf("came to %s", got)
			}
		})
	}
}

// The round as one can read it: testdata/handover-*.txt.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/handover-*.txt")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d scripts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := enginetest.Script(string(want), newHandover(t, 0).told(t)...)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// told are sessions whose results are one line.
func (h *handover) told(tb testing.TB) (all []*engine.Session[string]) {
	for _, id := range h.parties {
		o, err := PrepareChild(h.record, h.change(), id, nil, session.NewSigner(h.w.keys[id]))
		if err != nil {
			tb.Fatal(err)
		}
		s, err := engine.New(engine.Params{Session: engine.SessionID{1}, Parties: h.parties, MaxBody: 4096, Kinds: 2}, id, &speak{&last{o}})
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

type speak struct{ s engine.Stage[Cert] }

func (s *speak) Expect() engine.Expect { return s.s.Expect() }
func (s *speak) Accept(k engine.Kind, from engine.PartyID, b []byte) error {
	return s.s.Accept(k, from, b)
}
func (s *speak) Finish(t engine.Transcript) (engine.Outcome[string], error) {
	o, err := s.s.Finish(t)
	out := engine.Outcome[string]{Save: o.Save, Send: o.Send}
	if o.Next != nil {
		out.Next = &speak{o.Next}
	}
	if o.Result != nil {
		line := fmt.Sprintf("a certificate of %d PREPs and %d OLDOKs", len(o.Result.Preps), len(o.Result.Olds))
		out.Result = &line
	}
	return out, err
}

func TestPrepareChildRefuses(t *testing.T) {
	h := newHandover(t, 0)
	w, first := h.w, h.parties[0]
	for want, c := range map[string]struct {
		spoil func(*Change)
		r     *Record
		self  engine.PartyID
	}{
		"parent is missing":         {func(c *Change) { c.Parent = nil }, h.record, first},
		"is no child":               {func(*Change) {}, w.record(1, 5, 2, []int{0, 1, 6}, w.record(1, 6, 2, three, nil, 9), 0), first},
		"is of another key":         {func(*Change) {}, w.record(2, 5, 2, []int{0, 1, 6}, h.parent, 0), first},
		"neither a dealer nor":      {func(*Change) {}, h.record, engine.PartyID{99}},
		"no member of the parent":   {func(c *Change) { c.Dealers = []engine.PartyID{first, {2}, {7}} }, h.record, first},
		"stands twice":              {func(c *Change) { c.Dealers = []engine.PartyID{first, {2}, {2}} }, h.record, first},
		"2 dealers":                 {func(c *Change) { c.Dealers = c.Dealers[:2] }, h.record, first},
		"operator did not agree":    {func(c *Change) { c.LowerThreshold = false }, h.record, first},
		"3 of 4 old members take":   {func(c *Change) { c.Dealers = c.Dealers[:3] }, h.record, first},
		"are neither a dealer":      {func(c *Change) { c.Dealers = c.Dealers[:3] }, w.record(1, 7, 3, []int{0, 1, 6}, h.parent, 0), h.parties[3]},
		"2 of 4 old members take p": {func(c *Change) { c.Dealers = c.Dealers[:3]; c.Parent = w.reidentified(h.parent, 0) }, w.record(1, 8, 3, []int{0, 1, 6}, w.reidentified(h.parent, 0), 0), first},
	} {
		change := h.change()
		change.Dealers = slices.Clone(change.Dealers)
		c.spoil(&change)
		_, err := PrepareChild(c.r, change, c.self, nil, session.NewSigner(w.keys[first]))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
		if wantLower := want == "operator did not agree"; errors.Is(err, ErrLowerThreshold) != wantLower {
			t.Errorf("%q: is a lower threshold: %v", want, !wantLower)
		}
	}
	if err := (&Change{}).Allows(2, nil); err == nil {
		t.Error("a change of nothing is allowed")
	}
	defer func() {
		if recover() == nil {
			t.Error("Prepare takes a record of epoch 1")
		}
	}()
	Prepare(h.record, first, nil, session.NewSigner(w.keys[first]))
}

// reidentified is a record in which one member had another identity key: it keeps id and
// index, and its PREP in the next epoch is no signature of the old committee.
func (w *world) reidentified(r *Record, i int) *Record {
	c := *r
	c.Members = slices.Clone(r.Members)
	c.Members[i].Identity = slices.Clone(c.Members[i].Identity)
	c.Members[i].Identity[5] ^= 1
	return &c
}

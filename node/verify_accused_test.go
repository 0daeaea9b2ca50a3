package node_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A falsehood is what the operator of the first node makes of its log, or who serves the logs of all of them.
type falsehood struct {
	all              func(t *testing.T, all []*nodetest.Published)
	says             string // a failure that has this; or, if attention is set, what needs attention
	holds, attention bool
	rewrites         bool // what others saw already
}

// told runs a lie: whatever it is, it accuses no other operator, nor where the other logs are shown.
func (l falsehood) told(t *testing.T, w *nodetest.World, honest []*nodetest.Published, later time.Duration) {
	t.Helper()
	all := copied(honest)
	if l.rewrites { // as if nobody had ever said which heads it had
		for _, p := range all {
			p.Leaves = append(slices.DeleteFunc(p.Leaves, ofKind(tlog.KindHeartbeat)), tlog.Notes(tlog.KindBurn, w.Now, [32]byte{}, [32]byte{6}))
		}
	}
	l.all(t, all)
	for _, p := range all {
		if err := p.Sign(); err != nil {
			t.Fatal(err)
		}
		p.Seen = nil // of a log that lied from the start they would be of that
	}
	r, err := verify.Verify(sources(t, all), verify.Options{Now: w.Now.Add(later)})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(failures(r), "\n")
	for _, c := range r.Claims {
		if c.Failed != "" && (strings.HasPrefix(c.Subject, "operator operator-") && c.Subject != "operator operator-0" || strings.HasPrefix(c.Subject, "log at operator-1")) && !strings.Contains(l.says, c.Subject) {
			t.Errorf("%s is accused: %s: %s", c.Subject, c.Claim, c.Failed)
		}
	}
	if l.attention {
		said = strings.Join(r.Attention, "\n")
	}
	if r.Failed != !l.holds || !strings.Contains(said, l.says) {
		t.Errorf("failed: %t; %q is not said:\n%s\nattention: %s", r.Failed, l.says, strings.Join(failures(r), "\n"), strings.Join(r.Attention, "\n"))
	}
}

func copied(all []*nodetest.Published) (out []*nodetest.Published) {
	for _, p := range all {
		c := *p
		c.Leaves, c.Seen = slices.Clone(p.Leaves), slices.Clone(p.Seen)
		out = append(out, &c)
	}
	return out
}

// opens says whether a leaf's body is a statement of a kind.
func opens(f tlog.Filed, k statement.Kind) bool {
	return bytes.HasPrefix(f.Content, []byte("ostraka/1 "+string(k)+"\n"))
}

// strip withholds bodies: no hash changes, so that whoever serves the files can.
func strip(which func(tlog.Filed) bool) func(*testing.T, []*nodetest.Published) {
	return func(_ *testing.T, all []*nodetest.Published) {
		for _, p := range all {
			for i, f := range p.Leaves {
				if which(f) {
					p.Leaves[i].Body = tlog.Body{}
				}
			}
		}
	}
}

func first(t *testing.T, p *nodetest.Published, which func(tlog.Filed) bool) int {
	t.Helper()
	i := slices.IndexFunc(p.Leaves, which)
	if i < 0 {
		t.Fatal("there is none")
	}
	return i
}

func leaveOut(which func(tlog.Filed) bool) func(*testing.T, []*nodetest.Published) {
	return func(_ *testing.T, all []*nodetest.Published) { all[0].Leaves = slices.DeleteFunc(all[0].Leaves, which) }
}

func ofKind(kinds ...string) func(tlog.Filed) bool {
	return func(f tlog.Filed) bool { return slices.Contains(kinds, f.Kind) }
}

func adds(leaf func(*testing.T, *nodetest.Published) tlog.Filed) func(*testing.T, []*nodetest.Published) {
	return func(t *testing.T, all []*nodetest.Published) { all[0].Leaves = append(all[0].Leaves, leaf(t, all[0])) }
}

// grown is a circle whose charter changed once and whose nodes were seen to live twice since, with or without its bodies shown.
func grown(t *testing.T, publish bool) (*nodetest.World, []*nodetest.Published) {
	w, all := shownBy(t, func(d *charter.Document) {
		for i := range d.Vaults {
			d.Vaults[i].Publish = publish
		}
	})
	d := changed(w, stricter)
	signCharter(t, w, d, w.Hosts...)
	w.Run("in force", func() bool { return inForce(w, d) })
	for range 2 {
		w.Now = w.Now.Add(w.Document().Heartbeat)
		n := len(beats(t, w.Hosts[0]))
		w.Run("the logs grew, and others saw it", func() bool {
			return w.All(func(h *nodetest.Host) bool { return len(beats(t, h)) >= n+3 && cosigned(h, 2) })
		})
	}
	all = all[:0]
	for _, h := range w.Hosts {
		all = append(all, w.Publish(h))
	}
	return w, all
}

// asked is what everybody may see of a vault only if its charter says so.
func asked(f tlog.Filed) bool {
	return f.Vault != [32]byte{} && slices.Contains([]string{tlog.KindDecision, tlog.KindHeard, tlog.KindVote, tlog.KindSigned, tlog.KindAddress, tlog.KindPrivate}, f.Kind)
}

// Who serves logs can leave out bodies, and signatures beside them: what everybody must be shown is missed.
func TestVerifyMissesWhatIsWithheld(t *testing.T) {
	t.Parallel()
	const missing = "without a body, which no other log shows"
	w, shown := grown(t, true)
	for name, l := range map[string]falsehood{
		"nothing": {all: strip(func(tlog.Filed) bool { return false }), holds: true},
		"the newer charter": {all: strip(func(f tlog.Filed) bool {
			return opens(f, statement.Charter) && bytes.Contains(f.Content, []byte("\nversion: 1\n"))
		}), says: "no log shows it complete"},
		"the vault":         {all: strip(func(f tlog.Filed) bool { return opens(f, statement.Vault) }), says: missing},
		"intents and votes": {all: strip(func(f tlog.Filed) bool { return f.Kind == tlog.KindVote || opens(f, statement.Intent) }), says: missing},
		"decisions":         {all: strip(ofKind(tlog.KindDecision, tlog.KindHeard)), says: missing},
		"transactions":      {all: strip(ofKind(tlog.KindSigned)), says: missing},
		"one log's bodies": {all: func(t *testing.T, all []*nodetest.Published) {
			strip(func(tlog.Filed) bool { return true })(t, all[:1])
		}, holds: true, attention: true, says: "no entry's body is shown at operator-0"},
		"a charter's signatures": {all: func(_ *testing.T, all []*nodetest.Published) {
			for _, p := range all {
				for i, f := range p.Leaves {
					if opens(f, statement.Charter) {
						p.Leaves[i].Signatures = nil
					}
				}
			}
		}, says: "no log shows it complete"},
		"a bit of one log's signature": {all: func(t *testing.T, all []*nodetest.Published) {
			i := first(t, all[0], func(f tlog.Filed) bool { return opens(f, statement.Intent) })
			sig := bytes.Clone(all[0].Leaves[i].Signatures[0])
			sig[len(sig)/2] ^= 1
			all[0].Leaves[i].Signatures = [][]byte{sig}
		}, says: "log at operator-0: each signature that it shows holds"},
		"a bit of one log's transaction": {all: func(t *testing.T, all []*nodetest.Published) {
			i := first(t, all[0], ofKind(tlog.KindSigned))
			b := bytes.Clone(all[0].Leaves[i].Content)
			b[len(b)/2] ^= 1
			all[0].Leaves[i].Content = b
		}, says: "log at operator-0: each signature that it shows holds"},
	} {
		t.Run(name, func(t *testing.T) { l.withheld(t, w, shown) })
	}
	w, private := grown(t, false)
	strip(asked)(t, private)
	for name, l := range map[string]falsehood{
		"nothing":               {all: strip(func(tlog.Filed) bool { return false }), holds: true},
		"the key":               {all: strip(func(f tlog.Filed) bool { return opens(f, statement.Key) }), says: missing},
		"the final certificate": {all: strip(ofKind(tlog.KindFinalCert)), says: missing},
	} {
		t.Run("of a private vault: "+name, func(t *testing.T) { l.withheld(t, w, private) })
	}
}

// withheld runs what who serves the logs did: no operator is accused, and no checkpoint is signed anew.
func (l falsehood) withheld(t *testing.T, w *nodetest.World, honest []*nodetest.Published) {
	t.Helper()
	all := copied(honest)
	l.all(t, all)
	r, err := verify.Verify(sources(t, all), verify.Options{Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(failures(r), "\n")
	if l.attention {
		said = strings.Join(r.Attention, "\n")
	}
	if r.Failed != !l.holds || !strings.Contains(said, l.says) || strings.Contains(strings.Join(failures(r), "\n"), "operator operator-") {
		t.Errorf("failed: %t; %q is not said, or an operator is accused:\n%s\n%s", r.Failed, l.says, strings.Join(failures(r), "\n"), strings.Join(r.Attention, "\n"))
	}
}

// What one operator writes into its log is found if it is a lie, and accuses nobody else.
func TestVerifyAccusesNobodyElse(t *testing.T) {
	t.Parallel()
	w, shown := grown(t, true)
	old := time.Unix(1000, 0).UTC()
	beat := func(change func(*pulse.Heartbeat)) func(*testing.T, []*nodetest.Published) {
		return adds(func(t *testing.T, p *nodetest.Published) tlog.Filed {
			i := first(t, p, func(f tlog.Filed) bool {
				return f.Kind == tlog.KindHeartbeat && bytes.Contains(f.Content, []byte("operator: operator-0\n"))
			})
			s, err := statement.Parse(p.Leaves[i].Content)
			if err != nil {
				t.Fatal(err)
			}
			h, err := pulse.Of(s)
			if err != nil {
				t.Fatal(err)
			}
			h = pulse.Draft(h, statement.Salt{1, 2, 3})
			h.Peers = slices.Clone(h.Peers)
			change(&h)
			if s, err = h.Statement(); err != nil {
				t.Fatal(err)
			}
			sig, err := signet.SignNode(w.Hosts[0].Key, s)
			if err != nil {
				t.Fatal(err)
			}
			return tlog.Says(tlog.KindHeartbeat, w.Now, [32]byte{}, s.Bytes(), sig)
		})
	}
	both := map[string]falsehood{
		"a false root of another's log":     {all: beat(func(h *pulse.Heartbeat) { h.Peers[0].Log.Root[0] ^= 1 }), says: "or operator-0 lies"},
		"a size that another's log has not": {all: beat(func(h *pulse.Heartbeat) { h.Peers[0].Log.Size = 1 << 40 }), says: "or operator-0 lies"},
		"a decision that it never sent": {rewrites: true, all: func(t *testing.T, all []*nodetest.Published) {
			i := first(t, all[0], ofKind(tlog.KindDecision))
			l := all[0].Leaves[i]
			l.ID[0] ^= 1
			l.Body = tlog.Body{}
			all[0].Leaves = slices.Insert(all[0].Leaves, i, l)
		}, says: "without a body"},
		"its own decisions left out":    {rewrites: true, all: leaveOut(ofKind(tlog.KindDecision)), says: "operator operator-0: what it decided stands in its own log"},
		"what it heard left out":        {rewrites: true, all: leaveOut(ofKind(tlog.KindHeard)), says: "circle: the logs of its operators tell the same"},
		"signatures left out":           {rewrites: true, all: leaveOut(ofKind(tlog.KindSigned)), says: "its signature stands in the logs of 3"},
		"what came into force left out": {rewrites: true, all: leaveOut(ofKind(tlog.KindInForce)), says: "and not in those of operator-0"},
		"what it heard left out, and a last entry of long ago": {rewrites: true, all: func(t *testing.T, all []*nodetest.Published) {
			leaveOut(ofKind(tlog.KindHeard, tlog.KindInForce))(t, all)
			all[0].Leaves = append(all[0].Leaves, tlog.Notes(tlog.KindBurn, old, [32]byte{}, [32]byte{7}))
		}, says: "circle: the logs of its operators tell the same"},
		"what it heard left out, and a clock that stands still": {rewrites: true, all: func(t *testing.T, all []*nodetest.Published) {
			leaveOut(ofKind(tlog.KindHeard, tlog.KindInForce, tlog.KindHeartbeat))(t, all)
			for i := range all[0].Leaves {
				all[0].Leaves[i].Time = old
			}
		}, says: "the log of operator-0 is shown up to 1970", holds: true, attention: true},
		"entries of next year": {rewrites: true, all: func(_ *testing.T, all []*nodetest.Published) {
			for i := range all[0].Leaves {
				all[0].Leaves[i].Time = all[0].Leaves[i].Time.Add(365 * 24 * time.Hour)
			}
		}, says: "dated 8", holds: true, attention: true},
		"a revocation that nobody signed": {all: adds(func(t *testing.T, p *nodetest.Published) tlog.Filed {
			d, _ := w.Hosts[0].Charters.Charter()
			s, err := charter.Revocation{Charter: d.ID, Person: "abel", Key: nodetest.NewPerson(t, "abel").Key, Reason: "x", Created: old}.Statement(statement.Salt{9})
			if err != nil {
				t.Fatal(err)
			}
			return tlog.Says(tlog.KindStatement, old, [32]byte{}, s.Bytes())
		}), says: "without the signature by which it counts"},
		"a key that nobody chose, filed first": {rewrites: true, all: func(t *testing.T, all []*nodetest.Published) {
			i := first(t, all[0], func(f tlog.Filed) bool { return opens(f, statement.Key) })
			s, err := statement.Parse(all[0].Leaves[i].Content)
			if err != nil {
				t.Fatal(err)
			}
			c, err := charter.KeyChoiceOf(s)
			if err != nil {
				t.Fatal(err)
			}
			c.Attempt++
			if s, err = c.Statement(); err != nil {
				t.Fatal(err)
			}
			all[0].Leaves = slices.Insert(all[0].Leaves, i, tlog.Says(tlog.KindStatement, all[0].Leaves[i].Time, c.Vault, s.Bytes()))
		}, holds: true},
		"what others tell, filed first as something else": {rewrites: true, all: func(t *testing.T, all []*nodetest.Published) {
			for _, l := range all[1].Leaves {
				if slices.Contains([]string{tlog.KindFinalCert, tlog.KindVote, tlog.KindWord, tlog.KindSignature}, l.Kind) {
					l.Kind = tlog.KindAlarm
					all[0].Leaves = slices.Insert(all[0].Leaves, 3, l)
				}
			}
		}, holds: true},
		"a signature of a vault that nobody knows": {all: adds(func(*testing.T, *nodetest.Published) tlog.Filed {
			return tlog.Notes(tlog.KindSigned, w.Now, [32]byte{7}, [32]byte{8}).On([32]byte{9})
		}), says: "the logs of operator-0 tell of requests of vault 07000000"},
		"something in force that nobody signed": {all: adds(func(*testing.T, *nodetest.Published) tlog.Filed {
			return tlog.Notes(tlog.KindInForce, w.Now, [32]byte{}, [32]byte{8})
		}), says: "say the logs of operator-0, and no log shows it complete"},
		"junk without end": {all: func(t *testing.T, all []*nodetest.Published) {
			base := all[0].Leaves[first(t, all[0], func(f tlog.Filed) bool { return opens(f, statement.Roster) })]
			for k := range 3 {
				l := base
				l.Signatures = nil
				for j := range 16 {
					l.Signatures = append(l.Signatures, binary.BigEndian.AppendUint64(make([]byte, 57), uint64(k*16+j)))
				}
				all[0].Leaves = append(all[0].Leaves, l)
			}
		}, says: "log at operator-0: each signature that it shows holds"},
		"another's log key as its witness key": {all: adds(func(t *testing.T, p *nodetest.Published) tlog.Filed {
			k, _ := w.Hosts[1].Pulse.Keys("operator-1")
			own := tlog.KeysFor("operator-0", w.Hosts[0].Key, 9, w.Now) // with proofs of its own keys
			s, err := own.Statement(statement.Salt{5})
			if err == nil {
				s, err = statement.Parse([]byte(strings.Replace(s.Text(), fmt.Sprintf("%x", []byte(own.Witness)), fmt.Sprintf("%x", []byte(k.Log)), 1)))
			}
			if err != nil {
				t.Fatal(err)
			}
			sig, err := signet.SignNode(w.Hosts[0].Key, s)
			if err != nil {
				t.Fatal(err)
			}
			return tlog.Says(tlog.KindStatement, w.Now, [32]byte{}, s.Bytes(), sig)
		}), holds: true},
	}
	for name, l := range both {
		t.Run(name, func(t *testing.T) { l.told(t, w, shown, 4*time.Hour) })
	}
	t.Run("a decision on one request as one on another", func(t *testing.T) {
		falsehood{rewrites: true, all: func(t *testing.T, all []*nodetest.Published) {
			var about [][32]byte
			for i, l := range all[0].Leaves {
				if l.Kind == tlog.KindHeard && bytes.Contains(l.Content, []byte("operator: operator-1\n")) {
					if about = append(about, l.About); len(about) == 2 {
						all[0].Leaves[i].About = about[0]
					}
				}
			}
			if len(about) < 2 || about[0] == about[1] {
				t.Fatal("there are not two requests")
			}
		}, says: "operator operator-0: its log tells of each decision as what it is"}.told(t, w, shown, 4*time.Hour)
	})
	w2, private := grown(t, false)
	strip(asked)(t, private)
	w = w2
	t.Run("of a private vault: decisions", func(t *testing.T) {
		for _, name := range []string{"a decision that it never sent", "its own decisions left out"} {
			l := both[name]
			l.says = "circle: the logs of its operators tell the same"
			l.told(t, w, private, 4*time.Hour)
		}
	})
	for _, name := range []string{
		"what it heard left out", "signatures left out", "a key that nobody chose, filed first", "what others tell, filed first as something else",
		"what it heard left out, and a last entry of long ago", "a signature of a vault that nobody knows",
	} {
		t.Run("of a private vault: "+name, func(t *testing.T) { both[name].told(t, w, private, 4*time.Hour) })
	}
}

// An operator whose node was restored from a copy, and who said so, is accused of nothing: that its log was begun anew is said.
func TestVerifyARestoredOperator(t *testing.T) {
	t.Parallel()
	w, _ := shownBy(t)
	h := w.Hosts[0]
	rows := w.Rows(h, "")
	root := h.Keeper.Roots()[0]
	s := w.Propose(root.Vault.ID, address(t, w, root.Vault.ID, w.Hosts...), 2)
	w.Approve(s)
	w.Run("signed everywhere", func() bool { return w.Signed(s) })
	for range 4 {
		w.Now = w.Now.Add(w.Document().Heartbeat)
		n := len(beats(t, w.Hosts[1]))
		w.Run("the logs grew, and others saw it", func() bool {
			return w.All(func(h *nodetest.Host) bool { return len(beats(t, w.Hosts[1])) >= n+3 && cosigned(h, 2) })
		})
	}
	before := w.Publish(h)
	w.Restore(h, rows)
	w.Run("it is fenced", func() bool { return h.Fence.Fenced() != nil })
	if _, err := h.ConfirmRestore(context.Background(), w.Now); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for range 3 {
			w.Now = w.Now.Add(w.Document().Heartbeat)
			pass(w, 2*time.Minute)
		}
		var all []*nodetest.Published
		for _, h := range w.Hosts {
			all = append(all, w.Publish(h))
		}
		for name, from := range map[string][]verify.Source{"alone": sources(t, all), "beside its old log": append([]verify.Source{nodetest.Source("of before", must(t, before))}, sources(t, all)...)} {
			r, err := verify.Verify(from, verify.Options{Now: w.Now, Seen: [][]byte{before.Signed}})
			if err != nil || r.Failed {
				t.Fatalf("round %d, %s: %v, %s", round, name, err, strings.Join(failures(r), "\n"))
			}
			if !slices.ContainsFunc(r.Claims, func(c verify.Claim) bool { return strings.HasPrefix(c.Claim, "its log was begun anew on ") }) {
				t.Errorf("%s: nothing says that the log was begun anew", name)
			}
			if said := strings.Join(r.Attention, "\n"); !strings.Contains(said, "stand no more in the log of operator-0") {
				t.Errorf("%s: nothing says what was lost: %s", name, said)
			}
		}
	}
}

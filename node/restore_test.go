package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// pass lets a time go by.
func pass(w *nodetest.World, d time.Duration) {
	end := w.Now.Add(d)
	w.Run("time passes", func() bool { return !w.Now.Before(end) })
}

// refresh has every operator ask for new shares, and waits until they are in force everywhere.
func refresh(t *testing.T, s setting) {
	t.Helper()
	v, _ := s.Hosts[1].Keeper.Root(s.vault, charter.SuiteECDSA)
	was := v.Current.Record.Epoch
	for _, h := range s.Hosts {
		s.Act(h, func() {
			if err := h.Keeper.AskRefresh(context.Background(), s.Clock(h), s.vault, charter.SuiteECDSA); err != nil {
				t.Fatalf("%s: %v", h.Own.Name, err)
			}
		})
	}
	s.Run("new shares are in force", func() bool {
		return s.All(func(h *nodetest.Host) bool {
			v, ok := h.Keeper.Root(s.vault, charter.SuiteECDSA)
			return ok && v.Current != nil && v.Current.Record.Epoch > was
		})
	})
}

// mute fails the test when a host takes part in a session, or says what it had not said before its disk was copied.
func mute(t *testing.T, w *nodetest.World, h *nodetest.Host, snapshot []store.Item) {
	said := map[string]bool{}
	for _, it := range snapshot {
		said[it.Key] = true
	}
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n := noteOf(p); p.From == h && (nodetest.OfSession(p.Frame) || !said[noted(n)] && ours(n, h)) {
			t.Errorf("the restored node sends a frame of type %d, note %#x", p.Frame[0], noteOf(p).Kind)
		}
		return []nodetest.Parcel{p}
	}
}

func noted(n outbox.Note) string {
	id := n.ID()
	return store.Key("noted", store.ID(id[:]))
}

// ours says whether a note is a host's own word: a FINAL, key choice, decision, or a signature that it released.
func ours(n outbox.Note, h *nodetest.Host) bool {
	switch n.Kind {
	case ceremony.NoteFinal:
		f, err := epoch.DecodeFinal(n.Fields[0])
		return err != nil || f.From == h.Self()
	case ceremony.NoteChoice:
		return string(n.Fields[1]) == h.Own.Name
	case decide.NoteDecision:
		return bytes.Contains(n.Fields[0], []byte("\noperator: "+h.Own.Name+"\n"))
	}
	return false
}

// A disk that is set back to before something that the node did: the node is fenced before it
// signs or says anything, all its pairs are burned; its operator's word and new shares heal it.
func TestRestoredSnapshot(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 3)
	for name, did := range map[string]func(s setting, h *nodetest.Host) (snapshot []store.Item){
		"after a burn": func(s setting, h *nodetest.Host) []store.Item {
			snap := s.Rows(h, "")
			if _, err := h.Sessions.BurnAll(context.Background(), s.Now, []engine.Token{{Key: key(s.World, s.vault), Peer: s.Hosts[1].Self()}}); err != nil {
				t.Fatal(err)
			}
			return snap
		},
		"after a signature": func(s setting, h *nodetest.Host) []store.Item {
			snap := s.Rows(h, "")
			sign(t, s.World, s.vault, s.addr)
			return snap
		},
		"after a start": func(s setting, h *nodetest.Host) []store.Item {
			snap := s.Rows(h, "")
			s.Crash(h)
			s.Run("it starts", func() bool { return h.Up })
			return snap
		},
		"after FINAL": func(s setting, h *nodetest.Host) (snap []store.Item) {
			s.Fate = func(o *nodetest.Host, _ int, b store.Batch) nodetest.Fate {
				if o == h && slices.ContainsFunc(b.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "final/") }) && snap == nil {
					snap = s.Rows(h, "")
				}
				return nodetest.Live
			}
			refresh(t, s)
			s.Fate = nil
			h.Hostile = true // it has forgotten its FINAL, and says it again in the end
			return snap
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			h := s.Hosts[0]
			snap := did(s, h)
			pass(s.World, 15*time.Second) // the peers are told within 5 s
			s.Restore(h, snap)
			mute(t, s.World, h, snap)
			s.Run("the node is fenced", func() bool { return h.Fence.Fenced() != nil })
			if n := len(h.Sessions.Burned(pairs(s.World, s.vault))); n != 2 {
				t.Fatalf("%d of 2 pairs are burned", n)
			}
			// It stays fenced over a restart, and nothing is signed.
			s.Crash(h)
			s.Run("it is there again", func() bool { return h.Up })
			st := s.Propose(s.vault, s.addr, 7)
			s.Approve(st)
			if s.Try(2*time.Minute, func() bool { return s.Signed(st) }) || h.Fence.Fenced() == nil {
				t.Fatal("a fenced node signed, or forgot its fence")
			}
			if err := h.Keeper.AskRefresh(context.Background(), s.Now, s.vault, charter.SuiteECDSA); err != nil {
				t.Fatal(err)
			}
			s.Pass = nil
			if _, err := h.ConfirmRestore(context.Background(), s.Now); err != nil {
				t.Fatal(err)
			}
			s.Run("the peers meet it again", func() bool { return s.Greeted() })
			refresh(t, s)
			st = s.Propose(s.vault, s.addr, 9)
			s.Approve(st)
			s.Run("signed once it is healed", func() bool { return s.Signed(st) })
			for _, o := range s.Hosts {
				if err := o.Fence.Fenced(); err != nil || len(o.Sessions.Burned(pairs(s.World, s.vault))) > 0 {
					t.Errorf("%s: %v, burned %v", o.Own.Name, err, o.Sessions.Burned(pairs(s.World, s.vault)))
				}
			}
		})
	}
}

// A disk that is set back to before several things, new shares among them: peers show all of it while the node is fenced, so its
// operator's one word answers for all.
func TestRestoreFencesOnce(t *testing.T) {
	t.Parallel()
	for name, hosts := range map[string]int{"two": 2, "three": 3} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t, hosts, hosts)
			h := s.Hosts[0]
			snap := s.Rows(h, "")
			refresh(t, s)
			pass(s.World, 15*time.Second) // the peers are told within 5 s
			s.Restore(h, snap)
			s.Run("the node is fenced", func() bool { return h.Fence.Fenced() != nil })
			pass(s.World, 15*time.Second) // an operator takes longer
			if _, err := h.ConfirmRestore(context.Background(), s.Clock(h)); err != nil {
				t.Fatal(err)
			}
			s.Run("it knows the epoch in force", func() bool { return s.Greeted() && s.in(1, s.Hosts...) })
			pass(s.World, time.Minute)
			if err := h.Fence.Fenced(); err != nil {
				t.Errorf("fenced again for the same restore: %v", err)
			}
		})
	}
}

// Crashes at every batch of becoming fenced and of the operator's word: the fence and all burns hold after them.
func TestCrashWhileFenced(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	for n := 1; n <= 8; n++ {
		for _, fate := range []nodetest.Fate{nodetest.CrashBefore, nodetest.CrashAfter} {
			s := base.copy(t, fmt.Sprint("crash ", n, fate))
			h := s.Hosts[0]
			snap := s.Rows(h, "")
			sign(t, s.World, s.vault, s.addr)
			pass(s.World, 10*time.Second)
			first, fell := h.Commits, false
			s.Fate = func(o *nodetest.Host, at int, _ store.Batch) nodetest.Fate {
				if o != h || fell || at != first+n {
					return nodetest.Live
				}
				fell = true
				return fate
			}
			s.Restore(h, snap)
			s.Run("the node is fenced", func() bool {
				return h.Up && h.Fence.Fenced() != nil && len(h.Sessions.Burned(pairs(s.World, s.vault))) == 1
			})
			s.Run("the operator is heard", func() bool {
				s.Act(h, func() { _, _ = h.ConfirmRestore(context.Background(), s.Now) })
				return h.Up && h.Fence.Fenced() == nil && s.Greeted()
			})
			if len(h.Sessions.Burned(pairs(s.World, s.vault))) != 1 {
				t.Fatalf("batch %d: the operator's word lifted a burn", n)
			}
		}
	}
}

// Our own signature in a peer's note, on what the store does not know: that alone fences, without lives.
func TestEvidenceInNotes(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	h := w.Hosts[0]
	snap := w.Rows(h, "")
	vault := w.Vault(2)
	v, _ := w.Hosts[1].Keeper.Root(vault, charter.SuiteECDSA)
	note := outbox.Note{Kind: ceremony.NoteFinalCert, Fields: [][]byte{v.Current.Encode()}}
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.Frame[0] == nodetest.FrameLife || p.Frame[0] == nodetest.FrameOther {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.Restore(h, snap)
	if h.Fence.Fenced() != nil {
		t.Fatal("fenced too early")
	}
	h.Deliver(context.Background(), w.Now, w.Hosts[1].Own.Identity, append([]byte{nodetest.FrameNote}, note.Encode()...))
	if err := h.Fence.Fenced(); err == nil || !strings.Contains(err.Error(), "on record") {
		t.Fatalf("a final certificate with our own signatures: %v", err)
	}
	if _, err := h.ConfirmRestore(context.Background(), w.Now); err != nil {
		t.Fatal(err)
	}
	h.Deliver(context.Background(), w.Now, w.Hosts[1].Own.Identity, append([]byte{nodetest.FrameNote}, note.Encode()...))
	if err := h.Fence.Fenced(); err != nil {
		t.Fatalf("what the operator answered for fences again: %v", err)
	}
}

// Our own decision that we did not make.
func TestDecisionOfAClone(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	st := s.Propose(s.vault, s.addr, 0)
	s.Deliver()
	s.Hosts[0].Hostile = true
	verdict, log := s.tell(s.Hosts[1], s.Hosts[0], s.decision(st, s.Hosts[0], s.Hosts[0], intent.Allow))
	if verdict != outbox.Refused || !strings.Contains(log, "a clone runs somewhere") || s.Hosts[0].Fence.Fenced() == nil {
		t.Fatalf("verdict %d, fenced %v; log: %s", verdict, s.Hosts[0].Fence.Fenced(), log)
	}
}

// A hostile peer shows lives that are forged, of another node, or old; and another's evidence. Nobody is fenced.
func TestForgedEvidenceFencesNobody(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	h, liar := s.Hosts[0], s.Hosts[1]
	var lives [][]byte // as others sent them
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.Frame[0] == nodetest.FrameLife {
			lives = append(lives, p.Frame)
		}
		return []nodetest.Parcel{p}
	}
	for range 2 {
		s.Crash(h)
		s.Run("greeted again", func() bool { return h.Up && s.Greeted() })
	}
	sign(t, s.World, s.vault, s.addr)
	s.Pass = nil
	if len(lives) < 6 {
		t.Fatalf("%d lives were seen", len(lives))
	}
	for _, frame := range lives {
		for at := 0; at < len(frame); at += 7 {
			b := bytes.Clone(frame)
			b[at] ^= 0x40
			s.Forge(liar, h, b)
		}
		s.Forge(liar, h, frame)                                                                                                 // replayed, of whomever
		s.Forge(liar, h, append([]byte{nodetest.FrameOther}, append(bytes.Clone(s.Hosts[2].Own.Identity), frame[1:137]...)...)) // 137: a frame's first byte and a life
	}
	s.Run("all is well", func() bool { return s.Greeted() })
	for _, o := range s.Hosts {
		if err := o.Fence.Fenced(); err != nil {
			t.Errorf("%s: %v", o.Own.Name, err)
		}
	}
	if twice := h.Fence.Twice(s.Hosts[2].Self()); twice != "" {
		t.Errorf("an honest peer is said to run twice: %s", twice)
	}
}

// recorder finds values that should be fresh and come twice: nonce commitments in broadcasts, ciphertexts, nonces of Joins,
// r of signatures.
type recorder struct {
	t     *testing.T
	joins bool
	where map[string]string
	n     int
}

func (r *recorder) value(what string, b []byte, where string) {
	r.n++
	k := what + string(b)
	if old, ok := r.where[k]; ok && old != where {
		r.t.Errorf("%s %.16x appears in %s and in %s", what, b, old, where)
	}
	r.where[k] = where
}

func (r *recorder) frame(p nodetest.Parcel) {
	switch t, err := mpc.TypeOf(p.Frame); {
	case err != nil:
		if n := noteOf(p); n.Kind == decide.NoteSigned {
			raw := n.Fields[1]
			r.value("r", raw[len(raw)-65:len(raw)-33], fmt.Sprintf("intent %x", n.Fields[0][:6]))
		}
	case t == mpc.JoinFrame:
		if j, err := mpc.JoinOf(p.From.Own.Identity, p.Frame); err == nil && r.joins {
			r.value("join nonce", j.Nonce[:], fmt.Sprintf("setup %x", j.Setup[:6]))
			r.value("join key", j.Ephemeral[:], fmt.Sprintf("setup %x", j.Setup[:6]))
		}
	case t == mpc.MessageFrame:
		env, err := mpc.ReadEnvelope(p.Frame)
		if err == nil && env.Round == 1 && len(env.Body) >= 64 {
			r.value("message", env.Body[32:], fmt.Sprintf("session %v", env.Session))
		}
	}
}

// Two hosts from one copied disk, each in a part of the network with one honest node: both sign as long as
// nobody can tell, and no nonce comes twice, even where their entropy repeats itself. Once the parts see one
// another the clone is named, both copies are fenced, and neither signs any more.
func TestTwoFromOneDisk(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 2)
	for name, same := range map[string]bool{"entropy of their own": false, "the same entropy": true} {
		t.Run(name, func(t *testing.T) { twoFromOneDisk(t, base.copy(t, name), same) })
	}
}

func twoFromOneDisk(t *testing.T, s setting, same bool) {
	a, b, p := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Downtime = -1
	s.Crash(p)
	entropy := nodetest.NewEntropy("one")
	if p.Rand = nodetest.NewEntropy("one"); !same {
		entropy = nodetest.NewEntropy("another")
	}
	clone := s.Double(p, entropy)
	clone.Skew = time.Second // or even the instances were the same
	rec := &recorder{t: t, joins: !same, where: map[string]string{}}
	s.Pass = func(x nodetest.Parcel) []nodetest.Parcel { rec.frame(x); return []nodetest.Parcel{x} }
	parts := [][]*nodetest.Host{{a, p}, {b, clone}}
	s.Route = func(from *nodetest.Host, key ed25519.PublicKey) *nodetest.Host {
		for _, part := range parts {
			if i := slices.IndexFunc(part, func(h *nodetest.Host) bool { return key.Equal(h.Own.Identity) }); i >= 0 && slices.Contains(part, from) {
				return part[i]
			}
		}
		return nil
	}
	s.Start(p)
	s.Start(clone)
	all, signed := s.Hosts, 0
	for i, part := range parts {
		s.Hosts = part // people see this part
		for n := range cloneSigns {
			st := s.Propose(s.vault, s.addr, uint64(1000*i+n))
			s.Approve(st)
			s.Hosts = all
			s.Run("signed in its part", func() bool { return s.at(st, intent.Signed, part...) })
			s.Hosts = part
			signed++
		}
		s.Hosts = all
	}
	// The parts see one another.
	parts = [][]*nodetest.Host{{a, b, p}, {b, clone}}
	s.Run("the clone is named", func() bool { return a.Fence.Twice(p.Self()) != "" && b.Fence.Twice(p.Self()) != "" })
	s.Run("one copy is fenced", func() bool { return p.Fence.Fenced() != nil })
	parts = [][]*nodetest.Host{{a, b, clone}}
	s.Run("the other copy is fenced", func() bool { return clone.Fence.Fenced() != nil })
	s.Hosts = []*nodetest.Host{a, b} // which go on
	st := s.Propose(s.vault, s.addr, 5000)
	s.Approve(st)
	s.Run("the honest nodes sign", func() bool { return s.Signed(st) })
	t.Logf("%d values of %d signatures", rec.n, signed)
	least := 8
	if !rec.joins {
		least = 6 // Join nonces are not among them
	}
	if rec.n < least*signed {
		t.Errorf("%d values of %d signatures were seen", rec.n, signed)
	}
}

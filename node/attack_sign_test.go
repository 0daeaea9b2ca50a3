package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// What one hostile or broken operator can try on the way to a signature of the others. Each
// attack once succeeded.

// voted has the approvers approve, and waits for nothing: the nodes allow the intent, and have
// not ticked since.
func (s setting) voted(nonce uint64) statement.Statement {
	s.T.Helper()
	st := s.Propose(s.vault, s.addr, nonce)
	for _, p := range nodetest.Approvers {
		if _, err := s.Submit(s.Vote(st, p, signet.Approve)); err != nil {
			s.T.Fatal(err)
		}
	}
	s.Deliver()
	return st
}

// lure is a setup by which a hostile operator asks another to sign with it.
func (s setting) lure(st statement.Statement, from, to *nodetest.Host, nonce int) (*mpc.Setup, []byte) {
	s.T.Helper()
	x := s.setup(st, []*nodetest.Host{from, to})
	x.Opener, x.Nonce, x.Parties = from.Self(), [32]byte{byte(nonce), byte(nonce >> 8), 1}, nil
	for _, m := range recordOf(s.World, s.vault).Members {
		if m.ID == from.Self() || m.ID == to.Self() {
			x.Parties = append(x.Parties, m.Party)
		}
	}
	frame, err := mpc.SealSetup(x, mpc.NewSigner(from.Key))
	if err != nil {
		s.T.Fatal(err)
	}
	return x, frame
}

// at says whether an intent is in a state at some hosts.
func (s setting) at(st statement.Statement, want intent.State, hosts ...*nodetest.Host) bool {
	for _, h := range hosts {
		if s.State(h, st.ID()) != want {
			return false
		}
	}
	return true
}

// An operator opens sessions that never begin, again and again, with and without a word of
// refusal: that is no attempt of the intent's, and the two others sign it.
func TestSessionsThatNeverBegin(t *testing.T) {
	t.Parallel()
	for _, declines := range []bool{true, false} {
		t.Run(fmt.Sprint("declines ", declines), func(t *testing.T) {
			s := prepare(t, 3, 2)
			a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
			s.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // its node takes no part
				if p.From == c && nodetest.OfSession(p.Frame) {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			st, n := s.voted(0), 0
			attack := func() {
				for _, h := range []*nodetest.Host{a, b} {
					n++
					x, frame := s.lure(st, c, h, n)
					s.Forge(c, h, frame)
					if hash := x.Hash(); declines {
						var e transcript.Encoder
						e.Bytes(1, hash[:]).String(2, "no")
						s.Forge(c, h, append([]byte{nodetest.FrameDecline}, e.Sum()...))
					}
				}
			}
			for range 16 {
				attack()
			}
			if s.at(st, intent.Failed, a) || s.at(st, intent.Failed, b) {
				t.Fatal("sessions that never began ended the intent")
			}
			s.Run("the two others sign", func() bool {
				attack()
				return s.at(st, intent.Signed, a, b)
			})
		})
	}
}

// As before, at the moments that hurt most: the operator holds now one node, now the other, so
// that the two are never free together.
func TestSessionsThatHoldOneNodeAtATime(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == c && nodetest.OfSession(p.Frame) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	st, n := s.voted(0), 0
	start := s.Now
	s.Run("the two others sign", func() bool {
		n++
		for i, h := range []*nodetest.Host{a, b} {
			if s.Now.Sub(start) >= time.Duration(i)*12*time.Second {
				_, frame := s.lure(st, c, h, 2*n+i)
				s.Forge(c, h, frame)
			}
		}
		return s.at(st, intent.Signed, a, b)
	})
}

// An operator opens true sessions with each of the others and stops before its last message,
// so that the signature may or may not be out: that intent is lost, as it must be. It can do
// so once to each of them. Then they leave it aside, though it goes on to ask, and sign.
func TestSessionsThatDieAtTheEnd(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	c.Hostile = true
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		env, err := mpc.ReadEnvelope(p.Frame)
		if p.From == c && (noteOf(p).Kind == decide.NoteSigned || err == nil && env.Round == protocol.SignRounds(s.Suite)) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	attempt := func(st statement.Statement, n int) {
		for _, h := range []*nodetest.Host{a, b} {
			x, _ := s.lure(st, c, h, n)
			_ = c.Sessions.Open(context.Background(), s.Now, x) // refused in the end
			s.Deliver()
		}
	}
	lost, n := 0, 0
	for !t.Failed() {
		st := s.voted(uint64(lost))
		s.Run("the intent is signed or lost", func() bool {
			n++
			attempt(st, n)
			return s.at(st, intent.Signed, a, b) || s.at(st, intent.Failed, a) || s.at(st, intent.Failed, b)
		})
		if s.at(st, intent.Signed, a, b) {
			break
		}
		if lost++; lost > 2 {
			t.Fatalf("%d intents are lost; log:\n%s", lost, s.Tail())
		}
	}
	if lost == 0 {
		t.Fatal("no session died")
	}
}

// In a 2-of-3 vault one operator, whatever its index, stays silent in every session: the two
// others sign within a minute.
func TestSilentSigner(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 2)
	for i := range 3 {
		t.Run(fmt.Sprint("node ", i), func(t *testing.T) {
			s := base.copy(t, fmt.Sprint("silent", i))
			silent := s.Hosts[i]
			s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				if p.From == silent && nodetest.OfSession(p.Frame) {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			others := append(append([]*nodetest.Host{}, s.Hosts[:i]...), s.Hosts[i+1:]...)
			st := s.Propose(s.vault, s.addr, 0)
			s.Approve(st)
			if !s.Try(time.Minute, func() bool { return s.at(st, intent.Signed, others...) }) {
				t.Fatalf("not signed by the two others; log:\n%s", s.Tail())
			}
		})
	}
}

// One burned pair of a 2-of-3 vault, known to one of the two only: others make up the
// signers.
func TestOneBurnedPairHaltsNobody(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 2)
	for i := range 3 {
		for j := range 3 {
			if i == j {
				continue
			}
			t.Run(fmt.Sprintf("node %d burned node %d", i, j), func(t *testing.T) {
				s := base.copy(t, fmt.Sprint("burned", i, j))
				h, k, p := s.Hosts[i], pairs(s.World, s.vault), s.Hosts[j].Self()
				s.Crash(h)
				disk, err := h.Disk.Open()
				if err != nil {
					t.Fatal(err)
				}
				burn := store.Batch{Put: []store.Entry{{Key: store.BurnKey(k[:], p[:]), Value: []byte(s.Now.UTC().Format(time.RFC3339) + " x")}}}
				if _, err := disk.Commit(context.Background(), burn); err != nil {
					t.Fatal(err)
				}
				disk.Close()
				s.Start(h)
				if got := h.Sessions.Burned(k); len(got) != 1 || got[0] != p {
					t.Fatalf("burned %v", got)
				}
				st := s.Propose(s.vault, s.addr, 0)
				s.Approve(st)
				s.Run("signed everywhere", func() bool { return s.Signed(st) })
			})
		}
	}
}

// An operator lies in its last messages and keeps the signatures to itself, so that sessions
// with it fail and nobody can be named. Three such failures stop its own signer sets for an
// hour; the two others sign on.
func TestLiesHaltOnlyTheLiarsSets(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	c.Hostile = true
	lies := 0
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From != c {
			return []nodetest.Parcel{p}
		}
		if noteOf(p).Kind == decide.NoteSigned {
			return nil
		}
		p, changed := lied(p, protocol.ProtocolSign)
		if changed {
			lies++
		}
		return []nodetest.Parcel{p}
	}
	for i := range 4 {
		st := s.voted(uint64(i))
		for _, h := range []*nodetest.Host{a, b} {
			x, _ := s.lure(st, c, h, i)
			_ = c.Sessions.Open(context.Background(), s.Now, x) // declined in the end
			s.Deliver()
		}
		s.Step(time.Second)
	}
	if n := len(s.Rows(a, "unattributed/")) + len(s.Rows(b, "unattributed/")); lies < 3 || n < 3 {
		t.Fatalf("%d lies, %d failures that nobody is named for", lies, n)
	}
	s.Downtime = -1
	s.Crash(c)
	st := s.Propose(s.vault, s.addr, 9)
	s.Approve(st)
	if !s.Try(time.Minute, func() bool { return s.at(st, intent.Signed, a, b) }) {
		t.Fatalf("the two others do not sign; log:\n%s", s.Tail())
	}
}

// A cancellation or a rejection that comes while a session holds the intent is heard when that
// session ends, before the next one begins.
func TestStopDuringASession(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 2)
	for name, x := range map[string]struct {
		note func(s setting, st statement.Statement) outbox.Note
		want intent.State
	}{
		"cancellation": {func(s setting, st statement.Statement) outbox.Note {
			v, _ := s.Hosts[0].Keeper.Root(s.vault, charter.SuiteECDSA)
			cs, err := intent.Cancellation{
				Charter: v.Vault.Charter, Vault: s.vault, Intent: st.ID(), Initiator: nodetest.Initiator, Created: s.Now.Truncate(time.Second),
			}.Statement(s.Salt())
			if err != nil {
				s.T.Fatal(err)
			}
			return outbox.Note{Kind: decide.NoteCancel, Fields: [][]byte{cs.Bytes(), nodetest.NewPerson(s.T, nodetest.Initiator).Makes(s.T, cs)}}
		}, intent.Cancelled},
		"rejection": {func(s setting, st statement.Statement) outbox.Note {
			return s.Vote(st, nodetest.Approvers[0], signet.Reject)
		}, intent.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
			st := s.voted(0)
			start := s.Now
			since := func() time.Duration { return s.Now.Sub(start) }
			s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				switch session := nodetest.OfSession(p.Frame); {
				case p.To == c && !session: // it hears of nothing, and would sign
					return nil
				case session && (p.From == c || p.To == c) && since() < 21*time.Second: // but for the first time
					return nil
				case p.From == b && p.To == a && !session && since() > 0 && since() < 40*time.Second:
					return nil // what was said during the session is said again long after it
				}
				return []nodetest.Parcel{p}
			}
			_, frame := s.lure(st, c, a, 1)
			s.Forge(c, a, frame)
			if !s.at(st, intent.Signing, a) {
				t.Fatalf("the intent is %v, not in a session", s.State(a, st.ID()))
			}
			if _, err := b.Submit(context.Background(), s.Now, x.note(s, st)); err != nil {
				t.Fatal(err)
			}
			s.Deliver()
			for since() < 2*time.Minute {
				s.Step(time.Second)
				s.Deliver()
			}
			if !s.at(st, x.want, a, b) {
				t.Fatalf("%v and %v, want %v", s.State(a, st.ID()), s.State(b, st.ID()), x.want)
			}
		})
	}
}

// A node dies when the approval that makes up the quorum is durable and its own decision is
// not: it decides when it is back.
func TestDiesBetweenVoteAndDecision(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 3)
	a, votes := s.Hosts[0], 0
	before := a.Life
	s.Fate = func(h *nodetest.Host, _ int, b store.Batch) nodetest.Fate {
		for _, p := range b.Put {
			if h == a && strings.HasPrefix(p.Key, "vote/") {
				if votes++; votes == len(nodetest.Approvers) {
					return nodetest.CrashAfter
				}
			}
		}
		return nodetest.Live
	}
	st := s.Propose(s.vault, s.addr, 0)
	s.Approve(st)
	s.Run("signed everywhere", func() bool { return s.Signed(st) })
	if a.Life != before+1 {
		t.Fatalf("the node lived %d lives, %d of them before", a.Life, before)
	}
}

// A path belongs to one account, whatever its name, however many there are, after a restart too.
func TestOnePathOneAccount(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	h := s.Hosts[0]
	put := func(name string, n uint32) error {
		_, err := h.Submit(context.Background(), s.Now, s.AccountNote(s.vault, name, n))
		return err
	}
	for i := range uint32(20) {
		if err := put(fmt.Sprintf("m%02d", i), 2+i); err != nil {
			t.Fatal(err)
		}
	}
	s.Deliver()
	for life := range 2 {
		for i := range uint32(20) {
			for _, name := range []string{"a", "zz"} {
				if err := put(fmt.Sprint(name, i), 2+i); err == nil {
					t.Fatalf("life %d: a second account on path 0/%d", life, 2+i)
				}
			}
		}
		s.Downtime = 0
		s.Crash(h)
		s.Step(time.Second)
	}
	for _, h := range s.Hosts {
		paths := map[[2]uint32]bool{}
		list, err := h.Accounts.List(context.Background(), s.vault)
		for _, a := range list {
			paths[a.Path] = true
		}
		if err != nil || len(list) != 21 || len(paths) != 21 {
			t.Fatalf("%s: %d accounts on %d paths: %v", h.Own.Name, len(list), len(paths), err)
		}
	}
}

// A node whose clock is behind refuses a proposal from its future, for now: when the clock is
// right, it takes it and signs.
func TestProposalsSurviveAWrongClock(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-6 * time.Minute, -24 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			s := prepare(t, 3, 3)
			s.Hosts[0].Skew = skew
			st := s.Propose(s.vault, s.addr, 0)
			s.Approve(st)
			s.Try(10*time.Second, func() bool { return false })
			if _, err := s.Hosts[0].Desk.Show(st.ID()); err == nil {
				t.Fatal("a proposal from the future is taken")
			}
			s.Hosts[0].Skew = 0
			s.Run("signed everywhere", func() bool { return s.Signed(st) })
		})
	}
}

package node_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
)

// calm checks that nobody was punished: between honest nodes no fault may name anybody.
func calm(t *testing.T, w *nodetest.World, vault statement.ID) {
	t.Helper()
	for _, h := range w.Hosts {
		q, err := h.Sessions.Quarantined(context.Background(), key(w, vault))
		if err != nil || len(q) > 0 || len(h.Sessions.Burned(pairs(w, vault))) > 0 {
			t.Fatalf("%s punished an honest peer: quarantined %v, burned %v, %v", h.Own.Name, q, h.Sessions.Burned(pairs(w, vault)), err)
		}
	}
}

// mutate changes a frame as an attacker on the wire or a bad disk would.
func mutate(dice *rand.Rand, frame []byte, old [][]byte) []byte {
	b := bytes.Clone(frame)
	at := dice.IntN(len(b))
	switch dice.IntN(9) {
	case 0:
		b[at] ^= 1 << dice.IntN(8)
	case 1:
		return b[:at]
	case 2:
		return append(b, byte(dice.Uint32()))
	case 3:
		return append(b[:at], append([]byte{0, 0, 0, 1}, b[at:]...)...)
	case 4:
		b[0] = byte(dice.IntN(32))
	case 5:
		return append(b[:at], bytes.Repeat([]byte{0xff}, 2<<20)...)
	case 6:
		return old[dice.IntN(len(old))] // a replay
	case 7:
		other := old[dice.IntN(len(old))] // the head of one, the tail of another
		return append(b[:at], other[min(at, len(other)):]...)
	default:
		for i := at; i < min(len(b), at+8); i++ {
			b[i] = byte(dice.Uint32())
		}
	}
	return b
}

// 2,000 frames are changed on their way, most of them beside the true one: keygen and signing
// come to their ends, nobody is accused, nobody is burned.
func TestMutatedFrames(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(uint64(time.Now().Unix()/86400), 7))
	w := nodetest.New(t, 3)
	w.Found()
	var old [][]byte
	mutations := 0
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		old = append(old, p.Frame)
		out := []nodetest.Parcel{p}
		for range 8 {
			if mutations < 2000 && dice.IntN(2) == 0 {
				mutations++
				forged := p
				forged.Frame = mutate(dice, p.Frame, old)
				switch dice.IntN(3) {
				case 0:
					out = append(out, forged)
				case 1:
					out = append([]nodetest.Parcel{forged}, out...)
				default: // over another peer's link
					forged.From = w.Hosts[dice.IntN(3)]
					out = append(out, forged)
				}
			}
		}
		if mutations < 2000 && dice.IntN(40) == 0 {
			return out[1:] // and now and then one is lost
		}
		return out
	}
	vault := w.Vault(2)
	addr := w.Account(vault)
	for nonce := uint64(0); mutations < 2000; nonce++ {
		s := w.Propose(vault, addr, nonce)
		w.Approve(s)
		w.Run("the intent ends", func() bool { return w.All(func(h *nodetest.Host) bool { return ended(w, h, s) }) })
	}
	w.Pass = nil
	sign(t, w, vault, addr)
	calm(t, w, vault)
	for _, h := range w.Hosts {
		if _, err := h.Journal.Verify(context.Background()); err != nil {
			t.Fatalf("%s: %v", h.Own.Name, err)
		}
	}
}

// stage tells where a frame stands in its session: 0 Setup, 1 Join, then 1 + round.
func stage(frame []byte, protocols map[[32]byte]string) (name string, at int) {
	switch t, err := mpc.TypeOf(frame); {
	case err != nil:
	case t == mpc.SetupFrame:
		if s, err := mpc.OpenSetup(frame); err == nil {
			protocols[s.Hash()] = s.Protocol
			return s.Protocol, 0
		}
	case t == mpc.JoinFrame:
		if hash, _, err := mpc.JoinSetup(frame); err == nil {
			return protocols[hash], 1
		}
	default:
		if env, err := mpc.ReadEnvelope(frame); err == nil {
			return env.Protocol, 1 + int(env.Round)
		}
	}
	return "", -1
}

// A node goes away as it is about to send its part of one step, dead or only silent, and
// comes back half a minute later: what was going on comes to its end.
func TestNodeGoesAwayAtEachStep(t *testing.T) {
	t.Parallel()
	steps := map[string]int{protocol.ProtocolKeygen: 6, protocol.ProtocolTest: 5, protocol.ProtocolSign: 5}
	for name, n := range steps {
		for at := range n {
			for _, dead := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s step %d dead %v", name, at, dead), func(t *testing.T) { goAway(t, name, at, dead) })
			}
		}
	}
}

func goAway(t *testing.T, name string, at int, dead bool) {
	w := nodetest.New(t, 2)
	w.Found()
	w.Downtime = 30 * time.Second
	protocols, from := map[[32]byte]string{}, time.Time{}
	var gone *nodetest.Host
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if what, step := stage(p.Frame, protocols); from.IsZero() && what == name && step == at {
			gone, from = p.From, w.Now
			if dead {
				w.Crash(gone)
			}
		}
		if (p.From == gone || p.To == gone) && w.Now.Before(from.Add(30*time.Second)) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	vault := w.Vault(2)
	addr := w.Account(vault)
	sign(t, w, vault, addr)
	if from.IsZero() {
		t.Fatalf("%s has no step %d", name, at)
	}
	calm(t, w, vault)
}

// signers are the operators of the signing sessions that were opened, and when.
type opened struct {
	at      time.Time
	opener  string
	signers []string
}

func watchSetups(w *nodetest.World) *[]opened {
	seen, out := map[[32]byte]bool{}, new([]opened)
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if s, err := mpc.OpenSetup(p.Frame); err == nil && s.Protocol == protocol.ProtocolSign && !seen[s.Hash()] {
			seen[s.Hash()] = true
			o := opened{at: w.Now, opener: p.From.Own.Name}
			for _, party := range s.Parties {
				o.signers = append(o.signers, w.Find(party.Identity).Own.Name)
			}
			*out = append(*out, o)
		}
		return []nodetest.Parcel{p}
	}
	return out
}

// order lists the hosts as their seats' indices do.
func order(w *nodetest.World, vault statement.ID) (out []*nodetest.Host) {
	v, _ := w.Hosts[0].Keeper.Root(vault, charter.SuiteECDSA)
	for _, p := range v.Parties {
		out = append(out, w.Find(p.Identity))
	}
	return out
}

// In a 2-of-3 vault any two sign, whoever is away for ever: the two with the lowest indices
// that are there and allowed it, and the lowest of them opens.
func TestSignersAreTheLowestReachable(t *testing.T) {
	t.Parallel()
	ready := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(ready, 2)
	for away := range 4 {
		t.Run(fmt.Sprint("away ", away), func(t *testing.T) {
			w := ready.Clone(t, fmt.Sprint("lowest", away))
			w.Downtime = -1
			seats := order(w, vault)
			want := []string{seats[0].Own.Name, seats[1].Own.Name}
			if away < 3 {
				w.Crash(seats[away])
				left := append(append([]*nodetest.Host{}, seats[:away]...), seats[away+1:]...)
				want = []string{left[0].Own.Name, left[1].Own.Name}
			}
			up := func(f func(*nodetest.Host) bool) bool {
				for _, h := range w.Hosts {
					if h.Up && !f(h) {
						return false
					}
				}
				return true
			}
			seen := watchSetups(w)
			s, n := w.Proposal(ready.Intent(vault, addr, uint64(away)))
			if _, err := w.Submit(n); err != nil {
				t.Fatal(err)
			}
			w.Approve(s)
			w.Run("signed by two", func() bool { return up(func(h *nodetest.Host) bool { return w.State(h, s.ID()) == intent.Signed }) })
			if len(*seen) != 1 || (*seen)[0].opener != want[0] || fmt.Sprint((*seen)[0].signers) != fmt.Sprint(want) {
				t.Fatalf("sessions %v, want one of %v", *seen, want)
			}
		})
	}
}

// When the lowest is reachable and silent, the next opens 5 s later.
func TestTheNextOpensAfterTheLowest(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 2)
	seats := order(w, vault)
	seen := watchSetups(w)
	inner := w.Pass
	s := w.Propose(vault, addr, 0)
	w.Approve(s)
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		out := inner(p)
		if nodetest.OfSession(p.Frame) && p.From == seats[0] {
			return nil
		}
		return out
	}
	start := w.Now
	w.Run("the second opens", func() bool { return len(*seen) > 1 })
	if first := (*seen)[0]; first.opener != seats[0].Own.Name {
		t.Fatalf("%s opened first, want %s", first.opener, seats[0].Own.Name)
	}
	if second := (*seen)[1]; second.opener != seats[1].Own.Name || second.at.Sub(start) < 5*time.Second || second.at.Sub(start) > 8*time.Second {
		t.Fatalf("%s opened %s later, want %s after 5 s", second.opener, second.at.Sub(start), seats[1].Own.Name)
	}
	w.Pass = nil
	w.Run("signed in the end", func() bool { return w.Signed(s) })
}

// A pair whose check failed once refuses, across restarts, and says what to do; both sides'
// keys stay, and nobody else is touched.
func TestBurnedPairRefuses(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 2)
	vault, addr := nodetest.Ready(w, 2)
	breakPair(w, w.Hosts[1], w.Hosts[0], recordOf(w, vault))
	s := w.Propose(vault, addr, 0)
	w.Approve(s)
	w.Run("the first intent ends", func() bool { return w.All(func(h *nodetest.Host) bool { return ended(w, h, s) }) })
	if w.State(w.Hosts[0], s.ID()) != intent.Failed {
		t.Fatalf("where the check failed the intent is %s", w.State(w.Hosts[0], s.ID()))
	}
	if got := w.Hosts[0].Sessions.Burned(pairs(w, vault)); len(got) != 1 || got[0] != w.Hosts[1].Self() {
		t.Fatalf("burned %v, want the other node", got)
	}
	for i := range 3 {
		w.Downtime = 0
		w.Crash(w.Hosts[i%2])
		w.Step(time.Second)
		seen := watchSetups(w)
		s := w.Propose(vault, addr, uint64(i+1))
		w.Approve(s)
		w.Try(2*time.Minute, func() bool { return false })
		for _, h := range w.Hosts {
			v, err := h.Desk.Show(s.ID())
			if err != nil || v.State == intent.Signed {
				t.Fatalf("%s: state %v, %v: a burned pair signed", h.Own.Name, v.State, err)
			}
		}
		if !bytes.Contains(w.Log.Bytes(), []byte("is burned for key")) || !bytes.Contains(w.Log.Bytes(), []byte("ostraka vault refresh")) {
			t.Fatalf("the refusal does not say what to do (%d sessions tried); log:\n%s", len(*seen), w.Tail())
		}
	}
}

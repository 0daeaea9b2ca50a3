package session_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// committee is three operators who open whole key generations over real frames.
type committee struct {
	keys    map[engine.PartyID]ed25519.PrivateKey
	parties []session.Party
}

func newCommittee() *committee {
	c := &committee{keys: map[engine.PartyID]ed25519.PrivateKey{}}
	for i := range 3 {
		seed := sha256.Sum256([]byte{byte(i)})
		key := ed25519.NewKeyFromSeed(seed[:])
		p := session.Party{Identity: key.Public().(ed25519.PublicKey)}
		p.ID = session.IDOf(p.Identity)
		c.keys[p.ID], c.parties = key, append(c.parties, p)
	}
	c.parties = ceremony.Seats(c.parties)
	return c
}

// A node is one party's end of a session: machine and channel.
type node struct {
	machine *engine.Session[ceremony.Prepared]
	channel *session.Channel
	result  *ceremony.Prepared
}

// open makes a session from Setup to machines.
func (c *committee) open(tb testing.TB, seed uint64) []*node {
	tb.Helper()
	s := &session.Setup{
		Protocol: ceremony.ProtocolKeygen, Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Threshold: 2, Parties: c.parties,
		Opener: c.parties[0].ID, NotAfter: time.Unix(1_800_000_000, 0), Nonce: [32]byte{byte(seed)},
	}
	joinings, frames := make([]*session.Joining, 3), make([][]byte, 3)
	for i, p := range c.parties {
		var err error
		joinings[i], frames[i], err = session.NewJoin(s, p.ID, session.Standing{}, enginetest.Reader(seed+uint64(i)), session.NewSigner(c.keys[p.ID]))
		if err != nil {
			tb.Fatal(err)
		}
	}
	nodes := make([]*node, 3)
	for i, p := range c.parties {
		for j, f := range frames {
			if i != j {
				if err := joinings[i].Add(f); err != nil {
					tb.Fatal(err)
				}
			}
		}
		ch, err := joinings[i].Complete()
		if err != nil {
			tb.Fatal(err)
		}
		coins, err := session.Coins(enginetest.Reader(seed+10+uint64(i)), nil, ch.Session(), s.Payload)
		if err != nil {
			tb.Fatal(err)
		}
		seat := ceremony.Seat{Session: ch.Session(), Setup: s, Self: p.ID, Sign: session.NewSigner(c.keys[p.ID]), Rand: coins}
		first, err := ceremony.Keygen(seat, nil)
		if err != nil {
			tb.Fatal(err)
		}
		m, err := ceremony.Engine(seat, first)
		if err != nil {
			tb.Fatal(err)
		}
		nodes[i] = &node{machine: m, channel: ch}
	}
	return nodes
}

// A flight is a frame on its way to the party at a position.
type flight struct {
	to    int
	frame []byte
}

// carry runs nodes over frames; before lets the network act on each delivery.
func carry(tb testing.TB, nodes []*node, before func(f flight)) (recorded [][]byte) {
	tb.Helper()
	var queue []flight
	act := func(n *node, eff engine.Effects[ceremony.Prepared], err error) {
		if err != nil {
			tb.Fatal(err)
		}
		for _, m := range eff.Send {
			frame, err := n.channel.Seal(m)
			if err != nil {
				tb.Fatal(err)
			}
			recorded = append(recorded, frame)
			for i, other := range nodes {
				if other != n && (m.To == engine.Everyone || m.To == other.machine.Self()) {
					queue = append(queue, flight{i, frame})
				}
			}
		}
		if eff.Result != nil {
			n.result = eff.Result
		}
	}
	for _, n := range nodes {
		eff, err := n.machine.Start()
		act(n, eff, err)
	}
	for ; len(queue) > 0; queue = queue[1:] {
		f := queue[0]
		before(f)
		n := nodes[f.to]
		m, err := n.channel.Open(f.frame)
		if err != nil {
			tb.Fatal(err)
		}
		eff, err := n.machine.Step(m)
		act(n, eff, err)
	}
	return recorded
}

func check(t *testing.T, nodes []*node) {
	t.Helper()
	for i, n := range nodes {
		if n.result == nil {
			t.Fatalf("party %d has no key", i)
		}
		if n.result.Record.Hash() != nodes[0].result.Record.Hash() {
			t.Fatalf("party %d has another record", i)
		}
	}
}

// TOB-SILA-6: over two whole ceremonies no key encrypts twice under one nonce, and no two
// directions, pairs or sessions share a key.
func TestNoKeyAndNonceRepeat(t *testing.T) {
	seen := map[[2]string]bool{}
	keys := map[string]string{}
	private := 0
	for _, seed := range []uint64{1, 40} {
		nodes := newCommittee().open(t, seed)
		for i, n := range nodes {
			session.Record(n.channel, func(key, nonce string) {
				private++
				if seen[[2]string{key, nonce}] {
					t.Errorf("party %d repeats a nonce", i)
				}
				seen[[2]string{key, nonce}] = true
				owner := fmt.Sprint(seed, i)
				if keys[key] != "" && keys[key] != owner {
					t.Errorf("%s and %s share a key", keys[key], owner)
				}
				keys[key] = owner
			})
		}
		carry(t, nodes, func(flight) {})
		check(t, nodes)
	}
	// per ceremony: 6 directions, each with choice, answer and share
	if private != 2*18 || len(keys) != 2*6 {
		t.Errorf("%d private messages under %d keys", private, len(keys))
	}
}

// protocols.md 7 row 25, TOB-SILA-14: thousands of forged frames in the middle of a ceremony: each is
// refused, none aborts anything.
func TestGarbageAbortsNothing(t *testing.T) {
	c := newCommittee()
	nodes, r, forged := c.open(t, 1), rand.New(rand.NewPCG(1, 1)), 0
	other := c.open(t, 90)
	foreign := carry(t, other, func(flight) {})
	carry(t, nodes, func(f flight) {
		for range 250 {
			bad := slices.Clone(f.frame)
			switch r.IntN(4) {
			case 0:
				bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			case 1:
				bad = bad[:r.IntN(len(bad))]
			case 2:
				bad = foreign[r.IntN(len(foreign))]
			case 3:
				for i := range min(len(bad), 64) {
					bad[r.IntN(len(bad))] = byte(i)
				}
			}
			forged++
			if m, err := nodes[f.to].channel.Open(bad); err == nil {
				t.Fatalf("opened a forged frame of round %d", m.Round)
			} else if errors.As(err, new(*engine.Fault)) {
				t.Fatalf("a forged frame accuses: %v", err)
			}
		}
	})
	check(t, nodes)
	if forged < 10_000 {
		t.Errorf("only %d frames were forged", forged)
	}
}

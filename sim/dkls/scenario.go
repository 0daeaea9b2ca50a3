package dkls

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/frost"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/sim"
)

// Draw makes options of three nodes from a seed.
func Draw(seed uint64, mode sim.Mode) sim.Options {
	for s := seed << 8; ; s++ {
		if o := sim.Draw(s, mode); o.Nodes == 3 {
			return o
		}
	}
}

// Scenario is three signing nodes and a client that asks for a few signatures, again and
// again, with signers of its choice.
func Scenario(o sim.Options) sim.Scenario { return ScenarioOf(epoch.SuiteECDSA, o) }

// ScenarioOf is Scenario with keys of a suite: FROST signs where it is bip340-secp256k1.
func ScenarioOf(suite string, o sim.Options) sim.Scenario {
	com := MakeOf(suite, o.Threshold, o.Nodes)
	timeout := 3 * time.Second
	c := &client{com: com, done: map[[32]byte]bool{}, asked: map[[32]byte]bool{}}
	s := sim.Scenario{Begin: c.begin, Corrupt: noise}
	if o.Mode == sim.Liveness {
		timeout = 20 * time.Second
		s.Done = func() bool { return c.open() == 0 }
	}
	s.New = func(env sim.Env) sim.Node { return newNode(env, com, timeout, o.Corrupt.Has(env.ID)) }
	s.Checkers = append([]sim.Checker{c, sim.Live{Open: c.open}}, checkers(com)...)
	return s
}

// client asks, and notices signatures.
type client struct {
	com   *Committee
	w     *sim.World
	r     *rand.Rand
	want  int
	asked map[[32]byte]bool
	done  map[[32]byte]bool
}

func (c *client) begin(w *sim.World) {
	c.w, c.r = w, rand.New(rand.NewPCG(w.Seed, 'c'))
	c.want = 1 + c.r.IntN(3)
	for i := range c.want {
		w.After(time.Duration(c.r.IntN(5000))*time.Millisecond, func() { c.ask(byte(i), 0) })
	}
}

func (c *client) ask(intent, attempt byte) {
	q := Request{Intent: intent, Message: 1, Attempt: attempt}
	if c.done[q.Digest()] {
		return
	}
	if c.w.Mode == sim.Safety && c.r.IntN(5) == 0 {
		q.Message = 2 // the same intent with another meaning
	}
	c.asked[q.Digest()] = true
	for _, i := range c.r.Perm(c.w.Nodes)[:c.w.Threshold] {
		q.Signers |= 1 << i
	}
	for i := range c.w.Nodes {
		for k := range 3 { // the client repeats itself: its links fail too
			c.w.After(time.Duration(k)*time.Second, func() { c.w.Ask(i, q.encode()) })
		}
	}
	if c.w.Mode == sim.Liveness || attempt < 2 {
		pause := time.Duration(3000+c.r.IntN(4000)) * time.Millisecond
		c.w.After(pause, func() { c.ask(intent, attempt+1) })
	}
}

func (c *client) open() int {
	n := c.want
	for i := range c.want {
		if c.done[Request{Intent: byte(i), Message: 1}.Digest()] {
			n--
		}
	}
	return n
}

func (*client) Name() string         { return "client" }
func (*client) End(*sim.World) error { return nil }

func (c *client) See(w *sim.World, e sim.Event) error {
	s, ok := e.Fact.(Signed)
	if !ok || !w.Honest(e.Node) {
		return nil
	}
	c.done[s.Digest] = true
	if !c.asked[s.Digest] {
		return errors.New("signed what nobody asked for")
	}
	return nil
}

// noise is what a corrupt node does with its own frames on the way out.
func noise(r *rand.Rand, _, _ int, wire []byte) [][]byte {
	switch r.IntN(12) {
	case 0:
		return nil
	case 1:
		return [][]byte{wire, wire}
	case 2: // garbage in a sound wrapping
		kind, life, seq, frame, ok := unwrap(wire)
		if !ok || len(frame) == 0 {
			return nil
		}
		frame[r.IntN(len(frame))] ^= 1 << r.IntN(8)
		return [][]byte{wrap(kind, life, seq+1<<32, frame), wire}
	}
	return [][]byte{wire}
}

// begun remembers which setup a session came from, for the checkers after it.
type begun map[string][32]byte

func at(node int, id engine.SessionID) string { return fmt.Sprintf("%d %x", node, id) }

func (begun) Name() string         { return "sessions" }
func (begun) End(*sim.World) error { return nil }
func (b begun) See(_ *sim.World, e sim.Event) error {
	if f, ok := e.Fact.(Begun); ok {
		b[at(e.Node, f.Session)] = f.Setup
	}
	return nil
}

// passed is the message that a node's host gave to its link.
func passed(e sim.Event) (*mpc.Envelope, bool) {
	p, ok := e.Fact.(Passed)
	if !ok || p.Frame[0] != byte(mpc.MessageFrame) {
		return nil, false
	}
	env, err := mpc.ReadEnvelope(p.Frame)
	return env, err == nil
}

func checkers(com *Committee) []sim.Checker {
	b := begun{}
	return []sim.Checker{
		b,
		sim.Output{Bad: func(e sim.Event) error {
			switch f := e.Fact.(type) {
			case Signed:
				return good(com, f)
			case Damaged:
				return f.Err
			}
			return nil
		}},
		&sim.Terminal{
			Title: "I1 nothing after an error",
			Burns: func(e sim.Event) (string, bool) {
				f, ok := e.Fact.(Ended)
				return at(0, f.Session), ok && f.Session != engine.SessionID{}
			},
			Uses: func(e sim.Event) (string, bool) {
				env, ok := passed(e)
				if !ok {
					return "", false
				}
				return at(0, env.Session), true
			},
		},
		sim.Persist{Needs: func(e sim.Event) []string { return needs(b, e) }},
		released{},
		&sim.Function{Title: "I3 nonce function", Of: func(e sim.Event) (string, string, bool) {
			env, ok := passed(e)
			switch {
			case ok && env.Kind == dkls.KindOpening:
				return string(env.Body[32:][:secp256k1.PointSize]), string(env.Session[:]), true
			case ok && env.Kind == frost.KindCommit:
				return string(env.Body), string(env.Session[:]), true
			}
			return "", "", false
		}},
		&sim.Function{Title: "I3 one join for a setup", Of: func(e sim.Event) (string, string, bool) {
			p, ok := e.Fact.(Passed)
			if !ok || p.Frame[0] != byte(mpc.JoinFrame) {
				return "", "", false
			}
			hash, _, err := mpc.JoinSetup(p.Frame)
			return string(hash[:]), string(p.Frame), err == nil
		}},
		&sim.Function{Title: "I3 one message for r", Of: func(e sim.Event) (string, string, bool) {
			f, ok := e.Fact.(Signed)
			return string(f.Signature.Bytes[:32]), string(f.Digest[:]), ok
		}},
		&sim.Function{Title: "I10 one meaning", Of: func(e sim.Event) (string, string, bool) {
			for _, p := range e.Batch.Put {
				if strings.HasPrefix(p.Key, "decide/") {
					return p.Key, string(p.Value), true
				}
			}
			return "", "", false
		}},
		sim.Blame{Accused: func(e sim.Event) (who []int) {
			f, _ := e.Fact.(Ended)
			for _, id := range f.Accused {
				who = append(who, com.Member(id))
			}
			return who
		}},
		&pairs{com: com},
		&sim.Append{Prefix: "log/"},
	}
}

// good asks other code whether the signature is of the key, over what was decided.
func good(com *Committee, f Signed) error {
	if com.Record.Suite == epoch.SuiteBIP340 {
		q, err := frost.KeyOf(com.Record.Suite, com.Record.Public, nil, frost.KeyPath())
		if err != nil {
			return err
		}
		return independent.VerifySchnorr(q.Bytes[:], f.Digest[:], f.Signature.Bytes[:])
	}
	compact, err := independent.ParseCompact(f.Signature.Bytes[:])
	if err != nil {
		return err
	}
	key, err := independent.Recover(&f.Digest, compact, f.Signature.RecoveryID)
	if err != nil {
		return err
	}
	want, err := independent.ParsePublicKey(com.Record.Public.(*secp256k1.Point).Uncompressed())
	if err != nil {
		return err
	}
	if !key.Equal(want) || !compact.LowS() {
		return fmt.Errorf("signature %v over %x is not of the key, or s is high", f.Signature, f.Digest[:6])
	}
	return nil
}

// needs are the rows that a frame on the network depends on.
func needs(b begun, e sim.Event) []string {
	kind, _, _, frame, ok := unwrap(e.Frame)
	if !ok || kind != wireData || len(frame) == 0 {
		return nil
	}
	switch mpc.FrameType(frame[0]) {
	case mpc.JoinFrame:
		if hash, _, err := mpc.JoinSetup(frame); err == nil {
			return []string{AllowKey(hash)}
		}
	case mpc.MessageFrame:
		if env, err := mpc.ReadEnvelope(frame); err == nil {
			return []string{AllowKey(b[at(e.Node, env.Session)])}
		}
	}
	return nil
}

// released is the other half of I2 and I8: a signature is kept, with its leaf, before
// anybody is told.
type released struct{}

func (released) Name() string         { return "I8 kept before told" }
func (released) End(*sim.World) error { return nil }
func (released) See(w *sim.World, e sim.Event) error {
	if f, ok := e.Fact.(Signed); ok && w.Honest(e.Node) && !w.Disk(e.Node).Has(SignedKey(f.Setup)) {
		return errors.New("tells a signature that it does not hold")
	}
	return nil
}

// pairs is I7: after a burn is durable, or anybody was told of it, the pair is never judged
// again and no frame of a session with it leaves; over all incarnations.
type pairs struct {
	com    *Committee
	burned map[string]bool
}

func (*pairs) Name() string         { return "I7 terminal abort" }
func (*pairs) End(*sim.World) error { return nil }
func (p *pairs) See(w *sim.World, e sim.Event) error {
	if !w.Honest(e.Node) {
		return nil
	}
	key := func(peer string) string { return fmt.Sprintf("%d %s", e.Node, peer) }
	if f, ok := e.Fact.(Judged); ok {
		for _, id := range f.Peers {
			if p.burned[key(string(store.ID(id[:])))] {
				return fmt.Errorf("judges its pair with node %d, which it had burned", p.com.Member(id))
			}
		}
	}
	if env, ok := passed(e); ok && env.To != engine.Everyone && p.burned[key(string(store.ID(env.To[:])))] {
		return fmt.Errorf("sends round %d to node %d over a burned pair", env.Round, p.com.Member(env.To))
	}
	if f, ok := e.Fact.(Ended); ok && f.Burned {
		for _, id := range f.Accused {
			p.burn(key(string(store.ID(id[:]))))
		}
	}
	for _, put := range e.Batch.Put {
		if kind, rest, _ := strings.Cut(put.Key, "/"); kind == store.KindBurn {
			_, peer, _ := strings.Cut(rest, "/")
			p.burn(key(peer))
		}
	}
	return nil
}

func (p *pairs) burn(key string) {
	if p.burned == nil {
		p.burned = map[string]bool{}
	}
	p.burned[key] = true
}

package pulse

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// counter is entropy that says where it is.
type counter struct{ n byte }

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		c.n++
		b[i] = c.n
	}
	return len(b), nil
}

type held struct {
	key, epoch [32]byte
	party      [16]byte
	secret     group.Scalar
	public     group.Point
}

func shares(t testing.TB) (out []held) {
	for i, g := range []group.Group{secp256k1.Group{}, edwards25519.Group{}} {
		s, err := g.RandomScalar(&counter{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, held{[32]byte{byte(i)}, [32]byte{9, byte(i)}, [16]byte{7}, s, g.BaseMul(s)})
	}
	return out
}

func draft() Heartbeat {
	return Draft(Heartbeat{
		Roster: [32]byte{1}, Operator: "bolt", Version: "v0.5.0", Binary: [32]byte{2}, Created: noon,
		Peers: []Peer{{"acme", "log of acme", tlog.Head{Size: 12, Root: tlog.Hash{3}}}, {"cora", "log of cora", tlog.Empty}},
	}, [32]byte{5})
}

func beat(t testing.TB) (Heartbeat, []held) {
	t.Helper()
	h, own := draft(), shares(t)
	for _, x := range own {
		var err error
		if h, err = h.Prove(x.key, x.epoch, x.party, x.secret, x.public, &counter{}); err != nil {
			t.Fatal(err)
		}
	}
	return h, own
}

func TestRoundTrip(t *testing.T) {
	h, own := beat(t)
	s, err := h.Statement()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(s)
	if err != nil || got.ID != s.ID() || got.Operator != "bolt" || got.Version != "v0.5.0" || got.Binary != h.Binary || !got.Created.Equal(noon) || !slices.Equal(got.Peers, h.Peers) || len(got.Shares) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if seen, ok := got.Seen("acme"); !ok || seen.Size != 12 {
		t.Errorf("%v, %v", seen, ok)
	}
	if _, ok := got.Seen("bolt"); ok {
		t.Error("a node saw its own log")
	}
	for i, x := range got.Shares {
		if err := got.Check(x, own[i].party, own[i].public); err != nil {
			t.Error(err)
		}
	}
}

// A proof serves no other share, party, key, epoch, and no heartbeat that differs in anything: else an old one could be
// passed off as new.
func TestAProofServesOnce(t *testing.T) {
	h, own := beat(t)
	x, a := h.Shares[0], own[0]
	for name, change := range map[string]func(*Heartbeat, *Share, *held){
		"other key":      func(_ *Heartbeat, s *Share, _ *held) { s.Key[0] ^= 1 },
		"other epoch":    func(_ *Heartbeat, s *Share, _ *held) { s.Epoch[0] ^= 1 },
		"other party":    func(_ *Heartbeat, _ *Share, o *held) { o.party[0] ^= 1 },
		"other share":    func(_ *Heartbeat, _ *Share, o *held) { o.public = o.public.Add(o.public) },
		"damaged":        func(_ *Heartbeat, s *Share, _ *held) { s.Proof = bytes.Clone(s.Proof); s.Proof[40] ^= 1 },
		"cut":            func(_ *Heartbeat, s *Share, _ *held) { s.Proof = s.Proof[:64] },
		"later":          func(h *Heartbeat, _ *Share, _ *held) { h.Created = noon.Add(time.Second) },
		"salt":           func(h *Heartbeat, _ *Share, _ *held) { h.salt[0] ^= 1 },
		"roster":         func(h *Heartbeat, _ *Share, _ *held) { h.Roster[0] ^= 1 },
		"operator":       func(h *Heartbeat, _ *Share, _ *held) { h.Operator = "dora" },
		"version":        func(h *Heartbeat, _ *Share, _ *held) { h.Version = "v0.5.1" },
		"binary":         func(h *Heartbeat, _ *Share, _ *held) { h.Binary[0] ^= 1 },
		"other log":      func(h *Heartbeat, _ *Share, _ *held) { h.Peers[0].Origin += "/1" },
		"newer log":      func(h *Heartbeat, _ *Share, _ *held) { h.Peers[0].Log.Size++ },
		"other root":     func(h *Heartbeat, _ *Share, _ *held) { h.Peers[0].Log.Root[0] ^= 1 },
		"fewer peers":    func(h *Heartbeat, _ *Share, _ *held) { h.Peers = h.Peers[:1] },
		"of other group": func(_ *Heartbeat, _ *Share, o *held) { o.public = own[1].public },
	} {
		g, s, o := h, x, a
		g.Peers = slices.Clone(h.Peers)
		change(&g, &s, &o)
		if g.Check(s, o.party, o.public) == nil {
			t.Errorf("%s: the proof serves", name)
		}
	}
	// The other shares are not part of what a proof is over.
	alone := h
	alone.Shares = nil
	if err := alone.Check(x, a.party, a.public); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	h, _ := beat(t)
	for name, change := range map[string]func(*Heartbeat){
		"itself":          func(h *Heartbeat) { h.Peers[0].Operator = "bolt" },
		"peers' order":    func(h *Heartbeat) { h.Peers[0], h.Peers[1] = h.Peers[1], h.Peers[0] },
		"a peer twice":    func(h *Heartbeat) { h.Peers[1] = h.Peers[0] },
		"no origin":       func(h *Heartbeat) { h.Peers[1].Origin = "" },
		"an empty log":    func(h *Heartbeat) { h.Peers[1].Log.Root[0] ^= 1 },
		"shares' order":   func(h *Heartbeat) { h.Shares[0], h.Shares[1] = h.Shares[1], h.Shares[0] },
		"a share twice":   func(h *Heartbeat) { h.Shares[1] = h.Shares[0] },
		"a short proof":   func(h *Heartbeat) { h.Shares[0].Proof = h.Shares[0].Proof[:63] },
		"no operator":     func(h *Heartbeat) { h.Operator = "" },
		"no such version": func(h *Heartbeat) { h.Version = "" },
	} {
		g := h
		g.Peers, g.Shares = slices.Clone(h.Peers), slices.Clone(h.Shares)
		change(&g)
		if s, err := g.Statement(); err == nil {
			t.Errorf("%s: written:\n%s", name, s.Text())
		}
	}
	s, err := h.Statement()
	if err != nil {
		t.Fatal(err)
	}
	for name, swap := range map[string][2]string{
		"order":  {"peer: acme\n", "peer: dora\n"},
		"itself": {"peer: acme\n", "peer: bolt\n"},
		"root":   {"size: 12\n", "size: 0\n"},
		"kind":   {"ostraka/1 heartbeat", "ostraka/1 log"},
		"hex":    {"binary: 02", "binary: 0"},
	} {
		raw := strings.Replace(s.Text(), swap[0], swap[1], 1)
		if raw == s.Text() {
			t.Fatalf("%s: nothing to swap", name)
		}
		if p, err := statement.Parse([]byte(raw)); err == nil {
			if _, err := Of(p); err == nil {
				t.Errorf("%s: read", name)
			}
		}
	}
}

func FuzzHeartbeat(f *testing.F) {
	h, _ := beat(f)
	s, err := h.Statement()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := statement.Parse(raw)
		if err != nil {
			return
		}
		if h, err := Of(s); err == nil {
			if again, err := h.Statement(); err != nil || again.Text() != s.Text() {
				t.Errorf("%q became %q, %v", s.Text(), again.Text(), err)
			}
		}
	})
}

// A mask's proof serves no other heartbeat, key or mask, and is no share's proof, nor a share's a mask's.
func TestMaskIsProved(t *testing.T) {
	h, own := beat(t)
	mask := own[1].secret.Add(own[1].secret)
	public := own[1].public.Add(own[1].public)
	if h.CheckMask(h.Shares[1], own[1].party, public) == nil {
		t.Error("no proof is one")
	}
	h, err := h.ProveMask(own[1].party, mask, public, &counter{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Statement()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(s)
	if err != nil || len(got.Shares[0].Mask) != 0 {
		t.Fatalf("%v", err)
	}
	x := got.Shares[1]
	if err := got.CheckMask(x, own[1].party, public); err != nil {
		t.Error(err)
	}
	if err := got.Check(x, own[1].party, own[1].public); err != nil {
		t.Error(err)
	}
	swapped := x
	swapped.Proof, swapped.Mask = x.Mask, x.Proof
	later := got
	later.Created = noon.Add(time.Second)
	other := x
	other.Key[0] ^= 1
	for name, err := range map[string]error{
		"as a share": got.Check(swapped, own[1].party, public), "a share's as a mask's": got.CheckMask(swapped, own[1].party, own[1].public),
		"other mask": got.CheckMask(x, own[1].party, own[1].public), "later": later.CheckMask(x, own[1].party, public), "other key": got.CheckMask(other, own[1].party, public),
		"other party": got.CheckMask(x, [16]byte{1}, public),
	} {
		if err == nil {
			t.Errorf("%s: the proof serves", name)
		}
	}
}

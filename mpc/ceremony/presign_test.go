package ceremony

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/malice"
	"github.com/ostraka/ostraka/mpc/session"
)

// A stock is a committee with a pool for each of its signers.
type stock struct {
	*committee
	keys  []*Keys
	at    []int // positions of the signers
	pools []*dkls.Pool
}

func newStock(t testing.TB, n, threshold int, at ...int) *stock {
	t.Helper()
	s := &stock{committee: newCommittee(n), at: at}
	s.keys = s.keygen(t, threshold)
	for range at {
		p, err := dkls.NewPool(1, dkls.Ticket{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.pools = append(s.pools, p)
	}
	return s
}

func (s *stock) setup(protocol string, payload []byte) *session.Setup {
	r := s.keys[0].Record
	x := &session.Setup{Protocol: protocol, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold, Payload: payload}
	for _, i := range s.at {
		x.Parties = append(x.Parties, s.parties[i])
	}
	return x
}

// presign fills all pools with one presignature, and names it.
func (s *stock) presign(t testing.TB) dkls.PresigID {
	t.Helper()
	x, next := s.setup(ProtocolPresign, nil), 0
	made, err := enginetest.Run(enginetest.Options{Seed: 3}, machines(t, s.join(t, x), func(seat Seat) (engine.Stage[dkls.Presignature], error) {
		i := next
		next++
		ticket, err := s.pools[i].Reserve(x.KeyID, x.Epoch, x.Parties)
		if err != nil {
			return nil, err
		}
		return Presign(seat, s.keys[s.at[i]], ticket)
	})...).Results()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range made {
		if err := s.pools[i].Put(p); err != nil {
			t.Fatal(err)
		}
	}
	return made[0].ID()
}

// A use is an online session whose signers have joined and taken the presignature.
type use struct {
	setup *session.Setup
	seats []Seat
	taken []dkls.Presignature
}

func (s *stock) take(t testing.TB, id dkls.PresigID, req Request) *use {
	t.Helper()
	online := OnlineRequest{Request: req, Presignature: id}
	u := &use{setup: s.setup(ProtocolOnline, online.Encode())}
	u.seats = s.join(t, u.setup)
	for _, pool := range s.pools {
		p, burn, err := pool.Take(dkls.Claim{
			ID: id, KeyID: u.setup.KeyID, Epoch: u.setup.Epoch, Signers: u.setup.Parties, Use: dkls.Use{Setup: u.setup.Hash(), Digest: req.Digest}, Fence: 1,
		})
		if err != nil || burn.ID != id {
			t.Fatalf("take: %v", err)
		}
		u.taken = append(u.taken, p)
	}
	return u
}

func (s *stock) run(t testing.TB, u *use, req Request, corrupt func(uint8, []engine.Out) []engine.Out, hook enginetest.Hook) *enginetest.Cluster[Signature] {
	t.Helper()
	next := -1
	return enginetest.Run(enginetest.Options{Seed: 5, Hook: hook}, machines(t, u.seats, func(seat Seat) (engine.Stage[Signature], error) {
		next++
		first, err := Online(seat, s.keys[s.at[next]].Record, u.taken[next], req.Digest[:])
		if next == 1 && corrupt != nil && err == nil {
			first = enginetest.Corrupt(first, corrupt)
		}
		return first, err
	})...)
}

// sign uses a presignature; all must hold the same signature, after one message of each.
func (s *stock) sign(t testing.TB, id dkls.PresigID, req Request) Signature {
	t.Helper()
	c := s.run(t, s.take(t, id, req), req, nil, nil)
	sigs, err := c.Results()
	if err != nil {
		t.Fatal(err)
	}
	child, _, err := Child(s.keys[0].Record, req.Path)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range c.Parties {
		if sigs[i] != sigs[0] || len(p.Sent) != 1 || p.Sent[0].Kind != dkls.KindOnline || len(p.Saved) != 1 {
			t.Fatalf("party %d: another signature, %d messages, %d rows", i, len(p.Sent), len(p.Saved))
		}
	}
	parsed, err := independent.ParseCompact(sigs[0].Bytes[:])
	if err != nil {
		t.Fatal(err)
	}
	key, err := independent.Recover(&req.Digest, parsed, sigs[0].RecoveryID)
	if err != nil || !bytes.Equal(key.Compressed(), child.Bytes()) || !parsed.LowS() {
		t.Fatalf("the signature recovers to another key: %v", err)
	}
	return sigs[0]
}

func TestPresignThenOnline(t *testing.T) {
	for _, c := range []struct {
		n, t int
		at   []int
	}{{2, 2, []int{0, 1}}, {3, 3, []int{0, 1, 2}}, {3, 2, []int{0, 2}}, {3, 2, []int{1, 2}}} {
		t.Run(fmt.Sprintf("%d-of-%d %v", c.t, c.n, c.at), func(t *testing.T) {
			s := newStock(t, c.n, c.t, c.at...)
			for i, path := range []hd.Path{nil, {1, 2, 3}} {
				s.sign(t, s.presign(t), Request{Purpose: "transaction", Path: path, Digest: sha256.Sum256([]byte{byte(i)})})
			}
		})
	}
}

// Two presign sessions with the same coins would give one R; what is signed shifts it, by message and by path, so that
// no R′ existed before its request (protocols.md 2.7 [MUST]).
func TestOnlineShiftsTheNonceByTheRequest(t *testing.T) {
	base := Request{Purpose: "transaction", Path: hd.Path{1}, Digest: [32]byte{1}}
	seen := map[[32]byte]bool{}
	for _, change := range []func(*Request){
		func(*Request) {}, func(r *Request) { r.Digest = [32]byte{2} }, func(r *Request) { r.Path = hd.Path{2} }, func(r *Request) { r.Intent = [32]byte{3} },
	} {
		s := newStock(t, 2, 2, 0, 1) // the same seeds, hence the same presignature
		id := s.presign(t)
		req := base
		change(&req)
		sig := s.sign(t, id, req)
		if r := [32]byte(sig.Bytes[:32]); seen[r] {
			t.Fatalf("request %+v has a nonce that another had", req)
		} else {
			seen[r] = true
		}
	}
}

func TestOnlineRequestCodec(t *testing.T) {
	r := OnlineRequest{Request{Purpose: "transaction", Intent: [32]byte{1}, Path: hd.Path{1, 2, 3}, Digest: [32]byte{2}}, dkls.PresigID{3}}
	raw := r.Encode()
	got, err := DecodeOnlineRequest(raw)
	if err != nil || !bytes.Equal(got.Encode(), raw) || got.Presignature != r.Presignature || got.Intent != r.Intent {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := DecodeRequest(raw); err == nil {
		t.Error("an online request passes for a request")
	}
	if _, err := DecodeOnlineRequest(r.Request.Encode()); err == nil {
		t.Error("a request passes for an online request")
	}
	for i := range raw {
		if _, err := DecodeOnlineRequest(raw[:i]); err == nil {
			t.Errorf("cut after %d bytes, it decodes", i)
		}
	}
}

func FuzzDecodeOnlineRequest(f *testing.F) {
	r := OnlineRequest{Request{Purpose: "message", Path: hd.Path{7}}, dkls.PresigID{3}}
	f.Add(r.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := DecodeOnlineRequest(in); err == nil && !bytes.Equal(r.Encode(), in) {
			t.Fatalf("%x decodes and is encoded otherwise", in)
		}
	})
}

func TestPresignRefuses(t *testing.T) {
	s := newStock(t, 3, 2, 0, 1)
	for name, spoil := range map[string]func(*session.Setup){
		"protocol":  func(x *session.Setup) { x.Protocol = ProtocolSign },
		"payload":   func(x *session.Setup) { x.Payload = []byte{1} },
		"epoch":     func(x *session.Setup) { x.Epoch[0] ^= 1 },
		"key":       func(x *session.Setup) { x.KeyID[0] ^= 1 },
		"threshold": func(x *session.Setup) { x.Threshold = 3 },
		"index":     func(x *session.Setup) { x.Parties[1].Index = 9 },
		"suite":     func(x *session.Setup) { x.Suite = epoch.SuiteEd25519 },
	} {
		x := s.setup(ProtocolPresign, nil)
		ticket, err := s.pools[0].Reserve(x.KeyID, x.Epoch, x.Parties)
		if err != nil {
			t.Fatal(err)
		}
		spoil(x)
		seat := Seat{Session: engine.SessionID{1}, Setup: x, Self: s.parties[0].ID, Rand: enginetest.Reader(1)}
		if _, err := Presign(seat, s.keys[0], ticket); err == nil {
			t.Errorf("another %s passes", name)
		}
	}
	x := s.setup(ProtocolPresign, nil)
	seat := Seat{Session: engine.SessionID{1}, Setup: x, Self: s.parties[0].ID, Rand: enginetest.Reader(1)}
	if _, err := Presign(seat, s.keys[0], dkls.Ticket{}); err == nil {
		t.Error("no ticket passes")
	}
}

// Whatever is wrong with what Online is asked, the presignature is gone afterwards.
func TestOnlineRefusesAndSpends(t *testing.T) {
	s := newStock(t, 2, 2, 0, 1)
	req := Request{Purpose: "transaction", Path: hd.Path{1}, Digest: [32]byte{1}}
	for name, spoil := range map[string]func(*Seat) (message []byte){
		"protocol":     func(x *Seat) []byte { x.Setup.Protocol = ProtocolSign; return nil },
		"payload":      func(x *Seat) []byte { x.Setup.Payload = req.Encode(); return nil },
		"message":      func(*Seat) []byte { return make([]byte, 32) },
		"length":       func(*Seat) []byte { return make([]byte, 31) },
		"presignature": func(x *Seat) []byte { x.Setup.Payload = (&OnlineRequest{Request: req}).Encode(); return nil },
		"epoch":        func(x *Seat) []byte { x.Setup.Epoch[0] ^= 1; return nil },
		"index":        func(x *Seat) []byte { x.Setup.Parties[1].Index = 9; return nil },
		"nonces":       func(x *Seat) []byte { x.Nonces = x.Nonces[1:]; return nil },
		"setup":        func(x *Seat) []byte { x.Setup.Nonce[0] ^= 1; return nil },
		"script tree": func(x *Seat) []byte {
			o, _ := DecodeOnlineRequest(x.Setup.Payload)
			o.Tree = make([]byte, 32)
			x.Setup.Payload = o.Encode()
			return nil
		},
	} {
		u := s.take(t, s.presign(t), req)
		seat, copied := u.seats[0], *u.setup
		copied.Parties = slices.Clone(copied.Parties)
		seat.Setup = &copied
		message := spoil(&seat)
		if message == nil {
			message = req.Digest[:]
		}
		if _, err := Online(seat, s.keys[0].Record, u.taken[0], message); err == nil {
			t.Fatalf("another %s passes", name)
		}
		if _, err := Online(u.seats[0], s.keys[0].Record, u.taken[0], req.Digest[:]); err == nil {
			t.Errorf("%s: the presignature serves after a refusal", name)
		}
		if _, err := u.seats[1].Rand.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := seat.Rand.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the coins stay", name)
		}
	}
}

// The row of spec/presign 6 for the online message, through the whole ceremony: a wrong u or w is a signature that nobody
// has and that nobody is named for; what does not decode names who sent it.
func TestMaliciousOnline(t *testing.T) {
	message := malice.Message{Name: "online", Kind: dkls.KindOnline, Size: dkls.SumSize, Fields: []malice.Field{
		{Name: "u", Type: malice.Scalar, Size: 32, Want: malice.Unattributed},
		{Name: "w", Type: malice.Scalar, At: 32, Size: 32, Want: malice.Unattributed},
	}}
	s := newStock(t, 3, 3, 0, 1, 2)
	req := Request{Purpose: "transaction", Path: hd.Path{4}, Digest: [32]byte{1}}
	fresh := func() *use { return s.take(t, s.presign(t), req) }
	before := s.run(t, fresh(), req, nil, nil)
	said := func(i int) []byte { return before.Parties[i].Sent[0].Body }
	seen := malice.Seen{Other: said(2), Earlier: said(1)}
	cell := func(name string, want malice.Result, c *enginetest.Cluster[Signature]) {
		t.Run(name, func(t *testing.T) {
			var ends []malice.End
			for i, p := range c.Parties {
				if i != 1 {
					ends = append(ends, malice.End{Party: p.ID, Done: p.Result != nil, Err: p.Err, Burned: p.Burned})
				}
			}
			if got, err := malice.Judge(c.Parties[1].ID, ends); err != nil || got != want {
				t.Errorf("came to %s, want %s: %v", got, want, err)
			}
		})
	}
	for _, x := range append(message.Mutations(secp256k1.Group{}, malice.One), message.Replays(malice.Unattributed)...) {
		cell(x.String(), x.Want, s.run(t, fresh(), req, func(_ uint8, out []engine.Out) []engine.Out {
			for i, o := range out {
				out[i].Body = x.Edit(bytes.Clone(o.Body), seen)
			}
			return out
		}, nil))
	}
	on := func(do enginetest.Mutate) enginetest.Hook {
		return enginetest.On(enginetest.Match{From: s.parties[1].ID, To: s.parties[0].ID, Kind: dkls.KindOnline}, do)
	}
	for _, x := range message.Lengths() {
		cell(x.String(), x.Want, s.run(t, fresh(), req, nil, on(enginetest.Edit(func(b []byte) []byte { return x.Edit(b, seen) }))))
	}
	cell("whole/withheld", malice.Timeout, s.run(t, fresh(), req, nil, on(enginetest.Drop)))
	cell("whole/repeated", malice.Unaffected, s.run(t, fresh(), req, nil, on(enginetest.Twice)))
}

// An online session that the host gives up leaves nothing: not before its message, and not after it.
func TestAbandonedOnlineIsWiped(t *testing.T) {
	s := newStock(t, 2, 2, 0, 1)
	req := Request{Purpose: "transaction", Digest: [32]byte{1}}
	u := s.take(t, s.presign(t), req)
	c := s.run(t, u, req, nil, enginetest.On(enginetest.Match{Kind: dkls.KindOnline}, enginetest.Drop))
	for i, p := range c.Parties {
		if p.Session.Finished() || p.Session.Round() != OnlineRounds {
			t.Fatalf("ended in round %d with %v", p.Session.Round(), p.Err)
		}
		p.Session.Abandon()
		if _, err := Online(u.seats[i], s.keys[i].Record, u.taken[i], req.Digest[:]); err == nil {
			t.Error("the presignature serves twice")
		}
	}
}

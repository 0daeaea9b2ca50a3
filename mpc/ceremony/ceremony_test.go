package ceremony

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// committee is n operators with identity keys, seated by party id.
type committee struct {
	keys    map[engine.PartyID]ed25519.PrivateKey
	parties []session.Party
	seed    uint64
}

func newCommittee(n int) *committee {
	c := &committee{keys: map[engine.PartyID]ed25519.PrivateKey{}}
	for i := range n {
		seed := sha256.Sum256([]byte{byte(i)})
		key := ed25519.NewKeyFromSeed(seed[:])
		pub := key.Public().(ed25519.PublicKey)
		p := session.Party{ID: session.IDOf(pub), Identity: pub}
		c.keys[p.ID], c.parties = key, append(c.parties, p)
	}
	c.parties = Seats(c.parties)
	return c
}

// join opens a session for real: Setup, Joins and coins, each party with its own channel.
func (c *committee) join(t testing.TB, s *session.Setup) []Seat {
	t.Helper()
	c.seed++
	s.Opener, s.NotAfter = s.Parties[0].ID, time.Unix(1_800_000_000, 0).UTC()
	s.Nonce = sha256.Sum256(fmt.Appendf(nil, "nonce %d", c.seed))
	frame, err := session.SealSetup(s, session.NewSigner(c.keys[s.Opener]))
	if err != nil {
		t.Fatal(err)
	}
	joins, frames := make([]*session.Joining, len(s.Parties)), make([][]byte, len(s.Parties))
	for i, p := range s.Parties {
		own, err := session.OpenSetup(frame)
		if err != nil {
			t.Fatal(err)
		}
		rand := enginetest.Reader(c.seed<<8 | uint64(i))
		if joins[i], frames[i], err = session.NewJoin(own, p.ID, session.Standing{}, rand, session.NewSigner(c.keys[p.ID])); err != nil {
			t.Fatal(err)
		}
	}
	seats := make([]Seat, len(s.Parties))
	for i, p := range s.Parties {
		for j := range frames {
			if i != j {
				if err := joins[i].Add(frames[j]); err != nil {
					t.Fatal(err)
				}
			}
		}
		channel, err := joins[i].Complete()
		if err != nil {
			t.Fatal(err)
		}
		coins, err := session.Coins(enginetest.Reader(c.seed<<8|uint64(i)|1<<40), nil, channel.Session(), s.Payload)
		if err != nil {
			t.Fatal(err)
		}
		seats[i] = Seat{Session: channel.Session(), Setup: s, Self: p.ID, Sign: session.NewSigner(c.keys[p.ID]), Rand: coins, Nonces: channel.Nonces()}
	}
	return seats
}

func machines[R any](t testing.TB, seats []Seat, first func(Seat) (engine.Stage[R], error)) []*engine.Session[R] {
	t.Helper()
	out := make([]*engine.Session[R], len(seats))
	for i, s := range seats {
		stage, err := first(s)
		if err != nil {
			t.Fatal(err)
		}
		if out[i], err = Engine(s, stage); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// keygen runs the whole ceremony of epoch 0 and returns each member's rows, loaded.
func (c *committee) keygen(t testing.TB, threshold int) []*Keys {
	t.Helper()
	return c.keygenOf(t, epoch.SuiteECDSA, len(c.parties), threshold)
}

// keygenOf is keygen of a suite among the first n parties.
func (c *committee) keygenOf(t testing.TB, suite string, n, threshold int) []*Keys {
	t.Helper()
	setup := &session.Setup{Protocol: ProtocolKeygen, Suite: suite, KeyID: [32]byte{1}, Threshold: threshold, Parties: c.parties[:n]}
	run := enginetest.Run(enginetest.Options{Seed: 7}, machines(t, c.join(t, setup), unguarded)...)
	results, err := run.Results()
	if err != nil {
		t.Fatal(err)
	}
	var keys []*Keys
	for i, p := range c.parties[:n] {
		if err := results[i].Cert.Check(results[i].Record, nil); err != nil {
			t.Fatal(err)
		}
		k, err := loaded(p.ID, saved(run.Party(p.ID)))
		if err != nil {
			t.Fatal(err)
		}
		if k.Record.Hash() != results[0].Record.Hash() {
			t.Fatalf("party %d holds another record", i)
		}
		keys = append(keys, k)
	}
	return keys
}

// saved are the rows that a party kept, by name.
func saved(p *enginetest.Party[Prepared]) map[string][]byte {
	rows := map[string][]byte{}
	for _, r := range p.Saved {
		rows[r.Name] = r.Value
	}
	return rows
}

// loaded makes keys of a party's own rows.
func loaded(self engine.PartyID, rows map[string][]byte) (*Keys, error) {
	record, err := epoch.Decode(rows[RowRecord])
	if err != nil {
		return nil, err
	}
	return Load(record, self, reader(rows))
}

func reader(rows map[string][]byte) func(name string) (secret.Bytes, error) {
	return func(name string) (secret.Bytes, error) {
		if rows[name] == nil {
			return secret.Bytes{}, fmt.Errorf("no row %q", name)
		}
		return secret.Copy(rows[name]), nil
	}
}

// sign runs one signing session among the members at these positions.
func (c *committee) sign(t testing.TB, keys []*Keys, at []int, protocol string, req *Request) (Signature, engine.SessionID) {
	t.Helper()
	r := keys[0].Record
	setup := &session.Setup{Protocol: protocol, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold}
	if req != nil {
		setup.Payload = req.Encode()
	}
	for _, i := range at {
		setup.Parties = append(setup.Parties, c.parties[i])
	}
	seats := c.join(t, setup)
	next := 0
	run := enginetest.Run(enginetest.Options{Seed: 9}, machines(t, seats, func(s Seat) (engine.Stage[Signature], error) {
		k := keys[at[next]]
		next++
		if protocol == ProtocolTest {
			return Test(s, k)
		}
		return Sign(s, k, req.Digest[:])
	})...)
	sigs, err := run.Results()
	if err != nil {
		t.Fatal(err)
	}
	return sigs[0], seats[0].Session
}

func TestKeygenThenSign(t *testing.T) {
	for _, c := range []struct {
		n, t    int
		signers [][]int
	}{
		{3, 3, [][]int{{0, 1, 2}}},
		{3, 2, [][]int{{0, 1}, {0, 2}, {1, 2}, {0, 1, 2}}},
	} {
		t.Run(fmt.Sprintf("%d-of-%d", c.t, c.n), func(t *testing.T) {
			com := newCommittee(c.n)
			keys := com.keygen(t, c.t)
			all := make([]int, c.n)
			for i := range all {
				all[i] = i
			}
			com.sign(t, keys, all, ProtocolTest, nil)
			for _, at := range c.signers {
				com.sign(t, keys, at, ProtocolSign, &Request{Purpose: "transaction", Path: hd.Path{1, 2, 3}, Digest: sha256.Sum256([]byte("m"))})
			}
		})
	}
}

// FINAL from everyone makes a certificate that a stranger can check, and that moves a book.
func TestFinalCertificate(t *testing.T) {
	com := newCommittee(3)
	keys := com.keygen(t, 3)
	r := keys[0].Record
	cert := &epoch.Cert{Record: r.Hash()}
	for _, m := range r.Members {
		cert.Preps = append(cert.Preps, epoch.SignPrep(r.Hash(), session.NewSigner(com.keys[m.ID])))
	}
	fc := &epoch.FinalCert{Record: r, Cert: cert}
	for i, m := range r.Members {
		f, err := epoch.MakeFinal(r, cert, m.ID, keys[i].Share, enginetest.Reader(uint64(i)), session.NewSigner(com.keys[m.ID]))
		if err != nil {
			t.Fatal(err)
		}
		fc.Finals = append(fc.Finals, f)
	}
	again, err := epoch.DecodeFinalCert(fc.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Encode(), fc.Encode()) || again.Sum() != fc.Sum() {
		t.Fatal("decoding changed the certificate")
	}
	b := epoch.NewBook()
	if err := b.Prepare(r); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MayFinal(r.Hash()); err == nil {
		t.Fatal("FINAL allowed without certificate and test")
	}
	if erase, moved := b.Adopt(again); !moved || len(erase) != 0 || b.Current() != again {
		t.Fatalf("adopt: moved %v, erase %v", moved, erase)
	}
	// Every byte of the certificate matters.
	raw := fc.Encode()
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 1
		if _, err := epoch.DecodeFinalCert(bad); err == nil {
			t.Fatalf("byte %d may be flipped", i)
		}
	}
}

func TestSignRefusesAnotherRecord(t *testing.T) {
	com := newCommittee(3)
	keys := com.keygen(t, 3)
	r := keys[0].Record
	good := func() *session.Setup {
		return &session.Setup{
			Protocol: ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: 3,
			Parties: slices.Clone(com.parties), Payload: (&Request{Purpose: "transaction"}).Encode(),
		}
	}
	for name, spoil := range map[string]func(*session.Setup){
		"key":       func(s *session.Setup) { s.KeyID[0] ^= 1 },
		"epoch":     func(s *session.Setup) { s.Epoch[0] ^= 1 },
		"threshold": func(s *session.Setup) { s.Threshold = 2 },
		"suite":     func(s *session.Setup) { s.Suite = "ed25519" },
		"index":     func(s *session.Setup) { s.Parties[2].Index = 9 },
		"protocol":  func(s *session.Setup) { s.Protocol = ProtocolTest },
		"payload":   func(s *session.Setup) { s.Payload = nil },
		"path":      func(s *session.Setup) { s.Payload = (&Request{Path: make(hd.Path, hd.MaxDepth+1)}).Encode() },
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			spoil(s)
			seat := Seat{Session: engine.SessionID{1}, Setup: s, Self: com.parties[0].ID, Rand: enginetest.Reader(1)}
			if _, err := Sign(seat, keys[0], make([]byte, 32)); err == nil || errors.Is(err, engine.ErrFinished) {
				t.Fatalf("error %v", err)
			}
		})
	}
}

package ceremony

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

// live is a Setup of a live test among the first members.
func (c *committee) live(keys []*Keys, signers int) *session.Setup {
	r := keys[0].Record
	return &session.Setup{
		Protocol: ProtocolLive, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Parties: c.parties[:signers:signers], Payload: (&Live{Request: [32]byte{5}}).Encode(),
	}
}

// A live test signs the digest that all derived, with the root itself, in every suite; if one derived another, nothing comes of it.
func TestLiveSignsWithTheRoot(t *testing.T) {
	for _, suite := range suites {
		com := newCommittee(3)
		keys := com.keygenOf(t, suite, 3, 2)
		digest, next := sha256.Sum256([]byte("live")), 0
		begin := func(of func(i int) [32]byte) ([]Signature, error) {
			next = 0
			return enginetest.Run(enginetest.Options{Seed: 9}, machines(t, com.join(t, com.live(keys, 2)), func(s Seat) (engine.Stage[Signature], error) {
				next++
				return SignLive(s, keys[next-1], of(next-1))
			})...).Results()
		}
		sigs, err := begin(func(int) [32]byte { return digest })
		if err != nil {
			t.Fatalf("%s: %v", suite, err)
		}
		for _, s := range sigs {
			if err := chain.CheckDigest(suite, keys[0].Record.Public, digest, s.Bytes[:]); err != nil {
				t.Errorf("%s: %v", suite, err)
			}
		}
		if sigs, err := begin(func(i int) [32]byte { return sha256.Sum256([]byte{byte(i)}) }); err == nil {
			t.Errorf("%s: two digests, and %d signatures", suite, len(sigs))
		}
	}
}

// What is no live test is not signed as one, and a live test not as anything else.
func TestLiveRefuses(t *testing.T) {
	com := newCommittee(3)
	keys := com.keygen(t, 2)
	for name, spoil := range map[string]func(*session.Setup){
		"key":            func(s *session.Setup) { s.KeyID[0] ^= 1 },
		"epoch":          func(s *session.Setup) { s.Epoch[0] ^= 1 },
		"threshold":      func(s *session.Setup) { s.Threshold = 3 },
		"suite":          func(s *session.Setup) { s.Suite = "ed25519" },
		"index":          func(s *session.Setup) { s.Parties[1].Index = 9 },
		"too many":       func(s *session.Setup) { s.Parties = com.parties },
		"sign":           func(s *session.Setup) { s.Protocol = ProtocolSign },
		"test":           func(s *session.Setup) { s.Protocol = ProtocolTest },
		"no payload":     func(s *session.Setup) { s.Payload = nil },
		"with a digest":  func(s *session.Setup) { s.Payload = (&Request{Purpose: "transaction"}).Encode() },
		"a longer one":   func(s *session.Setup) { s.Payload = append(bytes.Clone(s.Payload), 0) },
		"a request of 0": func(s *session.Setup) { s.Payload = s.Payload[:6] },
	} {
		s := com.live(keys, 2)
		s.Parties = append([]session.Party(nil), s.Parties...)
		spoil(s)
		seat := Seat{Session: engine.SessionID{1}, Setup: s, Self: com.parties[0].ID, Rand: enginetest.Reader(1)}
		if _, err := SignLive(seat, keys[0], [32]byte{1}); err == nil {
			t.Errorf("%s: taken", name)
		}
		if s.Protocol != ProtocolLive {
			continue
		}
		if _, err := Sign(seat, keys[0], make([]byte, 32)); err == nil {
			t.Errorf("%s: signed as an intent", name)
		}
		if _, err := Test(seat, keys[0]); err == nil {
			t.Errorf("%s: signed as a test", name)
		}
	}
}

func TestLiveBytes(t *testing.T) {
	l := &Live{Request: [32]byte{1, 2}}
	want := append([]byte{0, 1, 0, 0, 0, 32, 1, 2}, make([]byte, 30)...)
	if got := l.Encode(); !bytes.Equal(got, want) {
		t.Errorf("%x", got)
	}
	if got, err := DecodeLive(want); err != nil || *got != *l {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzDecodeLive(f *testing.F) {
	f.Add((&Live{Request: [32]byte{1}}).Encode())
	f.Add((&Request{Purpose: "transaction"}).Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if l, err := DecodeLive(in); err == nil && !bytes.Equal(l.Encode(), in) {
			t.Errorf("%x became %x", in, l.Encode())
		}
	})
}

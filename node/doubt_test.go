package node_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/intent"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
)

// Sessions that fail, and nobody can be named for it.

// misheard is a frame of a session's round that says, rightly signed, to have seen other broadcasts before.
func misheard(p nodetest.Parcel, name string, round uint8) (out nodetest.Parcel, changed bool) {
	env, err := mpc.ReadEnvelope(p.Frame)
	if err != nil || env.Protocol != name || env.Round != round {
		return p, false
	}
	d := transcript.NewDecoder(p.Frame[1:])
	head, body := bytes.Clone(d.Bytes(1, 1024)), bytes.Clone(d.Bytes(2, 1<<20))
	body[0] ^= 1
	sum := sha256.Sum256(body)
	sig := ed25519.Sign(p.From.Key, transcript.New(transcript.SessionEnvelope).Bytes(head).Bytes(sum[:]).Tree())
	var e transcript.Encoder
	e.Bytes(1, head).Bytes(2, body).Bytes(3, sig)
	p.Frame = append([]byte{p.Frame[0]}, e.Sum()...)
	p.From.Hostile = true
	return p, true
}

// A signer spoils every presign session, and nobody can be named for it. After three no more are begun with these signers for an
// hour; the vault signs all the same, by the very signers, in three rounds. When the hour is over, presignatures are made again.
func TestSpoiltPresigningStopsNoSigning(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Tier = "hot"
	lies, setups := 0, map[[32]byte]bool{}
	lying := true
	var liar *nodetest.Host
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if x, err := mpc.OpenSetup(p.Frame); p.Frame[0] == 1 && err == nil && x.Protocol == protocol.ProtocolPresign {
			setups[x.Hash()] = true
			if liar == nil {
				liar = w.Find(x.Parties[1].Identity)
			}
		}
		if lying && p.From == liar {
			var changed bool
			if p, changed = misheard(p, protocol.ProtocolPresign, 3); changed {
				lies++
			}
		}
		return []nodetest.Parcel{p}
	}
	id, addr := nodetest.Ready(w, 2)
	s := setting{w, id, addr}
	a := s.seats()[0]
	s.Try(10*time.Minute, func() bool { return false })
	if n := len(s.Rows(a, "unattributed/")); lies < 3 || n != 3 || len(setups) > 4 {
		t.Fatalf("%d lies, %d failures that nobody is named for, %d sessions", lies, n, len(setups))
	}
	for i := range uint64(2) {
		st := s.Propose(s.vault, s.addr, i)
		s.Approve(st)
		if !s.Try(10*time.Second, func() bool { return s.Signed(st) }) {
			t.Fatalf("spoilt presignatures keep the vault from signing: %s", s.State(a, st.ID()))
		}
		if v, err := a.Desk.Show(st.ID()); err != nil || v.LastErr != "" {
			t.Errorf("a session failed on the way: %s, %v", v.LastErr, err)
		}
	}
	lying = false
	s.Now = s.Now.Add(61 * time.Minute)
	s.fill(1)
}

// spoilt has a signer spoil every session that signs, so that nobody can be named for it, and counts the intents that the others do not sign
// all the same.
func spoilt(t *testing.T, place, intents int, pause time.Duration) (lost int) {
	t.Helper()
	s := prepare(t, 3, 2)
	liar := s.seats()[place]
	others := slices.Delete(s.seats(), place, place+1)
	liar.Hostile = true
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == liar {
			if noteOf(p).Kind == decide.NoteSigned {
				return nil
			}
			p, _ = lied(p, protocol.ProtocolSign)
		}
		return []nodetest.Parcel{p}
	}
	for i := range intents {
		st := s.Propose(s.vault, s.addr, uint64(i))
		s.Approve(st)
		if !s.Try(3*time.Minute, func() bool { return s.at(st, intent.Signed, others...) }) {
			lost++
		}
		s.Now = s.Now.Add(pause)
	}
	t.Logf("place %d: %d of %d are lost", place, lost, intents)
	return lost
}

// Few intents are lost by it; then the two others sign, though it is there and answers.
func TestSpoiltSigningIsLeftBehind(t *testing.T) {
	t.Parallel()
	for place := range 3 {
		if lost := spoilt(t, place, 8, 0); lost > 3 {
			t.Errorf("one signer in place %d spoilt %d of 8 intents, one after the other", place, lost)
		}
	}
}

// The same where intents are rare: no set of signers fails three times within an hour, and the liar would spoil every intent for ever.
func TestSpoiltSigningIsLeftBehindThoughIntentsAreRare(t *testing.T) {
	t.Parallel()
	for place := range 2 {
		if lost := spoilt(t, place, 6, 40*time.Minute); lost > 2 {
			t.Errorf("one signer in place %d spoilt %d of 6 intents, one after the other", place, lost)
		}
	}
}

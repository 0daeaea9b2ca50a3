package session

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// statement is a confirmation of an output with two parties, and what may differ in it.
type statement struct {
	signature, proof transcript.Label
	id               engine.SessionID
	t2               engine.Transcript
	public           group.Point
	chainCode        [32]byte
	publics          map[engine.PartyID]group.Point
}

func outputOf(g group.Group) statement {
	ids := enginetest.IDs(2)
	return statement{
		signature: transcript.KeygenConfirm, proof: transcript.KeygenConfirmProof,
		id: engine.SessionID{1}, t2: engine.Transcript{2}, public: g.BaseMul(g.Scalar(9)), chainCode: [32]byte{3},
		publics: map[engine.PartyID]group.Point{ids[0]: g.BaseMul(g.Scalar(5)), ids[1]: g.BaseMul(g.Scalar(6))},
	}
}

func (s statement) confirmation() Confirmation {
	return NewConfirmation(s.signature, s.proof, s.id, s.t2, s.public, s.chainCode, s.publics)
}

func TestConfirmation(t *testing.T) {
	for _, g := range []group.Group{secp256k1.Group{}, ristretto255.Group{}} {
		ids := enginetest.IDs(2)
		s := outputOf(g)
		sign := NewSigner(identity(0))
		from := Party{ID: ids[0], Index: 1, Identity: identity(0).Public().(ed25519.PublicKey)}
		c := s.confirmation()
		body, err := c.Make(ids[0], g.Scalar(5), s.publics[ids[0]], sign, enginetest.Reader(1))
		if err != nil || len(body) != ConfirmationSize(g) {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
		if err := c.Check(from, s.publics[ids[0]], body); err != nil {
			t.Error(err)
		}
		// Any other output, and any other prover.
		for name, spoil := range map[string]func(s *statement){
			"signature's label": func(s *statement) { s.signature = transcript.ReshareConfirm },
			"proof's label":     func(s *statement) { s.proof = transcript.ReshareConfirmProof },
			"session":           func(s *statement) { s.id[0]++ },
			"transcript":        func(s *statement) { s.t2[0]++ },
			"key":               func(s *statement) { s.public = g.Generator() },
			"chain code":        func(s *statement) { s.chainCode[0]++ },
			"public share":      func(s *statement) { s.publics[ids[1]] = g.Generator() },
			"one party more":    func(s *statement) { s.publics[engine.PartyID{7}] = g.Generator() },
			"one party less":    func(s *statement) { delete(s.publics, ids[1]) },
			"parties exchanged": func(s *statement) { s.publics[ids[0]], s.publics[ids[1]] = s.publics[ids[1]], s.publics[ids[0]] },
		} {
			o := outputOf(g)
			spoil(&o)
			if o.confirmation().Check(from, s.publics[ids[0]], body) == nil {
				t.Errorf("%s: another %s passes", g.Name(), name)
			}
		}
		stranger := from
		stranger.Identity = identity(1).Public().(ed25519.PublicKey)
		other := from
		other.ID = ids[1]
		for name, err := range map[string]error{
			"identity key": c.Check(stranger, s.publics[ids[0]], body), "prover": c.Check(other, s.publics[ids[0]], body),
			"share": c.Check(from, s.publics[ids[1]], body),
		} {
			if err == nil {
				t.Errorf("%s: another %s passes", g.Name(), name)
			}
		}
		for i := range body {
			b := bytes.Clone(body)
			b[i] ^= 1
			if c.Check(from, s.publics[ids[0]], b) == nil {
				t.Errorf("%s: byte %d may differ", g.Name(), i)
			}
		}
		for _, b := range [][]byte{nil, body[1:], append(bytes.Clone(body), 0)} {
			if err := c.Check(from, s.publics[ids[0]], b); err == nil || !strings.Contains(err.Error(), "bytes, not") {
				t.Errorf("%d bytes: %v", len(b), err)
			}
		}
		if _, err := c.Make(ids[0], g.Scalar(5), s.publics[ids[0]], sign, io.LimitReader(enginetest.Reader(1), 8)); err == nil {
			t.Error("proves without randomness")
		}
	}
}

func TestPlace(t *testing.T) {
	var list []Party
	for _, id := range enginetest.IDs(4)[1:] {
		list = append(list, Party{ID: id})
	}
	ids := enginetest.IDs(5)
	for _, c := range []struct{ dealer, receiver, want int }{
		{1, 2, 0}, {1, 3, 1}, {2, 1, 0}, {2, 3, 1}, {3, 2, 1}, // of the list
		{0, 1, 0}, {0, 3, 2}, // a dealer who does not receive
		{0, 4, 3}, {1, 4, 2}, // a receiver who is not there
	} {
		if got := Place(list, ids[c.dealer], ids[c.receiver]); got != c.want {
			t.Errorf("dealer %d, receiver %d: %d, want %d", c.dealer, c.receiver, got, c.want)
		}
	}
}

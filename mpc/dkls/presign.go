package dkls

import (
	"crypto/subtle"
	"errors"
	"slices"

	"github.com/ostraka/ostraka/mpc/engine"
)

// Presign is the first of four stages (spec/presign 2): rounds 1 and 2 of Sign without a message,
// then a round in which all confirm. Params carry no Tweak, Child and Digest: they belong to Online.
// The error is our own misuse.
func Presign(p Params) (engine.Stage[Presignature], error) {
	s, err := newPresigner(p)
	if err != nil {
		return nil, &engine.Misuse{Doing: "prepare to presign", Err: err}
	}
	return begin(s, closePresigning), nil
}

func newPresigner(p Params) (*signer, error) {
	switch {
	case p.Tweak != nil || p.Child != nil || p.Digest != [32]byte{}:
		return nil, errors.New("tweak, child key and digest belong to the online round")
	case p.Epoch == [32]byte{}:
		return nil, errors.New("the epoch record's hash is zero")
	case p.Ticket == Ticket{}:
		return nil, errors.New("there is no ticket of a pool")
	}
	p.Child = p.Public // e = 0: check 5 is against X
	return newSigner(p)
}

// closePresigning makes round 3 of presigning, spec/presign 2.2. Nothing that depends on the
// products leaves: the id says that our checks passed, and of which openings.
func closePresigning(s *signer, t engine.Transcript) (out engine.Outcome[Presignature]) {
	q := &presig{
		session: s.Session, keyID: s.KeyID, epoch: s.Epoch, signers: slices.Clone(s.Signers), self: s.Self,
		public: s.public.Settled(), nonce: s.nonce, ticket: s.Ticket,
	}
	q.phi.Set(&s.phi)
	s.products(&q.u, &q.v)
	q.id = q.name(t)
	out.Send = []engine.Out{{Kind: KindConfirm, Body: q.id[:]}}
	out.Next = &confirm{s, q}
	return out
}

// confirm takes round 3. The engine compared T₂ before it accepted a body: from here on all
// honest signers hold the same R.
type confirm struct {
	*signer
	presig *presig
}

// Wipe is engine.Wiper: the presignature came to nothing.
func (s *confirm) Wipe() {
	s.presig.wipe()
	s.signer.wipe()
}

func (s *confirm) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{s.want(KindConfirm, false, ConfirmSize)}}
}

// Accept: a signer whose check failed says nothing here, and then nobody has a presignature that
// it lacks. What all agree on gives the id, so another id is a lie.
func (s *confirm) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	r := newReader("confirmation", body, ConfirmSize)
	if id := r.bytes(ConfirmSize); r.err == nil && subtle.ConstantTimeCompare(id, s.presig.id[:]) != 1 {
		return engine.Blamed("dkls: confirmation", from, errors.New("is of another presignature"))
	}
	return r.err
}

// Finish: spec/presign 2.3. The result is the caller's: into a pool, or wiped.
func (s *confirm) Finish(engine.Transcript) (out engine.Outcome[Presignature], err error) {
	p := newPresignature(s.presig)
	out.Result = &p
	return out, nil
}

package dkls

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// OnlineParams are what one signer needs to use a presignature. All but Self and Presignature
// must be equal at all signers.
type OnlineParams struct {
	Session      engine.SessionID // of the online session: digests its Setup and all Joins
	Setup        [32]byte         // H(Setup): what the presignature was taken for, and every Join carried
	KeyID        [32]byte
	Epoch        [32]byte // eh: the record in force
	Self         session.Party
	Signers      []session.Party // S, as it presigned
	Public       group.Point     // X
	Path         hd.Path         // of the child key, as the Setup has it
	Tweak        group.Scalar    // e: added to the key; nil for 0
	Child        group.Point     // X + e·G: the key that the signature verifies under
	Digest       [32]byte        // m: derived by this party from the full transaction
	Nonces       [][32]byte      // of all Joins, in the order of Signers
	Presignature Presignature    // taken from a pool for this Setup and Digest
}

// Online is the first of two stages (spec/presign 4): one broadcast. The presignature is gone when
// Online returns, whatever it returns. The error is our own misuse; a second use is one.
//
// The first stage saves the burn record beside its message: the host makes it durable before the
// message leaves. From then on every end means "possibly signed".
func Online(p OnlineParams) (engine.Stage[Signature], error) {
	const doing = "prepare to use a presignature"
	q, err := p.Presignature.spend()
	if err != nil {
		return nil, &engine.Misuse{Doing: doing, Err: err}
	}
	s, err := newShifted(p, q)
	if err != nil {
		return nil, &engine.Misuse{Doing: doing, Err: err}
	}
	return s, nil
}

// shifted makes the broadcast of the online round.
type shifted struct {
	*signer
	presig *presig
	delta  *secp256k1.Scalar // δ
}

// newShifted takes q over: it is wiped with the stage, or here if the parameters do not fit.
func newShifted(p OnlineParams, q *presig) (made *shifted, err error) {
	defer func() {
		if err != nil {
			q.wipe()
		}
	}()
	if err := p.fits(q); err != nil {
		return nil, err
	}
	s := &signer{Params: Params{
		Session: p.Session, KeyID: p.KeyID, Epoch: p.Epoch, Self: q.self, Signers: q.signers, Public: p.Public,
		Tweak: p.Tweak, Child: p.Child, Digest: p.Digest,
	}}
	// That the child key is X + e·G, which the caller derived both from, is not computed again: it takes a tenth of
	// the stage, and what does not fit gives no signature in the end.
	if err := s.takeChild(); err != nil {
		return nil, err
	}
	if !s.public.Equal(q.public) {
		return nil, errors.New("the key is not the one that was presigned for")
	}
	s.digest.SetReduced(&s.Digest)
	for _, o := range q.signers {
		if o.ID != q.self.ID {
			s.peers = append(s.peers, &peer{Party: o})
		}
	}
	return &shifted{s, q, p.shift(q, s.childKey)}, nil
}

// fits holds the parameters to what the presignature was made and taken for.
func (p *OnlineParams) fits(q *presig) error {
	same := func(a, b session.Party) bool { return a.ID == b.ID && a.Index == b.Index }
	switch {
	case p.Session == engine.SessionID{} || p.Session == q.session:
		return errors.New("the session id is zero, or the presign session's")
	case p.Setup != q.use.Setup || p.Digest != q.use.Digest:
		return errors.New("the presignature was taken for another setup or digest")
	case p.KeyID != q.keyID || p.Epoch != q.epoch:
		return errors.New("the presignature is of another key or epoch")
	case !same(p.Self, q.self) || !slices.EqualFunc(p.Signers, q.signers, same):
		return errors.New("the presignature is of other signers")
	case len(p.Nonces) != len(q.signers):
		return fmt.Errorf("%d join nonces for %d signers", len(p.Nonces), len(q.signers))
	}
	return nil
}

// shift is δ = H_q(presigID, R, eh, S, sid of the presign session, X, X_child, path, m, sid, Join
// nonces): protocols.md 2.7 [MUST], against the additive shift (Groth–Shoup, ePrint 2021/1330).
// Whatever of these changes gives another R′, and none existed before all signers had joined.
func (p *OnlineParams) shift(q *presig, child *secp256k1.Point) *secp256k1.Scalar {
	h := transcript.New(transcript.DKLsShift).Bytes(q.id[:]).Points(q.nonce).Bytes(q.epoch[:])
	hashSigners(h, q.signers).Bytes(q.session[:]).Points(q.public, child)
	h.Uint(uint64(len(p.Path)))
	for _, i := range p.Path {
		h.Uint(uint64(i))
	}
	h.Bytes(p.Digest[:]).Bytes(p.Session[:])
	nonces := make([][]byte, len(p.Nonces))
	for i := range p.Nonces {
		nonces[i] = p.Nonces[i][:]
	}
	return h.List(nonces...).Scalar(secp256k1.Group{}).(*secp256k1.Scalar)
}

// Wipe is engine.Wiper.
func (s *shifted) Wipe() {
	s.presig.wipe()
	s.signer.wipe()
}

func (*shifted) Expect() engine.Expect { return engine.Expect{} }

func (*shifted) Accept(kind engine.Kind, _ engine.PartyID, _ []byte) error {
	return &engine.Misuse{Doing: "sign", Err: fmt.Errorf("kind %#x comes before round 1", uint8(kind))}
}

// Finish: protocols.md 2.7 Online, spec/presign 4.2. v ← v + e·φ, u ← u + δφ, R′ = R + δG.
func (s *shifted) Finish(engine.Transcript) (out engine.Outcome[Signature], err error) {
	defer s.Wipe()
	q := s.presig
	if f := s.setNonce(q.nonce.Add(secp256k1.BaseMul(s.delta)).(*secp256k1.Point)); f != nil {
		return out, f
	}
	q.v.AddProduct(&s.tweak, &q.phi)
	q.u.AddProduct(s.delta, &q.phi)
	s.ownSum = s.partial(&q.u, &q.phi, &q.v)
	burn := q.burn()
	out.Save = []engine.Record{{Name: burn.Name(), Value: burn.Encode()}}
	out.Send = []engine.Out{{Kind: KindOnline, Body: s.ownSum.encode()}}
	out.Next = &conclude{s.signer, KindOnline}
	return out, nil
}

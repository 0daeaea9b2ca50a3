package ceremony

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// OnlineRounds is the number of rounds of Online: after our one message, an abort means "possibly signed".
const OnlineRounds = 1

// An OnlineRequest is the payload of an online Setup: a Request, and the presignature that all signers mean
// by it (spec/presign 4).
type OnlineRequest struct {
	Request
	Presignature dkls.PresigID
}

const (
	fieldOnlineRequest transcript.Tag = iota + 1
	fieldOnlinePresignature
)

// maxRequest bounds a Request within an OnlineRequest, in bytes.
const maxRequest = 1024

// Encode is the canonical form.
func (r *OnlineRequest) Encode() []byte {
	var e transcript.Encoder
	return e.Bytes(fieldOnlineRequest, r.Request.Encode()).Bytes(fieldOnlinePresignature, r.Presignature[:]).Sum()
}

// DecodeOnlineRequest reads the canonical form.
func DecodeOnlineRequest(b []byte) (*OnlineRequest, error) {
	d, r := transcript.NewDecoder(b), &OnlineRequest{}
	inner := d.Bytes(fieldOnlineRequest, maxRequest)
	copy(r.Presignature[:], d.Fixed(fieldOnlinePresignature, len(r.Presignature)))
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode online request: %w", err)
	}
	req, err := DecodeRequest(inner)
	if err != nil {
		return nil, fmt.Errorf("decode online request: %w", err)
	}
	r.Request = *req
	return r, nil
}

// Presign makes a presignature of the Setup's signers under a ticket of our pool (protocols.md 2.7, spec/presign 2). The
// caller has checked the Setup's record. The result is the caller's: into its pool, or wiped.
func Presign(s Seat, k *Keys, ticket dkls.Ticket) (engine.Stage[dkls.Presignature], error) {
	r := k.Record
	switch {
	case s.Setup.Protocol != ProtocolPresign || len(s.Setup.Payload) != 0:
		return nil, fmt.Errorf("presign: setup of protocol %q with a payload of %d bytes makes no presignature", s.Setup.Protocol, len(s.Setup.Payload))
	case r.Suite != epoch.SuiteECDSA:
		return nil, fmt.Errorf("presign: suite %s has no presignatures", r.Suite)
	}
	if err := CheckSigners(s, r); err != nil {
		return nil, err
	}
	self, _ := s.Setup.Party(s.Self)
	return dkls.Presign(dkls.Params{
		Session: s.Session, KeyID: PairKey(r), Self: self, Signers: s.Setup.Parties, Threshold: r.Threshold,
		Share: k.Share, Publics: r.Publics(), Public: r.Public, Pairs: k.Pairs, Rand: s.Rand,
		Epoch: r.Hash(), Ticket: ticket,
	})
}

// Online signs a request with a presignature, in one broadcast (protocols.md 2.7, spec/presign 4). Neither share nor pairs are
// needed, only the record that they are of. What the caller of Sign has checked, the caller has checked; the presignature
// was taken from our pool for this Setup and Digest, and is gone when Online returns, whatever it returns.
func Online(s Seat, r *epoch.Record, p dkls.Presignature, message []byte) (engine.Stage[Signature], error) {
	session.WipeCoins(s.Rand) // nothing is drawn
	stage, err := online(s, r, p, message)
	if err != nil {
		p.Wipe()
		return nil, err
	}
	return &then[dkls.Signature, Signature]{s: stage, with: signature}, nil
}

func online(s Seat, r *epoch.Record, p dkls.Presignature, message []byte) (engine.Stage[dkls.Signature], error) {
	req, err := DecodeOnlineRequest(s.Setup.Payload)
	if err != nil {
		return nil, fmt.Errorf("sign online: %w", err)
	}
	digest, err := Digest(r.Suite, message)
	switch {
	case err != nil:
		return nil, fmt.Errorf("sign online: %w", err)
	case r.Suite != epoch.SuiteECDSA || len(req.Tree) > 0:
		return nil, fmt.Errorf("sign online: suite %s has no presignatures, or the request names a script tree", r.Suite)
	case s.Setup.Protocol != ProtocolOnline || req.Digest != digest:
		return nil, fmt.Errorf("sign online: setup of protocol %q is not for this message", s.Setup.Protocol)
	case p.ID() != req.Presignature:
		return nil, fmt.Errorf("sign online: setup names presignature %v, we hold %v", req.Presignature, p.ID())
	}
	if err := CheckSigners(s, r); err != nil {
		return nil, err
	}
	child, shift, err := Child(r, req.Path)
	if err != nil {
		return nil, fmt.Errorf("sign online: %w", err)
	}
	self, _ := s.Setup.Party(s.Self)
	return dkls.Online(dkls.OnlineParams{
		Session: s.Session, Setup: s.Setup.Hash(), KeyID: PairKey(r), Epoch: r.Hash(), Self: self, Signers: s.Setup.Parties,
		Public: r.Public, Path: req.Path, Tweak: shift, Child: child, Digest: digest, Nonces: s.Nonces, Presignature: p,
	})
}

// signature brings DKLs23's into the form of all suites.
func signature(x *dkls.Signature) (engine.Outcome[Signature], error) {
	sig := Signature{RecoveryID: x.RecoveryID}
	copy(sig.Bytes[copy(sig.Bytes[:], x.R[:]):], x.S[:])
	return engine.Outcome[Signature]{Result: &sig}, nil
}

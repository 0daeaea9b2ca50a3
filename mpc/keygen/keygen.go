package keygen

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Message kinds. Round 1: KindCommit. Round 2: KindOpening, KindShare. Round 3: KindConfirm.
const (
	KindCommit  engine.Kind = 0x10 // broadcast: Cᵢ
	KindOpening engine.Kind = 0x11 // broadcast: Aᵢ, Kᵢ, zᵢ, ccᵢ, ρᵢ, hᵢⱼ
	KindShare   engine.Kind = 0x12 // direct: fᵢ(xⱼ), blindᵢⱼ
	KindConfirm engine.Kind = 0x13 // broadcast: signature and proof over the output
)

const hashSize = 32

// Params are what one party needs to take part.
type Params struct {
	Session   engine.SessionID
	Group     group.Group
	Self      session.Party
	Parties   []session.Party // by index; self included
	Threshold int             // t: 2…n shares are needed to sign
	Sign      session.Signer
	Rand      io.Reader
}

// Output is what a party holds after keygen.
type Output struct {
	Share     group.Scalar                   // sᵢ: secret
	Public    group.Point                    // X
	Publics   map[engine.PartyID]group.Point // Xⱼ of every party
	ChainCode [32]byte                       // cc
	Echo      engine.Transcript              // T₃: after the last round
}

// Wipe forgets the share.
func (out *Output) Wipe() { out.Share.Wipe() }

// Start is the first of four stages: polynomials and commitments; openings and shares; checks
// and confirmations; agreement. Parameters that do not fit are *engine.Misuse when the session starts.
func Start(p Params) engine.Stage[Output] {
	return &deal{run: &run{Params: p, peers: map[engine.PartyID]*peer{}}}
}

func (p Params) check() error {
	i := slices.IndexFunc(p.Parties, func(q session.Party) bool { return q.ID == p.Self.ID })
	switch {
	case p.Session == engine.SessionID{}:
		return errors.New("the session id is zero")
	case p.Group == nil || p.Sign == nil || p.Rand == nil:
		return errors.New("no group, signer or source of randomness")
	case i < 0 || p.Parties[i].Index != p.Self.Index:
		return errors.New("we are not in the list of parties, or at another index")
	}
	return session.CheckRoster(p.Parties, p.Threshold)
}

// run is what one party's session remembers from round to round.
type run struct {
	Params
	poly      share.Polynomial  // fᵢ
	commit    share.Commitment  // Aᵢ
	nonce     *share.Nonce      // κᵢ
	chainCode [32]byte          // ccᵢ
	salt      [32]byte          // ρᵢ
	echo1     engine.Transcript // T₁
	peers     map[engine.PartyID]*peer
	wiped     bool
}

// peer is what we heard from another party.
type peer struct {
	session.Party
	commitment []byte // Cⱼ
	opening    *opening
	share      share.Dealt // fⱼ(xᵢ), blindⱼᵢ
}

// Format redacts under every verb.
func (*run) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// Wipe is engine.Wiper.
func (r *run) Wipe() { r.wipe() }

// wipe forgets all that is not part of the output.
func (r *run) wipe() {
	r.wiped = true
	r.poly.Wipe()
	if r.nonce != nil {
		r.nonce.Wipe()
	}
	for _, p := range r.peers {
		p.share.Wipe()
	}
}

// refuse wipes when a message does not decode: the engine ends the session then.
func (r *run) refuse(check string, from engine.PartyID, err error) error {
	r.wipe()
	return engine.Blamed(check, from, err)
}

func (r *run) others() (ids []engine.PartyID) {
	for _, p := range r.Parties {
		if p.ID != r.Self.ID {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// commitHash is Cᵢ = H(sid, i, Aᵢ, Kᵢ, ccᵢ, ρᵢ).
func (r *run) commitHash(of engine.PartyID, o *opening) [32]byte {
	return transcript.New(transcript.KeygenCommit).Bytes(r.Session[:]).Bytes(of[:]).
		Points(o.commit...).Points(o.nonce).Bytes(o.chainCode[:]).Bytes(o.salt[:]).Sum256()
}

// challenge is eᵢ = H_q(sid, T₁, i, Aᵢ, Kᵢ).
func (r *run) challenge(of engine.PartyID, commit share.Commitment, nonce group.Point) group.Scalar {
	return transcript.New(transcript.KeygenProof).Bytes(r.Session[:]).Bytes(r.echo1[:]).Bytes(of[:]).
		Points(commit...).Points(nonce).Scalar(r.Group)
}

// shareHash is hᵢⱼ = H(sid, i, j, fᵢ(xⱼ), blindᵢⱼ).
func shareHash(id engine.SessionID, from, to engine.PartyID, d share.Dealt) [32]byte {
	return d.Hash(transcript.KeygenShareHash, id[:], from[:], to[:])
}

// deal is round 1: sample and commit.
type deal struct{ *run }

func (*deal) Expect() engine.Expect                            { return engine.Expect{} }
func (*deal) Accept(engine.Kind, engine.PartyID, []byte) error { return nil }
func (s *deal) Finish(engine.Transcript) (engine.Outcome[Output], error) {
	var none engine.Outcome[Output]
	if err := s.check(); err != nil {
		return none, &engine.Misuse{Doing: "generate key", Err: err}
	}
	// 1.1 R1: fᵢ of degree t−1, Aᵢ, ccᵢ, ρᵢ, κᵢ, Kᵢ.
	var err error
	if s.poly, err = share.Sample(s.Group, s.Threshold, nil, s.Rand); err != nil {
		return none, fmt.Errorf("keygen: sample polynomial: %w", err)
	}
	s.commit = s.poly.Commit()
	a0 := s.poly.Constant()
	defer a0.Wipe()
	if s.nonce, err = share.NewNonce(transcript.KeygenProof, s.Session[:], a0, s.Rand); err != nil {
		s.wipe()
		return none, fmt.Errorf("keygen: draw proof nonce: %w", err)
	}
	for _, b := range [][]byte{s.chainCode[:], s.salt[:]} {
		if _, err := io.ReadFull(s.Rand, b); err != nil {
			s.wipe()
			return none, fmt.Errorf("keygen: read entropy: %w", err)
		}
	}
	c := s.commitHash(s.Self.ID, s.ownOpening())
	return engine.Outcome[Output]{
		Send: []engine.Out{{Kind: KindCommit, Body: c[:]}},
		Next: &open{s.run},
	}, nil
}

// ownOpening is our opening without proof and share hashes.
func (r *run) ownOpening() *opening {
	return &opening{commit: r.commit, nonce: r.nonce.Commitment(), chainCode: r.chainCode, salt: r.salt}
}

// open is round 2: after all commitments, open ours and deal.
type open struct{ *run }

func (s *open) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: KindCommit, From: s.others(), MaxBody: hashSize}}}
}

func (s *open) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if len(body) != hashSize {
		return s.refuse("keygen: commitment", from, fmt.Errorf("has %d bytes, not %d", len(body), hashSize))
	}
	for _, p := range s.Parties {
		if p.ID == from {
			s.peers[from] = &peer{Party: p, commitment: body}
		}
	}
	return nil
}

func (s *open) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	s.echo1 = t
	o := s.ownOpening()
	var out engine.Outcome[Output]
	a0 := s.poly.Constant()
	defer a0.Wipe()
	var err error
	// zᵢ = κᵢ + eᵢ·aᵢ₀
	if o.proof, err = s.nonce.Respond(s.challenge(s.Self.ID, o.commit, o.nonce), a0); err != nil {
		s.wipe()
		return out, fmt.Errorf("keygen: prove our contribution: %w", err)
	}
	var direct []engine.Out
	for _, p := range s.Parties {
		if p.ID == s.Self.ID {
			continue
		}
		d, err := share.Deal(s.poly, p.Index, s.Rand)
		if err != nil {
			s.wipe()
			return out, fmt.Errorf("keygen: %w", err)
		}
		o.hashes = append(o.hashes, shareHash(s.Session, s.Self.ID, p.ID, d))
		direct = append(direct, engine.Out{Kind: KindShare, To: p.ID, Body: d.Bytes()})
		d.Wipe()
	}
	out.Send = append(direct, engine.Out{Kind: KindOpening, Body: o.encode()})
	out.Next = &confirm{s.run}
	return out, nil
}

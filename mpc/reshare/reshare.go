package reshare

import (
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
	KindCommit  engine.Kind = 0x18 // broadcast of dealers: Cᵢ
	KindOpening engine.Kind = 0x19 // broadcast of dealers: Bᵢ, Kᵢ, zᵢ, salt, hᵢⱼ
	KindShare   engine.Kind = 0x1a // direct, dealer to receiver: gᵢ(x′ⱼ), blindᵢⱼ
	KindConfirm engine.Kind = 0x1b // broadcast of receivers: signature and proof over the output
)

const hashSize = 32

// Output is what a party holds afterwards.
type Output struct {
	Share     group.Scalar                   // s′ⱼ: secret; nil for a dealer who leaves
	Public    group.Point                    // X, as before
	Publics   map[engine.PartyID]group.Point // X′ⱼ of every receiver
	ChainCode [32]byte                       // cc, as before
	Echo      engine.Transcript              // T₃: after the last round
}

// Wipe forgets the share.
func (out *Output) Wipe() {
	if out.Share != nil {
		out.Share.Wipe()
	}
}

// Start is the first of four stages: polynomials and commitments; openings and shares; checks
// and confirmations; agreement. Parameters that do not fit are *engine.Misuse when the session starts.
func Start(p Params) engine.Stage[Output] {
	return &deal{run: &run{Params: p, peers: map[engine.PartyID]*peer{}}}
}

// run is what one party's session remembers from round to round.
type run struct {
	Params
	deals, receives bool             // our roles
	held            group.Scalar     // of a refresh: a copy of sᵢ
	poly            share.Polynomial // gᵢ
	commit          share.Commitment // Bᵢ
	nonce           *share.Nonce     // κᵢ; nil in a refresh
	salt            [hashSize]byte
	own             group.Scalar      // what we keep of our own dealing
	absent          group.Scalar      // Σ weight·value of the absent dealers; nil without any
	echo1           engine.Transcript // T₁
	peers           map[engine.PartyID]*peer
}

// peer is what we heard from another dealer.
type peer struct {
	session.Party
	commitment []byte // Cⱼ
	opening    *opening
	share      share.Dealt // gⱼ(x′ᵢ), blindⱼᵢ; if we receive
}

// Format redacts under every verb.
func (*run) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// Wipe is engine.Wiper: it forgets all that is not part of the output. The engine calls it after every
// error, so that stages do not.
func (r *run) Wipe() {
	r.Secret = nil // the caller's
	r.poly.Wipe()
	for _, s := range []group.Scalar{r.held, r.own, r.absent} {
		if s != nil {
			s.Wipe()
		}
	}
	if r.nonce != nil {
		r.nonce.Wipe()
	}
	for _, p := range r.peers {
		p.share.Wipe()
	}
}

// others are all of a list but us.
func (r *run) others(list []session.Party) (ids []engine.PartyID) {
	for _, p := range list {
		if p.ID != r.Self.ID {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// commitHash is Cᵢ = H(sid, i, Bᵢ, Kᵢ, salt).
func (r *run) commitHash(of engine.PartyID, o *opening) [hashSize]byte {
	return transcript.New(transcript.ReshareCommit).Bytes(r.Session[:]).Bytes(of[:]).
		Points(o.sent()...).Points(o.nonces()...).Bytes(o.salt[:]).Sum256()
}

// challenge is eᵢ = H_q(sid, T₁, i, Bᵢ, Kᵢ).
func (r *run) challenge(of engine.PartyID, commit share.Commitment, nonce group.Point) group.Scalar {
	return transcript.New(transcript.ReshareProof).Bytes(r.Session[:]).Bytes(r.echo1[:]).Bytes(of[:]).
		Points(commit...).Points(nonce).Scalar(r.Group)
}

// shareHash is hᵢⱼ = H(sid, i, j, gᵢ(x′ⱼ), blindᵢⱼ).
func shareHash(id engine.SessionID, from, to engine.PartyID, d share.Dealt) [hashSize]byte {
	return d.Hash(transcript.ReshareShareHash, id[:], from[:], to[:])
}

// deal is round 1: dealers sample and commit.
type deal struct{ *run }

func (*deal) Expect() engine.Expect                            { return engine.Expect{} }
func (*deal) Accept(engine.Kind, engine.PartyID, []byte) error { return nil }
func (s *deal) Finish(engine.Transcript) (engine.Outcome[Output], error) {
	var none engine.Outcome[Output]
	if err := s.check(); err != nil {
		return none, &engine.Misuse{Doing: "reshare key", Err: err}
	}
	us := func(p session.Party) bool { return p.ID == s.Self.ID }
	s.deals, s.receives = slices.ContainsFunc(s.dealers(), us), slices.ContainsFunc(s.receivers(), us)
	s.gather()
	out := engine.Outcome[Output]{Next: &open{s.run}}
	if !s.deals {
		return out, nil
	}
	if err := s.sample(); err != nil {
		return none, fmt.Errorf("reshare: %w", err)
	}
	c := s.commitHash(s.Self.ID, s.ownOpening())
	out.Send = []engine.Out{{Kind: KindCommit, Body: c[:]}}
	return out, nil
}

// gather adds up what absent dealers gave us. Their values are the caller's, who may wipe them from here on.
func (r *run) gather() {
	r.Absent = slices.Clone(r.Absent)
	for i, a := range r.Absent {
		if !r.receives {
			break
		}
		if r.absent == nil {
			r.absent = r.Group.Scalar(0)
		}
		part := a.Weight.Mul(a.Value)
		r.absent = sumOf(r.absent, part)
		part.Wipe()
		r.Absent[i].Value = nil
	}
}

// sample is 1.2: gᵢ of degree t′−1 with gᵢ(0) = wᵢ, and 1.3: with gᵢ(0) = 0; Bᵢ, κᵢ, Kᵢ, salt.
func (r *run) sample() (err error) {
	constant := r.Secret
	if r.refreshes() {
		r.held, constant = r.Secret.Add(r.Group.Scalar(0)), r.Group.Scalar(0)
	}
	if r.poly, err = share.Sample(r.Group, r.Threshold, constant, r.Rand); err != nil {
		return err
	}
	r.commit = r.poly.Commit()
	if !r.refreshes() {
		if r.nonce, err = share.NewNonce(transcript.ReshareProof, r.Session[:], r.Secret, r.Rand); err != nil {
			return fmt.Errorf("draw proof nonce: %w", err)
		}
	}
	r.Secret = nil // the caller's; it may be wiped from here on
	if _, err := io.ReadFull(r.Rand, r.salt[:]); err != nil {
		return fmt.Errorf("read entropy: %w", err)
	}
	return nil
}

// ownOpening is our opening without proof and share hashes.
func (r *run) ownOpening() *opening {
	o := &opening{commit: r.commit, salt: r.salt}
	if r.nonce != nil {
		o.nonce = r.nonce.Commitment()
	}
	return o
}

// open is round 2: after all commitments, dealers open theirs and deal.
type open struct{ *run }

func (s *open) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: KindCommit, From: s.others(s.dealers()), MaxBody: hashSize}}}
}

func (s *open) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if len(body) != hashSize {
		return engine.Blamed("reshare: commitment", from, fmt.Errorf("has %d bytes, not %d", len(body), hashSize))
	}
	for _, p := range s.dealers() {
		if p.ID == from {
			s.peers[from] = &peer{Party: p, commitment: body}
		}
	}
	return nil
}

func (s *open) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	s.echo1 = t
	out := engine.Outcome[Output]{Next: &confirm{s.run}}
	if !s.deals {
		return out, nil
	}
	var err error
	if out.Send, err = s.send(); err != nil {
		return engine.Outcome[Output]{}, fmt.Errorf("reshare: %w", err)
	}
	s.keep()
	return out, nil
}

// send makes our opening and the shares.
func (s *open) send() (out []engine.Out, err error) {
	o := s.ownOpening()
	if s.nonce != nil {
		// zᵢ = κᵢ + eᵢ·wᵢ
		w := s.poly.Constant()
		defer w.Wipe()
		if o.proof, err = s.nonce.Respond(s.challenge(s.Self.ID, o.commit, o.nonce), w); err != nil {
			return nil, fmt.Errorf("prove our contribution: %w", err)
		}
	}
	for _, p := range s.receivers() {
		if p.ID == s.Self.ID {
			continue
		}
		d, err := share.Deal(s.poly, p.Index, s.Rand)
		if err != nil {
			for _, o := range out { // shares that will not leave
				secret.Wipe(o.Body)
			}
			return nil, err
		}
		o.hashes = append(o.hashes, shareHash(s.Session, s.Self.ID, p.ID, d))
		out = append(out, engine.Out{Kind: KindShare, To: p.ID, Body: d.Bytes()})
		d.Wipe()
	}
	return append(out, engine.Out{Kind: KindOpening, Body: o.encode()}), nil
}

// keep holds on to our own part of what we dealt, and forgets the polynomial.
func (s *open) keep() {
	if s.receives {
		s.own = scaled(s.poly.Eval(s.Self.Index), s.terms(s.Self.ID).Weight)
	}
	if s.held != nil {
		s.own = sumOf(s.own, s.held)
		s.held.Wipe()
	}
	s.poly.Wipe()
}

// scaled is weight·v, and wipes v.
func scaled(v, weight group.Scalar) group.Scalar {
	if weight == nil {
		return v
	}
	defer v.Wipe()
	return weight.Mul(v)
}

// sumOf is a + b, and wipes a.
func sumOf(a, b group.Scalar) group.Scalar {
	defer a.Wipe()
	return a.Add(b)
}

package session

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
)

// Standing is where a party stands in a key's life: its current epoch.
type Standing struct {
	Epoch     uint64   // e; 0 also while there is none
	Record    [32]byte // eh; zero while there is none
	FinalCert [32]byte // SHA-256 of the certificate; zero while there is none
}

// A Join is a party's answer to a Setup.
type Join struct {
	Setup     [32]byte
	From      engine.PartyID
	Nonce     [32]byte
	Ephemeral [32]byte // X25519 public key
	Standing  Standing
}

const (
	fieldJoinSetup transcript.Tag = iota + 1
	fieldJoinFrom
	fieldJoinNonce
	fieldJoinEphemeral
	fieldJoinEpoch
	fieldJoinRecord
	fieldJoinFinalCert
)

// Encode is the canonical form that is signed, and hashed into the session id.
func (j *Join) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldJoinSetup, j.Setup[:]).Bytes(fieldJoinFrom, j.From[:]).Bytes(fieldJoinNonce, j.Nonce[:])
	e.Bytes(fieldJoinEphemeral, j.Ephemeral[:]).Uint(fieldJoinEpoch, j.Standing.Epoch)
	return e.Bytes(fieldJoinRecord, j.Standing.Record[:]).Bytes(fieldJoinFinalCert, j.Standing.FinalCert[:]).Sum()
}

// DecodeJoin reads the canonical form.
func DecodeJoin(b []byte) (*Join, error) {
	d, j := transcript.NewDecoder(b), &Join{}
	copy(j.Setup[:], d.Fixed(fieldJoinSetup, 32))
	copy(j.From[:], d.Fixed(fieldJoinFrom, len(j.From)))
	copy(j.Nonce[:], d.Fixed(fieldJoinNonce, 32))
	copy(j.Ephemeral[:], d.Fixed(fieldJoinEphemeral, 32))
	j.Standing.Epoch = d.Uint(fieldJoinEpoch, 1<<62)
	copy(j.Standing.Record[:], d.Fixed(fieldJoinRecord, 32))
	copy(j.Standing.FinalCert[:], d.Fixed(fieldJoinFinalCert, 32))
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode join: %w", err)
	}
	return j, nil
}

// JoinSetup reads which Setup a join frame answers, and for whom, without believing it: for dispatch.
func JoinSetup(frame []byte) (setup [32]byte, from engine.PartyID, err error) {
	body, _, err := unseal(frameJoin, frame)
	if err != nil {
		return setup, from, err
	}
	j, err := DecodeJoin(body)
	if err != nil {
		return setup, from, err
	}
	return j.Setup, j.From, nil
}

// JoinOf reads a join frame that this identity key signed: as evidence of what its holder
// once said, in whichever session.
func JoinOf(key ed25519.PublicKey, frame []byte) (*Join, error) {
	body, sig, err := unseal(frameJoin, frame)
	if err != nil {
		return nil, err
	}
	j, err := DecodeJoin(body)
	if err != nil {
		return nil, err
	}
	if !Verify(key, transcript.New(transcript.SessionJoin).Bytes(body), sig) {
		return nil, fmt.Errorf("%w: join is not signed by this key", ErrInauthentic)
	}
	return j, nil
}

// StandingError says that a party stands in another epoch than the one we expect. It is
// normal lag: the session ends, and the side behind is sent the final certificate.
type StandingError struct {
	From        engine.PartyID
	Theirs, Our Standing
}

func (e *StandingError) Error() string {
	return fmt.Sprintf("join: party %v stands in epoch %d (record %x), we in %d (%x)",
		e.From, e.Theirs.Epoch, e.Theirs.Record[:6], e.Our.Epoch, e.Our.Record[:6])
}

// ErrDifferentJoin marks a second, different Join by one party for one Setup: evidence of
// equivocation. The first one stands.
var ErrDifferentJoin = errors.New("a second, different join")

// Joining collects the Joins of one Setup.
type Joining struct {
	setup     *Setup
	hash      [32]byte
	self      engine.PartyID
	standing  Standing
	ephemeral *ecdh.PrivateKey
	sign      Signer
	joins     map[engine.PartyID][]byte // canonical bodies
	shared    map[engine.PartyID][]byte // secret: the Diffie–Hellman value with each peer
}

// Format redacts under every verb.
func (*Joining) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// NewJoin answers a Setup: it draws our nonce and ephemeral key and returns the frame to
// send to all parties. What our standing is, the caller reads from its own store.
func NewJoin(s *Setup, self engine.PartyID, standing Standing, rand io.Reader, sign Signer) (*Joining, []byte, error) {
	if _, ok := s.Party(self); !ok {
		return nil, nil, errors.New("join: we are not a party of this setup")
	}
	var coins [64]byte
	if _, err := io.ReadFull(rand, coins[:]); err != nil {
		return nil, nil, fmt.Errorf("join: read entropy: %w", err)
	}
	// The private key is 32 uniform bytes; X25519 clamps them.
	ephemeral, err := ecdh.X25519().NewPrivateKey(coins[32:])
	if err != nil {
		return nil, nil, fmt.Errorf("join: make an ephemeral key: %w", err)
	}
	j := &Join{Setup: s.Hash(), From: self, Nonce: [32]byte(coins[:32]), Standing: standing}
	copy(j.Ephemeral[:], ephemeral.PublicKey().Bytes())
	clear(coins[:])
	body := j.Encode()
	joining := &Joining{
		setup: s, hash: j.Setup, self: self, standing: standing, ephemeral: ephemeral, sign: sign,
		joins: map[engine.PartyID][]byte{self: body}, shared: map[engine.PartyID][]byte{},
	}
	return joining, sealed(frameJoin, body, sign(transcript.New(transcript.SessionJoin).Bytes(body))), nil
}

// Add takes another party's join frame. An error means: drop it; after a *StandingError the
// session ends.
func (g *Joining) Add(frame []byte) error {
	if g.ephemeral == nil {
		return errCompleted
	}
	body, sig, err := unseal(frameJoin, frame)
	if err != nil {
		return err
	}
	j, err := DecodeJoin(body)
	if err != nil {
		return err
	}
	from, ok := g.setup.Party(j.From)
	switch {
	case j.Setup != g.hash:
		return errors.New("join: answers another setup")
	case !ok || j.From == g.self:
		return fmt.Errorf("%w: join by %v, who has no other seat in this session", ErrInauthentic, j.From)
	case !Verify(from.Identity, transcript.New(transcript.SessionJoin).Bytes(body), sig):
		return fmt.Errorf("%w: join is not signed by %v", ErrInauthentic, j.From)
	}
	if first, ok := g.joins[j.From]; ok {
		if !bytes.Equal(first, body) {
			return fmt.Errorf("%w by %v", ErrDifferentJoin, j.From)
		}
		return nil
	}
	if j.Standing != g.standing {
		return &StandingError{From: j.From, Theirs: j.Standing, Our: g.standing}
	}
	key, err := ecdh.X25519().NewPublicKey(j.Ephemeral[:])
	if err != nil {
		return fmt.Errorf("join: ephemeral key of %v: %w", j.From, err)
	}
	// A key of low order would make the shared value zero for everybody: crypto/ecdh refuses.
	dh, err := g.ephemeral.ECDH(key)
	if err != nil {
		return fmt.Errorf("join: ephemeral key of %v: %w", j.From, err)
	}
	g.joins[j.From], g.shared[j.From] = bytes.Clone(body), dh
	return nil
}

var errCompleted = errors.New("join: the session id was made before")

// Missing are the parties whose Join has not come, in index order.
func (g *Joining) Missing() (ids []engine.PartyID) {
	for _, p := range g.setup.Parties {
		if _, ok := g.joins[p.ID]; !ok {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// Complete derives the session id and the channel once all Joins are there. The Joining
// must not be used afterwards.
func (g *Joining) Complete() (*Channel, error) {
	if g.ephemeral == nil {
		return nil, errCompleted
	}
	if m := g.Missing(); len(m) > 0 {
		return nil, fmt.Errorf("join: %d parties have not joined", len(m))
	}
	h := transcript.New(transcript.SessionID).Bytes(g.setup.Encode())
	bodies, nonces := make([][]byte, len(g.setup.Parties)), make([][32]byte, len(g.setup.Parties))
	for i, p := range g.setup.Parties {
		bodies[i] = g.joins[p.ID]
		j, err := DecodeJoin(bodies[i])
		if err != nil {
			return nil, err
		}
		nonces[i] = j.Nonce
	}
	c, err := newChannel(g, engine.SessionID(h.List(bodies...).Sum256()))
	if err != nil {
		return nil, err
	}
	c.nonces = nonces
	return c, nil
}

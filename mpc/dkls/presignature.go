package dkls

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// A PresigID names a presignature, alike at all its signers: spec/presign 2.2.
type PresigID [32]byte

func (id PresigID) String() string { return fmt.Sprintf("%x", id[:6]) }

// A Presignature is one signer's part of a signature whose message is not known yet. It is as
// secret as the key share: two messages under one give the key. It serves once, and only after a
// Pool gave it out; copies of the value are the same presignature. It lives in memory alone and
// has no encoding: a restart loses it, and that is what keeps it from coming back.
//
// Who holds one wipes it. It is not safe for concurrent use: the host uses it, and the pool that
// it is in, under one lock.
type Presignature struct{ get func() *presig }

// presig holds what a Presignature is. Presignatures hold a function that returns it, because fmt
// follows pointers in a struct and would print it.
type presig struct {
	id      PresigID
	session engine.SessionID // of the presign session
	keyID   [32]byte
	epoch   [32]byte        // eh
	signers []session.Party // S
	self    session.Party
	public  *secp256k1.Point // X
	nonce   *secp256k1.Point // R

	phi secp256k1.Scalar // φᵢ
	u   secp256k1.Scalar // uᵢ: never sent before the online round shifted it
	v   secp256k1.Scalar // vᵢ

	ticket Ticket
	life   life
	use    Use // what it was taken for
}

// life is how far a presignature has come. There is no way back.
type life uint8

const (
	fresh  life = iota // made
	pooled             // in a pool
	taken              // given out for one use
	gone               // used, or wiped
)

// A Use is the one signature that a presignature is taken for.
type Use struct {
	Setup  [32]byte // H(Setup) of the online session
	Digest [32]byte // m
}

var (
	errNoPresignature = errors.New("there is no presignature")
	errNotTaken       = errors.New("the presignature was not taken from a pool")
	errUsed           = errors.New("the presignature was used or wiped before: it serves once")
)

// name is the presignature's id: H(sid, T₂, key id, eh, S, R, X). T₂ stands for all that was
// broadcast, so who agrees on the id agrees on every opening.
func (q *presig) name(t engine.Transcript) PresigID {
	h := transcript.New(transcript.DKLsPresigID).Bytes(q.session[:]).Bytes(t[:]).Bytes(q.keyID[:]).Bytes(q.epoch[:])
	return hashSigners(h, q.signers).Points(q.nonce, q.public).Sum256()
}

// hashSigners adds S: a number, then id and index of each.
func hashSigners(h *transcript.Hash, signers []session.Party) *transcript.Hash {
	h.Uint(uint64(len(signers)))
	for _, p := range signers {
		h.Bytes(p.ID[:]).Uint(uint64(p.Index))
	}
	return h
}

func (q *presig) wipe() {
	q.life = gone
	q.phi.Wipe()
	q.u.Wipe()
	q.v.Wipe()
}

// Format redacts under every verb.
func (*presig) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

func newPresignature(q *presig) Presignature { return Presignature{func() *presig { return q }} }

// held is what the presignature is, or nil for the zero value.
func (p Presignature) held() *presig {
	if p.get == nil {
		return nil
	}
	return p.get()
}

// ID is the presignature's name; zero for the zero value.
func (p Presignature) ID() PresigID {
	if q := p.held(); q != nil {
		return q.id
	}
	return PresigID{}
}

// Wipe destroys it, wherever else it is held.
func (p Presignature) Wipe() {
	if q := p.held(); q != nil {
		q.wipe()
	}
}

// spend moves the secrets out: the presignature is empty before anything is computed of them.
func (p Presignature) spend() (*presig, error) {
	q := p.held()
	switch {
	case q == nil:
		return nil, errNoPresignature
	case q.life == gone:
		return nil, errUsed
	case q.life != taken:
		return nil, errNotTaken
	}
	moved := *q
	moved.signers = slices.Clone(q.signers)
	q.wipe()
	return &moved, nil
}

// Format redacts under every verb.
func (Presignature) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

func (Presignature) String() string   { return secret.Redacted }
func (Presignature) GoString() string { return secret.Redacted }

// MarshalText redacts in JSON, YAML and structured logs.
func (Presignature) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }

package pair

import (
	"crypto/subtle"
	"fmt"

	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Kinds of messages, all direct. spec/pair 3.
const (
	KindChoice engine.Kind = 0x20 // round 1: φ ‖ commitment
	KindAnswer engine.Kind = 0x21 // round 2: answer ‖ seed part ‖ salt
)

const (
	commitSize = 32
	saltSize   = 32

	// ChoiceSize and AnswerSize are the lengths of the bodies in bytes.
	ChoiceSize = ot.ChoiceSize + commitSize
	AnswerSize = ot.AnswerSize + SeedSize + saltSize

	// Kinds is the largest number of messages that one party sends another in one round.
	Kinds = 1
	// MaxBody is the largest body of this protocol in bytes.
	MaxBody = AnswerSize
)

// A choice is the body of round 1. Its fields alias the body.
type choice struct {
	phi        []byte // φ: 128 pairs of points; their form is the oblivious transfer's to check
	commitment [commitSize]byte
}

func (c choice) encode() []byte {
	return append(append(make([]byte, 0, ChoiceSize), c.phi...), c.commitment[:]...)
}

func decodeChoice(b []byte) (c choice, err error) {
	if len(b) != ChoiceSize {
		return c, fmt.Errorf("choice has %d bytes, not %d", len(b), ChoiceSize)
	}
	c.phi = b[:ot.ChoiceSize]
	copy(c.commitment[:], b[ot.ChoiceSize:])
	return c, nil
}

// An answer is the body of round 2. Its fields alias the body.
type answer struct {
	reply []byte // M, corrections, t̃, s̃
	opening
}

// An opening is one party's part of a zero-share seed, with the salt that hid it.
type opening struct {
	part [SeedSize]byte
	salt [saltSize]byte
}

func (a answer) encode() []byte {
	b := append(make([]byte, 0, AnswerSize), a.reply...)
	return append(append(b, a.part[:]...), a.salt[:]...)
}

func decodeAnswer(b []byte) (a answer, err error) {
	if len(b) != AnswerSize {
		return a, fmt.Errorf("answer has %d bytes, not %d", len(b), AnswerSize)
	}
	a.reply = b[:ot.AnswerSize]
	copy(a.part[:], b[ot.AnswerSize:])
	copy(a.salt[:], b[ot.AnswerSize+SeedSize:])
	return a, nil
}

// commitment is H(sid, i, j, seed part, salt) of i toward j.
func (o *opening) commitment(sid engine.SessionID, i, j session.Party) [commitSize]byte {
	h := transcript.NewSecret(transcript.PairSeedCommit).Bytes(sid[:])
	h.Bytes(i.ID[:]).Uint(uint64(i.Index)).Bytes(j.ID[:]).Uint(uint64(j.Index))
	return h.Bytes(o.part[:]).Bytes(o.salt[:]).Sum256()
}

// opens checks i's opening against what i committed to.
func (o *opening) opens(commitment [commitSize]byte, sid engine.SessionID, i, j session.Party) bool {
	want := o.commitment(sid, i, j)
	return subtle.ConstantTimeCompare(want[:], commitment[:]) == 1
}

// seed joins both parties' parts, the smaller index first.
func seed(sid engine.SessionID, i, j session.Party, parti, partj *opening) [SeedSize]byte {
	if i.Index > j.Index {
		i, j, parti, partj = j, i, partj, parti
	}
	h := transcript.NewSecret(transcript.PairSeed).Bytes(sid[:])
	h.Bytes(i.ID[:]).Uint(uint64(i.Index)).Bytes(j.ID[:]).Uint(uint64(j.Index))
	return h.Bytes(parti.part[:]).Bytes(partj.part[:]).Sum256()
}

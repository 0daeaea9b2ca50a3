package vet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/evidence/vetted"
)

// A Frame is a kind of frame of this room.
type Frame uint8

// Frames (spec/node 2, 13).
const (
	FrameAsk      Frame = iota // show what you run on
	FrameEvidence              // what was asked for, or why there is none
	FrameEnrol                 // a challenge: show that these keys lie in one TPM
	FrameEnrolled              // its answer
	FrameStanding              // what the sender holds of the receiver's evidence
)

// ask is FrameAsk.
type ask struct {
	nonce [32]byte
	conn  [32]byte // the connection over which it is asked, as the asker names it
}

func (q ask) encode() []byte { return slices.Concat(q.nonce[:], q.conn[:]) }

func decodeAsk(b []byte) (ask, error) {
	if len(b) != 64 {
		return ask{}, fmt.Errorf("decode a question about hardware: %d bytes, not 64", len(b))
	}
	return ask{[32]byte(b), [32]byte(b[32:])}, nil
}

// answer is FrameEvidence and FrameEnrolled: what was asked for, or why there is none.
type answer struct {
	nonce [32]byte // of the question
	body  []byte
	why   string // where there is no body
}

const (
	fieldAnswerNonce transcript.Tag = iota + 1
	fieldAnswerBody
	fieldAnswerWhy
)

func (a answer) encode() []byte {
	var e transcript.Encoder
	return e.Bytes(fieldAnswerNonce, a.nonce[:]).Bytes(fieldAnswerBody, a.body).String(fieldAnswerWhy, short(a.why)).Sum()
}

func decodeAnswer(b []byte, most int) (answer, error) {
	d, a := transcript.NewDecoder(b), answer{}
	copy(a.nonce[:], d.Fixed(fieldAnswerNonce, 32))
	a.body = d.Bytes(fieldAnswerBody, most)
	if a.why = d.String(fieldAnswerWhy, vetted.MaxWhy); (a.why == "") == (len(a.body) == 0) {
		d.Fail(fieldAnswerWhy, errors.New("it says why there is nothing, and nothing else"))
	}
	if err := d.Done(); err != nil {
		return answer{}, fmt.Errorf("decode an answer about hardware: %w", err)
	}
	return a, nil
}

// challenge is FrameEnrol.
type challenge struct {
	nonce [32]byte
	body  []byte
}

func (c challenge) encode() []byte {
	var e transcript.Encoder
	return e.Bytes(fieldAnswerNonce, c.nonce[:]).Bytes(fieldAnswerBody, c.body).Sum()
}

func decodeChallenge(b []byte) (challenge, error) {
	d, c := transcript.NewDecoder(b), challenge{}
	copy(c.nonce[:], d.Fixed(fieldAnswerNonce, 32))
	if c.body = d.Bytes(fieldAnswerBody, tpm.MaxChallenge); len(c.body) == 0 {
		d.Fail(fieldAnswerBody, errors.New("a challenge is not empty"))
	}
	if err := d.Done(); err != nil {
		return challenge{}, fmt.Errorf("decode a challenge to a TPM: %w", err)
	}
	return c, nil
}

const (
	fieldStandingGood transcript.Tag = iota + 1
	fieldStandingWhy
)

func (s standing) encode() []byte {
	good := uint64(0)
	if s.good {
		good = 1
	}
	var e transcript.Encoder
	return e.Uint(fieldStandingGood, good).String(fieldStandingWhy, short(s.why)).Sum()
}

func decodeStanding(b []byte) (standing, error) {
	d, s := transcript.NewDecoder(b), standing{}
	s.good = d.Uint(fieldStandingGood, 1) == 1
	if s.why = d.String(fieldStandingWhy, vetted.MaxWhy); s.good != (s.why == "") {
		d.Fail(fieldStandingWhy, errors.New("what is not good has a reason, and nothing else"))
	}
	if err := d.Done(); err != nil {
		return standing{}, fmt.Errorf("decode what is held of this node's evidence: %w", err)
	}
	return s, nil
}

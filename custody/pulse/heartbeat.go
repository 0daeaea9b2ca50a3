// Package pulse is what nodes say of themselves: heartbeats, by which a node shows that it lives, what it runs, what it
// was told of the others' logs, and that it holds its shares now (spec/log 9).
//
// A proof of a share covers the whole heartbeat but the proofs. That one names the others' checkpoints, which nobody could know
// before they were made; and the others write the heartbeat into their logs. So a share was held between two moments that no
// operator chose alone.
package pulse

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// A Heartbeat is one sign of life of a node.
type Heartbeat struct {
	ID       statement.ID // of its statement; zero in a draft
	Roster   statement.ID // in force at the node
	Operator string
	Version  string   // of the program
	Binary   [32]byte // SHA-256 of its file
	Peers    []Peer   // by operator, ascending
	Shares   []Share  // by key, ascending
	Created  time.Time
	salt     statement.Salt
}

// A Peer is what the node was told of another's log. It is the quoter's word: nobody else signed it.
type Peer struct {
	Operator string
	Origin   string // names the log: one that was set back is another, with another history (tlog.Origin)
	Log      tlog.Head
}

// A Share is a share that the node holds, and the proof that it knows it.
type Share struct {
	Key   [32]byte
	Epoch [32]byte // hash of the record
	Proof []byte   // share.Proof
	Mask  []byte   // share.Proof of the mask; empty where the epoch has no guardians
}

// Seen is the head that the heartbeat names of an operator's log, whichever of its logs that is.
func (h Heartbeat) Seen(operator string) (tlog.Head, bool) {
	p, ok := h.Peer(operator)
	return p.Log, ok
}

// Peer is what the heartbeat says of an operator's log.
func (h Heartbeat) Peer(operator string) (Peer, bool) {
	for _, p := range h.Peers {
		if p.Operator == operator {
			return p, true
		}
	}
	return Peer{}, false
}

// Statement writes the heartbeat.
func (h Heartbeat) Statement() (statement.Statement, error) {
	if err := h.validate(); err != nil {
		return statement.Statement{}, err
	}
	return h.build(h.Shares)
}

func (h Heartbeat) build(shares []Share) (statement.Statement, error) {
	var b statement.Block
	b = b.AddID("roster", h.Roster).Add("operator", h.Operator).Add("version", h.Version).AddHex("binary", h.Binary[:])
	for _, p := range h.Peers {
		var sub statement.Block
		b = b.AddBlock("peer", p.Operator, sub.Add("origin", p.Origin).AddUint("size", uint64(p.Log.Size)).AddHex("root", p.Log.Root[:]))
	}
	for _, s := range shares {
		var sub statement.Block
		b = b.AddBlock("share", hex.EncodeToString(s.Key[:]), sub.AddHex("epoch", s.Epoch[:]).AddHex("proof", s.Proof).AddHex("mask", s.Mask))
	}
	return statement.Build(statement.Heartbeat, b.AddTime("created", h.Created), h.salt)
}

// Draft begins a heartbeat, whose shares are to be proved.
func Draft(h Heartbeat, salt statement.Salt) Heartbeat {
	h.salt, h.Shares = salt, nil
	return h
}

// Of gives a heartbeat statement its meaning and checks its form. Whether the node signed it, and knows its shares, the caller checks.
func Of(s statement.Statement) (Heartbeat, error) {
	if err := s.Require(statement.Heartbeat); err != nil {
		return Heartbeat{}, err
	}
	f := s.Fields()
	h := Heartbeat{
		ID: s.ID(), Roster: f.ID("roster"), Operator: f.Get("operator"), Version: f.Get("version"), Binary: [32]byte(f.Hex("binary")),
		Created: f.Time("created"), salt: s.Salt(),
	}
	for _, p := range f.Each("peer") {
		h.Peers = append(h.Peers, Peer{p.Value, p.Block.Get("origin"), tlog.Head{Size: int64(p.Block.Uint("size")), Root: tlog.Hash(p.Block.Hex("root"))}})
	}
	for _, x := range f.Each("share") {
		key, err := hex.DecodeString(x.Value)
		if err != nil {
			return Heartbeat{}, fmt.Errorf("heartbeat: share: %w", err)
		}
		h.Shares = append(h.Shares, Share{[32]byte(key), [32]byte(x.Block.Hex("epoch")), x.Block.Hex("proof"), x.Block.Hex("mask")})
	}
	return h, h.validate()
}

func (h Heartbeat) validate() error {
	for i, p := range h.Peers {
		if i > 0 && p.Operator <= h.Peers[i-1].Operator || p.Operator == h.Operator {
			return fmt.Errorf("heartbeat: peer: %s is not the next other operator in ascending order", p.Operator)
		}
		if p.Log.Size == 0 && p.Log != tlog.Empty {
			return fmt.Errorf("heartbeat: peer %s: root: an empty log has another", p.Operator)
		}
	}
	for i, s := range h.Shares {
		if i > 0 && string(s.Key[:]) <= string(h.Shares[i-1].Key[:]) {
			return errors.New("heartbeat: share: keys are not in ascending order")
		}
	}
	return nil
}

// context is what a proof is over: the heartbeat without its shares, and which share it is of.
func (h Heartbeat) context(s Share, party [16]byte) ([]byte, error) {
	head, err := h.build(nil)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(head.Bytes())
	return transcript.New(transcript.Heartbeat).Bytes(sum[:]).Bytes(s.Key[:]).Bytes(s.Epoch[:]).Bytes(party[:]).Tree(), nil
}

// Prove adds a share: secret is the node's own, public its point in the record that epoch names, party its id there. Keys come in ascending order.
func (h Heartbeat) Prove(key, epoch [32]byte, party [16]byte, secret group.Scalar, public group.Point, r io.Reader) (Heartbeat, error) {
	s := Share{Key: key, Epoch: epoch}
	context, err := h.context(s, party)
	if err != nil {
		return h, err
	}
	p, err := share.Prove(transcript.Heartbeat, context, secret, public, r)
	if err != nil {
		return h, fmt.Errorf("heartbeat: prove the share of key %x: %w", key[:6], err)
	}
	s.Proof = p.Bytes()
	h.Shares = append(h.Shares[:len(h.Shares):len(h.Shares)], s)
	return h, nil
}

// ProveMask adds the proof of a mask to the share that was proved last: public is its point in that epoch's backup set.
func (h Heartbeat) ProveMask(party [16]byte, mask group.Scalar, public group.Point, r io.Reader) (Heartbeat, error) {
	i := len(h.Shares) - 1
	context, err := h.context(h.Shares[i], party)
	if err != nil {
		return h, err
	}
	p, err := share.Prove(transcript.HeartbeatMask, context, mask, public, r)
	if err != nil {
		return h, fmt.Errorf("heartbeat: prove the mask of key %x: %w", h.Shares[i].Key[:6], err)
	}
	h.Shares = slices.Clone(h.Shares)
	h.Shares[i].Mask = p.Bytes()
	return h, nil
}

// CheckMask verifies the proof of one mask. Without one it fails.
func (h Heartbeat) CheckMask(s Share, party [16]byte, public group.Point) error {
	context, err := h.context(s, party)
	if err != nil {
		return err
	}
	p, err := share.DecodeProof(public.Group(), s.Mask)
	if err == nil {
		err = p.Verify(transcript.HeartbeatMask, context, public)
	}
	if err != nil {
		return fmt.Errorf("heartbeat of %s: mask of key %x: %w", h.Operator, s.Key[:6], err)
	}
	return nil
}

// Check verifies the proof of one share.
func (h Heartbeat) Check(s Share, party [16]byte, public group.Point) error {
	context, err := h.context(s, party)
	if err != nil {
		return err
	}
	p, err := share.DecodeProof(public.Group(), s.Proof)
	if err == nil {
		err = p.Verify(transcript.Heartbeat, context, public)
	}
	if err != nil {
		return fmt.Errorf("heartbeat of %s: share of key %x: %w", h.Operator, s.Key[:6], err)
	}
	return nil
}

// Covers says whether a heartbeat speaks of a key: it names a share of it, or its operator held none. One that names as many shares as it can tells
// nothing of keys below its first or above its last (spec/log 9.3).
func (h Heartbeat) Covers(key [32]byte) bool {
	n := len(h.Shares)
	if n < statement.MaxShares {
		return true
	}
	return bytes.Compare(h.Shares[0].Key[:], key[:]) <= 0 && bytes.Compare(key[:], h.Shares[n-1].Key[:]) <= 0
}

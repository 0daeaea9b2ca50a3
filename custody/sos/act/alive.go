package act

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// An Alive is a subject's proof of life: it knows its share of each key of the request. It proves itself, so it counts whoever
// carries it: a node, a guardian, a witness, a file, an e-mail.
type Alive struct {
	ID statement.ID
	Head
	Operator string // the subject
	Shares   []Proof
	Created  time.Time
	salt     statement.Salt
}

// A Proof is that of one share, or a signature under one key.
type Proof struct {
	Key
	Bytes []byte // share.Proof, or the signature
}

// DraftAlive begins a proof of life, whose shares are to be proved.
func DraftAlive(h Head, operator string, created time.Time, salt statement.Salt) Alive {
	return Alive{Head: h, Operator: operator, Created: created, salt: salt}
}

func proofs(b statement.Block, name string, all []Proof) statement.Block {
	for _, p := range all {
		var sub statement.Block
		b = addKey(b, p.Key, sub.AddHex(name, p.Bytes))
	}
	return b
}

func proofsOf(f statement.Block, name string) (all []Proof) {
	for _, k := range f.Each("key") {
		all = append(all, Proof{keyOf(k), k.Block.Hex(name)})
	}
	return all
}

func keysIn(all []Proof) (keys []Key) {
	for _, p := range all {
		keys = append(keys, p.Key)
	}
	return keys
}

// Statement writes the proof of life.
func (a Alive) Statement() (statement.Statement, error) { return a.build(a.Shares) }

func (a Alive) build(shares []Proof) (statement.Statement, error) {
	b := proofs(a.block().Add("operator", a.Operator), "proof", shares).AddTime("created", a.Created)
	return build(statement.SOSAlive, b, a.salt, a.check())
}

// AliveOf gives a proof of life its meaning. CheckAlive verifies it.
func AliveOf(s statement.Statement) (Alive, error) {
	return read(s, statement.SOSAlive, func(f statement.Block) Alive {
		return Alive{s.ID(), headOf(f), f.Get("operator"), proofsOf(f, "proof"), f.Time("created"), s.Salt()}
	}, Alive.check)
}

func (a Alive) check() error { return ascendingKeys(keysIn(a.Shares)) }

// context is what a share is proved over: all of the statement but the proofs, and which share it is. The request's id in it makes a
// proof serve one request alone (S3).
func (a Alive) context(k Key, party [16]byte) ([]byte, error) {
	if a.Request.IsZero() {
		return nil, errors.New("request: a proof of life is for one")
	}
	head, err := a.build(nil)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(head.Bytes())
	return transcript.New(transcript.SOSAlive).Bytes(sum[:]).Bytes(k.Key[:]).Bytes(k.Epoch[:]).Bytes(party[:]).Tree(), nil
}

// Prove adds a share: secret is the node's own, public its point in the record that the epoch names, party its id there. Keys come in
// ascending order.
func (a Alive) Prove(k Key, party [16]byte, secret group.Scalar, public group.Point, r io.Reader) (Alive, error) {
	context, err := a.context(k, party)
	if err != nil {
		return a, fmt.Errorf("proof of life: %w", err)
	}
	p, err := share.Prove(transcript.SOSAlive, context, secret, public, r)
	if err != nil {
		return a, fmt.Errorf("proof of life: prove the share of key %x: %w", k.Key[:6], err)
	}
	a.Shares = append(a.Shares[:len(a.Shares):len(a.Shares)], Proof{k, p.Bytes()})
	return a, nil
}

// CheckAlive verifies a proof of life for a request: of a subject of it, over all of its keys in the epochs that it names. point gives a
// party's id and public share from the node's own epoch record, never from the proof's carrier.
func CheckAlive(a Alive, r Request, point func(Key, string) ([16]byte, group.Point, error)) error {
	if err := covers(a.Head, r, a.Operator, keysIn(a.Shares)); err != nil {
		return fmt.Errorf("proof of life of %s: %w", a.Operator, err)
	}
	for _, s := range a.Shares {
		party, public, err := point(s.Key, a.Operator)
		if err != nil {
			return fmt.Errorf("proof of life of %s: key %x: %w", a.Operator, s.Key.Key[:6], err)
		}
		context, err := a.context(s.Key, party)
		if err != nil {
			return err
		}
		p, err := share.DecodeProof(public.Group(), s.Bytes)
		if err == nil {
			err = p.Verify(transcript.SOSAlive, context, public)
		}
		if err != nil {
			return fmt.Errorf("proof of life of %s: key %x: %w", a.Operator, s.Key.Key[:6], err)
		}
	}
	return nil
}

// covers says why something is not a subject's about all keys of a request.
func covers(h Head, r Request, operator string, keys []Key) error {
	if err := h.Of(r); err != nil {
		return err
	}
	if !slices.Contains(r.Subjects, operator) {
		return fmt.Errorf("operator: %s is no subject of the request", operator)
	}
	if !slices.Equal(keys, r.Keys) {
		return errors.New("key: not exactly the request's keys in the epochs that it names")
	}
	return nil
}

// A Signed is a completed live test signature: the vault signed with a subject, under each of its keys.
type Signed struct {
	ID statement.ID
	Head
	Operator   string // the subject that took part
	Signatures []Proof
	Created    time.Time
}

// Statement writes it.
func (t Signed) Statement(salt statement.Salt) (statement.Statement, error) {
	b := proofs(t.block().Add("operator", t.Operator), "signature", t.Signatures).AddTime("created", t.Created)
	return build(statement.SOSSigned, b, salt, t.check())
}

// SignedOf gives its statement its meaning. CheckSigned verifies it.
func SignedOf(s statement.Statement) (Signed, error) {
	return read(s, statement.SOSSigned, func(f statement.Block) Signed {
		return Signed{s.ID(), headOf(f), f.Get("operator"), proofsOf(f, "signature"), f.Time("created")}
	}, Signed.check)
}

func (t Signed) check() error { return ascendingKeys(keysIn(t.Signatures)) }

// TestDigest is what the vault signs to show that it can, with this subject, for this request: nothing on a chain, and nothing that a
// caller chooses (S9: there is no signature over a fixed or made-up digest).
func TestDigest(r Request, k Key, subject string) [32]byte {
	return transcript.New(transcript.SOSTestDigest).Bytes(r.ID[:]).Bytes(k.Key[:]).Bytes(k.Epoch[:]).Bytes([]byte(subject)).Sum256()
}

// CheckSigned verifies it for a request. verify checks a signature under a key's root, as the chain of its suite would.
func CheckSigned(t Signed, r Request, verify func(k Key, digest [32]byte, signature []byte) error) error {
	if err := covers(t.Head, r, t.Operator, keysIn(t.Signatures)); err != nil {
		return fmt.Errorf("test signature with %s: %w", t.Operator, err)
	}
	for _, s := range t.Signatures {
		if err := verify(s.Key, TestDigest(r, s.Key, t.Operator), s.Bytes); err != nil {
			return fmt.Errorf("test signature with %s: key %x: %w", t.Operator, s.Key.Key[:6], err)
		}
	}
	return nil
}

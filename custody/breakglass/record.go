package breakglass

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
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// MaxRecord bounds a record's file, in bytes.
const MaxRecord = 2*statement.MaxBytes + statement.MaxWitnesses*(signet.MaxArmored+1)

// A Record (spec/breakglass 4) is what is published: the request, the witnesses' signatures, and what was done, proved by each key. It holds no secret.
type Record struct {
	Request    statement.Statement
	Signatures [][]byte // armored, by the witness's name
	Done       statement.Statement
}

// Finish makes the record of keys that were rebuilt. written is the file with the keys as it was written; salt and r come from one source of randomness.
func Finish(request statement.Statement, by []Witness, roots []*Root, written [32]byte, now time.Time, salt statement.Salt, r io.Reader) (Record, error) {
	out := Record{Request: request}
	b := statement.Block{}.AddID("breakglass", request.ID())
	for _, w := range by {
		out.Signatures = append(out.Signatures, w.Signature)
		b = b.AddBlock("witness", w.Person, statement.Block{}.Add("organisation", w.Organisation).Add("person", w.Key.String()))
	}
	keys := func(proofs [][]byte) statement.Block {
		full := slices.Clone(b)
		for i, x := range roots {
			sub := statement.Block{}.AddHex("key", x.KeyID[:]).AddHex("epoch", x.Epoch[:]).AddHex("public-key", x.Public.Bytes()).AddList("piece", x.Pieces)
			if proofs != nil {
				sub = sub.AddHex("proof", proofs[i])
			}
			full = full.AddBlock("suite", x.Suite, sub)
		}
		return full.AddHex("file", written[:]).AddTime("created", now)
	}
	said, err := keys(nil).Lines()
	if err != nil {
		return out, err
	}
	var proofs [][]byte
	for _, x := range roots {
		p, err := share.Prove(transcript.BreakglassProof, proofContext(said, x.KeyID, x.Epoch), x.private, x.Public, r)
		if err != nil {
			return out, fmt.Errorf("breakglass: prove key %x: %w", x.KeyID[:6], err)
		}
		proofs = append(proofs, p.Bytes())
	}
	out.Done, err = statement.Build(statement.BreakglassDone, keys(proofs), salt)
	return out, err
}

// proofContext (spec/breakglass 4.3) is what a key is proved over: all that the record says was done, and which key it is.
func proofContext(said string, keyID [32]byte, eh epoch.Hash) []byte {
	sum := sha256.Sum256([]byte(said))
	return transcript.New(transcript.BreakglassProof).Bytes(sum[:]).Bytes(keyID[:]).Bytes(eh[:]).Tree()
}

// Check (spec/breakglass 4.4) verifies a record from itself and the charter: the witnesses, that what was done is what they signed, and that each key was whole in one hand.
func (r Record) Check(d charter.Document) (Request, []Witness, error) {
	req, err := RequestOf(r.Request)
	if err != nil {
		return req, nil, err
	}
	done := r.Done.Fields()
	if err := r.Done.Require(statement.BreakglassDone); err != nil {
		return req, nil, err
	}
	if done.ID("breakglass") != req.ID {
		return req, nil, errors.New("breakglass-done: breakglass: it is of another statement")
	}
	at := done.Time("created")
	if err := req.Under(d, at); err != nil {
		return req, nil, err
	}
	by, err := WitnessesOf(r.Request, d, r.Signatures)
	if err != nil {
		return req, nil, err
	}
	said := done.Each("witness")
	if len(said) != len(by) || len(r.Signatures) != len(by) {
		return req, nil, fmt.Errorf("breakglass-done: witness: %d are named, and %d persons signed", len(said), len(by))
	}
	for i, w := range by {
		if said[i].Value != w.Person || said[i].Block.Get("organisation") != w.Organisation || said[i].Block.Get("person") != w.Key.String() {
			return req, nil, fmt.Errorf("breakglass-done: witness %s: they are not who signed", said[i].Value)
		}
	}
	return req, by, r.checkKeys(req)
}

func (r Record) checkKeys(req Request) error {
	done := r.Done.Fields()
	keys := done.Each("suite")
	if len(keys) != len(req.Targets) {
		return fmt.Errorf("breakglass-done: suite: %d keys were rebuilt, and the statement names %d", len(keys), len(req.Targets))
	}
	bare := statement.Block{}
	for _, f := range done {
		if f.Name == "salt" {
			continue
		}
		if f.Name == "suite" {
			f.Block = slices.DeleteFunc(slices.Clone(f.Block), func(x statement.Field) bool { return x.Name == "proof" })
		}
		bare = append(bare, f)
	}
	said, err := bare.Lines()
	if err != nil {
		return err
	}
	for i, f := range keys {
		t := req.Targets[i]
		if f.Value != t.Suite || f.Block.ID("key") != t.KeyID || f.Block.ID("epoch") != statement.ID(t.Epoch) {
			return fmt.Errorf("breakglass-done: suite %s: it is another key or epoch than the statement names", f.Value)
		}
		g, err := epoch.GroupOf(t.Suite)
		if err == nil {
			err = checkProof(g, f.Block, proofContext(said, t.KeyID, t.Epoch))
		}
		if err != nil {
			return fmt.Errorf("breakglass-done: suite %s: %w", t.Suite, err)
		}
	}
	return nil
}

func checkProof(g group.Group, b statement.Block, context []byte) error {
	public, err := g.DecodePoint(b.Hex("public-key"))
	if err != nil {
		return fmt.Errorf("public-key: %w", err)
	}
	p, err := share.DecodeProof(g, b.Hex("proof"))
	if err == nil {
		err = p.Verify(transcript.BreakglassProof, context, public)
	}
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	return nil
}

// Bytes is the record's file: request, signatures and what was done, an empty line between each two.
func (r Record) Bytes() []byte {
	parts := [][]byte{r.Request.Bytes()}
	parts = append(parts, r.Signatures...)
	return bytes.Join(append(parts, r.Done.Bytes()), []byte("\n"))
}

// DecodeRecord reads a record's file in its one form. Check says whether it holds.
func DecodeRecord(b []byte) (r Record, err error) {
	if len(b) > MaxRecord {
		return r, fmt.Errorf("breakglass record: it has %d bytes, at most %d are allowed", len(b), MaxRecord)
	}
	parts := bytes.Split(b, []byte("\n\n"))
	if n := len(parts); n < 2+LeastWitnesses || n > 2+statement.MaxWitnesses {
		return r, fmt.Errorf("breakglass record: it has %d parts: a statement, %d to %d signatures and what was done are a record", n, LeastWitnesses, statement.MaxWitnesses)
	}
	last := len(parts) - 1
	if r.Request, err = statement.ParseKind(append(bytes.Clone(parts[0]), '\n'), statement.Breakglass); err != nil {
		return r, fmt.Errorf("breakglass record: %w", err)
	}
	for i, p := range parts[1:last] {
		s, err := signet.Parse(p)
		if err != nil {
			return r, fmt.Errorf("breakglass record: signature %d: %w", i+1, err)
		}
		r.Signatures = append(r.Signatures, s.Armored())
	}
	if r.Done, err = statement.ParseKind(parts[last], statement.BreakglassDone); err != nil {
		return r, fmt.Errorf("breakglass record: %w", err)
	}
	if !bytes.Equal(r.Bytes(), b) {
		return r, errors.New("breakglass record: it is not in its one form")
	}
	return r, nil
}

// Publics are the public keys that were rebuilt, in hexadecimal digits, by suite.
func (r Record) Publics() (out []string) {
	for _, f := range r.Done.Fields().Each("suite") {
		out = append(out, f.Value+" "+hex.EncodeToString(f.Block.Hex("public-key")))
	}
	return out
}

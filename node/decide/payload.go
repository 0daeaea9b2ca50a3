package decide

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
)

// travels says that a payload is a transaction: false of a message, of a proof, and of what is not decoded.
func travels(p payload.Payload) bool { return p != nil && p.Travels() }

// lends says that a payload is a message that others may use: neither a transaction nor a proof.
func lends(p payload.Payload) bool {
	_, proves := p.(*proof)
	return p != nil && !p.Travels() && !proves
}

var errNotDecoded = errors.New("this node has not decoded what is to be signed")

// payloadOf is decode. Tests put another in its place, whose payloads need several signatures.
var payloadOf = decode

// decode makes the payload of an intent whose key at its path is known, in its context.
func decode(s statement.Statement, it intent.Intent, v ceremony.View, key group.Point, c payload.Context) (payload.Payload, error) {
	if it.Purpose == intent.PurposeProof {
		return newProof(s, v, key)
	}
	return payload.Read(it, v.Suite, c)
}

// context is in what an intent of a vault is read: the charter's book, and the vault's roots.
func (d *Desk) context(it intent.Intent, v ceremony.View) (c payload.Context, err error) {
	c.Vault = v.Vault
	c.Book, err = d.chapter(it.Charter)
	c.Root = func(suite string) (r payload.Root, err error) {
		w, err := d.known(v, suite)
		if err != nil {
			return r, err
		}
		return payload.Root{Public: w.Current.Record.Public, ChainCode: w.Current.Record.ChainCode}, nil
	}
	return c, err
}

// single is the signature of what needs one.
func single(sigs []effect.Signature) (effect.Signature, error) {
	if len(sigs) != 1 {
		return effect.Signature{}, fmt.Errorf("%d signatures, want one", len(sigs))
	}
	return sigs[0], nil
}

// A proof is a statement for outsiders that the vault's key signs.
type proof struct {
	intent.Proof
	statement statement.Statement
	key       group.Point
	tree      *[32]byte // of the address's scripts; nil: it has none
	digest    []byte
}

func newProof(s statement.Statement, v ceremony.View, key group.Point) (*proof, error) {
	p, err := intent.ProofOf(s, v.Suite)
	if err != nil {
		return nil, err
	}
	out := &proof{Proof: p, key: key, tree: policy.Tree(v.Vault, v.Suite)}
	if out.statement, err = p.Statement(); err != nil {
		return nil, err
	}
	out.digest, err = chain.ProofMessage(p.Suite, p.Chain, key, out.tree, out.statement.Bytes())
	return out, err
}

func (p *proof) Chain() string { return p.Proof.Chain }

func (p *proof) Lines() (lines []effect.Line) {
	for _, f := range p.Facts() {
		lines = append(lines, effect.Line(f))
	}
	return lines
}

func (p *proof) Effects() []effect.Effect {
	return []effect.Effect{{Operation: effect.Proof, Chain: p.Chain(), Destination: p.Address}}
}

func (p *proof) Spends() []string { return nil }
func (p *proof) Travels() bool    { return false }

func (p *proof) Uses() []effect.Use {
	u := effect.Use{Suite: p.Suite, Path: p.Path, Address: p.Address, Message: p.digest}
	if p.tree != nil {
		u.Root = p.tree[:]
	}
	return []effect.Use{u}
}

func (p *proof) Assemble(sigs []effect.Signature) (*payload.Signed, error) {
	sig, err := single(sigs)
	if err != nil {
		return nil, err
	}
	raw, err := chain.ProofSignature(p.Suite, p.Chain(), p.key, sig.Bytes, sig.Recovery)
	if err != nil {
		return nil, err
	}
	return p.ParseSigned(raw)
}

func (p *proof) ParseSigned(raw []byte) (*payload.Signed, error) {
	id := p.statement.ID()
	return &payload.Signed{Raw: raw, Name: "0x" + id.String(), ID: id}, chain.CheckProof(p.Suite, p.Chain(), p.key, p.tree, p.statement.Bytes(), raw)
}

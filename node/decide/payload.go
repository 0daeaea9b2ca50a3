package decide

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
)

// A payload is what an intent asks to be signed, as this node decoded it: nothing of it comes from the
// intent's own words about it.
type payload interface {
	// facts are what it does, in the decoder's order, and the chain that it is valid on.
	facts() (chain string, lines []intent.Fact)
	// effects are what it does to what the vault holds.
	effects() []effect.Effect
	// spends names what a chain gives once of what it uses.
	spends() []string
	// transfer is the transaction that it is; nil: it goes on no chain.
	transfer() *transfer
	// uses are the signatures that it needs, in order.
	uses() []effect.Use
	// finish turns all of them into what is published, and verifies it.
	finish([]effect.Signature) (raw []byte, err error)
	// check verifies what somebody published, and names it.
	check(raw []byte) (name [32]byte, err error)
}

// transferOf is the transaction that a payload is; ok is false of a proof, and of what is not decoded.
func transferOf(p payload) (t *transfer, ok bool) {
	if p != nil {
		t = p.transfer()
	}
	return t, t != nil
}

var errNotDecoded = errors.New("this node has not decoded what is to be signed")

// payloadOf is decode. Tests put another in its place, whose payloads need several signatures: no chain of this release does yet.
var payloadOf = decode

// decode makes the payload of an intent whose key at its path is known, by the book of its charter.
func decode(s statement.Statement, it intent.Intent, v ceremony.View, key group.Point, address string, book *evm.Allowed) (payload, error) {
	if it.Purpose == intent.PurposeProof {
		return newProof(s, v, key)
	}
	from, err := evm.ParseAddress(address)
	if err != nil {
		return nil, fmt.Errorf("transactions of chain %s are not signed by this release, and proofs are", it.Chain)
	}
	p, err := policy.ReadEVM(it.Transaction, evm.Context{Account: evm.Account{Address: from, Path: it.Path}, Allowed: book, Named: policy.Named(v.Vault)})
	switch {
	case err != nil:
		return nil, err
	case (p.Transaction() == nil) != (it.Purpose == intent.PurposeMessage):
		return nil, fmt.Errorf("it is %s, and the intent's purpose is %s", p.Operation(), it.Purpose)
	case p.Transaction() == nil:
		return &message{evmPayload{p}}, nil
	}
	return &transfer{evmPayload{p}, from}, nil
}

// single is the signature of what needs one.
func single(sigs []effect.Signature) (effect.Signature, error) {
	if len(sigs) != 1 {
		return effect.Signature{}, fmt.Errorf("%d signatures, want one", len(sigs))
	}
	return sigs[0], nil
}

// An evmPayload is what is signed on Ethereum or a chain like it.
type evmPayload struct{ *evm.Payload }

func (p evmPayload) facts() (string, []intent.Fact) {
	var lines []intent.Fact
	for _, l := range p.Lines() {
		lines = append(lines, intent.Fact(l))
	}
	return "eip155:" + strconv.FormatUint(p.ChainID(), 10), lines
}

func (p evmPayload) effects() []effect.Effect { return p.Effects() }
func (p evmPayload) spends() []string         { return p.Spends() }
func (p evmPayload) uses() []effect.Use       { return p.Uses() }

// finish verifies the signature by recovering the account.
func (p evmPayload) finish(sigs []effect.Signature) ([]byte, error) {
	signed, err := p.Assemble(sigs)
	if err != nil {
		return nil, err
	}
	return signed.Raw, nil
}

// check wants this very payload, signed by the vault's key at the intent's path.
func (p evmPayload) check(raw []byte) ([32]byte, error) {
	s, err := p.ParseSigned(raw)
	if err != nil {
		return [32]byte{}, fmt.Errorf("what was signed is not the intent's: %w", err)
	}
	return s.ID, nil
}

// A transfer is a transaction.
type transfer struct {
	evmPayload
	from evm.Address
}

func (t *transfer) transfer() *transfer { return t }

// tx are a transaction's own fields, whatever it calls.
func (t *transfer) tx() evm.Facts { return t.Transaction().Facts() }

// A message goes on no chain by itself: typed data for a contract, or an authorization, which somebody's transaction carries.
type message struct{ evmPayload }

func (*message) transfer() *transfer { return nil }

// A proof is a statement for outsiders that the vault's key signs.
type proof struct {
	intent.Proof
	statement statement.Statement
	key       group.Point
	digest    []byte
}

func newProof(s statement.Statement, v ceremony.View, key group.Point) (*proof, error) {
	p, err := intent.ProofOf(s, v.Suite)
	if err != nil {
		return nil, err
	}
	out := &proof{Proof: p, key: key}
	if out.statement, err = p.Statement(); err != nil {
		return nil, err
	}
	out.digest, err = chain.ProofMessage(p.Suite, p.Chain, key, out.statement.Bytes())
	return out, err
}

func (p *proof) facts() (string, []intent.Fact) {
	return p.Chain, p.Facts()
}

func (p *proof) effects() []effect.Effect {
	return []effect.Effect{{Operation: effect.Proof, Chain: p.Chain, Destination: p.Address}}
}

func (p *proof) spends() []string    { return nil }
func (p *proof) transfer() *transfer { return nil }

func (p *proof) uses() []effect.Use {
	return []effect.Use{{Suite: p.Suite, Path: p.Path, Address: p.Address, Message: p.digest}}
}

func (p *proof) finish(sigs []effect.Signature) ([]byte, error) {
	sig, err := single(sigs)
	if err != nil {
		return nil, err
	}
	raw, err := chain.ProofSignature(p.Suite, p.Chain, p.key, sig.Bytes, sig.Recovery)
	if err != nil {
		return nil, err
	}
	_, err = p.check(raw)
	return raw, err
}

func (p *proof) check(raw []byte) ([32]byte, error) {
	return p.statement.ID(), chain.CheckProof(p.Suite, p.Chain, p.key, p.statement.Bytes(), raw)
}

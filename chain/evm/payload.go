package evm

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm/abi"
)

// An Account is one of the vault's.
type Account struct {
	Address Address
	Path    [3]uint32 // below the vault's root of Suite
}

// A Context is in what DecodeIn reads: data alone.
type Context struct {
	Account Account   // who signs
	Vault   []Address // the vault's other accounts, whose authorizations a set-code transaction may carry
	Allowed *Allowed  // what people named beforehand; nil: nothing, and Decode's transactions alone are understood
	Named   Named     // calls that an SOS plan names; nil: none
}

// A Payload is what an account is asked to sign, understood in full: a transaction, typed data, or an authorization. It is immutable.
type Payload struct {
	account  Account
	unsigned []byte
	chain    uint64
	digest   [32]byte
	tx       *Transaction // nil of what is no transaction
	means    Operation
	lines    []effect.Line
	effects  []effect.Effect
	spends   []string
	assemble func(*signature) (raw []byte, id Hash)
}

// Assembled is a payload with a signature that was verified.
type Assembled struct {
	Payload *Payload
	Raw     []byte // what is published: the signed transaction; of typed data r ‖ s ‖ v, 65 bytes, v 27 or 28; of an authorization rlp([chain id, address, nonce, y parity, r, s])
	ID      Hash   // a transaction's hash; of the others the digest that was signed
}

// DecodeIn reads what an account is asked to sign, strictly, as spec/chain-evm says: transactions of types 0, 1, 2 and 4, typed data in its canonical JSON,
// and EIP-7702's authorization. What the book does not name is refused; every error but one of a context without account is a *Refused.
func DecodeIn(unsigned []byte, c Context) (*Payload, error) {
	if c.Account.Address == (Address{}) {
		return nil, errors.New("decode EVM payload: the context names no account")
	}
	switch {
	case len(unsigned) > MaxLen:
		return nil, refuse("transaction", "has %d bytes, more than %d", len(unsigned), MaxLen)
	case len(unsigned) > 0 && unsigned[0] == '{':
		return decodeDocument(unsigned, c)
	case len(unsigned) > 0 && unsigned[0] == authorization:
		return decodeAuthorization(unsigned, c)
	}
	return decodeTransaction(unsigned, c)
}

func decodeTransaction(unsigned []byte, c Context) (*Payload, error) {
	tx, r, err := open(unsigned, true)
	if err != nil {
		return nil, err
	}
	tx.end(r)
	if r.err != nil {
		return nil, r.err
	}
	if err := tx.check(); err != nil {
		return nil, err
	}
	chain, err := c.Allowed.chain(tx.chainID)
	if err != nil {
		return nil, err
	}
	if err := tx.fits(chain); err != nil {
		return nil, err
	}
	tx.coin = chain.SLIP44
	m, err := tx.understand(c, chain)
	if err != nil {
		return nil, err
	}
	becoming, more, err := tx.authorised(c)
	if err != nil {
		return nil, err
	}
	p := &Payload{
		account: c.Account, unsigned: tx.encode(nil), chain: tx.chainID, digest: tx.Digest(), tx: tx, means: m.operation,
		lines: slices.Concat(m.lines, tx.tail(chain), more), spends: []string{nonceName(tx.chainID, c.Account.Address, tx.nonce)},
	}
	fee := new(big.Int).Add(tx.maxFee(), chain.DataFee)
	p.effects = append(slices.Concat(m.effects, becoming), effect.Effect{Operation: effect.Fee, Chain: chainName(tx.chainID), Amount: fee})
	p.assemble = func(sig *signature) ([]byte, Hash) {
		raw := tx.encode(sig)
		return raw, Hash(crypto.Keccak256Hash(raw))
	}
	// display versus bytes: what we understood is all there is
	if !bytes.Equal(p.unsigned, unsigned) {
		return nil, refuse("transaction", "is not equal to its own encoding")
	}
	return p, nil
}

// fits says what of an envelope a chain has not.
func (t *Transaction) fits(chain Chain) error {
	switch {
	case t.kind.dynamic() && !chain.Dynamic:
		return refuse("type", "0x02: chain %d has no EIP-1559 in the book", t.chainID)
	case t.kind == SetCode && !chain.SetCode:
		return refuse("type", "0x04: chain %d has no EIP-7702 in the book", t.chainID)
	case t.kind == Listed && !chain.AccessLists:
		return refuse("type", "0x01: chain %d has no access lists in the book", t.chainID)
	case len(t.access) > 0 && !chain.AccessLists:
		return refuse("access list", "is not empty: chain %d has no access lists in the book", t.chainID)
	}
	return nil
}

// understand reads what a transaction calls: by the book, or as Decode does where there is none, or as a call that a plan names.
func (t *Transaction) understand(c Context, chain Chain) (meaning, error) {
	s := scene{chain: chain, book: c.Allowed, caller: c.Account.Address, to: t.to, value: t.value, data: t.data}
	m, err := meaning{}, error(nil)
	if c.Allowed != nil {
		m, err = s.understand()
		t.call = call{operation: m.operation, to: t.to, amount: t.value}
	} else if t.call, err = decodeCall(t.to, t.value, t.data); err == nil && t.call.operation == ERC20Transfer {
		m = s.asset("erc20", "", ERC20Transfer).moved(t.call.to, move{amount: t.call.amount})
	} else if err == nil {
		m = s.coins(t.call)
	}
	if err == nil {
		if m.operation == ERC20Transfer && c.Allowed != nil {
			t.call, err = decodeTransfer(t.to, t.value, t.data)
		}
		return m, err
	}
	if !t.named(c.Named) {
		return meaning{}, err
	}
	m = meaning{operation: ContractCall, effects: []effect.Effect{s.effect(effect.Call, &t.to, nil, t.to)}}
	m.lines = append(s.head(ContractCall, coinAsset(t.chainID, t.coin), new(big.Int), t.to), effect.Line{Name: "calldata-keccak", Value: fmt.Sprintf("0x%x", crypto.Keccak256(t.data))})
	return m, nil
}

// tail are the lines of the envelope.
func (t *Transaction) tail(chain Chain) (out []effect.Line) {
	for _, l := range t.Facts().envelope() {
		out = append(out, effect.Line(l))
	}
	if chain.DataFee.Sign() > 0 {
		out = append(out, effect.Line{Name: "data-fee", Value: chain.DataFee.String()})
	}
	return append(out, accessLines(t.access)...)
}

// nonceName is an account's nonce as something that the chain gives once.
func nonceName(chain uint64, account Address, nonce uint64) string {
	return fmt.Sprintf("eip155:%d/nonce:%s/%d", chain, account, nonce)
}

// Unsigned is what was decoded, byte for byte.
func (p *Payload) Unsigned() []byte { return bytes.Clone(p.unsigned) }

// Digest is the 32 bytes that are signed.
func (p *Payload) Digest() [32]byte { return p.digest }

// ChainID is the chain for which it is.
func (p *Payload) ChainID() uint64 { return p.chain }

// Operation is what it does, as its first line says.
func (p *Payload) Operation() Operation { return p.means }

// Effects are what it does to what the account holds: of a transaction the last one is its fee.
func (p *Payload) Effects() []effect.Effect {
	out := slices.Clone(p.effects)
	for i := range out {
		if out[i].Amount != nil {
			out[i].Amount = new(big.Int).Set(out[i].Amount)
		}
	}
	return out
}

// Lines are its facts for people: at most 64, each with a label of at most 64 characters and a value of at most 2,000 bytes: a statement can say them. With the account they determine the unsigned form.
func (p *Payload) Lines() []effect.Line { return slices.Clone(p.lines) }

// Spends names what the chain gives once of what it uses: the account's nonce, or a nonce within the contract that takes typed data.
func (p *Payload) Spends() []string { return slices.Clone(p.spends) }

// Uses is the one signature that it needs.
func (p *Payload) Uses() []effect.Use {
	return []effect.Use{{Suite: Suite, Path: p.account.Path, Address: p.account.Address.String(), Message: bytes.Clone(p.digest[:])}}
}

// Facts are a transaction's that is a transfer or a call that a plan names; false of everything else.
func (p *Payload) Facts() (Facts, bool) {
	if p.tx == nil || p.means != NativeTransfer && p.means != ERC20Transfer && p.means != ContractCall || p.tx.kind != Dynamic && p.tx.kind != Legacy {
		return Facts{}, false
	}
	return p.tx.Facts(), true
}

// Transaction is what it is; nil of typed data and of an authorization.
func (p *Payload) Transaction() *Transaction { return p.tx }

// Message is what a transaction calls, over which gas is estimated; false of what is no transaction.
func (p *Payload) Message() (to Address, value *big.Int, data []byte, ok bool) {
	if p.tx == nil {
		return Address{}, nil, nil, false
	}
	to, value, data = p.tx.Message()
	return to, value, data, true
}

// Assemble puts the one signature to it, only when it is in low-s form and recovers the account: a wrong one never leaves (spec/chain-evm 3).
func (p *Payload) Assemble(signatures []effect.Signature) (*Assembled, error) {
	if len(signatures) != 1 {
		return nil, fmt.Errorf("assemble EVM payload: %d signatures, not 1", len(signatures))
	}
	s := signatures[0]
	sig := &signature{new(big.Int).SetBytes(s.Bytes[:32]), new(big.Int).SetBytes(s.Bytes[32:]), s.Recovery}
	who, err := sig.recover(p.digest)
	if err != nil {
		return nil, fmt.Errorf("assemble EVM payload: %w", err)
	}
	if who != p.account.Address {
		return nil, fmt.Errorf("assemble EVM payload: signature is by %s, not by %s", who, p.account.Address)
	}
	raw, id := p.assemble(sig)
	return &Assembled{p, raw, id}, nil
}

// ParseSigned reads what somebody published, and finds that it is this payload with the account's signature. The form is Assembled.Raw's.
func (p *Payload) ParseSigned(raw []byte) (*Assembled, error) {
	sig, err := p.signatureOf(raw)
	if err != nil {
		return nil, err
	}
	var s effect.Signature
	sig.r.FillBytes(s.Bytes[:32])
	sig.s.FillBytes(s.Bytes[32:])
	s.Recovery = sig.recID
	out, err := p.Assemble([]effect.Signature{s})
	if err != nil {
		return nil, refuse("signature", "%v", err)
	}
	if !bytes.Equal(out.Raw, raw) {
		return nil, refuse("transaction", "is another one than this, or not in its one form")
	}
	return out, nil
}

// DigestOf is what is signed of a transaction, typed data or an authorization, for those who only read what others ruled on: nothing is said of what it means.
func DigestOf(unsigned []byte) (Hash, error) {
	switch {
	case len(unsigned) > 0 && unsigned[0] == '{':
		typed, err := abi.DecodeTyped(unsigned)
		if err != nil {
			return Hash{}, refuse("typed data", "%v", err)
		}
		return typed.Digest(), nil
	case len(unsigned) > 0 && unsigned[0] == authorization:
		return Hash(crypto.Keccak256Hash(unsigned)), nil
	}
	tx, err := ParseUnsigned(unsigned)
	if err != nil {
		return Hash{}, err
	}
	return tx.Digest(), nil
}

// CheckMessage reads the signature of typed data or an authorization, in the form of Assembled.Raw. It returns what was signed (DigestOf) and who signed it.
func CheckMessage(unsigned, raw []byte) (digest Hash, from Address, err error) {
	if digest, err = DigestOf(unsigned); err != nil {
		return digest, from, err
	}
	p := &Payload{means: TypedData}
	switch unsigned[0] {
	case '{':
	case authorization:
		p.means = SetCodeAuthorization
	default:
		return digest, from, refuse("message", "is neither typed data nor an authorization")
	}
	sig, err := p.signatureOf(raw)
	if err != nil {
		return digest, from, err
	}
	from, err = sig.recover(digest)
	return digest, from, err
}

// signatureOf takes the signature out of what was published; Assemble judges it.
func (p *Payload) signatureOf(raw []byte) (*signature, error) {
	if p.tx != nil {
		tx, r, err := open(raw, true)
		if err != nil {
			return nil, err
		}
		sig := tx.signature(r)
		if r.err == nil && !bytes.Equal(tx.encode(nil), p.unsigned) {
			r.fail("transaction", "is another one than this")
		}
		return sig, r.err
	}
	if p.means != SetCodeAuthorization {
		if len(raw) != 65 || raw[64] < 27 {
			return nil, refuse("signature", "has %d bytes; want 65, r ‖ s ‖ v with v 27 or 28", len(raw))
		}
		return &signature{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:64]), raw[64] - 27}, nil
	}
	content, rest, err := rlp.SplitList(raw)
	if err != nil || len(rest) > 0 {
		return nil, refuse("authorization", "is no RLP list that ends where the bytes end")
	}
	r := &reader{rest: content}
	r.uint64("authorization chain id")
	r.exactly("authorization address", 20)
	r.uint64("authorization nonce")
	parity := r.uint64("authorization y parity")
	sig := &signature{r.integer("authorization r"), r.integer("authorization s"), byte(min(parity, 255))}
	return sig, r.err
}

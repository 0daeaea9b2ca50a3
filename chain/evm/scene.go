package evm

import (
	"fmt"
	"math/big"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm/abi"
)

// Operations of DecodeIn, beside those of Decode (spec/chain-evm 4 and 7).
const (
	RegisteredCall       Operation = "registered-call"
	SetCodeAuthorization Operation = "set-code-authorization"
)

// Bounds of lines, in bytes: a statement says no more (spec/statements, intent: fact), and what it cannot say nobody signs.
const (
	maxValue = 2000
	maxName  = 64
)

// A scene is one call in its surroundings: who calls what, with which coins and bytes.
type scene struct {
	chain    Chain
	book     *Allowed // not nil
	caller   Address  // whose assets move: an account of the vault's, or a Safe
	to       Address
	value    *big.Int
	data     []byte
	delegate bool // a Safe runs the called code as itself
}

// A meaning is what a call does.
type meaning struct {
	operation Operation
	lines     []effect.Line
	effects   []effect.Effect
}

// understand reads a call by the book. What the book does not name is refused, by name where people know it.
func (s scene) understand() (meaning, error) {
	p := place{s.chain.ID, s.to}
	known, registered := s.book.contracts[p]
	if s.delegate {
		return s.readDelegate(known, registered)
	}
	if len(s.data) == 0 {
		c, err := decodeCall(s.to, s.value, nil)
		if err != nil {
			return meaning{}, err
		}
		return s.coins(c), nil
	}
	if len(s.data) < 4 {
		return meaning{}, refuse("data", "has %d bytes, which is no call: a note, or an unknown contract's own form", len(s.data))
	}
	selector := [4]byte(s.data)
	if d, ok := s.book.delays[p]; ok {
		return s.readDelay(d)
	}
	if token, ok := s.book.tokens[p]; ok {
		return s.readToken(token)
	}
	if collection, ok := s.book.collections[p]; ok {
		return s.readCollection(collection)
	}
	if f, ok := known.functions[selector]; ok {
		if f.delegate {
			return meaning{}, refuse("data", "calls %s, which a Safe may run as itself and nobody may call", f.Signature())
		}
		return s.readRegistered(known, f)
	}
	switch name := understood(selector); {
	case registered && name != "":
		return meaning{}, refuse("data", "calls %s, which is not supported and not registered for %s", name, known.name)
	case registered:
		return meaning{}, refuse("data", "calls unknown selector 0x%x, which is not registered for %s", selector, known.name)
	case selector == transferSelector:
		return meaning{}, refuse("to", "is %s, which is no token of the book", s.to)
	case name != "":
		return meaning{}, refuse("data", "calls %s, which is not supported here: %s is not in the book", name, s.to)
	}
	return meaning{}, refuse("data", "calls unknown selector 0x%x of %s, which is not in the book", selector, s.to)
}

// coins is a transfer of the chain's own coin. What comes back to the caller has no effect.
func (s scene) coins(c call) meaning {
	m := meaning{operation: NativeTransfer, lines: s.head(NativeTransfer, coinAsset(s.chain.ID, s.chain.SLIP44), c.amount, c.to)}
	if s.chain.Coin != "" {
		m.lines = append(m.lines, effect.Line{Name: "known-as", Value: s.chain.Coin})
	}
	if c.to != s.caller {
		m.effects = []effect.Effect{s.effect(effect.Transfer, nil, c.amount, c.to)}
	}
	return m
}

// head are the first lines of a call.
func (s scene) head(op Operation, asset string, amount *big.Int, to Address) []effect.Line {
	return []effect.Line{
		{Name: "operation", Value: string(op)}, {Name: "asset", Value: asset}, {Name: "amount", Value: amount.String()}, {Name: "destination", Value: to.String()},
	}
}

// effect is one on this chain; contract is nil for the chain's own coin, amount where nothing is moved.
func (s scene) effect(op effect.Operation, contract *Address, amount *big.Int, to Address) effect.Effect {
	e := effect.Effect{Operation: op, Chain: chainName(s.chain.ID), Destination: to.String()}
	if contract != nil {
		e.Contract = contract.String()
	}
	if amount != nil {
		e.Amount = new(big.Int).Set(amount)
	}
	return e
}

// readRegistered reads a call of a function that the book has for the contract.
func (s scene) readRegistered(c contract, f function) (meaning, error) {
	if s.value.Sign() != 0 && !f.Payable {
		return meaning{}, refuse("value", "%v wei go along with %s, which is not payable in the book", s.value, f.Signature())
	}
	arguments, err := f.Decode(s.data[4:])
	if err != nil {
		return meaning{}, refuse("data", "arguments of %s: %v", f.Signature(), err)
	}
	m := meaning{operation: RegisteredCall, lines: s.head(RegisteredCall, coinAsset(s.chain.ID, s.chain.SLIP44), s.value, s.to)}
	m.lines = append(m.lines, effect.Line{Name: "known-as", Value: c.name}, effect.Line{Name: "function", Value: short(f.Signature())})
	m.lines = append(m.lines, argumentLines("arg.", f.Inputs, arguments)...)
	var coins *big.Int
	if s.value.Sign() != 0 {
		coins = s.value
	}
	m.effects = []effect.Effect{s.effect(effect.Call, &s.to, coins, s.to)}
	return m, nil
}

// readDelegate reads what a Safe is to run as itself: a function that the book lets it.
func (s scene) readDelegate(c contract, registered bool) (meaning, error) {
	if len(s.data) < 4 || !registered {
		return meaning{}, refuse("operation", "is 1: code of %s would run as the Safe, and the book does not name it", s.to)
	}
	f, ok := c.functions[[4]byte(s.data)]
	if !ok || !f.delegate {
		return meaning{}, refuse("operation", "is 1: code of %s would run as the Safe, and selector 0x%x is not registered for that", s.to, s.data[:4])
	}
	m, err := s.readRegistered(c, f)
	if err != nil {
		return meaning{}, err
	}
	m.effects = []effect.Effect{s.effect(effect.DelegateCall, &s.to, nil, s.to)}
	return m, nil
}

func argumentLines(prefix string, fields []abi.Field, values []abi.Value) []effect.Line {
	out := make([]effect.Line, len(fields))
	for i, f := range fields {
		out[i] = effect.Line{Name: argumentName(prefix, f.Name, i), Value: values[i].Shown(maxValue)}
	}
	return out
}

// argumentName is the name of the line of the i-th argument or member: a label, as statements have them, so safeTxGas is safe-tx-gas. Names of Solidity have no hyphen, so two of them
// stay two. One that is too long, also after "safe.", is called by its number from 1 on, which is no name of Solidity's.
func argumentName(prefix, name string, i int) string {
	b := []byte(prefix)
	for _, c := range []byte(name) {
		if 'A' <= c && c <= 'Z' {
			b = append(b, '-')
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	if len(b)+len(safePrefix) > maxName {
		return fmt.Sprintf("%s%d", prefix, i+1)
	}
	return string(b)
}

// understood names a selector that this room reads by itself, or that attackers have called; empty for others.
func understood(selector [4]byte) string {
	if selector == transferSelector {
		return "transfer(address,uint256)"
	}
	for _, table := range []map[[4]byte]tokenCall{tokenCalls, erc721Calls, erc1155Calls} {
		if c, ok := table[selector]; ok {
			return c.Signature()
		}
	}
	return wellKnown[selector]
}

// short keeps a value within what a line may have.
func short(text string) string {
	if len(text) > maxValue {
		return fmt.Sprintf("%s … %d bytes in all, keccak 0x%x", text[:maxValue-100], len(text), keccak(text))
	}
	return text
}

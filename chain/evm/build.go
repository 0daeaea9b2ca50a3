package evm

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/rlp"

	"github.com/ostraka/ostraka/chain/evm/abi"
)

// A Draft says which transaction to build. Fields are as in Request; nil numbers are zero.
type Draft struct {
	Kind           Kind
	ChainID        uint64
	Nonce, Gas     uint64
	FeeCap, TipCap *big.Int // TipCap is nil of Legacy and Listed
	To             Address
	Value          *big.Int
	Data           []byte        // of AssetCalldata or Calldata
	Access         []AccessEntry // of Listed, Dynamic and SetCode
	Authorizations [][]byte      // of SetCode: what an authorization's Assembled.Raw is
}

// BuildIn returns the unsigned form. It refuses what DecodeIn would refuse.
func BuildIn(d Draft, c Context) (unsigned []byte, err error) {
	tx := &Transaction{
		kind: d.Kind, chainID: d.ChainID, nonce: d.Nonce, gas: d.Gas, feeCap: orZero(d.FeeCap), tipCap: orZero(d.TipCap),
		to: d.To, value: orZero(d.Value), data: bytes.Clone(d.Data), access: d.Access,
	}
	switch {
	case d.Kind > SetCode:
		return nil, fmt.Errorf("build EVM transaction: kind %d is unknown", d.Kind)
	case !d.Kind.dynamic() && tx.tipCap.Sign() != 0:
		return nil, fmt.Errorf("build EVM transaction: one of type %s has no tip cap", d.Kind)
	case tx.feeCap.Sign() < 0 || tx.tipCap.Sign() < 0 || tx.value.Sign() < 0:
		return nil, fmt.Errorf("build EVM transaction: a fee or the value is negative")
	case d.Kind != SetCode && len(d.Authorizations) > 0, d.Kind == Legacy && len(d.Access) > 0:
		return nil, fmt.Errorf("build EVM transaction: one of type %s has no such list", d.Kind)
	}
	for i, raw := range d.Authorizations {
		var t tuple
		if err := rlp.DecodeBytes(raw, &t); err != nil {
			return nil, fmt.Errorf("build EVM transaction: authorization %d: %w", i+1, err)
		}
		tx.authorizations = append(tx.authorizations, t)
	}
	unsigned = tx.encode(nil)
	if _, err := DecodeIn(unsigned, c); err != nil {
		return nil, fmt.Errorf("build EVM transaction: %w", err)
	}
	return unsigned, nil
}

// AssetCalldata is the calldata of an operation on a token or a collection. Its arguments are a JSON list in the function's order: addresses as text, amounts as
// decimal strings, data as "0x".
func AssetCalldata(op Operation, arguments []byte) ([]byte, error) {
	if op == ERC20Transfer {
		return Calldata("function transfer(address to,uint256 amount)", arguments)
	}
	for _, table := range []map[[4]byte]tokenCall{tokenCalls, erc721Calls, erc1155Calls} {
		for _, c := range table {
			if c.operation == op {
				return packed(c.Function, arguments)
			}
		}
	}
	return nil, fmt.Errorf("build EVM call: %s is no operation on a token or a collection", op)
}

// Calldata is the calldata of a function (Function.Signature) with arguments as a JSON list.
func Calldata(signature string, arguments []byte) ([]byte, error) {
	f, err := abi.ParseFunction(signature)
	if err != nil {
		return nil, fmt.Errorf("build EVM call: %w", err)
	}
	return packed(f, arguments)
}

func packed(f *abi.Function, arguments []byte) ([]byte, error) {
	values, err := f.ParseArguments(arguments)
	if err != nil {
		return nil, fmt.Errorf("build EVM call: %w", err)
	}
	return f.Encode(values)
}

// Faster returns the same transaction for higher fees: it takes the place of this one, with the same nonce (Replaces). tipCap is nil where the type has none.
func (p *Payload) Faster(feeCap, tipCap *big.Int, c Context) ([]byte, error) {
	if p.tx == nil {
		return nil, fmt.Errorf("build a replacement: %s is no transaction", p.means)
	}
	next := *p.tx
	next.feeCap, next.tipCap = orZero(feeCap), orZero(tipCap)
	if next.feeCap.Sign() < 0 || next.tipCap.Sign() < 0 {
		return nil, fmt.Errorf("build a replacement: a fee is negative")
	}
	return p.instead(next.encode(nil), c, (*Payload).Replaces)
}

// Cancel returns a transfer of nothing to the account itself, with this transaction's nonce and higher fees: this one can never be on the chain after it (Cancels).
// gas is 21,000 on most chains.
func (p *Payload) Cancel(gas uint64, feeCap, tipCap *big.Int, c Context) ([]byte, error) {
	if p.tx == nil {
		return nil, fmt.Errorf("build a cancellation: %s is no transaction", p.means)
	}
	d := Draft{Kind: Legacy, ChainID: p.chain, Nonce: p.tx.nonce, Gas: gas, FeeCap: feeCap, TipCap: tipCap, To: p.account.Address}
	if p.tx.kind.dynamic() {
		d.Kind = Dynamic
	}
	unsigned, err := BuildIn(d, c)
	if err != nil {
		return nil, err
	}
	return p.instead(unsigned, c, (*Payload).Cancels)
}

func (p *Payload) instead(unsigned []byte, c Context, judge func(next, old *Payload) error) ([]byte, error) {
	next, err := DecodeIn(unsigned, c)
	if err == nil {
		err = judge(next, p)
	}
	if err != nil {
		return nil, fmt.Errorf("build instead of the transaction with nonce %d: %w", p.tx.nonce, err)
	}
	return unsigned, nil
}

// sameSlot says why two payloads are no transactions of one account's one nonce, of which the first pays enough more.
func sameSlot(next, old *Payload) error {
	if next.tx == nil || old.tx == nil {
		return fmt.Errorf("%w: one of them is no transaction", ErrNoReplacement)
	}
	a, b := next.tx, old.tx
	switch {
	case next.account.Address != old.account.Address || a.chainID != b.chainID || a.nonce != b.nonce:
		return fmt.Errorf("%w: account, chain or nonce is another", ErrNoReplacement)
	case a.kind.dynamic() != b.kind.dynamic():
		return fmt.Errorf("%w: type %s cannot stand for %s", ErrNoReplacement, a.kind, b.kind)
	case a.feeCap.Cmp(Bumped(b.feeCap)) < 0:
		return fmt.Errorf("%w: fee cap %v is not %d %% more than %v", ErrNoReplacement, a.feeCap, PriceBump, b.feeCap)
	case a.kind.dynamic() && a.tipCap.Cmp(Bumped(b.tipCap)) < 0:
		return fmt.Errorf("%w: tip cap %v is not %d %% more than %v", ErrNoReplacement, a.tipCap, PriceBump, b.tipCap)
	}
	return nil
}

// Replaces says why a payload is no replacement of another one that waits on the chain: the same call in the same type, for higher fees. Nothing else may differ but the gas
// limit, and of the chain's own coin the amount, as the function Replaces has it.
func (p *Payload) Replaces(old *Payload) error {
	if err := sameSlot(p, old); err != nil {
		return err
	}
	if p.means == NativeTransfer && old.means == NativeTransfer {
		a, aok := p.Facts()
		b, bok := old.Facts()
		if aok && bok && len(p.tx.access)+len(old.tx.access) == 0 {
			return Replaces(a, b)
		}
	}
	a, b := p.tx, old.tx
	same := a.kind == b.kind && a.to == b.to && a.value.Cmp(b.value) == 0 && bytes.Equal(a.data, b.data) &&
		slices.EqualFunc(a.access, b.access, func(x, y AccessEntry) bool { return x.Address == y.Address && slices.Equal(x.Keys, y.Keys) }) &&
		bytes.Equal(encodeList([]any{a.authorizations}), encodeList([]any{b.authorizations}))
	if !same {
		return fmt.Errorf("%w: it does something else", ErrNoReplacement)
	}
	return nil
}

// Cancels says why a payload does not take the place of another one and do nothing: a transfer of nothing to the account itself, for higher fees.
func (p *Payload) Cancels(old *Payload) error {
	if err := sameSlot(p, old); err != nil {
		return err
	}
	t := p.tx
	if t.to != p.account.Address || t.value.Sign() != 0 || len(t.data) > 0 || len(t.access) > 0 || len(t.authorizations) > 0 {
		return fmt.Errorf("%w: it is more than a transfer of nothing to the account itself", ErrNoReplacement)
	}
	return nil
}

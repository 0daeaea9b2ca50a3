package evm

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/ostraka/ostraka/chain/effect"
)

// MaxChainID is the largest chain id for which v of EIP-155 fits 64 bits (EIP-2294).
const MaxChainID = math.MaxUint64/2 - 36

// A Kind is a transaction's envelope.
type Kind uint8

// The envelopes. Dynamic is the zero value; Decode accepts the first two, DecodeIn all.
const (
	Dynamic Kind = iota // EIP-1559, type 2
	Legacy              // EIP-155
	Listed              // EIP-2930, type 1
	SetCode             // EIP-7702, type 4
)

// String returns the word that stands in decisions.
func (k Kind) String() string {
	if words := [...]string{"eip1559", "legacy", "eip2930", "eip7702"}; int(k) < len(words) {
		return words[k]
	}
	return "unknown"
}

// dynamic says whether a fee cap and a tip cap stand in place of a gas price.
func (k Kind) dynamic() bool { return k == Dynamic || k == SetCode }

// fields is how many the signing payload has.
func (k Kind) fields() int { return [...]int{9, 9, 8, 10}[k] }

// An Operation is what a transaction does, as policy names it.
type Operation string

// The operations that Decode and DecodeCall accept. Those of DecodeIn stand beside what reads them.
const (
	NativeTransfer Operation = "native-transfer"
	ERC20Transfer  Operation = "erc20-transfer"
	ContractCall   Operation = "contract-call" // named by an SOS plan: DecodeCall, ParseSigned and DecodeIn
)

// A Request says which transfer to build. Amounts and fees are in the smallest unit
// (wei, or the token's), from 0 to 2²⁵⁶−1; nil means zero.
type Request struct {
	Kind    Kind
	ChainID uint64   // 1 … MaxChainID
	Nonce   uint64   // below 2⁶⁴−1 (EIP-2681)
	Gas     uint64   // gas limit
	FeeCap  *big.Int // most wei paid per gas; the gas price of a legacy transaction
	TipCap  *big.Int // part of it that goes to the block's producer; nil for legacy
	Token   *Address // the ERC-20 contract; nil moves the chain's own coin
	To      Address  // who receives; of a call the contract
	Amount  *big.Int
	Data    []byte // of a call, with Amount along: BuildIn builds it, and Build does not; nil of a transfer
}

// Message returns what the transfer calls: the address that is called, the wei sent along
// and the calldata. Gas is estimated over these.
func (r Request) Message() (to Address, value *big.Int, data []byte, err error) {
	amount := orZero(r.Amount)
	if amount.Sign() < 0 || amount.BitLen() > 256 {
		return Address{}, nil, nil, fmt.Errorf("build EVM transaction: amount %v is not in 0 … 2²⁵⁶−1", amount)
	}
	switch {
	case r.Token == nil:
		return r.To, amount, r.Data, nil
	case r.Data != nil:
		return Address{}, nil, nil, errors.New("build EVM transaction: a call moves no token by itself")
	}
	return *r.Token, new(big.Int), transferCalldata(r.To, amount), nil
}

// Build returns the unsigned form. It refuses what Decode would refuse.
func Build(r Request) (unsigned []byte, err error) {
	to, value, data, err := r.Message()
	if err != nil {
		return nil, err
	}
	tx := &Transaction{
		kind: r.Kind, chainID: r.ChainID, nonce: r.Nonce, gas: r.Gas,
		feeCap: orZero(r.FeeCap), tipCap: orZero(r.TipCap), to: to, value: value, data: data,
	}
	switch {
	case r.Kind > Legacy:
		return nil, fmt.Errorf("build EVM transaction: kind %d is unknown", r.Kind)
	case r.Kind == Legacy && tx.tipCap.Sign() != 0:
		return nil, fmt.Errorf("build EVM transaction: a legacy transaction has no tip cap")
	case tx.feeCap.Sign() < 0 || tx.tipCap.Sign() < 0:
		return nil, fmt.Errorf("build EVM transaction: a fee is negative")
	}
	unsigned = tx.encode(nil)
	if _, err := Decode(unsigned); err != nil {
		return nil, fmt.Errorf("build EVM transaction: %w", err)
	}
	return unsigned, nil
}

// A CallRequest says which call of a contract to build: without value, and one that a plan names. Fields are as in Request.
type CallRequest struct {
	Kind           Kind
	ChainID        uint64
	Nonce          uint64
	Gas            uint64
	FeeCap, TipCap *big.Int
	To             Address // the contract
	Data           []byte
}

// BuildCall returns the unsigned form. It refuses what DecodeCall would refuse of a call that is named.
func BuildCall(r CallRequest) (unsigned []byte, err error) {
	tx := &Transaction{
		kind: r.Kind, chainID: r.ChainID, nonce: r.Nonce, gas: r.Gas,
		feeCap: orZero(r.FeeCap), tipCap: orZero(r.TipCap), to: r.To, value: new(big.Int), data: bytes.Clone(r.Data),
	}
	if r.Kind > Legacy || r.Kind == Legacy && tx.tipCap.Sign() != 0 || tx.feeCap.Sign() < 0 || tx.tipCap.Sign() < 0 {
		return nil, fmt.Errorf("build EVM call: kind %d with fee cap %v and tip cap %v is none", r.Kind, tx.feeCap, tx.tipCap)
	}
	unsigned = tx.encode(nil)
	if _, err := DecodeCall(unsigned, AnyCall); err != nil {
		return nil, fmt.Errorf("build EVM call: %w", err)
	}
	return unsigned, nil
}

// A Transaction is one that Decode understood in full. It is immutable.
type Transaction struct {
	kind           Kind
	chainID        uint64
	nonce          uint64
	gas            uint64
	feeCap, tipCap *big.Int // legacy: feeCap is the gas price, tipCap is zero
	to             Address
	value          *big.Int
	data           []byte
	call           call // what data and value mean

	// of DecodeIn alone
	access         []AccessEntry
	authorizations []tuple
	coin           uint32 // SLIP 44 of the chain's own coin; 0 is 60, as Decode has it
}

// Message returns the address that is called, the wei that go along, and the calldata.
func (t *Transaction) Message() (to Address, value *big.Int, data []byte) {
	return t.to, orZero(t.value), bytes.Clone(t.data)
}

// Unsigned returns the signing payload, byte for byte what was decoded.
func (t *Transaction) Unsigned() []byte { return t.encode(nil) }

// encode returns the signing payload, or with sig the signed transaction.
// spec/chain-evm 1 and 3.
func (t *Transaction) encode(sig *signature) []byte {
	if t.kind == Legacy {
		fields := []any{t.nonce, t.feeCap, t.gas, t.to, t.value, t.data}
		if sig == nil {
			return encodeList(append(fields, t.chainID, uint(0), uint(0)))
		}
		v := 2*t.chainID + 35 + uint64(sig.recID)
		return encodeList(append(fields, v, sig.r, sig.s))
	}
	fields := []any{t.chainID, t.nonce}
	if t.kind.dynamic() {
		fields = append(fields, t.tipCap)
	}
	fields = append(fields, t.feeCap, t.gas, t.to, t.value, t.data, t.access)
	if t.kind == SetCode {
		fields = append(fields, t.authorizations)
	}
	if sig != nil {
		fields = append(fields, uint64(sig.recID), sig.r, sig.s)
	}
	return append([]byte{[...]byte{Dynamic: dynamicType, Listed: listedType, SetCode: setCodeType}[t.kind]}, encodeList(fields)...)
}

func encodeList(fields []any) []byte {
	b, err := rlp.EncodeToBytes(fields)
	if err != nil { // only for types that RLP does not know, or negative integers
		panic("evm: encode: " + err.Error())
	}
	return b
}

func orZero(x *big.Int) *big.Int {
	if x == nil {
		return new(big.Int)
	}
	return new(big.Int).Set(x)
}

// Facts are what a transaction does, for policy, for decisions and for people. What is neither a transfer nor a call that a plan names calls its destination with
// the amount of the chain's own coin: its Payload says what that means.
type Facts struct {
	Kind        Kind
	Operation   Operation
	Asset       string   // CAIP-19: eip155:1/slip44:60 is the own coin of chain 1 (60 on every EVM chain), eip155:1/erc20:0x… a token
	Amount      *big.Int // in the asset's smallest unit
	Destination Address  // who receives, not the token's contract
	Token       *Address // the token's contract, nil for the chain's own coin
	ChainID     uint64
	Nonce       uint64
	Gas         uint64
	FeeCap      *big.Int // most wei per gas
	TipCap      *big.Int // wei per gas, zero for legacy
	MaxFee      *big.Int // Gas × FeeCap in wei
	Calldata    []byte   // of what is no transfer
	MaxCost     *big.Int // MaxFee, and Amount where the asset is the chain's own coin, in wei
}

// Facts returns a copy of the decoded facts.
func (t *Transaction) Facts() Facts {
	f := Facts{
		Kind: t.kind, Operation: t.call.operation, Amount: orZero(t.call.amount), Destination: t.call.to,
		ChainID: t.chainID, Nonce: t.nonce, Gas: t.gas,
		FeeCap: orZero(t.feeCap), TipCap: orZero(t.tipCap), MaxFee: t.maxFee(), MaxCost: t.maxCost(),
	}
	f.Asset = coinAsset(t.chainID, t.coin)
	if t.call.operation == ERC20Transfer {
		token := t.to
		f.Token = &token
		f.Asset = fmt.Sprintf("eip155:%d/erc20:%s", t.chainID, token.lower())
	}
	if t.call.operation != NativeTransfer && t.call.operation != ERC20Transfer {
		f.Calldata = bytes.Clone(t.data)
	}
	return f
}

// Effects are what a transfer, or a call that a plan names, does, whoever receives: also what comes back to the sender. The last one is its fee.
func (f Facts) Effects() []effect.Effect {
	chain := chainName(f.ChainID)
	e := effect.Effect{Operation: effect.Transfer, Chain: chain, Amount: orZero(f.Amount), Destination: f.Destination.String()}
	switch {
	case f.Operation == ContractCall:
		e.Operation, e.Contract, e.Amount = effect.Call, f.Destination.String(), nil
	case f.Token != nil:
		e.Operation, e.Contract = effect.Token, f.Token.String()
	}
	return []effect.Effect{e, {Operation: effect.Fee, Chain: chain, Amount: orZero(f.MaxFee)}}
}

// coinAsset is the name of a chain's own coin (CAIP-19).
func coinAsset(chain uint64, slip44 uint32) string {
	if slip44 == 0 {
		slip44 = 60
	}
	return fmt.Sprintf("eip155:%d/slip44:%d", chain, slip44)
}

func (t *Transaction) maxFee() *big.Int {
	return new(big.Int).Mul(new(big.Int).SetUint64(t.gas), t.feeCap)
}

func (t *Transaction) maxCost() *big.Int { return new(big.Int).Add(t.maxFee(), t.value) }

// A Line is one fact as text.
type Line struct{ Name, Value string }

// Lines returns the facts in the order of spec/chain-evm 5, integers in decimal.
func (f Facts) Lines() []Line {
	lines := []Line{
		{"operation", string(f.Operation)},
		{"asset", f.Asset},
		{"amount", f.Amount.String()},
		{"destination", f.Destination.String()},
	}
	if f.Calldata != nil {
		lines = append(lines, Line{"calldata-keccak", fmt.Sprintf("0x%x", crypto.Keccak256(f.Calldata))})
	}
	return append(lines, f.envelope()...)
}

// envelope are the lines that every transaction has, whatever it does.
func (f Facts) envelope() []Line {
	lines := []Line{
		{"chain-id", strconv.FormatUint(f.ChainID, 10)},
		{"transaction-type", f.Kind.String()},
		{"nonce", strconv.FormatUint(f.Nonce, 10)},
		{"gas-limit", strconv.FormatUint(f.Gas, 10)},
		{"fee-cap", f.FeeCap.String()},
	}
	if f.Kind.dynamic() {
		lines = append(lines, Line{"tip-cap", f.TipCap.String()})
	}
	return append(lines, Line{"max-fee", f.MaxFee.String()}, Line{"max-cost", f.MaxCost.String()})
}

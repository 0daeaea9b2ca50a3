package cosmos

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/wire"
)

// Suite is the suite of the keys.
const Suite = "ecdsa-secp256k1"

// Bounds.
const (
	MaxLen      = 16 << 10 // of the unsigned form, in bytes
	MaxMessages = 16
	MaxCoins    = 4   // of one message
	MaxMemo     = 256 // bytes; what chains take at most, unless they say otherwise

	typeSend = "/cosmos.bank.v1beta1.MsgSend"
	typeKey  = "/cosmos.crypto.secp256k1.PubKey"
	direct   = 1 // SIGN_MODE_DIRECT
)

// known are messages that are refused by name.
var known = map[string]string{
	"/cosmos.bank.v1beta1.MsgMultiSend": "many senders and receivers", "/cosmos.staking.v1beta1.MsgDelegate": "delegation", "/cosmos.staking.v1beta1.MsgUndelegate": "delegation",
	"/cosmos.authz.v1beta1.MsgGrant": "leave for another to sign", "/cosmos.authz.v1beta1.MsgExec": "messages within a message", "/cosmos.feegrant.v1beta1.MsgGrantAllowance": "leave for another to spend",
	"/ibc.applications.transfer.v1.MsgTransfer": "transfer to another chain", "/cosmwasm.wasm.v1.MsgExecuteContract": "call of a contract", "/cosmos.gov.v1.MsgVote": "a vote",
}

// A Refused error says which field of a transaction cannot be signed, and why.
type Refused = wire.Refused

func refuse(field, format string, args ...any) error {
	return &Refused{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// A Coin is an amount of one denomination, from 1 to 2²⁵⁶−1.
type Coin struct {
	Denom  string
	Amount *big.Int
}

// A Send is one MsgSend: coins in ascending order of denominations.
type Send struct {
	To    string
	Coins []Coin
}

// A Request says which transaction to build.
type Request struct {
	Key           []byte // of the sender, 33 bytes compressed
	AccountNumber uint64
	Sequence      uint64
	Sends         []Send // 1 to 16
	Fee           *Coin  // nil: none
	Gas           uint64
	Memo          string
	TimeoutHeight uint64 // 0: none
}

// A Context is what a node knows by itself when it decodes.
type Context struct {
	Network Network
	// Own says whether an address is one of the vault's, and its path below the vault's root of suite ecdsa-secp256k1.
	Own func(address string) (path [3]uint32, own bool)
}

// A Transaction is one that Decode understood in full. It is immutable.
type Transaction struct {
	request Request
	network Network
	from    string
	path    [3]uint32
	own     func(string) bool
	body    []byte
	auth    []byte
	id      string
}

// Unsigned returns the SignDoc, byte for byte what was decoded.
func (t *Transaction) Unsigned() []byte {
	var w wire.Writer
	return w.Bytes(1, t.body).Bytes(2, t.auth).Text(3, t.id).Uint(4, t.request.AccountNumber).Sum()
}

// Digest returns the 32 bytes that are signed: SHA-256 of the SignDoc.
func (t *Transaction) Digest() [32]byte { return sha256.Sum256(t.Unsigned()) }

// encodeBody writes TxBody.
func (r Request) encodeBody(from string) []byte {
	var w wire.Writer
	for _, s := range r.Sends {
		var send, anything wire.Writer
		send.Text(1, from).Text(2, s.To)
		for _, c := range s.Coins {
			send.Item(3, c.encode())
		}
		w.Item(1, anything.Text(1, typeSend).Bytes(2, send.Sum()).Sum())
	}
	return w.Text(2, r.Memo).Uint(3, r.TimeoutHeight).Sum()
}

func (c Coin) encode() []byte {
	var w wire.Writer
	return w.Text(1, c.Denom).Text(2, c.Amount.String()).Sum()
}

// encodeAuth writes AuthInfo.
func (r Request) encodeAuth() []byte {
	var key, anything, single, mode, info, fee, w wire.Writer
	anything.Text(1, typeKey).Bytes(2, key.Bytes(1, r.Key).Sum())
	mode.Bytes(1, single.Uint(1, direct).Sum())
	info.Bytes(1, anything.Sum()).Bytes(2, mode.Sum()).Uint(3, r.Sequence)
	if r.Fee != nil {
		fee.Item(1, r.Fee.encode())
	}
	return w.Item(1, info.Sum()).Bytes(2, fee.Uint(2, r.Gas).Sum()).Sum()
}

// Build returns the unsigned form. It refuses what Decode would refuse.
func Build(r Request, c Context) ([]byte, error) {
	id, err := c.Network.id()
	if err != nil {
		return nil, err
	}
	from, err := c.Network.Address(r.Key)
	if err != nil {
		return nil, fmt.Errorf("build Cosmos transaction: %w", err)
	}
	t := &Transaction{request: r, body: r.encodeBody(from), auth: r.encodeAuth(), id: id}
	unsigned := t.Unsigned()
	if _, err := Decode(unsigned, c); err != nil {
		return nil, fmt.Errorf("build Cosmos transaction: %w", err)
	}
	return unsigned, nil
}

// printable says whether text is one line of visible characters and spaces.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// contract is how effects name a denomination: empty of the chain's own coin.
func (t *Transaction) contract(denom string) string {
	if denom == t.network.Native {
		return ""
	}
	return denom
}

// Effects are what the transaction does to what the vault holds, its fee as the last.
func (t *Transaction) Effects() []effect.Effect {
	var all []effect.Effect
	for _, s := range t.request.Sends {
		if t.own(s.To) {
			continue
		}
		for _, c := range s.Coins {
			operation := effect.Token
			if c.Denom == t.network.Native {
				operation = effect.Transfer
			}
			all = append(all, effect.Effect{Operation: operation, Chain: t.network.Chain, Contract: t.contract(c.Denom), Amount: new(big.Int).Set(c.Amount), Destination: s.To})
		}
	}
	fee := effect.Effect{Operation: effect.Fee, Chain: t.network.Chain, Amount: new(big.Int)}
	if f := t.request.Fee; f != nil {
		fee.Contract, fee.Amount = t.contract(f.Denom), new(big.Int).Set(f.Amount)
	}
	return append(all, fee)
}

// Lines are the facts in the order of spec/chain-cosmos 4, at most 64. The last is a hash of the unsigned form.
func (t *Transaction) Lines() []effect.Line {
	r := t.request
	var lines []effect.Line
	add := func(name, format string, args ...any) {
		lines = append(lines, effect.Line{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	add("chain", "%s", t.network.Chain)
	add("from", "%s", t.from)
	for i, s := range r.Sends {
		var coins []string
		for _, c := range s.Coins {
			coins = append(coins, c.Amount.String()+" "+c.Denom)
		}
		add(fmt.Sprintf("message-%d", i+1), "send %s to %s", strings.Join(coins, ", "), s.To)
	}
	if r.Memo != "" {
		add("memo", "%s", r.Memo)
	}
	fee := "0"
	if r.Fee != nil {
		fee = r.Fee.Amount.String() + " " + r.Fee.Denom
	}
	add("fee", "%s", fee)
	add("gas-limit", "%d", r.Gas)
	add("account-number", "%d", r.AccountNumber)
	add("sequence", "%d", r.Sequence)
	if r.TimeoutHeight != 0 {
		add("timeout-height", "%d", r.TimeoutHeight)
	}
	add("public-key", "%x", r.Key)
	add("unsigned-sha256", "%x", t.Digest())
	return lines
}

// Spends names what the chain gives once: the sequence of the account.
func (t *Transaction) Spends() []string {
	return []string{fmt.Sprintf("%s account %s sequence %d", t.network.Chain, t.from, t.request.Sequence)}
}

// Uses is the one signature that the transaction needs.
func (t *Transaction) Uses() []effect.Use {
	d := t.Digest()
	return []effect.Use{{Suite: Suite, Path: t.path, Address: t.from, Message: d[:]}}
}

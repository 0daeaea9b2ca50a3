package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
)

// A Header is what of a block is asked for by those who look back.
type Header struct {
	Height uint64
	Hash   evm.Hash
	Time   time.Time
}

// latest names the newest block.
const latest = "latest"

func height(h uint64) string { return fmt.Sprintf("%#x", h) }

// Latest returns the newest block.
func (c *EVM) Latest(ctx context.Context) (Header, error) {
	h, found, err := c.header(ctx, latest)
	if err == nil && !found {
		err = c.broken("eth_getBlockByNumber", "has no latest block")
	}
	return h, err
}

// HeaderAt returns the block at a height. found is false where the endpoint has none.
func (c *EVM) HeaderAt(ctx context.Context, at uint64) (Header, bool, error) {
	h, found, err := c.header(ctx, height(at))
	if err == nil && found && h.Height != at {
		return Header{}, false, c.broken("eth_getBlockByNumber", "answered with block %d for %d", h.Height, at)
	}
	return h, found, err
}

type headerForm struct {
	Number    *quantity64 `json:"number"`
	Hash      *evm.Hash   `json:"hash"`
	Timestamp quantity64  `json:"timestamp"`
}

func (c *EVM) header(ctx context.Context, at string) (Header, bool, error) {
	var f headerForm
	found, err := c.block(ctx, at, false, &f)
	if err != nil || !found {
		return Header{}, false, err
	}
	return c.headerOf(f)
}

func (c *EVM) headerOf(f headerForm) (Header, bool, error) {
	if f.Number == nil || f.Hash == nil {
		return Header{}, false, c.broken("eth_getBlockByNumber", "answered with a block without number or hash")
	}
	const last = 1 << 40 // a time beyond it is none
	return Header{uint64(*f.Number), *f.Hash, time.Unix(int64(min(f.Timestamp, last)), 0).UTC()}, true, nil
}

func (c *EVM) block(ctx context.Context, at string, whole bool, result any) (found bool, err error) {
	const method = "eth_getBlockByNumber"
	var raw json.RawMessage
	if err := c.call(ctx, &raw, method, at, whole); err != nil || string(raw) == "null" {
		return false, err
	}
	err = c.client.Decode(method, raw, result)
	return err == nil, err
}

// A Sent transaction stands in a block, as the endpoint says.
type Sent struct {
	Hash  evm.Hash
	From  evm.Address
	Nonce uint64
	JSON  json.RawMessage // all that the endpoint shows of it
}

// BlockAt returns the block at a height with its transactions. found is false where the endpoint has none.
func (c *EVM) BlockAt(ctx context.Context, at uint64) (h Header, sent []Sent, found bool, err error) {
	var f struct {
		headerForm
		Transactions []json.RawMessage `json:"transactions"`
	}
	if found, err = c.block(ctx, height(at), true, &f); err != nil || !found {
		return h, nil, false, err
	}
	if h, _, err = c.headerOf(f.headerForm); err != nil {
		return h, nil, false, err
	}
	if h.Height != at {
		return h, nil, false, c.broken("eth_getBlockByNumber", "answered with block %d for %d", h.Height, at)
	}
	for _, raw := range f.Transactions {
		var t struct {
			Hash  evm.Hash    `json:"hash"`
			From  evm.Address `json:"from"`
			Nonce quantity64  `json:"nonce"`
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return h, nil, false, c.broken("eth_getBlockByNumber", "shows in block %d a transaction without hash, sender or nonce", at)
		}
		sent = append(sent, Sent{t.Hash, t.From, uint64(t.Nonce), raw})
	}
	return h, sent, true, nil
}

// NonceAt returns how many nonces an account has used after the block at a height. An endpoint that keeps no state of it refuses: a *CallError.
func (c *EVM) NonceAt(ctx context.Context, account evm.Address, at uint64) (uint64, error) {
	return c.number64(ctx, "eth_getTransactionCount", account, height(at))
}

// BalanceAt returns an account's wei after the block at a height.
func (c *EVM) BalanceAt(ctx context.Context, account evm.Address, at uint64) (*big.Int, error) {
	return c.number(ctx, "eth_getBalance", account, height(at))
}

// CodeAt returns the code of an account after the block at a height: none of one that has a key alone, 23 bytes of one that was delegated (EIP-7702).
func (c *EVM) CodeAt(ctx context.Context, account evm.Address, at uint64) ([]byte, error) {
	var b blob
	err := c.call(ctx, &b, "eth_getCode", account, height(at))
	return b, err
}

// TokenBalanceAt returns how much of an ERC-20 token an account holds after the block at a height, in its smallest unit.
func (c *EVM) TokenBalanceAt(ctx context.Context, token, account evm.Address, at uint64) (*big.Int, error) {
	data := append(append(make([]byte, 0, 36), balanceOfSelector...), make([]byte, 12)...)
	return c.tokenWord(ctx, token, append(data, account[:]...), height(at))
}

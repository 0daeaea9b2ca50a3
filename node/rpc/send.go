package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
)

// SendRaw broadcasts a signed transaction. Sending the same bytes again is success: on any
// refusal the chain is asked for the hash, so no node's wording matters. If the chain does
// not know the transaction either, the error is a *Rejected with what explains it; an
// *EndpointError means that the outcome is unknown and that sending again is safe.
func (c *EVM) SendRaw(ctx context.Context, raw []byte) (evm.Hash, error) {
	signed, err := evm.ParseAny(raw)
	if err != nil {
		return evm.Hash{}, fmt.Errorf("broadcast: %w", err)
	}
	facts := signed.Transaction.Facts()
	if err := c.checkChain(ctx, facts.ChainID); err != nil {
		return evm.Hash{}, fmt.Errorf("broadcast %s: %w", signed.Hash, err)
	}
	var hash evm.Hash
	err = c.call(ctx, &hash, "eth_sendRawTransaction", hexBytes(raw))
	if err == nil && hash != signed.Hash {
		err = c.broken("eth_sendRawTransaction", "answered with hash %s for transaction %s", hash, signed.Hash)
	}
	if err == nil {
		return signed.Hash, nil
	}
	if known, lookup := c.knows(ctx, signed.Hash); lookup == nil && known {
		return signed.Hash, nil
	}
	var refusal *CallError
	if errors.As(err, &refusal) {
		return evm.Hash{}, &Rejected{Hash: signed.Hash.String(), Err: refusal, Why: c.explain(ctx, signed)}
	}
	return evm.Hash{}, fmt.Errorf("broadcast %s: outcome unknown, send again: %w", signed.Hash, err)
}

// knows reports whether the transaction waits in the pool or stands in a block.
func (c *EVM) knows(ctx context.Context, hash evm.Hash) (bool, error) {
	if _, found, err := c.TransactionByHash(ctx, hash); found || err != nil {
		return found, err
	}
	_, found, err := c.Receipt(ctx, hash)
	return found, err
}

// Missing reports that the chain's node says, in plain words, that it knows no receipt of a
// transaction and that none is being looked for: a refusal, such as one while it indexes, is
// an error here and proves nothing.
func (c *EVM) Missing(ctx context.Context, hash evm.Hash) (bool, error) {
	var raw json.RawMessage
	err := c.call(ctx, &raw, "eth_getTransactionReceipt", hash)
	return err == nil && string(raw) == "null", err
}

// explain asks the chain why it may have refused. Facts that cannot be read explain nothing.
func (c *EVM) explain(ctx context.Context, signed *evm.Signed) error {
	facts := signed.Transaction.Facts()
	var why []error
	if mined, err := c.MinedNonce(ctx, signed.From); err == nil && facts.Nonce < mined {
		why = append(why, &Mismatch{
			Field: FieldNonce, Expected: fmt.Sprintf("%d or more", mined), Found: fmt.Sprint(facts.Nonce),
			Next: "another transaction has used it; propose a new one",
		})
	}
	for _, check := range []func(context.Context, evm.Address, evm.Facts) error{c.checkBaseFee, c.checkBalance} {
		var mismatch *Mismatch
		if err := check(ctx, signed.From, facts); errors.As(err, &mismatch) {
			why = append(why, mismatch)
		}
	}
	return errors.Join(why...)
}

// A Known transaction is one that the chain's node has seen.
type Known struct {
	Hash  evm.Hash
	From  evm.Address
	Nonce uint64
	Block *uint64 // nil while it waits in the pool
}

// TransactionByHash looks a transaction up in the pool and on the chain.
func (c *EVM) TransactionByHash(ctx context.Context, hash evm.Hash) (tx Known, found bool, err error) {
	const method = "eth_getTransactionByHash"
	var r *struct {
		Hash  evm.Hash    `json:"hash"`
		From  evm.Address `json:"from"`
		Nonce quantity64  `json:"nonce"`
		Block *quantity64 `json:"blockNumber"`
	}
	found, err = c.lookup(ctx, &r, method, hash)
	if err != nil || !found || r == nil {
		return Known{}, false, err
	}
	if r.Hash != hash {
		return Known{}, false, c.broken(method, "answered with transaction %s for %s", r.Hash, hash)
	}
	return Known{Hash: hash, From: r.From, Nonce: uint64(r.Nonce), Block: (*uint64)(r.Block)}, true, nil
}

// A Receipt is the outcome of a transaction that stands in a block.
type Receipt struct {
	Hash      evm.Hash `json:"hash"`
	Block     uint64   `json:"block"`
	BlockHash evm.Hash `json:"block_hash"`
	Success   bool     `json:"success"` // false: it was reverted, and its fee spent
	GasUsed   uint64   `json:"gas_used"`
	GasPrice  *big.Int `json:"gas_price"` // wei per gas that was paid; nil where the chain does not say
}

// Receipt returns the outcome of a transaction. found is false while there is none,
// which includes a node that is still indexing.
func (c *EVM) Receipt(ctx context.Context, hash evm.Hash) (receipt Receipt, found bool, err error) {
	const method = "eth_getTransactionReceipt"
	var r *struct {
		Hash      evm.Hash    `json:"transactionHash"`
		Block     *quantity64 `json:"blockNumber"`
		BlockHash evm.Hash    `json:"blockHash"`
		Status    *quantity64 `json:"status"`
		GasUsed   quantity64  `json:"gasUsed"`
		GasPrice  *quantity   `json:"effectiveGasPrice"`
	}
	found, err = c.lookup(ctx, &r, method, hash)
	if err != nil || !found || r == nil || r.Block == nil {
		return Receipt{}, false, err
	}
	switch {
	case r.Hash != hash:
		return Receipt{}, false, c.broken(method, "answered with the receipt of %s for %s", r.Hash, hash)
	case r.Status == nil:
		return Receipt{}, false, c.broken(method, "answered with a receipt without status")
	}
	receipt = Receipt{
		Hash: hash, Block: uint64(*r.Block), BlockHash: r.BlockHash,
		Success: *r.Status == 1, GasUsed: uint64(r.GasUsed),
	}
	if r.GasPrice != nil {
		receipt.GasPrice = &r.GasPrice.Int
	}
	return receipt, true, nil
}

// serverError is JSON-RPC's code for all that a server has no code for.
const serverError = -32000

// lookup calls a method whose result is null where there is nothing. geth refuses instead
// while it indexes ("transaction indexing is in progress"): nothing yet.
func (c *EVM) lookup(ctx context.Context, result any, method string, hash evm.Hash) (found bool, err error) {
	var raw json.RawMessage
	err = c.call(ctx, &raw, method, hash)
	var refusal *CallError
	if errors.As(err, &refusal) && refusal.Code == serverError && strings.Contains(refusal.Message, "indexing") {
		return false, nil
	}
	if err != nil || string(raw) == "null" {
		return false, err
	}
	err = c.client.Decode(method, raw, result)
	return err == nil, err
}

// Wait polls, at once and then at every tick, until the transaction stands under
// confirmations blocks (1: its own), and returns its receipt, be it of success or not. An
// endpoint that fails meanwhile is asked again. When ctx ends, the error says how far it
// was.
func (c *EVM) Wait(ctx context.Context, hash evm.Hash, confirmations uint64, tick <-chan time.Time) (Receipt, error) {
	seen := errors.New("the endpoint has not answered yet")
	for {
		receipt, depth, err := c.depth(ctx, hash)
		if err == nil && depth > 0 && depth >= confirmations {
			return receipt, nil
		}
		if ctx.Err() == nil { // a poll that was cut short says nothing
			seen = err
			if err == nil {
				seen = fmt.Errorf("it has %d of %d confirmations", depth, confirmations)
			}
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return Receipt{}, fmt.Errorf("wait for %s: %w: %w", hash, ctx.Err(), seen)
		}
	}
}

// depth returns the receipt and how many blocks stand from it to the head, itself included;
// 0 without a receipt.
func (c *EVM) depth(ctx context.Context, hash evm.Hash) (Receipt, uint64, error) {
	receipt, found, err := c.Receipt(ctx, hash)
	if err != nil || !found {
		return Receipt{}, 0, err
	}
	head, err := c.BlockNumber(ctx)
	if err != nil {
		return Receipt{}, 0, err
	}
	if head < receipt.Block { // a load balancer's slower node answered
		return receipt, 1, nil
	}
	return receipt, head - receipt.Block + 1, nil
}

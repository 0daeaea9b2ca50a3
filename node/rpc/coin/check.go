package coin

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// The facts that Check compares, beside the network.
const (
	FieldCoin          endpoint.Field = "coin" // is there, and nothing spends it
	FieldAmount        endpoint.Field = "amount"
	FieldScript        endpoint.Field = "script"
	FieldConfirmations endpoint.Field = "confirmations"
	FieldLockTime      endpoint.Field = "lock time"
)

// A Coin is an output that a transaction spends, as its unsigned form has it.
type Coin struct {
	Outpoint psbt.Outpoint
	Amount   uint64 // satoshis
	Script   []byte
}

// A Spending is what is compared of a transaction with the chain.
type Spending struct {
	Network   bitcoin.Network
	Coins     []Coin             // 1 to 300
	LockTime  uint32             // as the transaction has it: a height, or from 500,000,000 on a time
	Own       func(psbt.ID) bool // whether the vault made that transaction; nil: it made none. It is asked by one goroutine
	Child     bool               // it pays for its parents: it may spend outputs of others that wait
	Replacing bool               // it takes the coins of one that waits: what the pool spends is not spent
}

const (
	maxCoins     = 300         // spec/chain-bitcoin 4.2
	firstTime    = 500_000_000 // lock times from here on are seconds since 1970
	coinbaseDeep = 100         // confirmations with which the next block may spend a coinbase
)

// fixed is a spending that asks nobody any more: Own is answered for all its coins.
func (s Spending) fixed() (Spending, error) {
	if len(s.Coins) == 0 || len(s.Coins) > maxCoins {
		return s, fmt.Errorf("check a transaction: %d coins, want 1 to %d", len(s.Coins), maxCoins)
	}
	own := map[psbt.ID]bool{}
	for _, c := range s.Coins {
		if s.Own != nil && s.Own(c.Outpoint.ID) {
			own[c.Outpoint.ID] = true
		}
	}
	s.Own = func(id psbt.ID) bool { return own[id] }
	return s, nil
}

// waits says whether a coin may be one of a transaction that waits. What a stranger's transaction pays vanishes with it: whoever made it replaces it.
func (s Spending) waits(c Coin) bool { return s.Child || s.Own(c.Outpoint.ID) }

// Check compares a transaction with the chain (spec/chain-bitcoin 7). It returns nil, an environment's error, or all Mismatches joined, one for each fact. A
// *endpoint.Behind is returned alone: coins are looked at when the chain is where the transaction belongs.
func (c *Client) Check(ctx context.Context, s Spending) error {
	s, err := s.fixed()
	if err != nil {
		return err
	}
	return c.check(ctx, s)
}

func (c *Client) check(ctx context.Context, s Spending) error {
	if err := c.checkNetwork(ctx, s.Network); err != nil {
		return err // nothing else has a meaning on another chain
	}
	late, err := c.checkLockTime(ctx, s.LockTime)
	if err != nil {
		return err
	}
	found := make([]*endpoint.Mismatch, len(s.Coins), len(s.Coins)+1)
	if err := each(ctx, len(s.Coins), func(ctx context.Context, i int) (err error) {
		found[i], err = c.checkCoin(ctx, s, s.Coins[i])
		return err
	}); err != nil {
		return err
	}
	if !s.Replacing {
		if err := c.checkPool(ctx, s, found); err != nil {
			return err
		}
	}
	return joined(append(found, late))
}

// joined has one Mismatch for each fact: the first, and how many more there are.
func joined(found []*endpoint.Mismatch) error {
	var all []error
	at, more := map[endpoint.Field]*endpoint.Mismatch{}, map[endpoint.Field]int{}
	for _, m := range found {
		if m == nil {
			continue
		}
		if at[m.Field] == nil {
			at[m.Field] = m
			all = append(all, m)
			continue
		}
		more[m.Field]++
	}
	for field, n := range more {
		at[field].Found += fmt.Sprintf(" (and the same of %d more coins)", n)
	}
	return errors.Join(all...)
}

// checkNetwork compares genesis blocks: no digest names a network, and keys are the same on all.
func (c *Client) checkNetwork(ctx context.Context, n bitcoin.Network) error {
	is, err := c.ChainID(ctx)
	if err != nil || is == n.Chain {
		return err
	}
	return &endpoint.Mismatch{
		Field: endpoint.FieldChainID, Expected: fmt.Sprintf("%s, the chain of %s", is, c.Endpoint()), Found: fmt.Sprintf("%s (%s)", n.Chain, n.Name),
		Next: "use the endpoint of the transaction's chain, or propose for this one",
	}
}

// checkLockTime wants a height of the next block at most, or a time that has passed by the chain's own clock.
func (c *Client) checkLockTime(ctx context.Context, lock uint32) (late *endpoint.Mismatch, err error) {
	const method = "getblockchaininfo"
	var r struct {
		Blocks  *uint32 `json:"blocks"`
		Median  *uint32 `json:"mediantime"`
		Loading bool    `json:"initialblockdownload"`
	}
	if err := c.Call(ctx, &r, method); err != nil {
		return nil, err
	}
	switch {
	case r.Blocks == nil || r.Median == nil:
		return nil, c.Broken(method, "answered without a height or a median time")
	case r.Loading: // coins that it does not know yet are no lie
		return nil, &endpoint.EndpointError{
			Endpoint: c.Endpoint(), Method: method, Err: fmt.Errorf("it still reads the chain, and is at block %d", *r.Blocks),
			Next: "wait until it is there",
		}
	case lock < firstTime && uint64(lock) > uint64(*r.Blocks)+1:
		return nil, &endpoint.Behind{Height: uint64(lock) - 1, Head: uint64(*r.Blocks)}
	case lock >= firstTime && lock > *r.Median:
		return &endpoint.Mismatch{
			Field: FieldLockTime, Expected: fmt.Sprintf("time %d at most, the median of the last 11 blocks at %s", *r.Median, c.Endpoint()), Found: fmt.Sprintf("time %d", lock),
			Next: "propose with a lock time that has passed: a signature does not expire, and would serve then",
		}, nil
	}
	return nil, nil
}

// checkCoin finds a coin where it should be, and as it should be.
func (c *Client) checkCoin(ctx context.Context, s Spending, coin Coin) (*endpoint.Mismatch, error) {
	is, err := c.output(ctx, coin.Outpoint, !s.Replacing)
	if err != nil {
		return nil, err
	}
	if is == nil && s.Replacing && s.waits(coin) {
		if is, err = c.waiting(ctx, coin.Outpoint); err != nil {
			return nil, err
		}
	}
	if is == nil {
		return missing(coin.Outpoint), nil
	}
	name := func(format string, args ...any) string {
		return fmt.Sprintf(format, args...) + " of " + coin.Outpoint.String()
	}
	switch {
	case is.Amount != coin.Amount:
		return &endpoint.Mismatch{
			Field: FieldAmount, Expected: name("%d sat", is.Amount), Found: fmt.Sprintf("%d sat", coin.Amount),
			Next: "propose with the coin's own amount: else the fee is another than the one that is shown",
		}, nil
	case !bytes.Equal(is.Script, coin.Script):
		return &endpoint.Mismatch{
			Field: FieldScript, Expected: name("%s", abridged(is.Script)), Found: abridged(coin.Script), Next: "propose with coins of the vault",
		}, nil
	case is.Confirmations == 0 && !s.waits(coin):
		return &endpoint.Mismatch{
			Field: FieldConfirmations, Expected: name("1 at least"), Found: "0: it waits, and the vault did not make it",
			Next: "wait for a block, or propose with other coins",
		}, nil
	case is.Coinbase && is.Confirmations < coinbaseDeep:
		return &endpoint.Mismatch{
			Field: FieldConfirmations, Expected: name("%d at least, since a block made it,", coinbaseDeep), Found: fmt.Sprint(is.Confirmations),
			Next: "wait for more blocks, or propose with other coins",
		}, nil
	}
	return nil, nil
}

func missing(o psbt.Outpoint) *endpoint.Mismatch {
	return &endpoint.Mismatch{
		Field: FieldCoin, Expected: fmt.Sprintf("%s, and nothing that spends it", o), Found: "that it is spent, or was never there",
		Next: "propose with coins that are there, or wait until this endpoint has seen it and propose anew",
	}
}

// waiting is the output of a transaction in the pool, whether or not another there spends it: the one that is replaced does.
func (c *Client) waiting(ctx context.Context, o psbt.Outpoint) (*output, error) {
	tx, err := c.transaction(ctx, o.ID)
	if err != nil || tx == nil || tx.inBlock || uint64(o.Index) >= uint64(len(tx.Outs)) {
		return nil, err
	}
	out := tx.Outs[o.Index]
	return &output{Amount: out.Amount, Script: out.Script}, nil
}

// checkPool adds what the pool spends: btcd's output shows such coins as not spent.
func (c *Client) checkPool(ctx context.Context, s Spending, found []*endpoint.Mismatch) error {
	var all []psbt.Outpoint
	for _, coin := range s.Coins {
		all = append(all, coin.Outpoint)
	}
	by, err := c.spenders(ctx, all)
	if err != nil {
		return err
	}
	for i, id := range by {
		if id != nil && found[i] == nil {
			found[i] = &endpoint.Mismatch{
				Field: FieldCoin, Expected: fmt.Sprintf("%s, and nothing that spends it", all[i]), Found: fmt.Sprintf("transaction %s, which spends it", id),
				Next: "propose with other coins or, if that transaction waits, as a replacement of it",
			}
		}
	}
	return nil
}

// abridged is a script for an error: a stranger's may be long.
func abridged(script []byte) string {
	if len(script) > 50 {
		return fmt.Sprintf("script %x… of %d bytes", script[:50], len(script))
	}
	return fmt.Sprintf("script %x", script)
}

// A Block is one of the chain's.
type Block struct {
	Height uint32
	Hash   psbt.ID
}

// CheckBlock says whether a block is the one that the chain has at its height: nil, a *endpoint.Mismatch if it has another, a *endpoint.Behind if the endpoint is
// not there yet, or an environment's error.
func (c *Client) CheckBlock(ctx context.Context, n bitcoin.Network, b Block) error {
	if err := c.checkNetwork(ctx, n); err != nil {
		return err
	}
	is, err := c.HashAt(ctx, b.Height)
	if err != nil || is == b.Hash {
		return err
	}
	return &endpoint.Mismatch{
		Field: endpoint.FieldBlock, Expected: fmt.Sprintf("%s, the hash of block %d at %s", is, b.Height, c.Endpoint()), Found: b.Hash.String(),
		Next: "compare the hash with an explorer; propose again as of a block that is final",
	}
}

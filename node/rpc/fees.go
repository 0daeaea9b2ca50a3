package rpc

import (
	"context"
	"fmt"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// fallbackTip is offered where no estimator answers: 1 gwei.
var fallbackTip = big.NewInt(1_000_000_000)

// Fees are what a transaction should offer now, in wei per gas.
type Fees struct {
	BaseFee *big.Int // of the next block; nil on a chain without EIP-1559
	TipCap  *big.Int // nil on a chain without EIP-1559
	FeeCap  *big.Int // 2 × BaseFee + TipCap: six full blocks of rising fees; or the gas price
}

// Fees asks for the next block's base fee and a usual tip. Nodes that offer no tip get
// a fallback; a chain without a base fee gets a gas price for legacy transactions.
func (c *EVM) Fees(ctx context.Context) (Fees, error) {
	base, tip, err := c.feeHistory(ctx)
	if err != nil {
		return Fees{}, err
	}
	if base == nil {
		price, err := c.number(ctx, "eth_gasPrice")
		return Fees{FeeCap: price}, err
	}
	if tip == nil {
		tip, err = c.number(ctx, "eth_maxPriorityFeePerGas")
		if err := endpoint.Environment(err); err != nil {
			return Fees{}, err
		}
		if err != nil {
			tip = new(big.Int).Set(fallbackTip)
		}
	}
	feeCap := new(big.Int).Lsh(base, 1)
	return Fees{BaseFee: base, TipCap: tip, FeeCap: feeCap.Add(feeCap, tip)}, nil
}

// BaseFee returns the next block's base fee in wei per gas, or nil where there is none.
func (c *EVM) BaseFee(ctx context.Context) (*big.Int, error) {
	base, _, err := c.feeHistory(ctx)
	return base, err
}

// feeHistory returns the next block's base fee and the median of recent tips. Either is
// nil where the chain does not say. Without the method, the latest block's header is read.
func (c *EVM) feeHistory(ctx context.Context) (base, tip *big.Int, err error) {
	var history struct {
		BaseFee []quantity   `json:"baseFeePerGas"` // one more than blocks: the next block's
		Reward  [][]quantity `json:"reward"`
	}
	err = c.call(ctx, &history, "eth_feeHistory", "0xa", "latest", []int{50})
	if err := endpoint.Environment(err); err != nil {
		return nil, nil, err
	}
	if err != nil {
		base, err = c.headerBaseFee(ctx)
		return base, nil, err
	}
	if n := len(history.BaseFee); n > 0 && history.BaseFee[n-1].Sign() > 0 {
		base = &history.BaseFee[n-1].Int
	}
	var tips []*big.Int
	for i := range history.Reward { // empty blocks answer 0, which says nothing
		if r := history.Reward[i]; len(r) > 0 && r[0].Sign() > 0 {
			tips = append(tips, &r[0].Int)
		}
	}
	if len(tips) > 0 {
		slices.SortFunc(tips, (*big.Int).Cmp)
		tip = tips[len(tips)/2]
	}
	return base, tip, nil
}

func (c *EVM) headerBaseFee(ctx context.Context) (*big.Int, error) {
	var header struct {
		BaseFee *quantity `json:"baseFeePerGas"`
	}
	if err := c.call(ctx, &header, "eth_getBlockByNumber", "latest", false); err != nil {
		return nil, err
	}
	if header.BaseFee == nil {
		return nil, nil
	}
	return &header.BaseFee.Int, nil
}

// Complete fills in what a request leaves open: chain id, nonce, fees and gas limit, as the
// chain stands now. Kind, Token, To and Amount are the caller's. The gas limit is the
// chain's own estimate, and a quarter more where a contract is called, since its state may
// change until then.
func (c *EVM) Complete(ctx context.Context, from evm.Address, r evm.Request) (evm.Request, error) {
	var err error
	if r.ChainID, err = c.ChainID(ctx); err != nil {
		return r, err
	}
	if r.Nonce, err = c.PendingNonce(ctx, from); err != nil {
		return r, err
	}
	fees, err := c.Fees(ctx)
	if err != nil {
		return r, err
	}
	if fees.BaseFee == nil {
		r.Kind = evm.Legacy
	}
	r.FeeCap = fees.FeeCap
	if r.Kind == evm.Dynamic {
		r.TipCap = fees.TipCap
	}
	to, value, data, err := r.Message()
	if err != nil {
		return r, err
	}
	if r.Gas, err = c.EstimateGas(ctx, Message{From: from, To: to, Value: value, Data: data}); err != nil {
		return r, fmt.Errorf("estimate gas of a transfer from %s: %w", from, err)
	}
	if data != nil {
		r.Gas += r.Gas / 4
	}
	return r, nil
}

// UsualFee is what such a call usually costs at most, in wei: the chain's own estimate of its gas, at the fee that Fees would offer. It is nil where the
// call would fail: then no fee is usual.
func (c *EVM) UsualFee(ctx context.Context, m Message) (*big.Int, error) {
	gas, err := c.EstimateGas(ctx, m)
	if err := endpoint.Environment(err); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	fees, err := c.Fees(ctx)
	if err != nil {
		return nil, err
	}
	return new(big.Int).Mul(new(big.Int).SetUint64(gas), fees.FeeCap), nil
}

package onchain

import (
	"context"
	"math/big"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc"
)

// A Teller reads at one endpoint what a sweep needs. It is believed in nothing that matters: every node asks its own.
type Teller struct{ *rpc.EVM }

// A Price is what a transaction would cost.
type Price struct {
	Kind           evm.Kind
	Nonce, Gas     uint64
	FeeCap, TipCap *big.Int // per gas
}

// Most is the highest fee.
func (p Price) Most() *big.Int { return new(big.Int).Mul(new(big.Int).SetUint64(p.Gas), p.FeeCap) }

// Tell opens an endpoint, and checks that it is its chain's.
func (e Endpoint) Tell(ctx context.Context) (Teller, error) {
	c, err := rpc.NewEVM(e.URL, rpc.Options{})
	if err != nil {
		return Teller{}, err
	}
	id, err := number(e.Chain)
	if err != nil {
		return Teller{}, err
	}
	return Teller{c}, checkChain(ctx, c, id)
}

// Price asks what a call would cost. A contract gets a quarter more gas than estimated: its state may change until then.
func (t Teller) Price(ctx context.Context, from, to evm.Address, value *big.Int, data []byte) (p Price, err error) {
	fees, err := t.Fees(ctx)
	if err != nil {
		return p, err
	}
	if p.FeeCap, p.TipCap = fees.FeeCap, fees.TipCap; fees.BaseFee == nil {
		p.Kind, p.TipCap = evm.Legacy, nil
	}
	if p.Nonce, err = t.PendingNonce(ctx, from); err != nil {
		return p, err
	}
	if p.Gas, err = t.EstimateGas(ctx, rpc.Message{From: from, To: to, Value: value, Data: data}); err != nil {
		return p, err
	}
	if len(data) > 0 {
		p.Gas += p.Gas / 4
	}
	return p, nil
}

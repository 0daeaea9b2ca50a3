package api

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/node/wallet"
)

// Bounds of one answer.
const (
	mostCoins    = 2000
	mostPrevious = 3 << 20 // bytes of transactions that made coins
)

// Coins shows what an account holds on a chain of Bitcoin: the most valuable coins first, as many as fit.
func (p *people) Coins(ctx context.Context, r *connect.Request[pb.CoinsRequest]) (*connect.Response[pb.CoinsResponse], error) {
	id, err := p.readVault(r.Header(), r.Msg.Vault)
	if err != nil {
		return nil, err
	}
	all, err := p.d.Accounts.List(ctx, id)
	if err != nil {
		return nil, internal("list accounts", err)
	}
	i := slices.IndexFunc(all, func(a wallet.Account) bool { return a.Department == r.Msg.Department && a.Name == r.Msg.Account })
	if i < 0 {
		return nil, fail(fmt.Errorf("account %.64q/%.64q: %w", r.Msg.Department, r.Msg.Account, wallet.ErrNoAccount))
	}
	purse, err := p.d.Purses.Purse(ctx, r.Msg.Chain, all[i].Account)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	out := &pb.CoinsResponse{
		Left: uint32(purse.Left), Height: purse.Height, Block: written(purse.Block), Behind: purse.Behind, Rate: uint64(purse.Rate), Endpoint: purse.Panel,
	}
	size := 0
	for n := range purse.Coins {
		c := purse.Coins[n : n+1]
		out.Sum += c[0].Amount
		if len(out.Coins) == mostCoins || size > mostPrevious {
			out.Left++
			continue
		}
		if err := p.d.Purses.Fill(ctx, r.Msg.Chain, c); err != nil {
			return nil, internal("read what made a coin", err)
		}
		size += len(c[0].Previous)
		out.Coins = append(out.Coins, coinOf(c[0]))
	}
	return connect.NewResponse(out), nil
}

func coinOf(c wallet.Coin) *pb.Coin {
	out := &pb.Coin{
		Transaction: written(c.Outpoint.ID), Index: c.Outpoint.Index, Amount: c.Amount, Suite: c.Spot.Suite, Path: c.Spot.Path[:], Plain: c.Spot.Plain,
		Height: c.Height, Own: c.Own, Coinbase: c.Coinbase, Previous: c.Previous, Opens: c.Opens,
	}
	if c.Waits {
		out.Height = 0
	}
	return out
}

// written is an id as people write it: the last byte first.
func written(id [32]byte) []byte {
	slices.Reverse(id[:])
	return id[:]
}

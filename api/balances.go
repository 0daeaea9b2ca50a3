package api

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/wallet"
)

// mostAddresses bounds the addresses of one answer: each is some calls at an endpoint.
const mostAddresses = 256

// An owned address is one of an account's.
type owned struct {
	account wallet.Account
	address evm.Address
}

// Balances shows what a vault's addresses hold on an EVM chain, all after one block.
func (p *people) Balances(ctx context.Context, r *connect.Request[pb.BalancesRequest]) (*connect.Response[pb.BalancesResponse], error) {
	id, err := p.readVault(r.Header(), r.Msg.Vault)
	if err != nil {
		return nil, err
	}
	panel := p.d.Endpoints[r.Msg.Chain]
	if panel == nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("this node has no endpoint for chain %.64q", r.Msg.Chain))
	}
	accounts, err := p.d.Accounts.List(ctx, id)
	if err != nil {
		return nil, internal("list accounts", err)
	}
	out := &pb.BalancesResponse{}
	var all []owned
	for _, a := range accounts {
		given, err := p.d.Accounts.Addresses(ctx, id, evm.Suite, a.Department, a.Name)
		if err != nil {
			return nil, fail(err)
		}
		for _, one := range given {
			if len(all) == mostAddresses {
				out.Left++
				continue
			}
			address, err := evm.AddressOf(one.PublicKey)
			if err != nil {
				return nil, internal("an address", err)
			}
			all = append(all, owned{a, address})
		}
	}
	x, _ := p.d.Charters.Charter()
	if out.Height, err = panel.BlockNumber(ctx); r.Msg.Height != nil && err == nil {
		if *r.Msg.Height > out.Height {
			err = fmt.Errorf("the chain is at block %d, not at %d yet", out.Height, *r.Msg.Height)
		}
		out.Height = *r.Msg.Height
	}
	if err == nil {
		err = panel.Any(ctx, func(ctx context.Context, e *rpc.EVM) (err error) {
			out.Endpoint = e.Endpoint()
			out.Balances, err = balances(ctx, e, r.Msg.Chain, assetsOn(x.Document, r.Msg.Chain), all, out.Height)
			return err
		})
	}
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(out), nil
}

// assetsOn are a charter's on a chain, the chain's own first, whether it is named or not.
func assetsOn(d charter.Document, on string) []charter.Asset {
	out := []charter.Asset{{Chain: on}}
	for _, a := range d.Assets {
		switch {
		case a.Chain != on:
		case a.Contract == "":
			out[0] = a
		case a.Standard == "": // of a collection each item is another
			out = append(out, a)
		}
	}
	return out
}

func balances(ctx context.Context, e *rpc.EVM, on string, assets []charter.Asset, all []owned, height uint64) (out []*pb.Balance, err error) {
	if !chain.ReadsBlocks(on) {
		return nil, errors.New("no node of this release reads balances there")
	}
	for _, o := range all {
		for _, a := range assets {
			var amount *big.Int
			if a.Contract == "" {
				amount, err = e.BalanceAt(ctx, o.address, height)
			} else {
				var token evm.Address
				if token, err = evm.ParseAddress(a.Contract); err == nil {
					amount, err = e.TokenBalanceAt(ctx, token, o.address, height)
				}
			}
			if err != nil {
				return nil, fmt.Errorf("%s of %s after block %d: %w", a.Name, o.address, height, err)
			}
			out = append(out, &pb.Balance{
				Department: o.account.Department, Account: o.account.Name, Address: o.address.String(), Asset: a.Name, Contract: a.Contract, Amount: amount.String(),
			})
		}
	}
	return out, nil
}

package client

import (
	"context"
	"fmt"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/charter"
)

// mostHeld bounds the addresses of a vault whose balances are read at once.
const mostHeld = 256

// solanaBalances reads what a vault's addresses hold: SOL, and each of the charter's tokens at the token account by rule. What changes with every block is the least that nodes say.
func (c *Circle) solanaBalances(ctx context.Context, v Vault, accounts []Account, on string) (Balances, error) {
	out := Balances{Chain: on}
	i := slices.IndexFunc(v.Roots, func(r Root) bool { return r.Suite == solana.Suite && r.Record != nil })
	if i < 0 {
		out.Why = "the vault has no key of suite " + solana.Suite
		return out, nil
	}
	var g *ground
	for _, a := range accounts {
		for n := range a.Given(solana.Suite) {
			if len(out.All) >= mostHeld {
				out.Left++
				continue
			}
			one, err := c.ground(Sender{Vault: v, Root: v.Roots[i], Account: a, Index: uint32(n), Chain: on})
			if err != nil {
				return out, err
			}
			if g != nil { // mints are read once
				one.read, one.lamports, one.amounts = g.read, g.lamports, g.amounts
			}
			g = one
			held, err := g.holds(ctx, v.InForce().Document)
			if err != nil {
				return out, err
			}
			out.All = append(out.All, held...)
			if out.Nodes = g.nodes; out.Height == 0 || g.height < out.Height {
				out.Height = g.height
			}
		}
	}
	return out, nil
}

// holds is what one address has of a charter's assets.
func (g *ground) holds(ctx context.Context, d charter.Document) (out []Balance, err error) {
	type token struct {
		asset charter.Asset
		mint  solana.Key
		at    solana.Key
	}
	var tokens []token
	var mints, places []solana.Key
	name := ""
	for _, a := range d.Assets {
		if a.Chain != g.sender.Chain {
			continue
		}
		if a.Contract == "" {
			name = a.Name
			continue
		}
		mint, err := solana.ParseKey(a.Contract)
		if err != nil {
			return nil, fmt.Errorf("asset %s: %w", a.Name, err)
		}
		tokens, mints = append(tokens, token{asset: a, mint: mint}), append(mints, mint)
	}
	for chunk := range slices.Chunk(mints, mostAsked-1) {
		if err := g.learn(ctx, chunk...); err != nil {
			return nil, err
		}
	}
	for i, t := range tokens {
		if tokens[i].at, err = solana.AssociatedAccount(g.own, t.mint, g.read.Accounts[t.mint].Program); err != nil {
			return nil, err
		}
		places = append(places, tokens[i].at)
	}
	for chunk := range slices.Chunk(append([]solana.Key{g.own}, places...), mostAsked-1) {
		if err := g.learn(ctx, chunk...); err != nil {
			return nil, err
		}
	}
	account := g.sender.Account.Department + "/" + g.sender.Account.Name
	out = append(out, Balance{Account: account, Address: g.own.String(), Asset: name, Amount: new(big.Int).SetUint64(g.lamports[g.own])})
	for _, t := range tokens {
		out = append(out, Balance{Account: account, Address: g.own.String(), Asset: t.asset.Name, Contract: t.asset.Contract, Amount: new(big.Int).SetUint64(g.amounts[t.at])})
	}
	return out, nil
}

package client

import (
	"context"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/payload"
)

// KeptBack refuses a new payment of an address while another of its intents ended without a signature, may be signed all the same, and has a nonce that the chain used since for what no node shows: an operator
// that kept the signature back had that payment made, and whoever proposes it anew pays twice. next is the first nonce that the chain has not used.
func KeptBack(all []*Case, address, chain string, next uint64) error {
	shown := map[uint64]bool{}
	for _, c := range all {
		if c.Tx != nil && c.Signed != nil && c.Intent.Address == address && c.Intent.Chain == chain {
			shown[c.Tx.Facts().Nonce] = true
		}
	}
	for _, c := range all {
		if c.Tx == nil || !c.possiblySigned() || c.Intent.Address != address || c.Intent.Chain != chain {
			continue
		}
		if n := c.Tx.Facts().Nonce; n < next && !shown[n] {
			return &RefusedError{fmt.Sprintf("intent %s ended, and may be signed all the same: the chain has used its nonce %d of %s, and no node shows for what. See on the chain what it was: if it is what that intent pays, who proposes it anew pays twice; if you mean another payment, give --nonce (%d is the next)",
				c.ID().Short(), n, address, next)}
		}
	}
	return nil
}

// keptBack is KeptBack on Solana, of what had a durable nonce that its account has no longer.
func (g *ground) keptBack(ctx context.Context) error {
	all, _, err := g.c.Cases(ctx, []Vault{g.sender.Vault}, g.sender.Vault.ID)
	if err != nil {
		return fmt.Errorf("read what may be signed: %w", err)
	}
	var accounts []solana.Key
	for _, c := range all {
		if at, _, ok := c.maySpendNonce(g.own, g.sender.Chain); ok && !slices.Contains(accounts, at) {
			accounts = append(accounts, at)
		}
	}
	if err := g.learn(ctx, accounts...); err != nil {
		return err
	}
	return keptNonce(all, g.own, g.sender.Chain, g.read.Accounts)
}

// maySpendNonce is the durable nonce of what an address was to sign, that ended without a signature and may have one.
func (c *Case) maySpendNonce(own solana.Key, on string) (account, nonce solana.Key, ok bool) {
	p, is := c.Payload.(*payload.Solana)
	if !is || !c.possiblySigned() || p.Owner() != own || p.Chain() != on {
		return account, nonce, false
	}
	return p.Durable()
}

func keptNonce(all []*Case, own solana.Key, on string, now map[solana.Key]solana.Account) error {
	shown := users(all, func(c *Case) bool { return c.Signed != nil })
	for _, c := range all {
		at, nonce, ok := c.maySpendNonce(own, on)
		if !ok || now[at].Kind == solana.NonceAccount && now[at].Nonce == nonce {
			continue
		}
		if _, told := shown[c.Payload.Spends()[0]]; !told {
			return &RefusedError{fmt.Sprintf("intent %s ended, and may be signed all the same: nonce account %s has gone on since, and no node shows by what. See on the chain what it was: if it is what that intent pays, who proposes it anew pays twice; if you mean another payment, name the nonce account that it takes (`--nonce-account`; `ostraka nonce list` shows yours)", c.ID().Short(), at)}
		}
	}
	return nil
}

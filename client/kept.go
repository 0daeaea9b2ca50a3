package client

import (
	"context"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/payload"
)

// An operator that keeps a signature back until its intent has ended may have that payment made still, and whoever proposes it anew pays twice, unless the chain takes one of the two alone. On EVM chains and
// Solana that is what takes the nonce of the first, on Bitcoin what spends one of its coins (Payment.with).

// KeptBack refuses a new payment of an address while another of its intents ended without a signature, may be signed all the same, and has a nonce that the chain used since for what no node shows, or that a
// third holds which stands in no block yet. next is the first nonce that the chain has not used.
func KeptBack(all []*Case, address, chain string, next uint64) error {
	ours := func(c *Case) bool { return c.Tx != nil && c.Intent.Address == address && c.Intent.Chain == chain }
	for _, c := range all {
		if !ours(c) || !c.possiblySigned() {
			continue
		}
		n := c.Tx.Facts().Nonce
		rivals := slices.DeleteFunc(slices.Clone(all), func(x *Case) bool { return x == c || !ours(x) || x.Tx.Facts().Nonce != n })
		switch held := awaited(rivals, n < next); {
		case slices.ContainsFunc(rivals, (*Case).landed):
		case held != nil:
			return c.notYet(held, fmt.Sprintf("nonce %d of %s", n, address))
		case n < next:
			return &RefusedError{fmt.Sprintf("intent %s ended, and may be signed all the same: the chain has used its nonce %d of %s, and no node shows for what. See on the chain what it was: if it is what that intent pays, who proposes it anew pays twice; if you mean another payment, give --nonce (%d is the next)",
				c.ID().Short(), n, address, next)}
		}
	}
	return nil
}

// landed says that it stands in a block, as two nodes say.
func (c *Case) landed() bool {
	n := 0
	for _, v := range c.Views {
		if v.Reverted || v.State == "confirmed" || v.State == "final" {
			n++
		}
	}
	return c.Signed != nil && n >= min(2, len(c.Views))
}

// awaited is one that may land yet: one that is signed, and where nothing has taken its place also one that is on its way to it.
func awaited(some []*Case, used bool) *Case {
	i := slices.IndexFunc(some, func(c *Case) bool {
		return !c.Closed() && !slices.Contains([]string{"replaced", "failed"}, c.State()) && (c.Signed != nil || !used)
	})
	if i < 0 {
		return nil
	}
	return some[i]
}

// notYet says that it is not known yet which of two takes what the chain gives once.
func (c *Case) notYet(held *Case, what string) error {
	return &EarlyError{fmt.Sprintf("intent %s ended, and may be signed all the same; intent %s has %s too, and stands in no block yet. If the first lands in its place, who pays beside them may pay twice: wait until the second stands in a block, or end it", c.ID().Short(), held.ID().Short(), what)}
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
	for _, c := range all {
		at, nonce, ok := c.maySpendNonce(own, on)
		if !ok {
			continue
		}
		used, name := now[at].Kind != solana.NonceAccount || now[at].Nonce != nonce, c.Payload.Spends()[0]
		rivals := slices.DeleteFunc(slices.Clone(all), func(x *Case) bool { return x == c || x.Payload == nil || !slices.Contains(x.Payload.Spends(), name) })
		switch held := awaited(rivals, used); {
		case slices.ContainsFunc(rivals, (*Case).landed):
		case held != nil:
			return c.notYet(held, fmt.Sprintf("the nonce of account %s", at))
		case used:
			return &RefusedError{fmt.Sprintf("intent %s ended, and may be signed all the same: nonce account %s has gone on since, and no node shows by what. See on the chain what it was: if it is what that intent pays, who proposes it anew pays twice; if you mean another payment, name the nonce account that it takes (`--nonce-account`; `ostraka nonce list` shows yours)", c.ID().Short(), at)}
		}
	}
	return nil
}

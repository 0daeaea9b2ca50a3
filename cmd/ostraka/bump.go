package main

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
)

// instead is what `tx bump` and `tx void` are told.
type instead struct {
	proposal
	void bool
}

func (a *app) bumpCommand() *cobra.Command {
	p := instead{}
	c := &cobra.Command{
		Use: "bump ID", Short: "Propose a transaction that waits on its chain again, for a higher fee", Args: intentID,
		Long: "The chain takes one of the two, and both do the same. It is an intent of its own: it names the one that it replaces, and is approved and signed like any\n" +
			"other. Fees that are not given are what two nodes say, and never less than the chain's nodes take to keep the new one.",
		RunE: func(c *cobra.Command, args []string) error { return a.bump(c.Context(), p, args[0]) },
	}
	p.flags(c)
	return c
}

func (a *app) voidCommand() *cobra.Command {
	p := instead{void: true}
	c := &cobra.Command{
		Use: "void ID", Short: "Propose what keeps a transaction that waits off its chain", Args: intentID,
		Long: "A transaction that moves nothing but a fee, with the nonce or the coins of the one that waits: once the chain has it, it never takes the other. Until a\n" +
			"block holds it, the chain may still take the other. What is not signed yet is taken back by `ostraka tx cancel`.",
		RunE: func(c *cobra.Command, args []string) error { return a.bump(c.Context(), p, args[0]) },
	}
	p.flags(c)
	return c
}

func (p *instead) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.feeCap, "fee-cap", "", "on EVM chains: most wei per gas")
	f.StringVar(&p.tipCap, "tip-cap", "", "on EVM chains: wei per gas for the block's producer")
	p.rateFlag(f)
	p.followFlags(f)
}

func (a *app) bump(ctx context.Context, p instead, id string) error {
	p.noWait = p.noWait || !p.wait
	how := client.Instead{Void: p.void, Memo: p.memo, Life: p.expires.Truncate(time.Second)}
	var err error
	if how.Rate, err = p.rate(); err != nil {
		return err
	}
	for _, f := range []struct {
		flag, text string
		to         **big.Int
	}{{"fee-cap", p.feeCap, &how.FeeCap}, {"tip-cap", p.tipCap, &how.TipCap}} {
		if f.text == "" {
			continue
		}
		if *f.to, err = evm.ParseUnits(f.text, 0); err != nil {
			return usage("--%s: %w", f.flag, err)
		}
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	c, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_, old, failed, err := findCase(ctx, c, id)
	if err != nil {
		return err
	}
	a.down(failed)
	if err := checkWaits(old); err != nil {
		return err
	}
	v, _, err := c.Vault(ctx, old.Vault.Name)
	if err != nil {
		return err
	}
	all, _, err := c.Accounts(ctx, v)
	if err != nil {
		return err
	}
	if how.Account, err = client.AccountAt(all, old.Intent.Path); err != nil {
		return err
	}
	old.Vault = v // on the terms that are in force now
	s, err := c.PrepareInstead(ctx, old, how)
	if err != nil {
		return err
	}
	return a.submit(ctx, c, v, s, p.noWait, p.until)
}

// checkWaits says what to do about an intent whose transaction does not wait on its chain.
func checkWaits(old *client.Case) error {
	next := fmt.Sprintf("`ostraka tx show %s` shows how it ended", old.ID().Short())
	switch {
	case old.Pending():
		return nil
	case old.Signed == nil && !old.Closed():
		next = fmt.Sprintf("it is not signed yet: `ostraka tx cancel %s` takes it back, and it can be proposed anew; `ostraka tx explain %[1]s` says what it waits for", old.ID().Short())
	case old.Signed == nil:
		next = "propose the transaction anew"
	}
	return refused(next, "intent %s is %s: only a transaction that is signed, and that no block holds, can be replaced", old.ID().Short(), old.State())
}

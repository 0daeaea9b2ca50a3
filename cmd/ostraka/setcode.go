package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
)

func (a *app) authorizeCommand() *cobra.Command {
	var p proposal
	var other bool
	c := &cobra.Command{
		Use: "authorize CODE", Short: "Propose that an account may become a contract's code (EIP-7702)", Args: exactly("CODE"),
		Example: "  ostraka tx authorize batcher --vault treasury --account ops/main",
		Long: "CODE is one that the charter lists (`codes`), by its name there or its address: no node signs for another. The authorization is a message: it goes on no chain by itself, and\n" +
			"whoever has it may bring it. `ostraka tx set-code` proposes the transaction of the account's own that carries it; --sponsored makes one that somebody else's carries.",
		RunE: func(c *cobra.Command, args []string) error { return a.authorize(c.Context(), p, args[0], other) },
	}
	f := c.Flags()
	p.senderFlags(f)
	f.StringVar(&p.nonce, "nonce", "", "the account's nonce when it becomes that (default: what follows)")
	f.BoolVar(&other, "sponsored", false, "somebody else's transaction carries it")
	f.StringVar(&p.memo, "memo", "", "why, for the approvers")
	f.DurationVar(&p.expires, "expires", 0, "how long it may be approved and signed (default: the vault's)")
	f.BoolVar(&p.noWait, "no-wait", false, "only hand it to the nodes")
	return c
}

func (a *app) authorize(ctx context.Context, p proposal, code string, other bool) error {
	p.wait, p.until = true, "signed"
	if err := p.checkSender(); err != nil {
		return err
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		x := client.Authorization{Other: other, Memo: p.memo, Life: p.expires.Truncate(time.Second)}
		var err error
		if x.Sender, err = evmSender(ctx, c, v, p.chain, p.account); err != nil {
			return err
		}
		var t client.Transfer
		if err := p.numbers(&t); err != nil {
			return err
		}
		x.Nonce = t.Nonce
		if x.Code, err = codeOf(v.InForce().Document, x.Chain, code); err != nil {
			return err
		}
		s, err := c.PrepareAuthorization(ctx, x)
		if err != nil {
			return explainQuote(err)
		}
		return a.submit(ctx, c, v, s, p.noWait, "signed")
	})
}

// codeOf is a code of the charter's on a chain, by name or address.
func codeOf(d charter.Document, chain, text string) (evm.Address, error) {
	var names []string
	for _, x := range d.EVM.Codes {
		if x.Chain != chain {
			continue
		}
		if names = append(names, x.Name); x.Name == text || strings.EqualFold(x.Address, text) {
			return evm.ParseAddress(x.Address)
		}
	}
	if len(names) == 0 {
		return evm.Address{}, usage("the charter names no code on %s: `codes` in charter.yaml does, and `networks` with `set-code: true` (docs/charter.md)", chain)
	}
	return evm.Address{}, usage("%q is no code of the charter on %s; it has: %s", text, chain, strings.Join(names, ", "))
}

func (a *app) setCodeCommand() *cobra.Command {
	var p proposal
	c := &cobra.Command{
		Use: "set-code ID...", Short: "Propose the transaction that carries signed authorizations to their chain (EIP-7702)", Args: cobra.MinimumNArgs(1),
		Example: "  ostraka tx set-code 3f2a9c01 --vault treasury --account ops/main",
		Long: "Each ID is an intent of `ostraka tx authorize` for this account that is signed. The transaction does nothing else: the account is that code from then on.\n" +
			"It pays nothing to the account itself; a code that takes no payment has the chain undo that, so that the transaction ends as failed, and the account is the code all the same.",
		RunE: func(c *cobra.Command, args []string) error { return a.setCode(c.Context(), p, args) },
	}
	f := c.Flags()
	p.senderFlags(f)
	p.feeFlags(f)
	p.followFlags(f)
	return c
}

func (a *app) setCode(ctx context.Context, p proposal, ids []string) error {
	if err := p.checkSender(); err != nil {
		return err
	}
	if p.legacy || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
		return usage("--legacy does not go with it, and no ID stands twice")
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		t := client.Transfer{Memo: p.memo, Life: p.expires.Truncate(time.Second)}
		var err error
		if t.Sender, err = evmSender(ctx, c, v, p.chain, p.account); err != nil {
			return err
		}
		if err := p.numbers(&t); err != nil {
			return err
		}
		var signed []*client.Case
		for _, id := range ids {
			_, one, failed, err := findCase(ctx, c, id)
			if err != nil {
				return err
			}
			a.down(failed)
			signed = append(signed, one)
		}
		s, err := c.PrepareSetCode(ctx, t, signed)
		if err != nil {
			return explainQuote(err)
		}
		return a.submit(ctx, c, v, s, p.noWait, p.until)
	})
}

package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
)

func (a *app) callCommand() *cobra.Command {
	var p proposal
	c := &cobra.Command{
		Use: "call CONTRACT FUNCTION [ARGUMENT...]", Short: "Propose a call of a contract that the charter names", Args: cobra.MinimumNArgs(2),
		Example: "  ostraka tx call usdc approve 0x… 25000000 --vault treasury --account ops/main\n" +
			"  ostraka tx call staking deposit 1000000 --value 0.5 --vault treasury --account ops/main",
		Long: "CONTRACT is a contract or an asset of the charter, by its name there or its address. FUNCTION is one that the charter lists for it, or, of a\n" +
			"token or collection, one of its standard: by its name, or as Solidity declares it where several have the name. Each ARGUMENT is an address, a\n" +
			"whole number in the smallest unit, true, false, a text, or a list as JSON. What the charter does not name, no node signs.\n\n" +
			"Nonce, gas and fees that are not given are read by two nodes from the chain and compared.",
		RunE: func(c *cobra.Command, args []string) error { return a.call(c.Context(), p, args) },
	}
	f := c.Flags()
	p.senderFlags(f)
	f.StringVar(&p.amount, "value", "", "whole coins of the chain's own that go along, where the function is payable")
	p.feeFlags(f)
	p.followFlags(f)
	return c
}

func (a *app) call(ctx context.Context, p proposal, args []string) error {
	if err := p.checkSender(); err != nil {
		return err
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		t := client.Transfer{Legacy: p.legacy, Memo: p.memo, Life: p.expires.Truncate(time.Second)}
		var err error
		if t.Sender, err = evmSender(ctx, c, v, p.chain, p.account); err != nil {
			return err
		}
		if err := p.numbers(&t); err != nil {
			return err
		}
		if t.Amount, err = evm.ParseUnits(orNothing(p.amount), evm.EtherDecimals); err != nil {
			return usage("--value: %w", err)
		}
		to, functions, err := callable(v.InForce().Document, t.Chain, args[0])
		if err != nil {
			return err
		}
		declared, err := functionOf(functions, args[0], args[1])
		if err != nil {
			return err
		}
		t.To = to
		if t.Data, err = evm.Calldata(declared, argumentsOf(args[2:])); err != nil {
			return usage("%w", err)
		}
		s, err := c.Prepare(ctx, t)
		if err != nil {
			return explainQuote(err)
		}
		a.noteNonce(ctx, c, v, s)
		return a.submit(ctx, c, v, s, p.noWait, p.until)
	})
}

func orNothing(amount string) string {
	if amount == "" {
		return "0"
	}
	return amount
}

// callable finds what the charter names on a chain, by name or address, and the functions of it that may be called.
func callable(d charter.Document, chain, name string) (at evm.Address, functions []string, err error) {
	is := func(called, on, address string) bool {
		return on == chain && address != "" && (called == name || policy.SameAddress(on, address, name))
	}
	for _, x := range d.EVM.Contracts {
		if is(x.Name, x.Chain, x.Address) {
			at, err = evm.ParseAddress(x.Address)
			return at, x.Functions, err
		}
	}
	standards := map[string]evm.Standard{charter.ERC721: evm.ERC721, charter.ERC1155: evm.ERC1155}
	for _, x := range d.Assets {
		if is(x.Name, x.Chain, x.Contract) {
			at, err = evm.ParseAddress(x.Contract)
			return at, evm.AssetFunctions(standards[x.Standard]), err
		}
	}
	return at, nil, usage("%s is no contract and no token of the charter on %s: `ostraka charter show` lists them", name, chain)
}

// functionOf picks a function by its name or declaration.
func functionOf(functions []string, contract, name string) (string, error) {
	var found []string
	for _, f := range functions {
		own, _, _ := strings.Cut(strings.TrimPrefix(f, "function "), "(")
		if f == name || own == name {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", usage("%s has no function %s that may be called; it has: %s", contract, name, strings.Join(functions, "; "))
	}
	return "", usage("%s has several functions %s: give one as it is declared: %s", contract, name, strings.Join(found, "; "))
}

// argumentsOf makes a JSON list of what was typed: lists, objects, true and false as they are, the rest as text.
func argumentsOf(args []string) []byte {
	list := []json.RawMessage{}
	for _, a := range args {
		raw := json.RawMessage(a)
		if whole := strings.HasPrefix(a, "[") || strings.HasPrefix(a, "{") || slices.Contains([]string{"true", "false"}, a); !whole || !json.Valid(raw) {
			raw, _ = json.Marshal(a) // of a text it does not fail
		}
		list = append(list, raw)
	}
	out, _ := json.Marshal(list)
	return out
}

func (a *app) messageCommand() *cobra.Command {
	var p proposal
	c := &cobra.Command{
		Use: "message FILE", Short: "Propose to sign typed data (EIP-712) that the charter names", Args: exactly("FILE"),
		Example: "  ostraka tx message permit.json --vault treasury --account ops/main",
		Long: "FILE is what wallets are given for eth_signTypedData_v4: types, primaryType, domain and message, as JSON; - reads it from the standard input.\n" +
			"Its type must stand in the charter for the contract of its domain. The signature comes out as 65 bytes, r, s and v; it goes on no chain by\n" +
			"itself: whoever has it can use it.",
		RunE: func(c *cobra.Command, args []string) error { return a.message(c.Context(), c.InOrStdin(), p, args[0]) },
	}
	f := c.Flags()
	p.senderFlags(f)
	f.StringVar(&p.memo, "memo", "", "why, for the approvers")
	f.DurationVar(&p.expires, "expires", 0, "how long it may be approved and signed (default: the vault's)")
	f.BoolVar(&p.noWait, "no-wait", false, "only hand it to the nodes")
	return c
}

func (a *app) message(ctx context.Context, in io.Reader, p proposal, file string) error {
	p.wait, p.until = true, "signed"
	if err := p.checkSender(); err != nil {
		return err
	}
	document, err := readDocument(in, file)
	if err != nil {
		return err
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		sender, err := evmSender(ctx, c, v, p.chain, p.account)
		if err != nil {
			return err
		}
		s, err := c.PrepareMessage(sender, document, p.memo, p.expires.Truncate(time.Second))
		if err != nil {
			return err
		}
		return a.submit(ctx, c, v, s, p.noWait, "signed")
	})
}

func readDocument(in io.Reader, file string) ([]byte, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usage("%w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, evm.MaxLen+1))
	if err != nil {
		return nil, err
	}
	if len(b) > evm.MaxLen {
		return nil, usage("%s has more than %d bytes: it is no typed data that can be signed", file, evm.MaxLen)
	}
	return b, nil
}

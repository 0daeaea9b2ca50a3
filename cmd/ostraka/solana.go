package main

import (
	"context"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
)

// solDecimals are those of a whole SOL.
const solDecimals = 9

// errand is what is told of a transaction on Solana alone.
type errand struct {
	nonceAccount, unitPrice, tokenFee string
	hasty                             bool
}

func (e *errand) flags(f *pflag.FlagSet) {
	e.priceFlags(f)
	f.StringVar(&e.nonceAccount, "nonce-account", "", "on Solana: durable nonce account that the sender may use (default: one of its own that is free)")
	f.BoolVar(&e.hasty, "hasty", false, "on Solana: no durable nonce; approvals and signature must come within a minute")
	f.StringVar(&e.tokenFee, "token-fee", "", "on Solana: what a token of Token-2022 that takes a fee keeps of the amount, in its smallest unit")
}

func (e *errand) priceFlags(f *pflag.FlagSet) {
	f.StringVar(&e.unitPrice, "unit-price", "", "on Solana: millionths of a lamport for each compute unit (default: what the nodes say)")
}

func (e *errand) any() bool {
	return len(e.nonceAccount)+len(e.unitPrice)+len(e.tokenFee) > 0 || e.hasty
}

// onSolana says whether a proposal is about Solana: by its chain, or since the vault signs for no other.
func (p *proposal) onSolana(v client.Vault) bool {
	if p.chain != "" {
		return strings.HasPrefix(p.chain, "solana:")
	}
	return p.errand.any() || !slices.ContainsFunc(v.Chains, func(x string) bool { return !strings.HasPrefix(x, "solana:") })
}

// checkSolana judges what a proposal says besides.
func (p *proposal) checkSolana() error {
	for _, f := range []struct{ name, value string }{
		{"nonce", p.nonce}, {"gas", p.gas}, {"fee-cap", p.feeCap}, {"tip-cap", p.tipCap}, {"batch", p.batch}, {"fee-rate", p.feeRate}, {"change", p.change}, {"psbt", p.packet},
	} {
		if f.value != "" {
			return usage("--%s does not go with Solana", f.name)
		}
	}
	switch {
	case p.legacy || p.fixed || len(p.pay)+len(p.coins) > 0:
		return usage("--legacy, --fixed, --pay and --coin do not go with Solana")
	case p.hasty && p.nonceAccount != "":
		return usage("--hasty does without a nonce: --nonce-account does not go with it")
	case p.tokenFee != "" && p.token == "":
		return usage("--token-fee needs --token")
	case !slices.Contains([]string{"", "sol", "token", "lamport"}, p.unit) || p.unit == "sol" && p.token != "":
		return usage("--unit %q is not sol, token or lamport", p.unit)
	}
	return nil
}

// remit proposes a payment on Solana.
func (a *app) remit(ctx context.Context, c *client.Circle, v client.Vault, p proposal) error {
	r, err := p.remittance(ctx, c, v)
	if err != nil {
		return err
	}
	s, err := c.PrepareRemittance(ctx, r)
	if err != nil {
		return err
	}
	return a.submit(ctx, c, v, s, p.noWait, p.until)
}

// remittance gives what was typed its meaning on Solana.
func (p *proposal) remittance(ctx context.Context, c *client.Circle, v client.Vault) (r client.Remittance, err error) {
	if err := p.checkSolana(); err != nil {
		return r, err
	}
	r.Note, r.Memo, r.Life = p.note, p.memo, p.expires.Truncate(time.Second)
	if r.Sender, err = senderOf(ctx, c, v, solana.Suite, p.chain, p.account); err != nil {
		return r, err
	}
	if r.To, err = solana.ParseKey(p.to); err != nil {
		return r, usage("--to: %w", err)
	}
	if err := p.fill(&r.Errand); err != nil {
		return r, err
	}
	decimals := uint8(solDecimals)
	if p.token != "" {
		mint, err := solana.ParseKey(tokenOf(v.InForce().Document, r.Sender.Chain, p.token))
		if err != nil {
			return r, usage("--token: %w, or the name of a token of the charter on %s", err, r.Sender.Chain)
		}
		m, err := c.Mint(ctx, r.Sender, mint)
		if err != nil {
			return r, err
		}
		r.Mint, decimals = &mint, m.Decimals
	}
	if p.unit == "lamport" {
		decimals = 0
	}
	if r.Amount, err = unitsOf(p.amount, decimals); err != nil {
		return r, usage("--amount: %w", err)
	}
	if p.tokenFee != "" {
		fee, err := unitsOf(p.tokenFee, 0)
		if err != nil {
			return r, usage("--token-fee: %w", err)
		}
		r.Fee = &fee
	}
	return r, nil
}

// fill puts in what every transaction on Solana may be told.
func (e *errand) fill(out *client.Errand) error {
	out.Hasty = e.hasty
	if e.nonceAccount != "" {
		k, err := solana.ParseKey(e.nonceAccount)
		if err != nil {
			return usage("--nonce-account: %w", err)
		}
		out.Nonce = &k
	}
	if e.unitPrice != "" {
		n, err := strconv.ParseUint(e.unitPrice, 10, 64)
		if err != nil || n == 0 {
			return usage("--unit-price %q is no number of millionths of a lamport", e.unitPrice)
		}
		out.Price = n
	}
	return nil
}

// unitsOf reads an amount in whole units as one of the smallest.
func unitsOf(text string, decimals uint8) (uint64, error) {
	n, err := evm.ParseUnits(text, decimals)
	if err == nil && !n.IsUint64() {
		err = fmt.Errorf("%s is more than 2^64-1 of the smallest unit", text)
	}
	if err != nil {
		return 0, err
	}
	return n.Uint64(), nil
}

func (a *app) nonceCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "nonce", Short: "Durable nonce accounts on Solana, which let approvals take their time",
		Long: "A transaction of Solana names a young block, and lands within a minute or two, or never. One with a durable nonce names the value of a nonce account instead, and stays\n" +
			"good until that account is used: people may approve it days later. Each account serves one transaction at a time. `tx propose` takes a free one by itself.",
	}
	c.AddCommand(a.nonceListCommand(), a.nonceOpenCommand(), a.nonceCloseCommand())
	return c
}

// nonces is what the commands are told.
type nonces struct {
	proposal
	at string
}

type nonceDocument struct {
	Address  string `json:"address"`
	Open     bool   `json:"open"`
	Nonce    string `json:"nonce,omitempty"`
	Lamports uint64 `json:"lamports"`
	Intent   string `json:"intent,omitempty"` // that uses it
}

type noncesDocument struct {
	Vault    string          `json:"vault"`
	Account  string          `json:"account"`
	Chain    string          `json:"chain"`
	Accounts []nonceDocument `json:"nonce_accounts"`
}

func (a *app) nonceListCommand() *cobra.Command {
	var p proposal
	c := &cobra.Command{
		Use: "list", Short: "List the nonce accounts of an address", Args: none,
		Example: "  ostraka nonce list --vault treasury --account ops/main",
		RunE: func(c *cobra.Command, _ []string) error {
			p.until = "signed"
			if err := p.checkSender(); err != nil {
				return err
			}
			ctx, cancel := a.within(c.Context(), time.Minute)
			defer cancel()
			return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
				s, err := senderOf(ctx, c, v, solana.Suite, p.chain, p.account)
				if err != nil {
					return err
				}
				all, err := c.NonceAccounts(ctx, s)
				if err != nil {
					return err
				}
				return a.showNonces(noncesOf(v, s, p.account, all))
			})
		},
	}
	p.senderFlags(c.Flags())
	return c
}

func noncesOf(v client.Vault, s client.Sender, account string, all []client.NonceAccount) noncesDocument {
	d := noncesDocument{Vault: v.Name, Account: account, Chain: s.Chain, Accounts: []nonceDocument{}}
	for _, n := range all {
		if !n.Open {
			continue
		}
		one := nonceDocument{Address: n.Address.String(), Open: n.Open, Nonce: n.Nonce.String(), Lamports: n.Lamports}
		if !n.Intent.IsZero() {
			one.Intent = n.Intent.String()
		}
		d.Accounts = append(d.Accounts, one)
	}
	return d
}

func (a *app) showNonces(d noncesDocument) error {
	return a.show(d, func(w io.Writer) {
		if len(d.Accounts) == 0 {
			fmt.Fprintf(w, "%s has no nonce account on %s: `ostraka nonce open` opens one.\n", d.Account, d.Chain)
			return
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, n := range d.Accounts {
			state := "free"
			if n.Intent != "" {
				state = "used by intent " + n.Intent[:8]
			}
			fmt.Fprintf(t, "%s\t%s SOL\t%s\n", n.Address, evm.FormatUnits(new(big.Int).SetUint64(n.Lamports), solDecimals), state)
		}
		_ = t.Flush()
	})
}

func (a *app) nonceOpenCommand() *cobra.Command {
	var p nonces
	c := &cobra.Command{
		Use: "open", Short: "Propose a nonce account of an address", Args: none,
		Long: "The first one of an address has no durable nonce yet: its approvals and signature must come within a minute. Where that is too short, anybody opens one with another wallet\n" +
			"(`solana create-nonce-account` with the vault's address as its authority), and `tx propose --nonce-account` names it.",
		Example: "  ostraka nonce open --vault treasury --account ops/main",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.nonceErrand(c.Context(), &p, func(ctx context.Context, c *client.Circle, e client.Errand) (statement.Statement, error) {
				s, at, err := c.PrepareNonce(ctx, e)
				if err == nil {
					a.say("Nonce account: %s", at)
				}
				return s, err
			})
		},
	}
	p.nonceFlags(c.Flags())
	return c
}

func (a *app) nonceCloseCommand() *cobra.Command {
	var p nonces
	force := false
	c := &cobra.Command{
		Use: "close", Short: "Propose to close a nonce account of an address, and to take back what it holds", Args: none,
		Long:    "A payment that has the account's nonce and has not landed never lands once the account is closed: such intents are named, and nothing is proposed unless --force is given.",
		Example: "  ostraka nonce close --vault treasury --account ops/main --at 8x…",
		RunE: func(c *cobra.Command, _ []string) error {
			at, err := solana.ParseKey(p.at)
			if err != nil {
				return usage("--at: %w", err)
			}
			return a.nonceErrand(c.Context(), &p, func(ctx context.Context, c *client.Circle, e client.Errand) (statement.Statement, error) {
				return c.PrepareNonceEnd(ctx, e, at, force)
			})
		},
	}
	p.nonceFlags(c.Flags())
	c.Flags().StringVar(&p.at, "at", "", "the nonce account (required)")
	c.Flags().BoolVar(&force, "force", false, "close it though intents use it that have not landed: they never will")
	return c
}

func (p *nonces) nonceFlags(f *pflag.FlagSet) {
	p.senderFlags(f)
	p.errand.priceFlags(f)
	p.followFlags(f)
}

func (a *app) nonceErrand(ctx context.Context, p *nonces, prepare func(context.Context, *client.Circle, client.Errand) (statement.Statement, error)) error {
	if err := p.checkSender(); err != nil {
		return err
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		e := client.Errand{Memo: p.memo, Life: p.expires.Truncate(time.Second)}
		if err := p.fill(&e); err != nil {
			return err
		}
		var err error
		if e.Sender, err = senderOf(ctx, c, v, solana.Suite, p.chain, p.account); err != nil {
			return err
		}
		s, err := prepare(ctx, c, e)
		if err != nil {
			return err
		}
		return a.submit(ctx, c, v, s, p.noWait, p.until)
	})
}

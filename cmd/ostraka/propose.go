package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
)

// proposal is what `tx propose` was told.
type proposal struct {
	vault, account, to, token, amount, unit, chain string
	nonce, gas, feeCap, tipCap                     string
	legacy                                         bool
	memo                                           string
	expires                                        time.Duration
	wait, noWait                                   bool
	until                                          string
	batch                                          string // file of transfers
	yes                                            bool
	paying                                         // on Bitcoin
	errand                                         // on Solana
}

func (a *app) proposeCommand() *cobra.Command {
	var p proposal
	c := &cobra.Command{
		Use: "propose", Short: "Propose a transfer, as an initiator of the vault", Args: none,
		Example: "  ostraka tx propose --vault treasury --account ops/main --to 0x… --amount 0.1                     # the chain's own coin\n" +
			"  ostraka tx propose --vault treasury --account ops/main --to 0x… --amount 25 --token usdc         # a token\n" +
			"  ostraka tx propose --vault treasury --account ops/main --to bc1q… --amount 0.1                   # Bitcoin\n" +
			"  ostraka tx propose --vault treasury --account ops/main --pay bc1q…=0.1 --pay bc1p…=0.25 --fee-rate 12\n" +
			"  ostraka tx propose --vault treasury --account ops/main --to 7x… --amount 1.5                     # Solana",
		Long: "Builds the full transaction, signs the intent with your key, hands it to every node, and follows it until it is\n" +
			"signed or denied. Nonce, gas and fees that are not given are read by two nodes from the chain and compared.\n" +
			"The chain is that of the address that receives; --chain says it where the vault signs for several that write addresses alike.\n\n" +
			"--batch FILE.csv proposes many at once on chains like Ethereum, of one account: a header line `to,amount,token,memo` (token, a contract's address, and memo may be left out), then one\n" +
			fmt.Sprintf("transfer a line, %d at most. All are checked, shown and summed before one question; if any is wrong, none is proposed. Each is an intent\n", decide.MaxOpen) +
			"of its own with the next nonce, and is signed by itself: a security key must be touched for each.\n\n" +
			"On Bitcoin one transaction makes any number of payments (--pay), out of coins that no other intent spends; what is left goes to the account's\n" +
			"newest address. Two nodes must show each coin. `ostraka coin list` shows them, and `ostraka coin gather` makes one of many.\n\n" +
			"On Solana a payment takes a durable nonce account that is free (`ostraka nonce open`); without one it must be signed within a minute. The payee's token account is made\n" +
			"where it is not there. Two nodes must say the same of every account.",
		RunE: func(c *cobra.Command, _ []string) error {
			if p.batch != "" {
				return a.proposeBatch(c.Context(), p)
			}
			return a.propose(c.Context(), p)
		},
	}
	f := c.Flags()
	p.senderFlags(f)
	f.StringVar(&p.to, "to", "", "who receives (required without --pay, --psbt or --batch)")
	f.StringVar(&p.amount, "amount", "", "how much, in whole units unless --unit says otherwise (required with --to)")
	f.StringVar(&p.unit, "unit", "", "eth (whole coins), wei (smallest unit, of a token too), token (whole tokens); on Bitcoin btc or sat, on Solana sol or lamport")
	f.StringVar(&p.token, "token", "", "ERC-20 contract, or on Solana a mint, or its name in the charter (default: the chain's own coin)")
	p.feeFlags(f)
	p.paying.flags(f)
	p.errand.flags(f)
	f.StringVar(&p.batch, "batch", "", "file of transfers, as CSV, instead of --to, --amount, --token and --memo")
	f.BoolVar(&p.yes, "yes", false, "with --batch: sign without asking")
	p.followFlags(f)
	return c
}

func (p *proposal) senderFlags(f *pflag.FlagSet) {
	f.StringVar(&p.vault, "vault", "", "vault, by name or id (required)")
	f.StringVar(&p.account, "account", "", "sender: DEPARTMENT/ACCOUNT, or DEPARTMENT/ACCOUNT/INDEX (required)")
	f.StringVar(&p.chain, "chain", "", "chain, as eip155:1, bip122:… or solana:… (default: the only one of the vault's that fits)")
}

func (p *proposal) feeFlags(f *pflag.FlagSet) {
	f.StringVar(&p.nonce, "nonce", "", "the sender's nonce")
	f.StringVar(&p.gas, "gas", "", "gas limit")
	f.StringVar(&p.feeCap, "fee-cap", "", "most wei per gas; with --legacy the gas price")
	f.StringVar(&p.tipCap, "tip-cap", "", "wei per gas for the block's producer")
	f.BoolVar(&p.legacy, "legacy", false, "build a legacy (EIP-155) transaction")
}

func (p *proposal) followFlags(f *pflag.FlagSet) {
	f.StringVar(&p.memo, "memo", "", "why, for the approvers")
	f.DurationVar(&p.expires, "expires", 0, "how long it may be approved and signed (default: the vault's)")
	f.BoolVar(&p.wait, "wait", true, "follow it, until it is signed or denied, or as far as --until says")
	f.BoolVar(&p.noWait, "no-wait", false, "only hand it to the nodes")
	f.StringVar(&p.until, "until", "signed", "follow it until it is so far: signed, confirmed or final")
}

// checkSender judges what every proposal says.
func (p *proposal) checkSender() error {
	p.noWait = p.noWait || !p.wait
	switch {
	case p.vault == "":
		return usage("give --vault")
	case p.account == "":
		return usage("give --account")
	case p.chain != "" && statement.CheckChain(p.chain) != nil:
		return usage("--chain %q: want a chain id such as eip155:1; `ostraka vault show NAME` lists the vault's", p.chain)
	case p.until != "signed" && p.until != "confirmed" && p.until != "final":
		return usage("--until %q is not signed, confirmed or final", p.until)
	}
	return nil
}

func (p *proposal) check() error {
	if err := p.checkSender(); err != nil {
		return err
	}
	own := []struct{ name, value string }{{"to", p.to}, {"amount", p.amount}, {"token", p.token}, {"memo", p.memo}}
	for _, f := range own[:2] {
		if f.value == "" && p.batch == "" && len(p.pay) == 0 && p.packet == "" {
			return usage("give --%s", f.name)
		}
	}
	for _, f := range own {
		if f.value != "" && p.batch != "" {
			return usage("--%s does not go with --batch: its file says it", f.name)
		}
	}
	if p.yes && p.batch == "" {
		return usage("--yes goes with --batch alone: one proposal is not asked about")
	}
	if p.batch != "" && p.unit != "" && p.unit != "wei" {
		return usage("--unit %s does not go with --batch: amounts are in whole units, or all in --unit wei", p.unit)
	}
	switch p.unit {
	case "", "wei", "btc", "sat", "sol", "lamport":
	case "eth":
		if p.token != "" {
			return usage("--unit eth does not go with --token: use token or wei")
		}
	case "token":
		if p.token == "" {
			return usage("--unit token needs --token")
		}
	default:
		return usage("--unit %q is not eth, wei or token", p.unit)
	}
	return nil
}

// proposeTimeout is how long approvals are waited for.
const proposeTimeout = 30 * time.Minute

func (a *app) propose(ctx context.Context, p proposal) error {
	if err := p.check(); err != nil {
		return err
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		if err := p.findChain(v); err != nil {
			return err
		}
		if p.onSolana(v) {
			return a.remit(ctx, c, v, p)
		}
		if p.errand.any() || p.unit == "sol" || p.unit == "lamport" {
			return usage("a flag of Solana's does not go with chain %s", p.chain)
		}
		if p.onBitcoin(v) {
			return a.pay(ctx, c, v, p)
		}
		if p.paying.any() || p.unit == "btc" || p.unit == "sat" {
			return usage("a flag of Bitcoin's does not go with chain %s", p.chain)
		}
		t, err := p.transfer(ctx, c, v)
		if err != nil {
			return err
		}
		s, err := c.Prepare(ctx, t)
		if err != nil {
			return explainQuote(err)
		}
		a.noteNonce(ctx, c, v, s)
		return a.submit(ctx, c, v, s, p.noWait, p.until)
	})
}

// submit hands an intent to every node and shows what becomes of it.
func (a *app) submit(ctx context.Context, c *client.Circle, v client.Vault, s statement.Statement, noWait bool, until string) error {
	taken, err := c.SubmitStatement(ctx, s)
	if err != nil {
		return err
	}
	if _, err := taken.Need("propose", 1); err != nil {
		return submitted(ctx, s.ID(), false, err)
	}
	a.down(taken.Failures())
	a.say("Proposed: intent %s", s.ID())
	return submitted(ctx, s.ID(), true, a.proposed(ctx, c, v, s.ID(), noWait, until))
}

// proposed shows an intent that nodes have taken, and follows it.
func (a *app) proposed(ctx context.Context, c *client.Circle, v client.Vault, id statement.ID, noWait bool, until string) error {
	vaults := []client.Vault{v}
	if !noWait {
		return a.follow(ctx, c, vaults, id, until)
	}
	one, failed, err := c.Case(ctx, vaults, id)
	if err != nil {
		return err
	}
	return a.showCase(one, failed)
}

// submitted keeps people from running the command again once nodes have the intent, or may
// have it: a second run makes a second intent, which pays twice.
func submitted(ctx context.Context, id statement.ID, taken bool, err error) error {
	next := fmt.Sprintf("intent %s is with the nodes: follow it with `ostraka tx show %[1]s`; do not propose it again", id.Short())
	if !taken {
		next = fmt.Sprintf("intent %s may be with the nodes: look in `ostraka tx list` before you propose it again", id.Short())
	}
	var explained *problem
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return fail(codeError, errors.New("interrupted"), next)
	case client.Classify(err) == client.NotReady && !errors.As(err, &explained):
		return notReady(next, "%w", err)
	}
	return err
}

// explainQuote says which flags replace what the nodes cannot read.
func explainQuote(err error) error {
	var nodes *client.NodesError
	if errors.As(err, &nodes) && client.Classify(err) == client.NotReady {
		return notReady("bring the nodes' endpoints back, or give --nonce, --gas, --fee-cap and --tip-cap yourself", "%w", err)
	}
	return err
}

// transfer gives what was typed its meaning in this vault.
func (p proposal) transfer(ctx context.Context, c *client.Circle, v client.Vault) (t client.Transfer, err error) {
	t = client.Transfer{Legacy: p.legacy, Memo: p.memo, Life: p.expires.Truncate(time.Second)}
	if t.Sender, err = evmSender(ctx, c, v, p.chain, p.account); err != nil {
		return t, err
	}
	if t.To, err = evm.ParseAddress(p.to); err != nil {
		return t, usage("--to: %w", err)
	}
	if p.token != "" {
		token, err := evm.ParseAddress(tokenOf(v.InForce().Document, t.Chain, p.token))
		if err != nil {
			return t, usage("--token: %w, or the name of a token of the charter on %s", err, t.Chain)
		}
		t.Token = &token
	}
	if err := p.numbers(&t); err != nil {
		return t, err
	}
	t.Amount, err = p.value(ctx, c, t)
	return t, err
}

// tokenOf is the contract, or the mint, of a token that the charter in force names on a chain; else what was typed.
func tokenOf(d charter.Document, on, text string) string {
	i := slices.IndexFunc(d.Assets, func(x charter.Asset) bool { return x.Name == text && x.Chain == on && x.Contract != "" })
	if i < 0 {
		return text
	}
	return d.Assets[i].Contract
}

// findChain takes the chain from the form of the address that receives, where nobody said it.
func (p *proposal) findChain(v client.Vault) error {
	if p.chain != "" || p.to == "" || len(v.Chains) < 2 {
		return nil
	}
	switch fit := chainsOf(v, p.to); {
	case len(fit) == 1:
		p.chain = fit[0]
	case len(fit) > 1:
		return usage("vault %s signs for several chains that write addresses like --to: give --chain, one of %s", v.Name, strings.Join(fit, ", "))
	case !strings.HasPrefix(p.to, "0x"):
		return usage("--to %q is no address on any chain of vault %s, which signs for: %s", p.to, v.Name, strings.Join(v.Chains, ", "))
	}
	return nil
}

// chainsOf are those of a vault's chains that an address has the form of.
func chainsOf(v client.Vault, to string) (fit []string) {
	for _, on := range v.Chains {
		var err error
		switch {
		case strings.HasPrefix(on, "eip155:"):
			_, err = evm.ParseAddress(to)
		case strings.HasPrefix(on, "solana:"):
			_, err = solana.ParseKey(to)
		default:
			var n bitcoin.Network
			if n, err = bitcoin.NetworkOf(on); err == nil {
				_, err = n.ParseAddress(to)
			}
		}
		if err == nil {
			fit = append(fit, on)
		}
	}
	return fit
}

// evmSender is senderOf for what is done on chains like Ethereum alone.
func evmSender(ctx context.Context, c *client.Circle, v client.Vault, on, account string) (client.Sender, error) {
	return sender(ctx, c, v, evm.Suite, on, account, true)
}

// senderOf finds the address DEPARTMENT/ACCOUNT[/INDEX] below a vault's key. Without a chain it is the first, and only
// one, of the vault's that the suite signs for.
func senderOf(ctx context.Context, c *client.Circle, v client.Vault, suite, on, account string) (client.Sender, error) {
	return sender(ctx, c, v, suite, on, account, false)
}

func sender(ctx context.Context, c *client.Circle, v client.Vault, suite, on, account string, evmOnly bool) (s client.Sender, err error) {
	s = client.Sender{Vault: v, Chain: on}
	if s.Root, err = rootFor(v, suite); err != nil {
		return s, err
	}
	if s.Chain == "" {
		fit := slices.DeleteFunc(slices.Clone(v.Chains), func(x string) bool {
			return !chain.Serves(s.Root.Suite, x) || evmOnly && !strings.HasPrefix(x, "eip155:")
		})
		switch {
		case len(fit) == 0:
			return s, usage("vault %s signs for no chain like Ethereum; it does for: %s", v.Name, strings.Join(v.Chains, ", "))
		case len(fit) > 1:
			return s, usage("vault %s signs for several chains: give --chain, one of %s", v.Name, strings.Join(fit, ", "))
		}
		s.Chain = fit[0]
	}
	parts := strings.Split(account, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return s, usage("account %q: want DEPARTMENT/ACCOUNT or DEPARTMENT/ACCOUNT/INDEX", account)
	}
	if len(parts) == 3 {
		n, err := strconv.ParseUint(parts[2], 10, 31)
		if err != nil {
			return s, usage("account %q: %q is no address's index", account, parts[2])
		}
		s.Index = uint32(n)
	}
	all, _, err := c.Accounts(ctx, v)
	if err != nil {
		return s, err
	}
	s.Account, err = client.FindAccount(all, parts[0]+"/"+parts[1])
	return s, err
}

// numbers reads those that the person gave.
func (p proposal) numbers(t *client.Transfer) error {
	for _, f := range []struct {
		flag, text string
		to         **uint64
	}{{"nonce", p.nonce, &t.Nonce}, {"gas", p.gas, &t.Gas}} {
		if f.text == "" {
			continue
		}
		n, err := strconv.ParseUint(f.text, 10, 64)
		if err != nil {
			return usage("--%s %q is no number", f.flag, f.text)
		}
		*f.to = &n
	}
	for _, f := range []struct {
		flag, text string
		to         **big.Int
	}{{"fee-cap", p.feeCap, &t.FeeCap}, {"tip-cap", p.tipCap, &t.TipCap}} {
		if f.text == "" {
			continue
		}
		n, err := evm.ParseUnits(f.text, 0)
		if err != nil {
			return usage("--%s: %w", f.flag, err)
		}
		*f.to = n
	}
	switch {
	case p.legacy && t.TipCap != nil:
		return usage("--tip-cap does not go with --legacy: --fee-cap is the gas price")
	case t.TipCap != nil && t.FeeCap != nil && t.TipCap.Cmp(t.FeeCap) > 0:
		return usage("--tip-cap %v is above --fee-cap %v", t.TipCap, t.FeeCap)
	}
	return nil
}

// value is the amount in the smallest unit. A token's decimals are read by two nodes.
func (p proposal) value(ctx context.Context, c *client.Circle, t client.Transfer) (*big.Int, error) {
	decimals := uint8(evm.EtherDecimals)
	switch {
	case p.unit == "wei":
		decimals = 0
	case t.Token != nil:
		address, _, err := t.Vault.Address(t.Root, t.Chain, t.Path())
		if err != nil {
			return nil, err
		}
		from, err := evm.ParseAddress(address)
		if err != nil {
			return nil, err
		}
		q, err := c.Quote(ctx, t.Chain, from, t.To, new(big.Int), t.Token, nil)
		if err != nil {
			return nil, fmt.Errorf("read the token's decimals: %w", explainQuote(err))
		}
		decimals = q.Decimals
	}
	n, err := evm.ParseUnits(p.amount, decimals)
	if err != nil {
		return nil, usage("--amount: %w", err)
	}
	return n, nil
}

// follow shows progress until the intent is signed, and the outcome.
func (a *app) follow(ctx context.Context, c *client.Circle, vaults []client.Vault, id statement.ID, until string) error {
	var failed []client.Failure
	one, err := c.Follow(ctx, vaults, id, 250*time.Millisecond, func(x *client.Case) bool { return reached(x, until) },
		func(x *client.Case, down []client.Failure) {
			failed = down
			t := x.Tally()
			switch {
			case x.Signed != nil:
				a.progress("%s", x.State())
			case t.Need > 0:
				a.progress("%s: %d more of %s must approve", x.State(), t.Need, strings.Join(t.Awaited, ", "))
			case len(x.Awaited()) > 0:
				a.progress("%s: waits for %s", x.State(), strings.Join(x.Awaited(), ", "))
			case x.Waits() != "":
				a.progress("%s: %s", x.State(), x.Waits())
			default:
				a.progress("%s", x.State())
			}
		})
	a.progressEnds()
	if one != nil {
		if showErr := a.showCase(one, failed); showErr != nil {
			return showErr
		}
	}
	return followed(id, one, err)
}

// reached says whether the intent came as far as the person wants.
func reached(c *client.Case, until string) bool {
	switch state := c.State(); {
	case c.Signed == nil:
		return false
	case until == "signed", state == "final", state == "failed", state == "replaced":
		return true
	default:
		return until == "confirmed" && state == "confirmed"
	}
}

// followed gives the end of following its exit code.
func followed(id statement.ID, c *client.Case, err error) error {
	var absent *client.AbsentError
	switch {
	case errors.As(err, &absent):
		return notReady(fmt.Sprintf("the intent stays with the nodes: bring back %s, and it is signed as soon as its approvals are there; `ostraka tx show %.8s` follows it",
			strings.Join(absent.Absent, ", "), id.String()), "%w", err)
	case errors.Is(err, context.DeadlineExceeded) && c != nil && c.Tally().Need > 0:
		t := c.Tally()
		return notReady(fmt.Sprintf("they run `ostraka tx approve %.8s`", id.String()), "intent %s still waits for %d approvals of %s", id.Short(), t.Need, strings.Join(t.Awaited, ", "))
	case errors.Is(err, context.DeadlineExceeded):
		return notReady(fmt.Sprintf("`ostraka tx explain %.8s` shows what it waits for", id.String()), "intent %s was not signed in time", id.Short())
	case err != nil:
		return err
	case c.State() == "failed" && c.Lapsed():
		return fail(codeError, fmt.Errorf("transaction %s did not land in time: no block takes it any more", c.Signed.Hash),
			"propose it anew, with a durable nonce (`ostraka nonce open`)")
	case c.State() == "failed":
		return fail(codeError, fmt.Errorf("transaction %s failed: the chain undid it and kept the fee", c.Signed.Hash), "look the transaction up on the chain")
	case c.State() == "replaced":
		return fail(codeError,
			fmt.Errorf("transaction %s was replaced: %s, so that this one is never carried out", c.Signed.Hash, usedUp(c)),
			fmt.Sprintf("`ostraka tx list` shows what else was signed; propose it anew if it is still wanted; `ostraka tx show %.8s` shows this one", id.String()))
	}
	return nil
}

// usedUp says what of a transaction's another one used.
func usedUp(c *client.Case) string {
	if c.Tx != nil {
		return fmt.Sprintf("the account has used its nonce %d for another transaction", c.Tx.Facts().Nonce)
	}
	if strings.HasPrefix(c.Intent.Chain, "solana:") {
		return "another transaction used its nonce"
	}
	return "another transaction spent one of its coins"
}

func (a *app) showCase(c *client.Case, failed []client.Failure) error {
	return a.show(txOf(c, failed), func(w io.Writer) {
		printFacts(w, c)
		printState(w, c)
	})
}

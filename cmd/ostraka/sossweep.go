package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/onchain"
	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// sweepTime bounds a whole sweep: each transfer is signed and confirmed before the next.
const sweepTime = 2 * time.Hour

// A sweep is what a person asks for.
type sweep struct {
	rpc, assets []string
	to          string
	dry, yes    bool
	bump        bool

	as     string
	v      client.Vault
	circle *client.Circle
}

func (s *sweep) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&s.rpc, "rpc", nil, "CHAIN=URL: where balances and fees are read (eip155:1=https://…); every node asks its own besides (may be repeated)")
	f.BoolVar(&s.yes, "yes", false, "sign without asking")
}

func (a *app) sosSweepCommand() *cobra.Command {
	var s sweep
	c := &cobra.Command{
		Use: "sweep VAULT --rpc CHAIN=URL", Short: "In ACTIVE and LOCK-UP: move all that a vault holds to its plan's rescue addresses", Args: exactly("VAULT"),
		Long: "Lists what the vault's addresses hold on each chain with an endpoint: the chain's own coin, and the tokens in the charter. Then, after asking, moves tokens first\n" +
			"and the coin last, leaving the fee, to the plan's rescue address on that chain. Each transfer is an intent like any other: every node decodes it, holds it to the\n" +
			"plan, counts it, and logs its decision. Nobody's approval is needed: the plan was signed beforehand. The key is an initiator's, or an officer's of an operator\n" +
			"that the request is not about. What is under way from a run before is followed, and not begun again: run it again as often as you like. What has waited on its chain for\n" +
			"10 minutes pays too little, perhaps: it is replaced by the same transfer for a tenth more at least (--bump: at once), which the nodes judge like any other.",
		Example: "  ostraka sos sweep treasury --rpc eip155:1=https://rpc.example --dry-run",
		RunE:    func(c *cobra.Command, args []string) error { return a.sosSweep(c.Context(), &s, args[0]) },
	}
	s.flags(c)
	f := c.Flags()
	f.BoolVar(&s.dry, "dry-run", false, "only show what would be moved")
	f.StringArrayVar(&s.assets, "asset", nil, "only this asset of the charter (may be repeated)")
	f.BoolVar(&s.bump, "bump", false, "pay a tenth more at least for what waits on its chain from a run before (without it: once it has waited for 10 minutes)")
	f.StringVar(&s.to, "to", "", "name of the plan's rescue address (default: the only one on the chain)")
	return c
}

// A sweepLine is one transfer.
type sweepLine struct {
	Chain   string `json:"chain"`
	From    string `json:"from"`
	Asset   string `json:"asset"`
	Amount  string `json:"amount"` // people's units
	To      string `json:"to"`
	Fee     string `json:"fee_at_most"`
	Intent  string `json:"intent,omitempty"`
	State   string `json:"state"`
	Problem string `json:"problem,omitempty"`

	sender client.Sender
	asset  charter.Asset
	from   evm.Address
	dest   evm.Address
	token  *evm.Address
	teller onchain.Teller
	kept   bool // its fee cannot be raised: what waits is followed as it is
}

type sweepDocument struct {
	Vault string       `json:"vault"`
	Lines []*sweepLine `json:"transfers"`
}

func (d sweepDocument) print(w io.Writer) {
	if len(d.Lines) == 0 {
		fmt.Fprintln(w, "Nothing is there to move.")
	}
	for _, l := range d.Lines {
		fmt.Fprintf(w, "%-10s %s %s %s → %s, fee at most %s", l.State, l.From, l.Amount, l.Asset, l.To, l.Fee)
		if l.Intent != "" {
			fmt.Fprintf(w, ", intent %.8s", l.Intent)
		}
		fmt.Fprintln(w)
		if l.Problem != "" {
			fmt.Fprintf(w, "           %s\n", l.Problem)
		}
	}
}

func (a *app) sosSweep(c context.Context, s *sweep, vault string) error {
	ctx, cancel := a.within(c, sweepTime)
	defer cancel()
	return a.inVault(ctx, vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		var err error
		if s.circle, s.v = c, v; v.SOS == nil || len(v.SOS.Destinations) == 0 {
			return refused("the plan is part of the charter: `ostraka sos plan` shows it", "vault %s has no rescue address", v.Name)
		}
		if !s.dry {
			if s.as, err = v.Asks(c.Signer()); err != nil {
				return err
			}
		}
		doc := sweepDocument{Vault: v.Name, Lines: []*sweepLine{}}
		for _, text := range s.rpc {
			lines, err := s.onChain(ctx, text)
			if err != nil {
				return err
			}
			doc.Lines = append(doc.Lines, lines...)
		}
		if len(s.rpc) == 0 {
			return usage("give an endpoint: --rpc eip155:1=https://…")
		}
		if s.dry || len(doc.Lines) == 0 {
			return a.show(doc, doc.print)
		}
		doc.print(cli.Writer{Writer: a.err})
		if err := a.confirm(s.yes, fmt.Sprintf("Sign and propose %d transfers, one after the other?", len(doc.Lines))); err != nil {
			return err
		}
		failed := 0
		for _, l := range doc.Lines {
			if err := s.move(ctx, a, l); err != nil {
				l.State, l.Problem, failed = "failed", err.Error(), failed+1
				a.say("%s of %s: %v", l.Asset, l.From, err)
			}
		}
		if err := a.show(doc, doc.print); err != nil || failed == 0 {
			return err
		}
		return notReady("the others went on; run it again when what is named is mended", "%d of %d transfers did not come through", failed, len(doc.Lines))
	})
}

// onChain lists what the vault's addresses hold on one chain: tokens first, the chain's own coin last.
func (s *sweep) onChain(ctx context.Context, text string) (lines []*sweepLine, err error) {
	e, err := onchain.ParseEndpoint(text)
	if err != nil {
		return nil, usage("--rpc: %w", err)
	}
	if !slices.Contains(s.v.Chains, e.Chain) {
		return nil, usage("--rpc %s: vault %s signs for %s", e.Chain, s.v.Name, strings.Join(s.v.Chains, ", "))
	}
	to, dest, err := s.destination(e.Chain)
	if err != nil {
		return nil, err
	}
	teller, err := e.Tell(ctx)
	if err != nil {
		return nil, err
	}
	senders, err := s.senders(ctx, e.Chain)
	if err != nil {
		return nil, err
	}
	var assets []charter.Asset
	for _, x := range s.v.InForce().Assets {
		if x.Chain == e.Chain && (len(s.assets) == 0 || slices.Contains(s.assets, x.Name)) {
			assets = append(assets, x)
		}
	}
	slices.SortStableFunc(assets, func(x, y charter.Asset) int { // tokens first: the coin pays for them
		return strings.Compare(fmt.Sprint(x.Contract == ""), fmt.Sprint(y.Contract == ""))
	})
	for _, from := range senders {
		for _, x := range assets {
			l := &sweepLine{Chain: e.Chain, Asset: x.Name, To: to, State: "planned", sender: from, asset: x, dest: dest, teller: teller}
			if worth, err := l.plan(ctx); err != nil {
				l.State, l.Problem = "skipped", err.Error() // one asset that fails keeps no other back
			} else if !worth {
				continue
			}
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// destination is the rescue address on a chain.
func (s *sweep) destination(chain string) (name string, at evm.Address, err error) {
	var names []string
	for _, d := range s.v.SOS.Destinations {
		if d.Chain != chain || s.to != "" && d.Name != s.to {
			continue
		}
		names = append(names, d.Name)
		if at, err = evm.ParseAddress(d.Address); err != nil {
			return "", at, err
		}
	}
	switch len(names) {
	case 1:
		return names[0], at, nil
	case 0:
		return "", at, refused("`ostraka sos plan` shows the plan's", "the plan of vault %s has no rescue address %s on %s", s.v.Name, s.to, chain)
	}
	return "", at, usage("the plan has several rescue addresses on %s: give --to, one of %s", chain, strings.Join(names, ", "))
}

// senders are all addresses that were given out.
func (s *sweep) senders(ctx context.Context, chain string) (out []client.Sender, err error) {
	root, err := rootFor(s.v, evm.Suite)
	if err != nil {
		return nil, err
	}
	accounts, _, err := s.circle.Accounts(ctx, s.v)
	if err != nil {
		return nil, err
	}
	for _, x := range accounts {
		for i := range x.Given(root.Suite) {
			out = append(out, client.Sender{Vault: s.v, Root: root, Account: x, Index: uint32(i), Chain: chain, As: s.as})
		}
	}
	return out, nil
}

// plan reads what is there now. worth is false where nothing is, or less than its fee.
func (l *sweepLine) plan(ctx context.Context) (worth bool, err error) {
	address, _, err := l.sender.Vault.Address(l.sender.Root, l.Chain, l.sender.Path())
	if err != nil {
		return false, err
	}
	if l.From = address; l.from == (evm.Address{}) {
		if l.from, err = evm.ParseAddress(address); err != nil {
			return false, err
		}
	}
	t, err := l.transfer(ctx)
	if err != nil || t == nil {
		return false, err
	}
	l.Amount = evm.FormatUnits(t.Amount, uint8(l.asset.Decimals))
	l.Fee = evm.FormatUnits(new(big.Int).Mul(new(big.Int).SetUint64(*t.Gas), t.FeeCap), evm.EtherDecimals)
	return true, nil
}

// transfer is all of the asset, the chain's own coin without the fee; nil if nothing is left of it.
func (l *sweepLine) transfer(ctx context.Context) (*client.Transfer, error) {
	r := evm.Request{To: l.dest}
	var err error
	if l.asset.Contract == "" {
		r.Amount, err = l.teller.Balance(ctx, l.from)
	} else {
		token, bad := evm.ParseAddress(l.asset.Contract)
		if bad != nil {
			return nil, bad
		}
		r.Token = &token
		r.Amount, err = l.teller.TokenBalance(ctx, token, l.from)
	}
	if err != nil || r.Amount.Sign() == 0 {
		return nil, err
	}
	to, value, data, err := r.Message()
	if err != nil {
		return nil, err
	}
	if r.Token == nil {
		value = new(big.Int) // the fee is not known yet, so not all of it can be sent
	}
	p, err := l.teller.Price(ctx, l.from, to, value, data)
	if err != nil {
		return nil, err
	}
	if r.Token == nil {
		if r.Amount.Sub(r.Amount, p.Most()); r.Amount.Cmp(p.Most()) <= 0 {
			return nil, nil // dust: the nodes would refuse it
		}
	}
	return &client.Transfer{
		Sender: l.sender, To: l.dest, Token: r.Token, Amount: r.Amount, Legacy: p.Kind == evm.Legacy, Nonce: &p.Nonce, Gas: &p.Gas, FeeCap: p.FeeCap, TipCap: p.TipCap,
		Memo: "rescue: sweep to " + l.To, Life: emergencyLife(l.sender),
	}, nil
}

// emergencyLife is how long what is proposed in an emergency may wait to be signed: nobody's approval is waited for, and what a node that was killed meanwhile cannot sign any more
// is soon proposed again.
func emergencyLife(s client.Sender) time.Duration { return min(15*time.Minute, s.Vault.Expiry) }

// like says that a transaction is this transfer, whatever its amount.
func (l *sweepLine) like(f evm.Facts) bool {
	same := f.Token == nil && l.asset.Contract == ""
	if f.Token != nil && l.asset.Contract != "" {
		token, err := evm.ParseAddress(l.asset.Contract)
		same = err == nil && token == *f.Token
	}
	return same && f.Destination == l.dest && len(f.Calldata) == 0
}

// move proposes a transfer, or goes on with the one that a run before proposed, and waits until it is confirmed. What is there is read again: a
// token's transfer costs of the coin.
func (s *sweep) move(ctx context.Context, a *app, l *sweepLine) error {
	if l.State == "skipped" {
		return errors.New(l.Problem)
	}
	vaults := []client.Vault{s.v}
	all, _, err := s.circle.Cases(ctx, vaults, s.v.ID)
	if err != nil {
		return err
	}
	if old := client.Underway(all, l.From, l.Chain, l.like); old != nil {
		if old.Pending() && (s.bump || stuck(old)) {
			return s.replace(ctx, a, l, old)
		}
		return s.follow(ctx, a, l, old.ID())
	}
	t, err := l.transfer(ctx)
	if err != nil {
		return err
	}
	if t == nil {
		l.State = "nothing left"
		return nil
	}
	nonce := client.FreeNonce(all, l.From, l.Chain, *t.Nonce, time.Now())
	t.Nonce = &nonce
	st, err := s.circle.Prepare(ctx, *t)
	if err != nil {
		return err
	}
	l.Amount = evm.FormatUnits(t.Amount, uint8(l.asset.Decimals))
	return s.propose(ctx, a, l, st)
}

func (s *sweep) propose(ctx context.Context, a *app, l *sweepLine, st statement.Statement) error {
	taken, err := s.circle.SubmitStatement(ctx, st)
	if err != nil {
		return err
	}
	l.Intent = st.ID().String()
	if _, err := taken.Need("propose", 1); err != nil {
		return err
	}
	return s.follow(ctx, a, l, st.ID())
}

func (s *sweep) follow(ctx context.Context, a *app, l *sweepLine, id statement.ID) error {
	l.Intent = id.String()
	one, err := s.circle.Follow(ctx, []client.Vault{s.v}, id, 250*time.Millisecond, func(c *client.Case) bool { return reached(c, "confirmed") || l.bumps() && stuck(c) },
		func(c *client.Case, _ []client.Failure) { a.progress("%s of %s: %s", l.Asset, l.From, c.State()) })
	a.progressEnds()
	if one != nil {
		l.State = one.State()
		if why := refusalsOf(one); why != "" && one.Signed == nil {
			err = errors.Join(err, errors.New(why))
		}
	}
	if err == nil && !reached(one, "confirmed") {
		return s.replace(ctx, a, l, one)
	}
	if err == nil {
		err = followed(id, one, nil)
	}
	return err
}

// refusalsOf are the reasons of the nodes that denied.
func refusalsOf(c *client.Case) string {
	var all []string
	for _, d := range c.Decisions {
		if d.Verdict == intent.Deny {
			all = append(all, fmt.Sprintf("%s denies it (%s): %s", d.Operator, d.Rule, d.Reason))
		}
	}
	return strings.Join(all, "; ")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// sweepTime bounds a whole sweep: on EVM chains each transfer is signed and confirmed before the next.
const sweepTime = 2 * time.Hour

// A sweep is what a person asks for.
type sweep struct {
	rpc, assets []string
	to          []string
	dry, yes    bool
	bump, retry bool
	waitGas     time.Duration

	as       string
	v        client.Vault
	circle   *client.Circle
	accounts []client.Account
	cases    []*client.Case // as they were when the sweep was planned
}

func (s *sweep) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&s.rpc, "rpc", nil, "CHAIN=URL: where balances and fees are read (eip155:1=https://…); every node asks its own besides (may be repeated)")
	f.BoolVar(&s.yes, "yes", false, "sign without asking")
}

func (a *app) sosSweepCommand() *cobra.Command {
	var s sweep
	c := &cobra.Command{
		Use: "sweep VAULT", Short: "In ACTIVE and LOCK-UP: move all that a vault holds to its plan's rescue addresses", Args: exactly("VAULT"),
		Long: "Lists what the vault holds on each chain with a rescue address: on Bitcoin and Solana what two nodes show, on EVM chains with an endpoint (--rpc) the chain's own coin, and\n" +
			"the tokens in the charter. Then, after asking, moves coins of Bitcoin in transactions of a hundred at most, and on each other chain tokens first and the coin last, leaving the fee.\n" +
			"Each transfer is an intent like any other: every node decodes it, holds it to the plan, counts it, and logs its decision. Nobody's approval is needed: the plan was signed beforehand.\n" +
			"The key is an initiator's, or an officer's of an operator that the request is not about.\n\n" +
			"What fails keeps nothing else back: it is skipped and reported. What is under way from a run before is followed, and not begun again: run it again as often as you like. A transfer that\n" +
			"its chain undid is not asked for again without --retry: each time costs a fee. What has waited on its chain for 10 minutes, or an hour on Bitcoin, pays too little, perhaps: it is replaced by\n" +
			"the same transfer at a higher fee (--bump: at once), which the nodes judge like any other. An address with tokens and no coin to pay for them is reported with what it lacks: the plan pays nobody but its\n" +
			"rescue addresses, so somebody else has to send it (--wait-gas: the command waits for that).",
		Example: "  ostraka sos sweep treasury --rpc eip155:1=https://rpc.example --dry-run",
		RunE:    func(c *cobra.Command, args []string) error { return a.sosSweep(c.Context(), &s, args[0]) },
	}
	s.flags(c)
	f := c.Flags()
	f.BoolVar(&s.dry, "dry-run", false, "only show what would be moved")
	f.StringArrayVar(&s.assets, "asset", nil, "only this asset of the charter (may be repeated)")
	f.BoolVar(&s.bump, "bump", false, "pay more for what waits on its chain from a run before (without it: once it has waited for 10 minutes, or an hour on Bitcoin)")
	f.BoolVar(&s.retry, "retry", false, "ask again for transfers that their chain undid")
	f.DurationVar(&s.waitGas, "wait-gas", 0, "wait so long for others to send coins to addresses that hold tokens and cannot pay for them, such as 1h")
	f.StringArrayVar(&s.to, "to", nil, "name of the plan's rescue address, where it has several on a chain (may be repeated)")
	return c
}

// Outcomes of a transfer.
const (
	outPlanned  = "planned"
	outMoved    = "moved"
	outUnderway = "underway"  // asked for, and not in a block
	outSkipped  = "skipped"   // not asked for: `problem` says why
	outLacksGas = "lacks-gas" // not asked for: its address cannot pay for it
	outFailed   = "failed"    // asked for in vain: `problem` says why
	outLeft     = "left"      // not worth moving, or nothing is left of it
)

// A sweepLine is one transfer.
type sweepLine struct {
	Chain   string `json:"chain"`
	From    string `json:"from"` // address; on Bitcoin department/account
	Asset   string `json:"asset"`
	Amount  string `json:"amount"` // people's units
	To      string `json:"to"`
	Fee     string `json:"fee_at_most"`
	Coins   int    `json:"coins,omitempty"` // of Bitcoin
	Intent  string `json:"intent,omitempty"`
	Hash    string `json:"hash,omitempty"` // of the signed transaction
	Outcome string `json:"outcome"`
	State   string `json:"state"`
	Problem string `json:"problem,omitempty"`

	move  func(ctx context.Context) error // until it is signed, or confirmed
	land  func(ctx context.Context) error // until it is confirmed; nil: move does that
	again dearer                          // nil: its fee is never raised
	kept  bool                            // its fee cannot be raised: what waits is followed as it is
	evm   *evmTransfer                    // nil: it is none
}

// dearer prepares the same transfer for more than one that waits pays. waits and fee say in words what that one waits with, and what both pay at most.
type dearer func(ctx context.Context, old *client.Case) (st statement.Statement, waits, fee string, err error)

// A gasLack is an address that cannot pay for what is to be moved from it.
type gasLack struct {
	Chain   string `json:"chain"`
	Address string `json:"address"`
	Asset   string `json:"asset"`
	Has     string `json:"has"`   // people's units
	Needs   string `json:"needs"` // for all of its transfers, at the fees of now
	Send    string `json:"send"`  // what is missing, and a quarter of what it needs: fees rise
}

// A chainUnread is a chain with a rescue address at which nothing was looked for.
type chainUnread struct {
	Chain string `json:"chain"`
	Why   string `json:"why"`
}

type sweepDocument struct {
	Vault  string        `json:"vault"`
	Lines  []*sweepLine  `json:"transfers"`
	Lacks  []gasLack     `json:"lacks_gas"`
	Unread []chainUnread `json:"unread"`
}

func (d sweepDocument) print(w io.Writer) {
	if len(d.Lines) == 0 {
		fmt.Fprintln(w, "Nothing is there to move.")
	}
	for _, l := range d.Lines {
		state := l.Outcome
		if l.State != "" && l.State != state {
			state += " (" + l.State + ")"
		}
		fmt.Fprintf(w, "%-18s %s %s %s", state, l.From, l.Amount, l.Asset)
		if l.Coins > 0 {
			fmt.Fprintf(w, " in %d coins", l.Coins)
		}
		fmt.Fprintf(w, " → %s", l.To)
		if l.Fee != "" {
			fmt.Fprintf(w, ", fee at most %s", l.Fee)
		}
		if l.Intent != "" {
			fmt.Fprintf(w, ", intent %.8s", l.Intent)
		}
		fmt.Fprintln(w)
		if l.Problem != "" {
			fmt.Fprintf(w, "                   %s\n", l.Problem)
		}
	}
	for _, g := range d.Lacks {
		fmt.Fprintf(w, "%s holds %s %s on %s and needs %s: somebody has to send it %s %s\n", g.Address, g.Has, g.Asset, g.Chain, g.Needs, g.Send, g.Asset)
	}
	for _, u := range d.Unread {
		fmt.Fprintf(w, "%s was not looked at: %s\n", u.Chain, u.Why)
	}
}

// count is how many transfers have one of these outcomes.
func (d sweepDocument) count(outcomes ...string) (n int) {
	for _, l := range d.Lines {
		if slices.Contains(outcomes, l.Outcome) {
			n++
		}
	}
	return n
}

// unmoved are the transfers that did not come through.
func (d sweepDocument) unmoved() int { return len(d.Lines) - d.count(outMoved, outLeft) }

func (a *app) sosSweep(c context.Context, s *sweep, vault string) error {
	ctx, cancel := a.within(c, sweepTime)
	defer cancel()
	return a.inVault(ctx, vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		if err := s.begin(ctx, c, v); err != nil {
			return err
		}
		doc, err := s.plan(ctx, a)
		if err != nil {
			return err
		}
		n := doc.count(outPlanned, outUnderway)
		if s.dry {
			return a.show(doc, doc.print)
		}
		if n > 0 {
			doc.print(cli.Writer{Writer: a.err})
			if err := a.confirm(s.yes, fmt.Sprintf("Sign and propose %d transfers?", n)); err != nil {
				return err
			}
			if doc, err = s.awaitGas(ctx, a, doc); err != nil {
				return err
			}
			s.carryOut(ctx, a, doc.Lines)
			doc.Lacks = slices.DeleteFunc(doc.Lacks, func(g gasLack) bool {
				return !slices.ContainsFunc(doc.Lines, func(l *sweepLine) bool { return l.Outcome == outLacksGas && l.Chain == g.Chain && l.From == g.Address })
			})
		}
		if err := a.show(doc, doc.print); err != nil || doc.unmoved() == 0 {
			return err
		}
		return notReady("the others went on; run it again when what is named is mended", "%d of %d transfers did not come through", doc.unmoved(), len(doc.Lines))
	})
}

// begin reads what the sweep goes by.
func (s *sweep) begin(ctx context.Context, c *client.Circle, v client.Vault) (err error) {
	if s.circle, s.v = c, v; v.SOS == nil || len(v.SOS.Destinations) == 0 {
		return refused("the plan is part of the charter: `ostraka sos plan` shows it", "vault %s has no rescue address", v.Name)
	}
	for _, name := range s.to {
		if !slices.ContainsFunc(v.SOS.Destinations, func(d charter.Destination) bool { return d.Name == name }) {
			return refused("`ostraka sos plan` shows the plan's", "the plan of vault %s has no rescue address %s", v.Name, name)
		}
	}
	if !s.dry {
		if s.as, err = v.Asks(c.Signer()); err != nil {
			return err
		}
	}
	s.accounts, _, err = c.Accounts(ctx, v)
	return err
}

// plan lists what the vault holds, chain by chain: those of which the nodes read what lies there, then those with an endpoint.
func (s *sweep) plan(ctx context.Context, a *app) (doc sweepDocument, err error) {
	doc = sweepDocument{Vault: s.v.Name, Lines: []*sweepLine{}, Lacks: []gasLack{}, Unread: []chainUnread{}}
	if s.cases, _, err = s.circle.Cases(ctx, []client.Vault{s.v}, s.v.ID); err != nil {
		return doc, err
	}
	asked := map[string]bool{}
	for _, text := range s.rpc {
		e, err := onchain.ParseEVM(text)
		if err != nil {
			return doc, usage("--rpc: %w", err)
		}
		asked[e.Chain] = true
	}
	looked := len(s.rpc) > 0
	for _, chain := range s.rescued() {
		switch namespace, _, _ := strings.Cut(chain, ":"); {
		case namespace == "bip122":
			looked = true
			lines, err := s.onBitcoin(ctx, a, chain)
			if err != nil {
				return doc, err
			}
			doc.Lines = append(doc.Lines, lines...)
		case namespace == "eip155" && !asked[chain]:
			doc.Unread = append(doc.Unread, chainUnread{chain, "give its endpoint, --rpc " + chain + "=https://…"})
		case namespace == "eip155": // below, in the order of the endpoints
		case namespace == "solana":
			looked = true
			lines, err := s.onSolana(ctx, a, chain)
			if err != nil {
				return doc, err
			}
			doc.Lines = append(doc.Lines, lines...)
		default:
			doc.Unread = append(doc.Unread, chainUnread{chain, "this release sweeps nothing of it"})
		}
	}
	if !looked {
		return doc, usage("give an endpoint: --rpc eip155:1=https://…")
	}
	for _, text := range s.rpc {
		lines, lacks, err := s.onChain(ctx, a, text)
		if err != nil {
			return doc, err
		}
		doc.Lines, doc.Lacks = append(doc.Lines, lines...), append(doc.Lacks, lacks...)
	}
	return doc, nil
}

// rescued are the vault's chains with a rescue address.
func (s *sweep) rescued() (out []string) {
	for _, chain := range s.v.Chains {
		if slices.ContainsFunc(s.v.SOS.Destinations, func(d charter.Destination) bool { return d.Chain == chain }) {
			out = append(out, chain)
		}
	}
	return out
}

// destination is the rescue address on a chain.
func (s *sweep) destination(chain string) (d charter.Destination, err error) {
	var all, named []charter.Destination
	var names []string
	for _, d := range s.v.SOS.Destinations {
		if d.Chain != chain {
			continue
		}
		if all, names = append(all, d), append(names, d.Name); slices.Contains(s.to, d.Name) {
			named = append(named, d)
		}
	}
	if len(named) == 0 {
		named = all
	}
	switch len(named) {
	case 1:
		return named[0], nil
	case 0:
		return d, refused("`ostraka sos plan` shows the plan's", "the plan of vault %s has no rescue address on %s", s.v.Name, chain)
	}
	return d, usage("the plan has several rescue addresses on %s: give --to, one of %s", chain, strings.Join(names, ", "))
}

// wants says whether an asset is to be moved.
func (s *sweep) wants(asset string) bool {
	return len(s.assets) == 0 || slices.Contains(s.assets, asset)
}

// carryOut moves line after line. What depends on no other is signed first, and awaited at the end: a block of Bitcoin takes ten minutes.
func (s *sweep) carryOut(ctx context.Context, a *app, lines []*sweepLine) {
	for _, step := range []func(*sweepLine) func(context.Context) error{
		func(l *sweepLine) func(context.Context) error { return l.move },
		func(l *sweepLine) func(context.Context) error { return l.land },
	} {
		for _, l := range lines {
			do := step(l)
			if do == nil || l.Outcome != outPlanned && l.Outcome != outUnderway {
				continue
			}
			if err := do(ctx); err != nil {
				s.ended(l, err)
				a.say("%s of %s: %s: %v", l.Asset, l.From, l.Outcome, err)
			}
		}
	}
}

// ended says what became of a line that did not come through.
func (s *sweep) ended(l *sweepLine, err error) {
	var lacks *lacksGasError
	l.Problem = err.Error()
	switch {
	case errors.As(err, &lacks):
		l.Outcome, l.State = outLacksGas, ""
	case l.Intent == "":
		l.Outcome, l.State = outSkipped, ""
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		l.Outcome = outUnderway
	default:
		l.Outcome = outFailed
	}
}

// emergencyLife is how long what is proposed in an emergency may wait to be signed: nobody's approval is waited for, and what a node that was killed meanwhile cannot sign any more
// is soon proposed again.
func emergencyLife(s client.Sender) time.Duration { return min(15*time.Minute, s.Vault.Expiry) }

// propose hands an intent to the nodes, and follows it until its transaction is "signed" or "confirmed".
func (s *sweep) propose(ctx context.Context, a *app, l *sweepLine, st statement.Statement, until string) error {
	taken, err := s.circle.SubmitStatement(ctx, st)
	if err != nil {
		return err
	}
	l.Intent = st.ID().String()
	if _, err := taken.Need("propose", 1); err != nil {
		return err
	}
	return s.follow(ctx, a, l, st.ID(), until)
}

func (s *sweep) follow(ctx context.Context, a *app, l *sweepLine, id statement.ID, until string) error {
	l.Intent, l.Outcome = id.String(), outUnderway
	raises := func(c *client.Case) bool { return until == "confirmed" && l.again != nil && !l.kept && stuck(c) }
	there := func(c *client.Case) bool { return reached(c, until) && (c.State() != "confirmed" || c.Landed()) }
	one, err := s.circle.Follow(ctx, []client.Vault{s.v}, id, 250*time.Millisecond, func(c *client.Case) bool { return there(c) || raises(c) },
		func(c *client.Case, _ []client.Failure) { a.progress("%s of %s: %s", l.Asset, l.From, c.State()) })
	a.progressEnds()
	if one != nil {
		l.saw(one)
		if why := refusalsOf(one); why != "" && one.Signed == nil {
			err = errors.Join(err, errors.New(why))
		}
	}
	switch {
	case err != nil:
		return err
	case !there(one):
		return s.replace(ctx, a, l, one, until)
	case one.Reverted():
		return undone(one)
	}
	if err := followed(id, one, nil); err != nil {
		return err
	}
	if until == "confirmed" {
		l.Outcome, l.Problem = outMoved, ""
	}
	return nil
}

// saw notes how far an intent is.
func (l *sweepLine) saw(c *client.Case) {
	if l.State = c.State(); c.Signed != nil {
		l.Hash = c.Signed.Hash
	}
}

// undone says that a chain carried a transfer out in vain.
func undone(c *client.Case) error {
	return fmt.Errorf("the chain undid it and kept the fee (intent %.8s)", c.ID().String())
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

// sweeping says that a transaction is a transfer of an asset to an address, whatever its amount.
func sweeping(asset charter.Asset, to evm.Address) func(evm.Facts) bool {
	return func(f evm.Facts) bool {
		same := f.Token == nil && asset.Contract == ""
		if f.Token != nil && asset.Contract != "" {
			token, err := evm.ParseAddress(asset.Contract)
			same = err == nil && token == *f.Token
		}
		return same && f.Destination == to && len(f.Calldata) == 0
	}
}

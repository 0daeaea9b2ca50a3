package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/onchain"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) sosCallCommand() *cobra.Command {
	var s sweep
	var account string
	c := &cobra.Command{
		Use: "call VAULT NAME --account DEPARTMENT/ACCOUNT[/INDEX] --rpc CHAIN=URL", Short: "In ACTIVE: make a protective call that the plan names", Args: exactly("VAULT", "NAME"),
		Long: "Proposes exactly the bytes that the plan has under NAME, to exactly its contract, without value. The nodes make it as often as the plan says, and no more.\n" +
			"One that is under way from a run before is followed, and not made again.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.sosCall(c.Context(), &s, account, args[0], args[1])
		},
	}
	s.flags(c)
	c.Flags().StringVar(&account, "account", "", "the address that calls")
	return c
}

func (a *app) sosCall(c context.Context, s *sweep, account, vault, name string) error {
	if len(s.rpc) != 1 || account == "" {
		return usage("give --account, and one endpoint: --rpc eip155:1=https://…")
	}
	e, err := onchain.ParseEVM(s.rpc[0])
	if err != nil {
		return usage("--rpc: %w", err)
	}
	ctx, cancel := a.within(c, sweepTime)
	defer cancel()
	return a.inVault(ctx, vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		s.circle, s.v = c, v
		call, err := namedCall(v, name)
		if err != nil {
			return err
		}
		if call.Chain != e.Chain {
			return usage("call %s is made on %s, and --rpc is of %s", name, call.Chain, e.Chain)
		}
		if s.as, err = v.Asks(c.Signer()); err != nil {
			return err
		}
		sender, err := evmSender(ctx, c, v, e.Chain, account)
		if err != nil {
			return err
		}
		sender.As = s.as
		return s.make(ctx, a, e, sender, call)
	})
}

// namedCall finds a call of the vault's plan.
func namedCall(v client.Vault, name string) (charter.Call, error) {
	var names []string
	if v.SOS != nil {
		for _, x := range v.SOS.Calls {
			if x.Name == name {
				return x, nil
			}
			names = append(names, x.Name)
		}
	}
	if len(names) == 0 {
		return charter.Call{}, refused("`ostraka sos sweep` moves what lies at the vault's addresses; a call is made only if the charter has it in the plan's `calls`", "the plan of vault %s names no protective call, and none called %.80q", v.Name, name)
	}
	return charter.Call{}, refused("`ostraka sos call` makes those, each by its name; `ostraka charter show` shows them", "the plan of vault %s names no call %.80q; it names: %s", v.Name, name, strings.Join(names, ", "))
}

// make proposes the call, or follows the one that is under way.
func (s *sweep) make(ctx context.Context, a *app, e onchain.Endpoint, sender client.Sender, call charter.Call) error {
	l := &sweepLine{Chain: e.Chain, Asset: "call " + call.Name, To: call.To, Outcome: outPlanned}
	var err error
	if l.From, _, err = s.v.Address(sender.Root, e.Chain, sender.Path()); err != nil {
		return err
	}
	from, err := evm.ParseAddress(l.From)
	if err != nil {
		return err
	}
	to, err := evm.ParseAddress(call.To)
	if err != nil {
		return err
	}
	all, _, err := s.circle.Cases(ctx, []client.Vault{s.v}, s.v.ID)
	if err != nil {
		return err
	}
	like := func(f evm.Facts) bool {
		return f.Amount.Sign() == 0 && f.Destination == to && slices.Equal(f.Calldata, call.Data)
	}
	show := func(w io.Writer) { sweepDocument{Lines: []*sweepLine{l}}.print(w) }
	if old := client.Underway(all, l.From, e.Chain, like); old != nil {
		err = s.follow(ctx, a, l, old.ID(), "confirmed")
	} else {
		var st statement.Statement
		if st, err = s.prepareCall(ctx, e, l, sender, from, to, call, all); err != nil {
			return err
		}
		if err := a.confirm(s.yes, fmt.Sprintf("Call %s (%s, %d bytes) from %s?", call.Name, call.To, len(call.Data), l.From)); err != nil {
			return err
		}
		err = s.propose(ctx, a, l, st, "confirmed")
	}
	if err != nil {
		return err
	}
	return a.show(l, show)
}

func (s *sweep) prepareCall(ctx context.Context, e onchain.Endpoint, l *sweepLine, sender client.Sender, from, to evm.Address, call charter.Call, all []*client.Case) (st statement.Statement, err error) {
	teller, err := e.Tell(ctx)
	if err != nil {
		return st, err
	}
	p, err := teller.Price(ctx, from, to, nil, call.Data)
	if err != nil {
		return st, fmt.Errorf("what call %s would cost, or whether it would fail: %w", call.Name, err)
	}
	nonce := client.FreeNonce(all, l.From, e.Chain, p.Nonce, time.Now())
	l.Fee = evm.FormatUnits(p.Most(), evm.EtherDecimals)
	return s.circle.PrepareCall(sender, call.Name, evm.CallRequest{Kind: p.Kind, Nonce: nonce, Gas: p.Gas, FeeCap: p.FeeCap, TipCap: p.TipCap}, emergencyLife(sender))
}

func (a *app) sosReportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "report VAULT", Short: "The whole of a vault's emergencies: who said what, how far each node is, and what moved", Args: exactly("VAULT"),
		Long: "Of what the nodes show to everybody, and of the intents that the plan ruled on, if you may read them. Each node's own word stands by itself.",
		RunE: func(c *cobra.Command, args []string) error { return a.sosReport(c.Context(), args[0]) },
	}
}

type sosReportDocument struct {
	sosStatusDocument
	Moved  []movedDocument `json:"moved"`
	Unread string          `json:"moved_unread,omitempty"` // why what moved could not be read
}

// A movedDocument is an intent that the plan ruled on.
type movedDocument struct {
	Intent      string            `json:"intent"`
	Created     string            `json:"created"`
	By          string            `json:"by"`
	State       string            `json:"state"`
	Hash        string            `json:"hash,omitempty"`
	Facts       []factDocument    `json:"facts"`
	Decisions   map[string]string `json:"decisions"` // by operator: verdict and reason
	destination string
	amount      string
}

func (a *app) sosReport(c context.Context, vault string) error {
	ctx, cancel := a.within(c, 2*time.Minute)
	defer cancel()
	circle, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer circle.Close()
	all, failed, err := circle.Rescues(ctx)
	if err != nil {
		return err
	}
	a.down(failed)
	r, err := a.findRescue(ctx, circle, all, vault)
	if err != nil {
		return err
	}
	doc := sosReportDocument{sosStatusDocument: sosStatusOf(r), Moved: []movedDocument{}}
	if doc.Moved, err = movedIn(ctx, circle, vault); err != nil {
		doc.Unread = err.Error() // what is public is told all the same
	}
	return a.show(doc, func(w io.Writer) {
		printRescue(w, r)
		fmt.Fprintf(w, "\nWhat the plan ruled on: %d intents\n", len(doc.Moved))
		if doc.Unread != "" {
			fmt.Fprintf(w, "  (not all could be read: %s)\n", doc.Unread)
		}
		for _, m := range doc.Moved {
			fmt.Fprintf(w, "  %s  %.8s  %-10s %s to %s, by %s %s\n", m.Created, m.Intent, m.State, m.amount, m.destination, m.By, m.Hash)
			for name, said := range m.Decisions {
				if !strings.HasPrefix(said, string(intent.Allow)) {
					fmt.Fprintf(w, "      %s: %s\n", name, said)
				}
			}
		}
	})
}

// movedIn lists the intents on which a node decided by the plan.
func movedIn(ctx context.Context, c *client.Circle, vault string) ([]movedDocument, error) {
	out := []movedDocument{}
	v, _, err := c.Vault(ctx, vault)
	if err != nil {
		return out, err
	}
	cases, _, err := c.Cases(ctx, []client.Vault{v}, v.ID)
	if err != nil {
		return out, err
	}
	for _, x := range cases {
		if !slices.ContainsFunc(x.Decisions, func(d client.Decision) bool { return d.Rule == ruleSOS }) {
			continue
		}
		m := movedDocument{
			Intent: x.ID().String(), Created: statement.FormatTime(x.Intent.Created), By: x.Intent.Initiator, State: x.State(), Facts: factsOf(x.Facts), Decisions: map[string]string{},
			destination: "?", amount: "?",
		}
		if x.Signed != nil {
			m.Hash = fmt.Sprint(x.Signed.Hash)
		}
		if x.Tx != nil {
			f := x.Tx.Facts()
			m.destination, m.amount = f.Destination.String(), f.Amount.String()+" of "+f.Asset
		}
		if b, ok := x.Payload.(*payload.Bitcoin); ok {
			m.destination, m.amount = paidBy(b)
		}
		for _, d := range x.Decisions {
			m.Decisions[d.Operator] = strings.TrimSpace(string(d.Verdict) + " " + d.Reason)
		}
		out = append(out, m)
	}
	return out, nil
}

// paidBy is whom a transaction of Bitcoin pays, and how much in all.
func paidBy(p *payload.Bitcoin) (to, amount string) {
	var all []string
	sum := uint64(0)
	for _, out := range p.Outputs() {
		if out.Change == nil && out.Address != "" {
			all, sum = append(all, out.Address), sum+out.Amount
		}
	}
	return strings.Join(all, ", "), fmt.Sprintf("%s BTC of %d coins", btc(sum), len(p.Inputs()))
}

// ruleSOS is the rule by which nodes decide while a plan is the rule.
const ruleSOS = "sos"

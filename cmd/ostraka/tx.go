package main

import (
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) txCommand() *cobra.Command {
	c := &cobra.Command{Use: "tx", Short: "Transactions: propose, approve, follow"}
	c.AddCommand(a.proposeCommand(), a.callCommand(), a.messageCommand(), a.voteCommand(signet.Approve), a.voteCommand(signet.Reject), a.cancelCommand(), a.bumpCommand(), a.voidCommand(), a.simulateCommand(), a.authorizeCommand(), a.setCodeCommand(),
		a.txListCommand(), a.txShowCommand(), a.txExplainCommand(), a.txExportCommand(), a.txImportCommand())
	return c
}

// txDocument is an intent with all that the nodes show of it.
type txDocument struct {
	ID        string             `json:"id"`
	State     string             `json:"state"`
	Why       string             `json:"why,omitempty"` // of what was denied, or ended with its epoch
	Alarms    []string           `json:"alarms"`
	Doubted   []string           `json:"doubted"` // operators that the alarms are about
	Vault     string             `json:"vault"`
	Path      string             `json:"path"`
	Address   string             `json:"address"`
	Chain     string             `json:"chain"`
	Initiator string             `json:"initiator"`
	Memo      string             `json:"memo"`
	Replaces  string             `json:"replaces,omitempty"` // id of the intent whose transaction it is to take the place of
	Created   string             `json:"created"`
	Expires   string             `json:"expires"`
	Facts     []factDocument     `json:"facts"`
	Unclear   string             `json:"unclear,omitempty"`
	Approvals approvalsDocument  `json:"approvals"`
	Decisions []decisionDocument `json:"decisions"`
	Awaited   []string           `json:"awaited"`
	Proof     *proofDocument     `json:"proof,omitempty"`
	Signed    *signedDocument    `json:"signed"`
	Nodes     []viewDocument     `json:"nodes"`
	Failed    []failureDocument  `json:"failed"`
	Statement string             `json:"statement"`
}

type factDocument struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type approvalsDocument struct {
	Quorum   int      `json:"quorum"`
	Approved []string `json:"approved"`
	Rejected []string `json:"rejected"`
	Missing  int      `json:"missing"`
	Awaited  []string `json:"awaited"`
}

type decisionDocument struct {
	Operator string         `json:"operator"`
	Verdict  string         `json:"verdict"` // allow, deny, or empty: not decided
	Rule     string         `json:"rule"`
	Reason   string         `json:"reason"`
	Created  string         `json:"created,omitempty"`
	Facts    []factDocument `json:"facts"`
}

type signedDocument struct {
	Raw  string `json:"raw"`  // the signed transaction; a proof's signature
	Hash string `json:"hash"` // of the signed transaction; id of a proof's statement
	From string `json:"from"`
	R    string `json:"r,omitempty"`
	S    string `json:"s,omitempty"`
	V    uint8  `json:"v"` // parity of R's y: 0 or 1
}

type viewDocument struct {
	Node           string   `json:"node"`
	State          string   `json:"state"`
	Changed        string   `json:"changed"`
	Undecided      []string `json:"undecided"`
	Waits          string   `json:"waits,omitempty"`
	LastError      string   `json:"last_error,omitempty"`
	Awaited        []string `json:"awaited"`
	Height         uint64   `json:"height,omitempty"`
	Reverted       bool     `json:"reverted"`
	PossiblySigned bool     `json:"possibly_signed"`
}

func factsOf(facts []intent.Fact) []factDocument {
	out := []factDocument{}
	for _, f := range facts {
		out = append(out, factDocument{f.Name, f.Value})
	}
	return out
}

func signedOf(c *client.Case) *signedDocument {
	if c.Signed == nil {
		return nil
	}
	d := &signedDocument{Raw: fmt.Sprintf("0x%x", c.Signed.Raw), Hash: c.Signed.Hash, From: c.Intent.Address}
	if tx := c.Signed.Tx; tx != nil {
		d.R, d.S, d.V = fmt.Sprintf("0x%x", tx.R), fmt.Sprintf("0x%x", tx.S), tx.RecID
	}
	return d
}

func txOf(c *client.Case, failed []client.Failure) txDocument {
	it, t := c.Intent, c.Tally()
	d := txDocument{
		ID: c.ID().String(), State: c.State(), Why: c.Why(), Alarms: list(c.Alarms), Doubted: list(c.Doubted), Vault: c.Vault.Name, Path: statement.FormatPath(it.Path[:]...),
		Address: it.Address, Chain: it.Chain, Initiator: it.Initiator, Memo: it.Memo, Created: statement.FormatTime(it.Created),
		Expires: statement.FormatTime(it.Expires), Facts: factsOf(c.Facts), Unclear: c.Unclear,
		Approvals: approvalsDocument{c.Vault.Quorum, list(t.Approved), list(t.Rejected), t.Need, list(t.Awaited)},
		Awaited:   list(c.Awaited()), Proof: proofOf(c), Signed: signedOf(c), Failed: failuresOf(failed), Statement: c.Statement.Text(),
	}
	if !it.Replaces.IsZero() {
		d.Replaces = it.Replaces.String()
	}
	for _, name := range c.Vault.Committee {
		one := decisionDocument{Operator: name, Facts: []factDocument{}}
		if x, ok := c.Decision(name); ok {
			one = decisionDocument{name, string(x.Verdict), x.Rule, x.Reason, statement.FormatTime(x.Created), factsOf(x.Facts)}
		}
		d.Decisions = append(d.Decisions, one)
	}
	for _, v := range c.Views {
		d.Nodes = append(d.Nodes, viewDocument{
			v.Node, v.State, v.Changed, list(v.Undecided), v.Waits, v.LastError, list(v.Awaited), v.Height, v.Reverted, v.PossiblySigned,
		})
	}
	return d
}

// printFacts shows what this program itself decoded.
func printFacts(w io.Writer, c *client.Case) {
	for _, x := range c.Alarms {
		fmt.Fprintf(w, "ALARM: %s\n", x)
	}
	if len(c.Doubted) > 0 && !c.Stopped() {
		fmt.Fprintf(w, "What %s says stands alone. The other operators are enough to sign it. Tell those in charge of all nodes.\n", strings.Join(c.Doubted, ", "))
	}
	it := c.Intent
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(t, "Intent %s\n", c.ID())
	row("vault", "%s", c.Vault.Name)
	for _, f := range frozenOf(c.Vault) {
		row("FROZEN", "%s", f)
	}
	row("proposed by", "%s at %s", it.Initiator, statement.FormatTime(it.Created))
	row("expires", "%s", statement.FormatTime(it.Expires))
	if it.Memo != "" {
		row("memo", "%s", it.Memo)
	}
	if !it.Replaces.IsZero() {
		row("replaces", "intent %s, which waits on its chain", it.Replaces.Short())
	}
	row("from", "%s (%s)", it.Address, statement.FormatPath(it.Path[:]...))
	row("chain", "%s", it.Chain)
	switch {
	case c.Payload != nil:
		for _, l := range humaneOf(c) {
			if l.Name == "chain" { // it stands above
				continue
			}
			row(l.Name, "%s", l.Value)
		}
	case c.Proof != nil:
		row("does", "proves control of the address, and moves nothing")
		row("said by", "%s", c.Proof.Entity)
		if b := c.Proof.AsOf; b != nil {
			row("as of", "block %d, %#x", b.Height, b.Hash)
		}
		row("text", "%s", c.Proof.Text)
	default:
		row(it.Purpose, "CANNOT BE DECODED: %s", c.Unclear)
	}
	_ = t.Flush()
}

// humaneOf writes what a transaction does for reading: what is no transfer in the words that every node decodes.
func humaneOf(c *client.Case) (out []evm.Line) {
	if c.Tx != nil {
		if f := c.Tx.Facts(); len(f.Calldata) == 0 && f.Kind <= evm.Legacy {
			return humane(f, c.Units)
		}
	}
	for _, x := range c.Facts {
		out = append(out, evm.Line{Name: x.Name, Value: inWhole(c.Payload, x.Name, x.Value)})
	}
	return out
}

// inWhole writes an amount of Bitcoin's or Solana's own coin in whole units too, where a fact has it as a bare number of the smallest.
func inWhole(of payload.Payload, name, value string) string {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return value
	}
	amount := new(big.Int).SetUint64(n)
	switch of.(type) {
	case *payload.Bitcoin:
		if name == "paid" || name == "fee" {
			return fmt.Sprintf("%s BTC (%s sat)", evm.FormatUnits(amount, bitcoinDecimals), value)
		}
	case *payload.Solana:
		if name == "max-fee" || name == "fee-signatures" || name == "fee-priority" {
			return fmt.Sprintf("%s SOL (%s lamports)", evm.FormatUnits(amount, solDecimals), value)
		}
	}
	return value
}

// humane writes facts for reading: the chain's own coin in whole units too, and a token where units has it, which is then the charter's word; nil: there is none.
func humane(f evm.Facts, units func(contract string, amount *big.Int) (string, bool)) []evm.Line {
	coin := func(wei *big.Int) string {
		return fmt.Sprintf("%s coins (%s wei)", evm.FormatUnits(wei, evm.EtherDecimals), wei)
	}
	out := []evm.Line{{Name: "does", Value: string(f.Operation)}}
	if f.Token == nil {
		out = append(out, evm.Line{Name: "amount", Value: coin(f.Amount)})
	} else {
		amount := f.Amount.String() + " of the token's smallest unit"
		if units != nil {
			if whole, listed := units(f.Token.String(), f.Amount); listed {
				amount = fmt.Sprintf("%s as the charter has it (%s)", whole, amount)
			} else {
				amount += ", which the charter does not list"
			}
		}
		out = append(out, evm.Line{Name: "token", Value: f.Token.String()}, evm.Line{Name: "amount", Value: amount})
	}
	return append(out,
		evm.Line{Name: "to", Value: f.Destination.String()},
		evm.Line{Name: "nonce", Value: fmt.Sprint(f.Nonce)},
		evm.Line{Name: "fee", Value: fmt.Sprintf("at most %s: %d gas at %s wei", coin(f.MaxFee), f.Gas, f.FeeCap)},
	)
}

// printState shows who decided what, and who is awaited.
func printState(w io.Writer, c *client.Case) {
	fmt.Fprintf(w, "State: %s", c.State())
	if c.State() == client.Ended {
		fmt.Fprintf(w, ": %s", c.Why())
	}
	fmt.Fprintln(w)
	t := c.Tally()
	fmt.Fprintf(w, "Approvals: %d of %d", len(t.Approved), c.Vault.Quorum)
	if len(t.Approved) > 0 {
		fmt.Fprintf(w, " (%s)", strings.Join(t.Approved, ", "))
	}
	if t.Need > 0 && !c.Closed() && c.Signed == nil {
		fmt.Fprintf(w, "; %d more of %s must approve", t.Need, strings.Join(t.Awaited, ", "))
	}
	if len(t.Rejected) > 0 {
		fmt.Fprintf(w, "; rejected by %s", strings.Join(t.Rejected, ", "))
	}
	fmt.Fprintln(w)
	for _, name := range c.Vault.Committee {
		d, ok := c.Decision(name)
		switch {
		case !ok:
			fmt.Fprintf(w, "  %-12s has not decided\n", name)
		case d.Verdict == intent.Deny:
			fmt.Fprintf(w, "  %-12s DENY by rule %s: %s\n", name, d.Rule, c.Reason(d))
		default:
			fmt.Fprintf(w, "  %-12s ALLOW by rule %s\n", name, d.Rule)
		}
	}
	if awaited := c.Awaited(); len(awaited) > 0 && c.Signed == nil && !c.Closed() {
		fmt.Fprintf(w, "Awaited: %s\n", strings.Join(awaited, ", "))
	}
	if c.Signed != nil {
		fmt.Fprintf(w, "Signed: %s\n", c.Signed.Hash)
	}
	for _, v := range c.Views {
		switch {
		case v.Height > 0 && v.Reverted:
			fmt.Fprintf(w, "  %s: REVERTED in block %d\n", v.Node, v.Height)
		case v.Height > 0:
			fmt.Fprintf(w, "  %s: in block %d\n", v.Node, v.Height)
		}
	}
	printCodeSet(w, c)
}

// printCodeSet says that a transaction which carries authorizations did what it is for, though its chain calls it failed.
func printCodeSet(w io.Writer, c *client.Case) {
	if c.CodeSet() {
		fmt.Fprintln(w, "The authorizations that it carries took effect all the same: the chain undid only its payment of nothing, which the account's new code refuses. Do not ask for it again.")
	}
}

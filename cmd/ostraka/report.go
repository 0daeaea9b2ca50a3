package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
)

// paymentDocument is one signed transaction, for bookkeepers.
type paymentDocument struct {
	Allowed     string   `json:"allowed"` // the last ALLOW that an operator signed: the signature was made after it
	Changed     string   `json:"changed"` // since when it is in its state, as nodes say
	State       string   `json:"state"`
	Vault       string   `json:"vault"`
	Account     string   `json:"account"`
	Address     string   `json:"address"`
	Chain       string   `json:"chain"`
	Asset       string   `json:"asset"`
	Amount      string   `json:"amount"`
	FeeAsset    string   `json:"fee_asset"`
	FeeAtMost   string   `json:"fee_at_most"`
	Destination string   `json:"destination"`
	Payee       string   `json:"payee"`
	Labels      []string `json:"labels"`
	Initiator   string   `json:"initiator"`
	Approvers   []string `json:"approvers"`
	Memo        string   `json:"memo"`
	Intent      string   `json:"intent"`
	Transaction string   `json:"transaction"`
	Block       uint64   `json:"block"` // 0: none is known
}

var reportHeader = []string{
	"allowed", "changed", "state", "vault", "account", "address", "chain", "asset", "amount", "fee_asset", "fee_at_most", "destination", "payee", "labels",
	"initiator", "approvers", "memo", "intent", "transaction", "block",
}

func (p paymentDocument) row() []string {
	block := ""
	if p.Block > 0 {
		block = strconv.FormatUint(p.Block, 10)
	}
	return []string{
		p.Allowed, p.Changed, p.State, p.Vault, p.Account, p.Address, p.Chain, p.Asset, p.Amount, p.FeeAsset, p.FeeAtMost, p.Destination, p.Payee,
		strings.Join(p.Labels, " "), p.Initiator, strings.Join(p.Approvers, " "), p.Memo, p.Intent, p.Transaction, block,
	}
}

func (a *app) reportCommand() *cobra.Command {
	var s span
	var vault, format string
	c := &cobra.Command{
		Use: "report", Short: "List the signed transactions of a time, one a line, for bookkeepers", Args: none,
		Long: "Every line was verified here: the intent's signatures, the nodes' decisions and the signed transaction. --from and --to are about `allowed`, when the\n" +
			"last operator said ALLOW; the signature was made after that, and `changed` is since when the transaction is in its state, as the nodes say.\n" +
			"Amounts are exact, in people's units; an asset that the charter does not list is in its smallest, under its CAIP-19 name. The fee is the most that it can\n" +
			"be: look up on the chain what it was, and whether a transaction that is not final came to anything.\n" +
			"CSV is that of RFC 4180; a cell that a spreadsheet would take for a formula begins with an apostrophe.",
		Example: "  ostraka report --from 2026-10-01 --to 2026-10-31 --format csv > october.csv",
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, to, err := s.times()
			if err != nil {
				return err
			}
			switch {
			case format != "csv" && format != "json":
				return usage("--format %q is not csv or json", format)
			case a.json && format == "csv" && cmd.Flags().Changed("format"):
				return usage("--json does not go with --format csv")
			}
			ctx, cancel := a.within(cmd.Context(), time.Minute)
			defer cancel()
			c, err := a.circle(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			all, failed, err := historyOf(ctx, c, vault)
			if err != nil {
				return err
			}
			a.down(failed)
			rows, err := payments(ctx, c, all, from, to)
			if err != nil {
				return err
			}
			doc := struct {
				Payments []paymentDocument `json:"payments"`
				Failed   []failureDocument `json:"failed"`
			}{rows, failuresOf(failed)}
			if a.json || format == "json" {
				a.printed = true
				return writeDocument(a.out, doc)
			}
			return writeReport(a.out, rows)
		},
	}
	s.flags(c)
	c.Flags().StringVar(&format, "format", "csv", "csv or json")
	c.Flags().StringVar(&vault, "vault", "", "only those of this vault, by name or id")
	return c
}

// payments are the signed transactions of a span, the newest last.
func payments(ctx context.Context, c *client.Circle, all []*client.Case, from, to time.Time) ([]paymentDocument, error) {
	accounts := map[statement.ID][]client.Account{}
	rows := []paymentDocument{}
	for _, one := range all {
		if one.Signed == nil || one.Tx == nil || !within(one.Decided(), from, to) {
			continue
		}
		known, asked := accounts[one.Vault.ID]
		if !asked {
			var err error
			if known, _, err = c.Accounts(ctx, one.Vault); err != nil {
				return nil, err
			}
			accounts[one.Vault.ID] = known
		}
		rows = append(rows, paymentOf(one, known))
	}
	return rows, nil
}

func paymentOf(c *client.Case, accounts []client.Account) paymentDocument {
	f, d := c.Tx.Facts(), c.Charter().Document
	p := paymentDocument{
		Allowed: timeOrNone(c.Decided()), Changed: timeOrNone(c.Since()), State: c.State(), Vault: c.Vault.Name, Account: statement.FormatPath(c.Intent.Path[:]...),
		Address: c.Intent.Address, Chain: c.Intent.Chain, Destination: f.Destination.String(), Labels: []string{}, Initiator: c.Intent.Initiator,
		Approvers: list(c.Tally().Approved), Memo: c.Intent.Memo, Intent: c.ID().String(), Transaction: c.Signed.Hash,
	}
	for _, x := range accounts {
		if x.Path == [2]uint32(c.Intent.Path[:2]) {
			p.Account = fmt.Sprintf("%s/%s/%d", x.Department, x.Name, c.Intent.Path[2])
		}
	}
	p.Asset, p.Amount = f.Asset, f.Amount.String()
	if asset, ok := assetOf(d, f.Asset); ok {
		p.Asset, p.Amount = asset.Name, evm.FormatUnits(f.Amount, uint8(asset.Decimals))
	}
	p.FeeAsset, p.FeeAtMost = c.Intent.Chain, f.MaxFee.String()
	if own, ok := assetOf(d, c.Intent.Chain); ok {
		p.FeeAsset, p.FeeAtMost = own.Name, evm.FormatUnits(f.MaxFee, uint8(own.Decimals))
	}
	if payee, ok := payeeAt(d, c.Intent.Chain, p.Destination); ok {
		p.Payee, p.Labels = payee.Name, list(payee.Labels)
	}
	for _, v := range c.Views {
		p.Block = max(p.Block, v.Height)
	}
	return p
}

func timeOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return statement.FormatTime(t)
}

func writeReport(w io.Writer, rows []paymentDocument) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write(reportHeader) // errors stand in out.Error
	for _, p := range rows {
		cells := p.row()
		for i := range cells {
			cells[i] = harmless(cells[i])
		}
		_ = out.Write(cells)
	}
	out.Flush()
	return out.Error()
}

// harmless keeps a spreadsheet from computing what somebody wrote into a memo.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

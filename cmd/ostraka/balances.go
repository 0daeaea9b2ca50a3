package main

import (
	"context"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/policy"
)

type balancesDocument struct {
	Vault  string                 `json:"vault"`
	Chains []chainBalanceDocument `json:"chains"`
	Sums   []balanceDocument      `json:"sums"`
}

type chainBalanceDocument struct {
	Chain    string            `json:"chain"`
	Height   uint64            `json:"height"`
	Unread   string            `json:"unread,omitempty"` // why it cannot be read
	Left     int               `json:"left"`             // addresses or coins that are not shown
	Nodes    []string          `json:"nodes"`
	Balances []balanceDocument `json:"balances"`
}

type balanceDocument struct {
	Account  string `json:"account,omitempty"`
	Address  string `json:"address,omitempty"`
	Chain    string `json:"chain"`
	Asset    string `json:"asset,omitempty"`
	Contract string `json:"contract,omitempty"`
	Amount   string `json:"amount"`          // smallest unit
	Units    string `json:"units,omitempty"` // whole units, where the charter says how many
}

func (a *app) accountBalancesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "balances VAULT", Short: "Show what a vault holds, on all its chains", Args: exactly("VAULT"),
		Long: "Every node reads at its own endpoints, all after one block; what is shown two nodes say alike. On EVM chains it is the chain's own asset and the tokens that\n" +
			"the charter lists, address by address; on Bitcoin what blocks hold, account by account; on Solana SOL, and the tokens that the charter lists in the accounts that are theirs by rule.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 2*time.Minute)
			defer cancel()
			return a.inVault(ctx, args[0], func(ctx context.Context, c *client.Circle, v client.Vault) error {
				all, err := c.Balances(ctx, v)
				if err != nil {
					return err
				}
				d := balancesOf(v, all)
				return a.show(d, d.print)
			})
		},
	}
}

func balancesOf(v client.Vault, all []client.Balances) balancesDocument {
	d := balancesDocument{Vault: v.Name, Chains: []chainBalanceDocument{}, Sums: []balanceDocument{}}
	doc := v.InForce().Document
	units := func(chain, contract string, amount *big.Int) (name, text string) {
		x, ok := doc.AssetOn(chain, contract, policy.SameAddressOn(chain))
		if !ok {
			return "", ""
		}
		return x.Name, evm.FormatUnits(amount, uint8(x.Decimals)) + " " + x.Name
	}
	for _, on := range all {
		one := chainBalanceDocument{Chain: on.Chain, Height: on.Height, Unread: on.Why, Left: on.Left, Nodes: list(on.Nodes), Balances: []balanceDocument{}}
		sums := map[string]*big.Int{}
		for _, b := range on.All {
			name, text := units(on.Chain, b.Contract, b.Amount)
			one.Balances = append(one.Balances, balanceDocument{b.Account, b.Address, on.Chain, name, b.Contract, b.Amount.String(), text})
			if sums[b.Contract] == nil {
				sums[b.Contract] = new(big.Int)
			}
			sums[b.Contract].Add(sums[b.Contract], b.Amount)
		}
		d.Chains = append(d.Chains, one)
		for _, contract := range names(sums) {
			name, text := units(on.Chain, contract, sums[contract])
			d.Sums = append(d.Sums, balanceDocument{Chain: on.Chain, Asset: name, Contract: contract, Amount: sums[contract].String(), Units: text})
		}
	}
	return d
}

func (d balancesDocument) print(w io.Writer) {
	fmt.Fprintf(w, "Vault %s holds\n", d.Vault)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range d.Sums {
		fmt.Fprintf(t, "  %s\t%s\n", s.text(), s.Chain)
	}
	_ = t.Flush()
	for _, on := range d.Chains {
		if on.Unread != "" {
			fmt.Fprintf(w, "\n%s: not read: %s\n", on.Chain, on.Unread)
			continue
		}
		fmt.Fprintf(w, "\n%s after block %d, as %s read it\n", on.Chain, on.Height, strings.Join(on.Nodes, ", "))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, b := range on.Balances {
			if b.Amount != "0" || b.Address == "" {
				fmt.Fprintln(t, strings.TrimRight(fmt.Sprintf("  %s\t%s\t%s", b.Account, b.text(), b.Address), "\t"))
			}
		}
		_ = t.Flush()
		if n := len(on.Balances) - len(slices.DeleteFunc(slices.Clone(on.Balances), func(b balanceDocument) bool { return b.Amount == "0" && b.Address != "" })); n > 0 {
			fmt.Fprintf(w, "  nothing at %d more\n", n)
		}
		if on.Left > 0 {
			fmt.Fprintf(w, "  %d more are not shown\n", on.Left)
		}
	}
}

func (b balanceDocument) text() string {
	if b.Units != "" {
		return b.Units
	}
	if b.Contract == "" {
		return b.Amount + " of the smallest unit"
	}
	return b.Amount + " of " + b.Contract
}

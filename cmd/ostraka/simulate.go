package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
)

type simulationDocument struct {
	Node     string         `json:"node"`
	Endpoint string         `json:"endpoint,omitempty"`
	Fails    bool           `json:"fails"`
	Why      string         `json:"why,omitempty"`
	Gas      uint64         `json:"gas,omitempty"`
	Traced   bool           `json:"traced"` // it tells what would move
	Moves    []moveDocument `json:"moves"`
	More     int            `json:"more_moves,omitempty"`
	Problem  string         `json:"problem,omitempty"` // it says nothing
}

type moveDocument struct {
	Asset  string `json:"asset"`           // as the charter names it; else the contract
	Amount string `json:"amount"`          // smallest unit
	Units  string `json:"units,omitempty"` // whole units, where the charter says how many
	From   string `json:"from"`
	To     string `json:"to"`
}

type simulationsDocument struct {
	ID    string               `json:"id"`
	Nodes []simulationDocument `json:"nodes"`
}

func (a *app) simulateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "simulate ID", Short: "Ask the nodes' endpoints what a transaction would do now: advice", Args: intentID,
		Long: "Each node asks one of its endpoints to carry the transaction out after the newest block, in thought. What moves then is told where the endpoint can (eth_simulateV1); else only\n" +
			"whether it would fail. It is advice: an endpoint may lie, and until a block takes the transaction the chain may change. No node decides by it. Transactions of EVM chains alone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), time.Minute)
			defer cancel()
			c, err := a.circle(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			_, one, failed, err := findCase(ctx, c, args[0])
			if err != nil {
				return err
			}
			a.down(failed)
			all, err := c.Simulate(ctx, one)
			var other *client.RefusedError
			if errors.As(err, &other) {
				return refused(fmt.Sprintf("`ostraka tx show %s` shows what it does, as this program decodes it", one.ID().Short()), "%w", err)
			}
			if err != nil {
				return err
			}
			return a.showSimulations(one, all)
		},
	}
}

func (a *app) showSimulations(one *client.Case, all client.Answers[client.Simulation]) error {
	d := simulationsDocument{ID: one.ID().String(), Nodes: []simulationDocument{}}
	for _, x := range all {
		s := x.Value
		doc := simulationDocument{Node: x.Node, Endpoint: s.Endpoint, Fails: s.Fails, Why: s.Why, Gas: s.Gas, Traced: s.Traced, More: s.More, Moves: []moveDocument{}}
		if x.Err != nil {
			doc = simulationDocument{Node: x.Node, Problem: x.Err.Error(), Moves: []moveDocument{}}
		}
		for _, m := range s.Moves {
			asset, units := moved(one.Vault.InForce().Document, one.Intent.Chain, m)
			doc.Moves = append(doc.Moves, moveDocument{asset, m.Amount.String(), units, m.From, m.To})
		}
		d.Nodes = append(d.Nodes, doc)
	}
	return a.show(d, func(w io.Writer) {
		for _, n := range d.Nodes {
			n.print(w)
		}
		fmt.Fprintln(w, "This is advice: endpoints may lie, and the chain may change. No node decides by it.")
	})
}

func (d simulationDocument) print(w io.Writer) {
	switch {
	case d.Problem != "":
		fmt.Fprintf(w, "%s says nothing: %s\n", d.Node, d.Problem)
		return
	case d.Fails:
		fmt.Fprintf(w, "%s, by %s: IT FAILS: %s\n", d.Node, d.Endpoint, d.Why)
		return
	case !d.Traced:
		fmt.Fprintf(w, "%s, by %s: it does not fail; what it moves is not told\n", d.Node, d.Endpoint)
		return
	}
	fmt.Fprintf(w, "%s, by %s: it takes %d gas, and moves\n", d.Node, d.Endpoint, d.Gas)
	for _, m := range d.Moves {
		fmt.Fprintf(w, "  %s from %s to %s\n", cmp.Or(m.Units, m.Amount+" "+m.Asset), m.From, m.To)
	}
	if n := d.More; n > 0 {
		fmt.Fprintf(w, "  and %d times more\n", n)
	}
	if len(d.Moves) == 0 {
		fmt.Fprintln(w, "  nothing")
	}
}

// moved says a move in the charter's words, where it names the asset: its name, and how much in whole units, as `account balances` writes it.
func moved(d charter.Document, chain string, m client.Move) (asset, units string) {
	if x, ok := d.AssetOn(chain, m.Token, policy.SameAddressOn(chain)); ok && x.Standard == "" {
		return x.Name, evm.FormatUnits(m.Amount, uint8(x.Decimals)) + " " + x.Name
	}
	return cmp.Or(m.Token, "of the chain's own coin"), ""
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) txListCommand() *cobra.Command {
	var vault string
	c := &cobra.Command{Use: "list", Short: "List intents, the newest last", Args: none}
	c.Flags().StringVar(&vault, "vault", "", "only those of this vault")
	local := localFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := a.within(cmd.Context(), 30*time.Second)
		defer cancel()
		r, end, err := a.reader(ctx, *local)
		if err != nil {
			return err
		}
		defer end()
		vaults, _, err := r.Vaults(ctx)
		if err != nil {
			return err
		}
		all, failed, err := casesOf(ctx, r, vaults, vault)
		if err != nil {
			return err
		}
		a.down(failed)
		doc := struct {
			Intents []txDocument      `json:"intents"`
			Failed  []failureDocument `json:"failed"`
		}{[]txDocument{}, failuresOf(failed)}
		for _, one := range all {
			doc.Intents = append(doc.Intents, txOf(one, nil))
		}
		return a.show(doc, func(w io.Writer) { printCases(w, all) })
	}
	return c
}

// casesOf lists the intents of one vault, or of all.
func casesOf(ctx context.Context, r client.Reader, vaults []client.Vault, vault string) ([]*client.Case, []client.Failure, error) {
	var of statement.ID
	if vault != "" {
		v, err := client.FindVault(vaults, vault)
		if err != nil {
			return nil, nil, err
		}
		of = v.ID
	}
	return r.Cases(ctx, vaults, of)
}

// historyOf lists the intents of one vault, or of all of the reader's.
func historyOf(ctx context.Context, r client.Reader, vault string) ([]*client.Case, []client.Failure, error) {
	vaults, _, err := r.Vaults(ctx)
	if err != nil {
		return nil, nil, err
	}
	return casesOf(ctx, r, vaults, vault)
}

func printCases(w io.Writer, all []*client.Case) {
	if len(all) == 0 {
		fmt.Fprintln(w, "You see no intent here.")
	}
	for _, c := range all {
		what := "cannot be decoded"
		if c.Proof != nil {
			what = "proof: " + c.Proof.Text
		}
		if c.Payload != nil {
			what = ""
			for _, l := range humaneOf(c) {
				if slices.Contains([]string{"operation", "amount", "to", "destination", "contract"}, l.Name) || payload.Telling(l.Name, l.Value) {
					what += " " + l.Name + " " + l.Value
				}
			}
		}
		mark := ""
		if len(c.Alarms) > 0 {
			mark = "  ALARM: " + c.Alarms[0]
		}
		if len(c.Vault.FrozenBy()) > 0 && c.Signed == nil && !c.Closed() {
			mark += "  (its vault is frozen)"
		}
		if why := c.Why(); why != "" {
			mark = "  (" + why + ")" + mark
		}
		fmt.Fprintf(w, "%.8s  %-10s %-12s %s %s%s\n", c.ID(), c.State(), c.Vault.Name, statement.FormatTime(c.Intent.Created), strings.TrimSpace(what), mark)
	}
}

// oneCase runs a command that shows one intent.
func (a *app) oneCase(ctx context.Context, local bool, id string, text func(io.Writer, *client.Case)) error {
	ctx, cancel := a.within(ctx, 30*time.Second)
	defer cancel()
	r, end, err := a.reader(ctx, local)
	if err != nil {
		return err
	}
	defer end()
	_, one, failed, err := findCase(ctx, r, id)
	if err != nil {
		return err
	}
	a.down(failed)
	if err := a.show(txOf(one, failed), func(w io.Writer) { text(w, one) }); err != nil {
		return err
	}
	if len(one.Alarms) > 0 {
		return &client.AlarmError{Case: one}
	}
	return nil
}

func (a *app) txShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show ID", Short: "Show an intent: what it does and how far it is", Args: intentID}
	local := localFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return a.oneCase(cmd.Context(), *local, args[0], func(w io.Writer, one *client.Case) {
			printFacts(w, one)
			printState(w, one)
			if one.Signed != nil {
				fmt.Fprintf(w, "Raw: 0x%x\n", one.Signed.Raw)
			}
		})
	}
	return c
}

// printDecisions shows who decided what, and then what each decoded: equal facts once, so that
// a difference stands out.
func printDecisions(w io.Writer, c *client.Case) {
	if len(c.Decisions) > 0 {
		fmt.Fprintln(w)
	}
	var same [][]client.Decision
	for _, d := range c.Decisions {
		fmt.Fprintf(w, "%s decided %s at %s, by rule %s", d.Operator, d.Verdict, statement.FormatTime(d.Created), d.Rule)
		if why := c.Reason(d); why != "" {
			fmt.Fprintf(w, ": %s", why)
		}
		fmt.Fprintln(w)
		i := slices.IndexFunc(same, func(o []client.Decision) bool { return slices.Equal(o[0].Facts, d.Facts) })
		if i < 0 {
			same = append(same, []client.Decision{d})
			continue
		}
		same[i] = append(same[i], d)
	}
	for _, group := range same {
		var names []string
		for _, d := range group {
			names = append(names, d.Operator)
		}
		facts, did := group[0].Facts, "decoded:"
		switch {
		case len(facts) == 0:
			did = "decoded nothing."
		case len(group) > 1:
			did = "decoded the same:"
		}
		fmt.Fprintf(w, "\n%s %s\n", strings.Join(names, ", "), did)
		for _, f := range facts {
			fmt.Fprintf(w, "  %-14s %s\n", f.Name, f.Value)
		}
	}
}

func (a *app) txExplainCommand() *cobra.Command {
	c := &cobra.Command{Use: "explain ID", Short: "Explain an intent: each node's decision, rule and decoded facts; what is missing; who is awaited", Args: intentID}
	local := localFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return a.oneCase(cmd.Context(), *local, args[0], func(w io.Writer, one *client.Case) {
			printFacts(w, one)
			printState(w, one)
			printDecisions(w, one)
			fmt.Fprintln(w)
			for _, v := range one.Views {
				fmt.Fprintf(w, "node %s: %s since %s", v.Node, v.State, v.Changed)
				if v.Waits != "" {
					fmt.Fprintf(w, "; waits: %s", v.Waits)
				}
				if len(v.Awaited) > 0 {
					fmt.Fprintf(w, "; awaits %s", strings.Join(v.Awaited, ", "))
				}
				if v.LastError != "" {
					fmt.Fprintf(w, "; last session: %s", v.LastError)
				}
				if v.PossiblySigned {
					fmt.Fprint(w, "; others may hold a signature")
				}
				fmt.Fprintln(w)
			}
		})
	}
	return c
}

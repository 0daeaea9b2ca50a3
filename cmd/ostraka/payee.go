package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) payeeCommand() *cobra.Command {
	c := &cobra.Command{Use: "payee", Short: "Payees of the charter: list them; add or remove one in a folder, to be signed"}
	c.AddCommand(a.payeeListCommand(), a.payeeAddCommand(), a.payeeRemoveCommand())
	return c
}

type payeeDocument struct {
	Name    string   `json:"name"`
	Chain   string   `json:"chain"`
	Address string   `json:"address"`
	Labels  []string `json:"labels"`
	Expires string   `json:"expires"` // empty: never
}

func payeesOf(d charter.Document) []payeeDocument {
	out := []payeeDocument{}
	for _, p := range d.Payees {
		out = append(out, payeeDocument{p.Name, p.Chain, p.Address, list(p.Labels), ending(p.Expires)})
	}
	return out
}

// ending is when something ends; empty: never.
func ending(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return statement.FormatTime(t)
}

func (p payeeDocument) called() string { return p.Name }

func (p payeeDocument) line() string {
	text := fmt.Sprintf("%s\t%s\t%s\t%s", p.Name, p.Chain, p.Address, strings.Join(p.Labels, ", "))
	if p.Expires != "" {
		text += "\tuntil " + p.Expires
	}
	return text
}

func (a *app) payeeListCommand() *cobra.Command {
	folder := ""
	c := &cobra.Command{
		Use: "list", Short: "List the payees of the charter in force, and those that wait; with -f those of a folder", Args: none,
		Long: "Without -f it asks the nodes, and verifies what they show: payees in force, and under WAITING what a version of the charter that\n" +
			"waits would add or take away, and from when.",
	}
	folderFlag(c, &folder, "list those of the charter in this folder, and ask no node")
	local := localFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, x, failed, err := a.listed(c, folder, *local)
		if err != nil {
			return err
		}
		doc := struct {
			listedHead
			Payees  []payeeDocument          `json:"payees"`
			Waiting []waiting[payeeDocument] `json:"waiting"`
			Failed  []failureDocument        `json:"failed"`
		}{headOf(x), payeesOf(x.Document), waitingPayees(r), failuresOf(failed)}
		return a.show(doc, func(w io.Writer) { printListed(w, x, folder, "payees", doc.Payees, doc.Waiting) })
	}
	return c
}

func waitingPayees(r client.Rules) []waiting[payeeDocument] { return waitingOf(r, payeesOf) }

func (a *app) payeeAddCommand() *cobra.Command {
	var f editFlags
	var p charter.Payee
	c := &cobra.Command{
		Use: "add NAME", Short: "Add a payee to the charter in a folder; it counts when every operator has signed and list-delay is over",
		Long: "Edits " + charterFile + " in the folder, and changes nothing else in it: comments stay. Nothing is written if `ostraka charter lint` would find\n" +
			"something that it does not find now. Compare the address with something that did not come by the same way.",
		Example: "  ostraka payee add rent -f our --chain eip155:1 --address 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --label suppliers --expires 2027-01-31",
	}
	f.add(c)
	c.Flags().StringVar(&p.Chain, "chain", "", "chain of the address, as CAIP-2 writes it, such as eip155:1")
	c.Flags().StringVar(&p.Address, "address", "", "the address, as its chain writes it")
	c.Flags().StringArrayVar(&p.Labels, "label", nil, "a label, by which rules know it; repeat for more (default: none)")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if err = f.check(c, args); err != nil {
			return err
		}
		p.Name = args[0]
		if err := statement.CheckChain(p.Chain); err != nil {
			return usage("--chain %w", err)
		}
		if err := statement.CheckText(p.Address, 128); err != nil {
			return usage("--address %w", err)
		}
		for _, l := range p.Labels {
			if err := statement.CheckLabel(l); err != nil {
				return usage("--label %w", err)
			}
		}
		if p.Expires, err = f.ends(time.Now()); err != nil {
			return err
		}
		return a.editCharter(f.folder, "payee", "added", p.Name, func(file, rules []byte) (charter.Edited, error) { return charter.AddPayee(file, rules, p) })
	}
	return c
}

func (a *app) payeeRemoveCommand() *cobra.Command {
	var f editFlags
	c := &cobra.Command{
		Use: "remove NAME", Short: "Take a payee out of the charter in a folder; once every operator has signed it counts no more",
		Long: "Edits " + charterFile + " in the folder, and changes nothing else in it: comments above its lines stay. Where a rule may forbid by one of its labels,\n" +
			"or permit without it, its going is looser, and waits for list-delay.",
		Example: "  ostraka payee remove rent -f our",
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(c, args); err != nil {
			return err
		}
		return a.editCharter(f.folder, "payee", "removed", args[0], func(file, rules []byte) (charter.Edited, error) { return charter.RemovePayee(file, rules, args[0]) })
	}
	return c
}

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/sos/plan"
)

// sosPlanDocument is what a vault's plan lets whom do.
type sosPlanDocument struct {
	Vault     string       `json:"vault"`
	Drill     bool         `json:"drill"`
	Threshold int          `json:"threshold"`
	Live      int          `json:"live"`   // r
	Quorum    int          `json:"quorum"` // k
	Operators []string     `json:"operators"`
	Guardians []string     `json:"guardians"`
	Steal     int          `json:"steal"` // the vault's steal number of persons
	Rows      []sosPlanRow `json:"rows"`
	Invalid   string       `json:"invalid"` // why no request of it would be taken; empty: it holds
	text      string
}

type sosPlanRow struct {
	Operators [2]int `json:"operators"` // from, to
	Guardians [2]int `json:"guardians"`
	Before    string `json:"before"` // the delay is over
	After     string `json:"after"`
}

func (a *app) sosPlanCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "plan [FOLDER]", Short: "Show what every number of operators and guardians can do, before the delay and after it", Args: optionalFolder,
		Long: "For each vault of a charter's folder that has an SOS plan, and beside it how few people could take the vault anyway. Asks no node: `ostraka charter show --write FOLDER`\n" +
			"writes what is in force. Exit code 5: a plan does not hold.",
	}
	vault := vaultFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		docs := []sosPlanDocument{}
		var bad error
		err := eachVault(args, *vault, func(d charter.Document, v charter.Blueprint) error {
			if v.Rescue == nil || !v.Rescue.Planned() {
				a.say("note: vault %s has no SOS plan: what its operators lose with their shares, nobody brings back", v.Name)
				return nil
			}
			one, err := sosPlanOf(d, v)
			if err == nil && one.Invalid != "" && bad == nil {
				bad = notReady("amend the charter: docs/charter.md says what a plan needs", "%s", one.Invalid)
			}
			docs = append(docs, one)
			return err
		})
		if err != nil {
			return err
		}
		doc := struct {
			Vaults []sosPlanDocument `json:"vaults"`
		}{docs}
		if err := a.show(doc, func(w io.Writer) {
			for i, d := range docs {
				if i > 0 {
					fmt.Fprintln(w)
				}
				fmt.Fprint(w, d.text)
			}
		}); err != nil {
			return err
		}
		return bad
	}
	return c
}

// sosPlanOf reads a plan from a charter alone. No roster is at hand, so each operator's name stands for its node's key, which the table does not ask for.
func sosPlanOf(d charter.Document, v charter.Blueprint) (sosPlanDocument, error) {
	var r charter.Roster
	for _, o := range d.Operators {
		r.Operators = append(r.Operators, charter.Operator{Name: o.Name, Identity: []byte(o.Name)})
	}
	p, err := plan.Of(charter.Charter{Document: d}, r, charter.Vault{Name: v.Name, Threshold: v.Threshold, Committee: v.Committee})
	if err != nil {
		return sosPlanDocument{}, err
	}
	s, err := control.Of(d, v)
	if err != nil {
		return sosPlanDocument{}, err
	}
	steal := s.Measure()[control.Person].Steal.Size
	out := sosPlanDocument{Vault: v.Name, Drill: p.Drill, Threshold: p.Threshold, Live: p.Live, Quorum: p.Quorum, Operators: list(v.Committee), Guardians: []string{}, Steal: steal, Rows: []sosPlanRow{}, text: p.Text(steal)}
	for _, g := range p.Guardians {
		out.Guardians = append(out.Guardians, g.Name)
	}
	for _, row := range p.Table() {
		out.Rows = append(out.Rows, sosPlanRow{row.Operators, row.Guardians, row.Before.String(), row.After.String()})
	}
	if err := p.Validate(); err != nil {
		out.Invalid = err.Error()
	}
	return out, nil
}

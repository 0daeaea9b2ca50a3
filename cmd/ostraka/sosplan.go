package main

import (
	"fmt"
	"io"
	"slices"
	"time"

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
	sosPlanTerms
	Invalid string `json:"invalid"` // why no request of it would be taken; empty: it holds
	text    string
}

// sosPlanTerms are all that the plan says beside the rows. Spans are seconds.
type sosPlanTerms struct {
	Starters       int              `json:"starters"`      // guardians
	Organisations  int              `json:"organisations"` // of which they are, at least
	Triggers       []sosPlanTrigger `json:"triggers"`
	Consents       int              `json:"consents"` // operators
	Vetoes         int              `json:"vetoes"`   // guardians
	Witnesses      int              `json:"witnesses"`
	Window         int64            `json:"window"`
	LockUp         int64            `json:"lock_up"`
	DrillEvery     int64            `json:"drill_every"`
	Chain          string           `json:"chain"` // whose height must grow; empty: none
	Blocks         uint64           `json:"blocks"`
	Successors     []string         `json:"successors"`
	LeastThreshold int              `json:"least_threshold"`
	Destinations   []sosPlanAddress `json:"destinations"`
	Caps           []sosPlanAmount  `json:"caps"`
	Calls          []sosPlanCall    `json:"calls"`
	Tranches       []sosPlanTranche `json:"tranches"`
}

type sosPlanTrigger struct {
	Trigger   string `json:"trigger"`
	After     int64  `json:"after"`
	Delay     int64  `json:"delay"`
	Guardians int    `json:"guardians"` // that declare it
	Again     int    `json:"again"`     // likewise, within 90 days of another declaration
	Operators int    `json:"operators"`
	Cancels   bool   `json:"cancels"` // a subject ends it by a proof of life and a test signature
}

type sosPlanAddress struct {
	Name    string `json:"name"`
	Chain   string `json:"chain"`
	Address string `json:"address"`
	Vault   string `json:"vault"` // of this circle; empty: elsewhere
}

type sosPlanAmount struct {
	Asset  string `json:"asset"`
	Most   int64  `json:"most"`   // policy units
	Amount string `json:"amount"` // of the asset as people count it; empty: the charter does not list it
}

type sosPlanCall struct {
	Name  string `json:"name"`
	Chain string `json:"chain"`
	To    string `json:"to"`
	Data  string `json:"data"` // hex
	Times int    `json:"times"`
}

type sosPlanTranche struct {
	sosPlanAmount
	Every int64 `json:"every"`
	Count int   `json:"count"`
}

// termsOf are a plan's, in the assets of its charter.
func termsOf(p plan.Plan, assets []charter.Asset) sosPlanTerms {
	seconds := func(d time.Duration) int64 { return int64(d / time.Second) }
	amount := func(asset string, most int64) sosPlanAmount {
		out := sosPlanAmount{asset, most, ""}
		if i := slices.IndexFunc(assets, func(a charter.Asset) bool { return a.Name == asset }); i >= 0 {
			out.Amount = plan.Whole(assets[i], most)
		}
		return out
	}
	out := sosPlanTerms{
		Starters: p.Starters, Organisations: p.Organisations, Triggers: []sosPlanTrigger{}, Consents: p.Live, Vetoes: p.Vetoes(), Witnesses: p.Witnesses, Window: seconds(p.Window),
		LockUp: seconds(p.LockUp), DrillEvery: seconds(p.DrillEvery), Chain: p.Chain, Blocks: p.Blocks, Successors: list(p.Successors), LeastThreshold: p.Least,
		Destinations: []sosPlanAddress{}, Caps: []sosPlanAmount{}, Calls: []sosPlanCall{}, Tranches: []sosPlanTranche{},
	}
	for _, t := range p.Triggers {
		first, again := p.Starts(t.Name, 0), p.Starts(t.Name, 1)
		out.Triggers = append(out.Triggers, sosPlanTrigger{t.Name, seconds(t.After), seconds(t.Delay), first.Guardians, again.Guardians, first.Operators, plan.Cancels(t.Name)})
	}
	for _, d := range p.Destinations {
		out.Destinations = append(out.Destinations, sosPlanAddress(d))
	}
	for _, c := range p.Caps {
		out.Caps = append(out.Caps, amount(c.Asset, c.Most))
	}
	for _, c := range p.Calls {
		out.Calls = append(out.Calls, sosPlanCall{c.Name, c.Chain, c.To, fmt.Sprintf("%x", c.Data), c.Times})
	}
	for _, t := range p.Tranches {
		out.Tranches = append(out.Tranches, sosPlanTranche{amount(t.Asset, t.Most), seconds(t.Every), t.Count})
	}
	return out
}

type sosPlanRow struct {
	Operators [2]int `json:"operators"` // from, to
	Guardians [2]int `json:"guardians"`
	Before    string `json:"before"` // the delay is over
	After     string `json:"after"`
}

func (a *app) sosPlanCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "plan [FOLDER]", Short: "Show a vault's SOS plan: what every number of operators and guardians can do, what begins and ends an emergency, and where assets may go", Args: optionalFolder,
		Long: "For each vault of a charter's folder that has an SOS plan: all that the plan says, rescue addresses and calls in full, and how few people could take the vault anyway. Asks no node: `ostraka charter show --write FOLDER`\n" +
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
	out := sosPlanDocument{Vault: v.Name, Drill: p.Drill, Threshold: p.Threshold, Live: p.Live, Quorum: p.Quorum, Operators: list(v.Committee), Guardians: []string{}, Steal: steal, Rows: []sosPlanRow{}, sosPlanTerms: termsOf(p, d.Assets), text: p.Text(steal) + "\n" + p.Terms(d.Assets)}
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

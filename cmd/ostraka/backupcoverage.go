package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// shareFresh is how long a share's proof counts (product.md, rule 9).
const shareFresh = 24 * time.Hour

func (a *app) backupCoverageCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "coverage", Short: "Show for each vault and operator which copies there are, by level, and what is missing", Args: none,
		Long: "As every node of the context shows it: when each share last proved itself (replica), the newest export and sheets that were cut of the epoch in force, by place of the charter, and whether\n" +
			"what guardians have is whole; whether a backup has the mask that SOS counts on, and when it last was shown to open. A place that the charter lists and that has no backup of\n" +
			"this epoch is missing, and so is any backup of an operator for whom it lists no place. Below stands what to do. Exit code 5: something is missing or overdue.",
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := a.within(c.Context(), 5*time.Minute)
		defer cancel()
		return a.backupCoverage(ctx)
	}
	return c
}

type coverageDocument struct {
	Rows    []coverageRow `json:"coverage"`
	Missing int           `json:"missing"`
}

type coverageRow struct {
	Vault    string `json:"vault"`
	Suite    string `json:"suite"`
	Operator string `json:"operator"` // empty: of the guardians
	Level    int    `json:"level"`    // 0 replica, 1 export, 2 guardian, 3 paper
	Name     string `json:"name"`
	Place    string `json:"place,omitempty"`
	Mask     string `json:"mask,omitempty"`  // yes or no, of a backup of the epoch in force that SOS counts on
	Drill    string `json:"drill,omitempty"` // when it last was shown to open
	State    string `json:"state"`           // ok, missing, overdue; none: the charter wants none, and says no more
	At       string `json:"at,omitempty"`    // when it was cut, or the share proved itself
	What     string `json:"what,omitempty"`  // in words
	Next     string `json:"next,omitempty"`  // what to do, where it is not ok
}

func (a *app) backupCoverage(ctx context.Context) error {
	c, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	b, failed, err := c.Backups(ctx, true)
	if err != nil {
		return err
	}
	a.down(failed)
	rules, _, err := c.Rules(ctx)
	if err != nil {
		return err
	}
	x, ok := rules.History.Newest()
	if !ok {
		return notReady("`ostraka charter init`", "no charter is in force: it says where backups lie")
	}
	chain, _, err := c.Chain(ctx)
	if err != nil {
		return err
	}
	d := coverageDocument{Rows: []coverageRow{}}
	for _, k := range b.Keys {
		d.Rows = append(d.Rows, coverageOf(time.Now(), chain, x.Document, k, b)...)
	}
	for _, r := range d.Rows {
		if r.State == missing || r.State == overdue {
			d.Missing++
		}
	}
	if err := a.show(d, d.print); err != nil {
		return err
	}
	if d.Missing > 0 {
		return notReady("do what stands under the table; then `ostraka backup verify` and this again", "%d copies or drills that a vault counts on are missing or overdue", d.Missing)
	}
	return nil
}

// coverageOf says of one key what copies of it there are, and should be.
func coverageOf(now time.Time, chain charter.Chain, doc charter.Document, k client.BackedKey, b client.Backups) (out []coverageRow) {
	row := func(operator string, level int, name string) coverageRow {
		return coverageRow{Vault: k.Name, Suite: k.Record.Suite, Operator: operator, Level: level, Name: name, State: missing}
	}
	var members []string
	for _, m := range k.Record.Members {
		o, ok := chain.Identity(m.Identity)
		if !ok || session.IDOf(o.Identity) != m.ID {
			continue
		}
		members = append(members, o.Name)
		r := row(o.Name, 0, string(charter.Replica))
		r.Next = "ask for an address, and its share proves itself; `ostraka doctor` at " + o.Name + "'s node says what keeps it from that"
		switch at := k.Proved[o.Name]; {
		case at.IsZero():
			r.What = "no other node saw its share prove itself"
		case now.Sub(at) > shareFresh:
			r.At, r.What = stamped(at), "its share has not proved itself for a day"
		default:
			r.At, r.State, r.Next = stamped(at), covers, ""
		}
		out = append(out, r)
		for _, p := range placesOf(doc, o.Name) {
			if p.Level == charter.Replica {
				continue
			}
			level := 1
			if p.Level == charter.Paper {
				level = 3
			}
			r := row(o.Name, level, string(p.Level))
			r.Place = p.Name
			r.Drill = stamped(drilledAt(b.Drills, k, drill.Operator, o.Name, p.Level))
			out = append(out, covered(r, k.Record, b.Noted))
		}
	}
	if k.Record.Guardians != [32]byte{} {
		r := row("", 2, "guardian")
		if r.State = covers; k.SetError != nil {
			r.State, r.What, r.Next = missing, k.SetError.Error(), "every operator runs `ostraka vault refresh "+k.Name+"`, which makes it anew"
		} else {
			r.At, r.What = stamped(k.Moved), fmt.Sprintf("%d operators and %d of %d guardians", k.Plan.Operators, k.Plan.Quorum, len(k.Plan.Guardians))
		}
		out = append(out, r)
		out = append(out, keepersOf(now, doc, k, b.Drills)...)
	}
	return append(out, unlistedRows(doc, k, members)...)
}

// drilledAt is when somebody last showed that a key's backup opens; of an operator, one of this level.
func drilledAt(all []client.Drilled, k client.BackedKey, role, by string, level charter.Level) (at time.Time) {
	for _, d := range all {
		if d.Key == k.Record.KeyID && d.Role == role && d.By == by && d.Level == level {
			at = d.At
		}
	}
	return at
}

// keepersOf are the guardians of a key, and when each last showed that they can open what they have.
func keepersOf(now time.Time, doc charter.Document, k client.BackedKey, all []client.Drilled) (out []coverageRow) {
	every := time.Duration(0)
	for _, v := range doc.Vaults {
		if v.Name == k.Name && v.Rescue != nil {
			every = v.Rescue.DrillEvery
		}
	}
	for _, g := range doc.Guardians {
		if k.Plan == nil || g.Card.IsZero() {
			continue
		}
		if _, seated := k.Plan.At(g.Card.Party()); !seated {
			continue
		}
		r := coverageRow{Vault: k.Name, Suite: k.Record.Suite, Level: 2, Name: "guardian", Place: g.Name, State: covers}
		at := drilledAt(all, k, drill.Guardian, g.Name, "")
		switch r.Drill = stamped(at); {
		case at.IsZero():
			r.State, r.What, r.Next = overdue, "they have not shown that they can open it", guardianDrill
		case every > 0 && now.Sub(at) > every:
			r.State, r.What, r.Next = overdue, fmt.Sprintf("the plan wants a drill every %s", every), guardianDrill
		}
		out = append(out, r)
	}
	return out
}

const guardianDrill = "each guardian runs `ostraka backup drill --key FILE`, which takes a minute and reveals nothing"

// covered looks for the newest backup of the epoch in force at a place.
func covered(r coverageRow, rec *epoch.Record, noted []backup.Noted) coverageRow {
	i := slices.IndexFunc(noted, func(n backup.Noted) bool {
		return n.Operator == r.Operator && string(n.Level) == r.Name && n.Place == r.Place
	})
	r.Next = fmt.Sprintf("%s runs `ostraka backup cut --level export --place %s --recipient age1pq1… --to FOLDER`", r.Operator, r.Place)
	if r.Name == string(charter.Paper) {
		r.Next = fmt.Sprintf("%s runs `ostraka backup cut --level paper --place %s --export FILE --identity FILE --out FOLDER`, of a new export, and `ostraka backup register` with the receipt", r.Operator, r.Place)
	}
	if i < 0 {
		r.What = "none was cut for this place"
		return r
	}
	n := noted[i]
	r.At = stamped(n.Cut)
	j := slices.IndexFunc(n.Keys, func(k backup.NotedKey) bool { return k.KeyID == rec.KeyID })
	if j >= 0 && n.Keys[j].Record == rec.Hash() && rec.Guardians != [32]byte{} {
		r.Mask = map[bool]string{true: "yes", false: "no"}[n.Keys[j].Mask]
	}
	switch {
	case j < 0:
		r.What = "the last that was cut has not this key"
	case n.Keys[j].Record != rec.Hash():
		r.What = fmt.Sprintf("the last is of epoch %d, and epoch %d is in force: it is void", n.Keys[j].Epoch, rec.Epoch)
	case rec.Guardians != [32]byte{} && !n.Keys[j].Mask:
		r.What = "it has no mask inside: SOS counts on it"
	default:
		r.State, r.Next = covers, ""
	}
	return r
}

func placesOf(doc charter.Document, operator string) []charter.Place {
	for _, o := range doc.Operators {
		if o.Name == operator {
			return o.Places
		}
	}
	return nil
}

func stamped(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (d coverageDocument) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "vault\toperator\tlevel\tplace\tstate\tat\tmask\tdrill\t")
	for _, r := range d.Rows {
		state := r.State
		if state != covers {
			state = strings.ToUpper(state)
		}
		fmt.Fprintf(t, "%s\t%s\t%d %s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Vault, dash(r.Operator), r.Level, r.Name, dash(r.Place), state, dash(r.At), dash(r.Mask), dash(r.Drill), r.What)
	}
	_ = t.Flush()
	d.printNext(w)
}

// printNext says what to do, once for all rows for which it is the same.
func (d coverageDocument) printNext(w io.Writer) {
	var said []string
	for _, r := range d.Rows {
		if r.Next != "" && !slices.Contains(said, r.Next) {
			if len(said) == 0 {
				fmt.Fprintln(w, "\nNext:")
			}
			said = append(said, r.Next)
			fmt.Fprintf(w, "  %s\n", r.Next)
		}
	}
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/charter"
)

// charterNeeds says what the charter in force lacks for a vault: it is valid without, and whoever made a vault is told all the same.
func charterNeeds(v client.Vault) []client.Need {
	out := []client.Need{}
	d := v.InForce().Document
	b, ok := d.Vault(v.Name)
	if !ok {
		return out
	}
	if l, planned := d.Unplanned(b); !planned {
		out = append(out, client.Need{What: l.What, Do: l.Do, Stops: true})
	}
	if who := d.Unbacked(v.Committee); len(who) > 0 {
		l := charter.PlaceWanted(who)
		out = append(out, client.Need{What: l.What, Do: l.Do})
	}
	return out
}

// needsOf adds to it what was not made, kept or drilled. With an error it is what the charter lacks.
func needsOf(ctx context.Context, r client.Reader, v client.Vault) ([]client.Need, error) {
	out := charterNeeds(v)
	if !slices.ContainsFunc(v.Roots, func(x client.Root) bool { return x.Record != nil }) {
		return out, nil
	}
	var more []client.Need
	var err error
	switch r := r.(type) {
	case *client.Own:
		more, err = ownNeeds(ctx, r, v)
	case *client.Circle:
		if v.SOS != nil {
			more, err = rescueNeeds(ctx, r, v)
		} else {
			more, err = backupNeeds(ctx, r, v)
		}
	}
	for _, n := range more {
		if !slices.ContainsFunc(out, func(o client.Need) bool { return o.What == n.What }) {
			out = append(out, n)
		}
	}
	return out, err
}

// ownNeeds are what doctor says of a vault's backups and emergencies.
func ownNeeds(ctx context.Context, o *client.Own, v client.Vault) (out []client.Need, err error) {
	res, err := o.Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
	if err != nil {
		return nil, err
	}
	for _, c := range res.Msg.Checks {
		kind, of, _ := strings.Cut(c.Name, " of ")
		name, _, _ := strings.Cut(of, " ") // a title names the suite besides
		if name == v.Name && c.State != "ok" && (kind == "SOS" || kind == "backups") {
			out = append(out, client.Need{What: c.What, Do: c.Next, Stops: c.State == "fail" && !strings.HasPrefix(c.What, "NOT READY, overdue")})
		}
	}
	return out, nil
}

// rescueNeeds are what the nodes say that a vault with an SOS plan lacks: they look at its backups and drills.
func rescueNeeds(ctx context.Context, c *client.Circle, v client.Vault) (out []client.Need, err error) {
	all, _, err := c.Rescues(ctx)
	if err != nil {
		return nil, err
	}
	r, err := client.FindRescue(all, v.Name)
	if err != nil {
		return nil, fmt.Errorf("no node that answered shows its SOS plan yet")
	}
	by := map[string][]string{}
	for _, view := range r.Views {
		for _, n := range view.Needs {
			if by[n.What] = append(by[n.What], view.Node); len(by[n.What]) == 1 {
				out = append(out, n)
			}
		}
	}
	for i, n := range out {
		if nodes := by[n.What]; len(nodes) < len(r.Views) {
			out[i].What = fmt.Sprintf("%s (as %s says)", n.What, strings.Join(nodes, ", "))
		}
	}
	return out, nil
}

// backupNeeds are the backups that the charter lists of a vault without a plan, and that nobody cut in the epoch in force.
func backupNeeds(ctx context.Context, c *client.Circle, v client.Vault) (out []client.Need, err error) {
	b, _, err := c.Backups(ctx, false)
	if err != nil {
		return nil, err
	}
	chain, _, err := c.Chain(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range b.Keys {
		if k.Vault != v.ID {
			continue
		}
		for _, row := range coverageOf(time.Now(), chain, v.InForce().Document, k, b) {
			if row.State == missing && row.Place != "" {
				out = append(out, client.Need{What: fmt.Sprintf("%s of %s for place %s, %s: %s", row.Name, row.Operator, row.Place, row.Suite, row.What), Do: row.Next})
			}
		}
	}
	return out, nil
}

// printLacks shows what a vault lacks, last, where nobody overlooks it.
func printLacks(w io.Writer, needs []client.Need) {
	if len(needs) == 0 {
		return
	}
	w = cli.Writer{Writer: w}
	fmt.Fprintf(w, "\nNot ready for the loss of machines or operators:\n")
	for _, n := range needs {
		fmt.Fprintf(w, "  LACKS: %s\n         next: %s\n", n.What, n.Do)
	}
}

// States of a row of coverage.
const (
	covers  = "ok"
	missing = "missing"
	overdue = "overdue"
	nothing = "none" // the charter wants none
)

// unlistedRows are of what the charter does not even list of a key: places for backups, which are missing; and a plan for emergencies, without which a vault may be.
func unlistedRows(doc charter.Document, k client.BackedKey, members []string) (out []coverageRow) {
	if who := doc.Unbacked(members); len(who) > 0 {
		for _, name := range who {
			l := charter.PlaceWanted([]string{name})
			out = append(out, coverageRow{Vault: k.Name, Suite: k.Record.Suite, Operator: name, Level: 1, Name: string(charter.Export), State: missing, What: l.What, Next: l.Do})
		}
	}
	if b, ok := doc.Vault(k.Name); ok && k.Record.Guardians == [32]byte{} {
		if l, planned := doc.Unplanned(b); !planned {
			out = append(out, coverageRow{Vault: k.Name, Suite: k.Record.Suite, Level: 2, Name: drill.Guardian, State: nothing, What: l.What, Next: l.Do})
		} else {
			out = append(out, coverageRow{Vault: k.Name, Suite: k.Record.Suite, Level: 2, Name: drill.Guardian, State: missing, What: "its epoch in force is from before the SOS plan, and nothing of it is encrypted to the guardians", Next: "every operator runs `ostraka vault refresh " + k.Name + "`"})
		}
	}
	return out
}

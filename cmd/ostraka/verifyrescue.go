package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/verify"
)

// printEmergencies says of each vault what backups there are, who could act in an emergency, and what became of each.
func printEmergencies(w io.Writer, r *verify.Report) {
	covered := false
	for _, v := range r.Vaults {
		covered = covered || len(v.Coverage) > 0
	}
	if covered {
		printCoverage(w, r)
	}
	printProtections(w, r)
	for _, v := range r.Vaults {
		if v.Plan != nil {
			printPlan(w, v)
		}
		for _, e := range v.Emergencies {
			printEmergency(w, v.Name, e)
		}
	}
}

func printCoverage(w io.Writer, r *verify.Report) {
	table(w, "Backups", "VAULT\tKEY\tEPOCH\tLEVEL\tHOLDER\tAS OF\tKNOWN AS", func(w io.Writer) {
		row := func(v, key string, epoch uint64, level, holder, asOf, class string) {
			fmt.Fprint(w, line("  %s\t%s\t%d\t%s\t%s\t%s\t%s\n", v, key, epoch, level, holder, asOf, class))
		}
		for _, v := range r.Vaults {
			for _, c := range v.Coverage {
				switch {
				case c.Guardians > 0 && c.Unchecked == "":
					row(v.Name, c.Suite, c.Epoch, "guardian", fmt.Sprintf("%d of %d guardians, with %d operators", c.Quorum, c.Guardians, c.Live), "this check", classWords[c.Class])
				case c.Unchecked != "":
					row(v.Name, c.Suite, c.Epoch, "guardian", "not checked here", "never", classWords[verify.Declared])
				default:
					row(v.Name, c.Suite, c.Epoch, "guardian", "none", "never", "")
				}
				for _, m := range c.Masks {
					row(v.Name, c.Suite, c.Epoch, "mask", m.Operator, when(m.Proved), classWords[verify.Proved])
				}
				for _, b := range c.Copies {
					holder := b.Operator + " at " + b.Place
					if b.Old {
						holder += " (void: its epoch is over)"
					}
					row(v.Name, c.Suite, b.Epoch, b.Level, holder, when(b.Cut), classWords[verify.Declared])
				}
			}
		}
	})
}

// printProtections says what chains themselves enforce, of which vaults.
func printProtections(w io.Writer, r *verify.Report) {
	if !slices.ContainsFunc(r.Vaults, func(v verify.Vault) bool { return len(v.Protected) > 0 }) {
		return
	}
	table(w, "Protected by the chain itself", "VAULT\tCHAIN\tCOVERS\tAFTER\tKEY\tKNOWN AS", func(w io.Writer) {
		for _, v := range r.Vaults {
			for _, p := range v.Protected {
				fmt.Fprint(w, line("  %s\t%s\t%s\t%s\t%s\t%s\n", v.Name, p.Chain, p.Of, p.After, p.Key, classWords[p.Class]))
			}
		}
	})
}

// printPlan is the table of who can do what, with r + k beside the steal number, and the honest limit.
func printPlan(w io.Writer, v verify.Vault) {
	p := v.Plan
	title := fmt.Sprintf("Emergency plan of vault %s: %d operators and %d of %d guardians, %d together; to steal its key, %s", v.Name, p.Live, p.Quorum, p.Guardians, p.Together, counted(p.Steal, "person", "persons"))
	table(w, title, "OPERATORS\tGUARDIANS\tBEFORE THE DELAY\tAFTER IT", func(w io.Writer) {
		for _, r := range p.Rows {
			fmt.Fprint(w, line("  %s\t%s\t%s\t%s\n", fromTo(r.Operators), fromTo(r.Guardians), r.Before, r.After))
		}
	})
	var delays []string
	for _, t := range p.Triggers {
		text := t.Name + " " + t.Delay
		if t.After != "" {
			text += " after " + t.After + " of it"
		}
		delays = append(delays, text)
	}
	fmt.Fprint(w, line("  Delay: %s. Window %s, lock-up %s; %d guardians veto.\n", strings.Join(delays, ", "), p.Window, p.LockUp, p.Vetoes))
	for _, d := range p.Destinations {
		fmt.Fprint(w, line("  Rescue address %s: %s on %s\n", d.Name, d.Address, d.Chain))
	}
	fmt.Fprint(w, line("  %s\n", p.Limit))
}

func fromTo(n [2]int) string {
	if n[0] == n[1] {
		return fmt.Sprint(n[0])
	}
	return fmt.Sprintf("%d to %d", n[0], n[1])
}

func printEmergency(w io.Writer, vault string, e verify.Emergency) {
	mode := "Emergency"
	if e.Drill {
		mode = "Emergency (drill)"
	}
	fmt.Fprint(w, line("\n%s %s of vault %s: %s\n", mode, e.ID.Short(), vault, strings.ToUpper(e.State)))
	fmt.Fprint(w, line("  %s of %s, asked for by %s on %s: %s\n", e.Trigger, strings.Join(e.Subjects, ", "), e.By, when(e.Created), e.Reason))
	for _, x := range []struct {
		what  string
		names []string
	}{
		{"supported by", e.Supports}, {"vetoed by", e.Vetoes}, {"alive, and signed:", e.Lived}, {"parts given by operators", e.Gave}, {"parts given by guardians", e.Guardians},
		{"new shares with", e.Committee}, {"released early by", e.ReleasedBy}, {"closed by", e.ClosedBy},
	} {
		if len(x.names) > 0 {
			fmt.Fprint(w, line("  %s %s\n", x.what, strings.Join(x.names, ", ")))
		}
	}
	if e.Delay != "" {
		fmt.Fprint(w, line("  delay by the plan: %s\n", e.Delay))
	}
	for _, n := range e.Nodes {
		var steps []string
		for _, s := range n.Steps {
			steps = append(steps, fmt.Sprintf("%s %s (%s on its own clock)", s.State, when(s.At), time.Duration(s.Credited)*time.Second))
		}
		fmt.Fprint(w, line("  node of %s: %s\n", n.Operator, strings.Join(steps, ", ")))
	}
	for _, a := range e.Activations {
		fmt.Fprint(w, line("  activation %s: %s give parts for %d of %s\n", a.ID.Short(), strings.Join(a.Contributors, ", "), a.Threshold, strings.Join(a.Members, ", ")))
	}
	printLeft(w, e)
	for _, key := range e.KeysLeft {
		fmt.Fprint(w, line("  key %.12s… has no new shares: it stays in its epoch, and a new request may name it\n", key))
	}
	if e.Report != "" {
		fmt.Fprint(w, line("  closed with drill evidence %.16s… and report %.16s…\n", e.DrillEvidence, e.Report))
	}
}

// printLeft says what left meanwhile, where to, and how much that is of what may.
func printLeft(w io.Writer, e verify.Emergency) {
	if e.Locked != nil {
		fmt.Fprint(w, line("  the record of the new shares keeps to the rescue addresses until %s\n", when(*e.Locked)))
	}
	for _, o := range e.Outflows {
		what := "to rescue address"
		if o.Call {
			what = "by protective call"
		}
		var moves []string
		for _, asset := range slices.Sorted(maps.Keys(o.Moves)) {
			moves = append(moves, fmt.Sprintf("%d of %s", o.Moves[asset], asset))
		}
		if len(moves) == 0 {
			moves = []string{"what is withheld"}
		}
		fmt.Fprint(w, line("  left %s: %s %s %s (%s) on %s, request %s\n", when(o.At), strings.Join(moves, ", "), what, o.Name, o.To, o.Chain, o.Request.Short()))
	}
	for _, t := range e.Totals {
		of := "no cap"
		if t.Cap != nil {
			of = fmt.Sprintf("the cap is %d", *t.Cap)
		}
		fmt.Fprint(w, line("  in all %d of %s left, in the charter's units and with fees; %s\n", t.Amount, t.Asset, of))
	}
}

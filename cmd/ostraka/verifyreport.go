package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ostraka/ostraka/evidence/verify"
)

type writer = io.Writer

var classWords = map[verify.Class]string{verify.Proved: "Proved", verify.Attested: "Attested", verify.Declared: "Declared"}

// printReport writes a report for people: the verdict, what failed, what needs attention, then all else.
func printReport(w io.Writer, r *verify.Report) {
	var b strings.Builder
	failed := slices.IndexFunc(r.Claims, func(c verify.Claim) bool { return c.Failed == "" })
	if failed < 0 {
		failed = len(r.Claims)
	}
	name := r.Circle
	if name == "" {
		name = "unknown"
	}
	b.WriteString(verdictLine(r, failed, name))
	if failed > 0 {
		b.WriteString("\nFAILED\n")
		printFailures(&b, r.Claims[:failed])
	}
	if len(r.Attention) > 0 {
		b.WriteString("\nNeeds attention\n")
		for _, what := range r.Attention {
			fmt.Fprint(&b, line("  %s\n", what))
		}
	}
	for _, a := range r.Alarms {
		fmt.Fprint(&b, line("  alarm in the log of %s, %s: %s\n", a.Operator, when(a.Time), a.What))
	}
	printClaims(&b, r.Claims[failed:])
	printLogs(&b, r)
	if len(r.Operators) > 0 && !slices.ContainsFunc(r.Operators, func(o verify.Operator) bool { return o.Hardware != nil }) {
		b.WriteString("\nWhat nodes run on\n  none: no evidence of hardware counts now; unless the charter demands it (attest), what runs there is each operator's own word\n")
	}
	printVaults(&b, r)
	printAddresses(&b, r)
	printEmergencies(&b, r)
	_, _ = io.WriteString(w, plainText(b.String()))
}

func verdictLine(r *verify.Report, failed int, name string) string {
	what := "circle " + name
	if !r.CircleID.IsZero() {
		what += fmt.Sprintf(" (%s)", r.CircleID)
	}
	what += ": " + counted(r.Entries, "entry", "entries") + " of " + counted(len(r.Logs), "log", "logs") + ", " + counted(r.Signatures, "signature", "signatures")
	if len(r.Logs) == 0 {
		what = strings.Replace(what, " of 0 logs", ", of no operator's log", 1)
	}
	if r.Withheld > 0 {
		what += ", " + counted(r.Withheld, "body", "bodies") + " withheld"
	}
	if r.Drill {
		what += ", a drill"
	}
	if failed > 0 {
		return line("FAILED    %s. %s.\n", what, breaking(failed, len(r.Claims)))
	}
	return line("VERIFIED  %s. %s.\n", what, allHold(len(r.Claims)))
}

// printFailures says of each claim that does not hold why.
func printFailures(w io.Writer, claims []verify.Claim) {
	for _, c := range claims {
		if c.Failed == "" {
			continue
		}
		fmt.Fprint(w, line("  %s: %s\n    FAILED: %s\n", c.Subject, c.Claim, c.Failed))
		if c.Basis != "" {
			fmt.Fprint(w, line("    (%s)\n", c.Basis))
		}
	}
}

// printClaims groups claims by what they are about.
func printClaims(w io.Writer, claims []verify.Claim) {
	var subjects []string
	for _, c := range claims {
		if !slices.Contains(subjects, c.Subject) {
			subjects = append(subjects, c.Subject)
		}
	}
	for _, s := range subjects {
		fmt.Fprint(w, line("\n%s\n", strings.ToUpper(s[:1])+s[1:]))
		for _, c := range claims {
			if c.Subject != s {
				continue
			}
			fmt.Fprint(w, line("  %-8s  %s\n", classWords[c.Class], c.Claim))
			if c.Basis != "" {
				fmt.Fprint(w, line("            (%s)\n", c.Basis))
			}
		}
	}
}

func table(w io.Writer, title string, header string, rows func(w io.Writer)) {
	fmt.Fprint(w, line("\n%s\n", title))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "  "+header)
	rows(t)
	t.Flush() //nolint:errcheck // into memory
}

func printLogs(w io.Writer, r *verify.Report) {
	if len(r.Logs) == 0 {
		return
	}
	table(w, "Logs", "OPERATOR\tENTRIES\tLAST\tCOSIGNED BY\tFROM", func(w io.Writer) {
		for _, l := range r.Logs {
			var by []string
			for _, c := range l.Cosigned {
				by = append(by, c.By)
			}
			fmt.Fprint(w, line("  %s\t%d\t%s\t%s\t%s\n", l.Operator, l.Size, when(l.Last), strings.Join(by, ", "), l.Source))
		}
	})
	for _, l := range r.Logs {
		for _, c := range l.Copies {
			fmt.Fprint(w, line("  %s is a further copy of %s's log\n", c, l.Operator))
		}
	}
}

func printVaults(w io.Writer, r *verify.Report) {
	if len(r.Vaults) == 0 {
		return
	}
	table(w, "Vaults", "NAME\tTIER\tSIGN\tHELD BY\tSIGNED\tREFUSED\tBODIES", func(w io.Writer) {
		for _, v := range r.Vaults {
			bodies := "withheld"
			if v.Published {
				bodies = "shown"
			}
			fmt.Fprint(w, line("  %s\t%s\t%d of %d\t%s\t%d\t%d\t%s\n", v.Name, v.Tier, v.Threshold, len(v.Committee), strings.Join(v.Committee, ", "), v.Signed, v.Refused, bodies))
		}
	})
}

// mostRows is how many addresses people are shown.
const mostRows = 40

func printAddresses(w io.Writer, r *verify.Report) {
	n := 0
	for _, v := range r.Vaults {
		n += len(v.Addresses)
	}
	if n == 0 {
		return
	}
	table(w, "Addresses", "ADDRESS\tCHAIN\tVAULT\tACCOUNT\tHOLDS\tSENT\tUNLOGGED\tCONTROL PROVED UNTIL", func(w io.Writer) {
		left := mostRows
		for _, v := range r.Vaults {
			for _, a := range v.Addresses[:min(left, len(v.Addresses))] {
				left--
				holds, sent, unlogged, proof := "not asked", "", "", "never"
				if c := a.Chained; c != nil {
					holds, sent, unlogged = holdings(c.Balances), fmt.Sprint(c.Outgoing), fmt.Sprint(len(c.Unlogged))
				}
				if a.Proof != nil {
					proof = when(a.Proof.Expires)
				}
				fmt.Fprint(w, line("  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Address, a.Chain, v.Name, a.Account, holds, sent, unlogged, proof))
			}
		}
	})
	if n > mostRows {
		fmt.Fprint(w, line("  and %d more: --json has them all\n", n-mostRows))
	}
}

func holdings(all []verify.Balance) string {
	var out []string
	for _, b := range all {
		if b.Amount == "0" && len(all) > 1 {
			continue
		}
		if b.Units != "" {
			out = append(out, b.Units)
		} else {
			out = append(out, b.Amount+" of "+b.Asset)
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return timeOrNone(t)
}

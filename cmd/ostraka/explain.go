package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

type explainDocument struct {
	ID        string             `json:"id"`
	State     string             `json:"state"`
	Alarms    []string           `json:"alarms"`
	Vault     string             `json:"vault"`
	Charter   versionDocument    `json:"charter"` // that the intent names
	Facts     []factDocument     `json:"facts"`
	Unclear   string             `json:"unclear,omitempty"`
	Decisions []decisionDocument `json:"decisions"`
	Today     todayDocument      `json:"today"`
	Failed    []failureDocument  `json:"failed"`
}

type versionDocument struct {
	ID      string `json:"id"`
	Version uint64 `json:"version"`
	InForce bool   `json:"in_force"`
}

// todayDocument is what the rules say now, as far as this program can know.
type todayDocument struct {
	At        string           `json:"at"`
	Verdict   string           `json:"verdict"` // allow, wait or deny; empty: the rules cannot be asked
	Rule      string           `json:"rule"`
	Reason    string           `json:"reason,omitempty"`
	Effects   []effectDocument `json:"effects"`
	Approvals countDocument    `json:"approvals"`
	Missing   []needDocument   `json:"missing"`
	Quorum    int              `json:"quorum_missing"`
	Frozen    []string         `json:"frozen"`
	Unknown   []string         `json:"unknown"` // what this program cannot know
}

type effectDocument struct {
	Operation   string           `json:"operation"`
	Asset       string           `json:"asset"`
	Amount      int64            `json:"amount"` // policy units
	Units       string           `json:"units"`  // the same in people's
	Destination string           `json:"destination"`
	Payee       string           `json:"payee"`
	Labels      []string         `json:"labels"`
	Totals      totalsDocument   `json:"totals"` // policy units, this transaction included
	Allowed     bool             `json:"allowed"`
	Permits     []string         `json:"permits"`
	Forbids     []forbidDocument `json:"forbids"`
	Errs        []string         `json:"errors"`
}

type totalsDocument struct {
	Hour  int64 `json:"hour"`
	Day   int64 `json:"day"`
	Week  int64 `json:"week"`
	Month int64 `json:"month"`
}

type forbidDocument struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason,omitempty"`
}

type countDocument struct {
	People        []string       `json:"people"`
	Approvers     int            `json:"approvers"`
	Organisations int            `json:"organisations"`
	Groups        map[string]int `json:"groups"`
}

func (a *app) policyExplainCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "explain ID", Short: "Explain an intent: what each node decided by which rule, and what the rules say today", Args: intentID,
		Long: "First what each node signed: verdict, rule, reason, facts. Then what the rules of the charter that the intent names say now, by what this\n" +
			"program decodes and what the nodes show: for each effect, which rules permit it and which forbid it, and what is missing.\n" +
			"A node rules by its own totals, clock and endpoints; what cannot be known here is listed.",
	}
	local := localFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := a.within(cmd.Context(), 30*time.Second)
		defer cancel()
		r, end, err := a.reader(ctx, *local)
		if err != nil {
			return err
		}
		defer end()
		vaults, one, failed, err := findCase(ctx, r, args[0])
		if err != nil {
			return err
		}
		all, _, err := r.Cases(ctx, vaults, one.Vault.ID)
		if err != nil {
			return err
		}
		a.down(failed)
		review, err := one.Review(all, client.Now())
		if err != nil {
			return err
		}
		d := explainOf(one, review, failed)
		if err := a.show(d, func(w io.Writer) { printExplained(w, one, d) }); err != nil {
			return err
		}
		if len(one.Alarms) > 0 {
			return &client.AlarmError{Case: one}
		}
		return nil
	}
	return c
}

func explainOf(c *client.Case, r client.Review, failed []client.Failure) explainDocument {
	tx := txOf(c, failed)
	d := explainDocument{
		ID: tx.ID, State: tx.State, Alarms: tx.Alarms, Vault: tx.Vault, Facts: tx.Facts, Unclear: tx.Unclear, Decisions: tx.Decisions, Failed: tx.Failed,
		Charter: versionDocument{r.Charter.ID.String(), r.Charter.Version, r.Charter.ID == c.InForce().ID},
	}
	f := r.Question.Facts
	d.Today = todayDocument{
		At: statement.FormatTime(r.At), Effects: []effectDocument{}, Missing: []needDocument{}, Frozen: []string{}, Unknown: unknownOf(c, r),
		Approvals: countDocument{list(r.Tally.Approved), f.Approvers, f.Organisations, f.Approvals},
	}
	d.Today.Frozen = append(d.Today.Frozen, frozenOf(c.Vault)...)
	if r.Undecided != nil {
		d.Today.Reason = r.Undecided.Error()
		return d
	}
	d.Today.Verdict, d.Today.Rule, d.Today.Reason = string(r.Ruling.Verdict), r.Ruling.Rule, r.Ruling.Reason
	d.Today.Quorum, _ = r.Question.Lacks()
	for _, n := range r.Ruling.Missing {
		d.Today.Missing = append(d.Today.Missing, needDocument{n.Of, n.Count})
	}
	for _, x := range r.Answers {
		d.Today.Effects = append(d.Today.Effects, effectOf(r.Charter.Document, c.Intent.Chain, x))
	}
	return d
}

func effectOf(d charter.Document, on string, x policy.Answer) effectDocument {
	e := x.Effect
	out := effectDocument{
		Operation: string(e.Operation), Asset: e.Asset, Amount: e.Amount, Destination: e.Destination, Labels: list(e.Labels), Totals: totalsDocument(e.Total),
		Allowed: x.Allowed(), Permits: list(x.Permits), Forbids: []forbidDocument{}, Errs: list(x.Errs),
	}
	if i := slices.IndexFunc(d.Assets, func(a charter.Asset) bool { return a.Name == e.Asset }); i >= 0 {
		out.Units = policy.Amount(d.Assets[i], e.Amount)
	}
	if p, ok := payeeAt(d, on, e.Destination); ok {
		out.Payee = p.Name
	}
	for _, f := range x.Forbids {
		out.Forbids = append(out.Forbids, forbidDocument(f))
	}
	return out
}

// payeeAt finds the payee with an address.
func payeeAt(d charter.Document, on, address string) (charter.Payee, bool) {
	i := slices.IndexFunc(d.Payees, func(p charter.Payee) bool { return p.Chain == on && policy.SameAddress(on, p.Address, address) })
	if i < 0 || address == "" {
		return charter.Payee{}, false
	}
	return d.Payees[i], true
}

// unknownOf lists what no program can know from outside the nodes, and what this one does not.
func unknownOf(c *client.Case, r client.Review) []string {
	out := []string{
		fmt.Sprintf("each node counts by what it allowed itself; the totals here hold the %d other intents of the vault that nodes show you as signed, possibly signed or allowed", r.Counted),
		"nonce, balance and fees: each node asks its own endpoint when it decides",
	}
	if r.Charter.ID != c.InForce().ID {
		out = append(out, fmt.Sprintf("nodes rule by version %d by now: they sign nothing under version %d any more", c.InForce().Version, r.Charter.Version))
	}
	if c.Signed != nil || c.Closed() {
		out = append(out, fmt.Sprintf("it is %s: what the rules say today changes nothing of that", c.State()))
	}
	return out
}

func printExplained(w io.Writer, c *client.Case, d explainDocument) {
	printFacts(w, c)
	fmt.Fprintf(w, "State: %s\n", d.State)
	printCodeSet(w, c)
	printDecisions(w, c)
	for _, x := range d.Decisions {
		if x.Verdict == "" {
			fmt.Fprintf(w, "%s has not decided\n", x.Operator)
		}
	}
	in := "in force"
	if !d.Charter.InForce {
		in = "not in force any more"
	}
	fmt.Fprintf(w, "\nVersion %d of the charter (%.8s, %s), asked at %s:\n", d.Charter.Version, d.Charter.ID, in, d.Today.At)
	for i, e := range d.Today.Effects {
		printEffect(w, i, e)
	}
	t := d.Today
	switch {
	case t.Verdict == "":
		fmt.Fprintf(w, "  its rules cannot be asked: %s\n", t.Reason)
	case t.Reason != "":
		fmt.Fprintf(w, "Its rules say %s, by %s: %s\n", strings.ToUpper(t.Verdict), t.Rule, t.Reason)
	default:
		fmt.Fprintf(w, "Its rules say %s, by %s\n", strings.ToUpper(t.Verdict), t.Rule)
	}
	var groups []string
	for _, name := range slices.Sorted(maps.Keys(t.Approvals.Groups)) {
		groups = append(groups, fmt.Sprintf("%s %d", name, t.Approvals.Groups[name]))
	}
	fmt.Fprintf(w, "Approvals that count: %d of %d organisations (%s); by group: %s\n", t.Approvals.Approvers, t.Approvals.Organisations, strings.Join(t.Approvals.People, ", "), strings.Join(groups, ", "))
	for _, n := range t.Missing {
		fmt.Fprintf(w, "  missing: %d of %s\n", n.Count, n.Of)
	}
	if t.Quorum > 0 {
		fmt.Fprintf(w, "  missing: the vault's quorum needs %d more to approve\n", t.Quorum)
	}
	for _, f := range t.Frozen {
		fmt.Fprintf(w, "The vault is frozen %s: nothing is signed until then.\n", f)
	}
	fmt.Fprintln(w, "Not known here:")
	for _, u := range t.Unknown {
		fmt.Fprintf(w, "  %s\n", u)
	}
}

func printEffect(w io.Writer, i int, e effectDocument) {
	what := e.Operation
	if e.Asset != "" {
		what += fmt.Sprintf(" of %s (%d policy units)", e.Units, e.Amount)
	}
	if e.Destination != "" {
		what += " to " + e.Destination
	}
	if e.Payee != "" {
		what += fmt.Sprintf(", payee %s (%s)", e.Payee, strings.Join(e.Labels, ", "))
	}
	fmt.Fprintf(w, "  effect %d: %s\n", i+1, what)
	if e.Asset != "" {
		fmt.Fprintf(w, "    with it the vault gives out, in policy units: %d in the hour, %d in the day, %d in the week, %d in the month\n", e.Totals.Hour, e.Totals.Day, e.Totals.Week, e.Totals.Month)
	}
	switch {
	case len(e.Permits) > 0:
		fmt.Fprintf(w, "    permitted by %s\n", strings.Join(e.Permits, ", "))
	default:
		fmt.Fprintln(w, "    no rule permits it")
	}
	for _, f := range e.Forbids {
		fmt.Fprintf(w, "    FORBIDDEN by %s", f.Rule)
		if f.Reason != "" {
			fmt.Fprintf(w, ": %s", f.Reason)
		}
		fmt.Fprintln(w)
	}
	for _, x := range e.Errs {
		fmt.Fprintf(w, "    FORBIDDEN: cannot be computed: %s\n", x)
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/custody/statement"
)

type sosStatusDocument struct {
	Vault    string               `json:"vault"`
	ID       string               `json:"id"`
	Charter  string               `json:"charter"`
	Drill    bool                 `json:"drill"`
	Declared int                  `json:"declared"` // in the 90 days before
	Nodes    []sosNodeDocument    `json:"nodes"`
	Requests []sosRequestDocument `json:"requests"`
	Apart    string               `json:"apart"` // what nodes contradict one another about
}

type sosNodeDocument struct {
	Node       string        `json:"node"`
	State      string        `json:"state"`   // of the vault
	Missing    []string      `json:"missing"` // empty: ready, as far as the node knows
	Needs      []client.Need `json:"needs"`   // the same, with what to do
	RolledBack bool          `json:"rolled_back"`
}

type sosRequestDocument struct {
	ID        string            `json:"id"`
	Statement string            `json:"statement"`
	Trigger   string            `json:"trigger"`
	Subjects  []string          `json:"subjects"`
	Reason    string            `json:"reason"`
	Role      string            `json:"role"`
	By        string            `json:"by"`
	Created   string            `json:"created"`
	Expires   string            `json:"expires"`
	Views     []sosViewDocument `json:"views"`
	Hidden    []string          `json:"hidden"` // nodes that do not show it
	Next      string            `json:"next"`   // what people do now; empty: it is over
	Waits     bool              `json:"waits"`  // for people

	Activations []activationDocument `json:"activations"`
	Reshared    []string             `json:"reshared"` // keys that have new shares by it
}

type sosViewDocument struct {
	Node      string   `json:"node"`
	State     string   `json:"state"`
	Since     string   `json:"since"`
	FirstSeen string   `json:"first_seen"` // empty: never declared there
	Credited  int64    `json:"credited"`   // seconds
	Remaining int64    `json:"remaining"`
	Consents  []string `json:"consents"`
	Supports  []string `json:"supports"`
	Vetoes    []string `json:"vetoes"`
	Waiting   []string `json:"waiting"`
	Late      bool     `json:"late"`

	Mute []client.Mute `json:"mute"` // guardians whose support does not count
}

func (a *app) sosStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status [VAULT|REQUEST]", Short: "Show each vault's SOS, and each request, as every node has it", Args: oneAtMost,
		Long: "Needs no key: what is asked for in SOS is public. Each node counts for itself, so each is shown.\n\n" +
			"Exit code 4: nodes contradict one another, or one does not show a declaration that others have had for a minute. Exit code 5: a request waits for people,\n" +
			"or a vault without one that runs is NOT READY: what it lacks, and what to do, is shown. Exit code 0 while an emergency runs: it waits for time, or for nodes. A vault with an old drill can be rescued all the same; one whose guardians' values or masks are missing cannot.",
		RunE: func(c *cobra.Command, args []string) error { return a.sosStatus(c.Context(), args) },
	}
}

func (a *app) sosStatus(c context.Context, args []string) error {
	ctx, cancel := a.within(c, 30*time.Second)
	defer cancel()
	_, chosen, err := a.chosen()
	if err != nil {
		return err
	}
	circle := client.Dial(chosen, nil, client.Cache{})
	defer circle.Close()
	all, failed, err := circle.Rescues(ctx)
	if err != nil {
		return err
	}
	a.down(failed)
	picked, err := sosPick(all, args)
	if err != nil {
		return a.sosUnpicked(ctx, all, args[0], err)
	}
	all = picked
	docs := []sosStatusDocument{}
	for _, r := range all {
		docs = append(docs, sosStatusOf(r))
	}
	doc := struct {
		Vaults []sosStatusDocument `json:"vaults"`
		Failed []failureDocument   `json:"failed"`
	}{docs, failuresOf(failed)}
	if err := a.show(doc, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "No vault has an SOS plan: once too few of its operators can sign, nobody brings back what it holds.\n\nNext: `ostraka vault show VAULT` says what a vault lacks, and how it comes to a plan.")
		}
		for _, r := range all {
			printRescue(w, r)
		}
	}); err != nil {
		return err
	}
	return sosAlarm(all, failed, time.Now())
}

// sosPick keeps what is asked for: a vault by its name, or the request and its vault.
func sosPick(all []client.Rescue, args []string) ([]client.Rescue, error) {
	if len(args) == 0 {
		return all, nil
	}
	if r, err := client.FindRescue(all, args[0]); err == nil {
		return []client.Rescue{r}, nil
	}
	r, q, err := client.FindRequest(all, args[0])
	if err != nil {
		return nil, fail(codeError, err, "`ostraka sos status` shows all of them")
	}
	r.Requests = []client.RescueRequest{q}
	return []client.Rescue{r}, nil
}

// sosUnpicked says why nothing is shown: what is no id is a vault's name, and whoever gives a key is told whether there is such a vault.
func (a *app) sosUnpicked(ctx context.Context, all []client.Rescue, name string, err error) error {
	if !errors.Is(err, client.ErrMalformed) {
		return err
	}
	_, err = client.FindRescue(all, name)
	if a.key == "" {
		return unplanned(err, name, nil)
	}
	circle, unread := a.circle(ctx)
	if unread != nil {
		return unplanned(err, name, nil) // a guardian's key file, for instance
	}
	defer circle.Close()
	_, err = a.findRescue(ctx, circle, all, name)
	return err
}

// sosAlarm is what the exit code says after all was shown.
func sosAlarm(all []client.Rescue, failed []client.Failure, now time.Time) error {
	for _, f := range failed {
		if client.Classify(f.Err) == client.Unverified {
			return f.Err
		}
	}
	for _, r := range all {
		if r.Apart != nil {
			return r.Apart
		}
		for _, q := range r.Requests {
			if hide := q.Concealed(now); len(hide) > 0 {
				return unverified("call the operators of these nodes by another way", "%s: does not show the declaration %s of vault %s, which others have had for a minute and longer", strings.Join(hide, ", "), q.ID.Short(), r.Name)
			}
		}
	}
	for _, r := range all {
		if err := sosWaits(r); err != nil {
			return err
		}
	}
	return nil
}

// sosWaits says what a vault waits for: an emergency for people, else whatever keeps it from being READY. What is overdue keeps no emergency that runs.
func sosWaits(r client.Rescue) error {
	for _, v := range r.Views {
		if v.RolledBack && !slices.Contains(subjectsOf(r), v.Node) {
			return notReady("its operator runs `ostraka node confirm-restore`", "vault %s is NOT READY at %s: the node was rolled back", r.Name, v.Node)
		}
	}
	runs := false
	for _, q := range r.Requests {
		if next := nextStep(r, q); next.waits {
			return notReady(next.text, "request %s of vault %s waits for people", q.ID.Short(), r.Name)
		}
		runs = runs || q.Holds()
	}
	for _, v := range r.Views {
		if len(v.Missing) > 0 && !runs {
			return notReady("mend what it names; `ostraka sos plan` shows what the plan says", "vault %s is NOT READY at %s: %s", r.Name, v.Node, v.Missing[0])
		}
	}
	return nil
}

func sosStatusOf(r client.Rescue) sosStatusDocument {
	out := sosStatusDocument{Vault: r.Name, ID: r.Vault.String(), Charter: r.Charter.String(), Drill: r.Drill, Declared: r.Declared, Nodes: []sosNodeDocument{}, Requests: []sosRequestDocument{}}
	if r.Apart != nil {
		out.Apart = r.Apart.Error()
	}
	for _, v := range r.Views {
		out.Nodes = append(out.Nodes, sosNodeDocument{v.Node, v.State, list(v.Missing), list(v.Needs), v.RolledBack})
	}
	for _, q := range r.Requests {
		x := sosRequestDocument{
			ID: q.ID.String(), Statement: string(q.Statement.Bytes()), Trigger: q.Trigger, Subjects: list(q.Subjects), Reason: q.Reason, Role: q.Role, By: q.By,
			Created: statement.FormatTime(q.Created), Expires: statement.FormatTime(q.Expires), Views: []sosViewDocument{}, Hidden: list(q.Hidden), Next: sosNext(r, q),
			Waits: nextStep(r, q).waits, Activations: activationsOf(q), Reshared: renewed(q),
		}
		for _, v := range q.Views {
			x.Views = append(x.Views, sosViewOf(v))
		}
		out.Requests = append(out.Requests, x)
	}
	return out
}

func sosViewOf(v client.RequestView) sosViewDocument {
	out := sosViewDocument{
		Node: v.Node, State: v.State, Since: statement.FormatTime(v.Since), Credited: int64(v.Credited / time.Second), Remaining: int64(v.Remaining / time.Second),
		Consents: list(v.Consents), Supports: list(v.Supports), Vetoes: list(v.Vetoes), Waiting: list(v.Waiting), Late: v.Late, Mute: list(v.Mute),
	}
	if !v.FirstSeen.IsZero() {
		out.FirstSeen = statement.FormatTime(v.FirstSeen)
	}
	return out
}

func printRescue(w io.Writer, r client.Rescue) {
	mode := map[bool]string{true: "DRILL", false: "REAL"}[r.Drill]
	fmt.Fprintf(w, "vault %s (%s), charter %s; declarations in the 90 days before: %d\n", r.Name, mode, r.Charter.Short(), r.Declared)
	if r.Apart != nil {
		fmt.Fprintf(w, "  ALARM: %v\n", r.Apart)
	}
	open := func(q client.RescueRequest) bool { return sosNext(r, q) != "" }
	for _, first := range []bool{true, false} { // what is open comes before what the vault is missing, and what is over after it
		for _, q := range r.Requests {
			if open(q) == first {
				printRequest(w, r, q)
			}
		}
		if first {
			printViews(w, r)
		}
	}
}

// printViews shows what each node says of a vault, equal ones together.
func printViews(w io.Writer, r client.Rescue) {
	var texts []string
	nodes, lost := map[string][]string{}, subjectsOf(r)
	for _, v := range r.Views {
		var text strings.Builder
		printView(&text, v, lost)
		if nodes[text.String()] == nil {
			texts = append(texts, text.String())
		}
		nodes[text.String()] = append(nodes[text.String()], v.Node)
	}
	for _, text := range texts {
		fmt.Fprintf(w, "  %-10s %s", strings.Join(nodes[text], ", "), text)
	}
}

func printView(w io.Writer, v client.RescueView, lost []string) {
	if len(v.Missing) == 0 && !v.RolledBack {
		fmt.Fprintln(w, strings.ToUpper(cmp.Or(v.State, "armed")))
		return
	}
	fmt.Fprintln(w, "NOT READY")
	if v.RolledBack {
		fmt.Fprintln(w, "    it was rolled back, and its operator has not confirmed: `ostraka node confirm-restore`")
	}
	printNeeds(w, v, lost)
}

// subjectsOf are the operators that open requests of a vault call lost: nobody is told to have them do something.
func subjectsOf(r client.Rescue) (names []string) {
	for _, q := range r.Requests {
		if sosNext(r, q) != "" {
			names = append(names, q.Subjects...)
		}
	}
	return names
}

// about says that a text names one of these.
func about(text string, names []string) bool {
	word := func(c rune) bool {
		return c != '-' && c != '.' && c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}
	return slices.ContainsFunc(strings.FieldsFunc(text, word), func(w string) bool { return slices.Contains(names, strings.TrimRight(w, ".")) })
}

// printNeeds shows what a node says is missing, and what to do about it.
func printNeeds(w io.Writer, v client.RescueView, lost []string) {
	w = cli.Writer{Writer: w}
	said, left := map[string]bool{}, 0
	for _, n := range v.Needs {
		said[n.What] = true
		if about(n.Do, lost) {
			left++
			continue
		}
		kind := "overdue"
		if n.Stops {
			kind = "MISSING"
		}
		fmt.Fprintf(w, "    %s: %s\n             next: %s\n", kind, n.What, n.Do)
	}
	for _, m := range v.Missing { // of nodes that say no more
		if !said[m] {
			fmt.Fprintf(w, "    MISSING: %s\n", m)
		}
	}
	if left > 0 {
		fmt.Fprintf(w, "    %d more that only %s could mend: the emergency does not wait for it\n", left, strings.Join(lost, ", "))
	}
}

// muted says whose support does not count, as some node has it.
func muted(q client.RescueRequest) (lines []string) {
	for _, v := range q.Views {
		for _, m := range v.Mute {
			lines = append(lines, fmt.Sprintf("%s does not count: %s", m.Guardian, m.Why))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(lines)))
}

// printRequest shows a request, node by node.
func printRequest(w io.Writer, r client.Rescue, q client.RescueRequest) {
	w = cli.Writer{Writer: w}
	fmt.Fprintf(w, "request %s of vault %s: %s of %s, by %s %s\n", q.ID.Short(), r.Name, q.Trigger, strings.Join(q.Subjects, ", "), q.Role, q.By)
	fmt.Fprintf(w, "  reason: %q\n", q.Reason)
	for _, v := range q.Views {
		fmt.Fprintf(w, "  %-10s %s since %s", v.Node, v.State, statement.FormatTime(v.Since))
		if v.Remaining > 0 {
			fmt.Fprintf(w, ", %s are left", v.Remaining)
		}
		fmt.Fprintf(w, "; operators that consent: %s; guardians for it: %s; against it: %s\n", orNone(v.Consents), orNone(v.Supports), orNone(v.Vetoes))
		for _, what := range v.Waiting {
			fmt.Fprintf(w, "    waits: %s\n", what)
		}
		if v.Late {
			fmt.Fprintf(w, "    a veto or cancellation came after this node gave its part\n")
		}
	}
	for _, line := range muted(q) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	printDoings(w, q)
	if len(q.Hidden) > 0 {
		fmt.Fprintf(w, "  not shown by: %s\n", strings.Join(q.Hidden, ", "))
	}
	if next := sosNext(r, q); next != "" {
		fmt.Fprintf(w, "  next: %s\n", next)
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
)

func (a *app) sessionCommand() *cobra.Command {
	c := &cobra.Command{Use: "session", Short: "Protocol sessions: key generation, test signatures, signing"}
	c.AddCommand(a.sessionListCommand(), a.sessionExplainCommand())
	return c
}

type sessionDocument struct {
	Node     string   `json:"node"`
	Setup    string   `json:"setup"`
	ID       string   `json:"id"`
	Protocol string   `json:"protocol"`
	Title    string   `json:"title"`
	Parties  []string `json:"parties"`
	Opener   string   `json:"opener"`
	Round    uint32   `json:"round"`
	Waiting  []string `json:"waiting"`
	Started  string   `json:"started"`
	Deadline string   `json:"deadline"`
	Ended    string   `json:"ended"`
	Error    string   `json:"error"`
	Class    string   `json:"class"`
	Accused  []string `json:"accused"`
}

func (a *app) sessions(ctx context.Context, local bool) ([]sessionDocument, []client.Failure, error) {
	ctx, cancel := a.within(ctx, 30*time.Second)
	defer cancel()
	r, end, err := a.reader(ctx, local)
	if err != nil {
		return nil, nil, err
	}
	defer end()
	answers, err := r.Sessions(ctx)
	if err != nil {
		return nil, nil, err
	}
	out := []sessionDocument{}
	for _, x := range answers.Good() {
		for _, s := range x.Value {
			out = append(out, sessionDocument{
				x.Node, fmt.Sprintf("%x", s.Setup), fmt.Sprintf("%x", s.Id), s.Protocol, s.Title, list(s.Parties), s.Opener, s.Round,
				list(s.Waiting), s.Started, s.Deadline, s.Ended, s.Error, s.Class, list(s.Accused),
			})
		}
	}
	return out, answers.Failures(), nil
}

func (s sessionDocument) outcome() string {
	switch {
	case s.Error != "":
		return "failed: " + s.Error
	case s.Ended != "":
		return "done"
	case len(s.Waiting) > 0:
		return fmt.Sprintf("round %d, waits for %s", s.Round, strings.Join(s.Waiting, ", "))
	}
	return fmt.Sprintf("round %d", s.Round)
}

func (a *app) sessionListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List sessions, as each node sees them", Args: none}
	local := localFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		all, failed, err := a.sessions(cmd.Context(), *local)
		if err != nil {
			return err
		}
		a.down(failed)
		doc := struct {
			Sessions []sessionDocument `json:"sessions"`
			Failed   []failureDocument `json:"failed"`
		}{all, failuresOf(failed)}
		return a.show(doc, func(w io.Writer) {
			if len(all) == 0 {
				fmt.Fprintln(w, "No session runs, and none ended lately.")
			}
			for _, s := range all {
				fmt.Fprintf(w, "%.8s  %-10s %s  %s: %s\n", s.Setup, s.Node, s.Started, s.Title, s.outcome())
			}
		})
	}
	return c
}

func (a *app) sessionExplainCommand() *cobra.Command {
	c := &cobra.Command{Use: "explain ID", Short: "Explain a session, by its own id or its setup's: who takes part, who is awaited, how it ended", Args: exactly("ID")}
	local := localFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if !client.IDBegins(args[0]) {
			return usage("session %q: give 8 or more hex digits of its id, or of its setup's", args[0])
		}
		all, failed, err := a.sessions(cmd.Context(), *local)
		if err != nil {
			return err
		}
		a.down(failed)
		fit := []sessionDocument{}
		for _, s := range all {
			if strings.HasPrefix(s.Setup, args[0]) || strings.HasPrefix(s.ID, args[0]) {
				fit = append(fit, s)
			}
		}
		if len(fit) == 0 {
			return fail(codeError, fmt.Errorf("session %q: %w", args[0], client.ErrUnknown), "`ostraka session list` shows the sessions; nodes forget old ones")
		}
		doc := struct {
			Views []sessionDocument `json:"views"`
		}{fit}
		return a.show(doc, func(w io.Writer) {
			fmt.Fprintf(w, "%s (%s)\n  setup    %s\n  session  %s\n  parties  %s, opened by %s\n", fit[0].Title, fit[0].Protocol, fit[0].Setup, fit[0].ID, strings.Join(fit[0].Parties, ", "), fit[0].Opener)
			for _, s := range fit {
				fmt.Fprintf(w, "  %s: %s", s.Node, s.outcome())
				if s.Class != "" {
					fmt.Fprintf(w, " (%s)", s.Class)
				}
				if len(s.Accused) > 0 {
					fmt.Fprintf(w, "; accused: %s", strings.Join(s.Accused, ", "))
				}
				until := "deadline " + s.Deadline
				if s.Ended != "" {
					until = "until " + s.Ended
				}
				fmt.Fprintf(w, "; from %s, %s\n", s.Started, until)
			}
		})
	}
	return c
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/cmd/ostraka/rehearse"
)

// rehearseTimeout is for one story.
const rehearseTimeout = 10 * time.Minute

type storyDocument struct {
	Name     string `json:"name"`
	Incident string `json:"incident"`
}

func (a *app) rehearseCommand() *cobra.Command {
	list, ethRPC := false, ""
	c := &cobra.Command{
		Use: "rehearse NAME… | --list", Short: "Act an incident out on this machine: what refuses it, and how the proper setup goes through it",
		Long: "Sets up the shape that the incident had, with real nodes where nodes matter, and shows what refuses it and by which\n" +
			"rule; then the proper setup goes through the same event. Nothing of yours is touched: the nodes, keys and charters\n" +
			"are made in a temporary folder and thrown away. Exit code 0: every step held. 4: one did not.\n\n" +
			"With --eth-rpc the nodes and the verifier read that chain; without it, what a chain shows is left out, and the story says so.\n" +
			"Several names are told one after another, by one circle as far as they allow it; with --json each is then a line.",
		Example: "  ostraka rehearse --list\n  ostraka rehearse multichain",
		RunE: func(c *cobra.Command, args []string) error {
			if list {
				return a.listStories(args)
			}
			stories, err := storiesOf(args)
			if err != nil {
				return err
			}
			ctx, cancel := a.within(c.Context(), time.Duration(len(stories))*rehearseTimeout)
			defer cancel()
			return a.rehearse(ctx, stories, ethRPC)
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list the incidents, and do nothing")
	c.Flags().StringVar(&ethRPC, "eth-rpc", "", "endpoint of a development chain with an unlocked account, such as anvil's: stories about what a chain shows need one")
	return c
}

// sosDrillCommand is the drill of an emergency from its beginning to its end. Who holds a share or a guardian's key drills that with `backup drill`.
func (a *app) sosDrillCommand() *cobra.Command {
	ethRPC := ""
	c := &cobra.Command{
		Use: "drill", Short: "Go through an emergency from end to end on this machine, under a DRILL plan: request, delay, veto, new shares, sweep, lock-up, closing", Args: none,
		Long: "Three operators' nodes and five guardians are made in a temporary folder, under a DRILL plan, whose delays are seconds; an operator is lost for good, and the vault is rescued with the\n" +
			"very commands that a real emergency takes. Nothing of yours is touched. It is `ostraka rehearse sos`. Exit code 0: every step held. 4: one did not.\n\n" +
			"Two other drills are yours. What you yourself keep, a guardian's key or an operator's backup, you show to open with `ostraka backup drill`, as often as the plan says. And your own people\n" +
			"go through an emergency in a circle whose charter says `drill: true`: `ostraka sos declare` and what follows are the same there, and nothing said in it serves in a REAL one.",
		Example: "  ostraka sos drill",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), rehearseTimeout)
			defer cancel()
			return a.rehearse(ctx, []rehearse.Story{rehearse.Emergency()}, ethRPC)
		},
	}
	c.Flags().StringVar(&ethRPC, "eth-rpc", "", "endpoint of a development chain with an unlocked account, such as anvil's: what a chain shows is in it then")
	return c
}

func (a *app) listStories(args []string) error {
	if len(args) > 0 {
		return usage("--list takes no names")
	}
	var doc struct {
		Stories []storyDocument `json:"stories"`
	}
	for _, s := range rehearse.All() {
		doc.Stories = append(doc.Stories, storyDocument{s.Name, s.Incident})
	}
	return a.show(doc, func(w io.Writer) {
		for _, s := range doc.Stories {
			fmt.Fprintf(w, "%-11s %s\n", s.Name, s.Incident)
		}
	})
}

func storiesOf(names []string) (out []rehearse.Story, err error) {
	var known []string
	for _, s := range rehearse.All() {
		known = append(known, s.Name)
	}
	if len(names) == 0 {
		return nil, usage("name an incident: %s; or --list", strings.Join(known, ", "))
	}
	for _, name := range names {
		s, ok := rehearse.Find(name)
		if !ok {
			return nil, usage("no incident is called %q; there are: %s", name, strings.Join(known, ", "))
		}
		out = append(out, s)
	}
	return out, nil
}

func (a *app) rehearse(ctx context.Context, stories []rehearse.Story, ethRPC string) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "ostraka-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stage := rehearse.NewStage(binary, dir, ethRPC)
	defer stage.Close()
	var failed []string
	for _, story := range stories {
		r, err := a.tellStory(ctx, stage, story)
		if err != nil {
			return err
		}
		for _, s := range r.Steps {
			if !s.Held {
				failed = append(failed, fmt.Sprintf("%s: %s", r.Name, s.What))
			}
		}
		if err := a.showReport(r, len(stories) > 1); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		return unverified("do not trust this program with what these steps are about; report what they said", "steps that did not hold: %s", strings.Join(failed, "; "))
	}
	return nil
}

// tellStory tells a story to people while it goes on.
func (a *app) tellStory(ctx context.Context, stage *rehearse.Stage, story rehearse.Story) (rehearse.Report, error) {
	w := a.out
	if a.json {
		w = a.err
	}
	fmt.Fprintf(w, "%s: %s.\n\n", story.Name, story.Incident)
	n := 0
	defer a.progressEnds()
	return stage.Tell(ctx, story, rehearse.Listener{
		Busy: func(what string) { a.progress("%s …", what) },
		Step: func(s rehearse.Step) {
			a.progressEnds()
			n++
			fmt.Fprintf(w, "%2d. %s\n      %s\n", n, s.What, s.Outcome)
			if s.Rule != "" {
				fmt.Fprintf(w, "      rule: %s\n", s.Rule)
			}
			if !s.Held {
				fmt.Fprintln(w, "      THIS DID NOT HOLD")
			}
		},
	})
}

// showReport writes the one document, or a line of several.
func (a *app) showReport(r rehearse.Report, several bool) error {
	if !a.json {
		if r.Held {
			fmt.Fprintf(a.out, "\n%s: all %d steps held.\n", r.Name, len(r.Steps))
			if r.Shown != "" {
				fmt.Fprintf(a.out, "%s.\n", r.Shown)
			}
			fmt.Fprintln(a.out)
		}
		return nil
	}
	a.printed = true
	if several {
		return writeLine(a.out, r)
	}
	return writeDocument(a.out, r)
}

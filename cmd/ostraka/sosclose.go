package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) sosCloseCommand() *cobra.Command {
	p := pen{only: act.Operator}
	var report string
	c := &cobra.Command{
		Use: "close VAULT --as OPERATOR --report FILE", Short: "Close an emergency: operators of the new committee sign that the vault stands", Args: exactly("VAULT"),
		Long: "The statement names the keys that got new shares in their new epochs, their backup sets, the drills that the nodes know, and the report's SHA-256. The first officer makes\n" +
			"it; the others sign the same bytes, and may leave --report out. Cut new exports, have guardians drill, and publish what `ostraka sos report --json` wrote first. Nodes take it\n" +
			"once as many of each key's new committee have signed as sign with the key, and the lock-up's time is over on their own clocks: it may be signed before. Keys that got no new\n" +
			"shares stay in their epochs: a new request may name them afterwards.",
		Example: "  ostraka sos report treasury --json --key ~/.ssh/officer > report.json\n  ostraka sos close treasury --as acme --report report.json --key ~/.ssh/officer",
		RunE: func(c *cobra.Command, args []string) error {
			return a.sosGather(c.Context(), &p, args[0], statement.SOSClose, "Close it?", report, func(ctx context.Context, q act.Request) (statement.Statement, error) {
				sum, err := reportSum(report)
				if err != nil {
					return statement.Statement{}, err
				}
				x, left, err := p.circle.Closing(ctx, q, sum)
				for _, k := range left {
					a.say("Key %x got no new shares: it stays in its epoch, and a new request may name it after this closing.", k.Key[:6])
				}
				if err != nil {
					return statement.Statement{}, notReady("see `ostraka sos status` and `ostraka backup coverage`", "it cannot be closed: %v", err)
				}
				return x.Statement(client.NewSalt())
			})
		},
	}
	p.officerFlags(c)
	c.Flags().StringVar(&report, "report", "", "file of the published report: its SHA-256 stands in the statement")
	return c
}

func reportSum(file string) (sum [32]byte, err error) {
	if file == "" {
		return sum, usage("nobody has signed a closing yet: give --report FILE, what `ostraka sos report --json` wrote")
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return sum, fmt.Errorf("read the report: %w", err)
	}
	return sha256.Sum256(raw), nil
}

func (a *app) sosReleaseCommand() *cobra.Command {
	p := pen{only: act.Operator}
	var reason string
	c := &cobra.Command{
		Use: "release-early VAULT --as OPERATOR --reason TEXT", Short: "End a lock-up and its tranches early: every operator of the committee in force signs", Args: exactly("VAULT"),
		Long: "The first officer makes the statement, with a reason that everybody sees; the others sign the same bytes, and may leave --reason out. One operator that does not sign is enough\n" +
			"for the lock-up to run to its end.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.sosGather(c.Context(), &p, args[0], statement.SOSEarlyRelease, "Release it early?", "", func(_ context.Context, q act.Request) (statement.Statement, error) {
				if reason == "" {
					return statement.Statement{}, usage("nobody has signed an early release yet: say why, for everybody: --reason TEXT")
				}
				return act.EarlyRelease{Head: q.Head(), Reason: reason, Created: client.Now()}.Statement(client.NewSalt())
			})
		},
	}
	p.officerFlags(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for everybody: it is public")
	return c
}

// sosGather has an officer sign what all of the committee must: the statement that others have signed already, or a new one.
func (a *app) sosGather(c context.Context, p *pen, vault string, kind statement.Kind, question, report string, make func(context.Context, act.Request) (statement.Statement, error)) error {
	ctx, cancel := a.within(c, 5*time.Minute)
	defer cancel()
	end, err := p.open(ctx, a)
	if err != nil {
		return err
	}
	defer end()
	if p.role != act.Operator {
		return usage("officers sign this: give --as OPERATOR, and an officer's key")
	}
	r, err := p.rescue(ctx, a, vault)
	if err != nil {
		return err
	}
	open := r.InState("lock-up", "closed")
	if len(open) == 0 {
		return unlocked(r, time.Now())
	}
	q := open[len(open)-1]
	waiting, lost := p.circle.Gathered(ctx, q.Request, kind)
	a.down(lost)
	var s statement.Statement
	if len(waiting) > 0 {
		s = waiting[0].Statement
		a.say("It is signed by %s already.", orNone(waiting[0].By))
		if err := p.checkClosing(ctx, a, q.Request, s, report); err != nil {
			return err
		}
	} else if s, err = make(ctx, q.Request); err != nil {
		return err
	}
	doc, err := p.hand(ctx, a, s, question)
	if err != nil {
		return err
	}
	if left := q.Left(); left > 0 && kind == statement.SOSClose {
		a.say("It takes effect when enough have signed, and the lock-up is over: %s are left.", left.Truncate(time.Second))
	}
	p.sayAwaited(ctx, a, r.Name, q.ID)
	return a.show(doc, doc.print)
}

// unlocked says why nothing can be signed of a vault that is not in LOCK-UP, and from when on it can.
func unlocked(r client.Rescue, now time.Time) error {
	for _, q := range r.InState(sos.Active.String()) {
		left := q.Left()
		return notReady("sign it then: in LOCK-UP it may be signed before the lock-up's time is over. Until then sweep (`ostraka sos sweep`), cut exports (`ostraka backup cut`), and have guardians drill (`ostraka backup drill`)",
			"request %s of vault %s is ACTIVE still: LOCK-UP begins when its window is over, at about %s (in %s)", q.ID.Short(), r.Name, statement.FormatTime(now.Add(left)), left.Round(time.Second))
	}
	return notReady("see `ostraka sos status`", "no emergency of vault %s is in LOCK-UP", r.Name)
}

// sayAwaited tells who signed so far, and whom it awaits, as the nodes have it.
func (p *pen) sayAwaited(ctx context.Context, a *app, vault string, request statement.ID) {
	all, _, err := p.circle.Rescues(ctx)
	if err != nil {
		return // what was signed is handed over: `ostraka sos status` shows the rest
	}
	r, err := client.FindRescue(all, vault)
	if err != nil {
		return
	}
	said := map[string]bool{}
	for _, q := range r.Requests {
		for _, v := range q.Views {
			for _, what := range v.Waiting {
				if q.ID == request && !said[what] && strings.Contains(what, "signed by") { // the node's own words, one that is behind says others
					said[what] = true
					a.say("%s: %s.", v.Node, what)
				}
			}
		}
	}
}

// checkClosing holds a closing that another officer wrote to the keys and backups as this circle's nodes show them.
func (p *pen) checkClosing(ctx context.Context, a *app, q act.Request, s statement.Statement, report string) error {
	if s.Kind() != statement.SOSClose {
		return nil
	}
	theirs, err := act.CloseOf(s)
	if err != nil {
		return err
	}
	ours, left, err := p.circle.Closing(ctx, q, theirs.Report)
	if err != nil {
		return notReady("see `ostraka sos status` and `ostraka backup coverage`", "it cannot be closed: %v", err)
	}
	for _, k := range left {
		a.say("Key %x got no new shares: it stays in its epoch, and a new request may name it after this closing.", k.Key[:6])
	}
	if !slices.Equal(ours.Keys, theirs.Keys) {
		return refused("sign nothing; ask whoever wrote it", "closing %s names other epochs or backup sets than the nodes show", s.ID().Short())
	}
	if ours.Drill != theirs.Drill {
		a.say("Its drills are not those that the nodes show now: some came since, or whoever wrote it saw others.")
	}
	if report == "" {
		return nil
	}
	sum, err := reportSum(report)
	if err == nil && sum != theirs.Report {
		err = refused("sign nothing; ask whoever wrote it", "closing %s is of another report than %s", s.ID().Short(), report)
	}
	return err
}

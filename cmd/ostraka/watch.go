package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/courier"
	"github.com/ostraka/ostraka/client/notify"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/verify"
)

// A watcher verifies again and again, and remembers what it saw.
type watcher struct {
	verification
	name, state string
	every       time.Duration
	once        bool
	elsewhere   string         // the flag that names state, if it was given
	forget      []string       // origins
	failed      error          // the verdict of the last look
	seen        *verify.Report // of the last look; nil: nothing could be read
}

// watchFolder is where receivers, notices, memory and cache of a watch stand: beside the contexts file.
func watchFolder(name string) (string, error) {
	if err := statement.CheckLabel(name); err != nil {
		return "", usage("--name: %w", err)
	}
	path, err := client.ContextsPath()
	return filepath.Join(filepath.Dir(path), "watch", name), err
}

const leastEvery = 10 * time.Second

func (a *app) watchCommand() *cobra.Command {
	x := &watcher{}
	c := &cobra.Command{
		Use: "watch URL-or-FOLDER…", Short: "Verify again and again, and tell what is new: failures, alarms, signatures, versions", Args: cobra.ArbitraryArgs,
		Long: "Does what `ostraka verify` does, every --every, and remembers the last checkpoint of each log: what is shown later must have grown from it. The first\n" +
			"circle that it sees it holds to. What is new is printed, one line each, and sent to the receivers of `ostraka notify add NAME --watch NAME`, as signed\n" +
			"webhooks, again and again until they take it (spec/notify). The first look tells what is wrong; signatures and versions count as known.\n" +
			"Full tiles are kept in a folder, and verified anew each time. Needs no account and no key.",
		Example: "  ostraka notify add desk --watch harbour --url https://hooks.example.org/ostraka\n" +
			"  ostraka watch --name harbour https://acme.example:7701 https://bolt.example:7701 https://cora.example:7701 --rpc eip155:1=https://rpc.example\n" +
			"  ostraka watch --name harbour … --once --json     # from cron; exit code 4 if a claim does not hold",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(x.forget) > 0 {
				if len(args) > 0 {
					return usage("--forget looks at nothing: give it --name or --state, and no address")
				}
				return a.watchForgets(x)
			}
			if err := x.parse(args); err != nil {
				return err
			}
			if x.every < leastEvery {
				return usage("--every is %s or more", leastEvery)
			}
			return a.watches(cmd.Context(), x)
		},
	}
	x.flags(c)
	c.Flags().StringVar(&x.name, "name", "watch", "name of this watch: of its receivers and of what it remembers")
	c.Flags().StringVar(&x.state, "state", "", "file of what was seen (default: seen.json in the watch's own folder)")
	c.Flags().DurationVar(&x.every, "every", 5*time.Minute, "how long from one time to the next")
	c.Flags().StringArrayVar(&x.forget, "forget", nil, "ORIGIN of a log that need not be shown any more, once its operator said why, and end: as after a node was restored from a copy")
	c.Flags().BoolVar(&x.once, "once", false, "look and send once, then end")
	return c
}

// open locks the watch's folder.
func (x *watcher) open() (*courier.Courier, error) {
	folder, err := watchFolder(x.name)
	if err != nil {
		return nil, err
	}
	if x.state == "" {
		x.state = filepath.Join(folder, "seen.json")
	} else {
		x.elsewhere = " --state " + x.state
	}
	x.cache = filepath.Join(folder, "cache")
	n, err := courier.Open(folder, x.name)
	if errors.Is(err, courier.ErrRuns) {
		return nil, notReady("stop the other one, or give this one another --name", "another `ostraka watch` of the name %s runs", x.name)
	}
	return n, err
}

// watchForgets takes logs out of what is remembered, by name alone: whoever does so asked their operators first.
func (a *app) watchForgets(x *watcher) error {
	n, err := x.open()
	if err != nil {
		return err
	}
	defer n.Close()
	m, err := published.LoadMemory(x.state)
	if err != nil {
		return err
	}
	type forgotten struct {
		Origin  string `json:"origin"`
		Entries int64  `json:"entries"` // when it was seen last
	}
	var all []forgotten
	for _, origin := range x.forget {
		rest, entries, was := m.Forget(origin)
		if !was {
			return fail(codeError, fmt.Errorf("no log %.120q is remembered in %s", origin, x.state), "name one of: "+strings.Join(names(m.Checkpoints), ", "))
		}
		m, all = rest, append(all, forgotten{origin, entries})
	}
	if err := m.Save(x.state); err != nil {
		return err
	}
	doc := struct {
		State     string      `json:"state"`
		Forgotten []forgotten `json:"forgotten"`
	}{x.state, all}
	return a.show(doc, func(w io.Writer) {
		for _, f := range all {
			fmt.Fprint(w, line("Forgotten: log %s, seen with %d entries. It need not be shown any more; if it is, whatever it shows counts as its beginning.\n", f.Origin, f.Entries))
		}
	})
}

// gone says what to do about logs that were seen before and are shown no more. Where a place could not be read, they may lie there: that comes first.
func (x *watcher) gone(r *verify.Report, seen map[string][]byte, whole bool) {
	const restored = "if its node was restored from a copy, as it says by ways of your own: `%s`"
	command, all := fmt.Sprintf("ostraka watch --name %s%s", x.name, x.elsewhere), ""
	for _, origin := range names(seen) {
		i := slices.IndexFunc(r.Claims, func(c verify.Claim) bool {
			return c.Failed != "" && c.Claim == stillShown && strings.Contains(c.Subject, origin)
		})
		if i >= 0 {
			r.Claims[i].Failed += "; ask its operator why; " + fmt.Sprintf(restored, command+" --forget "+origin)
			all += " --forget " + origin
		}
	}
	if all != "" && whole {
		x.failed = fail(codeUnverified, x.failed, explain(x.failed).Next+"; "+fmt.Sprintf(restored, command+all))
	}
}

func (a *app) watches(ctx context.Context, x *watcher) error {
	n, err := x.open()
	if err != nil {
		return err
	}
	defer n.Close()
	a.watched = x.name // whose receivers a next step speaks of
	n.Look = func(ctx context.Context) (notify.Shown, error) { return x.look(ctx, a) }
	if x.once {
		told, err := a.notifyOnce(ctx, n)
		if x.failed != nil && (err == nil || explain(err).Code == codeNotReady) {
			return x.failed
		}
		if err == nil && x.seen != nil && !a.json && told == 0 {
			fmt.Fprintf(a.out, "%s, nothing is new.\n", holding(len(x.seen.Claims)))
		}
		return err
	}
	a.say("Watching %s every %s. Ctrl-C ends it; nothing that waits is lost.", strings.Join(x.places, ", "), x.every)
	n.Tell, a.printed = a.toldLine, a.json
	n.Run(ctx, x.every)
	return nil
}

// look verifies once, from the checkpoints that are remembered, and remembers the new ones.
func (x *watcher) look(ctx context.Context, a *app) (notify.Shown, error) {
	ctx, cancel := a.within(ctx, time.Hour)
	defer cancel()
	m, err := published.LoadMemory(x.state)
	if err != nil {
		return notify.Shown{}, err
	}
	asked := x.options.Circle
	defer func() { x.options.Circle = asked }()
	if x.options.Seen = m.Seen(); asked.IsZero() {
		x.options.Circle = m.Circle
	}
	r, whole, err := x.run(ctx, a)
	x.seen = nil
	a.progressEnds()
	out := notify.Shown{Circle: x.name}
	if !interrupted(ctx) {
		if err := published.Prune(x.cache, published.MaxCache); err != nil {
			return out, err
		}
	}
	switch {
	case errors.Is(err, errUnreadable):
		x.failed = afterSilence(err)
		out.Verified = unfinished("what is published can be read", err.Error())
		return out, nil
	case errors.Is(err, context.DeadlineExceeded): // people are told: somebody may want it so
		const late = "the time ran out before all that was fetched was verified"
		x.failed = fail(codeUnverified, errors.New(late), "give it more with --timeout")
		out.Verified = unfinished("a look comes to its end", late)
		return out, nil
	case err != nil:
		return out, err
	}
	x.failed, x.seen = verdict(r), r
	x.gone(r, m.Checkpoints, whole)
	next := m.Learn(r)
	before, _ := m.Encode()
	if after, err := next.Encode(); err != nil || !bytes.Equal(before, after) {
		if err := next.Save(x.state); err != nil {
			return out, err
		}
	}
	if r.Circle != "" {
		out.Circle = r.Circle
	}
	out.Verified = foundBy(r, whole)
	return out, nil
}

// unfinished is what is told of a look that found nothing out.
func unfinished(claim, reason string) *notify.Verified {
	return &notify.Verified{Failures: []notify.Finding{{Subject: "watch", Claim: claim, Class: string(verify.Proved), Reason: reason}}}
}

// foundBy is a report as notices say it.
func foundBy(r *verify.Report, whole bool) *notify.Verified {
	v := &notify.Verified{Whole: whole && len(r.Logs) > 0, Attention: slices.DeleteFunc(list(r.Attention), func(s string) bool { return len(r.Alarms) > 0 && strings.HasSuffix(s, "in the logs") })}
	for _, c := range r.Claims {
		if c.Failed != "" {
			v.Failures = append(v.Failures, notify.Finding{Subject: c.Subject, Claim: c.Claim, Class: string(c.Class), Reason: c.Failed})
		}
	}
	for _, al := range r.Alarms {
		v.Attention = append(v.Attention, fmt.Sprintf("alarm in the log of %s, %s: %s", al.Operator, when(al.Time), al.What))
	}
	for _, x := range r.Vaults {
		for _, q := range x.Requests {
			if q.Signed != "" {
				v.Signatures = append(v.Signatures, notify.Signature{Vault: x.Name, Request: q.ID.String(), What: q.What, Signed: q.Signed, InLogs: q.InLogs, At: when(q.At)})
			}
		}
	}
	if !r.CircleID.IsZero() {
		v.Versions = append(v.Versions, notify.Enactment{Of: "roster", Version: r.Roster})
	}
	for _, c := range r.Charter.Versions {
		v.Versions = append(v.Versions, notify.Enactment{Of: "charter", Version: c.Version, ID: c.ID.String()})
	}
	return v
}

// receiversOf says of whose receivers a command of `notify` is: of a context, or of a watch.
func (a *app) receiversOf(c *cobra.Command) {
	c.PersistentFlags().StringVar(&a.watched, "watch", "", "NAME of a watch (ostraka watch --name NAME): of its receivers, instead of a context's")
}

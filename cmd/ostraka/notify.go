package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/courier"
	"github.com/ostraka/ostraka/client/notify"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) notifyCommand() *cobra.Command {
	c := &cobra.Command{Use: "notify", Short: "Be told of what needs you: webhooks for intents, the charter, freezes, nodes"}
	a.receiversOf(c)
	c.AddCommand(a.notifyAddCommand(), a.notifyListCommand(), a.notifyRemoveCommand(), a.notifyTestCommand(), a.notifyRunCommand())
	return c
}

type receiverDocument struct {
	Name      string   `json:"name"`
	Where     string   `json:"where"` // scheme and host: the rest of the URL may be a credential
	Events    []string `json:"events"`
	Vaults    []string `json:"vaults"`
	Waiting   int      `json:"waiting"`
	Sent      int      `json:"sent"`
	Dropped   int      `json:"dropped"`
	LastSent  string   `json:"last_sent"`
	LastError string   `json:"last_error"`
}

// place is the name of the chosen context, or of the watch, and the folder of its notices.
func (a *app) place() (folder, name string, err error) {
	if a.watched != "" {
		folder, err = watchFolder(a.watched)
		return folder, a.watched, err
	}
	path, c, err := a.chosen()
	return courier.Folder(path, c.Name), c.Name, err
}

// receivers are those of the chosen context, and the folder of its notices.
func (a *app) receivers() (all []courier.Receiver, folder, name string, err error) {
	if folder, name, err = a.place(); err == nil {
		all, err = courier.LoadReceivers(folder)
	}
	return all, folder, name, err
}

func receiverOf(r courier.Receiver, b *notify.Book) receiverDocument {
	d := receiverDocument{Name: r.Name, Where: r.URL.String(), Events: list(r.Filter.Events), Vaults: list(r.Filter.Vaults)}
	if q := b.Queues[r.Name]; q != nil {
		d.Waiting, d.Sent, d.Dropped, d.LastSent, d.LastError = len(q.Waiting), q.Sent, q.Dropped, timeOrNone(q.Last), q.Error
	}
	return d
}

func (a *app) notifyAddCommand() *cobra.Command {
	var url string
	var f notify.Filter
	c := &cobra.Command{
		Use: "add NAME", Short: "Add a receiver: a URL to which notices are sent, and its secret", Args: exactly("NAME"),
		Long: "Prints the receiver's secret, whsec_…, once: give it to the receiver, which checks with it that notices are yours and new (Standard\n" +
			"Webhooks; the format stands in spec/notify.md). The secret and the URL are kept in a file beside the contexts file that you alone may\n" +
			"read. Of the URL only the host is ever shown. `--url -` reads it from stdin, so that it stays out of your shell's history.",
		Example: "  ostraka notify add desk --url https://hooks.example.org/ostraka --event 'intent.*' --event vault.frozen",
		RunE: func(_ *cobra.Command, args []string) error {
			target, err := a.target(url)
			if err != nil {
				return err
			}
			var random [notify.SecretSize]byte
			rand.Read(random[:]) //nolint:errcheck // never fails
			secret, err := notify.NewSecret(random[:])
			if err != nil {
				return err
			}
			r := courier.Receiver{Name: args[0], URL: target, Filter: f, Secret: secret}
			if err := r.Check(); err != nil {
				return usage("receiver %.64q: %w", args[0], err)
			}
			return a.addReceiver(r)
		},
	}
	c.Flags().StringVar(&url, "url", "", "https://…, or http:// to localhost alone; - reads one line of stdin")
	c.Flags().StringArrayVar(&f.Events, "event", nil, "tell it of these alone: "+strings.Join(notify.Types, ", ")+"; or a family, such as intent.*")
	c.Flags().StringArrayVar(&f.Vaults, "vault", nil, "of what is about a vault, tell it of this one alone, by name")
	_ = c.MarkFlagRequired("url")
	return c
}

// target reads the URL, which no error shows.
func (a *app) target(url string) (courier.Target, error) {
	if url == "-" {
		line, err := bufio.NewReader(io.LimitReader(a.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return courier.Target{}, fmt.Errorf("read the URL from stdin: %w", err)
		}
		url = strings.TrimSpace(line)
	}
	t, err := courier.ParseTarget(url)
	if err != nil {
		return t, usage("--url: %w", err)
	}
	return t, nil
}

func (a *app) addReceiver(r courier.Receiver) error {
	all, folder, name, err := a.receivers()
	if err != nil {
		return err
	}
	all, err = courier.Add(all, r)
	if errors.Is(err, courier.ErrListed) {
		return fail(codeError, err, fmt.Sprintf("`ostraka notify remove %s%s` takes it out first; its secret is made anew", r.Name, a.ofWatch()))
	}
	if err != nil {
		return err
	}
	if err := courier.SaveReceivers(folder, all); err != nil {
		return err
	}
	doc := struct {
		Name   string   `json:"name"`
		Where  string   `json:"where"`
		Events []string `json:"events"`
		Vaults []string `json:"vaults"`
		Secret string   `json:"secret"`
	}{r.Name, r.URL.String(), list(r.Filter.Events), list(r.Filter.Vaults), r.Secret.Reveal()}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "Receiver %s of %s: %s\nSecret, shown this once: %s\n\nNext: give the receiver its secret, try it with `ostraka notify test %s%s`, then keep `%s` running.\n",
			doc.Name, a.whose(name), doc.Where, doc.Secret, doc.Name, a.ofWatch(), a.sends())
	})
}

// sends is the command that sends notices.
func (a *app) sends() string {
	if a.watched != "" {
		return "ostraka watch --name " + a.watched + " URL…"
	}
	return "ostraka notify run"
}

// whose are the receivers, in words: of a context, or of a watch.
func (a *app) whose(name string) string {
	if a.watched != "" {
		return "watch " + name
	}
	return "context " + name
}

// ofWatch is what a command of notify needs besides, so that it finds the receivers of the watch.
func (a *app) ofWatch() string {
	if a.watched != "" {
		return " --watch " + a.watched
	}
	return ""
}

func (a *app) notifyListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the receivers of the context, and what waits for each", Args: none,
		RunE: func(*cobra.Command, []string) error {
			all, folder, name, err := a.receivers()
			if err != nil {
				return err
			}
			b, _, err := courier.ReadBook(folder, name)
			if err != nil {
				return err
			}
			doc := struct {
				Context   string             `json:"context"`
				Receivers []receiverDocument `json:"receivers"`
			}{name, []receiverDocument{}}
			for _, r := range all {
				doc.Receivers = append(doc.Receivers, receiverOf(r, b))
			}
			return a.show(doc, func(w io.Writer) {
				if len(doc.Receivers) == 0 {
					who := a.whose(name)
					fmt.Fprintf(w, "%s has no receiver.\nNext: `ostraka notify add NAME%s --url https://…`.\n", strings.ToUpper(who[:1])+who[1:], a.ofWatch())
				}
				for _, r := range doc.Receivers {
					printReceiver(w, r)
				}
			})
		},
	}
}

func printReceiver(w io.Writer, r receiverDocument) {
	fmt.Fprintf(w, "%-12s %s  events: %s; vaults: %s\n", r.Name, r.Where, orAll(r.Events), orAll(r.Vaults))
	fmt.Fprintf(w, "             %d sent, %d waiting, %d dropped", r.Sent, r.Waiting, r.Dropped)
	if r.LastSent != "" {
		fmt.Fprintf(w, "; last taken at %s", r.LastSent)
	}
	if r.LastError != "" {
		fmt.Fprintf(w, "; last error: %s", r.LastError)
	}
	fmt.Fprintln(w)
}

func orAll(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(names, ", ")
}

func (a *app) notifyRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Take a receiver and its secret out; what waits for it goes", Args: exactly("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			all, folder, _, err := a.receivers()
			if err != nil {
				return err
			}
			if all, err = courier.Remove(all, args[0]); err != nil {
				return a.unlisted(err)
			}
			if err := courier.SaveReceivers(folder, all); err != nil {
				return err
			}
			return a.show(struct {
				Removed string `json:"removed"`
			}{args[0]}, func(w io.Writer) { fmt.Fprintf(w, "Receiver %s is removed.\n", args[0]) })
		},
	}
}

func (a *app) unlisted(err error) error {
	return fail(codeError, err, "`ostraka notify list"+a.ofWatch()+"` shows those that are")
}

func (a *app) notifyTestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "Send a receiver one signed test notice, and show its answer", Args: exactly("NAME"),
		Long: "Asks no node. The notice is of type notify.test, and sent once. Of the answer at most 4 KiB are read.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 30*time.Second)
			defer cancel()
			all, _, name, err := a.receivers()
			if err != nil {
				return err
			}
			r, err := courier.Find(all, args[0])
			if err != nil {
				return a.unlisted(err)
			}
			now := time.Now()
			body, err := notify.Body(notify.Test, name, now, struct {
				Text string `json:"text"`
			}{"Somebody ran `ostraka notify test " + r.Name + "`. Nothing needs you."})
			if err != nil {
				return err
			}
			n := notify.Notice{ID: notify.ID(name, r.Name, "test "+now.Format(time.RFC3339Nano)), Type: notify.Test, Body: body}
			answer, err := courier.Send(ctx, r, n)
			if err != nil && answer.Status == 0 {
				return fail(codeNotReady, fmt.Errorf("send to %s: %w", r.URL, err), "check that the receiver runs, and its URL: `ostraka notify remove` and `add` set another")
			}
			doc := struct {
				Name   string `json:"name"`
				Where  string `json:"where"`
				ID     string `json:"id"`
				Status int    `json:"status"`
				Answer string `json:"answer"`
			}{r.Name, r.URL.String(), n.ID, answer.Status, answer.Body}
			shown := a.show(doc, func(w io.Writer) {
				fmt.Fprintf(w, "%s answers %d to notice %s\n", doc.Where, doc.Status, doc.ID)
				for text := range strings.Lines(doc.Answer) {
					fmt.Fprintln(w, line("  %s", strings.TrimRight(text, "\r\n")))
				}
			})
			if err != nil {
				return fail(codeError, fmt.Errorf("receiver %s did not take the notice: %w", r.Name, err), "see its answer: it may want another URL, or hold another secret")
			}
			return shown
		},
	}
}

// lookTime is how long a look may take for each node: one that answers as late as it may, and then shows what does not hold, is left out, and the
// others are asked again.
const lookTime = 45 * time.Second

func (a *app) notifyRunCommand() *cobra.Command {
	var once bool
	var every, patience time.Duration
	c := &cobra.Command{
		Use: "run", Short: "Ask the nodes again and again, and send what is new, until stopped", Args: none,
		Long: "Asks every node of the context, verifies what they show as `ostraka tx show` does, and sends each receiver what it wants to be told of. What one\n" +
			"node says alone is told of no intent's end and no freeze. The first run tells what is still open, not what was. What was told, and\n" +
			"what a receiver has not taken yet, is kept in a file: it is sent again, after 5 s and then twice as long each time, an hour at most,\n" +
			"under the same webhook-id. One run per context. The key must sign without anybody there: an SSH key of a file or agent.",
		Example: "  ostraka notify run --once     # from cron; exit code 5 if a receiver has not taken all",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.watched != "" {
				return usage("`ostraka watch --name %s` sends the notices of this watch", a.watched)
			}
			if every < time.Second || patience < 0 {
				return usage("--every is 1s or more, and --silent-after is not negative")
			}
			ctx := cmd.Context()
			circle, n, err := a.watch(ctx)
			if err != nil {
				return err
			}
			defer circle.Close()
			defer n.Close()
			n.Patience = patience
			var blind error // why the last look showed nothing of the circle
			n.Look = func(ctx context.Context) (notify.Shown, error) {
				asked, cancel := a.within(ctx, time.Duration(len(circle.Members))*lookTime)
				defer cancel()
				l, err := circle.Look(asked)
				if late := asked.Err(); late != nil {
					return notify.Shown{}, notReady("give it more time with --timeout", "ask the nodes: %w", late)
				}
				if blind = err; unseen(l, err) {
					return notify.Shown{}, err
				}
				if err != nil {
					a.say("note: %v", plain(err))
				} else if once {
					a.down(l.Failures)
				}
				return shownOf(circle.Name, l, err, time.Now()), nil
			}
			if once {
				if _, err := a.notifyOnce(ctx, n); err != nil {
					return err
				}
				return blind
			}
			a.say("Watching context %s for its receivers, every %s. Ctrl-C ends it; nothing that waits is lost.", circle.Name, every)
			n.Tell = a.toldLine
			a.printed = a.json
			n.Run(ctx, every)
			return nil
		},
	}
	c.Flags().BoolVar(&once, "once", false, "ask and send once, then end")
	c.Flags().DurationVar(&every, "every", 30*time.Second, "how long from one time to the next")
	c.Flags().DurationVar(&patience, "silent-after", 5*time.Minute, "tell of a node that is silent, or fails, for so long")
	return c
}

// watch dials the nodes and takes the context's lock.
func (a *app) watch(ctx context.Context) (*client.Circle, *courier.Courier, error) {
	path, c, err := a.chosen()
	if err != nil {
		return nil, nil, err
	}
	s, err := a.signer(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s.Key().Outside() {
		return nil, nil, refused("give --key FILE with an SSH key that the circle lists", "a passkey or wallet wants somebody at each login, and nobody is there while `ostraka notify run` runs")
	}
	n, err := courier.Open(courier.Folder(path, c.Name), c.Name)
	if errors.Is(err, courier.ErrRuns) {
		return nil, nil, notReady("stop the other one, or let it do its work", "context %s: %w", c.Name, err)
	}
	if err != nil {
		return nil, nil, err
	}
	return client.Dial(c, s, client.Cache{Dir: tokensBeside(path)}), n, nil
}

// reportDocument is one line of `notify run --json`.
type reportDocument struct {
	At       string `json:"at"`
	What     string `json:"what"` // event, sent, failed, dropped, trouble
	Type     string `json:"type"`
	Title    string `json:"title"` // of an event, in words
	Receiver string `json:"receiver"`
	ID       string `json:"id"` // of the notice
	Count    int    `json:"count"`
	Reason   string `json:"reason"`
	Data     any    `json:"data,omitempty"` // of an event, as its notice has it
}

func reportOf(r courier.Report) reportDocument {
	d := reportDocument{At: statement.FormatTime(r.At), What: r.What, Type: r.Type, Receiver: r.Receiver, ID: r.ID, Count: r.Count, Reason: r.Reason}
	if r.Event != nil {
		d.Title, d.Data = oneLine(r.Event.Title()), r.Event.Data
	}
	return d
}

func (d reportDocument) line() string {
	switch d.What {
	case courier.ReportEvent:
		return d.Title
	case courier.ReportSent:
		return fmt.Sprintf("  %s took %s", d.Receiver, d.Type)
	case courier.ReportFailed:
		return fmt.Sprintf("  %s did not take %s: %s; it is sent again", d.Receiver, d.Type, d.Reason)
	case courier.ReportDropped:
		return fmt.Sprintf("  note: %d of the oldest notices for %s are dropped: more than %d wait", d.Count, d.Receiver, notify.MaxWaiting)
	}
	return "  trouble: " + d.Reason
}

// toldLine prints what happened, one line each, as it does.
func (a *app) toldLine(r courier.Report) {
	d := reportOf(r)
	if a.json {
		_ = writeLine(a.out, d)
		return
	}
	fmt.Fprintln(a.out, line("%s %s", d.At, d.line()))
}

// notifyOnce looks and sends once, and says how many reports it made.
func (a *app) notifyOnce(ctx context.Context, n *courier.Courier) (told int, err error) {
	doc := struct {
		Reports []reportDocument `json:"reports"`
		Waiting int              `json:"waiting"`
	}{Reports: []reportDocument{}}
	n.Tell = func(r courier.Report) { doc.Reports = append(doc.Reports, reportOf(r)) }
	waiting, err := n.Once(ctx)
	if err != nil {
		return 0, err
	}
	doc.Waiting = waiting
	if err := a.show(doc, func(w io.Writer) {
		for _, d := range doc.Reports {
			fmt.Fprintln(w, d.line())
		}
	}); err != nil || waiting == 0 {
		return len(doc.Reports), err
	}
	next := "they are sent again by the next run; `ostraka notify list" + a.ofWatch() + "` shows why they wait"
	if waiting == 1 {
		return len(doc.Reports), notReady(next, "1 notice waits for its receiver")
	}
	return len(doc.Reports), notReady(next, "%d notices wait for their receivers", waiting)
}

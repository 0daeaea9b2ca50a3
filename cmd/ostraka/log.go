package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/evidence/tlog"
)

func (a *app) logCommand() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "The operator's own node's log: what it saw and decided, in a tree that others witness"}
	c.AddCommand(a.logHeadCommand(), a.logListCommand(), a.logShowCommand(), a.logProveCommand(), a.logCheckCommand(), a.logFsckCommand(),
		a.logExportCommand(), a.logOpenCommand(), a.logReadCommand())
	return c
}

type headDocument struct {
	Operator   string             `json:"operator"`
	Origin     string             `json:"origin"`
	Size       uint64             `json:"size"`
	Root       string             `json:"root"`
	Checkpoint checkpointDocument `json:"checkpoint"`
	LogKey     string             `json:"log_key"`
	WitnessKey string             `json:"witness_key"`
	Known      []logKeysDocument  `json:"known"` // keys of all logs that the node knows
}

type checkpointDocument struct {
	Size     uint64             `json:"size"` // 0: there is none yet
	Root     string             `json:"root"`
	Made     string             `json:"made"`
	Cosigned []cosignedDocument `json:"cosigned"`
	Missing  []string           `json:"missing"` // operators that have not cosigned it
	Signed   string             `json:"signed"`  // as it is published
}

type cosignedDocument struct {
	Operator string `json:"operator,omitempty"` // empty: a witness outside the circle
	Witness  string `json:"witness"`
	Time     string `json:"time"`
}

type logKeysDocument struct {
	Operator   string `json:"operator"`
	Origin     string `json:"origin"`
	LogKey     string `json:"log_key"`
	WitnessKey string `json:"witness_key"`
}

func headOfLog(m *v1.LogHeadResponse) headDocument {
	d := headDocument{
		Operator: m.Operator, Origin: m.Origin, Size: m.Size, Root: fmt.Sprintf("%x", m.Root), LogKey: m.LogKey, WitnessKey: m.WitnessKey, Known: []logKeysDocument{},
		Checkpoint: checkpointDocument{m.CheckpointSize, fmt.Sprintf("%x", m.CheckpointRoot), m.CheckpointMade, []cosignedDocument{}, list(m.Missing), string(m.Checkpoint)},
	}
	for _, c := range m.Cosigned {
		d.Checkpoint.Cosigned = append(d.Checkpoint.Cosigned, cosignedDocument{c.Operator, c.Witness, c.Time})
	}
	for _, k := range m.Known {
		d.Known = append(d.Known, logKeysDocument{k.Operator, k.Origin, k.LogKey, k.WitnessKey})
	}
	return d
}

func (d headDocument) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("log of", "%s", d.Operator)
	row("origin", "%s", d.Origin)
	row("entries", "%d", d.Size)
	row("root", "%s", d.Root)
	if d.Checkpoint.Size == 0 {
		row("checkpoint", "none yet: the first follows once the roster is in force")
	} else {
		row("checkpoint", "of %d entries, made at %s", d.Checkpoint.Size, d.Checkpoint.Made)
	}
	for _, c := range d.Checkpoint.Cosigned {
		name := c.Operator
		if name == "" {
			name = c.Witness
		}
		row("cosigned", "by %s at %s", name, c.Time)
	}
	for _, name := range d.Checkpoint.Missing {
		row("cosigned", "not by %s", name)
	}
	if d.LogKey != "" {
		row("log key", "%s", d.LogKey)
		row("witness key", "%s", d.WitnessKey)
	}
	_ = t.Flush()
}

// ownLog is the node's own interface, and its log's head.
func (a *app) ownLog(ctx context.Context) (ostrakav1connect.OperatorClient, *v1.LogHeadResponse, error) {
	own := client.Operator(a.dir)
	res, err := own.LogHead(ctx, connect.NewRequest(&v1.LogHeadRequest{}))
	if err != nil {
		return nil, nil, a.operatorError(err)
	}
	return own, res.Msg, nil
}

func (a *app) logHeadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "head", Short: "Show the log's size and root, its latest checkpoint and who cosigned it, and its keys", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			_, m, err := a.ownLog(ctx)
			if err != nil {
				return err
			}
			d := headOfLog(m)
			return a.show(d, d.print)
		},
	}
}

// An entry is a leaf of the node's log with its body.
type logEntry struct {
	index uint64
	tlog.Filed
}

// readEntry holds what the node shows to its leaf.
func readEntry(m *v1.LogEntry) (e logEntry, err error) {
	e.index = m.Index
	if e.Leaf, err = tlog.Decode(m.Leaf); err != nil {
		return e, unverified("`ostraka log fsck` looks at the whole log", "entry %d: %w", m.Index, err)
	}
	if e.Body, err = tlog.DecodeBody(m.Body); err == nil && len(e.Content) > 0 && !tlog.Named(e.Kind) && !e.Fits(e.Body) {
		err = fmt.Errorf("its body is not what its id names")
	}
	if err != nil {
		return e, unverified("`ostraka log fsck` looks at the whole log", "entry %d: %w", m.Index, err)
	}
	return e, nil
}

// A query says which entries are asked for.
type query struct {
	first, end  uint64 // end 0: to the log's end
	kind, id    string
	vault       []byte
	from, until time.Time
}

// walk visits the entries of a query, in order, and gives the number behind the last that was looked at.
func (a *app) walk(ctx context.Context, own ostrakav1connect.OperatorClient, q query, visit func(logEntry) error) (next, size uint64, err error) {
	for next = q.first; ; {
		res, err := own.LogEntries(ctx, connect.NewRequest(&v1.LogEntriesRequest{
			First: next, End: q.end, Kind: q.kind, Vault: q.vault, Id: q.id, From: timeOrNone(q.from), Until: timeOrNone(q.until),
		}))
		if err != nil {
			return next, size, a.operatorError(err)
		}
		for _, m := range res.Msg.Entries {
			e, err := readEntry(m)
			if err == nil {
				err = visit(e)
			}
			if err != nil {
				return next, size, err
			}
		}
		size = res.Msg.Size
		end := size
		if q.end > 0 {
			end = min(end, q.end)
		}
		if res.Msg.Next <= next || res.Msg.Next >= end {
			return max(next, res.Msg.Next), size, nil
		}
		next = res.Msg.Next
	}
}

type entryDocument struct {
	Number uint64 `json:"number"`
	Time   string `json:"time"`
	Kind   string `json:"kind"`
	Vault  string `json:"vault,omitempty"` // name; its statement's id where that is not known
	ID     string `json:"id"`
	About  string `json:"about,omitempty"`
	Text   string `json:"text"` // in words, what it says; empty: it has no body
}

func hexOrNone(id [32]byte) string {
	if id == ([32]byte{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

func (e logEntry) document(n names32) entryDocument {
	return entryDocument{e.index, stampOf(e.Time), e.Kind, n.vault(e.Vault), hexOrNone(e.ID), hexOrNone(e.About), e.words(n)}
}

func stampOf(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (d entryDocument) line() string {
	text := d.Text
	if text == "" && d.About != "" {
		text = "about " + d.About[:8]
	}
	return line("%d\t%s\t%s\t%s\t%.8s\t%s", d.Number, d.Time, d.Kind, d.Vault, d.ID, text)
}

type listFlags struct {
	span
	first, last         uint64
	kind, vault, folder string
	follow              bool
}

func (a *app) logListCommand() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use: "list", Short: "List entries of the log: number, time, kind, vault, id, and what it says", Args: none,
		Long: "The last 20, those from number --first on, those of a time, or as many as --last says. With --follow it goes on as the log grows, until interrupted.\n" +
			"With --folder it lists what an operator opened to you, and `ostraka log read` decrypted: no node is asked.",
		Example: "  ostraka log list --kind decision --vault treasury --last 5\n  ostraka log list --folder october",
		RunE: func(c *cobra.Command, _ []string) error {
			given := c.Flags().Changed
			if given("first") && given("last") {
				return usage("--first and --last exclude one another")
			}
			if _, err := strconv.ParseUint(f.from, 10, 64); err == nil {
				return usage("--from is a time; --first %s begins with the entry of that number", f.from)
			}
			if f.kind != "" && !slices.Contains(logKinds, f.kind) {
				return usage("--kind %.40q is none of %s", f.kind, strings.Join(logKinds, ", "))
			}
			if (given("first") || given("from") || given("until") || given("folder")) && !given("last") {
				f.last = 0
			} else if f.last == 0 {
				return usage("--last is 1 or more")
			}
			if f.folder != "" {
				if f.follow {
					return usage("--folder and --follow exclude one another")
				}
				return a.listOpened(f)
			}
			return a.logList(c.Context(), f)
		},
	}
	c.Flags().Uint64Var(&f.first, "first", 0, "begin with the entry of this number")
	c.Flags().Uint64Var(&f.last, "last", 20, "how many of the latest")
	c.Flags().StringVar(&f.kind, "kind", "", "of this kind alone: "+strings.Join(logKinds, ", "))
	c.Flags().StringVar(&f.folder, "folder", "", "of this folder, into which log read decrypted what an operator opened, and of no node")
	f.ends(c, "until")
	c.Flags().StringVar(&f.vault, "vault", "", "of this vault alone, by name or id")
	c.Flags().BoolVar(&f.follow, "follow", false, "go on as the log grows; with --json one line for each entry")
	return c
}

// logKinds are the kinds of leaves (spec/log 1).
var logKinds = []string{
	tlog.KindStatement, tlog.KindPrivate, tlog.KindSignature, tlog.KindVote, tlog.KindDecision, tlog.KindHeard, tlog.KindWord, tlog.KindJoined, tlog.KindInForce, tlog.KindVetted, tlog.KindMet, tlog.KindSession, tlog.KindFault, tlog.KindBurn,
	tlog.KindRecord, tlog.KindCert, tlog.KindTested, tlog.KindFinal, tlog.KindFinalCert, tlog.KindDrop, tlog.KindErase, tlog.KindWanted, tlog.KindPart, tlog.KindSigned, tlog.KindChain, tlog.KindTaken, tlog.KindHeartbeat,
	tlog.KindAlive, tlog.KindAddress, tlog.KindAlarm, tlog.KindLife, tlog.KindFence, tlog.KindConfirmed, tlog.KindPresignature, tlog.KindContribution, tlog.KindTagged,
}

func (a *app) logList(ctx context.Context, f listFlags) error {
	wait := time.Minute
	if f.follow {
		wait = 365 * 24 * time.Hour
	}
	ctx, cancel := a.within(ctx, wait)
	defer cancel()
	own, head, err := a.ownLog(ctx)
	if err != nil {
		return err
	}
	n, err := a.vaultNames(ctx, own)
	if err != nil {
		return err
	}
	a.owners(ctx, &n)
	q := query{kind: f.kind, first: f.first}
	if q.from, q.until, err = f.times(); err != nil {
		return err
	}
	if q.vault, err = n.find(f.vault); err != nil {
		return err
	}
	found, next := []logEntry{}, uint64(0)
	keep := func(e logEntry) error { found = append(found, e); return nil }
	if f.last > 0 {
		found, err = a.latest(ctx, own, q, head.Size, f.last)
		next = head.Size
	} else {
		next, _, err = a.walk(ctx, own, q, keep)
	}
	if err != nil {
		return err
	}
	if f.follow {
		q.first = next
		return a.followLog(ctx, own, q, found, n)
	}
	return a.showEntries(head.Size, found, n)
}

// showEntries lists entries of a log that has so many.
func (a *app) showEntries(size uint64, found []logEntry, n names32) error {
	docs := []entryDocument{}
	for _, e := range found {
		docs = append(docs, e.document(n))
	}
	return a.show(struct {
		Size    uint64          `json:"size"`
		Entries []entryDocument `json:"entries"`
	}{size, docs}, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, d := range docs {
			fmt.Fprintln(t, d.line())
		}
		_ = t.Flush()
		if len(docs) == 0 {
			fmt.Fprintf(w, "No such entry among %d.\n", size)
		}
	})
}

// latest goes back from the log's end until it has so many.
func (a *app) latest(ctx context.Context, own ostrakav1connect.OperatorClient, q query, size, last uint64) (found []logEntry, err error) {
	step := max(64, min(last, 1024))
	for end := size; end > 0 && uint64(len(found)) < last; {
		first := uint64(0)
		if end > step {
			first = end - step
		}
		q.first, q.end = first, end
		var here []logEntry
		if _, _, err := a.walk(ctx, own, q, func(e logEntry) error { here = append(here, e); return nil }); err != nil {
			return nil, err
		}
		found, end, step = append(here, found...), first, min(2*step, 16384)
	}
	return found[max(0, len(found)-int(min(last, uint64(len(found))))):], nil
}

// followLog prints entries as they come.
func (a *app) followLog(ctx context.Context, own ostrakav1connect.OperatorClient, q query, found []logEntry, n names32) error {
	a.printed = true
	show := func(e logEntry) error {
		d := e.document(n)
		if a.json {
			return writeLine(a.out, d)
		}
		_, err := fmt.Fprintln(a.out, strings.ReplaceAll(d.line(), "\t", "  "))
		return err
	}
	for _, e := range found {
		if err := show(e); err != nil {
			return err
		}
	}
	for {
		next, _, err := a.walk(ctx, own, q, show)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // somebody ended it
		}
		if err != nil {
			return err
		}
		q.first = next
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// entryNumber reads an entry's number; 8 digits or more are an id's.
func entryNumber(which string) (uint64, bool) {
	n, err := strconv.ParseUint(which, 10, 64)
	return n, err == nil && len(which) < 8
}

// entryName wants one argument: an entry's number, or the first digits of its id.
func entryName(c *cobra.Command, args []string) error {
	if err := exactly("N|ID")(c, args); err != nil {
		return err
	}
	if _, ok := entryNumber(args[0]); !ok && (len(args[0]) < 8 || len(args[0]) > 64 || strings.Trim(args[0], "0123456789abcdef") != "") {
		return usage("%q is neither an entry's number nor 8 or more hex digits of its id", args[0])
	}
	return nil
}

// findEntry finds the one entry of a number, or whose id begins so.
func (a *app) findEntry(ctx context.Context, own ostrakav1connect.OperatorClient, size uint64, which string) (e logEntry, err error) {
	q := query{id: which}
	if n, ok := entryNumber(which); ok {
		if n >= size {
			return e, fail(codeError, fmt.Errorf("the log has %d entries, numbered from 0", size), "`ostraka log list` shows the latest")
		}
		q = query{first: n, end: n + 1}
	}
	var all []logEntry
	_, _, err = a.walk(ctx, own, q, func(x logEntry) error {
		if q.id == "" || strings.HasPrefix(hex.EncodeToString(x.ID[:]), which) {
			all = append(all, x)
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	if len(all) == 0 {
		return e, fail(codeError, fmt.Errorf("no entry's id begins with %s", which), "`ostraka log list` shows numbers and ids")
	}
	if len(all) > 1 {
		var numbers []string
		for _, x := range all {
			numbers = append(numbers, fmt.Sprintf("%d (%s)", x.index, x.Kind))
		}
		return e, fail(codeError, fmt.Errorf("several entries have that id: %s", strings.Join(numbers, ", ")), "name one by its number")
	}
	return all[0], nil
}

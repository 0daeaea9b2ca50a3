package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ostraka/ostraka/client/disclose"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/console/disclosure"
	"github.com/ostraka/ostraka/console/wasm"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

func (a *app) discloseCommand() *cobra.Command {
	c := &cobra.Command{Use: "disclose", Short: "Show the circle to everybody"}
	c.AddCommand(a.disclosePublishCommand())
	return c
}

// disclosing is one publication.
type disclosing struct {
	out      string
	wasm     string
	insecure bool
	bodies   bool
	operator []string
	costs
	shelf    shelf
	evidence []verify.BundleFile // that the folder carries
	asked    string              // how the command was given, but for the verifier
	named    bool                // the command named the places: else the context has them
	made     bool                // the folder was not there before

	places []string
	pins   []disclose.Pins // of each place; nil: the roster says it
}

// disclosedDocument is what a publication did.
type disclosedDocument struct {
	Folder   string            `json:"folder"`
	Circle   string            `json:"circle"`
	CircleID string            `json:"circle_id"`
	Logs     []disclosedLog    `json:"logs"`
	Evidence []string          `json:"evidence"` // files that it carries
	Page     bool              `json:"page"`     // it carries the verifier for browsers
	Missing  map[string]string `json:"missing"`  // nodes that did not answer, and logs that were not taken, and why
	Failed   bool              `json:"failed"`

	away []string // of missing, those that did not answer
}

type disclosedLog struct {
	Operator string `json:"operator"`
	Entries  int64  `json:"entries"`
	Grown    int64  `json:"grown"`
}

func (a *app) disclosePublishCommand() *cobra.Command {
	var d disclosing
	c := &cobra.Command{
		Use: "publish [URL...]", Short: "Write the circle's disclosure: its nodes' logs and a page that checks them, for any web server",
		Long: "Fetches the logs of all nodes of the context (or of the nodes, logs and disclosures that are named), verifies them as any outsider would, and writes a\n" +
			"folder that any web server can host: the logs, the report, and a page that runs the same verifier in the visitor's own browser. Run it again to bring\n" +
			"the folder up to date: what never changes is not fetched twice. Nobody has to believe the folder, nor who hosts it.\n" +
			"With --evidence DIR it carries what clouds and sighters signed of places; never keys, certificates or names that judge it, and no document of AWS, which\n" +
			"some services take for a login. What is not in DIR any more is taken away from the folder.\n" +
			"Exit code 4: what was published does not hold; the folder is written all the same, since hiding it would help nobody.\n" +
			"Exit code 5: no node answered; the folder is as it was.",
		Example: "  ostraka disclose publish -o /var/www/disclosure\n  ostraka disclose publish https://acme.example:7701 https://bolt.example:7701 https://cora.example:7701 -o disclosure",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), time.Hour)
			defer cancel()
			if err := d.parse(a, args); err != nil {
				return err
			}
			d.asked = asked(cmd, args, "wasm")
			doc, r, err := d.publish(ctx, a)
			a.progressEnds()
			if err != nil {
				return err
			}
			if err := a.show(doc, func(w io.Writer) { doc.print(w, r) }); err != nil {
				return err
			}
			return verdict(r)
		},
	}
	c.Flags().StringVarP(&d.out, "out", "o", "", "folder to write")
	c.Flags().StringVar(&d.wasm, "wasm", "", "folder of the verifier for browsers, where make wasm put it (default: the one that this program carries)")
	d.shelf.flags(c, evidenceAt)
	c.Flags().BoolVar(&d.bodies, "bodies", false, "fetch all bodies again, where a vault was published only lately")
	c.Flags().StringArrayVar(&d.operator, "operator", nil, "NAME=IDENTITY of an operator, 64 digits, as it publishes it elsewhere: no other log is taken (default: of a context what it has pinned; else what the roster says that the logs show)")
	d.costs.flags(c)
	c.Flags().BoolVar(&d.insecure, "insecure", false, "take web servers whose certificate no authority vouches for: what they show is verified all the same")
	return c
}

func (d *disclosing) parse(a *app, args []string) error {
	if d.out == "" {
		return usage("name the folder to write: -o FOLDER")
	}
	if err := d.check(); err != nil {
		return err
	}
	if err := d.shelf.read(evidenceAt); err != nil {
		return err
	}
	expected, err := identities(d.operator)
	if err != nil {
		return err
	}
	if d.named = len(args) > 0; d.named {
		d.places, err = folders(args)
		d.pins = slices.Repeat([]disclose.Pins{expected}, len(d.places))
		return err
	}
	if expected != nil {
		return usage("--operator goes with addresses: a context has its identities pinned")
	}
	_, c, err := a.chosen()
	if err != nil {
		return err
	}
	for _, n := range c.Nodes {
		d.places, d.pins = append(d.places, "https://"+n.Address), append(d.pins, disclose.Pins{n.Name: n.Identity})
	}
	return nil
}

// prepare makes the folder, or sees to it that it is one of a disclosure: nothing of somebody's own is written among.
func (d *disclosing) prepare() error {
	if err := newOrOwn(d.out, "disclosure", disclose.Begun, verify.PathBundle); err != nil { // what was interrupted goes on
		return err
	}
	if _, err := os.Stat(d.out); errors.Is(err, fs.ErrNotExist) {
		d.made = true
	}
	if err := os.MkdirAll(d.out, 0o755); err != nil {
		return unwritable(err)
	}
	return nil
}

// unwritable says that the fault is the folder's.
func unwritable(err error) error {
	return fail(codeError, err, "name a folder that you may write: -o FOLDER")
}

// publish copies the logs until none is behind what another saw of it, and writes the folder.
func (d *disclosing) publish(ctx context.Context, a *app) (doc disclosedDocument, r *verify.Report, err error) {
	doc = disclosedDocument{Folder: d.out}
	if err := d.shelve(a); err != nil {
		return doc, nil, err
	}
	if err := d.prepare(); err != nil {
		return doc, nil, err
	}
	defer func() {
		if err != nil && d.made {
			_ = os.Remove(d.out) // if nothing was written
		}
	}()
	end := d.until(ctx)
	var f fetched
	for try := 0; ; try++ {
		if f, err = d.once(ctx, a, end, try > 0); err != nil {
			return doc, nil, err
		}
		late := f.late()
		if len(late) == 0 || try == refetches || time.Now().Add(refetchWait).After(end) {
			break
		}
		a.progress("%s; fetched again in %s", strings.Join(late, "; "), refetchWait)
		select {
		case <-time.After(refetchWait):
		case <-ctx.Done():
			return doc, nil, ctx.Err()
		}
	}
	r, doc.Missing, doc.away = f.report, f.missing, f.away
	doc.Circle, doc.CircleID, doc.Failed = r.Circle, hexOrNone(r.CircleID), r.Failed
	slices.SortFunc(f.logs, func(x, y disclose.Copied) int { return strings.Compare(x.Operator, y.Operator) })
	for _, l := range f.logs {
		doc.Logs = append(doc.Logs, disclosedLog{l.Operator, l.Size, l.Grown})
	}
	b := disclose.Bundle(r.Circle, time.Now(), f.logs)
	b.Evidence, doc.Evidence = d.evidence, []string{}
	for _, f := range d.evidence {
		doc.Evidence = append(doc.Evidence, f.Path())
	}
	old := disclose.Shelved(d.out)
	if err := disclose.Shelve(d.out, d.shelf.files); err != nil {
		return doc, r, err
	}
	if doc.Page, err = d.page(a, r, b); err == nil {
		err = disclose.Unshelve(d.out, old, b.Evidence) // once no list names it
	}
	return doc, r, err
}

// fetched is what one try came to.
type fetched struct {
	logs    []disclose.Copied // in the folder
	now     []string          // origins of those that were copied now
	missing map[string]string // why a place, or a log, is not among them
	away    []string          // of missing, places that did not answer
	report  *verify.Report
}

// late says of whose logs others saw more than is here, where fetching again may help: not of those that could not be copied now.
func (f fetched) late() (out []string) {
	for _, l := range f.report.Lagging {
		if slices.Contains(f.now, l.Origin) {
			out = append(out, fmt.Sprintf("Waiting for %s: others saw %d entries of its log, %d are here", l.Operator, l.Seen, l.Shown))
		}
	}
	return out
}

// once brings each log into the folder that can be had, and verifies the folder. A node that cannot be reached, or is too slow, keeps no other's log
// out; what the folder has of it stays. If none answers, nothing is changed, unless something was before.
func (d *disclosing) once(ctx context.Context, a *app, until time.Time, again bool) (f fetched, err error) {
	if err := disclose.Unstage(d.out); err != nil {
		return f, unwritable(err)
	}
	if f, err = d.copyAll(ctx, a, until); err != nil {
		return f, err
	}
	if len(f.away) == len(d.places) && !again {
		return f, d.silence(a, f.missing)
	}
	for _, c := range f.logs {
		f.now = append(f.now, c.Origin)
	}
	kept, err := disclose.Kept(d.out, f.logs)
	f.logs = append(f.logs, kept...)
	if err == nil && len(f.logs) > 0 {
		err = d.place(ctx, a, &f)
	}
	if err = errors.Join(err, disclose.Unstage(d.out)); err != nil {
		return f, err
	}
	if len(f.logs) == 0 {
		var why []error
		at := slices.Sorted(maps.Keys(f.missing))
		for _, where := range at {
			why = append(why, errors.New(f.missing[where]))
		}
		return f, fail(codeError, unreadable(at, why), "check that the nodes run: `ostraka node status` at each")
	}
	f.report, err = d.verify(ctx, a, f.logs)
	return f, err
}

// silence is the error when no place answered.
func (d *disclosing) silence(a *app, missing map[string]string) error {
	for _, where := range d.places {
		a.say("  %s: %s", where, missing[where])
	}
	what := "nodes"
	if d.named {
		what = "places"
	}
	const next = "check that the nodes run (ostraka node status, at each), and their addresses: that of the people's port, 7701 unless it was changed"
	if len(d.places) == 1 {
		return notReady(next, "%s did not answer; the folder is as it was", d.places[0])
	}
	return notReady(next, "none of the %d %s answered; the folder is as it was", len(d.places), what)
}

// copyAll fetches all logs at the same time. Further copies of one log follow after one another: they go into one folder.
func (d *disclosing) copyAll(ctx context.Context, a *app, until time.Time) (f fetched, err error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	a.progress("Reading %s", strings.Join(d.places, ", "))
	bounds := d.bounds()
	found, errs := opened(inner, d.places, published.Options{Insecure: d.insecure, Bounds: bounds, Until: until, Direct: true})
	f.missing = map[string]string{}
	byKeys := map[string]func(){}
	var names []string
	var mu sync.Mutex
	for i, p := range found {
		if errs[i] != nil {
			f.missing[d.places[i]], f.away = errs[i].Error(), append(f.away, d.places[i])
			continue
		}
		defer p.Close()
		names = append(names, p.Name)
		for _, s := range p.Sources {
			keys, _ := s.Fetch(tlog.PathKeys)
			before := byKeys[string(keys)]
			byKeys[string(keys)] = func() {
				if before != nil {
					before()
				}
				c, e := disclose.Copy(ctx, d.out, disclose.Log{Name: s.Name, Fetch: s.Fetch}, disclose.Folder{Bodies: d.bodies, Bounds: &bounds, AtOnce: 4}, d.pins[i])
				mu.Lock()
				defer mu.Unlock()
				switch {
				case e == nil && !slices.ContainsFunc(f.logs, func(o disclose.Copied) bool { return o.Path == c.Path }):
					f.logs = append(f.logs, c)
				case d.ours(e):
					err = unwritable(e)
					cancel()
				case e != nil:
					f.missing[s.Name] = strings.TrimPrefix(e.Error(), "copy the log at "+s.Name+": ")
				}
			}
		}
	}
	a.progress("Copying %s", strings.Join(names, ", "))
	var all sync.WaitGroup
	for _, do := range byKeys {
		all.Go(do)
	}
	all.Wait()
	return f, cmp.Or(ctx.Err(), err)
}

// ours says that an error is of writing to the folder, not of what is read.
func (d *disclosing) ours(err error) bool {
	var file *fs.PathError
	var rename *os.LinkError
	at := ""
	switch {
	case errors.As(err, &file):
		at = file.Path
	case errors.As(err, &rename):
		at = rename.New
	}
	rest, below := strings.CutPrefix(at, filepath.Clean(d.out))
	return below && (rest == "" || rest[0] == filepath.Separator)
}

// place gives each log that is new here the place of its operator, as pinned identities or the roster say. What is nobody's is left out.
func (d *disclosing) place(ctx context.Context, a *app, f *fetched) (err error) {
	if !slices.ContainsFunc(f.logs, func(c disclose.Copied) bool { return c.Staged }) {
		return nil
	}
	pins := disclose.Pins{}
	for _, p := range d.pins {
		maps.Copy(pins, p)
	}
	if len(pins) == 0 {
		r, err := d.verify(ctx, a, f.logs)
		if err != nil {
			return err
		}
		if pins, err = rosterPins(r); err != nil {
			return err
		}
	}
	var placed []disclose.Copied
	for _, c := range f.logs {
		now, err := disclose.Place(d.out, c, pins)
		if d.ours(err) {
			return unwritable(err)
		}
		if err != nil {
			f.missing["the log of "+c.Operator+" at "+c.Origin] = err.Error()
			continue
		}
		placed = slices.DeleteFunc(placed, func(o disclose.Copied) bool { return o.Path == now.Path })
		placed = append(placed, now)
	}
	f.logs = placed
	return nil
}

// rosterPins are the identities that the roster has. Where there is no one roster, no log goes to a place of its own choosing.
func rosterPins(r *verify.Report) (disclose.Pins, error) {
	const next = "say which identities the operators have: --operator NAME=IDENTITY for each, as they publish them elsewhere"
	for _, c := range r.Claims {
		if c.Failed != "" && c.Subject == "circle" {
			return nil, unverified(next, "whose logs these are is not clear: %s: %s", c.Claim, c.Failed)
		}
	}
	pins := disclose.Pins{}
	for _, o := range r.Operators {
		if id, err := hex.DecodeString(o.Identity); err == nil {
			pins[o.Name] = id
		}
	}
	for _, l := range r.Logs { // of those who left as well
		digits, _, _ := strings.Cut(strings.TrimPrefix(l.Origin, "ostraka.log/"), "/")
		if id, err := hex.DecodeString(digits); err == nil {
			pins[l.Operator] = id
		}
	}
	return pins, nil
}

// verify reads what lies in the folder now, as anybody will.
func (d *disclosing) verify(ctx context.Context, a *app, logs []disclose.Copied) (*verify.Report, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var sources []verify.Source
	for _, l := range logs {
		p, err := published.Open(inner, filepath.Join(d.out, l.Path), published.Options{Bounds: d.bounds()})
		if err != nil {
			return nil, err
		}
		defer p.Close()
		sources = append(sources, p.Sources[0].Source)
	}
	now := time.Now()
	return verify.Verify(sources, verify.Options{Now: now, Evidence: d.shelf.judge(nil, now), Progress: func(p verify.Progress) error {
		a.progress("%s: entry %d of %d; %s", p.Source, p.Read, p.Of, p.Verdict)
		return nil
	}})
}

// shelve names evidence as anybody will find it in the folder. What may open a door elsewhere stays where it is.
func (d *disclosing) shelve(a *app) error {
	var kept []places.File
	for _, f := range d.shelf.files {
		one := verify.BundleFile{Operator: f.Operator, Place: f.Place, File: filepath.Base(f.Name)}
		switch {
		case f.Err != nil:
			return fmt.Errorf("%s: %w", f.Name, f.Err)
		case places.CheckName(one.File) != nil:
			return usage("%s: %w", f.Name, places.CheckName(one.File))
		case !places.IsSighting(f.Content) && attest.Provider(f.Content) == "aws":
			a.say("note: %s is not published: it is no sighting, no token of Google's and no document of Azure's; one of AWS some services take for a login", f.Name)
			continue
		}
		f.Name = one.Path()
		kept, d.evidence = append(kept, f), append(d.evidence, one)
	}
	d.shelf.files = kept
	return nil
}

// page writes the page. A build without the verifier for browsers writes it with what this program found, and says how to get the verifier.
func (d *disclosing) page(a *app, r *verify.Report, b verify.Bundle) (bool, error) {
	program, err := wasm.Verifier()
	if d.wasm != "" {
		program, err = wasm.Read(d.wasm)
	}
	if errors.Is(err, wasm.ErrAbsent) {
		a.say("note: this program carries no verifier for browsers: the page shows what this program found, marked so, and how to check it by command")
		a.say("  next: make wasm, then ostraka disclose publish %s--wasm %s", d.asked, wasmDist)
		program, err = wasm.Program{}, nil
	}
	if err != nil {
		return false, err
	}
	return len(program.Packed) > 0, disclosure.Write(d.out, r, b, program)
}

// wasmDist is where make wasm puts the verifier, in the source.
const wasmDist = "console/wasm/dist"

// asked is how a command was given, but for a flag.
func asked(c *cobra.Command, args []string, but string) string {
	words := slices.Clone(args)
	c.Flags().Visit(func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand
		}
		switch all, several := f.Value.(pflag.SliceValue); {
		case f.Name == but:
		case several:
			for _, one := range all.GetSlice() {
				words = append(words, name, one)
			}
		case f.Value.Type() == "bool":
			words = append(words, name)
		default:
			words = append(words, name, f.Value.String())
		}
	})
	return strings.Join(words, " ") + " "
}

func (doc disclosedDocument) print(w writer, r *verify.Report) {
	fmt.Fprint(w, line("The disclosure of %s is written to %s.\n", doc.Circle, doc.Folder))
	for _, l := range doc.Logs {
		fmt.Fprint(w, line("  %-20s %s, %d of them new\n", l.Operator, counted(int(l.Entries), "entry", "entries"), l.Grown))
	}
	if n := len(doc.Evidence); n > 0 {
		fmt.Fprint(w, line("  evidence of places: %s\n", strings.Join(doc.Evidence, ", ")))
	}
	for _, where := range slices.Sorted(maps.Keys(doc.Missing)) {
		what := "NOT TAKEN"
		if slices.Contains(doc.away, where) {
			what = "NOT REACHED"
		}
		fmt.Fprint(w, line("  %s: %s: %s\n", what, where, doc.Missing[where]))
	}
	fmt.Fprintf(w, "Host the folder on any web server. Its circle's id, which readers should learn from elsewhere too:\n  %s\n", doc.CircleID)
	if r.Failed {
		fmt.Fprint(w, line("It does not hold as it is (`ostraka verify %s` says more):\n", doc.Folder))
		printFailures(w, r.Claims)
		return
	}
	fmt.Fprintf(w, "%s.\n", allHold(len(r.Claims)))
}

package main

import (
	"context"
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

	"github.com/ostraka/ostraka/client/disclose"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/console/disclosure"
	"github.com/ostraka/ostraka/console/wasm"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/places"
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
	places   []string
	shelf    shelf
	evidence []verify.BundleFile // that the folder carries
	named    []string            // of places, those that the command named: the context has the others
	made     bool                // the folder was not there before
}

// disclosedDocument is what a publication did.
type disclosedDocument struct {
	Folder   string            `json:"folder"`
	Circle   string            `json:"circle"`
	CircleID string            `json:"circle_id"`
	Logs     []disclosedLog    `json:"logs"`
	Evidence []string          `json:"evidence"` // files that it carries
	Page     bool              `json:"page"`     // it carries the verifier for browsers
	Missing  map[string]string `json:"missing"`  // nodes whose logs could not be fetched, and why
	Failed   bool              `json:"failed"`
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
	c.Flags().BoolVar(&d.insecure, "insecure", false, "take web servers whose certificate no authority vouches for: what they show is verified all the same")
	return c
}

func (d *disclosing) parse(a *app, args []string) error {
	if d.out == "" {
		return usage("name the folder to write: -o FOLDER")
	}
	if err := d.shelf.read(evidenceAt); err != nil {
		return err
	}
	if d.places, d.named = args, args; len(args) > 0 {
		var err error
		d.places, err = folders(args)
		return err
	}
	_, c, err := a.chosen()
	if err != nil {
		return err
	}
	for _, n := range c.Nodes {
		d.places = append(d.places, "https://"+n.Address)
	}
	return nil
}

// prepare makes the folder, or sees to it that it is one of a disclosure: nothing of somebody's own is written among.
func (d *disclosing) prepare() error {
	own := func(name string) bool { return name == "logs" || name == "evidence" } // of a publication that was interrupted
	if err := newOrOwn(d.out, "disclosure", own, verify.PathBundle); err != nil {
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
	return &problem{codeError, err, "name a folder that you may write: -o FOLDER"}
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
	var logs []disclose.Copied
	for try := 0; ; try++ {
		if logs, doc.Missing, err = d.copyAll(ctx, a); err != nil {
			return doc, nil, err
		}
		if r, err = d.verify(ctx, a, logs); err != nil {
			return doc, nil, err
		}
		late := lateLogs(r, doc.Missing)
		if len(late) == 0 && !r.Newer() || try == refetches {
			break
		}
		a.progress("%s; fetched again in %s", strings.Join(append(late, "Somebody saw more than is shown yet")[:max(1, len(late))], "; "), refetchWait)
		select {
		case <-time.After(refetchWait):
		case <-ctx.Done():
			return doc, nil, ctx.Err()
		}
	}
	doc.Circle, doc.CircleID, doc.Failed = r.Circle, hexOrNone(r.CircleID), r.Failed
	for _, l := range logs {
		doc.Logs = append(doc.Logs, disclosedLog{l.Operator, l.Size, l.Grown})
	}
	b := disclose.Bundle(r.Circle, time.Now(), logs)
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

// lateLogs says of whose logs others saw more than is here, where fetching again may help: not of those whose node does not answer.
func lateLogs(r *verify.Report, missing map[string]string) (out []string) {
	if len(missing) > 0 && len(r.Lagging) <= len(missing) {
		return nil
	}
	for _, l := range r.Lagging {
		out = append(out, fmt.Sprintf("Waiting for %s: others saw %d entries of its log, %d are here", l.Operator, l.Seen, l.Shown))
	}
	return out
}

// openAll finds out at once what lies at each place: one that does not answer takes its time.
func (d *disclosing) openAll(ctx context.Context, a *app) (found []published.Place, missing map[string]string) {
	a.progress("Reading %s", strings.Join(d.places, ", "))
	all, errs := make([]published.Place, len(d.places)), make([]error, len(d.places))
	var wg sync.WaitGroup
	for i, where := range d.places {
		wg.Go(func() { all[i], errs[i] = open(ctx, where, published.Options{Insecure: d.insecure}) })
	}
	wg.Wait()
	missing = map[string]string{}
	for i, where := range d.places {
		if errs[i] != nil {
			missing[where] = errs[i].Error()
		} else {
			found = append(found, all[i])
		}
	}
	return found, missing
}

// silence is the error when no place answered.
func (d *disclosing) silence(a *app, missing map[string]string) error {
	for _, where := range d.places {
		a.say("  %s: %s", where, missing[where])
	}
	what := "nodes"
	if len(d.named) > 0 {
		what = "places"
	}
	const next = "check that the nodes run (ostraka node status, at each), and their addresses: that of the people's port, 7701 unless it was changed"
	if len(d.places) == 1 {
		return notReady(next, "%s did not answer; the folder is as it was", d.places[0])
	}
	return notReady(next, "none of the %d %s answered; the folder is as it was", len(d.places), what)
}

// copyAll brings each log into the folder. A node that cannot be reached keeps no other's log out; what the folder has of it stays.
func (d *disclosing) copyAll(ctx context.Context, a *app) (logs []disclose.Copied, missing map[string]string, err error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	found, missing := d.openAll(inner, a)
	if len(found) == 0 && ctx.Err() == nil {
		return nil, missing, d.silence(a, missing)
	}
	for _, p := range found {
		a.progress("Copying %s", p.Name)
		for _, s := range p.Sources {
			c, err := disclose.Copy(ctx, d.out, disclose.Log{Name: s.Name, Fetch: s.Fetch}, d.bodies)
			var ours *fs.PathError
			if errors.As(err, &ours) && strings.HasPrefix(ours.Path, filepath.Clean(d.out)) {
				return nil, missing, unwritable(err)
			}
			if err != nil {
				missing[s.Name] = strings.TrimPrefix(err.Error(), "copy the log at "+s.Name+": ")
				continue
			}
			if !slices.ContainsFunc(logs, func(o disclose.Copied) bool { return o.Operator == c.Operator }) {
				logs = append(logs, c)
			}
		}
	}
	kept, err := disclose.Kept(d.out, logs)
	logs = append(logs, kept...)
	switch {
	case ctx.Err() != nil:
		return nil, missing, ctx.Err()
	case err != nil:
		return nil, missing, err
	case len(logs) == 0:
		why := map[string]error{}
		for where, text := range missing {
			why[where] = errors.New(text)
		}
		return nil, missing, &problem{codeError, unreadable(slices.Sorted(maps.Keys(why)), why), "check that the nodes run: `ostraka node status` at each"}
	}
	return logs, missing, nil
}

// verify reads what lies in the folder now, as anybody will.
func (d *disclosing) verify(ctx context.Context, a *app, logs []disclose.Copied) (*verify.Report, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var sources []verify.Source
	for _, l := range logs {
		p, err := published.Open(inner, filepath.Join(d.out, l.Path), published.Options{})
		if err != nil {
			return nil, err
		}
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
		a.say("  next: make wasm, then ostraka disclose publish %s--wasm %s", d.asked(), wasmDist)
		program, err = wasm.Program{}, nil
	}
	if err != nil {
		return false, err
	}
	return len(program.Packed) > 0, disclosure.Write(d.out, r, b, program)
}

// wasmDist is where make wasm puts the verifier, in the source.
const wasmDist = "console/wasm/dist"

// asked is how the command was given, but for the verifier.
func (d *disclosing) asked() string {
	words := append(slices.Clone(d.named), "-o", d.out)
	if d.insecure {
		words = append(words, "--insecure")
	}
	for _, x := range [][]string{{"--evidence", d.shelf.dir}, {"--sighters", d.shelf.sighters}} {
		if x[1] != "" {
			words = append(words, x...)
		}
	}
	return strings.Join(words, " ") + " "
}

func (doc disclosedDocument) print(w writer, r *verify.Report) {
	fmt.Fprintf(w, "The disclosure of %s is written to %s.\n", doc.Circle, doc.Folder)
	for _, l := range doc.Logs {
		fmt.Fprintf(w, "  %-20s %s, %d of them new\n", l.Operator, counted(int(l.Entries), "entry", "entries"), l.Grown)
	}
	if n := len(doc.Evidence); n > 0 {
		fmt.Fprintf(w, "  evidence of places: %s\n", strings.Join(doc.Evidence, ", "))
	}
	for _, where := range slices.Sorted(maps.Keys(doc.Missing)) {
		fmt.Fprintf(w, "  NOT REACHED: %s: %s\n", where, doc.Missing[where])
	}
	fmt.Fprintf(w, "Host the folder on any web server. Its circle's id, which readers should learn from elsewhere too:\n  %s\n", doc.CircleID)
	if r.Failed {
		fmt.Fprintln(w, "It does not hold as it is: `ostraka verify "+doc.Folder+"` says why.")
		return
	}
	fmt.Fprintf(w, "%s.\n", allHold(len(r.Claims)))
}

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
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
		Long: "Fetches the logs of all nodes of the context (or of the nodes, logs and bundles that are named), verifies them as any outsider would, and writes a\n" +
			"folder that any web server can host: the logs, the report, and a page that runs the same verifier in the visitor's own browser. Run it again to bring\n" +
			"the folder up to date: what never changes is not fetched twice. Nobody has to believe the folder, nor who hosts it.\n" +
			"With --evidence DIR it carries what clouds and sighters signed of places; never keys, certificates or names that judge it, and no document of AWS, which\n" +
			"some services take for a login. What is not in DIR any more is taken away from the folder.\n" +
			"Exit code 4: what was published does not hold; the folder is written all the same, since hiding it would help nobody.",
		Example: "  ostraka disclose publish -o /var/www/disclosure\n  ostraka disclose publish https://acme.example:7400 https://bolt.example:7400 -o disclosure",
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
	c.Flags().StringVar(&d.wasm, "wasm", "", "folder of the verifier for browsers, where `make wasm` put it (default: the one that this program carries)")
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
	if d.places = args; len(args) > 0 {
		d.pins = make([]disclose.Pins, len(args))
		for i := range args {
			d.pins[i] = expected
		}
		return nil
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

// publish copies the logs until none is behind what another saw of it, and writes the folder.
func (d *disclosing) publish(ctx context.Context, a *app) (doc disclosedDocument, r *verify.Report, err error) {
	doc = disclosedDocument{Folder: d.out}
	if err := d.shelve(a); err != nil {
		return doc, nil, err
	}
	end := d.until(ctx)
	var logs []disclose.Copied
	for try := 0; ; try++ {
		if logs, r, doc.Missing, err = d.once(ctx, a, end); err != nil {
			return doc, nil, err
		}
		if len(r.Lagging) == 0 && !r.Newer() || try == refetches || time.Now().Add(refetchWait).After(end) {
			break
		}
		a.progress("Somebody saw more than is shown yet: fetched again in %s", refetchWait)
		select {
		case <-time.After(refetchWait):
		case <-ctx.Done():
			return doc, nil, ctx.Err()
		}
	}
	doc.Circle, doc.CircleID, doc.Failed = r.Circle, r.CircleID.String(), r.Failed
	for _, l := range logs {
		doc.Logs = append(doc.Logs, disclosedLog{l.Operator, l.Size, l.Grown})
	}
	b := disclose.Bundle(r.Circle, time.Now(), logs)
	b.Evidence, doc.Evidence = d.evidence, []string{}
	for _, f := range d.evidence {
		doc.Evidence = append(doc.Evidence, f.Path())
	}
	old := disclose.Shelved(d.out)
	if doc.Page, err = d.page(a, r, b); err == nil {
		err = disclose.Unshelve(d.out, old, b.Evidence) // once no list names it
	}
	return doc, r, err
}

// once brings each log into the folder that can be had, and verifies the folder. A node that cannot be reached, or is too slow, keeps no other's log
// out; what the folder has of it stays.
func (d *disclosing) once(ctx context.Context, a *app, until time.Time) (logs []disclose.Copied, r *verify.Report, missing map[string]string, err error) {
	if err := disclose.Unstage(d.out); err != nil {
		return nil, nil, nil, err
	}
	logs, missing = d.copyAll(ctx, a, until)
	if ctx.Err() != nil {
		return nil, nil, missing, ctx.Err()
	}
	kept, err := disclose.Kept(d.out, logs)
	logs = append(logs, kept...)
	if err == nil && len(logs) > 0 {
		logs, err = d.place(ctx, a, logs, missing)
	}
	if err = errors.Join(err, disclose.Unstage(d.out)); err != nil {
		return nil, nil, missing, err
	}
	if len(logs) == 0 {
		var all []error
		for _, where := range slices.Sorted(maps.Keys(missing)) {
			all = append(all, fmt.Errorf("%s: %s", where, missing[where]))
		}
		return nil, nil, missing, &problem{codeError, fmt.Errorf("%w: %w", errUnreadable, errors.Join(all...)), "check that the nodes run: `ostraka node status` at each"}
	}
	r, err = d.verify(ctx, a, logs)
	return logs, r, missing, err
}

// copyAll fetches all logs at the same time. Further copies of one log follow after one another: they go into one folder.
func (d *disclosing) copyAll(ctx context.Context, a *app, until time.Time) (logs []disclose.Copied, missing map[string]string) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	a.progress("Reading %s", strings.Join(d.places, ", "))
	bounds := d.bounds()
	found, errs := opened(inner, d.places, published.Options{Insecure: d.insecure, Bounds: bounds, Until: until, Direct: true})
	missing = map[string]string{}
	byKeys := map[string]func(){}
	var mu sync.Mutex
	for i, p := range found {
		if errs[i] != nil {
			missing[d.places[i]] = errs[i].Error()
			continue
		}
		defer p.Close()
		for _, s := range p.Sources {
			keys, _ := s.Fetch(tlog.PathKeys)
			before := byKeys[string(keys)]
			byKeys[string(keys)] = func() {
				if before != nil {
					before()
				}
				c, err := disclose.Copy(ctx, d.out, disclose.Log{Name: s.Name, Fetch: s.Fetch}, disclose.Folder{Bodies: d.bodies, Bounds: &bounds, AtOnce: 4}, d.pins[i])
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					missing[s.Name] = err.Error()
				} else if !slices.ContainsFunc(logs, func(o disclose.Copied) bool { return o.Path == c.Path }) {
					logs = append(logs, c)
				}
			}
		}
	}
	var all sync.WaitGroup
	for _, do := range byKeys {
		all.Go(do)
	}
	all.Wait()
	return logs, missing
}

// place gives each log that is new here the place of its operator, as pinned identities or the roster say. What is nobody's is left out.
func (d *disclosing) place(ctx context.Context, a *app, logs []disclose.Copied, missing map[string]string) (placed []disclose.Copied, err error) {
	if !slices.ContainsFunc(logs, func(c disclose.Copied) bool { return c.Staged }) {
		return logs, nil
	}
	pins := disclose.Pins{}
	for _, p := range d.pins {
		maps.Copy(pins, p)
	}
	if len(pins) == 0 {
		r, err := d.verify(ctx, a, logs)
		if err != nil {
			return nil, err
		}
		if pins, err = rosterPins(r); err != nil {
			return nil, err
		}
	}
	for _, c := range logs {
		now, err := disclose.Place(d.out, c, pins)
		if err != nil {
			missing["the log of "+c.Operator+" at "+c.Origin] = err.Error()
			continue
		}
		placed = slices.DeleteFunc(placed, func(o disclose.Copied) bool { return o.Path == now.Path })
		placed = append(placed, now)
	}
	return placed, nil
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

// shelve copies evidence into the folder, and names it as anybody will find it there. What may open a door elsewhere stays where it is.
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
	return disclose.Shelve(d.out, kept)
}

// page writes the page. A build without the verifier for browsers writes the list of logs and the report alone, and says how to get it.
func (d *disclosing) page(a *app, r *verify.Report, b verify.Bundle) (bool, error) {
	program, err := wasm.Verifier()
	if d.wasm != "" {
		program, err = wasm.Read(d.wasm)
	}
	if errors.Is(err, wasm.ErrAbsent) {
		a.say("note: %v, or give --wasm; until then the folder has no page, and `ostraka verify` reads it", err)
		return false, disclosure.WriteData(d.out, r, b)
	}
	if err != nil {
		return false, err
	}
	return true, disclosure.Write(d.out, r, b, program)
}

func (doc disclosedDocument) print(w writer, r *verify.Report) {
	fmt.Fprint(w, line("The disclosure of %s is written to %s.\n", doc.Circle, doc.Folder))
	for _, l := range doc.Logs {
		fmt.Fprint(w, line("  %-20s %d entries, %d of them new\n", l.Operator, l.Entries, l.Grown))
	}
	if n := len(doc.Evidence); n > 0 {
		fmt.Fprint(w, line("  evidence of places: %s\n", strings.Join(doc.Evidence, ", ")))
	}
	for _, where := range slices.Sorted(maps.Keys(doc.Missing)) {
		fmt.Fprint(w, line("  NOT TAKEN: %s: %s\n", where, doc.Missing[where]))
	}
	fmt.Fprintf(w, "Host the folder on any web server. Its circle's id, which readers should learn from elsewhere too:\n  %s\n", doc.CircleID)
	if r.Failed {
		fmt.Fprint(w, line("It does not hold as it is: `ostraka verify %s` says why.\n", doc.Folder))
	}
}

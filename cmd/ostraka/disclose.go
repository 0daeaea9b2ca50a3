package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client/disclose"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/console/disclosure"
	"github.com/ostraka/ostraka/console/wasm"
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
}

// disclosedDocument is what a publication did.
type disclosedDocument struct {
	Folder   string            `json:"folder"`
	Circle   string            `json:"circle"`
	CircleID string            `json:"circle_id"`
	Logs     []disclosedLog    `json:"logs"`
	Page     bool              `json:"page"`    // it carries the verifier for browsers
	Missing  map[string]string `json:"missing"` // nodes whose logs could not be fetched, and why
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
	c.Flags().BoolVar(&d.bodies, "bodies", false, "fetch all bodies again, where a vault was published only lately")
	c.Flags().BoolVar(&d.insecure, "insecure", false, "take web servers whose certificate no authority vouches for: what they show is verified all the same")
	return c
}

func (d *disclosing) parse(a *app, args []string) error {
	if d.out == "" {
		return usage("name the folder to write: -o FOLDER")
	}
	if d.places = args; len(args) > 0 {
		return nil
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

// publish copies the logs until none is behind what another saw of it, and writes the folder.
func (d *disclosing) publish(ctx context.Context, a *app) (doc disclosedDocument, r *verify.Report, err error) {
	doc = disclosedDocument{Folder: d.out}
	var logs []disclose.Copied
	for try := 0; ; try++ {
		if logs, doc.Missing, err = d.copyAll(ctx, a); err != nil {
			return doc, nil, err
		}
		if r, err = d.verify(ctx, a, logs); err != nil {
			return doc, nil, err
		}
		if len(r.Lagging) == 0 && !r.Newer() || try == refetches {
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
	doc.Page, err = d.page(a, r, disclose.Bundle(r.Circle, time.Now(), logs))
	return doc, r, err
}

// copyAll brings each log into the folder. A node that cannot be reached keeps no other's log out; what the folder has of it stays.
func (d *disclosing) copyAll(ctx context.Context, a *app) (logs []disclose.Copied, missing map[string]string, err error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	missing = map[string]string{}
	for _, where := range d.places {
		a.progress("Reading %s", where)
		p, err := published.Open(inner, where, published.Options{Insecure: d.insecure})
		if err != nil {
			missing[where] = err.Error()
			continue
		}
		for _, s := range p.Sources {
			c, err := disclose.Copy(ctx, d.out, disclose.Log{Name: s.Name, Fetch: s.Fetch}, d.bodies)
			if err != nil {
				missing[s.Name] = err.Error()
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
		var all []error
		for where, why := range missing {
			all = append(all, fmt.Errorf("%s: %s", where, why))
		}
		return nil, missing, &problem{codeError, fmt.Errorf("%w: %w", errUnreadable, errors.Join(all...)), "check that the nodes run: `ostraka node status` at each"}
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
	return verify.Verify(sources, verify.Options{Now: time.Now(), Progress: func(p verify.Progress) error {
		a.progress("%s: entry %d of %d; %s", p.Source, p.Read, p.Of, p.Verdict)
		return nil
	}})
}

// page writes the page. A build without the verifier for browsers writes the report alone, and says how to get it.
func (d *disclosing) page(a *app, r *verify.Report, b verify.Bundle) (bool, error) {
	program, err := wasm.Verifier()
	if d.wasm != "" {
		program, err = wasm.Read(d.wasm)
	}
	if errors.Is(err, wasm.ErrAbsent) {
		a.say("note: %v, or give --wasm; until then the page shows what this program found, and how to check it by command", err)
		program, err = wasm.Program{}, nil
	}
	if err != nil {
		return false, err
	}
	return len(program.Packed) > 0, disclosure.Write(d.out, r, b, program)
}

func (doc disclosedDocument) print(w writer, r *verify.Report) {
	fmt.Fprintf(w, "The disclosure of %s is written to %s.\n", doc.Circle, doc.Folder)
	for _, l := range doc.Logs {
		fmt.Fprintf(w, "  %-20s %d entries, %d of them new\n", l.Operator, l.Entries, l.Grown)
	}
	for where, why := range doc.Missing {
		fmt.Fprintf(w, "  NOT REACHED: %s: %s\n", where, why)
	}
	fmt.Fprintf(w, "Host the folder on any web server. Its circle's id, which readers should learn from elsewhere too:\n  %s\n", doc.CircleID)
	if r.Failed {
		fmt.Fprintln(w, "It does not hold as it is: `ostraka verify "+doc.Folder+"` says why.")
	}
}

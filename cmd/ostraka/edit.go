package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/custody/statement"
)

// writeInForce writes the charter in force into a folder, and holds the files to it first.
func (a *app) writeInForce(r client.Rules, folder string, force bool) error {
	x, err := r.Charter()
	if err != nil {
		return err
	}
	text := x.Document.File()
	again, err := charter.ReadDocument([]byte(text), []byte(x.Policy))
	if err == nil && !charter.SameDocument(again, x.Document) {
		err = fmt.Errorf("they would differ in %s", strings.Join(charter.Differences(x.Document, again), ", "))
	}
	if err != nil {
		return fail(codeError, fmt.Errorf("write %s as files: %w", x.Title(), err), "nothing was written; `ostraka charter show` shows the charter: write the files from it by hand, and report this")
	}
	doc := struct {
		ID      string   `json:"id"`
		Version uint64   `json:"version"`
		Files   []string `json:"files"`
	}{x.ID.String(), x.Version, []string{filepath.Join(folder, charterFile), filepath.Join(folder, policyFile)}}
	for _, path := range doc.Files {
		if _, err := os.Lstat(path); err == nil && !force {
			return fail(codeError, fmt.Errorf("%s is there already: it is not written over", path), "name another folder, or add --force")
		}
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	for i, text := range []string{text, x.Policy} {
		write := replaceFile
		if _, err := os.Lstat(doc.Files[i]); errors.Is(err, fs.ErrNotExist) {
			write = writeNew
		}
		if err := write(doc.Files[i], text); err != nil {
			return err
		}
	}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s: version %d, id %s\n", strings.Join(doc.Files, " and "), doc.Version, doc.ID)
		fmt.Fprintf(w, "next: edit them, `ostraka charter lint %s`, then every operator: `ostraka charter amend %s`\n", folder, folder)
	})
}

// replaceFile writes over a file at once, whole or not at all, and keeps its mode; of a link, over what it leads to.
func replaceFile(path, text string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return client.Replace(path, []byte(text), info.Mode().Perm())
}

// editFlags are those of a command that edits a charter's file.
type editFlags struct{ folder, expires string }

func folderFlag(c *cobra.Command, folder *string, what string) {
	c.Flags().StringVarP(folder, "file", "f", "", what)
}

func (f *editFlags) add(c *cobra.Command) {
	folderFlag(c, &f.folder, "folder of the charter that is edited")
	if c.Name() == "add" {
		c.Flags().StringVar(&f.expires, "expires", "", "when it ends: 2027-01-31 (at 00:00 UTC) or 2027-01-31T12:00:00Z (default: never)")
	}
}

// check wants what every edit needs.
func (f editFlags) check(c *cobra.Command, args []string) error {
	if err := exactly("NAME")(c, args); err != nil {
		return err
	}
	if f.folder == "" {
		return usage("give the charter's folder with -f FOLDER; `ostraka charter show --write FOLDER` makes one of the charter in force")
	}
	if d := c.Flag("dir"); d != nil && d.Changed {
		return usage("`%s` reads no node's data folder, which --dir names: give the charter's folder with -f", c.CommandPath())
	}
	if err := statement.CheckLabel(args[0]); err != nil {
		return usage("NAME %w", err)
	}
	return nil
}

// ends reads --expires.
func (f editFlags) ends(now time.Time) (time.Time, error) {
	if f.expires == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, f.expires)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05Z", f.expires)
	}
	if err != nil {
		return t, usage("--expires %q is no date such as 2027-01-31, nor a time such as 2027-01-31T12:00:00Z", f.expires)
	}
	if !t.After(now) {
		return t, usage("--expires %s is over already", statement.FormatTime(t))
	}
	return t, nil
}

type editDocument struct {
	Name    string           `json:"name"`
	File    string           `json:"file"`
	Changes []changeDocument `json:"changes"`
	Looser  bool             `json:"looser"`
	Wait    int64            `json:"wait"` // seconds, once every operator has signed
}

// editCharter changes charter.yaml of a folder, if the result is one that lint finds nothing new in, and says what follows.
func (a *app) editCharter(folder, kind, verb, name string, change func(file, rules []byte) (charter.Edited, error)) error {
	if _, err := readCharter(folder); err != nil { // here first: its errors say how to mend the file
		return err
	}
	file, rules, err := readFiles(folder)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, charterFile)
	e, err := change(file, rules)
	if err != nil {
		return editError(err, folder, kind, name)
	}
	broken, err := review.Worse(e.Was, e.Is)
	if err != nil {
		return fail(codeError, fmt.Errorf("%s would not do as a charter any more: %w", path, err), "nothing was changed; "+nextOf(verb))
	}
	if len(broken) > 0 {
		return refused("nothing was changed; change what each of them names in "+charterFile+" too, by hand", "%s would break a control rule: %s", path, strings.Join(broken, "; "))
	}
	if now, err := readBounded(path, charter.MaxDocument); err != nil || !bytes.Equal(now, file) {
		return fail(codeError, errors.Join(fmt.Errorf("%s changed meanwhile", path), err), "nothing was changed here; close the editor that has it open, and try again")
	}
	if err := replaceFile(path, string(e.File)); err != nil {
		return err
	}
	return a.showEdit(e, folder, editDocument{Name: name, File: path, Changes: []changeDocument{}}, fmt.Sprintf("%s %s %s", verb, kind, name))
}

func nextOf(verb string) string {
	if verb == "removed" {
		return "where a rule of " + policyFile + " names what would go, change that rule first"
	}
	return "give what it names otherwise"
}

// editError says how to go on after an edit that was not made.
func editError(err error, folder, kind, name string) error {
	next := "nothing was changed; give what it names otherwise, or edit " + charterFile + " by hand"
	switch {
	case errors.Is(err, charter.ErrThere):
		next = fmt.Sprintf("give another name, or change its lines in %s by hand: `ostraka %s list -f %s` shows what stands there", charterFile, kind, folder)
	case errors.Is(err, charter.ErrNotThere):
		next = fmt.Sprintf("`ostraka %s list -f %s` shows which there are", kind, folder)
	case errors.Is(err, charter.ErrHolds):
		next = fmt.Sprintf("nothing was changed; once %s reaches none of them any more, take the name out of `access` there, then try again", name)
	case errors.Is(err, charter.ErrLayout):
		next = "nothing was changed; edit the file by hand: docs/charter.md says what each field means"
	}
	return fail(codeError, fmt.Errorf("%s: %w", filepath.Join(folder, charterFile), err), next)
}

// showEdit says what an edit changes against the file before, and what people do next.
func (a *app) showEdit(e charter.Edited, folder string, doc editDocument, did string) error {
	all, err := review.Diff(e.Was, e.Is)
	if err != nil { // a policy that lint refuses already: nothing is plainly stricter
		never := func(string) bool { return false }
		all = e.Was.Diff(e.Is, charter.Removals{Label: never, Group: never})
	}
	wait, payees := charter.Wait(e.Was, all), true
	doc.Wait = int64(wait / time.Second)
	for _, c := range all {
		doc.Changes = append(doc.Changes, changeDocument{c.What, c.Was, c.Is, c.Looser})
		doc.Looser, payees = doc.Looser || c.Looser, payees && (c.Payee || !c.Looser)
	}
	delay := map[bool]string{true: "list-delay", false: "delay"}[payees]
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s\n", did, doc.File)
		for _, c := range all {
			fmt.Fprintf(w, "  %s\n", c)
		}
		switch removal := strings.HasPrefix(did, "removed"); {
		case !doc.Looser:
			fmt.Fprintln(w, "Nothing counts until every operator has signed it; then it takes effect at once.")
		case removal && payees:
			fmt.Fprintf(w, "A rule may forbid by its label, or permit without it: it goes %s (%s) after every operator has signed.\n", delay, wait)
		default:
			fmt.Fprintf(w, "Nothing counts until every operator has signed it, and %s (%s) is over.\n", delay, wait)
		}
		fmt.Fprintf(w, "\nNext: `ostraka charter diff OLD %s` says all that differs from a folder OLD (`ostraka charter show --write OLD` writes what is in force);\nthen every operator, at its own node: `ostraka charter amend %s`.\n", folder, folder)
	})
}

// A waiting is what of one list a version of the charter that waits would change.
type waiting[T entry] struct {
	ID      string            `json:"id"`
	Version uint64            `json:"version"`
	Missing []string          `json:"missing"` // operators still to sign
	Due     map[string]string `json:"due"`     // by node, when it puts it in force
	Coming  []T               `json:"coming"`
	Going   []string          `json:"going"`
}

// An entry stands in a list of a charter under a name, and is a line of a table.
type entry interface {
	called() string
	line() string // columns between tabs
}

// listedHead begins what a list shows; the id is empty where a folder was read.
type listedHead struct {
	Charter string `json:"charter"`
	Version uint64 `json:"version"`
}

func headOf(x charter.Charter) listedHead {
	if x.ID.IsZero() {
		return listedHead{"", x.Version}
	}
	return listedHead{x.ID.String(), x.Version}
}

// printListed writes what is in force, or stands in a folder, and what waits.
func printListed[T entry](w io.Writer, x charter.Charter, folder, what string, all []T, waits []waiting[T]) {
	inForce(w, x, folder, what, len(all))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range all {
		fmt.Fprintf(t, "  %s\n", e.line())
	}
	t.Flush()
	for _, v := range waits {
		v.print(w)
	}
}

// waitingOf lists the versions that wait, nobody vetoed, and change a list.
func waitingOf[T entry](r client.Rules, of func(charter.Document) []T) []waiting[T] {
	out := []waiting[T]{}
	x, _ := r.Charter()
	was := of(x.Document)
	for _, p := range r.Pending {
		one := waiting[T]{ID: p.ID.String(), Version: p.Version, Missing: list(p.Missing), Due: map[string]string{}, Coming: []T{}, Going: []string{}}
		is := of(p.Document)
		find := func(in []T, n string) int { return slices.IndexFunc(in, func(v T) bool { return v.called() == n }) }
		for _, v := range is {
			if i := find(was, v.called()); i < 0 || !reflect.DeepEqual(was[i], v) {
				one.Coming = append(one.Coming, v)
			}
		}
		for _, v := range was {
			if find(is, v.called()) < 0 {
				one.Going = append(one.Going, v.called())
			}
		}
		if len(p.Vetoes) > 0 || len(one.Coming)+len(one.Going) == 0 {
			continue
		}
		for node, t := range p.Due {
			if !t.IsZero() {
				one.Due[node] = statement.FormatTime(t)
			}
		}
		out = append(out, one)
	}
	return out
}

// print writes what waits, each line as one that is in force.
func (v waiting[T]) print(w io.Writer) {
	fmt.Fprintf(w, "\nWAITING: version %d, id %.8s\n", v.Version, v.ID)
	for _, x := range v.Coming {
		fmt.Fprintf(w, "  comes: %s\n", strings.ReplaceAll(x.line(), "\t", "  "))
	}
	for _, name := range v.Going {
		fmt.Fprintf(w, "  goes: %s\n", name)
	}
	if len(v.Missing) > 0 {
		fmt.Fprintf(w, "  still to sign: %s\n", strings.Join(v.Missing, ", "))
	}
	for _, node := range names(v.Due) {
		fmt.Fprintf(w, "  node %s puts it in force after %s\n", node, v.Due[node])
	}
}

// listed reads what a list command shows: a folder's charter, or what is in force and what waits.
func (a *app) listed(c *cobra.Command, folder string, local bool) (client.Rules, charter.Charter, []client.Failure, error) {
	if c.Flag("file").Changed {
		if folder == "" {
			return client.Rules{}, charter.Charter{}, nil, usage("-f names no folder")
		}
		if d := c.Flag("dir"); local || d != nil && d.Changed {
			return client.Rules{}, charter.Charter{}, nil, usage("-f reads a folder and asks no node: leave --local and --dir out")
		}
		d, err := readCharter(folder)
		return client.Rules{}, charter.Charter{Document: d}, nil, err
	}
	ctx, cancel := a.within(c.Context(), 30*time.Second)
	defer cancel()
	r, failed, err := a.rules(ctx, local)
	if err != nil {
		return r, charter.Charter{}, nil, err
	}
	a.down(failed)
	x, err := r.Charter()
	if err != nil && len(r.Pending) > 0 { // the first one waits
		err = nil
	}
	return r, x, failed, err
}

// inForce heads a list.
func inForce(w io.Writer, x charter.Charter, folder, what string, n int) {
	switch {
	case folder != "":
		fmt.Fprintf(w, "%s in %s, which counts for nothing until it is signed: %d\n", what, filepath.Join(folder, charterFile), n)
	case x.ID.IsZero():
		fmt.Fprintln(w, "No charter is in force yet.")
	default:
		fmt.Fprintf(w, "%s of the charter in force, version %d, id %.8s: %d\n", what, x.Version, x.ID, n)
	}
}

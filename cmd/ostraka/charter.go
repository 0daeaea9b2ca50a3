package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/review"
	anew "github.com/ostraka/ostraka/evidence/judge"
)

// The files of a charter's folder.
const (
	charterFile = "charter.yaml"
	policyFile  = "policy.cedar"
)

func (a *app) charterCommand() *cobra.Command {
	c := &cobra.Command{Use: "charter", Short: "The circle's constitution: write it, sign it, show it, amend it; freeze a vault"}
	c.AddCommand(a.charterInitCommand(), a.charterLintCommand(), a.charterDiffCommand(), a.charterShowCommand(), a.charterSignCommand(), a.charterAmendCommand(),
		a.charterVetoCommand(), a.freezeCommand(), a.unfreezeCommand())
	return c
}

// charterFolder is a command's folder: its one argument, or the current one.
func charterFolder(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

func optionalFolder(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("`%s` takes a folder at most, not %d arguments", c.CommandPath(), len(args))
	}
	if f := c.Flag("dir"); f != nil && f.Changed { // else it would answer for another folder
		return usage("`%s` reads no node's data folder, which --dir names: give the charter's folder without --dir", c.CommandPath())
	}
	return nil
}

// readCharter reads charter.yaml and policy.cedar of a folder.
func readCharter(folder string) (charter.Document, error) {
	file, rules, err := readFiles(folder)
	if err != nil {
		return charter.Document{}, err
	}
	d, err := charter.ReadDocument(file, rules)
	if err != nil {
		return d, fail(codeError, fmt.Errorf("%s: %w", filepath.Join(folder, charterFile), err), "mend what it names, then try again; docs/charter.md says what each field means")
	}
	return d, nil
}

// readFiles reads the two files of a folder, of which the first must be filled in.
func readFiles(folder string) (file, rules []byte, err error) {
	path := filepath.Join(folder, charterFile)
	file, err = readBounded(path, charter.MaxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fail(codeError, err, fmt.Sprintf("name the folder that holds one; `ostraka charter init %s` writes one with comments, `ostraka charter show --write %s` the one in force", folder, folder))
	}
	if err != nil {
		return nil, nil, err
	}
	if open := unfilled(file); len(open) > 0 {
		return nil, nil, fail(codeError, fmt.Errorf("%s is not filled in yet: %d lines say %q: %s", path, len(open), fillIn, strings.Join(open, ", ")), "write there what is true of your circle, then try again")
	}
	rules, err = readBounded(filepath.Join(folder, policyFile), charter.MaxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fail(codeError, err, fmt.Sprintf("the rules stand in %s beside %s; `ostraka charter init` in an empty folder writes both", policyFile, charterFile))
	}
	return file, rules, err
}

// readPolicy checks the rules of a charter that was read from a folder, and the addresses that they are about.
func readPolicy(folder string, d charter.Document) (*policy.Policy, error) {
	p, err := policy.Of(d)
	if err != nil {
		return nil, fail(codeError, fmt.Errorf("charter in %s: %w", folder, err), "mend what it names, in "+policyFile+" or "+charterFile+"; spec/policy.md lists what a rule may ask about, `ostraka policy schema` the names of this charter")
	}
	return p, nil
}

// reviewIn reviews a charter that was read from a folder.
func reviewIn(folder string, d charter.Document) (review.Report, error) {
	r, err := review.Charter(d)
	for _, x := range d.Demands {
		err = cmp.Or(err, anew.CheckDemand(x))
	}
	if err != nil {
		err = fail(codeError, fmt.Errorf("charter in %s: %w", folder, err), "mend what it names in "+charterFile+", then lint again")
	}
	return r, err
}

// unfilled are the numbers of the lines that `charter init` left open and nobody filled in. All at once: each by itself is an error of another form.
func unfilled(file []byte) (lines []string) {
	n := 0
	for line := range strings.Lines(string(file)) {
		n++
		if text, _, _ := strings.Cut(line, " #"); strings.Contains(text, `"`+fillIn) {
			lines = append(lines, strconv.Itoa(n))
		}
	}
	return lines
}

// readBounded reads a file that has at most so many bytes.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return b, err
}

const fillIn = "FILL IN"

// starting is three operators, two groups and five guardians, with what only people know left open.
func starting(circle string) charter.Start {
	s := charter.Start{Circle: circle, Payee: fillIn + ": where salaries go", Refuge: fillIn + ": where assets go in an emergency, an address that none of these operators controls alone", Groups: []charter.Group{{Name: "finance", People: []string{"alice", "bob"}}, {Name: "security", People: []string{"carol"}}}}
	for i, name := range []string{"operator-a", "operator-b", "operator-c"} {
		admin := "admin-" + string(rune('a'+i))
		s.Operators = append(s.Operators, charter.StartOperator{
			Name: name, Entity: fillIn + ": legal entity of " + name, Identity: fillIn, Independent: i == 2,
			Provider: fillIn, Account: fillIn, Region: fillIn, Jurisdiction: fillIn, Hardware: fillIn, Admin: admin,
		})
		s.People = append(s.People, charter.StartPerson{Name: admin, Organisation: name, Key: fillIn + ": an SSH public key"})
	}
	for _, p := range [][2]string{{"alice", "operator-a"}, {"bob", "operator-b"}, {"carol", "operator-b"}} {
		s.People = append(s.People, charter.StartPerson{Name: p[0], Organisation: p[1], Key: fillIn + ": an SSH public key"})
	}
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		s.Guardians = append(s.Guardians, charter.StartGuardian{
			Name: "guardian-" + n, Person: "holder-" + n, Organisation: "firm-" + n, Jurisdiction: fillIn, Card: fillIn + ": the line that `ostraka guardian init` prints",
		})
	}
	return s
}

func (a *app) charterInitCommand() *cobra.Command {
	circle := ""
	c := &cobra.Command{
		Use: "init [FOLDER]", Short: "Write " + charterFile + " and " + policyFile + " with comments, to be filled in", Args: optionalFolder,
		RunE: func(_ *cobra.Command, args []string) error {
			folder := charterFolder(args)
			text, err := starting(circle).File()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(folder, 0o777); err != nil {
				return err
			}
			var paths []string
			for _, f := range []struct{ name, text string }{{charterFile, text}, {policyFile, charter.StartPolicy}} {
				path := filepath.Join(folder, f.name)
				if err := writeNew(path, f.text); err != nil {
					return err
				}
				paths = append(paths, path)
			}
			doc := struct {
				Files []string `json:"files"`
			}{paths}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintf(w, "wrote %s\n", strings.Join(paths, " and "))
				fmt.Fprintf(w, "next: fill in what says %q, then `ostraka charter lint %s`\n", fillIn, folder)
			})
		},
	}
	c.Flags().StringVar(&circle, "circle", "our circle", "name of the circle")
	return c
}

// writeNew writes a file that is not there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return fail(codeError, fmt.Errorf("%s is there already: it is not written over", path), "name another folder, or move the file away")
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (a *app) charterLintCommand() *cobra.Command {
	return &cobra.Command{
		Use: "lint [FOLDER]", Short: "Say what is wrong with a charter, and which control rules its vaults break", Args: optionalFolder,
		Long: "Reads " + charterFile + " and " + policyFile + " of a folder (default: this one) and talks to nobody.\n" +
			"Exit code 1: the files say something that no charter may say. 3: a vault breaks a control rule.",
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := readCharter(charterFolder(args))
			if err != nil {
				return err
			}
			if _, err := readPolicy(charterFolder(args), d); err != nil {
				return err
			}
			r, err := reviewIn(charterFolder(args), d)
			if err != nil {
				return err
			}
			doc := struct {
				Circle string          `json:"circle"`
				Vaults []vaultReviewed `json:"vaults"`
			}{Circle: d.Circle, Vaults: []vaultReviewed{}}
			for _, v := range r.Vaults {
				doc.Vaults = append(doc.Vaults, reviewed(v))
			}
			err = a.show(doc, func(w io.Writer) {
				for _, v := range r.Vaults {
					printNumbers(w, v, nil)
					for _, b := range v.Broken {
						fmt.Fprintf(w, "  broken: %v\n", b)
					}
					for _, n := range v.Notes {
						fmt.Fprintf(w, "  note: %s\n", n)
					}
				}
				if r.Broken() == 0 {
					fmt.Fprintf(w, "The files say nothing that a charter may not, and no vault breaks a control rule.\nNext: `ostraka policy test` tries the rules, `ostraka control whatif` what may be lost.\n")
				}
			})
			if n := r.Broken(); err == nil && n > 0 {
				err = refused("change what each of them names, then lint again", "control rules that the charter breaks: %d; the first is: %v", n, firstBroken(r))
			}
			return err
		},
	}
}

func firstBroken(r review.Report) string {
	for _, v := range r.Vaults {
		for _, b := range v.Broken {
			return fmt.Sprintf("vault %s: %v", v.Name, b)
		}
	}
	return ""
}

// vaultReviewed is a vault's control numbers, and what it breaks.
type vaultReviewed struct {
	Name    string           `json:"name"`
	Numbers []numberDocument `json:"numbers"`
	Spend   spendDocument    `json:"spend"`
	Broken  []breachDocument `json:"broken"`
	Notes   []string         `json:"notes"`
}

type numberDocument struct {
	Kind  string            `json:"kind"`
	Steal coalitionDocument `json:"steal"`
	Halt  coalitionDocument `json:"halt"`
	Lose  coalitionDocument `json:"lose"`

	Attested *coalitionDocument `json:"attested_steal,omitempty"`
}

// coalitionDocument: size null means that no domains of this kind suffice.
type coalitionDocument struct {
	Size       *int       `json:"size"`
	Coalitions [][]string `json:"coalitions"`
	More       bool       `json:"more"`
}

type spendDocument struct {
	Persons       coalitionDocument `json:"persons"`
	Organisations coalitionDocument `json:"organisations"`
}

type breachDocument struct {
	Rule   string   `json:"rule"`
	Have   int      `json:"have"`
	Want   int      `json:"want"`
	Who    []string `json:"who"`
	WayOut string   `json:"way_out"`
	Text   string   `json:"text"`
}

func coalitionOf(n control.Number) coalitionDocument {
	out := coalitionDocument{Coalitions: [][]string{}, More: n.More}
	if n.Size > 0 {
		out.Size = &n.Size
	}
	for _, c := range n.Coalitions {
		out.Coalitions = append(out.Coalitions, c)
	}
	return out
}

func reviewed(v review.Vault) vaultReviewed {
	out := vaultReviewed{Name: v.Name, Spend: spendDocument{coalitionOf(v.Spend.Persons), coalitionOf(v.Spend.Organisations)}, Broken: []breachDocument{}, Notes: append([]string{}, v.Notes...)}
	for _, f := range v.Figures {
		out.Numbers = append(out.Numbers, numberDocument{f.Kind.String(), coalitionOf(f.Steal), coalitionOf(f.Halt), coalitionOf(f.Lose), nil})
	}
	for _, b := range v.Broken {
		out.Broken = append(out.Broken, breachDocument{b.Rule, b.Have, b.Want, append([]string{}, b.Who...), b.WayOut, b.Error()})
	}
	return out
}

// printNumbers writes a vault's control numbers as a table, beside those who steal what of it is attested, where that was weighed. Spend stands
// apart: it takes no key.
func printNumbers(w io.Writer, v review.Vault, sure []control.Figure) {
	fmt.Fprintf(w, "vault %s\n", v.Name)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := ""
	if sure != nil {
		head = "\tas attested"
	}
	fmt.Fprintf(t, "  kind\tsteal%s\thalt\tlose\ta smallest coalition that steals\n", head)
	for k, f := range v.Figures {
		known := ""
		if sure != nil {
			known = "\t" + sizeOf(sure[k].Steal)
			if f.Kind == control.Organisation {
				known = "\t"
			}
		}
		fmt.Fprintf(t, "  %v\t%s%s\t%s\t%s\t%s\n", f.Kind, sizeOf(f.Steal), known, sizeOf(f.Halt), sizeOf(f.Lose), someOf(f.Steal))
	}
	t.Flush()
	if v.SOS {
		fmt.Fprintln(w, "  lose counts on SOS with the guardians")
	}
	fmt.Fprintf(w, "  spend, within policy: %s persons, %s organisations (%s)\n", sizeOf(v.Spend.Persons), sizeOf(v.Spend.Organisations), someOf(v.Spend.Persons))
}

func sizeOf(n control.Number) string {
	if n.Size == 0 {
		return "–"
	}
	return fmt.Sprint(n.Size)
}

func someOf(n control.Number) string {
	if n.Size == 0 {
		return "none suffices"
	}
	text := strings.Join(n.Coalitions[0], ", ")
	if n.More || len(n.Coalitions) > 1 {
		text += ", or others"
	}
	return text
}

type changeDocument struct {
	What   string `json:"what"`
	Was    string `json:"was,omitempty"`
	Is     string `json:"is,omitempty"`
	Looser bool   `json:"looser"`
}

func (a *app) charterDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff OLD NEW", Short: "Say what differs between the charters of two folders, and what of it is looser", Args: exactly("OLD", "NEW"),
		Long: "Every operator signs either. What is stricter is in force once all have signed; what is looser then waits for the charter's delay,\n" +
			"or for list-delay if only payees are looser.",
		RunE: func(_ *cobra.Command, args []string) error {
			was, err := readCharter(args[0])
			if err != nil {
				return err
			}
			is, err := readCharter(args[1])
			if err != nil {
				return err
			}
			for i, d := range []charter.Document{was, is} {
				if _, err := readPolicy(args[i], d); err != nil {
					return err
				}
			}
			all, err := review.Diff(was, is)
			if err != nil {
				return err
			}
			doc := struct {
				Looser  bool             `json:"looser"`
				Changes []changeDocument `json:"changes"`
				Renewed []string         `json:"renewed"` // vaults that make new shares by themselves
			}{Changes: []changeDocument{}, Renewed: append([]string{}, was.Renewed(is)...)}
			for _, c := range all {
				doc.Changes = append(doc.Changes, changeDocument{c.What, c.Was, c.Is, c.Looser})
				doc.Looser = doc.Looser || c.Looser
			}
			return a.show(doc, func(w io.Writer) {
				for _, c := range all {
					fmt.Fprintln(w, c)
				}
				switch {
				case len(all) == 0:
					fmt.Fprintln(w, "nothing differs")
				case doc.Looser:
					fmt.Fprintf(w, "looser in part: once every operator has signed, it waits for %s\n", charter.Wait(was, all))
				default:
					fmt.Fprintln(w, "stricter only: it is in force once every operator has signed")
				}
				for _, line := range renewal(doc.Renewed) {
					fmt.Fprintln(w, line)
				}
			})
		},
	}
}

// renewal says what another plan or another guardian's card does to backups.
func renewal(vaults []string) (lines []string) {
	for _, v := range vaults {
		lines = append(lines, fmt.Sprintf("NEW SHARES: once it is in force, the nodes make new shares of vault %s by themselves, for its SOS plan or a guardian's card is another. "+
			"That voids every export and sheet of paper that was cut of it before: cut them again then; `ostraka backup coverage` lists them.", v))
	}
	return lines
}

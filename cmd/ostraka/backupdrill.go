package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/backup/paper"
	"github.com/ostraka/ostraka/custody/statement"
	node "github.com/ostraka/ostraka/node/backup"
)

// drillFlags are those of a drill.
type drillFlags struct {
	key, identity, passFile string // key: a guardian's, the program's --key
	sheets                  []string
	vaults                  []string
	operator                string
	ask, request, out, send string
}

func (a *app) backupDrillCommand() *cobra.Command {
	var x drillFlags
	c := &cobra.Command{
		Use: "drill [EXPORT]", Short: "Show that a backup opens, without anything of it leaving: a guardian's values, an operator's export or sheets", Args: oneAtMost,
		Long: "A guardian gives --key, their key file: what each epoch encrypted to them is checked, opened, and a proof is made that they can. An operator gives the export, or all of --sheet: it is restored\n" +
			"in a process of its own, in memory, and a proof made that share and mask are known. The proof reveals nothing. It is over a fresh checkpoint, goes to every node, and stands in every log. Nobody\n" +
			"else needs to sign it, so anybody may carry it: --ask writes what is needed into a file, --request with --out makes the proof of it where no network is, and --send hands it in, within a day.\n" +
			"A full restore drill is of a drill vault: restore every operator's export into new folders (`ostraka backup restore`), and sign something. Never restore a vault of value beside its nodes.",
		Example: "  ostraka backup drill --key guardian.age\n  ostraka backup drill --ask drill.request\n  ostraka backup drill --key guardian.age --request drill.request --out drill.answer   # offline\n" +
			"  ostraka backup drill --send drill.answer\n  ostraka backup drill acme.ostraka-export --identity key.txt\n  ostraka backup drill --sheet one.txt --sheet two.txt --operator acme",
	}
	f := c.Flags()
	f.StringVarP(&x.identity, "identity", "i", "", "private key that opens the key file, or the export")
	f.StringVar(&x.passFile, "passphrase-file", "", "file with the key file's passphrase, mode 0600 (default: it is asked for)")
	f.StringArrayVar(&x.sheets, "sheet", nil, "file with one sheet's lines, as printed on it (repeat for each)")
	f.StringArrayVar(&x.vaults, "vault", nil, "of these vaults alone (may be repeated)")
	f.StringVar(&x.operator, "operator", "", "who drills, where --ask or --sheet does not say")
	f.StringVar(&x.ask, "ask", "", "write what a drill is made over into this file")
	f.StringVar(&x.request, "request", "", "make the drill of such a file, without a network")
	f.StringVar(&x.out, "out", "", "write the proof into this file; - for standard output")
	f.StringVar(&x.send, "send", "", "hand in such a proof")
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx, cancel := a.within(c.Context(), exportTimeout)
		defer cancel()
		export := ""
		if len(args) > 0 {
			export = args[0]
		}
		if export == "" && len(x.sheets) == 0 && x.ask == "" && x.send == "" { // else --key is somebody's who reads, or nobody's
			x.key = a.key
		}
		return a.backupDrill(ctx, export, x)
	}
	return c
}

func (a *app) backupDrill(ctx context.Context, export string, x drillFlags) error {
	sources := 0
	for _, given := range []bool{x.key != "", export != "", len(x.sheets) > 0} {
		if given {
			sources++
		}
	}
	switch {
	case x.send != "" && sources == 0 && x.ask == "" && x.request == "":
		return a.sendDrill(ctx, x.send)
	case x.ask != "" && sources == 0 && x.send == "" && x.request == "":
		return a.askDrill(ctx, x)
	case x.send != "" || x.ask != "" || sources != 1:
		return usage("give one of: a guardian's --key; an EXPORT with --identity; --sheet for each sheet; --ask FILE; --send FILE")
	case export != "" && x.identity == "":
		return usage("give --identity: the private key that opens the export")
	case (x.request == "") != (x.out == ""):
		return usage("give --request and --out together: a drill without a network is made of one file into another")
	case len(x.sheets) > 0 && x.request == "" && x.operator == "":
		return usage("give --operator: whose sheets they are")
	case x.request != "":
		return a.drillOffline(ctx, export, x)
	}
	return a.drillNow(ctx, export, x)
}

type drillDocument struct {
	Drills  []drilledDocument `json:"drills"`
	Spoiled []spoiledDocument `json:"spoiled"`
	File    string            `json:"file,omitempty"`
	Taken   []string          `json:"taken"` // nodes
	Failed  []failureDocument `json:"failed"`
}

type drilledDocument struct {
	ID      string   `json:"id"`
	Vault   string   `json:"vault"` // its id
	Key     string   `json:"key"`
	Epoch   string   `json:"epoch"`
	Role    string   `json:"role"`
	By      string   `json:"by"`
	Level   string   `json:"level,omitempty"`
	Mask    bool     `json:"mask"`
	Created string   `json:"created"`
	Spoiled []string `json:"spoiled"` // dealers
}

type spoiledDocument struct {
	Vault  string `json:"vault"`
	Suite  string `json:"suite"`
	Dealer string `json:"dealer"`
	Rows   []int  `json:"rows"`
}

func drillDocumentOf(all []statement.Statement, spoiled []client.Spoiled) (drillDocument, error) {
	d := drillDocument{Drills: []drilledDocument{}, Spoiled: []spoiledDocument{}, Taken: []string{}, Failed: []failureDocument{}}
	for _, s := range all {
		x, err := drill.Of(s)
		if err != nil {
			return d, err
		}
		d.Drills = append(d.Drills, drilledDocument{
			ID: x.ID.String(), Vault: x.Vault.String(), Key: fmt.Sprintf("%x", x.Key), Epoch: fmt.Sprintf("%x", x.Epoch), Role: x.Role, By: x.By, Level: string(x.Level), Mask: x.Mask != nil,
			Created: statement.FormatTime(x.Created), Spoiled: list(x.Spoiled),
		})
	}
	for _, s := range spoiled {
		d.Spoiled = append(d.Spoiled, spoiledDocument(s))
	}
	return d, nil
}

func (d drillDocument) print(w io.Writer) {
	for _, x := range d.Drills {
		what := "what the epoch encrypted to them opens"
		if x.Role == drill.Operator {
			what = "share restored from " + x.Level
			if x.Mask {
				what = "share and mask restored from " + x.Level
			}
		}
		fmt.Fprintf(w, "%s %s, vault %.8s, key %.12s, epoch %.12s: %s\n", x.Role, x.By, x.Vault, x.Key, x.Epoch, what)
	}
	for _, s := range d.Spoiled {
		fmt.Fprintf(w, "ALARM: vault %s, %s: dealer %s spoiled rows %v of what it encrypted to you. Yours could be had all the same. That is no accident: tell the other operators.\n", s.Vault, s.Suite, s.Dealer, s.Rows)
	}
	if len(d.Taken) > 0 {
		fmt.Fprintf(w, "Taken by: %s. It goes from there to every node, and stands in every log.\n", strings.Join(d.Taken, ", "))
	}
	if d.File != "" {
		fmt.Fprintf(w, "The proof is in %s; there is no secret in it.\n\nNext: `ostraka backup drill --send %s`, from anywhere, within a day of when the request was made.\n", d.File, d.File)
	}
}

// publicCircle is the context's nodes, for whom no key is needed.
func (a *app) publicCircle() (*client.Circle, error) {
	_, c, err := a.chosen()
	if err != nil {
		return nil, err
	}
	return client.Dial(c, nil, client.Cache{}), nil
}

func (a *app) drillRequest(ctx context.Context, by string, vaults []string) (drill.Request, error) {
	c, err := a.publicCircle()
	if err != nil {
		return drill.Request{}, err
	}
	defer c.Close()
	r, failed, err := c.DrillRequest(ctx, by, vaults)
	a.down(failed)
	return r, err
}

func (a *app) askDrill(ctx context.Context, x drillFlags) error {
	r, err := a.drillRequest(ctx, x.operator, x.vaults)
	if err != nil {
		return err
	}
	if err := writeNew(x.ask, string(r.Encode())); err != nil {
		return err
	}
	doc := struct {
		File string `json:"file"`
		Keys int    `json:"keys"`
	}{x.ask, len(r.Keys)}
	keys := "one key"
	if doc.Keys != 1 {
		keys = fmt.Sprintf("%d keys", doc.Keys)
	}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds what a drill of %s is made over. There is no secret in it; it serves for a day.\n\nNext: where the guardian's key is, `ostraka backup drill --key FILE --request %s --out drill.answer`.\n", x.ask, keys, x.ask)
	})
}

func (a *app) sendDrill(ctx context.Context, path string) error {
	raw, err := a.readAs("--send", path, fileDrillAnswer, drill.MaxAnswer)
	if err != nil {
		return err
	}
	all, err := drill.DecodeAnswer(raw)
	if err != nil {
		return a.damagedFile("--send", path, fileDrillAnswer, err)
	}
	return a.handInDrills(ctx, all, nil)
}

// handInDrills brings drills to every node.
func (a *app) handInDrills(ctx context.Context, all []statement.Statement, spoiled []client.Spoiled) error {
	c, err := a.publicCircle()
	if err != nil {
		return err
	}
	defer c.Close()
	d, err := drillDocumentOf(all, spoiled)
	if err != nil {
		return err
	}
	taken, failed, err := c.SendDrills(ctx, all)
	if err != nil {
		return fail(explain(err).Code, err, "the proof was made, and no node took it: `ostraka backup drill` again makes a new one")
	}
	d.Taken, d.Failed = list(taken), failuresOf(failed)
	a.down(failed)
	return a.show(d, d.print)
}

// drillNow fetches, proves and hands in. An operator's bundle is opened in another process, which has no network, and ends with what it opened.
func (a *app) drillNow(ctx context.Context, export string, x drillFlags) error {
	by := x.operator
	if export != "" {
		f, _, h, err := a.anExport(ctx, export)
		if err != nil {
			return err
		}
		f.Close()
		by = h.Operator
	}
	if err := a.lookFirst(x); err != nil {
		return err
	}
	r, err := a.drillRequest(ctx, by, x.vaults)
	if err != nil {
		return err
	}
	if x.key != "" {
		all, spoiled, err := a.drillGuardian(r, x)
		if err != nil {
			return err
		}
		return a.handInDrills(ctx, all, spoiled)
	}
	all, err := a.drillApart(ctx, export, r, x)
	if err != nil {
		return err
	}
	return a.handInDrills(ctx, all, nil)
}

// lookFirst refuses what opens nothing before any node is asked.
func (a *app) lookFirst(x drillFlags) error {
	if x.key != "" {
		if _, err := a.readAs("--key", x.key, fileGuardianKey, maxKeyFile); err != nil {
			return err
		}
	}
	for _, path := range x.sheets {
		if err := a.lookAs("--sheet", path, fileSheet); err != nil {
			return err
		}
	}
	return nil
}

// drillApart has this program run again, as a drill without a network: what it opens is in that process's memory alone.
func (a *app) drillApart(ctx context.Context, export string, r drill.Request, x drillFlags) ([]statement.Statement, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer in.Close()
	args := []string{"backup", "drill", "--request", "/dev/fd/3", "--out", "-"}
	if x.identity != "" {
		args = append(args, "--identity", x.identity)
	}
	for _, s := range x.sheets {
		args = append(args, "--sheet", s)
	}
	if export != "" {
		args = append(args, "--", export)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	var answer bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = a.in, &answer, a.err, []*os.File{in}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", binary, err), out.Close())
	}
	_, wrote := out.Write(r.Encode())
	wrote = errors.Join(wrote, out.Close())
	if err := cmd.Wait(); err != nil {
		return nil, unverified("see what it says above; `ostraka backup restore EXPORT --check` says whether the export opens", "the process that opens the backup: %w", err)
	}
	if wrote != nil {
		return nil, fmt.Errorf("hand the request over: %w", wrote)
	}
	return drill.DecodeAnswer(answer.Bytes())
}

// drillOffline makes the proof of one file into another.
func (a *app) drillOffline(ctx context.Context, export string, x drillFlags) error {
	raw, err := a.readAs("--request", x.request, fileDrillRequest, drill.MaxRequest)
	if err != nil {
		return err
	}
	r, err := drill.DecodeRequest(raw)
	if err != nil {
		return a.damagedFile("--request", x.request, fileDrillRequest, err)
	}
	if len(x.vaults) > 0 {
		r.Keys = slices.DeleteFunc(r.Keys, func(k drill.Asked) bool { return !slices.Contains(x.vaults, k.Name) })
	}
	var all []statement.Statement
	var spoiled []client.Spoiled
	switch {
	case x.key != "":
		all, spoiled, err = a.drillGuardian(r, x)
	case export != "":
		all, err = a.drillExport(ctx, export, r, x)
	default:
		all, err = a.drillSheets(r, x.sheets)
	}
	if err != nil {
		return err
	}
	if x.out == "-" {
		_, err := a.out.Write(drill.EncodeAnswer(all))
		a.printed = true
		return err
	}
	if err := writeNew(x.out, string(drill.EncodeAnswer(all))); err != nil {
		return err
	}
	d, err := drillDocumentOf(all, spoiled)
	if err != nil {
		return err
	}
	d.File = x.out
	return a.show(d, d.print)
}

func (a *app) drillGuardian(r drill.Request, x drillFlags) ([]statement.Statement, []client.Spoiled, error) {
	sealed, err := a.readAs("--key", x.key, fileGuardianKey, maxKeyFile)
	if err != nil {
		return nil, nil, err
	}
	k, err := a.openGuardianFile(x.key, sealed, x.identity, x.passFile)
	if err != nil {
		return nil, nil, err
	}
	defer k.Wipe()
	all, spoiled, err := client.DrillGuardian(r, k, time.Now(), rand.Reader)
	if err != nil {
		return nil, nil, unverified("see that it is the key of the card in the charter; ask for a new request; if it still fails, tell the operators: they make new shares with `ostraka vault refresh`", "the drill of %s: %w", x.key, err)
	}
	return all, spoiled, nil
}

func (a *app) drillExport(ctx context.Context, path string, r drill.Request, x drillFlags) ([]statement.Statement, error) {
	if err := a.lookAs("", path, fileExport); err != nil {
		return nil, err
	}
	f, err := seekable(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids, err := a.identities(x.identity)
	if err != nil {
		return nil, err
	}
	o, err := node.Open(f, ids...)
	if err != nil {
		return nil, unverified("check the private key; else take another copy of the export", "open %s: %w", path, err)
	}
	defer o.Wipe()
	all, err := client.DrillExport(r, o, time.Now(), rand.Reader)
	if err != nil {
		return nil, unverified("cut a new export: `ostraka backup cut --level export`", "the drill of %s: %w", path, err)
	}
	return all, nil
}

// maxSheet is how long a sheet's text may be, in bytes.
const maxSheet = 8 << 10

// drillSheets drills every set of the sheets.
func (a *app) drillSheets(r drill.Request, paths []string) (all []statement.Statement, err error) {
	sets := map[[32]byte][]paper.Sheet{}
	var order [][32]byte
	for _, path := range paths {
		raw, err := a.readAs("--sheet", path, fileSheet, maxSheet)
		if err != nil {
			return nil, err
		}
		s, err := paper.Typed(string(raw))
		clear(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		defer s.Wipe()
		if len(sets[s.Key]) == 0 {
			order = append(order, s.Key)
		}
		sets[s.Key] = append(sets[s.Key], s)
	}
	for _, key := range order {
		b, err := paper.Restore(sets[key])
		if err != nil {
			return nil, unverified("see which sheet was mistyped", "%w", err)
		}
		st, err := client.DrillPaper(r, b, time.Now(), rand.Reader)
		b.Wipe()
		if err != nil {
			return nil, unverified("make new sheets: `ostraka backup cut --level paper`", "%w", err)
		}
		all = append(all, st)
	}
	return all, nil
}

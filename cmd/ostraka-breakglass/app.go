package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/stamp"
)

const (
	codeDone       = cli.Done
	codeError      = cli.Failed
	codeUsage      = cli.Misused
	codeRefused    = cli.WasRefused
	codeUnverified = cli.DoesNotHold
	codeNotReady   = cli.IsNotReady
)

var usage, refused, unverified, fail, exactly, oneLine = cli.Usage, cli.Refused, cli.Unverified, cli.Fail, cli.Exactly, cli.OneLine

// app is one run of the program. Its clock can be set by tests alone.
type app struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
}

func run(args []string, in io.Reader, out, errs io.Writer) int {
	return (&app{in, out, errs, time.Now}).run(args)
}

func (a *app) run(args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	c, err := root.ExecuteC()
	if err == nil {
		return codeDone
	}
	p := fail(codeError, err, "")
	if !errors.As(err, &p) && (strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag")) {
		p.Code = codeUsage
	}
	return p.Tell(a.err, nil, c)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "ostraka-breakglass", Short: "END CUSTODY: put a vault's whole keys together from backups, when the software itself is dead",
		Long: warning + "\n\nThree steps: `prepare` writes the statement, two witnesses of two organisations sign it with their SSH keys, `open` takes signatures and pieces.\n" +
			"Work on a machine without a network that is wiped afterwards. docs/breakglass.md goes through it, and through what comes after.",
		SilenceErrors: true, SilenceUsage: true, CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true}, Version: stamp.Line(),
	}
	root.AddCommand(a.prepareCommand(), a.openCommand(), a.checkCommand(), a.signCommand())
	cli.Strict(root)
	return root
}

const warning = `*** BREAKGLASS ENDS THE CUSTODY OF A VAULT ***
After it ONE holder has the whole keys. No operator, approval, policy, limit, delay or veto protects the money any more, and nothing
undoes it: a key that was whole once is whole for ever. Every operator and every witness answers for it in public.
Do it only when no node can sign, reshare (ostraka vault reshare) or rescue (ostraka sos) any more.`

// loud prints the warning, framed, with the vault's name.
func (a *app) loud(vault string) {
	frame := strings.Repeat("!", 78)
	fmt.Fprintf(a.err, "%s\n%s\nVAULT: %s\n%s\n\n", frame, warning, oneLine(vault), frame)
}

// readCharter reads the folder that `ostraka charter show --write` writes, or that the circle signed.
func readCharter(folder string) (charter.Document, error) {
	var d charter.Document
	if folder == "" {
		return d, usage("give --charter: the folder with charter.yaml and policy.cedar")
	}
	file, err := readBounded(filepath.Join(folder, "charter.yaml"), charter.MaxDocument)
	if err != nil {
		return d, err
	}
	rules, err := readBounded(filepath.Join(folder, "policy.cedar"), charter.MaxDocument)
	if err != nil {
		return d, err
	}
	if d, err = charter.ReadDocument(file, rules); err != nil {
		return d, fmt.Errorf("charter in %s: %w", folder, err)
	}
	return d, nil
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

// create writes a new file of mode 0600 and never over another.
func create(path string, b []byte) error {
	if err := client.CreatePrivate(path, b); errors.Is(err, fs.ErrExist) {
		return fail(codeError, fmt.Errorf("%s is there already: it is not written over", path), "name another file")
	} else if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// absent refuses names that something has, before anything secret is opened.
func absent(paths ...string) error {
	for _, path := range paths {
		if err := client.Absent(path); errors.Is(err, fs.ErrExist) {
			return fail(codeError, fmt.Errorf("%s is there already: it is not written over", path), "name another file")
		} else if err != nil {
			return err
		}
	}
	return nil
}

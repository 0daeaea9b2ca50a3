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
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node"
)

// Exit codes, as those of ostraka (spec/people).
const (
	codeDone       = 0
	codeError      = 1
	codeUsage      = 2
	codeRefused    = 3
	codeUnverified = 4
	codeNotReady   = 5
)

// app is one run of the program. Its clock can be set by tests alone.
type app struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
}

// A problem is an error with its exit code and what to do next.
type problem struct {
	code int
	err  error
	next string
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

func usage(format string, args ...any) error {
	return &problem{code: codeUsage, err: fmt.Errorf(format, args...)}
}

func refused(next, format string, args ...any) error {
	return &problem{codeRefused, fmt.Errorf(format, args...), next}
}

func unverified(next, format string, args ...any) error {
	return &problem{codeUnverified, fmt.Errorf(format, args...), next}
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
	p := &problem{codeError, err, ""}
	if !errors.As(err, &p) && (strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag")) {
		p.code = codeUsage
	}
	if p.code == codeUsage && p.next == "" {
		p.next = fmt.Sprintf("see `%s --help`", c.CommandPath())
	}
	fmt.Fprintf(a.err, "ostraka-breakglass: %s\n", oneLine(err.Error()))
	if p.next != "" {
		fmt.Fprintf(a.err, "  next: %s\n", oneLine(p.next))
	}
	return p.code
}

// oneLine keeps words of files and of what they hold from looking like lines of the program's own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "ostraka-breakglass", Short: "END CUSTODY: put a vault's whole keys together from backups, when the software itself is dead",
		Long: warning + "\n\nThree steps: `prepare` writes the statement, two witnesses of two organisations sign it with their SSH keys, `open` takes signatures and pieces.\n" +
			"Work on a machine without a network that is wiped afterwards. docs/breakglass.md goes through it, and through what comes after.",
		SilenceErrors: true, SilenceUsage: true, CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true}, Version: node.Version(),
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	root.AddCommand(a.prepareCommand(), a.openCommand(), a.checkCommand(), a.signCommand())
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

func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usage("%d arguments were given; this takes %d: %s", len(args), len(names), strings.Join(names, " "))
		}
		return nil
	}
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
		return &problem{codeError, fmt.Errorf("%s is there already: it is not written over", path), "name another file"}
	} else if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// absent refuses names that something has, before anything secret is opened.
func absent(paths ...string) error {
	for _, path := range paths {
		if err := client.Absent(path); errors.Is(err, fs.ErrExist) {
			return &problem{codeError, fmt.Errorf("%s is there already: it is not written over", path), "name another file"}
		} else if err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/cli"
	"github.com/ostraka/ostraka/internal/stamp"
)

// app is one run of the program: its global flags and its three streams.
type app struct {
	json    bool
	context string
	key     string
	timeout time.Duration
	dir     string

	watched   string // name of a watch, whose receivers are meant
	noBrowser bool
	pages     pages

	in       io.Reader
	out, err io.Writer
	ends     <-chan struct{} // closed when a signal asks to end
	parsed   bool            // the flags were understood
	ran      string          // the command, as people type it
	printed  bool            // the one JSON document was written
}

// run does one command and returns the exit code.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: in, out: out, err: errs, ends: ctx.Done()}
	defer a.closePages()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return codeDone
	}
	// A mistake that ends the reading of flags may stand before --json.
	a.json = a.json || !a.parsed && slices.Contains(args, "--json")
	return a.fails(cmd, err)
}

// fails tells what happened and what to do next.
func (a *app) fails(cmd *cobra.Command, err error) int {
	p := explain(err)
	if p.Code == codeRefused && p.Next == "" && strings.HasPrefix(cmd.CommandPath(), "ostraka tx ") {
		p.Next = "`ostraka tx explain ID` shows each node's rule and reason"
	}
	var document io.Writer
	if a.json && !a.printed {
		a.printed, document = true, a.out
	}
	return p.Tell(a.err, document, cmd)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ostraka",
		Short: "Self-hosted custody in which no one can own the wallet",
		Long: "Ostraka is self-hosted MPC custody: every operator runs a node and holds a share, none can sign alone,\n" +
			"and people ask every node and compare the answers.\n\nStart with `ostraka demo`: three operators on this machine.",
		SilenceErrors: true, SilenceUsage: true, Version: stamp.Line(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRun:  func(c *cobra.Command, _ []string) { a.parsed, a.ran = true, c.CommandPath() },
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print one JSON document on stdout, and nothing else there")
	f.StringVar(&a.context, "context", "", "circle of nodes to talk to, of the contexts file (default: the current one)")
	f.StringVar(&a.key, "key", os.Getenv("OSTRAKA_KEY"), "key to sign with: a private SSH key file, a public one whose key the ssh-agent holds, or a file with a passkey's line, which signs on a page (default: $OSTRAKA_KEY, else the agent's only key)")
	f.BoolVar(&a.noBrowser, "no-browser", false, "when a passkey is asked for, print the page's address and open no browser")
	f.DurationVar(&a.timeout, "timeout", 0, "give up waiting after so long (default: what suits the command)")
	f.StringVar(&a.dir, "dir", defaultDir(), "data folder of the operator's own node")
	root.AddCommand(a.nodeCommand(), a.providerCommand(), a.contextCommand(), a.operatorCommand(), a.vaultCommand(), a.accountCommand(), a.coinCommand(), a.nonceCommand(),
		a.addressCommand(), a.txCommand(), a.sessionCommand(), a.doctorCommand(), a.demoCommand(), a.rehearseCommand(), a.benchCommand(), a.versionCommand(),
		a.charterCommand(), a.payeeCommand(), a.personCommand(), a.controlCommand(), a.policyCommand(), a.reportCommand(), a.notifyCommand(), a.logCommand(), a.verifyCommand(), a.watchCommand(), a.discloseCommand(), a.guardianCommand(), a.backupCommand(), a.sosCommand())
	cli.Strict(root)
	return root
}

func defaultDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ".ostraka"
	}
	return filepath.Join(home, ".ostraka")
}

// intentID wants one argument: an intent's id, or its first digits.
func intentID(c *cobra.Command, args []string) error {
	if err := exactly("ID")(c, args); err != nil {
		return err
	}
	return client.CheckIntentID(args[0])
}

// show prints the result: as the one JSON document, or as text.
func (a *app) show(doc any, text func(w io.Writer)) error {
	if !a.json {
		text(cli.Writer{Writer: a.out})
		return nil
	}
	a.printed = true
	return writeDocument(a.out, doc)
}

// say tells people something beside the result.
func (a *app) say(format string, args ...any) { fmt.Fprintln(a.err, line(format, args...)) }

// down names the nodes that did not answer.
func (a *app) down(failures []client.Failure) {
	for _, f := range failures {
		a.say("note: node %s: %s", f.Node, f.Reason())
	}
}

// terminal says whether somebody watches stderr.
func (a *app) terminal() bool {
	f, ok := a.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress writes over one line of a terminal; elsewhere it is silent.
func (a *app) progress(format string, args ...any) {
	if a.terminal() {
		fmt.Fprint(a.err, "\r\x1b[K"+oneLine(line(format, args...)))
	}
}

func (a *app) progressEnds() {
	if a.terminal() {
		fmt.Fprint(a.err, "\r\x1b[K")
	}
}

// within bounds a command's waiting.
func (a *app) within(ctx context.Context, suits time.Duration) (context.Context, context.CancelFunc) {
	if a.timeout > 0 {
		suits = a.timeout
	}
	return context.WithTimeout(ctx, suits)
}

// chosen is the context that is talked to, and the contexts file.
func (a *app) chosen() (path string, c client.Context, err error) {
	if path, err = client.ContextsPath(); err != nil {
		return path, c, err
	}
	all, err := client.LoadContexts(path)
	if err != nil {
		return path, c, err
	}
	if c, err = all.Get(a.context); err != nil {
		next := "name the nodes you talk to: `ostraka context add NAME HOST:PORT IDENTITY`"
		if len(all.All) > 0 {
			next = "`ostraka context list` shows your contexts, `ostraka context use CONTEXT` uses one"
		}
		err = fail(codeError, err, next)
	}
	return path, c, err
}

// circle dials the nodes of the chosen context as the person with the key.
func (a *app) circle(ctx context.Context) (*client.Circle, error) {
	path, c, err := a.chosen()
	if err != nil {
		return nil, err
	}
	s, err := a.signer(ctx)
	if err != nil {
		return nil, err
	}
	a.pages.nodes = c.Nodes
	out := client.Dial(c, s, client.Cache{Dir: tokensBeside(path)})
	if s.Key().Outside() { // a page takes longer than a call may
		if err := out.LogIn(ctx); err != nil {
			out.Close()
			return nil, err
		}
	}
	return out, nil
}

// tokensBeside is the folder of tokens.
func tokensBeside(contexts string) string { return filepath.Join(filepath.Dir(contexts), "tokens") }

// signer is the person's key.
func (a *app) signer(ctx context.Context) (*client.Signer, error) {
	if a.key == "" {
		return client.AgentKey(ctx, nil)
	}
	s, err := client.KeyFile(ctx, a.key, func() ([]byte, error) { return a.askSecret("Passphrase of " + a.key + ": ") })
	var outside *client.OutsideError
	if errors.As(err, &outside) {
		if _, ok := outside.Key.Passkey(); ok {
			return a.passkeySigner(outside.Key), nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail(codeError, err, "give a key file that exists: --key FILE or $OSTRAKA_KEY")
	}
	return s, err
}

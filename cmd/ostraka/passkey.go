package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/console"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// pages are those on which a passkey signs in this run, served from the first that is needed until the command ends.
type pages struct {
	mu    sync.Mutex
	page  *console.Page
	shown map[statement.ID]console.Shown // of votes, by the intent whose facts they show
	nodes []client.Node
}

// page serves an origin, and leads the browser there.
func (a *app) page(origin string) (*console.Page, error) {
	p := &a.pages
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.page != nil {
		return p.page, nil
	}
	s, err := console.Open(origin)
	switch {
	case errors.Is(err, console.ErrOrigin):
		return nil, fail(codeError, err, "make a passkey of this machine's own pages with `ostraka person passkey NAME`, and let the charter list it")
	case errors.Is(err, console.ErrTaken):
		return nil, fail(codeError, err, "end that program, or another run of this one, and try again; a passkey's port stands in its line")
	case err != nil:
		return nil, err
	}
	p.page = s
	a.say("The passkey is asked for on this page, in a browser on this machine: %s", s.URL())
	if !a.noBrowser {
		openBrowser(s.URL())
	}
	return s, nil
}

// closePages ends them with the command.
func (a *app) closePages() {
	a.pages.mu.Lock()
	defer a.pages.mu.Unlock()
	if a.pages.page != nil {
		a.pages.page.Close()
	}
}

// openBrowser is a courtesy: the address is printed too.
func openBrowser(url string) {
	name := map[string]string{"linux": "xdg-open", "darwin": "open"}[runtime.GOOS]
	path, err := exec.LookPath(name)
	if err != nil {
		return
	}
	cmd := exec.Command(path, url)
	apart(cmd)
	if cmd.Start() == nil {
		go cmd.Wait() //nolint:errcheck // it says nothing that helps
	}
}

// passkeySigner signs on a page.
func (a *app) passkeySigner(k signet.Key) *client.Signer {
	return client.OutsideSigner(k, func(ctx context.Context, verb signet.Verb, message []byte) ([]byte, error) {
		shown, err := a.pages.showing(k, verb, message)
		if err != nil {
			return nil, err
		}
		p, _ := k.Passkey()
		s, err := a.page(p.Origin)
		if err != nil {
			return nil, err
		}
		armored, err := s.Sign(ctx, k, verb, message, shown)
		if err != nil && ctx.Err() == nil {
			err = fail(codeUnverified, err, "nothing was submitted; see that the browser shows the page whose address this program prints, and run the command again")
		}
		return armored, err
	})
}

// showing says what the page shows of what is signed.
func (p *pages) showing(k signet.Key, verb signet.Verb, message []byte) (console.Shown, error) {
	s, err := statement.Parse(message)
	if err != nil {
		return console.Shown{}, fmt.Errorf("show what a passkey signs: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if verb == signet.Approve || verb == signet.Reject {
		shown, ok := p.shown[s.ID()]
		if !ok {
			return shown, fmt.Errorf("a passkey votes on what its page shows, and intent %s was not examined", s.ID().Short())
		}
		shown.Text = s.Text()
		return shown, nil
	}
	if verb == signet.Makes(statement.Hello) {
		h, err := charter.HelloOf(s)
		if err != nil {
			return console.Shown{}, err
		}
		name := client.FormatIdentity(h.Identity)
		for _, n := range p.nodes {
			if h.Identity.Equal(n.Identity) {
				name = n.Name
			}
		}
		return console.Shown{
			Title: "Log in at node " + name, Button: "Log in", Text: s.Text(), Auto: true,
			Lead: "Shows this node who asks, for 12 hours, and moves nothing. Each node wants a signature of its own, which no other node can use: your passkey is asked once for each.",
		}, nil
	}
	return console.Shown{
		Title: fmt.Sprintf("Sign this %s?", s.Kind()), Button: "Sign", Facts: s.Text(),
		Lead: "Key " + k.Fingerprint() + " signs this statement, word for word.",
	}, nil
}

// willVote keeps for the page what the command line showed.
func (a *app) willVote(one *client.Case, verb signet.Verb, person string) {
	var facts strings.Builder
	printFacts(&facts, one)
	lead := "Rejecting is always possible."
	if verb == signet.Approve {
		lead = same(one) + " Compare amount, destination and chain with something that did not come by the same way."
	}
	a.pages.mu.Lock()
	defer a.pages.mu.Unlock()
	a.pages.shown = map[statement.ID]console.Shown{one.ID(): {Title: question(verb, person), Lead: lead, Facts: facts.String(), Button: word(verb)}}
}

// passkeyOf is the one passkey of this machine's pages that the vault lists for the approver whose key another is.
func passkeyOf(one *client.Case, own signet.Key) (signet.Key, error) {
	name, err := one.Vault.Who(own)
	if err != nil {
		return own, refused("use the key that the charter lists for you (`ostraka charter show`)", "%w", err)
	}
	person, _ := one.Vault.Approver(name)
	var fit []signet.Key
	for _, k := range person.Keys {
		if p, ok := k.Passkey(); ok && strings.HasPrefix(p.Origin, "http://localhost") {
			fit = append(fit, k)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		return own, refused("make one with `ostraka person passkey "+name+"`, and let the charter list it (`ostraka charter amend`)", "vault %s lists no passkey of %s that signs on this program's pages", one.Vault.Name, name)
	}
	return own, usage("--passkey: vault %s lists %d of %s: name one with --key FILE, a file that holds its line", one.Vault.Name, len(fit), name)
}

// defaultPort is of no other known program.
const defaultPort = 7707

type passkeyDocument struct {
	Person      string `json:"person"`
	Key         string `json:"key"`
	Fingerprint string `json:"fingerprint"`
	Origin      string `json:"origin"`
}

func (a *app) personPasskeyCommand() *cobra.Command {
	port := uint16(0)
	c := &cobra.Command{
		Use: "passkey NAME", Short: "Make a passkey in a browser on this machine, and print its line for the charter", Args: exactly("NAME"),
		Long: "Serves one page on http://localhost, where a security key or this computer's own makes a passkey that checks its owner each\n" +
			"time. The line names rpID and origin: the passkey signs on pages of that port alone, which this program serves.\n" +
			"Keep the line in a file too: --key FILE then signs with it, in every command. NAME is what the authenticator shows.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 5*time.Minute)
			defer cancel()
			if port == 0 || port == 80 {
				return usage("--port %d: give one from 1 to 65535 that is not 80", port)
			}
			return a.makePasskey(ctx, args[0], fmt.Sprintf("http://localhost:%d", port))
		},
	}
	c.Flags().Uint16Var(&port, "port", defaultPort, "port of its pages, which stands in its line; 127.0.0.1 and ::1 alone are served")
	return c
}

func (a *app) makePasskey(ctx context.Context, name, origin string) error {
	s, err := a.page(origin)
	if err != nil {
		return err
	}
	k, err := s.Register(ctx, name)
	if err != nil && ctx.Err() != nil {
		return &client.UnsignedError{Who: "the page", Err: ctx.Err()}
	}
	if err != nil {
		return fail(codeUnverified, err, "run the command again, with an authenticator that asks for a PIN, a finger or a face")
	}
	return a.show(passkeyDocument{name, k.String(), k.Fingerprint(), origin}, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s\n", k, name)
		a.say("Fingerprint %s. The charter lists this line as a key of %s; keep it in a file, which --key takes.", k.Fingerprint(), name)
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

type exportedDocument struct {
	ID    string `json:"id"`
	State string `json:"state"`
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
}

func (a *app) txExportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export ID FILE", Short: "Write an intent with all that verifies it to a file, for an approver without a network", Args: exactly("ID", "FILE"),
		Long: "The file holds the intent, its signatures, the vault with its keys' certificates, the charter and the roster: `ostraka tx import FILE` on a machine\n" +
			"without a network verifies all of it from the file alone. It is public to whoever may see the vault, and holds no secret.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := client.CheckIntentID(args[0]); err != nil {
				return err
			}
			ctx, cancel := a.within(cmd.Context(), time.Minute)
			defer cancel()
			return a.export(ctx, args[0], args[1])
		},
	}
}

func (a *app) export(ctx context.Context, id, file string) error {
	c, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	vaults, one, failed, err := findCase(ctx, c, id)
	if err != nil {
		return err
	}
	a.down(failed)
	if one.Stopped() {
		return &client.AlarmError{Case: one}
	}
	x, err := c.Carry(ctx, vaults, one.ID())
	if err != nil {
		return err
	}
	text := x.Bytes()
	var trust client.Trust
	for _, m := range c.Members {
		trust.Identities = append(trust.Identities, m.Identity)
	}
	// As the other side will read it: what cannot be verified there is found here.
	if err := readsAs(text, trust, one.ID()); err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write the case: %w", err)
	}
	d := exportedDocument{one.ID().String(), one.State(), file, len(text)}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds intent %.8s (%d bytes). On the machine without a network:\n", d.File, d.ID, d.Bytes)
		fmt.Fprintf(w, "  ostraka tx import %s                          # verifies and shows it\n  ostraka tx import %s --approve ANSWER         # or --reject\nThen, here again: ostraka tx import ANSWER\n", d.File, d.File)
	})
}

func readsAs(text []byte, t client.Trust, id statement.ID) error {
	x, err := carry.DecodeCase(text)
	if err != nil {
		return err
	}
	one, err := client.ReadCarried(x, t)
	if err == nil && one.ID() != id {
		err = errors.New("the file holds another intent")
	}
	return err
}

// importing is what `tx import` was told.
type importing struct {
	approve, reject string // files
	roster          string
	voting
}

func (a *app) txImportCommand() *cobra.Command {
	var o importing
	c := &cobra.Command{
		Use: "import FILE", Short: "Verify an exported intent without a network, and answer it; or hand an answer in", Args: exactly("FILE"),
		Long: "FILE of `tx export` is verified from itself alone: no node is asked. It is believed if the charter that the intent stands under is signed by two of\n" +
			"the nodes of the context (by its only one), or if the circle's roster has the id that --roster names: compare either with something that came another\n" +
			"way. Whether nodes have more votes by now, or another charter is in force, no file can say; the nodes check again.\n" +
			"--approve and --reject write an answer to another file. `tx import ANSWER` with a network hands it to every node.\n\n" +
			"A hardware wallet signs elsewhere: with --typed-data nothing is answered yet, and that file holds what it shall sign and show; --wallet-signature takes its answer.",
		Example: "  ostraka tx import intent.case --approve intent.answer\n  ostraka tx import intent.answer",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 5*time.Minute)
			defer cancel()
			return a.imports(ctx, args[0], o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.approve, "approve", "", "sign an approval, into this file")
	f.StringVar(&o.reject, "reject", "", "sign a rejection, into this file")
	f.StringVar(&o.roster, "roster", "", "id of a version of the circle's roster, instead of the context's identities")
	f.BoolVar(&o.yes, "yes", false, "sign without asking")
	f.StringVar(&o.typed, "typed-data", "", "with --approve or --reject: write to this file what a wallet shall sign for it (EIP 712), and no answer")
	f.StringVar(&o.wallet, "wallet-signature", "", "with --approve or --reject: a wallet's answer to the typed data, 65 bytes in hex")
	return c
}

func (a *app) imports(ctx context.Context, file string, o importing) error {
	text, err := readBounded(file, carry.MaxFile)
	if err != nil {
		return err
	}
	altered := func(err error) error {
		return unverified("sign nothing of it; carry the file again, and compare its SHA-256 on both machines", "%s: %w", file, err)
	}
	switch {
	case o.approve != "" && o.reject != "":
		return usage("--approve and --reject: give one")
	case o.approve+o.reject == "" && o.typed+o.wallet != "":
		return usage("--typed-data and --wallet-signature belong to --approve or --reject: say which")
	case carry.IsAnswer(text):
		if o != (importing{}) {
			return usage("%s is an answer, which is handed to the nodes as it is: give no option", file)
		}
		x, err := carry.DecodeAnswer(text)
		if err != nil {
			return altered(err)
		}
		return a.handIn(ctx, x)
	}
	x, err := carry.DecodeCase(text)
	if err != nil {
		return altered(err)
	}
	trust, err := a.trust(o.roster)
	if err != nil {
		return err
	}
	one, err := client.ReadCarried(x, trust)
	if err != nil {
		return altered(err)
	}
	switch {
	case o.approve != "":
		return a.answer(ctx, one, signet.Approve, file, o.approve, o.voting)
	case o.reject != "":
		return a.answer(ctx, one, signet.Reject, file, o.reject, o.voting)
	}
	if err := a.showCase(one, nil); err != nil {
		return err
	}
	a.say("%s", same(one))
	return nil
}

// trust is what is believed without a network: the roster's id, or the identities of the chosen context.
func (a *app) trust(roster string) (t client.Trust, err error) {
	if roster != "" {
		if t.Roster, err = statement.ParseID(roster); err != nil {
			return t, usage("--roster %q: want the roster's whole id, 64 hex digits", roster)
		}
		return t, nil
	}
	next := "add the nodes and their identities with `ostraka context add`, or give --roster ID"
	path, err := client.ContextsPath()
	if err != nil {
		return t, err
	}
	all, err := client.LoadContexts(path)
	if err != nil {
		return t, err
	}
	x, err := all.Get(a.context)
	if err != nil {
		return t, fail(codeError, err, next)
	}
	for _, n := range x.Nodes {
		t.Identities = append(t.Identities, n.Identity)
	}
	return t, nil
}

type answerDocument struct {
	ID     string `json:"id"`
	Verb   string `json:"verb"`
	Person string `json:"person"`
	File   string `json:"file"`
}

// answer signs a vote on what one file holds into another.
func (a *app) answer(ctx context.Context, one *client.Case, verb signet.Verb, from, file string, o voting) error {
	wallet, err := o.answer()
	if err != nil {
		return err
	}
	printFacts(a.err, one)
	if verb == signet.Approve {
		if err := judge(one); err != nil {
			return err
		}
	}
	if o.typed != "" {
		return a.writeTyped(one, verb, o.typed, fmt.Sprintf("ostraka tx import %s --%s %s", from, verb, file))
	}
	var s *client.Signer
	if wallet == nil {
		if s, err = a.signer(ctx); err != nil {
			return err
		}
	}
	person, sig, err := a.signVote(ctx, s, one, verb, o, wallet)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, carry.Answer{Intent: one.ID(), Verb: string(verb), Signature: sig}.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	d := answerDocument{one.ID().String(), string(verb), person, file}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds the answer of %s to intent %.8s: %s. It counts once nodes have it: with a network, `ostraka tx import %s`\n", d.File, d.Person, d.ID, d.Verb, d.File)
	})
}

// handIn gives an answer that was signed elsewhere to every node, once it was verified over the nodes' own copies.
func (a *app) handIn(ctx context.Context, x carry.Answer) error {
	c, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_, one, failed, err := findCase(ctx, c, x.Intent.String())
	if err != nil {
		return err
	}
	a.down(failed)
	verb := signet.Verb(x.Verb)
	if err := a.examine(c, one, verb); err != nil {
		return err
	}
	vote, err := intent.VerifyVote(one.Statement, one.Vault.Vault, verb, x.Signature, time.Now())
	if err != nil {
		return unverified("have it signed anew over what `ostraka tx export` writes", "the answer: %w", err)
	}
	if _, err := voter(one, verb, vote.Key); err != nil {
		return err
	}
	return a.voted(ctx, c, one, verb, vote.Person, c.HandVote(ctx, one.Statement, verb, x.Signature))
}

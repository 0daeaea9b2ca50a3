package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/proof"
)

func (a *app) addressVerifyCommand() *cobra.Command {
	var xpub, at string
	c := &cobra.Command{
		Use: "verify FILE", Short: "Check a signed proof of control, without asking anybody", Args: exactly("FILE"),
		Example: "  ostraka tx show ID --json > proof.json\n  ostraka address verify proof.json --xpub xpub6…",
		Long: "FILE is what `ostraka tx show ID --json` prints of a signed proof, or its `proof` alone. Checked are the statement's form, that the address\n" +
			"is the public key's, the signature, and the time. With --xpub also that the key is the vault's, at the path that the statement names.\n" +
			"Nothing here says whose the entity is, or what lay on the address: compare both. Exit code 4: it does not hold, or has expired.",
	}
	c.Flags().StringVar(&xpub, "xpub", "", "extended public key of the vault's root or of the account, as you know it to be the vault's")
	c.Flags().StringVar(&at, "at", "", "judge as of this time, such as 2026-11-27T12:00:00Z (default: now)")
	c.RunE = func(_ *cobra.Command, args []string) error {
		now := time.Now().UTC()
		if at != "" {
			var err error
			if now, err = time.Parse(time.RFC3339, at); err != nil {
				return usage("--at %q is no time such as 2026-11-27T12:00:00Z", at)
			}
		}
		if xpub != "" {
			if _, _, err := hd.ParseXPub(xpub); err != nil {
				return usage("--xpub: %w", cmp.Or(errors.Unwrap(err), err))
			}
		}
		file, err := readBounded(args[0], proof.MaxDocument)
		if err != nil {
			return err
		}
		return a.verifyProof(file, xpub, now)
	}
	return c
}

// provedDocument is what a verified proof says.
type provedDocument struct {
	ID       string  `json:"id"` // of the statement
	Verified bool    `json:"verified"`
	Vault    string  `json:"vault"`
	Suite    string  `json:"suite"`
	Path     string  `json:"path"`
	Rooted   bool    `json:"rooted"` // the key was derived from the extended public key that was given
	Address  string  `json:"address"`
	Chain    string  `json:"chain"`
	Entity   string  `json:"entity"`
	Height   *uint64 `json:"height,omitempty"`
	Block    string  `json:"block,omitempty"`
	Text     string  `json:"text"`
	Created  string  `json:"created"`
	Expires  string  `json:"expires"`
}

func (a *app) verifyProof(file []byte, xpub string, now time.Time) error {
	signed, err := proof.Parse(file)
	if err != nil {
		return unverified("give the file that `ostraka tx show ID --json` printed of a signed proof, unchanged", "%w", err)
	}
	var p intent.Proof
	if xpub != "" {
		p, err = proof.VerifyXPub(signed, xpub, now)
	} else {
		p, err = proof.Verify(signed, now)
	}
	switch {
	case errors.Is(err, proof.ErrExpired):
		return unverified("all else holds: judge it as of an earlier time with --at, or ask for a new proof", "%w", err)
	case errors.Is(err, proof.ErrEarly):
		return unverified("all else holds: compare this machine's clock, or --at, with the time in the statement", "%w", err)
	case err != nil:
		return unverified("do not rely on it: ask whoever gave it to you for the file as the program printed it", "%w", err)
	}
	s, err := p.Statement()
	if err != nil {
		return err
	}
	d := provedDocument{
		ID: s.ID().String(), Verified: true, Vault: p.Vault.String(), Suite: p.Suite, Path: statement.FormatPath(p.Path[:]...), Rooted: xpub != "",
		Address: p.Address, Chain: p.Chain, Entity: p.Entity, Text: p.Text, Created: statement.FormatTime(p.Created), Expires: statement.FormatTime(p.Expires),
	}
	if b := p.AsOf; b != nil {
		d.Height, d.Block = &b.Height, fmt.Sprintf("%#x", b.Hash)
	}
	return a.show(d, d.print)
}

func (d provedDocument) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("holds", "the key of the address signed this")
	row("address", "%s on %s", d.Address, d.Chain)
	row("said by", "%s (their word)", d.Entity)
	if d.Height != nil {
		row("as of", "block %d, %s", *d.Height, d.Block)
	}
	row("text", "%s", d.Text)
	row("made", "%s", d.Created)
	row("expires", "%s", d.Expires)
	row("vault", "%s, key at %s", d.Vault, d.Path)
	if d.Rooted {
		row("key", "of the extended public key that you gave")
	} else {
		row("key", "that it is the vault's is the statement's word: --xpub checks it")
	}
	_ = t.Flush()
}

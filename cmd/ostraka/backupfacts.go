package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/backup"
)

func (a *app) backupFactsCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "facts VAULT", Short: "Write what is public of a vault's keys to a file, to keep beside paper and guardians' keys", Args: exactly("VAULT"),
		Long: "The file holds each key's final certificate, and what is encrypted to the guardians: without it nobody can tell whose share fits, and no guardian's key opens anything, once no node answers\n" +
			"any more. It holds no secret. All of it is verified first. Give a copy to every operator and guardian after each new epoch: `ostraka doctor` and `backup coverage` show when there was one.",
		Example: "  ostraka backup facts treasury --out treasury.facts",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 5*time.Minute)
			defer cancel()
			return a.backupFacts(ctx, args[0], out)
		},
	}
	c.Flags().StringVar(&out, "out", "", "new file (default: VAULT.facts)")
	return c
}

type factsDocument struct {
	Vault string          `json:"vault"`
	File  string          `json:"file"`
	Bytes int             `json:"bytes"`
	Keys  []factsKeyShown `json:"keys"`
}

type factsKeyShown struct {
	Suite   string `json:"suite"`
	Key     string `json:"key"`
	Epoch   uint64 `json:"epoch"`
	Record  string `json:"record"`
	Guarded bool   `json:"guarded"` // what is encrypted to guardians is inside
}

func (a *app) backupFacts(ctx context.Context, vault, out string) error {
	if out == "" {
		out = vault + ".facts"
	}
	if err := absent(out); err != nil {
		return err
	}
	_, x, err := a.chosen()
	if err != nil {
		return err
	}
	c := client.Dial(x, nil, client.Cache{})
	defer c.Close()
	b, failed, err := c.Backups(ctx, true)
	if err != nil {
		return err
	}
	a.down(failed)
	chain, _, err := c.Chain(ctx)
	if err != nil {
		return err
	}
	f := backup.Facts{Circle: chain.Newest().Circle, Name: vault}
	d := factsDocument{Vault: vault, File: out, Keys: []factsKeyShown{}}
	for _, k := range b.Keys {
		if k.Name != vault {
			continue
		}
		if k.SetError != nil {
			return unverified("tell the operators: this vault has no rescue", "vault %s: what guardians have: %w", vault, k.SetError)
		}
		f.Vault = k.Vault
		x := backup.KeyFacts{KeyID: k.Record.KeyID, Cert: k.Cert}
		if k.Plan != nil {
			x.Plan, x.Set = k.Plan.Encode(), k.Set
		}
		f.Keys = append(f.Keys, x)
		eh := k.Record.Hash()
		d.Keys = append(d.Keys, factsKeyShown{k.Record.Suite, fmt.Sprintf("%x", k.Record.KeyID), k.Record.Epoch, fmt.Sprintf("%x", eh[:]), k.Plan != nil})
	}
	if len(f.Keys) == 0 {
		return fail(codeError, fmt.Errorf("no node of the context shows a key of vault %s", vault), "`ostraka vault list` shows the vaults")
	}
	slices.SortFunc(f.Keys, func(p, q backup.KeyFacts) int { return bytes.Compare(p.KeyID[:], q.KeyID[:]) })
	raw := f.Encode()
	if _, err := backup.DecodeFacts(raw); err != nil {
		return fmt.Errorf("the file that was made cannot be read, so it is not written: %w", err)
	}
	if err := os.WriteFile(out, raw, 0o644); err != nil {
		return fmt.Errorf("write the facts: %w", err)
	}
	d.Bytes = len(raw)
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds what is public of vault %s (%d bytes):\n", out, vault, d.Bytes)
		for _, k := range d.Keys {
			what := "with what is encrypted to the guardians"
			if !k.Guarded {
				what = "which has no guardians"
			}
			fmt.Fprintf(w, "  %s, epoch %d, %s\n", k.Suite, k.Epoch, what)
		}
		fmt.Fprintln(w, "Give a copy to every operator and guardian. A new epoch voids it: make it anew then.")
	})
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// provable is what `address prove` was told.
type provable struct {
	vault, account, suite, chain, memo string
	claim                              intent.Claim
	expires                            time.Duration
	noWait                             bool
}

func (a *app) addressProveCommand() *cobra.Command {
	var p provable
	c := &cobra.Command{
		Use: "prove VAULT DEPARTMENT/ACCOUNT[/INDEX] --entity NAME --text TEXT", Short: "Ask for a signed statement that the vault controls an address", Args: exactly("VAULT", "DEPARTMENT/ACCOUNT"),
		Example: "  ostraka address prove treasury ops/main --entity 'Example Ltd' --text 'Reserves, 31 January 2026'",
		Long: "Proposes a proof, as an initiator of the vault: a statement with the address, in whose name it is said, your\n" +
			"text and an expiry, which the vault's key signs once its approvers approve, like a transaction. It moves nothing: what is signed has a form that no\n" +
			"transaction has. On Ethereum it is an EIP-191 message, on Taproot a BIP 340 signature by the address's own key, on Solana\n" +
			"an Ed25519 signature over 0xff and the statement.",
		RunE: func(cmd *cobra.Command, args []string) error {
			p.vault, p.account = args[0], args[1]
			switch "" {
			case p.claim.Text:
				return usage("give --text: what the proof says")
			case p.claim.Entity:
				return usage("give --entity: the legal entity in whose name it is said, such as 'Example Ltd'")
			}
			if p.chain != "" && statement.CheckChain(p.chain) != nil {
				return usage("--chain %q: want a chain id such as eip155:1", p.chain)
			}
			if p.expires%time.Second != 0 {
				return usage("--expires %s: want whole seconds", p.expires)
			}
			return a.prove(cmd.Context(), p)
		},
	}
	f := c.Flags()
	f.StringVar(&p.claim.Text, "text", "", "what the proof says, one line (required)")
	f.StringVar(&p.claim.Entity, "entity", "", "legal entity in whose name it is said (required)")
	f.StringVar(&p.suite, "suite", "", "root key that the address is below (default: the vault's only one)")
	f.StringVar(&p.chain, "chain", "", "chain whose form the address has (default: the only one that the suite signs for)")
	f.StringVar(&p.memo, "memo", "", "why, for the approvers")
	f.DurationVar(&p.expires, "expires", 0, "how long it may be approved and signed, and until when it proves anything (default: the vault's)")
	f.BoolVar(&p.noWait, "no-wait", false, "only hand it to the nodes")
	return c
}

func (a *app) prove(ctx context.Context, p provable) error {
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		sender, err := senderOf(ctx, c, v, p.suite, p.chain, p.account)
		if err != nil {
			return err
		}
		s, err := c.PrepareProof(sender, p.claim, p.memo, p.expires)
		if err != nil {
			return err
		}
		return a.submit(ctx, c, v, s, p.noWait, "signed")
	})
}

type proofDocument struct {
	ID        string `json:"id"` // of the statement
	Statement string `json:"statement"`
	Entity    string `json:"entity"`
	Text      string `json:"text"`
	Suite     string `json:"suite"`
	PublicKey string `json:"public_key"` // the derived key; on Taproot the address holds its tweaked form
	Signature string `json:"signature,omitempty"`
}

func proofOf(c *client.Case) *proofDocument {
	if c.Proof == nil {
		return nil
	}
	d := &proofDocument{
		ID: c.Proof.Statement.ID().String(), Statement: c.Proof.Statement.Text(), Entity: c.Proof.Entity, Text: c.Proof.Text,
		Suite: c.Proof.Suite, PublicKey: fmt.Sprintf("%x", c.Proof.Key.Bytes()),
	}
	if c.Signed != nil {
		d.Signature = fmt.Sprintf("0x%x", c.Signed.Raw)
	}
	return d
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// provable is what `address prove` was told.
type provable struct {
	vault, account, suite, chain, memo string
	claim                              intent.Claim
	height                             string
	expires                            time.Duration
	noWait                             bool
}

func (a *app) addressProveCommand() *cobra.Command {
	var p provable
	c := &cobra.Command{
		Use: "prove VAULT DEPARTMENT/ACCOUNT[/INDEX] --entity NAME --text TEXT", Short: "Ask for a signed statement that the vault controls an address", Args: exactly("VAULT", "DEPARTMENT/ACCOUNT"),
		Example: "  ostraka address prove treasury ops/main --entity 'Example Ltd' --text 'Reserves, 31 January 2026'",
		Long: "Proposes a proof, as an initiator of the vault: a statement with the address, in whose name it is said, your\n" +
			"text and an expiry, which the vault's key signs once its approvers approve, like a transaction. It moves nothing: what is\n" +
			"signed has a form that no transaction has. On Ethereum it is an EIP-191 message, on Bitcoin one of BIP 322, on Solana an off-chain message.",
		RunE: func(cmd *cobra.Command, args []string) error {
			p.vault, p.account = args[0], args[1]
			switch "" {
			case p.claim.Text:
				return usage("give --text: what the proof says")
			case p.claim.Entity:
				return usage("give --entity: the legal entity in whose name it is said, such as 'Example Ltd'")
			}
			if _, err := p.at(); err != nil {
				return err
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
	f.StringVar(&p.height, "height", "", "block that it speaks of, as of reserves: a number, or latest; two nodes must read the same hash, and each checks it again")
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
		if p.height != "" {
			at, _ := p.at()
			b, err := c.Block(ctx, sender.Chain, at)
			if err != nil {
				return explainBlock(err)
			}
			p.claim.AsOf = &b
			a.say("As of block %d of %s, %#x", b.Height, sender.Chain, b.Hash)
		}
		s, err := c.PrepareProof(sender, p.claim, p.memo, p.expires)
		if err != nil {
			return err
		}
		return a.submit(ctx, c, v, s, p.noWait, "signed")
	})
}

// at is the height that the person gave; nil: the latest, or none.
func (p provable) at() (*uint64, error) {
	if p.height == "" || p.height == "latest" {
		return nil, nil
	}
	n, err := strconv.ParseUint(p.height, 10, 63)
	if err != nil {
		return nil, usage("--height %q: want a block's number, or latest", p.height)
	}
	return &n, nil
}

// explainBlock says what helps where the nodes cannot read a block.
func explainBlock(err error) error {
	var nodes *client.NodesError
	if errors.As(err, &nodes) && client.Classify(err) == client.NotReady {
		return notReady("bring the nodes' endpoints back, give an older --height or a later one, or leave it out: then the proof shows control alone", "%w", err)
	}
	return err
}

type proofDocument struct {
	ID        string  `json:"id"` // of the statement
	Statement string  `json:"statement"`
	Entity    string  `json:"entity"`
	Expires   string  `json:"expires"`
	Height    *uint64 `json:"height,omitempty"` // of the block that it speaks of
	Block     string  `json:"block,omitempty"`  // its hash
	Text      string  `json:"text"`
	Suite     string  `json:"suite"`
	PublicKey string  `json:"public_key"`         // the derived key; on Taproot the address holds its tweaked form
	Recovery  string  `json:"recovery,omitempty"` // on Taproot: the leaf of the address's scripts, as descriptors write it
	Signature string  `json:"signature,omitempty"`
}

func proofOf(c *client.Case) *proofDocument {
	if c.Proof == nil {
		return nil
	}
	d := &proofDocument{
		ID: c.Proof.Statement.ID().String(), Statement: c.Proof.Statement.Text(), Entity: c.Proof.Entity, Text: c.Proof.Text, Expires: statement.FormatTime(c.Proof.Expires),
		Suite: c.Proof.Suite, PublicKey: fmt.Sprintf("%x", c.Proof.Key.Bytes()),
	}
	if b := c.Proof.AsOf; b != nil {
		d.Height, d.Block = &b.Height, fmt.Sprintf("%#x", b.Hash)
	}
	if r := policy.Recovery(c.Vault.Vault); r != nil && c.Proof.Suite == charter.SuiteBIP340 {
		d.Recovery = r.String()
	}
	if c.Signed != nil {
		d.Signature = chain.FormatProof(c.Proof.Chain, c.Signed.Raw)
	}
	return d
}

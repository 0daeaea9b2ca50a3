package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/client"
)

type reclaimDocument struct {
	PSBT string `json:"psbt"`
	To   string `json:"to"`
	Fee  uint64 `json:"fee"` // satoshis
}

func (a *app) coinReclaimCommand() *cobra.Command {
	var p proposal
	c := &cobra.Command{
		Use: "reclaim VAULT DEPARTMENT/ACCOUNT", Short: "Write what takes an account's coins by the recovery key, for the wallet that holds it", Args: exactly("VAULT", "DEPARTMENT/ACCOUNT"),
		Example: "  ostraka coin reclaim treasury ops/main --to bc1q… --fee-rate 10",
		Long: "The charter of a vault may list a recovery key, which alone spends a Taproot coin that lay still for so many blocks. This writes the packet (BIP 174) that its\n" +
			"wallet signs and sends: no node signs it, and no chain takes it before each coin is old enough. `ostraka coin list` shows when that is. While the vault can\n" +
			"sign, whoever does not want that spends the coin before: `ostraka coin gather` does.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.to == "" {
				return usage("give --to")
			}
			ctx, cancel := a.within(cmd.Context(), time.Minute)
			defer cancel()
			return a.inAccount(ctx, args, func(ctx context.Context, c *client.Circle, v client.Vault, x client.Account) error {
				return a.reclaim(ctx, c, v, x, p)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&p.to, "to", "", "who receives (required)")
	f.StringVar(&p.chain, "chain", "", "chain, as bip122:… (default: the vault's only one)")
	f.StringArrayVar(&p.coins, "coin", nil, "a coin, TXID:INDEX (default: all that have the leaf)")
	p.rateFlag(f)
	return c
}

func (a *app) reclaim(ctx context.Context, c *client.Circle, v client.Vault, x client.Account, p proposal) error {
	chain, err := bitcoinOf(v, p.chain)
	if err != nil {
		return err
	}
	rate, err := p.rate()
	if err != nil {
		return err
	}
	var some []psbt.Outpoint
	for _, text := range p.coins {
		o, err := client.ParseOutpoint(text)
		if err != nil {
			return usage("--coin: %w", err)
		}
		some = append(some, o)
	}
	h, err := c.Holding(ctx, v, x, chain)
	if err != nil {
		return err
	}
	r, err := h.Reclaim(some, p.to, rate)
	if err != nil {
		return err
	}
	d := reclaimDocument{base64.StdEncoding.EncodeToString(r.Packet()), p.to, r.Fee()}
	return a.show(d, func(w io.Writer) { fmt.Fprintln(w, d.PSBT) })
}

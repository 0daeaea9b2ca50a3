package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// exportDocument is what other programs need to watch an account: none of it can sign.
type exportDocument struct {
	Vault       string   `json:"vault"`
	Account     string   `json:"account"`
	Suite       string   `json:"suite"`
	Path        string   `json:"path"`
	PublicKey   string   `json:"public_key"` // of the account
	ChainCode   string   `json:"chain_code"`
	XPub        string   `json:"xpub,omitempty"`        // secp256k1: BIP 32
	Descriptors []string `json:"descriptors,omitempty"` // Bitcoin: BIP 380, one for each network of the vault
}

func (a *app) accountExportCommand() *cobra.Command {
	var suite *string
	c := &cobra.Command{
		Use: "export VAULT DEPARTMENT/ACCOUNT", Short: "Show an account's public key for programs that watch it: extended key, descriptors", Args: exactly("VAULT", "DEPARTMENT/ACCOUNT"),
		Long: "Derives the account's public key here, from the vault's final certificate. Whoever has it sees all addresses of the\n" +
			"account, and can sign nothing. Keys of secp256k1 suites come as xpub, with a descriptor for each Bitcoin network of the\n" +
			"vault: wpkh() for ecdsa-secp256k1, tr() for bip340-secp256k1. Ed25519 keys have a scheme of their own (spec/derivation).",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 30*time.Second)
			defer cancel()
			return a.inAccount(ctx, args, func(_ context.Context, _ *client.Circle, v client.Vault, x client.Account) error {
				root, err := rootFor(v, *suite)
				if err != nil {
					return err
				}
				d, err := exportOf(v, root, x)
				if err != nil {
					return err
				}
				return a.show(d, d.print)
			})
		},
	}
	suite = suiteFlag(c)
	return c
}

func exportOf(v client.Vault, r client.Root, x client.Account) (exportDocument, error) {
	if r.Record == nil {
		return exportDocument{}, notReady("wait until `ostraka vault show "+v.Name+"` says that it is ready", "vault %s has no key of suite %s yet", v.Name, r.Suite)
	}
	path := hd.Path(x.Path[:])
	node, err := hd.NewNode(r.Record.Public, r.Record.ChainCode, path)
	if err != nil {
		return exportDocument{}, err
	}
	code := node.ChainCode()
	d := exportDocument{
		Vault: v.Name, Account: x.Department + "/" + x.Name, Suite: r.Suite, Path: statement.FormatPath(x.Path[:]...),
		PublicKey: fmt.Sprintf("%x", node.Bytes()), ChainCode: fmt.Sprintf("%x", code[:]),
	}
	public, ok := r.Record.Public.(*secp256k1.Point)
	if !ok {
		return d, nil
	}
	root, err := hd.Root(public, r.Record.ChainCode)
	if err != nil {
		return d, err
	}
	account, _, err := root.Derive(path)
	if err != nil {
		return d, err
	}
	d.XPub = account.XPub(hd.Mainnet)
	for _, on := range v.Chains {
		n, err := bitcoin.NetworkOf(on)
		if err != nil {
			continue // not one of Bitcoin's
		}
		one, err := bitcoin.Vault{Network: n, Recovery: policy.Recovery(v.Vault)}.Descriptor(r.Suite, root, x.Path[0], x.Path[1])
		if err != nil {
			return d, err
		}
		d.Descriptors = append(d.Descriptors, one)
	}
	return d, nil
}

func (d exportDocument) print(w io.Writer) {
	fmt.Fprintf(w, "Account %s of vault %s, suite %s, at %s\n", d.Account, d.Vault, d.Suite, d.Path)
	fmt.Fprintf(w, "  public key  %s\n  chain code  %s\n", d.PublicKey, d.ChainCode)
	if d.XPub != "" {
		fmt.Fprintf(w, "  xpub        %s\n", d.XPub)
	}
	if len(d.Descriptors) > 0 {
		fmt.Fprintf(w, "  descriptor  %s\n", strings.Join(d.Descriptors, "\n              "))
	}
}

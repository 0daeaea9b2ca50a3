package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// typedDocument says what a wallet shall sign.
type typedDocument struct {
	ID      string   `json:"id"`
	Verb    string   `json:"verb"`
	File    string   `json:"file"`
	Wallets []string `json:"wallets"` // addresses whose answer counts
}

// writeTyped writes what an approver's wallet shall sign and show, and says which command takes its answer.
func (a *app) writeTyped(one *client.Case, verb signet.Verb, path, next string) error {
	d := typedDocument{one.ID().String(), string(verb), path, walletsOf(one.Vault.Approvers)}
	if len(d.Wallets) == 0 {
		return refused("vote with a key that the charter lists for an approver (`ostraka charter show`)", "vault %s lists no approver's wallet", one.Vault.Name)
	}
	raw, err := signet.TypedData(verb, one.Statement)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write typed data: %w", err)
	}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds what the wallet signs (eth_signTypedData_v4), which shows it field by field: read it there.\n", d.File)
		fmt.Fprintf(w, "Then: %s --wallet-signature 0x…\n", next)
	})
}

func walletsOf(people []charter.Person) (all []string) {
	for _, p := range people {
		for _, k := range p.Keys {
			if k.Type() == statement.EIP712 && !slices.Contains(all, k.Fingerprint()) {
				all = append(all, k.Fingerprint())
			}
		}
	}
	return all
}

// fromWallet takes a wallet's answer. One over other bytes shows as some account that nobody lists.
func fromWallet(one *client.Case, verb signet.Verb, answer []byte) ([]byte, signet.Key, error) {
	armored, key, err := signet.FromWallet(verb, one.Statement, answer)
	if err != nil {
		return nil, key, usage("--wallet-signature: %w", err)
	}
	if !slices.Contains(walletsOf(one.Vault.Approvers), key.Fingerprint()) {
		return nil, key, refused(fmt.Sprintf("let the wallet sign anew what `ostraka tx %s %.8s --typed-data FILE` writes, with the account that the charter lists", verb, one.ID().String()),
			"the signature is by account %s, which vault %s does not list as an approver's, or it is not over this intent for this verb", key.Fingerprint(), one.Vault.Name)
	}
	if verb == signet.Approve && one.Vault.UserVerification {
		return nil, key, refused("approve with a passkey, or with an `sk-` key that asks for its PIN", "vault %s counts approvals only of devices that say whom they checked, and a wallet says nothing", one.Vault.Name)
	}
	return armored, key, nil
}

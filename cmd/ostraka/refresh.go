package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
)

// refreshTimeout is how long the nodes are waited for.
const refreshTimeout = 10 * time.Minute

func (a *app) vaultRefreshCommand() *cobra.Command {
	var suites []string
	var noWait bool
	c := &cobra.Command{
		Use: "refresh VAULT", Short: "Make new shares of a vault's keys, as its operator: the keys stay, the old shares are of no use any more", Args: exactly("VAULT"),
		Long: "Tells your own node that you want new shares. Every operator of the vault does so within a day; then the nodes make them,\n" +
			"once all are up. The command waits for that; your word stays if you interrupt it. Signing goes on meanwhile, and intents\n" +
			"that wait for approvals go on with the new shares. It mends a pair of nodes whose check failed, and lifts your node's\n" +
			"quarantines of the vault: find out why it came to that first. A vault with refresh-every in the charter makes new shares by itself.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), refreshTimeout)
			defer cancel()
			return a.refresh(ctx, args[0], suites, noWait)
		},
	}
	c.Flags().StringSliceVar(&suites, "suite", nil, "only the key of this suite; repeat it for several")
	c.Flags().BoolVar(&noWait, "no-wait", false, "only tell the node")
	return c
}

type refreshDocument struct {
	Vault string             `json:"vault"`
	ID    string             `json:"id"`
	Keys  []refreshedRootDoc `json:"keys"`
}

type refreshedRootDoc struct {
	Suite       string `json:"suite"`
	PublicKey   string `json:"public_key"`
	EpochNumber uint64 `json:"epoch_number"`
	Epoch       string `json:"epoch"`
	Moved       string `json:"moved"` // since when it is in force
}

func (a *app) refresh(ctx context.Context, name string, suites []string, noWait bool) error {
	v, err := a.ownVault(ctx, name)
	if err != nil {
		return err
	}
	before := map[string]uint64{}
	for _, r := range v.Roots {
		if len(suites) == 0 || slices.Contains(suites, r.Suite) {
			before[r.Suite] = r.EpochNumber
		}
	}
	for _, s := range suites {
		if _, ok := before[s]; !ok {
			return usage("vault %s has no key of suite %q", v.Name, s)
		}
	}
	res, err := client.Operator(a.dir).Refresh(ctx, connect.NewRequest(&v1.RefreshRequest{Vault: v.Id, Suites: suites}))
	if err != nil {
		return a.operatorError(err)
	}
	if res.Msg.Held != "" {
		return heldRefresh(v.Name, res.Msg.Held)
	}
	if !noWait {
		if v, err = a.awaitEpochs(ctx, v, before); err != nil {
			return err
		}
	}
	d := refreshDocument{Vault: v.Name, ID: fmt.Sprintf("%x", v.Id), Keys: []refreshedRootDoc{}}
	for _, r := range v.Roots {
		if _, ok := before[r.Suite]; ok {
			d.Keys = append(d.Keys, movedRoot(r))
		}
	}
	return a.show(d, func(w io.Writer) {
		if noWait {
			fmt.Fprintf(w, "Your node makes new shares of vault %s as soon as every operator has said so.\n\nNext: `ostraka vault show --local %s`.\n", d.Vault, d.Vault)
			return
		}
		for _, k := range d.Keys {
			fmt.Fprintf(w, "Vault %s, suite %s: epoch %d is in force since %s; the public key is the same.\n", d.Vault, k.Suite, k.EpochNumber, k.Moved)
		}
	})
}

// heldRefresh: whoever asks for new shares while an emergency holds the vault waits in vain.
func heldRefresh(vault, why string) error {
	return notReady("`ostraka sos status` shows when that is over; then run it again", "vault %s makes no new shares now, whatever its operators say: %s. Your word holds for a day", vault, why)
}

// ownVault finds a vault at the operator's own node.
func (a *app) ownVault(ctx context.Context, name string) (*v1.Vault, error) {
	res, err := client.Operator(a.dir).Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
	if err != nil {
		return nil, a.operatorError(err)
	}
	return pickVault(res.Msg.Vaults, name)
}

// pickVault finds a vault by its name, or the beginning of its id. Of several of one name, which hostile operators may tell a node of, the only
// one that has a key here is meant.
func pickVault(all []*v1.Vault, name string) (*v1.Vault, error) {
	var named, keyed []*v1.Vault
	var names, ids []string
	for _, v := range all {
		id := fmt.Sprintf("%x", v.Id)
		if v.Name == name {
			named, ids = append(named, v), append(ids, id)
			if slices.ContainsFunc(v.Roots, func(r *v1.Root) bool { return len(r.Epoch) > 0 }) {
				keyed = append(keyed, v)
			}
		} else if len(name) >= 8 && strings.HasPrefix(id, name) {
			return v, nil
		}
		names = append(names, v.Name)
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(keyed) == 1:
		return keyed[0], nil
	case len(named) > 1:
		return nil, fail(codeError, fmt.Errorf("%d vaults are called %q at this node: %s", len(named), name, strings.Join(ids, ", ")), "ask the other operators which one is meant, and give the first 8 digits of its id")
	}
	return nil, fail(codeError, fmt.Errorf("vault %q is not known to this node; it knows: %s", name, strings.Join(names, ", ")), "`ostraka vault list --local` shows the node's vaults")
}

// awaitEpochs follows new shares until a later epoch of every suite is in force here.
func (a *app) awaitEpochs(ctx context.Context, v *v1.Vault, before map[string]uint64) (*v1.Vault, error) {
	defer a.progressEnds()
	for {
		now, err := a.ownVault(ctx, fmt.Sprintf("%x", v.Id))
		if err == nil {
			v = now
			var left []string
			for _, r := range v.Roots {
				if was, asked := before[r.Suite]; asked && r.EpochNumber <= was {
					left = append(left, waitsFor(r))
				}
			}
			if len(left) == 0 {
				return v, nil
			}
			a.progress("vault %s: %s", v.Name, strings.Join(left, "; "))
		}
		select {
		case <-ctx.Done():
			return nil, notReady(fmt.Sprintf("your word holds for a day: the other operators run it too; `ostraka vault show --local %s` shows how far it is", v.Name), "vault %s has no new shares yet", v.Name)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func waitsFor(r *v1.Root) string {
	out := r.Suite + ": " + r.Change
	if r.Change == "" {
		out = r.Suite + ": begins"
	}
	if len(r.ChangeWaiting) > 0 {
		out += " of " + strings.Join(r.ChangeWaiting, ", ")
	}
	if r.LastError != "" {
		out += " (" + r.LastError + ")"
	}
	return out
}

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/rescue"
)

// openRescue reads back every vault's SOS docket.
func (n *Node) openRescue(ctx context.Context) (*rescue.Desk, error) {
	mono := n.cfg.Mono
	if mono == nil {
		began := time.Now() // its monotonic reading is what counts
		mono = func() time.Duration { return time.Since(began) }
	}
	return rescue.Open(ctx, rescue.Config{
		Operator: n.cfg.Own.Name, Identity: n.cfg.Identity, Journal: n.Journal, Rand: n.cfg.Rand, Log: n.cfg.Log, Post: n.post, Mono: mono,
		Basis: n.sosBasis, Plan: n.sosPlan, Vaults: n.sosVaults, Keys: n.sosKeys, Point: n.sosPoint, CheckSignature: n.sosSignature,
		Beats: func() map[string]time.Time {
			out := map[string]time.Time{}
			for _, b := range n.Pulse.Beats() {
				out[b.Operator] = b.Taken
			}
			return out
		},
	})
}

// sosVaults lists the vaults with a published key that have an SOS plan in force.
func (n *Node) sosVaults() (ids []statement.ID) {
	for _, v := range n.Keeper.Roots() {
		if v.Current != nil && v.Vault.SOS != nil && !slices.Contains(ids, v.Vault.ID) {
			ids = append(ids, v.Vault.ID)
		}
	}
	return ids
}

// sosBasis is what a vault's plan in force is read from.
func (n *Node) sosBasis(vault statement.ID) (rescue.Basis, error) {
	if n.Charters == nil {
		return rescue.Basis{}, errors.New("there is no charter yet")
	}
	views := n.Keeper.Vault(vault)
	x, ok := n.Charters.Charter()
	if len(views) == 0 || !ok {
		return rescue.Basis{}, fmt.Errorf("vault %s is not known here", vault.Short())
	}
	r, ok := n.roster()
	if !ok {
		return rescue.Basis{}, errors.New("there is no roster yet")
	}
	v := views[0].Vault
	return rescue.Basis{Vault: vault, Charter: x.ID, Roster: r.ID, Name: v.Name, Threshold: v.Threshold, Committee: v.Committee}, nil
}

// sosPlan reads a plan.
func (n *Node) sosPlan(b rescue.Basis) (plan.Plan, error) {
	x, ok := n.Charters.Version(b.Charter)
	if !ok {
		return plan.Plan{}, fmt.Errorf("charter %s was never in force here", b.Charter.Short())
	}
	r, ok := n.Circle.Reach(b.Roster)
	if !ok {
		return plan.Plan{}, fmt.Errorf("roster %s is not known here", b.Roster.Short())
	}
	return plan.Of(x, r, charter.Vault{ID: b.Vault, Name: b.Name, Threshold: b.Threshold, Committee: b.Committee})
}

// sosKeys are a vault's published keys in the epochs in force.
func (n *Node) sosKeys(vault statement.ID) (keys []act.Key) {
	for _, v := range n.Keeper.Vault(vault) {
		if v.Current != nil {
			keys = append(keys, act.Key{Key: v.KeyID, Epoch: v.Current.Record.Hash()})
		}
	}
	slices.SortFunc(keys, func(a, b act.Key) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return keys
}

// inEpoch finds a key in force.
func (n *Node) inEpoch(k act.Key) (ceremony.View, error) {
	for _, v := range n.Keeper.Roots() {
		if v.KeyID == k.Key && v.Current != nil && v.Current.Record.Hash() == k.Epoch {
			return v, nil
		}
	}
	return ceremony.View{}, fmt.Errorf("key %x is in another epoch here, or not known", k.Key[:6])
}

// sosPoint is an operator's party and public share, by our own record.
func (n *Node) sosPoint(k act.Key, operator string) (party [16]byte, public group.Point, err error) {
	v, err := n.inEpoch(k)
	if err != nil {
		return party, nil, err
	}
	for _, m := range v.Current.Record.Members {
		if v.Names[m.ID] == operator {
			return m.ID, m.Public, nil
		}
	}
	return party, nil, fmt.Errorf("%s holds no share of key %x", operator, k.Key[:6])
}

func (n *Node) sosSignature(k act.Key, digest [32]byte, sig []byte) error {
	v, err := n.inEpoch(k)
	if err != nil {
		return err
	}
	return chain.CheckDigest(v.Suite, v.Current.Record.Public, digest, sig)
}

// held says why nothing ordinary runs on a vault: somebody froze it, or SOS holds it.
func (n *Node) held(ctx context.Context, vault statement.ID) string {
	if n.Rescue == nil {
		return ""
	}
	return n.Rescue.Held(ctx, vault)
}

// mayStart refuses a session on a vault that SOS holds.
func (n *Node) mayStart(ctx context.Context, s *mpc.Setup) error {
	if n.Rescue == nil || n.Rescue.Quiet() {
		return nil
	}
	for _, v := range n.Keeper.Roots() {
		if v.KeyID == s.KeyID {
			if why := n.held(ctx, v.Vault.ID); why != "" {
				return fmt.Errorf("vault %s: %s", v.Vault.Name, why)
			}
		}
	}
	return nil
}

// signed ends what was counted of refusals on a vault.
func (n *Node) signed(vault statement.ID) {
	if n.Rescue != nil {
		n.Rescue.Signed(vault)
	}
}

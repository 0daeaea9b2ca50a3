package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/witness"
)

// knowsHead holds a head of one of the circle's logs to what this node knows of it.
func (n *Node) knowsHead(ctx context.Context, origin string, head tlog.Head) error {
	for _, f := range n.Witness.Forks() {
		if (tlog.Request{Checkpoint: f.A}).Origin() == origin {
			return fmt.Errorf("checkpoint: its log is forked: take another node's")
		}
	}
	if log, _ := n.Witness.Verifiers(); log.Name() == origin {
		own, err := n.Journal.Head(ctx)
		if err == nil && head.Size > own.Size {
			return fmt.Errorf("checkpoint: it is of %d leaves of our own log, which has %d", head.Size, own.Size)
		}
		if err == nil {
			own, err = n.Journal.HeadAt(ctx, head.Size)
		}
		if err == nil && own != head {
			err = fmt.Errorf("checkpoint: our own log has another root of %d leaves", head.Size)
		}
		return err
	}
	last, _, err := witness.Last(ctx, n.Journal.Store(), origin)
	switch {
	case err != nil:
		return err
	case head.Size > last.Size: // we cosign it within seconds, or its node is cut off from us
		return fmt.Errorf("%w: checkpoint: it is of %d leaves, and this node knows %d of that log: try again in a minute", outbox.ErrLater, head.Size, last.Size)
	case head.Size == last.Size && head.Root != last.Root:
		return fmt.Errorf("checkpoint: it has another root than the one that this node cosigned")
	}
	return nil
}

// drillPoints are those of who drills, by our own record and set.
func (n *Node) drillPoints(ctx context.Context, d drill.Drill) (p drill.Points, err error) {
	v, err := n.inEpoch(act.Key{Key: d.Key, Epoch: d.Epoch})
	if err != nil {
		if n.past(d.Vault, d.Key, d.Epoch) {
			return p, fmt.Errorf("epoch: %x is over: make the drill in the one in force", d.Epoch[:6])
		}
		if all := n.Keeper.Vault(d.Vault); len(all) > 0 && !slices.ContainsFunc(all, func(v ceremony.View) bool { return !v.Outside }) {
			return p, fmt.Errorf("this node is not of the committee of vault %s: it has nothing to hold a drill to", all[0].Vault.Name)
		}
		return p, fmt.Errorf("%w: epoch: %w", outbox.ErrLater, err)
	}
	if v.Vault.ID != d.Vault {
		return p, fmt.Errorf("vault: the key is of vault %s", v.Vault.Name)
	}
	r := v.Current.Record
	if d.Role == drill.Operator {
		for _, m := range r.Members {
			if v.Names[m.ID] == d.By {
				p.Party, p.Value = m.ID, m.Public
				if r.Guardians == [32]byte{} {
					return p, nil
				}
				_, _, set, err := n.Keeper.Backups(ctx, r)
				if err == nil {
					p.Mask = set.MaskPoint(m.Index)
				}
				return p, err
			}
		}
		return p, fmt.Errorf("by: operator %s holds no share of this key", d.By)
	}
	plan, _, set, err := n.Keeper.Backups(ctx, r)
	if err != nil {
		return p, err
	}
	for id, name := range guardianParties(v.Vault.SOS) {
		if at, ok := plan.At(id); ok && name == d.By {
			return drill.Points{Party: id, Value: set.ValuePoint(at)}, nil
		}
	}
	return p, fmt.Errorf("by: %s is no guardian of this epoch with the card that the charter has", d.By)
}

// guardianParties names the guardians of a plan by their cards' parties.
func guardianParties(t *charter.SOSTerms) map[engine.PartyID]string {
	out := map[engine.PartyID]string{}
	if t != nil {
		for _, g := range t.Keepers {
			out[g.Card.Party()] = g.Name
		}
	}
	return out
}

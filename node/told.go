package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// keyTold marks that a log which the first release began shows what was known when it came into today's form.
const keyTold = "log-told"

// tellAgain writes into a log that the first release began, whose leaves show no bodies, what is in force (spec/log 13): outsiders could not
// follow the circle otherwise, were all its nodes of that release once. Interrupted, it is done anew.
func (n *Node) tellAgain(ctx context.Context, now time.Time) error {
	head, err := n.Journal.Head(ctx)
	if err != nil || head.Size == 0 {
		return err
	}
	if first, err := n.Journal.Leaf(ctx, 0); err != nil || !first.First {
		return err
	}
	if _, err := n.Journal.Store().Get(ctx, keyTold); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	leaves, err := n.Keeper.Leaves(ctx, now)
	if err != nil {
		return err
	}
	leaves = append(append(n.Circle.Leaves(now), n.toldCharters(now)...), leaves...)
	vaults := map[statement.ID]bool{}
	for _, v := range n.Keeper.Roots() {
		if vaults[v.Vault.ID] {
			continue
		}
		vaults[v.Vault.ID] = true
		accounts, err := n.Accounts.Leaves(ctx, now, v.Vault.ID)
		if err != nil {
			return err
		}
		leaves = append(leaves, accounts...)
	}
	for _, l := range leaves {
		if err := n.Journal.Write(ctx, journal.Entry{Leaves: []tlog.Filed{l}}); err != nil {
			return fmt.Errorf("tell the log what is in force: %w", err)
		}
	}
	return n.Journal.Write(ctx, journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: keyTold, Value: []byte{1}}}}})
}

func (n *Node) toldCharters(now time.Time) []tlog.Filed {
	if n.Charters == nil {
		return nil
	}
	return n.Charters.Leaves(now)
}

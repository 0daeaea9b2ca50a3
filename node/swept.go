package node

import (
	"context"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/decide"
)

// sos is the room that keeps dockets, as the one that decides asks it; nil while it is not open.
func (n *Node) sos() decide.SOS {
	if n.Rescue == nil {
		return nil
	}
	return n.Rescue
}

// lostEpoch says that this node was set back, and may have lost an epoch of an emergency that was in force then.
func (n *Node) lostEpoch(vault statement.ID, at time.Time) bool {
	return n.Rescue != nil && n.Rescue.Lost(vault, at)
}

// sweeps says that a session is over an intent that the vault's plan took (spec/sos 5.2).
func (n *Node) sweeps(ctx context.Context, vault statement.ID, s *mpc.Setup) bool {
	switch s.Protocol {
	case protocol.ProtocolSign, protocol.ProtocolOnline:
	default:
		return false
	}
	id, err := decide.IntentOf(s)
	return err == nil && n.Rescue.MayRun(ctx, vault, sos.Sweep, id) == nil
}

// unchangeable says why no version of the charter comes into force now.
func (n *Node) unchangeable(ctx context.Context) string {
	if n.Rescue == nil || n.Rescue.Quiet() {
		return ""
	}
	return n.Rescue.MayChange(ctx)
}

// subjects are the operators that an emergency of a vault is about.
func (n *Node) subjects(ctx context.Context, vault statement.ID) []string {
	if n.Rescue == nil {
		return nil
	}
	return n.Rescue.Subjects(ctx, vault)
}

package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/publish"
)

// newPublish is our log as everybody sees it.
func (n *Node) newPublish() *publish.Log {
	var outside []tlog.Witness
	for _, w := range n.cfg.Witnesses {
		outside = append(outside, w.Witness)
	}
	return publish.New(publish.Config{
		Journal: n.Journal,
		Checkpoint: func() ([]byte, tlog.Head) {
			signed, head, _ := n.Witness.Checkpoint()
			return signed, head
		},
		Keys: func() ([]byte, bool) {
			k, ok := n.Pulse.Keys(n.cfg.Own.Name)
			if !ok || k.Origin != n.origin() {
				return nil, false
			}
			return tlog.EncodeKeys(k.Statement, k.Signature), true
		},
		Seen: n.Witness.Seen, Witnesses: outside, Publishes: n.publishes, Guards: n.guards,
	})
}

// guards is the second sharing of an epoch that is in force here, of whatever vault: it is public, and useless without the guardians' keys.
func (n *Node) guards(ctx context.Context, record [32]byte) (tlog.Guards, error) {
	for _, v := range n.Keeper.Roots() {
		if v.Current == nil || v.Current.Record.Hash() != record {
			continue
		}
		p, set, _, err := n.Keeper.Backups(ctx, v.Current.Record)
		if errors.Is(err, epoch.ErrUnguarded) {
			return tlog.Guards{}, publish.ErrNotFound
		}
		if err != nil {
			return tlog.Guards{}, err
		}
		return tlog.Guards{Plan: p.Encode(), Set: set}, nil
	}
	return tlog.Guards{}, publish.ErrNotFound
}

// origin is our present log's.
func (n *Node) origin() string { return tlog.Origin(n.cfg.Own.Identity, n.Fence.Confirmed()) }

// publishes says whether the charter in force has everything of a vault shown.
func (n *Node) publishes(vault statement.ID) bool {
	roots := n.Keeper.Vault(vault)
	return len(roots) > 0 && roots[0].Vault.Publish
}

// Cosign answers a request for a cosignature, by whomever: a status of HTTP, and the answer's content type and body. A node that was restored may
// have forgotten what it cosigned; it cosigns nothing until its operator said that it may go on.
func (n *Node) Cosign(ctx context.Context, now time.Time, request []byte) (status int, contentType string, answer []byte) {
	return n.cosign(ctx, now, nil, request)
}

// cosign is Cosign for the node with an identity that asks over its own link; nil: for anybody.
func (n *Node) cosign(ctx context.Context, now time.Time, from ed25519.PublicKey, request []byte) (status int, contentType string, answer []byte) {
	if n.Fence.Fenced() != nil || n.Fence.Sure(now) != nil {
		return 503, "text/plain; charset=utf-8", []byte("this node cosigns nothing now: it may have been restored from a copy, and asks the others; try again\n")
	}
	return n.Witness.Cosign(ctx, now, from, request)
}

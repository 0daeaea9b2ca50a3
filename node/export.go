package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/seal"
)

// openBackups reads back who said to have cut what.
func (n *Node) openBackups(ctx context.Context) (*backup.Book, error) {
	return backup.OpenBook(ctx, backup.Config{
		Operator: n.cfg.Own.Name, Identity: n.cfg.Identity, Journal: n.Journal, Rand: n.cfg.Rand, Log: n.cfg.Log, Post: n.post, Roster: n.roster, Roots: n.Keeper.Roots,
		Document: func() (charter.Document, bool) {
			x, ok := n.Charters.Document()
			return x.Document, ok
		},
	})
}

// Export writes an export of this node, with these settings, to w: nothing that is secret is in plain there. begin is told first how long the signed header will be, which
// is returned last. A node that was restored, or runs twice, makes none: its copy would be older than it seems.
func (n *Node) Export(ctx context.Context, now time.Time, s Settings, place string, to []age.Recipient, begin func(int) error, w io.Writer) ([]byte, error) {
	if err := n.Halted(); err != nil {
		return nil, err
	}
	r, ok := n.roster()
	if !ok {
		return nil, fmt.Errorf("cut an export: there is no roster yet")
	}
	if err := n.Backups.Place(n.cfg.Own.Name, charter.Export, place); err != nil {
		return nil, err
	}
	box, ok := n.cfg.Sealer.(interface{ DataKey() secret.Bytes })
	if !ok {
		return nil, fmt.Errorf("cut an export: rows are sealed by %T, whose key does not leave it", n.cfg.Sealer)
	}
	settings, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("cut an export: %w", err)
	}
	secrets := backup.Secrets(n.cfg.Identity, box.DataKey(), settings)
	defer secrets.Wipe()
	return backup.Cut{
		Identity: n.cfg.Identity, Operator: n.cfg.Own.Name, Roster: r, Place: place, Sealer: n.cfg.Sealer, Secrets: secrets, Roots: n.Keeper.Roots(),
		Recipients: to, Begin: begin,
	}.Write(ctx, now, n.cfg.Store, w)
}

var _ interface{ DataKey() secret.Bytes } = (*seal.Box)(nil)

// BackupSet is what is encrypted to the guardians of a key's epoch in force, and who they are; nil where there is none.
func (n *Node) BackupSet(ctx context.Context, key [32]byte) (cert, plan, set []byte, err error) {
	return n.Keeper.BackupSet(ctx, key)
}

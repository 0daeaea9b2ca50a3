package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/ceremony"
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
		Ground: backup.Ground{Logs: n.Pulse.AllKeys, Known: n.knowsHead, Points: n.drillPoints},
	})
}

// Export writes an export of this node, with these settings, to w: nothing that is secret is in plain there. begin is told first how long the signed header will be, which
// is returned last. A node that was restored, or runs twice, makes none: its copy would be older than it seems. Nor does one with a share of a vault that an emergency holds, before that made new
// shares: whoever is in its way could have the old ones copied (spec/sos 5.1).
func (n *Node) Export(ctx context.Context, now time.Time, s Settings, place string, to []age.Recipient, begin func(int) error, w io.Writer) ([]byte, error) {
	if err := n.Halted(); err != nil {
		return nil, err
	}
	r, ok := n.roster()
	if !ok {
		return nil, fmt.Errorf("cut an export: there is no roster yet")
	}
	for _, v := range n.Keeper.Roots() { // an export is of the whole store
		if n.Rescue == nil || !slices.ContainsFunc(v.Parties, func(p mpc.Party) bool { return p.ID == n.self }) {
			continue
		}
		if err := n.Rescue.MayExport(ctx, v.Vault.ID); err != nil {
			return nil, backup.Held(err)
		}
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
	secrets, err := backup.Secrets(n.cfg.Identity, box.DataKey(), settings)
	if err != nil {
		return nil, err
	}
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

// UnbackedError says why a key is not backed up as the charter has it: until it is, no address of it is given out (product.md, rule 9).
type UnbackedError struct{ why string }

func (e *UnbackedError) Error() string { return e.why }

// Backed says whether a key of a vault is backed up in the epoch in force as the charter has it, or why not: its guardians have their whole set, and
// of each operator for whom it lists places a backup is noted.
func (n *Node) Backed(ctx context.Context, vault statement.ID, suite string) error {
	v, ok := n.Keeper.Root(vault, suite)
	if !ok || v.Current == nil {
		return ceremony.ErrNoKey
	}
	if err := n.Keeper.Guarded(ctx, v); err != nil {
		return &UnbackedError{fmt.Sprintf("vault %s: %v", v.Title(), err)}
	}
	if who := n.Backups.Lacking(v); len(who) > 0 {
		return &UnbackedError{fmt.Sprintf("vault %s: no backup of epoch %d, which is in force, is noted of %s, for whom the charter lists places; each cuts one (`ostraka backup cut`)",
			v.Title(), v.Current.Record.Epoch, strings.Join(who, ", "))}
	}
	return nil
}

package backup

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
)

// Rows of other rooms that an export looks at (spec/store).
const (
	rowsCurrent = "current"
	rowsEpoch   = "epoch"
	rowsInvite  = "invite"
)

// A Cut is an export that is to be made.
type Cut struct {
	Identity   crypto.Signer
	Operator   string
	Roster     charter.Roster
	Place      string
	Sealer     seal.Sealer
	Secrets    backup.Secrets
	Roots      []ceremony.View
	Recipients []age.Recipient
	Begin      func(signedSize int) error // how long the signed header will be, before anything is written
}

// Write makes the export: the ciphertext goes to w, the signed header is returned. The store is read as it is at one moment.
func (c Cut) Write(ctx context.Context, now time.Time, from store.Store, w io.Writer) (signed []byte, err error) {
	snap, ok := from.(store.Snapshotter)
	if !ok {
		return nil, fmt.Errorf("cut an export: this store (%T) cannot be read as of one moment", from)
	}
	if len(c.Recipients) == 0 || len(c.Recipients) > backup.MaxRecipients {
		return nil, fmt.Errorf("cut an export: there are %d recipients, 1 to %d are allowed", len(c.Recipients), backup.MaxRecipients)
	}
	h := backup.Header{
		Level: charter.Export, Circle: c.Roster.Circle, Roster: c.Roster.ID, Operator: c.Operator, Identity: c.Identity.Public().(ed25519.PublicKey),
		Place: c.Place, Created: now.UTC().Truncate(time.Second), Recipients: len(c.Recipients),
	}
	err = snap.Snapshot(ctx, func(r store.Reader) error {
		if h.Keys, err = c.keys(ctx, r); err != nil {
			return err
		}
		if err := c.Begin(h.SignedSize()); err != nil {
			return err
		}
		out := &counted{w: w, sum: sha256.New()}
		if err := c.encrypt(ctx, r, out); err != nil {
			return err
		}
		h.Size, h.Sum = out.n, [32]byte(out.sum.Sum(nil))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cut an export: %w", err)
	}
	return h.Sign(c.Identity)
}

// counted counts and hashes what passes.
type counted struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.sum.Write(b[:n])
	c.n += int64(n)
	return n, err
}

func (c Cut) encrypt(ctx context.Context, r store.Reader, w io.Writer) error {
	sealed, err := age.Encrypt(w, c.Recipients...)
	if err != nil {
		return fmt.Errorf("encrypt to the recipients: %w", err)
	}
	out, err := backup.NewWriter(sealed, c.Secrets)
	if err != nil {
		return err
	}
	err = each(ctx, r, "", func(it store.Item) error {
		if !Carried(it) {
			return nil
		}
		return out.Row(it.Key, it.Value)
	})
	if err == nil {
		err = out.Close()
	}
	if err == nil {
		err = sealed.Close()
	}
	return err
}

func each(ctx context.Context, r store.Reader, prefix string, do func(store.Item) error) error {
	for after := ""; ; {
		items, err := r.Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return err
		}
		for _, it := range items {
			if err := do(it); err != nil {
				return err
			}
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

// Carried says whether an export carries a row. What may serve once alone it does not: a copy of it could serve again (protocols.md 5.2).
func Carried(it store.Item) bool {
	parts := strings.Split(it.Key, "/")
	switch parts[0] {
	case rowsEpoch: // what two nodes share for ECDSA: its oblivious transfers must never run twice from one state
		return len(parts) != 4 || !strings.HasPrefix(parts[3], pairPrefix)
	case rowsInvite: // an invitation that nobody used yet; that one was used is never forgotten
		return bytes.HasPrefix(it.Value, []byte("used"))
	}
	return true
}

var pairPrefix = strings.TrimRight(string(store.Name(protocol.RowPair(engine.PartyID{}))), "0")

// keys are those whose shares the snapshot holds. Each share and mask is opened and held to its point: a copy that does not open is found now.
func (c Cut) keys(ctx context.Context, r store.Reader) (out []backup.Key, err error) {
	for _, v := range c.Roots {
		if v.Current == nil {
			continue
		}
		it, err := r.Get(ctx, store.Key(rowsCurrent, store.ID(v.KeyID[:])))
		if errors.Is(err, store.ErrNotFound) {
			continue // it came into force after the snapshot
		}
		if err != nil {
			return nil, err
		}
		f, err := epoch.DecodeFinalCert(it.Value)
		if err != nil {
			return nil, fmt.Errorf("vault %s: %w", v.Title(), err)
		}
		k, held, err := c.opened(f.Record, func(key string) ([]byte, error) {
			it, err := r.Get(ctx, key)
			return it.Value, err
		})
		if err != nil {
			return nil, fmt.Errorf("vault %s: %w", v.Title(), err)
		}
		if held {
			k.Vault, k.Name = v.Vault.ID, v.Vault.Name
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil, ErrNothing
	}
	slices.SortFunc(out, func(a, b backup.Key) int { return bytes.Compare(a.KeyID[:], b.KeyID[:]) })
	return out, nil
}

// ErrNothing says that a node has nothing that needs a backup.
var ErrNothing = errors.New("this node holds no share of any key in force")

func (c Cut) opened(rec *epoch.Record, get func(string) ([]byte, error)) (backup.Key, bool, error) {
	k, share, mask, err := openKey(rec, c.Identity.Public().(ed25519.PublicKey), c.Sealer, get)
	if errors.Is(err, store.ErrNotFound) {
		return k, false, nil
	}
	if err != nil {
		return k, false, err
	}
	share.Wipe()
	if mask != nil {
		mask.Wipe()
	}
	return k, true, nil
}

// openKey opens an operator's share and mask of a record, and holds the share to its point there. The caller wipes them.
func openKey(rec *epoch.Record, identity ed25519.PublicKey, sealer seal.Sealer, get func(string) ([]byte, error)) (k backup.Key, share, mask group.Scalar, err error) {
	self, eh := session.IDOf(identity), rec.Hash()
	m, ok := rec.Member(self)
	if !ok {
		return k, nil, nil, fmt.Errorf("record %v: %w", eh, store.ErrNotFound)
	}
	g, err := backup.GroupOf(rec.Suite)
	if err != nil {
		return k, nil, nil, err
	}
	scalar := func(row string) (group.Scalar, error) {
		sealed, err := get(store.Key(rowsEpoch, store.ID(rec.KeyID[:]), store.ID(eh[:]), store.Name(row)))
		if err != nil {
			return nil, err
		}
		raw, err := sealer.Open(seal.Label{Key: rec.KeyID[:], Epoch: eh[:], Operator: self[:], Row: row}, sealed)
		if err != nil {
			return nil, err
		}
		defer raw.Wipe()
		s, err := g.DecodeScalar(raw.Expose())
		if err != nil {
			return nil, fmt.Errorf("row %s of record %v is no canonical scalar", row, eh) // the decoder's words could carry it
		}
		return s, nil
	}
	if share, err = scalar(protocol.RowShare); err != nil {
		return k, nil, nil, err
	}
	if !g.BaseMul(share).Equal(m.Public) {
		share.Wipe()
		return k, nil, nil, fmt.Errorf("the share does not match its point in record %v", eh)
	}
	k = backup.Key{KeyID: rec.KeyID, Suite: rec.Suite, Epoch: rec.Epoch, Record: eh, Share: m.Public}
	switch mask, err = scalar(protocol.RowMask); {
	case errors.Is(err, store.ErrNotFound):
		return k, share, nil, nil
	case err != nil:
		share.Wipe()
		return k, nil, nil, err
	}
	k.Mask = g.BaseMul(mask)
	return k, share, mask, nil
}

// Secrets are what an export carries beside the rows. The caller wipes them.
func Secrets(identity crypto.Signer, data secret.Bytes, settings []byte) (backup.Secrets, error) {
	s := backup.Secrets{DataKey: data, Settings: settings}
	switch k := identity.(type) {
	case ed25519.PrivateKey:
		s.Seed = secret.New(k.Seed())
	case interface{ Seed() secret.Bytes }:
		s.Seed = k.Seed()
	default:
		s.Wipe()
		return s, fmt.Errorf("cut an export: the identity is %T, whose seed does not leave it", identity)
	}
	return s, nil
}

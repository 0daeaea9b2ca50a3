package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/tagged"
)

// Vacant says why a folder cannot become a node's: something is in it.
func Vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look into %s: %w", dir, err)
	case len(entries) > 0:
		if _, err := os.Lstat(filepath.Join(dir, settingsName)); err == nil {
			return fmt.Errorf("%s holds a node already: a restored one beside it would be its clone", dir)
		}
		return fmt.Errorf("%s is not empty", dir)
	}
	return nil
}

// Restore makes a node's folder of an opened export, under slots of its own. The node is fenced from its first start on: every pair is burned, and
// nothing is signed until its operator has said that no other copy runs. The folder appears whole or not at all: it is made beside dir, under a name
// that no node runs from, and what an interrupted attempt left there is made anew.
func Restore(ctx context.Context, now time.Time, dir string, o *backup.Opened, open seal.Opener, rand io.Reader, slots ...seal.Slot) error {
	dir = filepath.Clean(dir)
	if err := Vacant(dir); err != nil {
		return err
	}
	s, err := restoredSettings(o.Secrets.Settings, o.Header.Operator)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	tmp := dir + ".restoring"
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("restore: remove what an interrupted attempt left: %w", err)
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	failpoint.Hit("restore-begun")
	if err := furnish(ctx, now, tmp, s, o, open, rand, slots...); err != nil {
		return errors.Join(fmt.Errorf("restore: %w", err), os.RemoveAll(tmp))
	}
	failpoint.Hit("restore-made")
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty folder
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	failpoint.Hit("restore-renamed")
	return errors.Join(syncFolder(dir), syncFolder(filepath.Dir(dir)))
}

// restoredSettings are an export's. The restored store lies in the data folder: the cluster that the settings may name has another, or is lost.
func restoredSettings(raw []byte, operator string) (s Settings, err error) {
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("read the settings: %w", err)
	}
	if s.Operator != operator {
		return s, fmt.Errorf("the settings are of operator %s, the header is of %s", s.Operator, operator)
	}
	s.Store = nil
	return s, nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// furnish fills a new folder.
func furnish(ctx context.Context, now time.Time, dir string, s Settings, o *backup.Opened, open seal.Opener, rand io.Reader, slots ...seal.Slot) error {
	data := secret.New(append([]byte{}, o.Secrets.DataKey.Expose()...))
	box, err := seal.CreateFileFor(ctx, filepath.Join(dir, keyFileName), fileLabel(), open, data, rand, slots...)
	if err != nil {
		return err
	}
	defer box.Wipe()
	id, err := sealIdentity(box, ed25519.NewKeyFromSeed(o.Secrets.Seed.Expose()).Public(), o.Secrets.Seed.Expose())
	if err != nil {
		return err
	}
	if id.Public != fmt.Sprintf("%x", o.Header.Identity) {
		return errors.New("the export's key is not of the identity that its header names")
	}
	if err := writeJSON(filepath.Join(dir, identityName), id); err != nil {
		return err
	}
	mac, err := box.MAC(transcript.StoreTagKey)
	if err != nil {
		return err
	}
	defer mac.Wipe()
	st, err := bolt.Open(filepath.Join(dir, storeName), bolt.Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(refill(ctx, now, tagged.New(st, mac), o), st.Close()); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, settingsName), s)
}

// refill writes an export's rows into an empty store, and marks it.
func refill(ctx context.Context, now time.Time, st store.Store, o *backup.Opened) error {
	for rows := o.Rows; len(rows) > 0; {
		var b store.Batch
		size := 0
		for len(rows) > 0 && len(b.Put) < store.MaxWrites {
			n := len(rows[0].Key) + len(rows[0].Value) + tagged.Size
			if size += n; size > store.MaxBytes && len(b.Put) > 0 {
				break
			}
			b.Put, rows = append(b.Put, rows[0]), rows[1:]
		}
		if _, err := st.Commit(ctx, b); err != nil {
			return fmt.Errorf("write the rows: %w", err)
		}
	}
	failpoint.Hit("restore-filled")
	j, err := journal.Open(ctx, st)
	if err != nil {
		return err
	}
	why := fmt.Sprintf("restored from an export that was cut at %s, and whoever ran this node since may have signed", statement.FormatTime(o.Header.Created))
	return fence.Restored(ctx, j, now, why)
}

package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/tagged"
)

// tags are what this process has for the tags of its store's rows (spec/store 9).
type tags struct {
	mac *seal.MAC

	mu sync.Mutex // held while rows are tagged, or the folder is marked
	on bool       // the folder says that every row carries a tag
}

// lastTagged is the row that is tagged last, with the log's leaf of it: where it carries a tag, all do.
const lastTagged = "instance"

// over gives the store as the node reads it: no row without this node's tag. Rows of an older release's store are tagged first, once.
func (u *unlocked) over(ctx context.Context, dir string, raw store.Store, log *slog.Logger) (store.Store, error) {
	u.tags.mu.Lock()
	defer u.tags.mu.Unlock()
	if !u.tags.on {
		n, err := tagRows(ctx, raw, u.tags.mac, log)
		if err != nil {
			return nil, err
		}
		if err := u.mark(dir); err != nil {
			return nil, err
		}
		log.Info("the rows of the store carry this node's tags from now on: what somebody else writes there is refused, and so is this store by older releases", "tagged", n)
	}
	return tagged.New(raw, u.tags.mac), nil
}

// tagRows puts tags on the rows of an older release's store, which are believed as they are. The log tells of it, in one batch with the last row: a store
// whose log tells so, and which has a row without a tag, is refused, whatever the folder says. Interrupted, it goes on where it was.
func tagRows(ctx context.Context, raw store.Store, mac tagged.MAC, log *slog.Logger) (n int64, err error) {
	told, bare := false, ""
	if _, _, err = tagged.Survey(ctx, raw, mac, func(it store.Item, has bool) error {
		if has {
			it.Value = it.Value[:len(it.Value)-tagged.Size]
		} else if bare == "" {
			bare = it.Key
		}
		tells, err := journal.Tells(it, tlog.KindTagged)
		told = told || tells
		return err
	}); err != nil {
		return 0, fmt.Errorf("tag the rows of the store: %w", err)
	}
	if told && bare != "" {
		return 0, &store.CorruptError{Key: bare, Err: fmt.Errorf("it has no tag, and the log tells that every row has one; identity.json is an older copy: %w", store.ErrForeign)}
	}
	failpoint.Hit("tag-begun")
	if n, err = tagged.Tag(ctx, raw, mac, lastTagged); err != nil || told {
		return n, err
	}
	return n, tellTagged(ctx, raw, mac, log)
}

// tellTagged writes the leaf, and tags the last row with it. A store over which no node ever ran has neither.
func tellTagged(ctx context.Context, raw store.Store, mac tagged.MAC, log *slog.Logger) error {
	e, id := journal.Entry{}, [32]byte{}
	switch it, err := raw.Get(ctx, lastTagged); {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	default:
		has, err := tagged.Holds(mac, it)
		if err != nil {
			return err
		}
		if has { // with a leaf that a store set back has lost
			it.Value = it.Value[:len(it.Value)-tagged.Size]
		}
		id = sha256.Sum256(it.Value)
		e.Batch = store.Batch{If: []store.Cond{store.Unchanged(it)}, Put: []store.Entry{{Key: it.Key, Value: it.Value}}}
	}
	st := tagged.New(raw, mac)
	if err := convertLog(ctx, st, log); err != nil { // a leaf has one place, in the log's form of today
		return err
	}
	j, err := journal.Open(ctx, st)
	if err != nil {
		return err
	}
	head, err := j.Head(ctx)
	if err != nil || head.Size == 0 && len(e.Put) == 0 {
		return err
	}
	e.Leaves = []tlog.Filed{tlog.Notes(tlog.KindTagged, time.Now().UTC().Truncate(time.Second), [32]byte{}, id)}
	failpoint.Hit("tag-before-leaf")
	if err := j.Write(ctx, e); err != nil {
		return fmt.Errorf("tag the rows of the store: %w", err)
	}
	failpoint.Hit("tag-after-leaf")
	return nil
}

// mark says in the folder, under the data key, that every row of its store carries a tag. mu is held, or nobody else has it yet.
func (u *unlocked) mark(dir string) error {
	seed := u.identity.Seed()
	defer seed.Wipe()
	id, err := sealIdentity(u.box, u.identity.Public(), seed.Expose())
	if err != nil {
		return err
	}
	path := filepath.Join(dir, identityName)
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) { // what a crash left
		return fmt.Errorf("mark the folder: %w", err)
	}
	if err := writeJSON(fresh, id); err != nil {
		return err
	}
	failpoint.Hit("tag-written")
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("mark the folder: %w", err)
	}
	failpoint.Hit("tag-renamed")
	if err := syncFolder(dir); err != nil {
		return fmt.Errorf("mark the folder: %w", err)
	}
	failpoint.Hit("tag-marked")
	u.tags.on = true
	return nil
}

// learnEvery is how often a replica that stands by looks whether another has tagged the rows.
const learnEvery = 10 * time.Second

// learn marks the folder of a replica that stands by, once another one has tagged the rows of the store that they share: from then on it takes no store without.
func (u *unlocked) learn(ctx context.Context, dir string, rows store.Reader, log *slog.Logger) {
	for {
		done, err := u.learned(ctx, dir, rows)
		if done {
			return
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("whether the rows of the store carry tags is not known yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(learnEvery):
		}
	}
}

func (u *unlocked) learned(ctx context.Context, dir string, rows store.Reader) (bool, error) {
	u.tags.mu.Lock()
	defer u.tags.mu.Unlock()
	if u.tags.on {
		return true, nil
	}
	it, err := rows.Get(ctx, lastTagged)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if has, err := tagged.Holds(u.tags.mac, it); !has {
		return false, err
	}
	return true, u.mark(dir)
}

// withoutTags reads a store without its key, whether its rows carry tags already or not: the log's head tells by its length.
func withoutTags(ctx context.Context, st store.Store) (store.Store, error) {
	it, err := st.Get(ctx, "log-head")
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && len(it.Value) == 8+tlog.HashSize:
		return st, nil
	case err != nil:
		return nil, err
	}
	return tagged.Unchecked(st), nil
}

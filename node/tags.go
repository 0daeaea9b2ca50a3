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
	"strings"
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
	mac  *seal.MAC
	word bool // the operator's, at this start: rows without tags are believed as they are, and get them

	mu sync.Mutex // held while rows are tagged, or the folder is marked
	on bool       // the folder says that every row carries a tag
}

// lastTagged is the row that is tagged last, with the log's leaf of it: where it carries a tag, all do.
const lastTagged = "instance"

// An UntaggedError says that a folder does not say that its store's rows carry tags, and some do not. Whoever writes folder and store can bring that about, with
// copies of before the tags, and cannot give the operator's word.
type UntaggedError struct {
	Dir   string
	Bare  string // the first row without a tag
	Count int64  // of them
}

func (e *UntaggedError) Error() string {
	return fmt.Sprintf("%d rows of the store of %s have no tag of this node, the first of them %q", e.Count, e.Dir, e.Bare)
}

// over gives the store as the node reads it: no row without this node's tag. Rows of an older release's store are tagged first, once, at the operator's word.
func (u *unlocked) over(ctx context.Context, dir string, raw store.Store, log *slog.Logger) (store.Store, error) {
	u.tags.mu.Lock()
	defer u.tags.mu.Unlock()
	if u.tags.on {
		if u.tags.word {
			log.Warn("the rows of this store carry tags already: leave --tag-rows away; who can write folder and store could make use of it")
		}
		return tagged.New(raw, u.tags.mac), nil
	}
	found, err := survey(ctx, raw, u.tags.mac)
	if err != nil {
		return nil, err
	}
	if found.count > 0 && !u.tags.word {
		return nil, &UntaggedError{Dir: dir, Bare: found.bare, Count: found.count}
	}
	n, err := tagRows(ctx, raw, u.tags.mac, found, log)
	if err != nil {
		return nil, err
	}
	if err := u.mark(dir); err != nil {
		return nil, err
	}
	log.Info("the rows of the store carry this node's tags from now on: what somebody else writes there is refused, and so is this store by older releases", "tagged", n)
	return tagged.New(raw, u.tags.mac), nil
}

// untagged is what was found of a store whose folder does not say that its rows carry tags.
type untagged struct {
	bare  string // the first row without a tag
	count int64  // of them
	told  bool   // the log tells of tags
}

// survey reads all rows, and the log through: nothing is written over one that is not whole, or that tells of tags beside a row without one.
func survey(ctx context.Context, raw store.Store, mac tagged.MAC) (u untagged, err error) {
	first := false // the log has the first release's form
	if _, u.count, err = tagged.Survey(ctx, raw, mac, func(it store.Item, has bool) error {
		if has {
			it.Value = it.Value[:len(it.Value)-tagged.Size]
		} else if u.bare == "" {
			u.bare = it.Key
		}
		first = first || strings.HasPrefix(it.Key, store.Prefix("log-leaf"))
		tells, err := journal.Tells(it, tlog.KindTagged)
		u.told = u.told || tells
		return err
	}); err != nil {
		return u, fmt.Errorf("look for tags in the store: %w", err)
	}
	if u.told && u.count > 0 {
		return u, &store.CorruptError{Key: u.bare, Err: fmt.Errorf("it has no tag, and the log tells that every row has one; identity.json is an older copy: %w", store.ErrForeign)}
	}
	if first {
		return u, nil // it is read when it gets today's form
	}
	j, err := journal.Open(ctx, tagged.Mixed(raw, mac))
	if err == nil {
		_, err = j.Verify(ctx)
	}
	if err != nil {
		return u, fmt.Errorf("look for tags in the store: %w", err)
	}
	return u, nil
}

// tagRows puts tags on the rows of an older release's store, which are believed as they are. The log tells of it, in one batch with the last row: a store
// whose log tells so, and which has a row without a tag, is refused, whatever the folder says. Interrupted, it goes on where it was.
func tagRows(ctx context.Context, raw store.Store, mac tagged.MAC, found untagged, log *slog.Logger) (n int64, err error) {
	if found.told {
		return 0, nil
	}
	failpoint.Hit("tag-begun")
	if n, err = tagged.Tag(ctx, raw, mac, lastTagged); err != nil {
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
func withoutTags(ctx context.Context, dir string, st store.Store) (store.Store, error) {
	id, err := readIdentity(dir)
	if err != nil {
		return nil, err
	}
	it, err := st.Get(ctx, "log-head")
	switch {
	case err == nil && len(it.Value) != 8+tlog.HashSize && id.Rows != rowsTagged:
		return nil, fmt.Errorf("the start that was to tag the rows of %s was interrupted, and some have their tags already: start the node, with --tag-rows if it asks for that", dir)
	case errors.Is(err, store.ErrNotFound), err == nil && len(it.Value) == 8+tlog.HashSize:
		return st, nil
	case err != nil:
		return nil, err
	}
	return tagged.Unchecked(st), nil
}

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// newStoreName is a store that is being filled. It is in nobody's settings: what is left of one is made anew.
const newStoreName = storeName + ".filling"

// ErrOthersStore says that the cluster has a store of this name already.
var ErrOthersStore = errors.New("the cluster has a store of this name, which is another node's")

// StoreName is what a node's store is called in a cluster, unless its operator says otherwise. Several nodes of one operator's name meet in a
// provider's cluster, so the beginning of the identity is in it.
func StoreName(dir string, s Settings) (string, error) {
	id, err := ReadIdentity(dir)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%.40s-%x", s.Operator, id[:4]), nil
}

// A Migration is how far it has come. Stages are "copy" and "compare".
type Migration struct {
	Stage   string
	Records int64
}

// MigrateStore moves the store of a node that does not run: to nil into the data folder, else into the cluster that to names (spec/store.md
// 8). It copies all records into a store that is empty, reads both through and compares them, and then writes the settings. The old store
// stays, marked so that no node runs over it. It returns how many records there are. After a crash, the same call goes on from where it was.
func MigrateStore(ctx context.Context, dir string, to *StoreSettings, progress func(Migration)) (int64, error) {
	s, err := ReadSettings(dir)
	if err != nil {
		return 0, err
	}
	if !Stopped(dir) {
		return 0, fmt.Errorf("the node in %s runs: %w", dir, store.ErrLocked)
	}
	next := s
	next.Store = to
	if err := next.check(); err != nil {
		return 0, err
	}
	switch {
	case s.Store == nil && to == nil:
		return 0, errors.New("the store is in the data folder already")
	case s.Store != nil && to != nil:
		return finishMove(ctx, dir, s)
	case to != nil:
		return toCluster(ctx, dir, next, progress)
	}
	return toFolder(ctx, dir, s, next, progress)
}

// toCluster: the old store is this machine's alone, and its lock is held. The settings are what counts; who opens the cluster's store by them
// does what is left, if we did not come to it: takes the mark away, and sets the old store aside.
func toCluster(ctx context.Context, dir string, next Settings, progress func(Migration)) (n int64, err error) {
	from, err := bolt.Open(filepath.Join(dir, storeName), bolt.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	held := true
	release := func() (err error) {
		if held {
			held, err = false, from.Close()
		}
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	into, err := acquireNow(ctx, dir, next)
	if errors.Is(err, store.ErrLocked) { // this node's store is here: whoever runs over one there is another
		return 0, fmt.Errorf("%w: %w", ErrOthersStore, err)
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	mark := &etcd.Mark{State: etcd.Filling, Of: identityOf(dir), Where: place(dir), At: time.Now().UTC()}
	if err := into.begin(ctx, mark); err != nil {
		return 0, err
	}
	failpoint.Hit("migrate-begun")
	if n, err = copyStore(ctx, from, into, progress); err != nil {
		return n, err
	}
	failpoint.Hit("migrate-copied")
	mark.State = etcd.Filled
	if err := into.tenure.Mark(ctx, mark); err != nil {
		return n, err
	}
	failpoint.Hit("migrate-filled")
	if err := replaceSettings(dir, next); err != nil {
		return n, err
	}
	failpoint.Hit("migrate-settled")
	if err := into.tenure.Mark(ctx, nil); err != nil {
		return n, err
	}
	failpoint.Hit("migrate-unmarked")
	if err := release(); err != nil { // the lock, which setAside takes
		return n, err
	}
	return n, setAside(dir, next)
}

// filledFrom says whether the cluster's store is one that was filled from this folder, whose settings name it now.
func filledFrom(dir string, m *etcd.Mark) bool {
	return m != nil && m.State == etcd.Filled && m.Where == place(dir) && m.Of == identityOf(dir)
}

// finishMove does what an earlier run, which had written the settings, did not come to.
func finishMove(ctx context.Context, dir string, s Settings) (n int64, err error) {
	if _, err := os.Lstat(filepath.Join(dir, storeName)); errors.Is(err, fs.ErrNotExist) {
		return 0, errors.New("the store is in a cluster already: move it into the data folder first")
	}
	o, err := acquireNow(ctx, dir, s)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if err := sole(ctx, dir, s, o.cluster, o.tenure); err != nil {
		return 0, err
	}
	return n, each(ctx, o, func(store.Item) error { n++; return nil })
}

// trust takes the mark away from a cluster's store that was filled from this folder. The old store lies there still: is it not the same, a node ran
// over it since, and the cluster's is an older copy.
func trust(ctx context.Context, dir string, t *etcd.Tenure) (err error) {
	old, err := bolt.Open(filepath.Join(dir, storeName), bolt.Options{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("the store in the cluster was filled from the one in %s, which does not open: %w", dir, err)
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	if err := compareStores(ctx, old, t.Store(), func(Migration) {}); err != nil {
		return fmt.Errorf("the store in the cluster is an older copy of the one in %s: take \"store\" out of node.json, and run `ostraka node migrate-store --to etcd` again: %w", dir, err)
	}
	if err := t.Mark(ctx, nil); err != nil {
		return err
	}
	failpoint.Hit("migrate-unmarked")
	return nil
}

// toFolder: the old store is other replicas' too. It is marked before the settings are written: a replica that took over after a crash here
// would be a clone of this one.
func toFolder(ctx context.Context, dir string, s, next Settings, progress func(Migration)) (n int64, err error) {
	from, err := acquireNow(ctx, dir, s)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	m, err := from.cluster.Marked(ctx)
	ours := m != nil && m.State == etcd.Left && m.Where == place(dir)
	switch _, there := os.Lstat(filepath.Join(dir, storeName)); {
	case err != nil:
		return 0, err
	case m != nil && !ours:
		return 0, unmarked(m)
	case there == nil && ours: // an earlier run came as far as the settings
		return settle(ctx, dir, from, next, progress)
	case !errors.Is(there, fs.ErrNotExist):
		return 0, fmt.Errorf("%s has a store already, which is not the node's: set it aside first", dir)
	}
	fresh := filepath.Join(dir, newStoreName)
	if err := os.RemoveAll(fresh); err != nil {
		return 0, fmt.Errorf("remove what an earlier attempt left: %w", err)
	}
	if n, err = fill(ctx, fresh, from, progress); err != nil {
		return n, err
	}
	failpoint.Hit("migrate-copied")
	if err := from.tenure.Mark(ctx, &etcd.Mark{State: etcd.Left, Of: identityOf(dir), Where: place(dir), At: time.Now().UTC()}); err != nil {
		return n, err
	}
	failpoint.Hit("migrate-marked")
	if err := os.Rename(fresh, filepath.Join(dir, storeName)); err != nil {
		return n, err
	}
	if err := syncFolder(dir); err != nil {
		return n, err
	}
	failpoint.Hit("migrate-renamed")
	if err := replaceSettings(dir, next); err != nil {
		return n, err
	}
	failpoint.Hit("migrate-settled")
	return n, nil
}

// settle holds the copy of an earlier run to the store that it was made of, and writes the settings.
func settle(ctx context.Context, dir string, from store.Store, next Settings, progress func(Migration)) (n int64, err error) {
	into, err := bolt.Open(filepath.Join(dir, storeName), bolt.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	err = compareStores(ctx, from, into, func(m Migration) { n = m.Records; progress(m) })
	if err := errors.Join(err, into.Close()); err != nil {
		return n, err
	}
	return n, replaceSettings(dir, next)
}

func fill(ctx context.Context, fresh string, from store.Store, progress func(Migration)) (n int64, err error) {
	into, err := bolt.Open(fresh, bolt.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	return copyStore(ctx, from, into, progress)
}

// acquireNow owns the cluster's store, or says which replica does.
func acquireNow(ctx context.Context, dir string, s Settings) (*opened, error) {
	o, err := s.Store.Etcd.options(dir, nil)
	if err != nil {
		return nil, err
	}
	c, err := etcd.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	t, err := c.AcquireNow(ctx, s.me())
	if err != nil {
		c.Close()
		return nil, err
	}
	return &opened{Store: t.Store(), tenure: t, cluster: c}, nil
}

// begin takes an empty store, or one that an attempt from the same folder was filling: nobody can have run over that.
func (o *opened) begin(ctx context.Context, mark *etcd.Mark) error {
	was, err := o.cluster.Marked(ctx)
	if err != nil {
		return err
	}
	again := was != nil && was.State != etcd.Left && was.Of == mark.Of && was.Where == mark.Where
	page, err := o.Range(ctx, "", "", 1)
	if err != nil {
		return err
	}
	if !again && (was != nil || len(page) > 0) {
		return fmt.Errorf("%w and is not empty, or was this node's before: give another --name", ErrOthersStore)
	}
	if err := o.tenure.Mark(ctx, mark); err != nil {
		return err
	}
	for {
		page, err := o.Range(ctx, "", "", store.MaxWrites)
		if err != nil || len(page) == 0 {
			return err
		}
		var b store.Batch
		for _, it := range page {
			b.Delete = append(b.Delete, it.Key)
		}
		if _, err := o.Commit(ctx, b); err != nil {
			return err
		}
	}
}

// copyStore copies all records, then compares the stores record by record. No value holds a revision of the store's (spec/store.md 8.4), so
// they are the same bytes in either.
func copyStore(ctx context.Context, from, into store.Store, progress func(Migration)) (int64, error) {
	var b store.Batch
	size, n := 0, int64(0)
	flush := func() error {
		if len(b.Put) == 0 {
			return nil
		}
		if _, err := into.Commit(ctx, b); err != nil {
			return fmt.Errorf("write the new store: %w", err)
		}
		n += int64(len(b.Put))
		b, size = store.Batch{}, 0
		failpoint.Hit("migrate-batch")
		progress(Migration{"copy", n})
		return nil
	}
	err := each(ctx, from, func(it store.Item) error {
		room := 2*len(it.Key) + len(it.Value)
		if len(b.Put) == store.MaxWrites || size+room > store.MaxBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		size += room
		b.If, b.Put = append(b.If, store.Absent(it.Key)), append(b.Put, store.Entry{Key: it.Key, Value: it.Value})
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return n, err
	}
	return n, compareStores(ctx, from, into, progress)
}

// compareStores reads both from the start: each record of one is in the other, at the same place, with the same value.
func compareStores(ctx context.Context, a, b store.Store, progress func(Migration)) error {
	after, n := "", int64(0)
	var there []store.Item
	next := func() (*store.Item, error) {
		if len(there) == 0 {
			var err error
			if there, err = b.Range(ctx, "", after, pageOf); err != nil || len(there) == 0 {
				return nil, err
			}
			after = there[len(there)-1].Key
		}
		it := there[0]
		there = there[1:]
		return &it, nil
	}
	err := each(ctx, a, func(it store.Item) error {
		other, err := next()
		switch {
		case err != nil:
			return err
		case other == nil || other.Key > it.Key:
			return fmt.Errorf("the new store lacks record %q: the old one stays in use", it.Key)
		case other.Key < it.Key:
			return fmt.Errorf("the new store has record %q, which the old one has not: the old one stays in use", other.Key)
		case string(other.Value) != string(it.Value):
			return fmt.Errorf("record %q has another value in the new store: the old one stays in use", it.Key)
		}
		if n++; n%pageOf == 0 {
			progress(Migration{"compare", n})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if more, err := next(); err != nil || more != nil {
		if err == nil {
			err = fmt.Errorf("the new store has record %q, which the old one has not: the old one stays in use", more.Key)
		}
		return err
	}
	progress(Migration{"compare", n})
	return nil
}

// pageOf is how many records are read at a time.
const pageOf = 256

func each(ctx context.Context, from store.Store, do func(store.Item) error) error {
	for after := ""; ; {
		page, err := from.Range(ctx, "", after, pageOf)
		if err != nil {
			return err
		}
		for _, it := range page {
			if err := do(it); err != nil {
				return err
			}
			after = it.Key
		}
		if len(page) < pageOf {
			return nil
		}
	}
}

// replaceSettings writes node.json whole, or not at all.
func replaceSettings(dir string, s Settings) error {
	path := filepath.Join(dir, settingsName)
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write settings: %w", err)
	}
	if err := writeJSON(fresh, s); err != nil {
		return err
	}
	failpoint.Hit("migrate-written")
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return syncFolder(dir)
}

// place names a data folder to people.
func place(dir string) string {
	host, _ := os.Hostname()
	if full, err := filepath.Abs(dir); err == nil {
		dir = full
	}
	return host + ":" + dir
}

// identityOf is the node's public key, as its file says.
func identityOf(dir string) string {
	raw, err := os.ReadFile(filepath.Join(dir, identityName))
	var id sealedIdentity
	if err == nil {
		_ = json.Unmarshal(raw, &id) // a mark without it says less
	}
	return id.Public
}

package bolt

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/store"
)

const (
	dataFile    = "store.db"
	newFile     = "store.db.new"
	reserveFile = "reserve"
	lockFile    = "lock"
	leftFile    = "LEFT" // says where the node went that had this store

	// DefaultReserve is room for some thousand deny, freeze and veto entries, in bytes.
	DefaultReserve = 8 << 20

	queueLen = 1024 // batches that wait for the committer
)

// All records lie in one bucket. Keys of records begin with recordTag; stateKey comes
// after all of them, so that every record has a successor.
var (
	bucketName = []byte("ostraka")
	stateKey   = []byte("s")
)

const recordTag = "r"

// Options of Open. The zero value is the default.
type Options struct {
	Reserve  int64 // bytes kept for batches with Reserve; 0: DefaultReserve
	Quota    int64 // bytes that records may take, free pages not counted; batches with Reserve may pass it; 0: no bound but the disk
	ReadOnly bool  // open what is there, and change nothing but the lock's file

	Broken func(error) // told once, in a goroutine of its own, that a write or sync failed: the store refuses everything from then on; nil: nobody is
}

// A Store is an open folder.
type Store struct {
	dir   string
	db    *bbolt.DB
	file  *os.File // store.db, to allocate space in
	lock  *os.File
	disk  disk
	quota int64 // of Options
	told  func(error)

	state atomic.Pointer[state] // as last committed

	mu     sync.RWMutex // held for reading while a batch is handed over
	closed bool
	queue  chan *pending
	done   chan struct{} // closed when the committer has ended

	readOnly bool // nobody commits

	failed atomic.Pointer[error]
	full   atomic.Bool   // a batch that may not use the reserve found no room: see Full
	groups atomic.Uint64 // transactions written

	hold chan struct{} // tests: the committer takes one before each group, if not nil
}

var _ store.Store = (*Store)(nil)

// Open opens the folder, creating it (0700) if its parent exists. Errors: ErrLocked if
// another process has it; *store.CorruptError if anything in it is damaged;
// store.ErrVersion if a newer program made it; a plain error if others may read it or it
// lies on a network file system.
func Open(dir string, o Options) (_ *Store, err error) {
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if !o.ReadOnly {
		if err := makeDir(dir); err != nil {
			return nil, err
		}
	}
	if err := refuseNetwork(dir); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, quota: o.Quota, told: o.Broken, queue: make(chan *pending, queueLen), done: make(chan struct{})}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if s.lock, err = takeLock(dir); err != nil {
		return nil, err
	}
	switch note, err := os.ReadFile(filepath.Join(dir, leftFile)); {
	case err == nil:
		return nil, fmt.Errorf("open store %s: %w: %s", dir, ErrLeft, strings.TrimSpace(string(note)))
	case !errors.Is(err, fs.ErrNotExist): // it is there, whatever it says
		return nil, fmt.Errorf("open store %s: %w: %w", dir, ErrLeft, err)
	}
	path := filepath.Join(dir, dataFile)
	if o.ReadOnly {
		if err := s.openToRead(path); err != nil {
			return nil, err
		}
		return s, nil
	}
	if err := create(dir); err != nil {
		return nil, fmt.Errorf("create store %s: %w", path, err)
	}
	if s.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := refuseReaders(s.file); err != nil {
		return nil, err
	}
	st, err := verify(s.file, path)
	if err != nil {
		return nil, err
	}
	s.state.Store(&st)
	if s.db, err = openBolt(path, o.Quota > 0); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	if s.disk, err = newDisk(dir, s.file, o.Reserve); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	go s.run()
	return s, nil
}

// openToRead opens the file for readers alone: nothing is created, allocated or written.
func (s *Store) openToRead(path string) (err error) {
	close(s.done) // there is no committer
	if s.file, err = os.Open(path); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	st, err := verify(s.file, path)
	if err != nil {
		return err
	}
	s.state.Store(&st)
	s.readOnly = true
	if s.db, err = bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: time.Second, NoStatistics: true}); err != nil {
		return fmt.Errorf("open store %s: %w", path, err)
	}
	return nil
}

// ErrLeft says that the node moved to another store. Two stores of one node in use are a clone.
var ErrLeft = errors.New("the node has left this store")

// Leave marks a store that nobody has open: none opens it any more. The note says where the node is now.
func Leave(dir, note string) error {
	lock, err := takeLock(dir)
	if err != nil {
		return err
	}
	defer freeLock(lock) //nolint:errcheck // nothing was written through it
	f, err := os.OpenFile(filepath.Join(dir, leftFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("mark store %s: %w", dir, err)
	}
	_, err = f.WriteString(note)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("mark store %s: %w", dir, err)
	}
	return syncDir(dir)
}

// openBolt opens the data file; counted: with the number of its free pages at hand.
func openBolt(path string, counted bool) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        time.Second,
		NoSync:         false,
		NoGrowSync:     false,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		NoStatistics:   !counted,
	})
}

// create makes an empty store under another name and renames it when it is durable, so
// that store.db is whole or absent. The caller holds the lock.
func create(dir string) error {
	path, tmp := filepath.Join(dir, dataFile), filepath.Join(dir, newFile)
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // what a crash left
	}
	failpoint.Hit("bolt/create/before")
	db, err := openBolt(tmp, false)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(bucketName)
		if err != nil {
			return err
		}
		return b.Put(stateKey, state{tx: uint64(tx.ID())}.frame())
	})
	if err := errors.Join(err, db.Sync(), db.Close()); err != nil {
		return err
	}
	failpoint.Hit("bolt/create/written")
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	failpoint.Hit("bolt/create/renamed")
	if err := syncDir(dir); err != nil {
		return err
	}
	failpoint.Hit("bolt/create/done")
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (it store.Item, err error) {
	if err := store.CheckGet(key); err != nil {
		return it, err
	}
	err = s.view(ctx, func(b *bbolt.Bucket) (err error) {
		it, err = get(b, key)
		return err
	})
	return it, err
}

func get(b *bbolt.Bucket, key string) (it store.Item, err error) {
	r, err := lookup(b, key)
	if err != nil {
		return it, err
	}
	if r.revision == 0 {
		return it, store.ErrNotFound
	}
	return store.Item{Key: key, Value: append([]byte{}, r.value...), Revision: r.revision}, nil
}

// Range implements store.Store.
func (s *Store) Range(ctx context.Context, prefix, after string, limit int) (page []store.Item, err error) {
	if err := store.CheckRange(prefix, after, limit); err != nil {
		return nil, err
	}
	err = s.view(ctx, func(b *bbolt.Bucket) (err error) {
		page, err = rangeOf(b, prefix, after, limit)
		return err
	})
	return page, err
}

func rangeOf(b *bbolt.Bucket, prefix, after string, limit int) (page []store.Item, err error) {
	c := b.Cursor()
	k, v := c.Seek([]byte(recordTag + max(prefix, after)))
	if after != "" && string(k) == recordTag+after {
		k, v = c.Next()
	}
	last := after
	for ; len(page) < limit; k, v = c.Next() {
		key, isRecord := strings.CutPrefix(string(k), recordTag)
		if !isRecord || !strings.HasPrefix(key, prefix) {
			break
		}
		if key <= last {
			return nil, &store.CorruptError{Key: key, Err: fmt.Errorf("stands after %q", last)}
		}
		value, rev, err := store.Unframe(key, v)
		if err != nil {
			return nil, err
		}
		page = append(page, store.Item{Key: key, Value: append([]byte{}, value...), Revision: rev})
		last = key
	}
	return page, nil
}

// Snapshot implements store.Snapshotter: one transaction of bbolt, which sees nothing of what is written meanwhile.
func (s *Store) Snapshot(ctx context.Context, read func(store.Reader) error) error {
	return s.view(ctx, func(b *bbolt.Bucket) error { return read(moment{b}) })
}

// moment reads within one transaction.
type moment struct{ b *bbolt.Bucket }

func (m moment) Get(ctx context.Context, key string) (store.Item, error) {
	if err := cmp.Or(ctx.Err(), store.CheckGet(key)); err != nil {
		return store.Item{}, err
	}
	return get(m.b, key)
}

func (m moment) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	if err := cmp.Or(ctx.Err(), store.CheckRange(prefix, after, limit)); err != nil {
		return nil, err
	}
	return rangeOf(m.b, prefix, after, limit)
}

// A record as it lies in the file; value is valid as long as the transaction.
type record struct {
	value    []byte
	revision uint64 // 0: there is none
	sum      uint64 // its checksum as a number
}

// lookup finds a record. A miss is believed only if the records on both sides of the
// gap are sound and in order: a flipped bit in the key sought, or in a key on the way
// to it, would else make a burn flag vanish.
func lookup(b *bbolt.Bucket, key string) (r record, err error) {
	full := recordTag + key
	c := b.Cursor()
	k, v := c.Seek([]byte(full))
	if string(k) == full {
		if r.value, r.revision, err = store.Unframe(key, v); err != nil {
			return record{}, err
		}
		r.sum = sumOf(v)
		return r, nil
	}
	if err := soundNeighbour(k, v, func(k string) bool { return k > full }); err != nil {
		return record{}, err
	}
	if k, v = c.Prev(); k != nil {
		return record{}, soundNeighbour(k, v, func(k string) bool { return k < full })
	}
	return record{}, nil
}

func soundNeighbour(k, v []byte, inOrder func(string) bool) error {
	key := strings.TrimPrefix(string(k), recordTag)
	if !inOrder(string(k)) {
		return &store.CorruptError{Key: key, Err: errors.New("stands in the wrong place, or the last record is gone")}
	}
	if bytes.Equal(k, stateKey) {
		_, err := parseState(v)
		return err
	}
	_, _, err := store.Unframe(key, v)
	return err
}

// view runs f in a read transaction.
func (s *Store) view(ctx context.Context, f func(*bbolt.Bucket) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock() // Close waits for readers
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	return guard(s.dir, func() error {
		tx, err := s.db.Begin(false)
		if err != nil {
			return fmt.Errorf("read store %s: %w", s.dir, err)
		}
		defer func() { _ = tx.Rollback() }() // a reader's rollback only releases
		b := tx.Bucket(bucketName)
		if b == nil {
			return &store.CorruptError{Key: filepath.Join(s.dir, dataFile), Err: errors.New("has no records at all")}
		}
		return f(b)
	})
}

// Verify reads every record of the open store and holds them against the state record,
// as Open does; a node runs it daily. It returns *store.CorruptError on damage.
func (s *Store) Verify(ctx context.Context) error {
	return s.view(ctx, func(b *bbolt.Bucket) error {
		var t tally
		err := b.ForEach(func(k, v []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return t.take(k, v)
		})
		var st state
		if err == nil {
			if st, err = t.compare(); err == nil {
				err = st.newest(uint64(b.Tx().ID()))
			}
		}
		return named(err, filepath.Join(s.dir, dataFile))
	})
}

// usable is nil while the store takes calls. The caller holds mu.
func (s *Store) usable() error {
	if e := s.failed.Load(); e != nil {
		return *e
	}
	if s.closed {
		return store.ErrClosed
	}
	return nil
}

// Full says that a batch which may not use the reserve found no room on the disk, and that there is none now: small batches may still fit into
// what the file has left.
func (s *Store) Full() bool {
	if !s.full.Load() {
		return false
	}
	if s.overQuota() {
		return true
	}
	room, err := freeBytes(s.dir)
	if err != nil {
		return true
	}
	if held, err := os.Stat(filepath.Join(s.dir, reserveFile)); err == nil {
		room -= max(0, s.disk.want-held.Size())
	}
	if room < 2*growStep {
		return true
	}
	s.full.Store(false)
	return false
}

// overQuota says whether the smallest batch finds no room within the quota now.
func (s *Store) overQuota() bool {
	if s.quota == 0 {
		return false
	}
	size := int64(0)
	err := s.db.View(func(tx *bbolt.Tx) error {
		size = tx.Size()
		return nil
	})
	return err == nil && s.withinQuota(size, int(min(growStep, s.quota/8)), false) != nil
}

// Close implements store.Store. After a fatal error it returns that error, and the lock
// stays held until the process ends: what the kernel still shows of the file may not
// be on the disk, so nothing in this process may open it again.
func (s *Store) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	if !was {
		close(s.queue)
	}
	s.mu.Unlock()
	<-s.done
	if e := s.failed.Load(); e != nil {
		return *e
	}
	if was {
		return nil
	}
	return s.release()
}

func (s *Store) release() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	for _, f := range []*os.File{s.disk.reserve, s.file} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, freeLock(s.lock))
	}
	return errors.Join(errs...)
}

package store

import "context"

// Bounds of every driver. They lie inside etcd's defaults (128 operations per
// transaction, requests of 1.5 MiB) and leave eight conditions for a driver's own
// fencing.
const (
	MaxConds  = 120     // conditions in a batch
	MaxWrites = 120     // puts and deletes in a batch
	MaxKey    = 512     // bytes in a key, at least 1
	MaxBytes  = 5 << 18 // bytes in a batch: all keys and values
	MaxLimit  = 1024    // items in a page of Range
)

// An Item is a stored record.
type Item struct {
	Key      string
	Value    []byte // the caller's own copy
	Revision uint64 // of its last change, ≥ 1
}

// A Cond holds if the key's last change has this revision; 0: if the key is absent.
type Cond struct {
	Key      string
	Revision uint64
}

// Absent is the condition that no record has this key.
func Absent(key string) Cond { return Cond{Key: key} }

// Unchanged is the condition that the record is still the one read.
func Unchanged(it Item) Cond { return Cond{Key: it.Key, Revision: it.Revision} }

// An Entry is a record to be written.
type Entry struct {
	Key   string
	Value []byte
}

// A Batch is applied whole or not at all, if all its conditions hold. No key stands
// twice among Put and Delete, nor twice in If. Deleting an absent key does nothing.
// A batch without writes only checks.
type Batch struct {
	If     []Cond
	Put    []Entry
	Delete []string

	// Reserve lets the batch use the space kept for deny, freeze and veto when the
	// disk is full (product.md, rule 11). Drivers without a reserve ignore it.
	Reserve bool
}

// A Reader reads records as they were at one moment. It must not be used after the call that gave it has returned.
type Reader interface {
	Get(ctx context.Context, key string) (Item, error)
	Range(ctx context.Context, prefix, after string, limit int) ([]Item, error)
}

// A Snapshotter is a store that shows all its records as they are at one moment, for as long as read takes; writers go on meanwhile.
type Snapshotter interface {
	Snapshot(ctx context.Context, read func(Reader) error) error
}

// A Store keeps records. Its methods may be called at the same time.
type Store interface {
	// Get returns the record; ErrNotFound if there is none, *CorruptError if what is
	// stored is not what was written.
	Get(ctx context.Context, key string) (Item, error)

	// Range returns the first limit records, in byte order of keys, whose keys begin
	// with prefix and are greater than after ("": from the start). Fewer than limit
	// means that there are no more. 1 ≤ limit ≤ MaxLimit. One page is one moment;
	// two pages are two moments.
	Range(ctx context.Context, prefix, after string, limit int) ([]Item, error)

	// Commit applies the batch and returns its revision, which all its puts carry.
	// Revisions rise with every batch that writes. When it returns nil the batch is
	// durable. Errors: *ConflictError, *InvalidError, *CorruptError, ErrFull, ErrClosed
	// and the context's error, all with nothing written; ErrUnknown, where it may or
	// may not have been written.
	Commit(ctx context.Context, b Batch) (uint64, error)

	// Close waits for batches under way. Later calls return ErrClosed.
	Close() error
}

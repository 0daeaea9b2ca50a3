package tagged

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/store"
)

// Size is what a tag adds to a value, in bytes.
const Size = 16

// A MAC authenticates bytes under a key that it keeps; false once that is gone. Its method may be called at the same time.
type MAC interface {
	Sum(data []byte) (sum [32]byte, ok bool)
}

// A Store is a store over another, whose values carry tags there.
type Store struct {
	under store.Store
	mac   MAC
}

var (
	_ store.Store       = (*Store)(nil)
	_ store.Snapshotter = (*Store)(nil)
)

// New puts tags between a node and its store. Closing it closes that.
func New(under store.Store, mac MAC) *Store { return &Store{under, mac} }

// tag is what stands behind a value: of the key too, so that no row stands in another's place. ErrClosed: the MAC's key is gone, as at the end of a process.
func tag(mac MAC, key string, value []byte) ([]byte, error) {
	sum, ok := mac.Sum(transcript.NewSized(transcript.StoreTag, len(key)+len(value)+64).Bytes([]byte(key)).Bytes(value).Tree())
	if !ok {
		return nil, store.ErrClosed
	}
	return sum[:Size], nil
}

// seal gives the value as it is stored.
func seal(mac MAC, key string, value []byte) ([]byte, error) {
	t, err := tag(mac, key, value)
	if err != nil {
		return nil, err
	}
	return append(append(make([]byte, 0, len(value)+Size), value...), t...), nil
}

// holds says whether what is stored ends in its tag.
func holds(mac MAC, it store.Item) (bool, error) {
	if len(it.Value) < Size {
		return false, nil
	}
	n := len(it.Value) - Size
	want, err := tag(mac, it.Key, it.Value[:n])
	return err == nil && subtle.ConstantTimeCompare(want, it.Value[n:]) == 1, err
}

// open takes the tag off what was read.
func open(mac MAC, it store.Item) (store.Item, error) {
	ok, err := holds(mac, it)
	if err == nil && !ok {
		err = &store.CorruptError{Key: it.Key, Err: store.ErrForeign}
	}
	if err != nil {
		return store.Item{}, err
	}
	n := len(it.Value) - Size
	it.Value = it.Value[:n:n]
	return it, nil
}

// opened takes the tags off a page.
func opened(mac MAC, page []store.Item) ([]store.Item, error) {
	for i := range page {
		var err error
		if page[i], err = open(mac, page[i]); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	return reader{s.under, s.mac}.Get(ctx, key)
}

// Range implements store.Store.
func (s *Store) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	return reader{s.under, s.mac}.Range(ctx, prefix, after, limit)
}

// reader takes tags off what another reads.
type reader struct {
	store.Reader
	mac MAC
}

func (r reader) Get(ctx context.Context, key string) (store.Item, error) {
	it, err := r.Reader.Get(ctx, key)
	if err != nil {
		return it, err
	}
	if it.Key != key { // the tag is of the key that the row says; a driver that gives another's is a bug
		return store.Item{}, &store.CorruptError{Key: key, Err: fmt.Errorf("the store gave row %q in its place", it.Key)}
	}
	return open(r.mac, it)
}

func (r reader) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	page, err := r.Reader.Range(ctx, prefix, after, limit)
	if err != nil {
		return nil, err
	}
	return opened(r.mac, page)
}

// Snapshot implements store.Snapshotter, if the store below does.
func (s *Store) Snapshot(ctx context.Context, read func(store.Reader) error) error {
	snap, ok := s.under.(store.Snapshotter)
	if !ok {
		return fmt.Errorf("this store (%T) cannot be read as of one moment", s.under)
	}
	return snap.Snapshot(ctx, func(r store.Reader) error { return read(reader{r, s.mac}) })
}

// Commit implements store.Store. A batch has room for less by Size for each value.
func (s *Store) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if err := Check(b); err != nil {
		return 0, err
	}
	put := make([]store.Entry, len(b.Put))
	for i, e := range b.Put {
		v, err := seal(s.mac, e.Key, e.Value)
		if err != nil {
			return 0, err
		}
		put[i] = store.Entry{Key: e.Key, Value: v}
	}
	b.Put = put
	return s.under.Commit(ctx, b)
}

// Check holds a batch against the bounds of a store with tags.
func Check(b store.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	size := len(b.Put) * Size
	for _, c := range b.If {
		size += len(c.Key)
	}
	for _, e := range b.Put {
		size += len(e.Key) + len(e.Value)
	}
	for _, k := range b.Delete {
		size += len(k)
	}
	if size > store.MaxBytes {
		return &store.InvalidError{Reason: fmt.Sprintf("%d bytes in one batch with the tags of its values, at most %d are allowed", size, store.MaxBytes)}
	}
	return nil
}

// Full says whether the store below has no room; false if it does not say.
func (s *Store) Full() bool {
	f, ok := s.under.(interface{ Full() bool })
	return ok && f.Full()
}

// Close implements store.Store.
func (s *Store) Close() error { return s.under.Close() }

// Holds says whether a row that was read from the store below carries this node's tag.
func Holds(mac MAC, it store.Item) (bool, error) { return holds(mac, it) }

// Mixed reads a store some of whose rows carry this node's tag and others none yet: those that carry it without it. It writes nothing.
func Mixed(under store.Store, mac MAC) store.Store { return mixed{under, mac} }

type mixed struct {
	store.Store
	mac MAC
}

func (m mixed) strip(it store.Item) (store.Item, error) {
	has, err := holds(m.mac, it)
	if has {
		n := len(it.Value) - Size
		it.Value = it.Value[:n:n]
	}
	return it, err
}

func (m mixed) Get(ctx context.Context, key string) (store.Item, error) {
	it, err := m.Store.Get(ctx, key)
	if err != nil {
		return it, err
	}
	return m.strip(it)
}

func (m mixed) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	page, err := m.Store.Range(ctx, prefix, after, limit)
	for i := range page {
		if page[i], err = m.strip(page[i]); err != nil {
			return nil, err
		}
	}
	return page, err
}

func (mixed) Commit(context.Context, store.Batch) (uint64, error) { return 0, errMixed }

var errMixed = errors.New("a store that is looked at for tags is only read")

// Unchecked reads a store's rows without the key: tags are taken off, and nobody looks at them. It is for who wants to see rows that nothing is decided by,
// and has no data key; it writes nothing.
func Unchecked(under store.Store) store.Store { return unchecked{under} }

type unchecked struct{ store.Store }

var errShort = errors.New("it is shorter than a tag: the rows of this store have none yet, and `ostraka node run` puts them there, once")

func (u unchecked) strip(it store.Item) (store.Item, error) {
	n := len(it.Value) - Size
	if n < 0 {
		return store.Item{}, &store.CorruptError{Key: it.Key, Err: errShort}
	}
	it.Value = it.Value[:n:n]
	return it, nil
}

func (u unchecked) Get(ctx context.Context, key string) (store.Item, error) {
	it, err := u.Store.Get(ctx, key)
	if err != nil {
		return it, err
	}
	return u.strip(it)
}

func (u unchecked) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	page, err := u.Store.Range(ctx, prefix, after, limit)
	for i := range page {
		if page[i], err = u.strip(page[i]); err != nil {
			return nil, err
		}
	}
	return page, err
}

func (u unchecked) Commit(context.Context, store.Batch) (uint64, error) {
	return 0, &store.InvalidError{Reason: "it was opened for reading"}
}

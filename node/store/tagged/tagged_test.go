package tagged_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/store/storetest"
	"github.com/ostraka/ostraka/node/store/tagged"
)

var ctx = context.Background()

// macOf is the MAC of a node whose data key is this byte, 32 times.
func macOf(key byte) *seal.MAC {
	box, err := seal.NewBox(secret.New(bytes.Repeat([]byte{key}, seal.KeySize)), nil)
	if err != nil {
		panic(err)
	}
	m, err := box.MAC(transcript.StoreTagKey)
	if err != nil {
		panic(err)
	}
	return m
}

func openBolt(dir string) (store.Store, error) {
	st, err := bolt.Open(dir, bolt.Options{Reserve: 256 << 10})
	if err != nil {
		return nil, err
	}
	return over(st), nil
}

func TestMain(m *testing.M) {
	storetest.Child(openBolt)
	os.Exit(m.Run())
}

// A spoilt store is one below the tags whose next batch ends unknown.
type spoilt struct {
	store.Store
	next, written bool
}

func (s *spoilt) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if !s.next {
		return s.Store.Commit(ctx, b)
	}
	if s.next = false; s.written {
		if _, err := s.Store.Commit(ctx, b); err != nil {
			return 0, err
		}
	}
	return 0, store.ErrUnknown
}

// A tested store can be spoilt below its tags.
type tested struct {
	*tagged.Store
	under *spoilt
}

func over(st store.Store) *tested {
	under := &spoilt{Store: st}
	return &tested{tagged.New(under, macOf(1)), under}
}

func spoil(s store.Store, written bool) bool {
	u := s.(*tested).under
	u.next, u.written = true, written
	return true
}

func TestConformanceOverMemory(t *testing.T) {
	var mu sync.Mutex
	disks := map[string]*memory.Disk{}
	storetest.Run(t, storetest.Driver{Extra: tagged.Size, Unknown: spoil, Open: func(dir string) (store.Store, error) {
		mu.Lock()
		defer mu.Unlock()
		if disks[dir] == nil {
			disks[dir] = memory.NewDisk()
		}
		st, err := disks[dir].Open()
		if err != nil {
			return nil, err
		}
		return over(st), nil
	}})
}

func TestConformanceOverBolt(t *testing.T) {
	storetest.Run(t, storetest.Driver{Extra: tagged.Size, Unknown: spoil, Open: openBolt, Files: func(dir string) []string { return []string{filepath.Join(dir, "store.db")} }})
}

// A replica's store ends its tenure where it is closed.
type replica struct {
	*etcd.Store
	t *etcd.Tenure
	c *etcd.Cluster
}

func (r *replica) Close() error {
	defer r.c.Close()
	return r.t.Resign(ctx)
}

func TestConformanceOverEtcd(t *testing.T) {
	members, err := etcdtest.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(members.Stop)
	storetest.Run(t, storetest.Driver{Extra: tagged.Size, Unknown: spoil, Costly: true, Open: func(dir string) (store.Store, error) {
		c, err := etcd.Connect(ctx, members.Options(fmt.Sprintf("s%x", sha256.Sum256([]byte(dir)))[:20], "r1"))
		if err != nil {
			return nil, err
		}
		tenure, err := c.AcquireNow(ctx, etcd.Info{Name: "r1", Link: "127.0.0.1:1"})
		if err != nil {
			c.Close()
			return nil, err
		}
		return over(&replica{tenure.Store(), tenure, c}), nil
	}})
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s store.Store, key string, value []byte) {
	t.Helper()
	_, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: key, Value: value}}})
	ok(t, err)
}

func raw(t *testing.T, s store.Store, key string) []byte {
	t.Helper()
	it, err := s.Get(ctx, key)
	ok(t, err)
	return it.Value
}

// What lies below is fixed: another form would be another store.
func TestForm(t *testing.T) {
	under := memory.New()
	put(t, tagged.New(under, macOf(1)), "burn/aa/bb", []byte("why"))
	if got, want := fmt.Sprintf("%x", raw(t, under, "burn/aa/bb")), "776879"+"df5fc9cc6502c0511903c0f9ed957b0d"; got != want {
		t.Errorf("stored is %s, want %s", got, want)
	}
}

// Every way in which somebody without the key may have written a row is refused with its name, however it is read.
func TestForged(t *testing.T) {
	for name, forge := range map[string]func(under store.Store, row []byte) []byte{
		"without a tag":      func(_ store.Store, row []byte) []byte { return row[:len(row)-tagged.Size] },
		"shorter than a tag": func(store.Store, []byte) []byte { return []byte("x") },
		"empty":              func(store.Store, []byte) []byte { return nil },
		"another value":      func(_ store.Store, row []byte) []byte { row[0] ^= 1; return row },
		"another tag":        func(_ store.Store, row []byte) []byte { row[len(row)-1] ^= 0x80; return row },
		"a tag of zeros": func(_ store.Store, row []byte) []byte {
			return append(row[:len(row)-tagged.Size], make([]byte, tagged.Size)...)
		},
		"another row's value":     func(under store.Store, _ []byte) []byte { return raw(t, under, "vote/b") },
		"a byte moved to the tag": func(_ store.Store, row []byte) []byte { return append(row, 0) },
		"another node's": func(store.Store, []byte) []byte {
			other := memory.New()
			put(t, tagged.New(other, macOf(2)), "vote/a", []byte("approve"))
			return raw(t, other, "vote/a")
		},
	} {
		under := memory.New()
		s := tagged.New(under, macOf(1))
		put(t, s, "vote/a", []byte("approve"))
		put(t, s, "vote/b", []byte("reject"))
		put(t, under, "vote/a", forge(under, raw(t, under, "vote/a")))
		refused := func(how string, err error) {
			var c *store.CorruptError
			if !errors.As(err, &c) || c.Key != "vote/a" || !errors.Is(err, store.ErrForeign) || !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s, %s: %v", name, how, err)
			}
		}
		_, err := s.Get(ctx, "vote/a")
		refused("Get", err)
		_, err = s.Range(ctx, "vote/", "", 10)
		refused("Range", err)
		refused("Snapshot, Get", s.Snapshot(ctx, func(r store.Reader) error { _, err := r.Get(ctx, "vote/a"); return err }))
		refused("Snapshot, Range", s.Snapshot(ctx, func(r store.Reader) error { _, err := r.Range(ctx, "", "", 10); return err }))
		if it, err := s.Get(ctx, "vote/b"); err != nil || string(it.Value) != "reject" {
			t.Errorf("%s: the other row: %q, %v", name, it.Value, err)
		}
	}
}

// What a tag cannot show, which spec/store 9 says: a row's own earlier value, and a row that is gone.
func TestSetBackIsNotSeen(t *testing.T) {
	under := memory.New()
	s := tagged.New(under, macOf(1))
	put(t, s, "a", []byte("1"))
	was := raw(t, under, "a")
	put(t, s, "a", []byte("2"))
	put(t, under, "a", was)
	if it, err := s.Get(ctx, "a"); err != nil || string(it.Value) != "1" {
		t.Errorf("set back: %q, %v", it.Value, err)
	}
}

// swapped is a driver that gives another row than the one asked for.
type swapped struct{ store.Store }

func (s swapped) Get(ctx context.Context, key string) (store.Item, error) {
	return s.Store.Get(ctx, "b")
}

func TestDriverGivesAnotherRow(t *testing.T) {
	under := memory.New()
	put(t, tagged.New(under, macOf(1)), "b", []byte("1"))
	var c *store.CorruptError
	if it, err := tagged.New(swapped{under}, macOf(1)).Get(ctx, "a"); !errors.As(err, &c) || c.Key != "a" {
		t.Errorf("%+v, %v", it, err)
	}
}

// After its key is gone a store says nothing more, and writes nothing that it could not read again.
func TestWiped(t *testing.T) {
	under, mac := memory.New(), macOf(1)
	s := tagged.New(under, mac)
	put(t, s, "a", []byte("1"))
	mac.Wipe()
	if _, err := s.Get(ctx, "a"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: "b"}}}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("write: %v", err)
	}
	if _, _, err := tagged.Survey(ctx, under, mac, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("survey: %v", err)
	}
	if _, err := tagged.Tag(ctx, under, mac, ""); !errors.Is(err, store.ErrClosed) {
		t.Errorf("tag: %v", err)
	}
}

// full is a driver that says whether it has room.
type full struct {
	store.Store
	is bool
}

func (f full) Full() bool { return f.is }

func TestFull(t *testing.T) {
	for _, is := range []bool{true, false} {
		if got := tagged.New(full{memory.New(), is}, macOf(1)).Full(); got != is {
			t.Errorf("full is %v, want %v", got, is)
		}
	}
	if tagged.New(memory.New(), macOf(1)).Full() {
		t.Error("a store that does not say is full")
	}
}

// A store without tags gets them, but for the row that is named; cut off after any batch, it goes on; and what is tagged is left as it is.
func TestTag(t *testing.T) {
	want := map[string]string{}
	fill := func() store.Store {
		under := memory.New()
		for i := range 500 {
			k, v := fmt.Sprintf("row/%03d", i), fmt.Sprintf("%0*d", i, i)
			want[k] = v
			put(t, under, k, []byte(v))
		}
		return under
	}
	for after := range 6 { // 499 rows are five batches
		under, mac := fill(), macOf(1)
		cut := &cutting{Store: under, left: after}
		_, err := tagged.Tag(ctx, cut, mac, "row/007")
		if (err == nil) != (after == 5) || err != nil && !errors.Is(err, errCut) {
			t.Fatalf("cut off after %d batches: %v", after, err)
		}
		moved, err := tagged.Tag(ctx, under, mac, "row/007")
		ok(t, err)
		if with, without, err := tagged.Survey(ctx, under, mac, nil); err != nil || with != 499 || without != 1 || moved != 499-min(499, int64(after)*120) {
			t.Fatalf("cut off after %d batches: %d rows with, %d without a tag, %d moved at last: %v", after, with, without, moved, err)
		}
		put(t, tagged.New(under, mac), "row/007", []byte(want["row/007"]))
		page, err := tagged.New(under, mac).Range(ctx, "", "", store.MaxLimit)
		ok(t, err)
		for _, it := range page {
			if want[it.Key] != string(it.Value) {
				t.Errorf("row %s is %q", it.Key, it.Value)
			}
		}
		if blind, err := tagged.Unchecked(under).Range(ctx, "", "", store.MaxLimit); err != nil || len(blind) != len(page) || string(blind[9].Value) != string(page[9].Value) {
			t.Errorf("read without the key: %d rows, %v", len(blind), err)
		}
	}
}

var errCut = errors.New("cut off")

// cutting takes so many batches.
type cutting struct {
	store.Store
	left int
}

func (c *cutting) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if c.left--; c.left < 0 {
		return 0, errCut
	}
	return c.Store.Commit(ctx, b)
}

func TestUnchecked(t *testing.T) {
	under := memory.New()
	put(t, under, "a", []byte("short"))
	u := tagged.Unchecked(under)
	if _, err := u.Get(ctx, "a"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a row without a tag: %v", err)
	}
	if _, err := u.Range(ctx, "", "", 1); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a page with one: %v", err)
	}
	if _, err := u.Commit(ctx, store.Batch{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a batch: %v", err)
	}
}

// FuzzForged: nothing that lies in a store without the key's tag is read, and what the node wrote is, whatever its bytes.
func FuzzForged(f *testing.F) {
	f.Add("vote/a", []byte("approve"), []byte("approve"))
	f.Add("burn/a", []byte{}, make([]byte, tagged.Size))
	f.Fuzz(func(t *testing.T, key string, value, forged []byte) {
		under := memory.New()
		s := tagged.New(under, macOf(1))
		if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: key, Value: value}}}); err != nil {
			if errors.Is(err, store.ErrInvalid) {
				return
			}
			t.Fatal(err)
		}
		if it, err := s.Get(ctx, key); err != nil || !bytes.Equal(it.Value, value) {
			t.Fatalf("%q: %q, %v; want %q", key, it.Value, err, value)
		}
		if bytes.Equal(raw(t, under, key), forged) {
			return
		}
		put(t, under, key, forged)
		if it, err := s.Get(ctx, key); !errors.Is(err, store.ErrForeign) {
			t.Fatalf("%q: %q, %v", key, it.Value, err)
		}
	})
}

// BenchmarkTags is what tags cost over a store that costs nothing.
func BenchmarkTags(b *testing.B) {
	for _, size := range []int{100, 4 << 10, 100 << 10} {
		for name, s := range map[string]store.Store{"without": memory.New(), "with": tagged.New(memory.New(), macOf(1))} {
			batch := store.Batch{Put: []store.Entry{{Key: "log/0000000000000001", Value: make([]byte, size)}}}
			b.Run(fmt.Sprintf("commit %d %s", size, name), func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Commit(ctx, batch); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("get %d %s", size, name), func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Get(ctx, "log/0000000000000001"); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/store/tagged"
)

// A folder is a node's, which runs alone.
type folder struct {
	t   *testing.T
	dir string
	mac *seal.MAC
	u   *unlocked
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	f := &folder{t: t, dir: filepath.Join(t.TempDir(), "node")}
	s := Settings{Operator: "acme", Entity: "Acme Ltd", Link: freePort(t), People: freePort(t), Officers: []string{officerLine(t)}}
	_, err := Init(t.Context(), f.dir, s, cheapRing().Open, rand.Reader, keys.Main(seal.Provider{Kind: keys.Passphrase}))
	f.ok(err)
	f.u, err = unlock(t.Context(), f.dir, cheapRing().Open, rand.Reader)
	f.ok(err)
	f.mac, err = f.u.box.MAC(transcript.StoreTagKey)
	f.ok(err)
	return f
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (f *folder) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// runOnce starts a node, and stops it once it works over its store.
func runOnce(ctx context.Context, dir string, opts ...Option) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	works := false
	err := Run(ctx, dir, cheapRing(), slog.New(slog.DiscardHandler), append(opts, WithServe(func(*Daemon, net.Listener, net.Listener) (func(context.Context) error, error) {
		works = true
		cancel()
		return func(context.Context) error { return nil }, nil
	}))...)
	if err == nil && !works {
		err = errors.New("it ended before it worked")
	}
	return err
}

func (f *folder) run() error { f.t.Helper(); return runOnce(f.t.Context(), f.dir) }

// runAtWord is run, with the operator's word that rows without tags are to be believed.
func (f *folder) runAtWord() error {
	f.t.Helper()
	return runOnce(f.t.Context(), f.dir, WithTagRows(true))
}

// below shows the store as it lies in the folder.
func (f *folder) below(do func(st store.Store)) {
	f.t.Helper()
	st, err := bolt.Open(filepath.Join(f.dir, storeName), bolt.Options{})
	f.ok(err)
	do(st)
	f.ok(st.Close())
}

func (f *folder) write(put ...store.Entry) {
	f.t.Helper()
	f.below(func(st store.Store) {
		_, err := st.Commit(f.t.Context(), store.Batch{Put: put})
		f.ok(err)
	})
}

// bare takes the tags away, as a store of the release before has none.
func (f *folder) bare() {
	f.t.Helper()
	f.below(func(st store.Store) {
		f.ok(each(f.t.Context(), st, func(it store.Item) error {
			has, err := tagged.Holds(f.mac, it)
			f.ok(err)
			if has {
				_, err = st.Commit(f.t.Context(), store.Batch{Put: []store.Entry{{Key: it.Key, Value: it.Value[:len(it.Value)-tagged.Size]}}})
			}
			return err
		}))
	})
}

// older writes identity.json as the release before did.
func (f *folder) older() {
	f.t.Helper()
	sealed, err := f.u.box.Seal(identityLabel(""), f.u.identity.Seed().Expose())
	f.ok(err)
	id, err := readIdentity(f.dir)
	f.ok(err)
	f.ok(os.Remove(filepath.Join(f.dir, identityName)))
	f.ok(writeJSON(filepath.Join(f.dir, identityName), sealedIdentity{Public: id.Public, Sealed: sealed}))
}

// past makes the folder one of the release before: a node that ran, no tags, and no word of them.
func (f *folder) past() {
	f.t.Helper()
	f.older()
	f.ok(f.run()) // over an empty store, so that its log tells nothing of tags
	f.bare()
	f.older()
	var put []store.Entry
	for i := range 300 {
		put = append(put, store.Entry{Key: fmt.Sprintf("raw/%064x", i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	for ; len(put) > 0; put = put[100:] {
		f.write(put[:100]...)
	}
	if with, without, _ := f.counts(); with != 0 || without < 300 {
		f.t.Fatalf("%d rows with, %d without tags", with, without)
	}
}

// counts are the rows with a tag and without, and how many leaves tell of tags.
func (f *folder) counts() (with, without int64, told int) {
	f.t.Helper()
	f.below(func(st store.Store) {
		var err error
		with, without, err = tagged.Survey(f.t.Context(), st, f.mac, func(it store.Item, has bool) error {
			if has {
				it.Value = it.Value[:len(it.Value)-tagged.Size]
			}
			tells, err := journal.Tells(it, tlog.KindTagged)
			if tells {
				told++
			}
			return err
		})
		f.ok(err)
	})
	return with, without, told
}

// whole wants every row of the folder tagged, as it was, and said so.
func (f *folder) whole(what string) {
	f.t.Helper()
	if id, err := readIdentity(f.dir); err != nil || id.Rows != rowsTagged {
		f.t.Errorf("%s: the folder says %q: %v", what, id.Rows, err)
	}
	if with, without, told := f.counts(); without != 0 || with < 300 || told != 1 {
		f.t.Errorf("%s: %d rows with a tag, %d without, %d leaves tell so", what, with, without, told)
	}
	f.below(func(st store.Store) {
		s := tagged.New(st, f.mac)
		for i := range 300 {
			if it, err := s.Get(f.t.Context(), fmt.Sprintf("raw/%064x", i)); err != nil || string(it.Value) != fmt.Sprint("value ", i) {
				f.t.Fatalf("%s: row %d is %q: %v", what, i, it.Value, err)
			}
		}
	})
}

func (f *folder) refuses(what, key string) {
	f.t.Helper()
	err := f.runAtWord()
	if !errors.Is(err, store.ErrForeign) || !strings.Contains(err.Error(), fmt.Sprintf("record %q is damaged", key)) {
		f.t.Errorf("%s: the node runs: %v", what, err)
	}
}

// A new folder's store has tags from its first row on, and a row without is refused.
func TestNewFolderIsTagged(t *testing.T) {
	f := newFolder(t)
	f.ok(f.run())
	if with, without, told := f.counts(); with == 0 || without != 0 || told != 0 {
		t.Errorf("%d rows with a tag, %d without, %d leaves", with, without, told)
	}
	f.bare()
	f.refuses("without tags", "log-head")
}

// An older folder's rows get tags at the first start, and never again: not where somebody takes them away, nor where the identity file of before is put back.
func TestOldStoreIsTaggedOnce(t *testing.T) {
	f := newFolder(t)
	f.past()
	old, err := os.ReadFile(filepath.Join(f.dir, identityName))
	f.ok(err)
	before, err := ReadLog(t.Context(), f.dir, func(int64, int64) {})
	f.ok(err)
	var none *UntaggedError
	if err := f.run(); !errors.As(err, &none) || none.Count < 300 {
		t.Errorf("without the operator's word the node runs: %v", err)
	}
	if with, _, _ := f.counts(); with != 0 {
		t.Errorf("without the operator's word %d rows were tagged", with)
	}
	f.ok(f.runAtWord())
	f.whole("tagged")
	after, err := ReadLog(t.Context(), f.dir, func(int64, int64) {})
	if err != nil || after.Head.Size <= before.Head.Size {
		t.Errorf("the log is read without a key: %v after %v: %v", after, before, err)
	}
	f.ok(f.run())
	f.whole("and run again")

	put := func(raw []byte) { f.ok(os.WriteFile(filepath.Join(f.dir, identityName), raw, 0o600)) }
	put(old)
	f.ok(f.run()) // as after a crash before the folder said so
	f.whole("with the identity file of before")
	f.bare()
	f.refuses("without tags", "log-head")
	put(old)
	f.refuses("without tags, with the identity file of before", "instance")
	if _, without, _ := f.counts(); without == 0 {
		t.Error("rows were tagged that nobody vouches for")
	}
}

// The word of tags is in the sealed seed's label: whoever writes the file changes it not, either way.
func TestWordOfTagsIsSealed(t *testing.T) {
	f := newFolder(t)
	path := filepath.Join(f.dir, identityName)
	change := func(rows string) {
		var id sealedIdentity
		raw, err := os.ReadFile(path)
		f.ok(err)
		f.ok(json.Unmarshal(raw, &id))
		id.Rows = rows
		f.ok(os.Remove(path))
		f.ok(writeJSON(path, id))
	}
	for _, rows := range []string{"", "sealed"} {
		change(rows)
		if err := f.run(); !errors.Is(err, ErrIdentity) {
			t.Errorf("rows %q: %v", rows, err)
		}
	}
	change(rowsTagged)
	f.ok(f.run())
	f.older()
	change(rowsTagged)
	if err := f.run(); !errors.Is(err, ErrIdentity) {
		t.Errorf("an older folder that says tagged: %v", err)
	}
}

// A log with a row that cannot be read gets no tags: nothing is written.
func TestDamagedLogIsNotTagged(t *testing.T) {
	f := newFolder(t)
	f.past()
	f.write(store.Entry{Key: "log/0000000000000000", Value: []byte("nonsense")})
	if err := f.run(); err == nil || !strings.Contains(err.Error(), `row "log/0000000000000000"`) {
		t.Errorf("it runs: %v", err)
	}
	if with, _, err := tagged.Survey(t.Context(), f.open(), f.mac, nil); err != nil || with != 0 {
		t.Errorf("%d rows have tags: %v", with, err)
	}
}

// open shows the rows until the test ends.
func (f *folder) open() store.Store {
	st, err := bolt.Open(filepath.Join(f.dir, storeName), bolt.Options{ReadOnly: true})
	f.ok(err)
	f.t.Cleanup(func() { _ = st.Close() })
	return st
}

// A replica that stands by marks its folder once another one has tagged the last row of their store, and not before.
func TestReplicaLearns(t *testing.T) {
	f := newFolder(t)
	f.older()
	u, err := unlock(t.Context(), f.dir, cheapRing().Open, rand.Reader)
	f.ok(err)
	u.tags.mac = f.mac
	shared := memory.New()
	learned := func(what string, want bool) {
		t.Helper()
		got, err := u.learned(t.Context(), f.dir, shared)
		id, readErr := readIdentity(f.dir)
		if err != nil || readErr != nil || got != want || (id.Rows == rowsTagged) != want || u.tags.on != want {
			t.Errorf("%s: learned %v, the folder says %q: %v, %v", what, got, id.Rows, err, readErr)
		}
	}
	learned("of an empty store", false)
	put := func(st store.Store, key string) {
		_, err := st.Commit(t.Context(), store.Batch{Put: []store.Entry{{Key: key, Value: make([]byte, 32)}}})
		f.ok(err)
	}
	put(shared, lastTagged)
	put(tagged.New(shared, f.mac), "burn/x")
	learned("while rows are being tagged", false)
	put(tagged.New(shared, f.mac), lastTagged)
	learned("afterwards", true)
	if _, err := u.over(t.Context(), f.dir, shared, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	put(shared, "burn/y")
	st, err := u.over(t.Context(), f.dir, shared, slog.New(slog.DiscardHandler))
	f.ok(err)
	if _, err := st.Get(t.Context(), "burn/y"); !errors.Is(err, store.ErrForeign) {
		t.Errorf("a row without a tag: %v", err)
	}
}

// setBack is a folder whose rows carry tags, and its identity file of before: whoever writes the folder may have kept that.
func setBack(t *testing.T) (f *folder, old []byte) {
	f = newFolder(t)
	f.past()
	old, err := os.ReadFile(filepath.Join(f.dir, identityName))
	f.ok(err)
	f.ok(f.runAtWord())
	return f, old
}

func (f *folder) believes(what string) {
	f.t.Helper()
	f.below(func(st store.Store) {
		if it, err := tagged.New(st, f.mac).Get(f.t.Context(), madeUp.Key); err == nil {
			f.t.Errorf("%s: the node believes %q", what, it.Value)
		}
	})
}

var madeUp = store.Entry{Key: "raw/made-up", Value: []byte("by somebody without the data key")}

// A node is no oracle for tags: started over a store of somebody else's, with the identity file of before, it tags nothing that could be carried into its own.
func TestNodeTagsNothingUnasked(t *testing.T) {
	f, old := setBack(t)
	f.ok(os.Rename(filepath.Join(f.dir, storeName), filepath.Join(f.dir, "aside")))
	f.write(madeUp, store.Entry{Key: "confirmed", Value: []byte("xyz")})
	f.ok(os.WriteFile(filepath.Join(f.dir, identityName), old, 0o600))
	var none *UntaggedError
	if err := f.run(); !errors.As(err, &none) || none.Count != 2 {
		t.Errorf("the node starts over a store of somebody else's: %v", err)
	}
	f.believes("a store of somebody else's")
}

// Even at the operator's word, which somebody may have tricked them into, no row is believed beside a log that tells of tags: not with the leaf taken out, and not with
// the leaf in the first release's form.
func TestWordIsNotEnough(t *testing.T) {
	for _, way := range []string{"out", "old form"} {
		t.Run(way, func(t *testing.T) {
			f, old := setBack(t)
			f.ok(f.run())
			f.below(func(st store.Store) {
				f.ok(each(t.Context(), st, func(it store.Item) error {
					it.Value = it.Value[:len(it.Value)-tagged.Size]
					tells, err := journal.Tells(it, tlog.KindTagged)
					if err != nil || !tells {
						return err
					}
					b := store.Batch{Delete: []string{it.Key}, Put: []store.Entry{madeUp}}
					if way == "old form" {
						leaf := tlog.Notes(tlog.KindTagged, time.Unix(0, 0).UTC(), [32]byte{}, [32]byte{})
						b.Put = append(b.Put, store.Entry{Key: "log-leaf/" + strings.TrimPrefix(it.Key, "log/"), Value: leaf.Leaf.Encode()})
					}
					_, err = st.Commit(t.Context(), b)
					return err
				}))
			})
			f.ok(os.WriteFile(filepath.Join(f.dir, identityName), old, 0o600))
			if err := f.runAtWord(); err == nil {
				t.Error("the node starts")
			}
			f.believes(way)
		})
	}
}

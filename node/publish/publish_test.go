package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/publish"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

var (
	ctx  = context.Background()
	now  = time.Unix(1_800_000_000, 0).UTC()
	mine = statement.ID{1} // a vault that publishes nothing
	ours = statement.ID{2} // one that publishes all
)

// shelf is a log with these leaves, of which so many are published.
type shelf struct {
	*publish.Log
	j         *journal.Journal
	published tlog.Head
	keys      []byte
	asked     int // how often the charter was asked
}

func newShelf(t testing.TB, leaves []tlog.Filed, published int64) *shelf {
	t.Helper()
	st, err := memory.NewDisk().Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{}
	if s.j, err = journal.Open(ctx, st); err != nil {
		t.Fatal(err)
	}
	for page := range slices.Chunk(leaves, 16) {
		if err := s.j.Write(ctx, journal.Entry{Leaves: page}); err != nil {
			t.Fatal(err)
		}
	}
	s.show(t, published)
	s.Log = publish.New(publish.Config{
		Journal: s.j, Checkpoint: func() ([]byte, tlog.Head) {
			if s.published.Size == 0 {
				return nil, tlog.Head{}
			}
			return fmt.Appendf(nil, "checkpoint of %d", s.published.Size), s.published
		},
		Keys:      func() ([]byte, bool) { return s.keys, s.keys != nil },
		Seen:      func(context.Context) ([][]byte, error) { return [][]byte{[]byte("theirs")}, nil },
		Publishes: func(vault statement.ID) bool { s.asked++; return vault == ours },
	})
	return s
}

func (s *shelf) Get(ctx context.Context, path string) ([]byte, error) {
	return s.Log.Get(ctx, "reader", path)
}

// show publishes the first leaves.
func (s *shelf) show(t testing.TB, size int64) {
	t.Helper()
	var err error
	if s.published, err = s.j.HeadAt(ctx, size); err != nil {
		t.Fatal(err)
	}
}

func many(n int) (out []tlog.Filed) {
	for i := range n {
		out = append(out, tlog.Says(tlog.KindWord, now, statement.ID{}, fmt.Append(nil, "leaf ", i)))
	}
	return out
}

// A published log is read back by the reader that computes the tree again, at every size that was ever published.
func TestTilesGiveTheTree(t *testing.T) {
	leaves := many(600)
	s := newShelf(t, leaves, 1)
	var heads []tlog.Head
	for _, size := range []int64{1, 255, 256, 257, 511, 512, 530} {
		s.show(t, size)
		heads = append(heads, s.published)
		for _, head := range heads { // whoever holds an older checkpoint reads on
			n := int64(0)
			err := tlog.ReadLeaves(head, func(path string) ([]byte, error) { return s.Get(ctx, path) }, func(i int64, leaf []byte) error {
				if n++; !bytes.Equal(leaf, leaves[i].Leaf.Encode()) {
					return fmt.Errorf("leaf %d is another", i)
				}
				return nil
			})
			if err != nil || n != head.Size {
				t.Errorf("published %d, read %d of %d: %v", size, n, head.Size, err)
			}
		}
	}
	tiles := 0
	for tile := range tlog.Tiles(0, 530) {
		b, err := s.Get(ctx, tile.Path())
		if err != nil {
			t.Errorf("%s: %v", tile.Path(), err)
		}
		if again, err := s.Get(ctx, tile.Path()); err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s is another when it is read again: %v", tile.Path(), err)
		}
		tiles++
	}
	if tiles != 7 { // 3 bundles, 3 tiles of hashes, 1 above
		t.Errorf("%d tiles", tiles)
	}
}

// Nothing of the log is shown beyond its published checkpoint, nor under another name than its own.
func TestNotPublished(t *testing.T) {
	s := newShelf(t, many(600), 530)
	for _, path := range []string{
		"tile/0/002.p/19", "tile/0/002", "tile/0/003", "tile/entries/002.p/19", "tile/entries/002", "body/002.p/19", "body/002", "body/003.p/1",
		"tile/1/000", "tile/1/000.p/3", "tile/2/000.p/1", "tile/0/-01", "tile/0/x000/001", "tile/0/1", "tile/00/001", "tile/0/001.p/256", "tile/0/001.p/0", "tile/0/001.p/01",
		"", "/", "tile", "tile/", "body", "body/", "keys/", "checkpoint/", "Checkpoint", "tile/entries/000/", "tile/0/000%2f", "../store", "tile/0/../0/000", "tile/7/000.p/1",
		"body/entries/000", "tile/body/000", "tile/0/x999/x999/x999/x999/999", strings.Repeat("x", 1<<16), "tile/0/000\x00",
	} {
		if b, err := s.Get(ctx, path); !errors.Is(err, publish.ErrNotFound) {
			t.Errorf("%.60q: %d bytes, %v", path, len(b), err)
		}
	}
	for _, path := range []string{"tile/0/002.p/18", "tile/0/002.p/1", "tile/1/000.p/2", "tile/1/000.p/1", "tile/entries/001", "body/001", "body/002.p/18"} {
		if _, err := s.Get(ctx, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	s.show(t, 0)
	for _, path := range []string{tlog.PathCheckpoint, tlog.PathKeys, "tile/0/000.p/1", "tile/entries/000.p/1", "body/000.p/1"} {
		if b, err := s.Get(ctx, path); !errors.Is(err, publish.ErrNotFound) {
			t.Errorf("before the first checkpoint, %s: %d bytes, %v", path, len(b), err)
		}
	}
	s.keys = []byte("keys")
	if b, err := s.Get(ctx, tlog.PathKeys); err != nil || string(b) != "keys" {
		t.Errorf("keys: %q, %v", b, err)
	}
	seen, err := s.Get(ctx, tlog.PathSeen)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := tlog.DecodeSeen(seen); err != nil || len(all) != 1 || string(all[0]) != "theirs" {
		t.Errorf("what was seen: %q, %v", all, err)
	}
	s.show(t, 530)
	if b, err := s.Get(ctx, tlog.PathCheckpoint); err != nil || string(b) != "checkpoint of 530" {
		t.Errorf("checkpoint: %q, %v", b, err)
	}
}

// said is a statement of a kind, as far as this room looks at it.
func said(k statement.Kind) []byte {
	return []byte("ostraka/1 " + string(k) + "\nsecret: " + string(k) + "\n")
}

// What of a vault is shown to everybody, whatever its charter says: what it is, who holds it, in which epoch.
var open = []string{tlog.KindSignature, tlog.KindWord, tlog.KindRecord, tlog.KindCert, tlog.KindFinal, tlog.KindFinalCert, tlog.KindHeartbeat, tlog.KindFence, tlog.KindMet}

// Breakglass and its record are files: no node takes one, so none is named in spec/log 10.2, and they are withheld as all that is not.
var hiddenStatements = []statement.Kind{
	statement.Account, statement.Intent, statement.Decision, statement.Hello, statement.Cancel, statement.Proof, statement.Breakglass, statement.BreakglassDone,
}

// Of every kind of leaf and of statement: what is shown of a vault that publishes, of one that does not, and of none.
func TestWhatIsShown(t *testing.T) {
	var leaves []tlog.Filed
	var want []bool
	add := func(kind string, content []byte, shown bool) {
		for _, vault := range []statement.ID{mine, ours, {}} {
			body := append(bytes.Clone(content), vault[0])
			leaves, want = append(leaves, tlog.Says(kind, now, vault, body, []byte("signature of "+kind))), append(want, shown || vault != mine)
		}
	}
	kinds := kindsOfLeaves(t)
	for _, kind := range kinds {
		if kind != tlog.KindStatement {
			add(kind, []byte("secret of "+kind), slices.Contains(open, kind))
		}
	}
	for _, k := range statement.Kinds {
		add(tlog.KindStatement, said(k), !slices.Contains(hiddenStatements, k))
	}
	add("a kind that is not known", []byte("secret"), false)
	add(tlog.KindStatement, said("a kind that is not known"), false)
	add(tlog.KindStatement, []byte("no statement"), false)
	s := newShelf(t, leaves, int64(len(leaves)))
	tile := tlog.Tile{Level: tlog.Entries, Width: len(leaves)}
	raw, err := s.Get(ctx, tile.BodyPath())
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := tlog.DecodeBodies(raw, len(leaves))
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bodies {
		switch shown := len(b.Content) > 0; {
		case shown != want[i]:
			t.Errorf("%s %.30q of vault %d: shown %t, want %t", leaves[i].Kind, leaves[i].Content, leaves[i].Vault[0], shown, want[i])
		case shown && (!bytes.Equal(b.Content, leaves[i].Content) || len(b.Signatures) != 1):
			t.Errorf("%s: another body is shown: %q", leaves[i].Kind, b.Content)
		}
	}
	if s.asked != 2 {
		t.Errorf("the charter was asked %d times about two vaults", s.asked)
	}
	if len(kinds) < 25 {
		t.Errorf("%d kinds of leaves were found", len(kinds))
	}
}

// kindsOfLeaves reads them where they are written, so that none is forgotten here.
func kindsOfLeaves(t *testing.T) (out []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../evidence/tlog/leaf.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if ok && len(v.Names) == 1 && strings.HasPrefix(v.Names[0].Name, "Kind") && len(v.Values) == 1 {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		return true
	})
	return out
}

// What the charter says counts when it is asked, not when a body was read before.
func TestBodiesFollowTheCharter(t *testing.T) {
	leaves := many(256)
	leaves[7] = tlog.Says(tlog.KindStatement, now, mine, said(statement.Intent))
	st := newShelf(t, leaves, 256)
	shown := false
	l := publish.New(publish.Config{
		Journal: st.j, Checkpoint: func() ([]byte, tlog.Head) { return nil, st.published }, Keys: func() ([]byte, bool) { return nil, false },
		Publishes: func(statement.ID) bool { return shown },
	})
	for _, shown = range []bool{false, true, false} {
		b, err := l.Get(ctx, "reader", "body/000")
		if err != nil || bytes.Contains(b, []byte("secret: intent")) != shown {
			t.Errorf("published %t: %t, %v", shown, bytes.Contains(b, []byte("secret: intent")), err)
		}
	}
}

// Who went away is not waited for, and a store that lacks what was published is an error.
func TestTrouble(t *testing.T) {
	s := newShelf(t, many(300), 300)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for range 50 { // either the wait or the store notices
		if _, err := s.Get(gone, "tile/0/000.p/9"); err == nil || errors.Is(err, publish.ErrNotFound) {
			t.Fatalf("%v", err)
		}
	}
	s.published.Size = 310
	for _, path := range []string{"tile/entries/001.p/54", "body/001.p/54", "tile/0/001.p/54"} {
		if b, err := s.Get(ctx, path); err == nil || errors.Is(err, publish.ErrNotFound) {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
}

// Whatever is asked for, an answer is a file of the published log under its only name.
func FuzzGet(f *testing.F) {
	s := newShelf(f, many(300), 290)
	for _, path := range []string{"checkpoint", "keys", "tile/0/000", "tile/0/001.p/34", "tile/1/000.p/1", "tile/entries/000", "body/001.p/2", "tile/0/001.p/35", "body/x001/000", "tile/%30/000"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		b, err := s.Get(ctx, path)
		if err != nil {
			if !errors.Is(err, publish.ErrNotFound) {
				t.Fatalf("%q: %v", path, err)
			}
			return
		}
		if path == tlog.PathCheckpoint || path == tlog.PathSeen {
			return
		}
		tile, err := tlog.ParsePath(path)
		if name, ok := strings.CutPrefix(path, "body/"); ok {
			tile, err = tlog.ParsePath("tile/entries/" + name)
		}
		if err != nil || tile.Path() != path && tile.BodyPath() != path || tile.Index*256+int64(tile.Width) > 290>>(8*max(tile.Level, 0)) {
			t.Fatalf("%q gives %d bytes; %+v, %v", path, len(b), tile, err)
		}
	})
}

// counted counts the reads of a store.
type counted struct {
	store.Store
	gets int
}

func (c *counted) Get(ctx context.Context, key string) (store.Item, error) {
	c.gets++
	return c.Store.Get(ctx, key)
}

func (c *counted) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	c.gets += limit
	return c.Store.Range(ctx, prefix, after, limit)
}

// However many widths of one tile or bundle are asked for, the store is read once for it; and what was kept is bounded.
func TestEveryWidthIsReadOnce(t *testing.T) {
	leaves := many(300)
	for i := range 3 { // a body that is not kept
		leaves[7+i] = tlog.Says(tlog.KindWord, now, statement.ID{}, bytes.Repeat([]byte{byte(i)}, 400<<10))
	}
	st, err := memory.NewDisk().Open()
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Store: st}
	s := &shelf{}
	if s.j, err = journal.Open(ctx, c); err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves {
		if err := s.j.Write(ctx, journal.Entry{Leaves: []tlog.Filed{l}}); err != nil {
			t.Fatal(err)
		}
	}
	s.show(t, 300)
	s.Log = publish.New(publish.Config{
		Journal: s.j, Checkpoint: func() ([]byte, tlog.Head) { return []byte("checkpoint"), s.published },
		Publishes: func(statement.ID) bool { return true },
	})
	for _, of := range []struct {
		path   string
		widest int
		most   int // rows that are read
	}{{"tile/0/001.p/", 44, 300}, {"tile/entries/001.p/", 44, 300}, {"body/001.p/", 44, 300}, {"tile/0/000.p/", 255, 600}, {"tile/entries/000.p/", 255, 600}} {
		c.gets = 0
		for w := 1; w <= of.widest; w++ {
			b, err := s.Get(ctx, fmt.Sprint(of.path, w))
			if err != nil || len(b) == 0 {
				t.Fatalf("%s%d: %v", of.path, w, err)
			}
		}
		if c.gets > of.most {
			t.Errorf("%s: %d rows were read", of.path, c.gets)
		}
	}
	for w := 1; w <= 40; w++ {
		b, err := s.Get(ctx, fmt.Sprint("body/000.p/", w))
		if err != nil {
			t.Fatal(err)
		}
		bodies, err := tlog.DecodeBodies(b, w)
		if err != nil || w > 9 && len(bodies[9].Content) != 400<<10 {
			t.Fatalf("body %d: %v", w, err)
		}
	}
}

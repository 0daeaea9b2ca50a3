package tlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// publish gives the files of a tree, as a log that never deletes partial tiles.
func publish(t testing.TB, f *forest, sizes ...int64) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	old := int64(0)
	for _, size := range sizes {
		for tile := range Tiles(old, size) {
			var b []byte
			var err error
			if tile.Level == Entries {
				first := tile.Index * tileWidth
				b, err = EncodeEntries(f.leaves[first : first+int64(tile.Width)])
			} else {
				b, err = HashTile(tile, f.reader())
			}
			if err != nil {
				t.Fatal(err)
			}
			files[tile.Path()] = b
		}
		old = size
	}
	return files
}

var errAbsent = errors.New("no such file")

// from fetches from files in memory.
func from(files map[string][]byte) Fetch {
	return func(path string) ([]byte, error) {
		if b, ok := files[path]; ok {
			return b, nil
		}
		return nil, errAbsent
	}
}

func ignore(int64, []byte) error { return nil }

// The example of C2SP tlog-tiles, and its neighbours.
func TestTilesOfASize(t *testing.T) {
	count := map[int]int{}
	var partial []string
	for tile := range Tiles(0, 70_000) {
		if tile.Width == tileWidth {
			count[tile.Level]++
		} else {
			partial = append(partial, tile.Path())
		}
	}
	if want := map[int]int{Entries: 273, 0: 273, 1: 1}; !maps.Equal(count, want) {
		t.Errorf("full tiles %v, want %v", count, want)
	}
	if want := []string{"tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"}; !slices.Equal(partial, want) {
		t.Errorf("partial tiles %v, want %v", partial, want)
	}
	for _, c := range []struct {
		old, size int64
		want      string
	}{
		{0, 256, "tile/entries/000 tile/0/000 tile/1/000.p/1"},
		{256, 256, ""},
		{100, 200, "tile/entries/000.p/200 tile/0/000.p/200"},
		{255, 256, "tile/entries/000 tile/0/000 tile/1/000.p/1"},
		{250, 513, "tile/entries/000 tile/entries/001 tile/entries/002.p/1 tile/0/000 tile/0/001 tile/0/002.p/1 tile/1/000.p/2"},
		{MaxSize - 1, MaxSize, "tile/entries/x001/x099/x511/x627/775 tile/0/x001/x099/x511/x627/775 tile/1/x004/x294/x967/295 tile/2/x016/x777/215 tile/3/x065/535 tile/4/255 tile/5/000 tile/6/000.p/1"},
		{-1, 5, ""}, {6, 5, ""}, {0, MaxSize + 1, ""}, {math.MinInt64, math.MaxInt64, ""},
	} {
		var paths []string
		for tile := range Tiles(c.old, c.size) {
			paths = append(paths, tile.Path())
		}
		if got := strings.Join(paths, " "); got != c.want {
			t.Errorf("%d to %d: %s, want %s", c.old, c.size, got, c.want)
		}
	}
	for range Tiles(0, MaxSize) { // an iterator, not a list
		break
	}
}

// x/mod's own list, of the same tiles in paths that name the height.
func TestTilesAgainstXMod(t *testing.T) {
	for _, c := range [][2]int64{{0, 1}, {0, 255}, {0, 70_000}, {65_536, 65_537}, {300, 66_000}} {
		var ours, theirs []string
		for tile := range Tiles(c[0], c[1]) {
			if tile.Level != Entries {
				ours = append(ours, tile.Path())
			}
		}
		for _, tile := range tlog.NewTiles(tileHeight, c[0], c[1]) {
			theirs = append(theirs, strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		}
		if !slices.Equal(ours, theirs) {
			t.Errorf("%v: %d tiles, x/mod has %d", c, len(ours), len(theirs))
		}
	}
}

func TestPaths(t *testing.T) {
	for path, want := range map[string]Tile{
		"tile/0/000":                           {0, 0, 256},
		"tile/4/255":                           {4, 255, 256},
		"tile/1/x001/234.p/5":                  {1, 1234, 5},
		"tile/0/x001/x234/067":                 {0, 1234067, 256},
		"tile/entries/x001/x234/067.p/255":     {Entries, 1234067, 255},
		"tile/entries/x001/x099/x511/x627/775": {Entries, MaxSize>>8 - 1, 256},
		"tile/6/000.p/1":                       {6, 0, 1},
	} {
		if got, err := ParsePath(path); err != nil || got != want || want.Path() != path {
			t.Errorf("%s: %+v, %v; %s", path, got, err, want.Path())
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000/000", "tile/00/000", "tile/+0/000", "tile/-1/000", "/tile/0/000",
		"tile/7/000", "tile/64/000", "tile/0/001/234", "tile/0/x1/234", "tile/0/x001/x234", "tile/0/x0012/34", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01",
		"tile/0/000.p/-1", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/5.p/5", "tile/0/000/", "tile/data/000", "tile/8/0/000", "tile/entries/-01", "tile/../000",
		"tile/6/000", "tile/6/000.p/2", "tile/0/x001/x099/x511/x627/776.p/1", "tile/0/x999/x999/x999/x999/x999/x999/x999/999", "TILE/0/000", "tile/0/000\n", "tile/0/000.p/1 ",
	} {
		if got, err := ParsePath(path); err == nil {
			t.Errorf("%q: %+v", path, got)
		}
	}
}

func TestHashTilesThatAreRefused(t *testing.T) {
	f := plant(t, 5)
	var format *FormatError
	for _, tile := range []Tile{{-2, 0, 1}, {Entries, 0, 1}, {7, 0, 1}, {0, -1, 1}, {0, 0, 0}, {0, 0, 257}, {0, math.MaxInt64, 1}, {6, 1, 1}, {5, 1, 1}} {
		if b, err := HashTile(tile, f.reader()); !errors.As(err, &format) {
			t.Errorf("%+v: %d bytes, %v", tile, len(b), err)
		}
	}
	if _, err := HashTile(Tile{0, 0, 6}, f.reader()); err == nil {
		t.Error("a tile wider than the log")
	}
}

// The bytes of bundles and tiles do not change.
func TestTileSnapshot(t *testing.T) {
	b, err := EncodeEntries([][]byte{[]byte("ab"), {}, []byte("c")})
	if want := "0002616200000001" + "63"; err != nil || hex.EncodeToString(b) != want {
		t.Errorf("%x, %v", b, err)
	}
	stored := grow(t, [][]byte{{}, {0}})
	tile, err := HashTile(Tile{0, 0, 2}, (&forest{stored: stored}).reader())
	const want = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" + "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
	if err != nil || hex.EncodeToString(tile) != want {
		t.Errorf("%x, %v", tile, err)
	}
}

func TestBundlesThatAreRefused(t *testing.T) {
	full := make([][]byte, tileWidth)
	b, err := EncodeEntries(full)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeEntries(b); err != nil || len(got) != tileWidth {
		t.Errorf("%d, %v", len(got), err)
	}
	long := [][]byte{make([]byte, MaxEntry)}
	if b, err = EncodeEntries(long); err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeEntries(b); err != nil || len(got) != 1 || len(got[0]) != MaxEntry {
		t.Errorf("%d, %v", len(got), err)
	}
	for name, leaves := range map[string][][]byte{"none": {}, "257": make([][]byte, 257), "long": {make([]byte, MaxEntry+1)}} {
		if _, err := EncodeEntries(leaves); err == nil {
			t.Errorf("encoded %s", name)
		}
	}
	for name, b := range map[string][]byte{"empty": {}, "half a length": {0}, "cut": {0, 2, 1}, "cut later": {0, 1, 1, 0}, "257": make([]byte, 2*257)} {
		var format *FormatError
		if got, err := DecodeEntries(b); !errors.As(err, &format) {
			t.Errorf("%s: %d entries, %v", name, len(got), err)
		}
	}
}

// sizes are trees at the edges of tiles.
var sizes = []int64{0, 1, 2, 255, 256, 257, 512, 1000, 65_535, 65_536, 65_537, 66_000}

func TestReadLeaves(t *testing.T) {
	f := plant(t, 66_000)
	for _, size := range sizes {
		head := f.head(t, size)
		next := int64(0)
		err := ReadLeaves(head, from(publish(t, f, size)), func(i int64, leaf []byte) error {
			if i != next || !bytes.Equal(leaf, f.leaves[i]) {
				return fmt.Errorf("leaf %d after %d", i, next)
			}
			next++
			return nil
		})
		if err != nil || next != size {
			t.Errorf("size %d: %d leaves, %v", size, next, err)
		}
		// Another root, with all files as they should be.
		head.Root[5] ^= 4
		if err := ReadLeaves(head, from(publish(t, f, size)), ignore); err == nil {
			t.Errorf("size %d: another root is taken", size)
		}
	}
	stop := errors.New("enough")
	if err := ReadLeaves(f.head(t, 1000), from(publish(t, f, 1000)), func(i int64, _ []byte) error {
		if i == 300 {
			return stop
		}
		return nil
	}); err != stop {
		t.Errorf("%v", err)
	}
	for _, h := range []Head{{-1, Hash{}}, {MaxSize + 1, Hash{}}, {0, Hash{}}} {
		if err := ReadLeaves(h, from(nil), ignore); err == nil {
			t.Errorf("read a log of %+v", h)
		}
	}
}

// A bundle is fetched when all before it were visited: nothing is gathered.
func TestReadLeavesStreams(t *testing.T) {
	f := plant(t, 3000)
	files, visited := publish(t, f, 3000), int64(0)
	fetch := func(path string) ([]byte, error) {
		if tile, err := ParsePath(path); err != nil || tile.Level <= 0 && tile.Index*tileWidth != visited {
			return nil, fmt.Errorf("fetched after %d leaves: %v", visited, err)
		}
		return from(files)(path)
	}
	err := ReadLeaves(f.head(t, 3000), fetch, func(int64, []byte) error { visited++; return nil })
	if err != nil || visited != 3000 {
		t.Errorf("%d, %v", visited, err)
	}
}

// Whatever is sent, decoding takes no more memory than the largest valid message does.
func TestDecodersAllocateWithinBounds(t *testing.T) {
	const size = 32 << 20
	line := []byte(Hash{}.String() + "\n")
	hostile := map[string][]byte{
		"zeros": make([]byte, size), "lines": bytes.Repeat([]byte("\n"), size), "hashes": append([]byte("old 1\n"), bytes.Repeat(line, size/len(line))...),
		"signatures": bytes.Repeat([]byte("— a AAAAAAAA\n"), size/15),
	}
	signed, w := checkpoint(t, sampleHead), cosigner(t, 2).Witness()
	for name, b := range hostile {
		text := string(b)
		for decoder, decode := range map[string]func() error{
			"checkpoint": func() error { _, err := ParseCheckpoint(b); return err },
			"note":       func() error { _, err := splitNote(b); return err },
			"lines":      func() error { _, _, err := AddCosignature(signed, b, w); return err },
			"vkey":       func() error { _, err := ParseWitness(text); return err },
			"request":    func() error { _, err := DecodeRequest(b); return err },
			"conflict":   func() error { _, err := ParseConflict(b); return err },
			"proof":      func() error { _, err := ParseProof(b); return err },
			"path":       func() error { _, err := ParsePath(text); return err },
			"bundle":     func() error { _, err := DecodeEntries(b); return err },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := decode()
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 256<<10 {
				t.Errorf("%s, %s: %v, %d bytes", decoder, name, err, took)
			}
		}
	}
}

// A log may drop partial tiles once the full ones are there.
func TestPartialTilesThatAreGone(t *testing.T) {
	f := plant(t, 66_000)
	files := publish(t, f, 66_000)
	for path, b := range publish(t, f, 700) {
		if strings.HasPrefix(path, "tile/1/") || strings.HasPrefix(path, "tile/2/") {
			files[path] = b // 700 leaves have no full tile there
		}
	}
	for _, size := range []int64{700, 65_536} {
		head := f.head(t, size)
		if err := ReadLeaves(head, from(files), ignore); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
		checkAllProofs(t, f, head, TileReader(head, from(files)), 97)
	}
	// The full tile stands in for a partial one, but not a shorter one for it.
	files["tile/0/002"] = files["tile/0/002"][:8191]
	var wrong *TileError
	if err := ReadLeaves(f.head(t, 700), from(files), ignore); !errors.As(err, &wrong) || wrong.Path != "tile/0/002.p/188" {
		t.Errorf("%v", err)
	}
}

// checkAllProofs makes and checks proofs of some leaves and older sizes from published tiles.
func checkAllProofs(t *testing.T, f *forest, head Head, r Reader, step int64) {
	t.Helper()
	for i := int64(0); i < head.Size; i += step {
		proof, err := ProveInclusion(head.Size, i, r)
		if err == nil {
			err = CheckInclusion(head, i, f.leaves[i], proof)
		}
		if err != nil {
			t.Fatalf("leaf %d of %d: %v", i, head.Size, err)
		}
		if proof, err = ProveConsistency(i, head.Size, r); err == nil {
			err = CheckConsistency(f.head(t, i), head, proof)
		}
		if err != nil {
			t.Fatalf("%d to %d: %v", i, head.Size, err)
		}
	}
}

func TestProofsFromTiles(t *testing.T) {
	f := plant(t, 66_000)
	for _, size := range sizes {
		head := f.head(t, size)
		checkAllProofs(t, f, head, TileReader(head, from(publish(t, f, size))), max(1, size/50))
	}
	empty := TileReader(Empty, from(nil))
	if h, err := empty.ReadHashes(nil); err != nil || h != nil {
		t.Errorf("%v, %v", h, err)
	}
	for _, c := range []struct {
		head Head
		at   int64
	}{{Empty, 0}, {f.head(t, 5), 9}, {f.head(t, 5), -1}, {f.head(t, 5), math.MaxInt64}, {Head{MaxSize + 1, Hash{}}, 0}, {Head{-1, Hash{}}, 0}} {
		if h, err := TileReader(c.head, from(nil)).ReadHashes([]int64{c.at}); err == nil {
			t.Errorf("hash %d of size %d: %v", c.at, c.head.Size, h)
		}
	}
}

// A damage is done to the files of a log, and its place is named.
type damage struct {
	name  string
	size  int64
	path  string // of the file that is changed, and named unless named says otherwise
	named string
	index int64
	do    func(b []byte) []byte
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 0x10; return b }
}

// leaves edits a bundle's leaves.
func leaves(edit func([][]byte) [][]byte) func([]byte) []byte {
	return func(b []byte) []byte {
		l, err := DecodeEntries(b)
		if err == nil {
			b, err = EncodeEntries(edit(l))
		}
		if err != nil {
			panic(err)
		}
		return b
	}
}

func swap(i, j int) func([][]byte) [][]byte {
	return func(l [][]byte) [][]byte { l[i], l[j] = l[j], l[i]; return l }
}

func TestEveryDamageIsNamed(t *testing.T) {
	f := replant(t, numbered(66_000))
	published := map[int64]map[string][]byte{1000: publish(t, f, 1000), 66_000: publish(t, f, 66_000)}
	cut := func(b []byte) []byte { return b[:len(b)-32] }
	for _, d := range []damage{
		{"leaf changed", 1000, "tile/entries/001", "", 300, leaves(func(l [][]byte) [][]byte { l[44] = []byte("forged"); return l })},
		{"bit of a leaf", 1000, "tile/entries/000", "", 0, flip(3)},
		{"bit of a length", 1000, "tile/entries/000", "", -1, flip(0)},
		{"leaf removed", 1000, "tile/entries/001", "", -1, leaves(func(l [][]byte) [][]byte { return slices.Delete(l, 7, 8) })},
		{"last leaf removed", 1000, "tile/entries/003.p/232", "", -1, leaves(func(l [][]byte) [][]byte { return l[:231] })},
		{"leaf put in", 1000, "tile/entries/003.p/232", "", -1, leaves(func(l [][]byte) [][]byte { return slices.Insert(l, 7, []byte("new")) })},
		{"leaf in another's place", 1000, "tile/entries/001", "", 263, leaves(func(l [][]byte) [][]byte { return slices.Insert(slices.Delete(l, 255, 256), 7, []byte("new")) })},
		{"leaves exchanged", 1000, "tile/entries/001", "", 256, leaves(swap(0, 255))},
		{"bundle cut", 1000, "tile/entries/001", "", -1, func(b []byte) []byte { return b[:len(b)-1] }},
		{"bundle empty", 1000, "tile/entries/001", "", -1, func([]byte) []byte { return nil }},
		{"bundle longer", 1000, "tile/entries/001", "", -1, func(b []byte) []byte { return append(b, 0) }},
		{"level 0, first bit", 1000, "tile/0/000", "tile/entries/000", 0, flip(0)},
		{"level 0, last bit", 1000, "tile/0/003.p/232", "tile/entries/003.p/232", 999, flip(232*32 - 1)},
		{"level 0 cut", 1000, "tile/0/002", "", -1, cut},
		{"level 0 longer", 1000, "tile/0/002", "", -1, func(b []byte) []byte { return append(b, 0) }},
		{"level 1 partial", 1000, "tile/1/000.p/3", "", 2, flip(2*32 + 5)},
		{"level 1 cut", 1000, "tile/1/000.p/3", "", -1, cut},
		{"level 1 full", 66_000, "tile/1/000", "", 200, flip(200 * 32)},
		{"level 1 right edge", 66_000, "tile/1/001.p/1", "", 0, flip(0)},
		{"level 2", 66_000, "tile/2/000.p/1", "", 0, flip(31)},
	} {
		files := maps.Clone(published[d.size])
		if files[d.path] == nil {
			t.Fatalf("%s: no file %s", d.name, d.path)
		}
		files[d.path] = d.do(bytes.Clone(files[d.path]))
		var wrong *TileError
		want := d.named
		if want == "" {
			want = d.path
		}
		if err := ReadLeaves(f.head(t, d.size), from(files), ignore); !errors.As(err, &wrong) || wrong.Path != want || wrong.Index != d.index {
			t.Errorf("%s: %v, want %s %d", d.name, err, want, d.index)
		}
		delete(files, d.path)
		if err := ReadLeaves(f.head(t, d.size), from(files), ignore); !errors.As(err, &wrong) || wrong.Path != d.path || !errors.Is(err, errAbsent) {
			t.Errorf("%s gone: %v", d.path, err)
		}
	}
}

// numbered are leaves of which no two are equal.
func numbered(n int) (leaves [][]byte) {
	for i := range n {
		leaves = append(leaves, fmt.Appendf(nil, "leaf %d", i))
	}
	return leaves
}

// replant grows a tree of these leaves.
func replant(t testing.TB, leaves [][]byte) *forest {
	t.Helper()
	f := &forest{}
	for i, leaf := range leaves {
		_, hashes, err := Append(int64(i), leaf, f.reader())
		if err != nil {
			t.Fatal(err)
		}
		f.leaves, f.stored = append(f.leaves, leaf), append(f.stored, hashes...)
	}
	return f
}

// A forger who changes a leaf and all tiles above it to fit is stopped by the root alone.
func TestForgedThroughout(t *testing.T) {
	f := plant(t, 1000)
	forged := slices.Clone(f.leaves)
	forged[300] = []byte("forged")
	err := ReadLeaves(f.head(t, 1000), from(publish(t, replant(t, forged), 1000)), ignore)
	if err == nil || !strings.Contains(err.Error(), "the root") {
		t.Errorf("%v", err)
	}
}

// Proofs are not made from damaged tiles, and the tile is named.
func TestProofsFromDamagedTiles(t *testing.T) {
	f := plant(t, 66_000)
	head, published := f.head(t, 66_000), publish(t, f, 66_000)
	for _, c := range []struct{ path, named string }{
		{"tile/0/001", "tile/0/001"},
		{"tile/1/000", "tile/1/000"},
		{"tile/2/000.p/1", "tile/2/000.p/1, tile/1/001.p/1, tile/0/257.p/208"},
		{"tile/0/257.p/208", "tile/2/000.p/1, tile/1/001.p/1, tile/0/257.p/208"},
	} {
		files := maps.Clone(published)
		files[c.path] = flip(5)(bytes.Clone(files[c.path]))
		var wrong *TileError
		if _, err := ProveInclusion(66_000, 300, TileReader(head, from(files))); !errors.As(err, &wrong) || wrong.Path != c.named {
			t.Errorf("%s: %v", c.path, err)
		}
		files[c.path] = files[c.path][:31]
		if _, err := ProveInclusion(66_000, 300, TileReader(head, from(files))); !errors.As(err, &wrong) || wrong.Path != c.path {
			t.Errorf("%s cut: %v", c.path, err)
		}
	}
}

func FuzzPath(f *testing.F) {
	f.Add("tile/1/x001/234.p/5")
	f.Add("tile/entries/000")
	f.Fuzz(func(t *testing.T, path string) {
		if tile, err := ParsePath(path); err == nil && tile.Path() != path {
			t.Errorf("%q reads as %+v", path, tile)
		}
	})
}

func FuzzEntries(f *testing.F) {
	b, err := EncodeEntries([][]byte{[]byte("ab"), {}, []byte("c")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		leaves, err := DecodeEntries(b)
		if err != nil {
			return
		}
		if again, err := EncodeEntries(leaves); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x reads as %x, %v", b, leaves, err)
		}
	})
}

// No published bytes make a reader panic or take another leaf: some bytes of one file are replaced.
func FuzzReadLeaves(f *testing.F) {
	tree := plant(f, 300)
	head, files := tree.head(f, 300), publish(f, tree, 300)
	paths := slices.Sorted(maps.Keys(files))
	for i := range paths {
		f.Add(uint8(i), uint16(5), uint16(1), []byte{1})
		f.Add(uint8(i), uint16(0), uint16(32), []byte{})
	}
	f.Fuzz(func(t *testing.T, which uint8, at, cut uint16, put []byte) {
		path := paths[int(which)%len(paths)]
		b := files[path]
		first := min(int(at), len(b))
		last := min(first+int(cut), len(b))
		changed := slices.Concat(b[:first], put, b[last:])
		damaged := maps.Clone(files)
		damaged[path] = changed
		err := ReadLeaves(head, from(damaged), ignore)
		if same := bytes.Equal(b, changed); same != (err == nil) {
			t.Errorf("%s is %x: %v", path, changed, err)
		}
		proof, err := ProveInclusion(300, 7, TileReader(head, from(damaged)))
		if err == nil {
			err = CheckInclusion(head, 7, tree.leaves[7], proof)
			if err != nil {
				t.Errorf("a proof from %s that does not hold: %v", path, err)
			}
		}
	})
}

package tlog

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// MaxTile is the size of a full hash tile in bytes.
	MaxTile = tileWidth * tlog.HashSize
	// MaxBundle is the size of the largest entry bundle in bytes.
	MaxBundle = tileWidth * (2 + MaxEntry)
	// MaxEntry is the longest leaf of an entry bundle in bytes.
	MaxEntry = 1<<16 - 1
	// Entries is the level of entry bundles.
	Entries = -1

	tileHeight = 8
	tileWidth  = 1 << tileHeight
	topLevel   = 6 // 256⁶ = 2⁴⁸
)

// A Tile names consecutive hashes of one level of the tree, or consecutive leaves (C2SP
// tlog-tiles, spec/log 8).
type Tile struct {
	Level int   // hashes are of complete subtrees of 256^Level leaves; Entries: the leaves
	Index int64 // within the level, from 0
	Width int   // 1 to 256, which is full
}

// TileError says which published tile is wrong, and where.
type TileError struct {
	Path  string
	Index int64 // of the leaf in the log, or of the hash in the tile; -1: the whole
	Err   error
}

func (e *TileError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
	what := "hash"
	if strings.HasPrefix(e.Path, "tile/entries/") {
		what = "leaf"
	}
	return fmt.Sprintf("%s, %s %d: %v", e.Path, what, e.Index, e.Err)
}

func (e *TileError) Unwrap() error { return e.Err }

func (t Tile) full() Tile { return Tile{t.Level, t.Index, tileWidth} }

// Whole says that the tile has all of its 256.
func (t Tile) Whole() bool { return t.Width == tileWidth }

// In says whether a tree of a size holds all of the tile. It may hold more of that index: a part that was published once is
// read for as long as somebody has its checkpoint.
func (t Tile) In(size int64) bool {
	if t.check() != nil || size < 0 || size > MaxSize {
		return false
	}
	return t.Index<<tileHeight+int64(t.Width) <= size>>(tileHeight*max(t.Level, 0))
}

// Leaves are those of an entry bundle: the first, and how many.
func (t Tile) Leaves() (first int64, count int) { return t.Index << tileHeight, t.Width }

// check refuses what no tree of at most MaxSize has.
func (t Tile) check() error {
	if t.Level < Entries || t.Level > topLevel {
		return &FormatError{"tile", 0, "level", fmt.Sprintf("%d is not in 0 to %d", t.Level, topLevel)}
	}
	if t.Width < 1 || t.Width > tileWidth {
		return &FormatError{"tile", 0, "width", fmt.Sprintf("%d is not in 1 to %d", t.Width, tileWidth)}
	}
	end := int64(MaxSize) >> (tileHeight * max(t.Level, 0))
	if t.Index < 0 || t.Index > end>>tileHeight || t.Index<<tileHeight+int64(t.Width) > end {
		return &FormatError{"tile", 0, "index", fmt.Sprintf("%d is beyond the largest log", t.Index)}
	}
	return nil
}

// Within says whether a tree of a size has the tile: all hashes, or leaves, that it names.
func (t Tile) Within(size int64) bool {
	return t.check() == nil && t.Index*tileWidth+int64(t.Width) <= size>>(tileHeight*max(t.Level, 0))
}

// Path is tile/<level>/<index>, tile/entries/<index>, with .p/<width> if not full. The index is in
// groups of three digits, all but the last behind an x.
func (t Tile) Path() string {
	level := "entries"
	if t.Level != Entries {
		level = strconv.Itoa(t.Level)
	}
	n := t.Index
	index := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		index = fmt.Sprintf("x%03d/%s", n%1000, index)
	}
	if t.Width == tileWidth {
		return "tile/" + level + "/" + index
	}
	return fmt.Sprintf("tile/%s/%s.p/%d", level, index, t.Width)
}

// ParsePath reads a tile's path, in its one form.
func ParsePath(path string) (Tile, error) {
	bad := func(field, reason string) (Tile, error) {
		return Tile{}, &FormatError{"tile path", 0, field, reason}
	}
	if len(path) > 64 {
		return bad("path", "is too long")
	}
	level, rest, _ := strings.Cut(strings.TrimPrefix(path, "tile/"), "/")
	t := Tile{Level: Entries, Width: tileWidth}
	if level != "entries" {
		n, err := strconv.Atoi(level)
		if err != nil || n < 0 {
			return bad("level", "is neither a number nor entries")
		}
		t.Level = n
	}
	index, width, partial := strings.Cut(rest, ".p/")
	if partial {
		n, err := strconv.Atoi(width)
		if err != nil || n < 1 || n >= tileWidth {
			return bad("width", fmt.Sprintf("is not 1 to %d", tileWidth-1))
		}
		t.Width = n
	}
	n, err := strconv.ParseInt(strings.NewReplacer("x", "", "/", "").Replace(index), 10, 64)
	if err != nil || n < 0 {
		return bad("index", "is not groups of three digits")
	}
	t.Index = n
	if err := t.check(); err != nil {
		return Tile{}, err
	}
	if t.Path() != path { // two names for one file
		return bad("path", "is not "+t.Path())
	}
	return t, nil
}

// Tiles are the tiles that a tree of a size has and that of an older size has not: bundles first,
// then hash tiles from below. Sizes out of range have none.
func Tiles(old, size int64) iter.Seq[Tile] {
	return func(yield func(Tile) bool) {
		if old < 0 || old > size || size > MaxSize {
			return
		}
		for level := Entries; level <= topLevel; level++ {
			shift := tileHeight * max(level, 0)
			had, has := old>>shift, size>>shift
			if had == has {
				continue
			}
			for n := had / tileWidth; n <= (has-1)/tileWidth; n++ {
				if !yield(Tile{level, n, int(min(has-n*tileWidth, tileWidth))}) {
					return
				}
			}
		}
	}
}

// HashTile gives a hash tile's bytes: its hashes, one after another. Stored must be good for the
// leaves beneath.
func HashTile(t Tile, stored Reader) ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.Level == Entries {
		return nil, &FormatError{"tile", 0, "level", "is that of entries"}
	}
	b, err := tlog.ReadTileData(tlog.Tile{H: tileHeight, L: t.Level, N: t.Index, W: t.Width}, stored)
	if err != nil {
		return nil, fmt.Errorf("hash tile %s: %w", t.Path(), err)
	}
	return b, nil
}

// EncodeEntries gives an entry bundle of 1 to 256 leaves: for each its length, 2 bytes,
// big-endian, and its bytes.
func EncodeEntries(leaves [][]byte) ([]byte, error) {
	if len(leaves) < 1 || len(leaves) > tileWidth {
		return nil, &FormatError{"entry bundle", 0, "entries", fmt.Sprintf("are %d, not 1 to %d", len(leaves), tileWidth)}
	}
	var b []byte
	for i, l := range leaves {
		if len(l) > MaxEntry {
			return nil, &FormatError{"entry bundle", 0, fmt.Sprintf("entry %d", i), fmt.Sprintf("has %d bytes, at most %d are allowed", len(l), MaxEntry)}
		}
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(l))), l...)
	}
	return b, nil
}

// DecodeEntries takes an entry bundle apart. The leaves are parts of b.
func DecodeEntries(b []byte) ([][]byte, error) {
	var leaves [][]byte
	for len(b) > 0 {
		entry := fmt.Sprintf("entry %d", len(leaves))
		if len(leaves) == tileWidth {
			return nil, &FormatError{"entry bundle", 0, entry, fmt.Sprintf("is one more than %d", tileWidth)}
		}
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return nil, &FormatError{"entry bundle", 0, entry, "ends too early"}
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		leaves = append(leaves, b[2:end:end])
		b = b[end:]
	}
	if len(leaves) == 0 {
		return nil, &FormatError{"entry bundle", 0, "entries", "are missing"}
	}
	return leaves, nil
}

// Fetch gets a published file by its path. It bounds what it reads: MaxTile for hash tiles,
// MaxBundle for entries.
type Fetch func(path string) ([]byte, error)

// get fetches a tile. A log may drop a partial tile once the full one is there; then the full
// one is read, and whole says so.
func (fetch Fetch) get(t Tile) (b []byte, whole bool, err error) {
	b, err = fetch(t.Path())
	if err == nil || t.Width == tileWidth {
		return b, t.Width == tileWidth, err
	}
	if b, later := fetch(t.full().Path()); later == nil {
		return b, true, nil
	}
	return nil, false, err
}

// hashes fetches a hash tile's bytes, none of them checked but their number.
func (fetch Fetch) hashes(t Tile) ([]byte, error) {
	b, whole, err := fetch.get(t)
	if err != nil {
		return nil, &TileError{t.Path(), -1, err}
	}
	want := t.Width * tlog.HashSize
	if whole {
		want = MaxTile
	}
	if len(b) != want { // truncated, or longer
		return nil, &TileError{t.Path(), -1, fmt.Errorf("%d bytes, not %d", len(b), want)}
	}
	return b[:t.Width*tlog.HashSize], nil
}

// entries fetches a bundle's leaves, none of them checked but their number.
func (fetch Fetch) entries(t Tile) ([][]byte, error) {
	b, whole, err := fetch.get(t)
	if err != nil {
		return nil, &TileError{t.Path(), -1, err}
	}
	leaves, err := DecodeEntries(b)
	if err != nil {
		return nil, &TileError{t.Path(), -1, err}
	}
	want := t.Width
	if whole {
		want = tileWidth
	}
	if len(leaves) != want { // removed, or put in
		return nil, &TileError{t.Path(), -1, fmt.Errorf("%d leaves, not %d", len(leaves), want)}
	}
	return leaves[:t.Width], nil
}

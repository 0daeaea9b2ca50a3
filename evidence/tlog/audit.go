package tlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TileReader reads a log's hashes from its published tiles, for proofs. Whatever it gives is
// checked up to the head's root; an error is a *TileError, as far as one tile can be named.
func TileReader(head Head, fetch Fetch) Reader {
	return ReaderFunc(func(indexes []int64) ([]Hash, error) {
		if err := head.check(); err != nil {
			return nil, err
		}
		if len(indexes) == 0 {
			return nil, nil
		}
		for _, i := range indexes {
			if i < 0 || i >= tlog.StoredHashIndex(0, head.Size) {
				return nil, fmt.Errorf("hash %d is not of a log of size %d", i, head.Size)
			}
		}
		f := &fetched{fetch: fetch}
		hashes, err := tlog.TileHashReader(tlog.Tree{N: head.Size, Hash: head.Root}, f).ReadHashes(indexes)
		switch {
		case f.err != nil:
			return nil, f.err
		case err != nil && len(f.tiles) > 0:
			return nil, f.blame(head)
		case err != nil:
			return nil, err
		}
		return hashes, nil
	})
}

// fetched is one reading's tiles: those that the root is made of, then parents before children.
type fetched struct {
	fetch Fetch
	tiles []tlog.Tile
	data  [][]byte
	err   error
}

func (f *fetched) Height() int { return tileHeight }

func (f *fetched) SaveTiles([]tlog.Tile, [][]byte) {}

func (f *fetched) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	for _, t := range tiles {
		b, err := f.fetch.hashes(ours(t))
		if err != nil {
			f.err = err
			return nil, err
		}
		f.tiles, f.data = append(f.tiles, t), append(f.data, b)
	}
	return f.data, nil
}

func ours(t tlog.Tile) Tile { return Tile{t.L, t.N, t.W} }

// blame names the tile that does not fit. Those at the tree's right edge stand for the root
// together; every other stands in the one above.
func (f *fetched) blame(head Head) error {
	var edge []string
	root, err := Root(head.Size, ReaderFunc(func(indexes []int64) (hashes []Hash, err error) {
		for _, x := range indexes {
			h, path, err := f.find(x)
			if err != nil {
				return nil, err
			}
			if hashes = append(hashes, h); !slices.Contains(edge, path) {
				edge = append(edge, path)
			}
		}
		return hashes, nil
	}))
	if err != nil {
		return err
	}
	if root != head {
		return &TileError{strings.Join(edge, ", "), -1, fmt.Errorf("do not give the root of size %d", head.Size)}
	}
	for i, t := range f.tiles {
		if t.W < tileWidth {
			continue
		}
		up, _, err := f.find(tlog.StoredHashIndex((t.L+1)*tileHeight, t.N))
		if err == nil && up != subtree(splitHashes(f.data[i])) {
			return &TileError{ours(t).Path(), -1, errors.New("does not hash to its place in the tile above")}
		}
	}
	return fmt.Errorf("tiles of a log of size %d do not fit together", head.Size)
}

// find is a stored hash of the fetched tiles, and the path of its tile.
func (f *fetched) find(index int64) (Hash, string, error) {
	for i, t := range f.tiles {
		if h, err := tlog.HashFromTile(t, f.data[i], index); err == nil {
			return h, ours(t).Path(), nil
		}
	}
	return Hash{}, "", fmt.Errorf("hash %d is in no tile at hand", index)
}

func splitHashes(b []byte) []Hash {
	out := make([]Hash, len(b)/tlog.HashSize)
	for i := range out {
		copy(out[i][:], b[i*tlog.HashSize:])
	}
	return out
}

// subtree is the root over hashes of equal subtrees; the last may stand for a smaller one.
func subtree(hashes []Hash) Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	k := 1 << (bits.Len(uint(len(hashes)-1)) - 1)
	return tlog.NodeHash(subtree(hashes[:k]), subtree(hashes[k:]))
}

// ReadLeaves reads a published log as a whole: every leaf in order, and every hash tile. It
// computes the tree again from the leaves, holds each tile to it, and in the end the root; so a leaf
// that was changed, removed, put in or moved, and a bit of a tile, is a *TileError that
// names file and place. It holds one bundle and 256 hashes for each of seven levels.
//
// Visit sees a leaf once its level-0 tile agrees with it, but before the root does: nothing that
// it saw counts unless ReadLeaves gives no error. Its error ends the reading.
func ReadLeaves(head Head, fetch Fetch, visit func(index int64, leaf []byte) error) error {
	if err := head.check(); err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	g := growing{fetch: fetch}
	for n := int64(0); n*tileWidth < head.Size; n++ {
		width := int(min(head.Size-n*tileWidth, tileWidth))
		leaves, err := fetch.entries(Tile{Entries, n, width})
		if err != nil {
			return err
		}
		if err := g.bundle(n, leaves); err != nil {
			return err
		}
		for i, l := range leaves {
			if err := visit(n*tileWidth+int64(i), l); err != nil {
				return err
			}
		}
	}
	root, err := g.root()
	if err != nil {
		return err
	}
	if root != head.Root {
		return fmt.Errorf("read log: the leaves and tiles give the root %v at size %d, not %v", root, head.Size, head.Root)
	}
	return nil
}

// growing is the right edge of a tree that is computed again: at each level, the hashes of
// the tile that is not full yet.
type growing struct {
	fetch Fetch
	edge  [topLevel + 1][]Hash
	done  [topLevel + 1]int64 // full tiles
}

// bundle takes the leaves of the n-th bundle, of which all but the last are full.
func (g *growing) bundle(n int64, leaves [][]byte) error {
	t := Tile{0, n, len(leaves)}
	published, err := g.fetch.hashes(t)
	if err != nil {
		return err
	}
	g.edge[0] = g.edge[0][:0]
	for i, l := range leaves {
		h := tlog.RecordHash(l)
		if !bytes.Equal(h[:], published[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
			bundle := Tile{Entries, n, len(leaves)}
			return &TileError{bundle.Path(), n*tileWidth + int64(i), fmt.Errorf("its hash is not hash %d of %s", i, t.Path())}
		}
		g.edge[0] = append(g.edge[0], h)
	}
	if len(leaves) < tileWidth {
		return nil
	}
	return g.rise(0)
}

// rise puts the root of a level's full tile into the tile above.
func (g *growing) rise(level int) error {
	root := subtree(g.edge[level])
	g.edge[level] = g.edge[level][:0]
	g.done[level]++
	level++
	g.edge[level] = append(g.edge[level], root)
	if len(g.edge[level]) < tileWidth {
		return nil
	}
	if err := g.compare(level); err != nil {
		return err
	}
	return g.rise(level)
}

// compare holds a level's last tile to what was published.
func (g *growing) compare(level int) error {
	t := Tile{level, g.done[level], len(g.edge[level])}
	published, err := g.fetch.hashes(t)
	if err != nil {
		return err
	}
	for i, h := range g.edge[level] {
		if !bytes.Equal(h[:], published[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
			return &TileError{t.Path(), int64(i), fmt.Errorf("is not what the leaves give")}
		}
	}
	return nil
}

// root compares the tiles that are not full, and gives the tree's root.
func (g *growing) root() (Hash, error) {
	var parts []Hash // the root of all below
	for level, hashes := range g.edge {
		if level > 0 && len(hashes) > 0 {
			if err := g.compare(level); err != nil {
				return Hash{}, err
			}
		}
		if parts = append(hashes[:len(hashes):len(hashes)], parts...); len(parts) > 0 {
			parts = []Hash{subtree(parts)}
		}
	}
	if len(parts) == 0 {
		return Empty.Root, nil
	}
	return parts[0], nil
}

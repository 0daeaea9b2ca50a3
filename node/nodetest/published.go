package nodetest

import (
	"context"
	"crypto"
	"fmt"
	"maps"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/store"
)

// A Published is a host's log as it publishes it, to be taken apart.
type Published struct {
	Name   string
	Leaves []tlog.Filed
	Keys   []byte
	Signed []byte // its checkpoint
	Seen   [][]byte
	Origin string
	Guards map[string][]byte // second sharings, by path
	key    crypto.Signer
}

// Publish reads a host's log up to its newest checkpoint.
func (w *World) Publish(h *Host) *Published {
	w.T.Helper()
	ctx := context.Background()
	signed, head, _ := h.Witness.Checkpoint()
	p := &Published{Name: h.Own.Name, Signed: signed, Origin: tlog.Origin(h.Own.Identity, h.Fence.Confirmed())}
	p.key, _ = tlog.Derive(h.Key, h.Fence.Confirmed())
	k, ok := h.Pulse.Keys(h.Own.Name)
	if !ok || head.Size == 0 {
		w.T.Fatalf("%s publishes no log yet", p.Name)
	}
	p.Keys = tlog.EncodeKeys(k.Statement, k.Signature)
	var err error
	if p.Seen, err = h.Witness.Seen(ctx); err != nil {
		w.T.Fatal(err)
	}
	for int64(len(p.Leaves)) < head.Size {
		page, err := h.Journal.Leaves(ctx, int64(len(p.Leaves)), int(min(head.Size-int64(len(p.Leaves)), store.MaxLimit)))
		if err != nil {
			w.T.Fatal(err)
		}
		p.Leaves = append(p.Leaves, page...)
	}
	p.Guards = map[string][]byte{}
	for _, v := range h.Keeper.Roots() {
		if v.Current != nil && v.Current.Record.Guardians != [32]byte{} {
			path := tlog.GuardsPath(v.Current.Record.Hash())
			if p.Guards[path], err = h.Node.Publish.Get(ctx, "", path); err != nil {
				w.T.Fatal(err)
			}
		}
	}
	return p
}

// Sign signs a checkpoint over the leaves as they are now: nobody else cosigns it.
func (p *Published) Sign() error {
	stored, head, err := p.tree()
	if err != nil || stored == nil {
		return err
	}
	s, err := tlog.NewLogSigner(p.Origin, p.key)
	if err == nil {
		p.Signed, err = tlog.Checkpoint{Origin: p.Origin, Head: head}.Sign(s)
	}
	return err
}

func (p *Published) tree() (tlog.Reader, tlog.Head, error) {
	var hashes []tlog.Hash
	reader := tlog.ReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for n, l := range p.Leaves {
		_, fresh, err := tlog.Append(int64(n), l.Leaf.Encode(), reader)
		if err != nil {
			return nil, tlog.Head{}, err
		}
		hashes = append(hashes, fresh...)
	}
	head, err := tlog.Root(int64(len(p.Leaves)), reader)
	return reader, head, err
}

// Files are what a web server would serve. They fit the checkpoint only if the leaves are those that it was signed over.
func (p *Published) Files() (map[string][]byte, error) {
	reader, head, err := p.tree()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{tlog.PathKeys: p.Keys, tlog.PathCheckpoint: p.Signed, tlog.PathSeen: tlog.EncodeSeen(p.Seen)}
	maps.Copy(files, p.Guards)
	for t := range tlog.Tiles(0, head.Size) {
		if t.Level != tlog.Entries {
			if files[t.Path()], err = tlog.HashTile(t, reader); err != nil {
				return nil, err
			}
			continue
		}
		var leaves [][]byte
		var bodies []tlog.Body
		for _, l := range p.Leaves[t.Index*256:][:t.Width] {
			leaves, bodies = append(leaves, l.Leaf.Encode()), append(bodies, l.Body)
		}
		if files[t.Path()], err = tlog.EncodeEntries(leaves); err != nil {
			return nil, err
		}
		files[t.BodyPath()] = tlog.EncodeBodies(bodies)
	}
	return files, nil
}

// Source is a log of files.
func Source(name string, files map[string][]byte) verify.Source {
	files = maps.Clone(files)
	return verify.Source{Name: name, Fetch: func(path string) ([]byte, error) {
		b, ok := files[path]
		if !ok {
			return nil, fmt.Errorf("%s: %w", path, verify.ErrNotThere)
		}
		return b, nil
	}}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/evidence/tlog"
)

func (a *app) logExportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export FOLDER", Short: "Write the whole log as static files: checkpoint, keys, tiles, entries and all bodies", Args: exactly("FOLDER"),
		Long: "The files are those of C2SP tlog-tiles, with the keys and body/ beside them (spec/log 8), as far as the latest checkpoint. Run it again and the folder\n" +
			"grows: what is there is not written anew, and the checkpoint comes last. In the end the folder is read through.\n" +
			"It holds ALL bodies, also those that vaults withhold from the public: it is your own copy.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), time.Hour)
			defer cancel()
			own, head, err := a.ownLog(ctx)
			if err != nil {
				return err
			}
			if len(head.Checkpoint) == 0 || len(head.Keys) == 0 {
				return notReady("`ostraka log head` shows when it is there", "the log has no checkpoint yet")
			}
			x := &exporter{a, own, args[0], tlog.Head{Size: int64(head.CheckpointSize), Root: tlog.Hash(head.CheckpointRoot)}, 0}
			if err := x.run(ctx, head); err != nil {
				return err
			}
			doc := struct {
				Folder string `json:"folder"`
				Origin string `json:"origin"`
				Size   int64  `json:"size"`
				Files  int    `json:"files"` // written now
			}{args[0], head.Origin, x.head.Size, x.files}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintf(w, "%d entries of log %s stand in %s, read through; %d files are new.\n", doc.Size, doc.Origin, doc.Folder, doc.Files)
			})
		},
	}
}

// An exporter writes a log's files into a folder.
type exporter struct {
	a     *app
	own   ostrakav1connect.OperatorClient
	dir   string
	head  tlog.Head
	files int
}

func (x *exporter) path(p string) string { return filepath.Join(x.dir, filepath.FromSlash(p)) }

func (x *exporter) run(ctx context.Context, m *v1.LogHeadResponse) error {
	if err := x.sameLog(m); err != nil {
		return err
	}
	for t := range tlog.Tiles(0, x.head.Size) {
		if err := x.tile(ctx, t); err != nil {
			return err
		}
		x.a.progress("%s", t.Path())
	}
	x.a.progressEnds()
	if err := x.write(tlog.PathKeys, m.Keys); err != nil {
		return err
	}
	// The tiles first: whoever sees the checkpoint finds what it stands on.
	if err := tlog.ReadLeaves(x.head, x.fetch, func(int64, []byte) error { return nil }); err != nil {
		return unverified("export into an empty folder, and run `ostraka log fsck`", "the folder does not hold this log: %w", err)
	}
	return x.write(tlog.PathCheckpoint, m.Checkpoint)
}

func (x *exporter) fetch(path string) ([]byte, error) {
	return readBounded(x.path(path), tlog.MaxBundle)
}

// sameLog refuses a folder with another log, or with more of this one.
func (x *exporter) sameLog(m *v1.LogHeadResponse) error {
	old, err := readBounded(x.path(tlog.PathCheckpoint), tlog.MaxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if had := (tlog.Request{Checkpoint: old}).Origin(); had != m.Origin {
		return &problem{codeError, fmt.Errorf("%s holds log %s, and this is %s", x.dir, had, m.Origin), "export into another folder"}
	}
	key, err := tlog.ParseLogVerifier(m.LogKey)
	if err != nil {
		return err
	}
	had, _, err := tlog.OpenCheckpoint(old, key, nil)
	if err != nil {
		return unverified("export into another folder", "%s: %w", x.path(tlog.PathCheckpoint), err)
	}
	if had.Head.Size > x.head.Size {
		return unverified("stop the node and find out why: it may run on an older copy of its store; keep the folder", "%s holds %d entries of this log, and the node shows %d", x.dir, had.Head.Size, x.head.Size)
	}
	return nil
}

// tile writes a tile that is not there yet, and of a bundle the bodies; the partial one that it replaces goes.
func (x *exporter) tile(ctx context.Context, t tlog.Tile) error {
	if t.Level != tlog.Entries {
		return x.once(t.Path(), func() ([]byte, error) {
			res, err := x.own.LogTile(ctx, connect.NewRequest(&v1.LogTileRequest{Level: uint32(t.Level), Index: uint64(t.Index), Width: uint32(t.Width)}))
			if err != nil {
				return nil, x.a.operatorError(err)
			}
			return res.Msg.Tile, nil
		})
	}
	if _, err := os.Stat(x.path(t.BodyPath())); err == nil {
		if _, err := os.Stat(x.path(t.Path())); err == nil {
			return nil
		}
	}
	var leaves [][]byte
	var bodies []tlog.Body
	first := uint64(t.Index) * 256
	_, _, err := x.a.walk(ctx, x.own, query{first: first, end: first + uint64(t.Width)}, func(e logEntry) error {
		leaves, bodies = append(leaves, e.Leaf.Encode()), append(bodies, e.Body)
		return nil
	})
	if err != nil {
		return err
	}
	if len(leaves) != t.Width {
		return fmt.Errorf("the node shows %d entries from number %d on, not %d", len(leaves), first, t.Width)
	}
	bundle, err := tlog.EncodeEntries(leaves)
	if err != nil {
		return err
	}
	if err := x.once(t.Path(), func() ([]byte, error) { return bundle, nil }); err != nil {
		return err
	}
	return x.once(t.BodyPath(), func() ([]byte, error) { return tlog.EncodeBodies(bodies), nil })
}

// once writes a file that never changes.
func (x *exporter) once(path string, make func() ([]byte, error)) error {
	if _, err := os.Stat(x.path(path)); err == nil {
		return nil
	}
	b, err := make()
	if err != nil {
		return err
	}
	if err := x.write(path, b); err != nil {
		return err
	}
	if !strings.Contains(path, ".p/") { // the full one replaces them
		return os.RemoveAll(x.path(path + ".p"))
	}
	return nil
}

func (x *exporter) write(path string, b []byte) error {
	if old, err := os.ReadFile(x.path(path)); err == nil && bytes.Equal(old, b) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(x.path(path)), 0o700); err != nil {
		return err
	}
	x.files++
	return writeWhole(x.path(path), b, 0o600)
}

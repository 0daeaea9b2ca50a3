package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/client/disclose"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

func (a *app) logExportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export FOLDER", Short: "Write the whole log as static files: checkpoint, keys, tiles, entries and all bodies", Args: exactly("FOLDER"),
		Long: "The files are those of C2SP tlog-tiles, with the keys and body/ beside them (spec/log 8), as far as the latest checkpoint. Run it again and the folder\n" +
			"grows: what is there is not written anew, and the checkpoint comes last. In the end the folder is read through.\n" +
			"It holds ALL bodies, also those that vaults withhold from the public: it is your own copy.",
		RunE: func(c *cobra.Command, args []string) error {
			part := func(name string) bool { // of an export that was interrupted
				return slices.Contains([]string{"tile", "body", tlog.PathSeen, tlog.PathWitnesses}, name)
			}
			if err := newOrOwn(args[0], "log", part, tlog.PathKeys, tlog.PathCheckpoint); err != nil {
				return err
			}
			ctx, cancel := a.within(c.Context(), time.Hour)
			defer cancel()
			own, head, err := a.ownLog(ctx)
			if err != nil {
				return err
			}
			if len(head.Checkpoint) == 0 || len(head.Keys) == 0 {
				return notReady("`ostraka log head` shows when it is there", "the log has no checkpoint yet")
			}
			done, err := disclose.Folder{At: args[0], Mode: 0o600}.Copy(ctx, disclose.Log{Name: a.dir, Fetch: a.logFiles(ctx, own, head)})
			a.progressEnds()
			if err != nil {
				return notExported(err)
			}
			doc := struct {
				Folder string `json:"folder"`
				Origin string `json:"origin"`
				Size   int64  `json:"size"`
				Files  int    `json:"files"` // written now
			}{args[0], head.Origin, done.Size, done.Files}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintf(w, "%d entries of log %s stand in %s, read through; %d files are new.\n", doc.Size, doc.Origin, doc.Folder, doc.Files)
			})
		},
	}
}

// notExported says what to do about a copy that does not fit its folder.
func notExported(err error) error {
	var other *disclose.OtherError
	var old *disclose.OldError
	var broken *tlog.TileError
	switch {
	case errors.As(err, &other):
		return fail(codeError, err, "export into another folder")
	case errors.As(err, &old):
		return unverified("stop the node and find out why: it may run on an older copy of its store; keep the folder", "%w", err)
	case errors.As(err, &broken):
		return unverified("export into an empty folder, and run `ostraka log fsck`", "%w", err)
	}
	return err
}

// logFiles gives the files of the node's own log, all bodies with them, as others see them at its door.
func (a *app) logFiles(ctx context.Context, own ostrakav1connect.OperatorClient, head *v1.LogHeadResponse) tlog.Fetch {
	bodies := map[string][]byte{} // of the entry bundle that was read last
	return func(path string) ([]byte, error) {
		a.progress("%s", path)
		switch path {
		case tlog.PathKeys:
			return head.Keys, nil
		case tlog.PathCheckpoint:
			return head.Checkpoint, nil
		case tlog.PathWitnesses:
			return head.Witnesses, nil
		case tlog.PathSeen:
			return nil, verify.ErrNotThere
		}
		if _, err := tlog.ParseGuardsPath(path); err == nil {
			return nil, verify.ErrNotThere // a copy of the log, not of what stands beside it
		}
		if b, ok := bodies[path]; ok {
			return b, nil
		}
		t, err := tlog.ParsePath(path)
		if err != nil {
			if t, err = tlog.ParseBodyPath(path); err != nil {
				return nil, err
			}
		}
		if t.Level != tlog.Entries {
			res, err := own.LogTile(ctx, connect.NewRequest(&v1.LogTileRequest{Level: uint32(t.Level), Index: uint64(t.Index), Width: uint32(t.Width)}))
			if err != nil {
				return nil, a.operatorError(err)
			}
			return res.Msg.Tile, nil
		}
		entries, shown, err := a.bundle(ctx, own, t)
		if err != nil {
			return nil, err
		}
		clear(bodies)
		bodies[t.Path()], bodies[t.BodyPath()] = entries, shown
		return bodies[path], nil
	}
}

// bundle reads the leaves of an entry bundle with their bodies.
func (a *app) bundle(ctx context.Context, own ostrakav1connect.OperatorClient, t tlog.Tile) (entries, bodies []byte, err error) {
	var leaves [][]byte
	var shown []tlog.Body
	first := uint64(t.Index) * 256
	_, _, err = a.walk(ctx, own, query{first: first, end: first + uint64(t.Width)}, func(e logEntry) error {
		leaves, shown = append(leaves, e.Leaf.Encode()), append(shown, e.Body)
		return nil
	})
	if err == nil && len(leaves) != t.Width {
		err = fmt.Errorf("the node shows %d entries from number %d on, not %d", len(leaves), first, t.Width)
	}
	if err != nil {
		return nil, nil, err
	}
	entries, err = tlog.EncodeEntries(leaves)
	return entries, tlog.EncodeBodies(shown), err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

type fsckDocument struct {
	Running    bool   `json:"running"` // the node runs: it read its log itself
	Size       uint64 `json:"size"`
	Root       string `json:"root"`
	Checkpoint uint64 `json:"checkpoint_size"` // 0: there is none
}

func (d fsckDocument) print(w io.Writer) {
	fmt.Fprintf(w, "The log is whole: %d entries, root %s.\n", d.Size, d.Root)
	if d.Checkpoint > 0 {
		fmt.Fprintf(w, "It grew from its latest checkpoint, of %d entries.\n", d.Checkpoint)
	}
}

const afterDamage = "stop the node and keep its folder as it is; put an intact copy of its store back, or have the other operators replace this one: docs/operator.md, \"When something breaks\""

func (a *app) logFsckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "fsck", Short: "Read the whole log through: every hash, every body, and the latest checkpoint", Args: none,
		Long: "A running node reads its own log, beside its work; if it finds damage, it signs and writes nothing more. Where no node runs in the data folder,\n" +
			"the folder itself is read: this takes no passphrase, and changes nothing.",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), time.Hour)
			defer cancel()
			d, err := a.fsckRunning(ctx)
			var p *problem
			if errors.As(err, &p) && p.Code == codeNotReady && node.Stopped(a.dir) {
				d, err = a.fsckStopped(ctx)
			}
			if err != nil {
				return err
			}
			return a.show(d, d.print)
		},
	}
}

// fsckRunning has the node read its log, and waits.
func (a *app) fsckRunning(ctx context.Context) (d fsckDocument, err error) {
	defer a.progressEnds()
	own := client.Operator(a.dir)
	for begin := true; ; begin = false {
		res, err := own.LogRead(ctx, connect.NewRequest(&v1.LogReadRequest{Begin: begin}))
		if err != nil {
			return d, a.operatorError(err)
		}
		m := res.Msg
		switch {
		case m.Reading:
			a.progress("%d of %d entries", m.Read, m.Size)
		case m.Damage != "":
			return d, unverified(afterDamage, "%s", m.Damage)
		case !m.CheckpointFits:
			return d, unverified(afterDamage, "the log did not grow from its latest checkpoint: it was changed, or its store is an older copy")
		case m.Finished:
			head, err := own.LogHead(ctx, connect.NewRequest(&v1.LogHeadRequest{}))
			if err != nil {
				return d, a.operatorError(err)
			}
			return fsckDocument{true, m.WholeSize, fmt.Sprintf("%x", m.WholeRoot), head.Msg.CheckpointSize}, nil
		default:
			return d, notReady("run it again", "the node does not read its log")
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// fsckStopped reads the data folder.
func (a *app) fsckStopped(ctx context.Context) (d fsckDocument, err error) {
	defer a.progressEnds()
	a.say("No node runs in %s: its folder is read.", a.dir)
	r, err := node.ReadLog(ctx, a.dir, func(read, size int64) { a.progress("%d of %d entries", read, size) })
	switch {
	case errors.Is(err, store.ErrCorrupt), errors.As(err, new(*journal.DamageError)):
		return d, unverified(afterDamage, "%w", err)
	case err != nil:
		return d, err
	}
	return fsckDocument{false, uint64(r.Head.Size), fmt.Sprintf("%x", r.Head.Root[:]), uint64(r.Checkpoint.Size)}, nil
}

package main

import (
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
)

type restoredDocument struct {
	Start    uint64 `json:"start"`
	Restored bool   `json:"restored"`
}

func (a *app) confirmRestoreCommand() *cobra.Command {
	var gone, not bool
	c := &cobra.Command{
		Use: "confirm-restore", Short: "Say that no other copy of this node runs, so that a fenced node goes on", Args: none,
		Long: "A node signs nothing once its peers have shown that it was restored from an older copy, or that it runs twice. Find every other\n" +
			"copy of its data folder, stop what runs on it and destroy it: then say so here. The pairs of all vaults stay burned until\n" +
			"new shares are made with `ostraka vault refresh`, by every operator.\n" +
			"With --not-restored you say of a node that is not fenced that its folder was not restored: where another operator's node is gone for good, yours\n" +
			"else signs no checkpoint of its log for a day after each start. One other node must have greeted it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case gone && not:
				return usage("--no-other-copy and --not-restored exclude one another")
			case !gone && !not:
				return usage("give --no-other-copy once you made sure that no other copy of %s runs or will be started", a.dir)
			}
			ctx, cancel := a.within(cmd.Context(), 30*time.Second)
			defer cancel()
			res, err := client.Operator(a.dir).ConfirmRestore(ctx, connect.NewRequest(&v1.ConfirmRestoreRequest{NotRestored: not}))
			if err != nil {
				return a.operatorError(err)
			}
			return a.show(restoredDocument{res.Msg.Start, gone}, func(w io.Writer) {
				if not {
					fmt.Fprintln(w, "The node signs its log, and cosigns others', though not every other has greeted it since it started.")
					return
				}
				fmt.Fprintf(w, "The node goes on as its start %d.\n\nNext: `ostraka vault refresh VAULT` for every vault, by every operator; until then no Ethereum key of theirs is signed with here.\n", res.Msg.Start)
			})
		},
	}
	c.Flags().BoolVar(&gone, "no-other-copy", false, "no other copy of the data folder runs or will be started: a fenced node goes on")
	c.Flags().BoolVar(&not, "not-restored", false, "the data folder was not restored: the node waits for no greeting of a node that is gone")
	return c
}

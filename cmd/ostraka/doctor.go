package main

import (
	"connectrpc.com/connect"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look at the operator's own node, and say what to do", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), 30*time.Second)
			defer cancel()
			replicas, err := a.replicas(ctx)
			if err != nil && connect.CodeOf(err) != connect.CodeUnimplemented { // a node of the release before has none
				return err
			}
			var s statusDocument
			if !replicas.Shared || replicas.Owner == replicas.Self {
				if s, err = a.status(ctx); err != nil {
					return err
				}
			}
			s.Checks = append(s.Checks, checkReplicas(replicas)...)
			var failing []string
			for _, x := range s.Checks {
				if x.State == "fail" {
					failing = append(failing, x.Name)
				}
			}
			doc := struct {
				Operator string          `json:"operator"`
				Healthy  bool            `json:"healthy"`
				Checks   []checkDocument `json:"checks"`
			}{s.Operator, len(failing) == 0, s.Checks}
			failing = slices.Compact(failing)
			err = a.show(doc, func(w io.Writer) {
				for _, x := range s.Checks {
					fmt.Fprintf(w, "%-8s %-20s %s\n", x.State, x.Name, x.What)
					if x.Next != "" && x.State != "ok" {
						fmt.Fprintf(w, "         next: %s\n", x.Next)
					}
				}
			})
			if err == nil && len(failing) > 0 {
				err = notReady("do what stands under each of them", "failing checks: %s", strings.Join(failing, ", "))
			}
			return err
		},
	}
}

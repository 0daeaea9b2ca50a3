package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/node"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version", Args: none,
		RunE: func(*cobra.Command, []string) error {
			doc := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{node.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintf(w, "ostraka %s (%s, %s/%s)\n", doc.Version, doc.Go, doc.OS, doc.Arch)
			})
		},
	}
}

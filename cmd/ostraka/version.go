package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/internal/stamp"
	"github.com/ostraka/ostraka/node"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version; with --json also the program's SHA-256, as releases list it", Args: none,
		RunE: func(*cobra.Command, []string) error {
			doc := struct {
				Version string `json:"version"`
				Commit  string `json:"commit"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
				SHA256  string `json:"sha256"`
			}{stamp.Version(), stamp.Commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH, ""}
			if a.json {
				sum, _, err := node.Binary()
				if err != nil {
					return err
				}
				doc.SHA256 = hex.EncodeToString(sum[:])
			}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintln(w, "ostraka", stamp.Line())
			})
		},
	}
}

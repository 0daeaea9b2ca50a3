// Command make is what `make wasm` runs: it builds the verifier for browsers into console/wasm/dist.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/wasmbuild"
)

func main() {
	root, err := components.Root()
	if err == nil {
		var unpacked, packed int
		if unpacked, packed, err = wasmbuild.Build(filepath.Join(root, wasmbuild.Dist)); err == nil {
			fmt.Printf("%s/%s: %.1f MB, compressed %.1f MB\n", wasmbuild.Dist, wasmbuild.Program, float64(unpacked)/1e6, float64(packed)/1e6)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

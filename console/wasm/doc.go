// Package wasm carries the verifier for browsers: the program of console/wasm/verify, as WebAssembly, and Go's own script that runs it.
// `make wasm` builds both into dist; a build with the tag embed_wasm, as of releases, holds them. Without the tag `go build` works on a
// fresh clone, and Verifier says that it is not there.
package wasm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Names of the files in dist, and in a published folder.
const (
	ProgramFile = "verify.wasm.gz"
	RuntimeFile = "wasm_exec.js"
)

// Limits of the program, in bytes: a visitor on a telephone loads it.
const (
	MaxProgram = 15_100_000 // unpacked
	MaxPacked  = 4_260_000
)

// A Program runs in a browser.
type Program struct {
	Packed  []byte // WebAssembly, compressed by gzip
	Runtime []byte // wasm_exec.js, of the Go that built it (BSD-3-Clause, The Go Authors)
}

// ErrAbsent says that this build has no verifier for browsers.
var ErrAbsent = errors.New("this build of ostraka carries no verifier for browsers: run `make wasm`, and build with `-tags embed_wasm`; releases carry it")

// Read takes the program from a folder where `make wasm` put it.
func Read(dir string) (p Program, err error) {
	for name, into := range map[string]*[]byte{ProgramFile: &p.Packed, RuntimeFile: &p.Runtime} {
		if *into, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return Program{}, fmt.Errorf("read the verifier for browsers: %w: run `make wasm`", err)
		}
	}
	return p, nil
}

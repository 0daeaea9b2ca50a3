// Package wasmbuild builds the verifier for browsers: console/wasm/verify as WebAssembly, compressed, beside the script of Go's own
// distribution that runs it. The same source and the same Go give the same bytes, on every machine.
package wasmbuild

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ostraka/ostraka/internal/components"
)

// Names of what it makes.
const (
	Program = "verify.wasm.gz"
	Runtime = "wasm_exec.js"
)

const source = "github.com/ostraka/ostraka/console/wasm/verify"

// Dist is where `make wasm` puts it, and where a build with the tag embed_wasm finds it, under the repository's root.
const Dist = "console/wasm/dist"

// Build writes both files into a folder, and returns how large the program is, unpacked and packed, in bytes.
func Build(dir string) (unpacked, packed int, err error) {
	root, err := components.Root()
	if err != nil {
		return 0, 0, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, 0, fmt.Errorf("build the verifier for browsers: %w", err)
	}
	plain, err := compile(root)
	if err != nil {
		return 0, 0, fmt.Errorf("build the verifier for browsers: %w", err)
	}
	small, err := pack(plain)
	if err != nil {
		return 0, 0, err
	}
	script, err := runtime()
	if err != nil {
		return 0, 0, fmt.Errorf("find Go's script for WebAssembly: %w", err)
	}
	for name, content := range map[string][]byte{Program: small, Runtime: script} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return 0, 0, fmt.Errorf("build the verifier for browsers: %w", err)
		}
	}
	return len(plain), len(small), nil
}

// compile gives the program. Nothing of this machine is in it: no path, no commit, no build id.
func compile(root string) ([]byte, error) {
	temporary, err := os.CreateTemp("", "verify-*.wasm")
	if err != nil {
		return nil, err
	}
	defer os.Remove(temporary.Name())
	if err := temporary.Close(); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w -buildid=", "-o", temporary.Name(), source)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0", "GOENV=off", "GOFLAGS=", "GOWASM=", "GOWORK=off", "GOEXPERIMENT=", "GODEBUG=", "GOFIPS140=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return os.ReadFile(temporary.Name())
}

// pack compresses without name and time, so that the same program gives the same bytes.
func pack(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// runtime is the script of the Go that compiles.
func runtime() ([]byte, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "lib", "wasm", Runtime))
}

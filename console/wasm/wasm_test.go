//go:build !embed_wasm

package wasm

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/wasmbuild"
)

func built(t *testing.T) (dir string, p Program) {
	t.Helper()
	dir = t.TempDir()
	unpacked, packed, err := wasmbuild.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = Read(dir); err != nil {
		t.Fatal(err)
	}
	if len(p.Packed) != packed {
		t.Errorf("%d bytes are said, %d are there", packed, len(p.Packed))
	}
	t.Logf("%d bytes, compressed %d", unpacked, packed)
	return dir, p
}

// A telephone loads it: so it must not grow unseen.
func TestSize(t *testing.T) {
	_, p := built(t)
	z, err := gzip.NewReader(bytes.NewReader(p.Packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil || !bytes.HasPrefix(plain, []byte("\x00asm")) {
		t.Fatalf("not WebAssembly: %.8x, %v", plain, err)
	}
	if len(plain) > MaxProgram || len(p.Packed) > MaxPacked {
		t.Errorf("%d bytes, at most %d are allowed; compressed %d, at most %d", len(plain), MaxProgram, len(p.Packed), MaxPacked)
	}
	if !bytes.Contains(p.Runtime, []byte("The Go Authors")) {
		t.Error("the script that runs it does not say whose it is")
	}
	root, err := components.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range []string{root, os.TempDir(), "/root/", "/home/"} {
		if bytes.Contains(plain, []byte(trace)) {
			t.Errorf("%s of this machine is in it", trace)
		}
	}
	// Another build of the same source is the same.
	if _, again := built(t); !bytes.Equal(again.Packed, p.Packed) || !bytes.Equal(again.Runtime, p.Runtime) {
		t.Error("built again it has other bytes")
	}
}

// A fresh clone builds and runs without it, and says what to do.
func TestAbsent(t *testing.T) {
	if _, err := Verifier(); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "make wasm") {
		t.Errorf("%v", err)
	}
	if _, err := Read(t.TempDir()); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "make wasm") {
		t.Errorf("%v", err)
	}
}

// A build with the tag carries what make wasm built.
func TestEmbedded(t *testing.T) {
	dir, _ := built(t)
	root, err := components.Root()
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{} // stands for console/wasm/dist, which this test leaves alone
	for _, name := range []string{ProgramFile, RuntimeFile} {
		replace[filepath.Join(root, wasmbuild.Dist, name)] = filepath.Join(dir, name)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "test", "-count=1", "-overlay", file, "-tags", "embed_wasm", "-run", "^TestCarried$", ".")
	cmd.Env = append(os.Environ(), "OSTRAKA_BUILT="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok") {
		t.Errorf("%v\n%s", err, out)
	}
}

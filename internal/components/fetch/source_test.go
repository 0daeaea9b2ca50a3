package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/internal/components"
)

// packed writes a tar of one file, and says its hash.
func packed(t *testing.T, name string) (archive, sum string) {
	t.Helper()
	var b, z bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("ok")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(b.Bytes())
	g := gzip.NewWriter(&z)
	if _, err := g.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	archive = filepath.Join(t.TempDir(), "a.tar.gz")
	if err := os.WriteFile(archive, z.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return archive, hex.EncodeToString(hash[:])
}

// Nothing is unpacked but what is pinned, and nothing beside the folder.
func TestUnpack(t *testing.T) {
	archive, sum := packed(t, "cmd/x.go")
	dir := filepath.Join(t.TempDir(), "source")
	if err := unpack(archive, strings.Repeat("00", 32), dir); err == nil || !strings.Contains(err.Error(), "not the pinned") {
		t.Errorf("another hash: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
	if err := unpack(archive, sum, dir); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "cmd", "x.go")); err != nil || string(b) != "ok" {
		t.Errorf("%q, %v", b, err)
	}
	archive, sum = packed(t, "../x.go")
	if err := unpack(archive, sum, filepath.Join(dir, "below")); err == nil {
		t.Error("a file beside the folder was written")
	}
}

// The source of the release before, which this repository carries, is the pinned one, and holds the program.
func TestPreviousSource(t *testing.T) {
	root, err := components.Root()
	if err != nil {
		t.Fatal(err)
	}
	s, dir := components.Previous.Source, filepath.Join(t.TempDir(), "source")
	if err := unpack(filepath.Join(root, filepath.FromSlash(s.Archive)), s.SHA256, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum", "cmd/ostraka/main.go", "node/link/wire.go"} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
}

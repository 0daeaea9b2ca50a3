//go:build nightly

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The whole program is released twice, from copies of the source in two folders and with two empty caches: programs, hashes,
// bills of materials and the note's text are the same. Then once for every platform: each compiles.
func TestSameBytes(t *testing.T) {
	version := "v0.0.0-nightly"
	build := func(dir, cache, platforms string) string {
		cmd := exec.Command("go", "run", "./internal/release", "build", "-version", version, "-commit", someCommit, "-platforms", platforms)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOCACHE="+cache)
		out, err := output(cmd)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(out)
		return filepath.Join(dir, "dist", version)
	}
	a, b := copied(t, t.TempDir()), copied(t, filepath.Join(t.TempDir(), "another", "folder"))
	cache := t.TempDir()
	same(t, build(a, cache, "linux/amd64"), build(b, t.TempDir(), "linux/amd64"))
	version = "v0.0.0-platforms"
	build(a, cache, "darwin/amd64,darwin/arm64,linux/arm64")
}

// copied copies the source, without git and what was built.
func copied(t *testing.T, to string) string {
	t.Helper()
	const root = "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, path)
		switch at := filepath.Join(to, below); {
		case err != nil:
			return err
		case below == "bin" || below == "dist" || below != "." && strings.HasPrefix(below, "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(at, 0o755)
		default:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(at, b, 0o644)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

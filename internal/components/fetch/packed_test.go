package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/ostraka/ostraka/internal/components"
)

// archive is a tar of these files, zipped if asked.
func archive(t *testing.T, zip bool, files ...[2]string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(&out)
	if zip {
		w = tar.NewWriter(z)
	}
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{Name: f[0], Typeflag: tar.TypeReg, Size: int64(len(f[1])), Mode: 0o644})
		if _, write := w.Write([]byte(f[1])); err != nil || write != nil {
			t.Fatal(err, write)
		}
	}
	err := w.Close()
	if zip && err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// fakeTools puts an npm into PATH that hands out a package, and a node that decompresses nothing.
func fakeTools(t *testing.T, pack []byte) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	from := filepath.Join(dir, "package.tgz")
	for name, text := range map[string]string{
		"npm": "#!/bin/sh\n[ \"$1\" = pack ] && cp " + from + " \"$4/\"\n", "node": "#!/bin/sh\ncp \"$3\" \"$4\"\n", "package.tgz": string(pack),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPacked(t *testing.T) {
	libraries := string(archive(t, false, [2]string{"lib/liba.so", "a"}))
	real := archive(t, true, [2]string{"package/index.js", "evil"}, [2]string{"package/bin/chromium.br", "real"}, [2]string{"package/bin/al2023.tar.br", libraries})
	c := components.Chromium
	program, pack := sha256.Sum256([]byte("real")), sha512.Sum512(real)
	c.SHA256 = map[string]string{components.Platform(): hex.EncodeToString(program[:])}
	c.Packed.Integrity = "sha512-" + base64.StdEncoding.EncodeToString(pack[:])
	root := t.TempDir()

	fakeTools(t, append(bytes.Clone(real), 0))
	wantError(t, root, c, "integrity", "was not kept")
	forged := c
	forged.SHA256 = map[string]string{components.Platform(): hex.EncodeToString(make([]byte, 32))}
	fakeTools(t, real)
	wantError(t, root, forged, "SHA-256", "was not kept")
	t.Setenv("PATH", t.TempDir())
	wantError(t, root, c, "npm is not installed", "make deps")

	fakeTools(t, real)
	if err := ensure(t.Context(), root, c); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(c.Libraries(c.Binary(root)), "liba.so")
	for path, want := range map[string]string{c.Binary(root): "real", library: "a"} {
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("%s is %q, %v", path, b, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.Dir(root), "*")); len(left) != 2 {
		t.Errorf("the folder holds %v", left)
	}
}

// A library for Node.js is the one file of its platform's package.
func TestAddon(t *testing.T) {
	c := components.Litesvm
	ending := c.Addon.Platforms[components.Platform()]
	real := archive(t, true, [2]string{"package/index.js", "evil"}, [2]string{"package/litesvm." + ending + ".node", "real"})
	program, pack := sha256.Sum256([]byte("real")), sha512.Sum512(real)
	c.SHA256 = map[string]string{components.Platform(): hex.EncodeToString(program[:])}
	c.Addon.Integrity = map[string]string{components.Platform(): "sha512-" + base64.StdEncoding.EncodeToString(pack[:])}
	root := t.TempDir()

	fakeTools(t, append(bytes.Clone(real), 0))
	wantError(t, root, c, "integrity", "was not kept")
	forged := c
	forged.SHA256 = map[string]string{components.Platform(): hex.EncodeToString(make([]byte, 32))}
	fakeTools(t, real)
	wantError(t, root, forged, "SHA-256", "was not kept")
	elsewhere := c
	elsewhere.Addon.Platforms = map[string]string{"plan9-mips": ""}
	if err := ensure(t.Context(), root, elsewhere); err != nil { // as TestNotCarried has it
		t.Error(err)
	}
	if path, err := elsewhere.Find(); err == nil || !bytes.Contains([]byte(err.Error()), []byte("carries nothing for "+components.Platform())) {
		t.Errorf("found %s, %v", path, err)
	}
	t.Setenv("PATH", t.TempDir())
	wantError(t, root, c, "npm is not installed", "make deps")

	fakeTools(t, real)
	if err := ensure(t.Context(), root, c); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(c.Binary(root)); err != nil || string(b) != "real" {
		t.Errorf("library is %q, %v", b, err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.Dir(root), "*", "*")); len(left) != 1 {
		t.Errorf("the folder holds %v", left)
	}
}

// What npm does not carry for this platform is looked for in PATH, and its absence ends no `make deps`: the tests that want it say so.
func TestNotCarried(t *testing.T) {
	c := components.Chromium
	c.SHA256 = map[string]string{"plan9-mips": ""}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if err := ensure(t.Context(), t.TempDir(), c); err != nil {
		t.Error(err)
	}
	if _, err := c.Find(); err == nil || !bytes.Contains([]byte(err.Error()), []byte("apt-get install -y chromium")) {
		t.Errorf("nowhere: %v", err)
	}
	want := filepath.Join(dir, "chromium")
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := c.Find(); err != nil || path != want {
		t.Errorf("found %s, %v", path, err)
	}
}

// Contracts are taken out of the pinned package alone, all of them; what is half there is fetched again.
func TestBuilt(t *testing.T) {
	real := archive(t, true, [2]string{"package/index.js", "evil"}, [2]string{"package/build/A.sol/A.json", "a"}, [2]string{"package/build/B.json", "b"})
	c := components.Safe
	pack := sha512.Sum512(real)
	c.Built = components.Built{Integrity: "sha512-" + base64.StdEncoding.EncodeToString(pack[:]), Files: []string{"build/A.sol/A.json", "build/B.json"}}
	root := t.TempDir()

	fakeTools(t, append(bytes.Clone(real), 0))
	wantError(t, root, c, "integrity", "was not kept")
	fakeTools(t, real)
	lacking := c
	lacking.Built.Files = append([]string{"build/C.json"}, c.Built.Files...)
	wantError(t, root, lacking, "holds 2 of the 3 contracts")
	t.Setenv("PATH", t.TempDir())
	wantError(t, root, c, "npm is not installed", "make deps")

	fakeTools(t, real)
	for range 2 {
		if err := ensure(t.Context(), root, c); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"a", "b"} {
			if b, err := os.ReadFile(c.Files(root)[i]); err != nil || string(b) != want {
				t.Errorf("%s is %q, %v", c.Files(root)[i], b, err)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(c.Dir(root), "*", "*")); len(left) != 2 {
			t.Errorf("the folder holds %v", left)
		}
		if err := os.Remove(c.Files(root)[0]); err != nil { // and the second round fetches it again
			t.Fatal(err)
		}
	}
}

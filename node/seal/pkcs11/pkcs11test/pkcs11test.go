// Package pkcs11test gives tests a real token in software, Debian's SoftHSM, and the helper, built with C.
package pkcs11test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// PIN is the user's PIN of every token made here.
const PIN = "4711-user"

// modules are where Debian puts SoftHSM's library.
var modules = []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"}

// Module is SoftHSM's library.
func Module(t testing.TB) string {
	t.Helper()
	for _, m := range modules {
		if _, err := os.Stat(m); err == nil {
			return m
		}
	}
	t.Fatal("SoftHSM is not installed: as root, run `apt-get install softhsm2`")
	return ""
}

// A Token is SoftHSM's own folder with a token in it.
type Token struct {
	Module, Label string
	Folder        string // of its files
	Conf          string // what SOFTHSM2_CONF names, which New sets for this process and its children
}

// New makes an empty token that the test removes.
func New(t testing.TB, label string) *Token {
	t.Helper()
	x := &Token{Module: Module(t), Label: label}
	base := t.TempDir()
	x.Folder, x.Conf = filepath.Join(base, "tokens"), filepath.Join(base, "softhsm2.conf")
	if err := os.Mkdir(x.Folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.Conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", x.Folder), 0o600); err != nil {
		t.Fatal(err)
	}
	if setter, ok := t.(interface{ Setenv(key, value string) }); ok {
		setter.Setenv("SOFTHSM2_CONF", x.Conf)
	}
	x.Add(t, label)
	return x
}

// Add makes one more token, which may have the same label.
func (x *Token) Add(t testing.TB, label string) {
	t.Helper()
	x.util(t, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "0815-officer")
}

func (x *Token) util(t testing.TB, args ...string) {
	t.Helper()
	cmd := exec.Command("softhsm2-util", args...)
	cmd.Env = append(cmd.Environ(), "SOFTHSM2_CONF="+x.Conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
}

// Import puts a key from outside into the token: it was known once.
func (x *Token) Import(t testing.TB, label string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "aes")
	if err := os.WriteFile(file, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	x.util(t, "--import", file, "--aes", "--token", x.Label, "--pin", PIN, "--label", label, "--id", "01")
}

// Remove takes all tokens out; with folder, the place where they were as well.
func (x *Token) Remove(t testing.TB, folder bool) {
	t.Helper()
	err := os.RemoveAll(x.Folder)
	if err == nil && !folder {
		err = os.Mkdir(x.Folder, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var built struct {
	sync.Once
	path string
	err  error
}

// Helper builds ostraka-hsm with C, once for all tests of a process, and Clean removes it.
func Helper(t testing.TB) string {
	t.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "ostraka-hsm-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "ostraka-hsm")
		built.err = Build(built.path, true)
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// Clean removes what Helper built, once all tests are through.
func Clean() {
	if built.path != "" {
		os.RemoveAll(filepath.Dir(built.path))
	}
}

// Build builds ostraka-hsm, with C or without.
func Build(path string, withC bool) error {
	_, self, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "build", "-o", path, "./cmd/ostraka-hsm")
	cmd.Dir = filepath.Join(filepath.Dir(self), "..", "..", "..", "..")
	cgo := "0"
	if withC {
		cgo = "1"
	}
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build ostraka-hsm (a C compiler is needed: as root, `apt-get install build-essential`): %w\n%s", err, out)
	}
	return nil
}

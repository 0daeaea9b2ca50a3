package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/internal/components"
)

// fakeNPM puts an npm into PATH that installs the given program, or fails without one.
func fakeNPM(t *testing.T, program string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	script := "#!/bin/sh\necho 'npm error code ENOTFOUND'\nexit 1\n"
	if program != "" {
		into := `"$7/node_modules/@foundry-rs/anvil-` + components.Platform() + `/bin"`
		script = "#!/bin/sh\nmkdir -p " + into + "\nprintf '%s' '" + program + "' > " + into + "/anvil\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// pinned is anvil with the digest of the program "real".
func pinned() components.Component {
	c := components.Anvil
	c.SHA256 = map[string]string{
		components.Platform(): "aa33996d60e89311b4d1a920dae03c6d7fa3ae1956c52662e273aad4683e577f",
	}
	return c
}

func TestEnsure(t *testing.T) {
	root := t.TempDir()
	c := pinned()

	fakeNPM(t, "")
	wantError(t, root, c, "npm could not install", "check the network", "ENOTFOUND")
	fakeNPM(t, "forged")
	wantError(t, root, c, "SHA-256", "was not kept")
	t.Setenv("PATH", t.TempDir())
	wantError(t, root, c, "npm is not installed", "make deps")

	// a folder that an older version left without its program
	if err := os.MkdirAll(c.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	fakeNPM(t, "real")
	if err := ensure(t.Context(), root, c); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir()) // what is there needs no npm
	if err := ensure(t.Context(), root, c); err != nil {
		t.Errorf("again: %v", err)
	}
	if b, err := os.ReadFile(c.Binary(root)); err != nil || string(b) != "real" {
		t.Errorf("program is %q, %v", b, err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, ".cache", "fetch-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func wantError(t *testing.T, root string, c components.Component, parts ...string) {
	t.Helper()
	err := ensure(t.Context(), root, c)
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want an error with %q", err, part)
		}
	}
	if _, err := os.Stat(c.Dir(root)); err == nil {
		t.Errorf("a failed fetch left %s", c.Dir(root))
	}
}

func TestUsage(t *testing.T) {
	if err := run(t.Context(), []string{"weekly"}); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("unknown argument: %v", err)
	}
}

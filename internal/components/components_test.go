package components_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/internal/components"
)

func TestFind(t *testing.T) {
	root := t.TempDir()
	nested := filepath.Join(root, "test", "chains") // a module of its own inside the repository
	if err := os.MkdirAll(nested, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "go.mod"), "module github.com/ostraka/ostraka\n")
	write(t, filepath.Join(nested, "go.mod"), "module github.com/ostraka/ostraka/test/chains\n")
	t.Chdir(nested)

	_, err := components.Anvil.Find()
	for _, part := range []string{"anvil 1.7.1", "run make test", "make deps", root} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("missing component: %v, want %q", err, part)
		}
	}
	want := filepath.Join(root, ".cache", "anvil-1.7.1", "bin", "anvil")
	if err := os.MkdirAll(filepath.Dir(want), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, want, "")
	if path, err := components.Anvil.Find(); err != nil || path != want {
		t.Errorf("found %s, %v; want %s", path, err, want)
	}

	_, err = components.Safe.Contract("Safe")
	for _, part := range []string{"contract Safe of safe 1.5.0", "run make test", "make deps", root} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("missing contract: %v, want %q", err, part)
		}
	}
	want = filepath.Join(root, ".cache", "safe-1.5.0", "contracts", "Safe.json")
	if err := os.MkdirAll(filepath.Dir(want), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, want, "")
	if path, err := components.Safe.Contract("Safe"); err != nil || path != want {
		t.Errorf("found %s, %v; want %s", path, err, want)
	}
	if _, err := components.Safe.Contract("Vault"); err == nil || !strings.Contains(err.Error(), "has no contract Vault") {
		t.Errorf("a contract that is not pinned: %v", err)
	}

	t.Chdir(t.TempDir())
	if _, err := components.Anvil.Find(); err == nil || !strings.Contains(err.Error(), "repository's root") {
		t.Errorf("outside the repository: %v", err)
	}
}

// What is built in a module of ours is of the version that its go.mod pins.
func TestModulesPin(t *testing.T) {
	root, err := components.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []components.Component{components.Litewitness, components.Btcd} {
		raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(c.Module), "go.mod"))
		module, _, _ := strings.Cut(c.Go, "/cmd/")
		if err != nil || !strings.Contains(string(raw), "\t"+module+" v"+c.Version+" ") || !strings.Contains(string(raw), "tool "+c.Go+"\n") {
			t.Errorf("%s %s is not what %s pins: %v", c.Name, c.Version, c.Module, err)
		}
	}
	if c, w := components.Litewitness, components.Witnesslogs; w.Version != c.Version || w.Module != c.Module {
		t.Errorf("%s is of %s %s; the witness, whose file it writes, of %s %s", w.Name, w.Module, w.Version, c.Module, c.Version)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

//go:build nightly

package sos_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The judge finds each mutant in the cell that is about it.
func TestMutantsAreFound(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.rule, func(t *testing.T) {
			src, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
			full, err := filepath.Abs(m.file)
			if err != nil {
				t.Fatal(err)
			}
			table, err := json.Marshal(map[string]map[string]string{"Replace": {full: changed}})
			if err != nil {
				t.Fatal(err)
			}
			for path, text := range map[string]string{changed: strings.Replace(string(src), m.old, m.new, 1), overlay: string(table)} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.Command("go", "test", "-vet=off", "-overlay", overlay, "-run", "TestAbuseMatrix", "-seeds", "200", "-cell", m.cell, ".").CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("it lives: no run of cell %s finds it", m.cell)
			case !strings.Contains(string(out), "-seed"):
				t.Errorf("cell %s fails, and names no seed:\n%s", m.cell, out)
			}
		})
	}
}

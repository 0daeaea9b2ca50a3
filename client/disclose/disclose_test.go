package disclose_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/disclose"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

const signatures = 32 // so many that a tile is full

func publish(t *testing.T, dir string, w *nodetest.World, change func(operator string, files map[string][]byte)) ([]disclose.Copied, error) {
	t.Helper()
	var all []disclose.Copied
	for _, h := range w.Hosts {
		files, err := w.Publish(h).Files()
		if err != nil {
			t.Fatal(err)
		}
		files = maps.Clone(files)
		if change != nil {
			change(h.Own.Name, files)
		}
		c, err := disclose.Copy(context.Background(), dir, disclose.Log{Name: h.Own.Name, Fetch: nodetest.Source(h.Own.Name, files).Fetch}, false)
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	raw, err := json.Marshal(disclose.Bundle("test circle", w.Now, all))
	if err != nil {
		t.Fatal(err)
	}
	return all, client.Replace(filepath.Join(dir, verify.PathBundle), raw, 0o644)
}

func check(t *testing.T, dir string, now time.Time) *verify.Report {
	t.Helper()
	p, err := published.Open(t.Context(), dir, published.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var sources []verify.Source
	for _, s := range p.Sources {
		sources = append(sources, s.Source)
	}
	r, err := verify.Verify(sources, verify.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A folder is verified like the logs that it was made of, grows with them, and keeps no parts of tiles that were replaced.
func TestFolderGrows(t *testing.T) {
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 3)
	published := func() {
		w.Run("published", func() bool {
			return w.All(func(h *nodetest.Host) bool {
				_, head, by := h.Witness.Checkpoint()
				return head.Size > 0 && len(by) == 2
			})
		})
	}
	published()
	dir := t.TempDir()
	first, err := publish(t, dir, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := check(t, dir, w.Now); r.Failed || r.Circle != "test circle" {
		t.Fatalf("%+v", r.Claims)
	}
	for i := range signatures {
		s := w.Propose(vault, addr, uint64(i))
		w.Approve(s)
		w.Run("signed", func() bool { return w.Signed(s) })
	}
	w.Run("published anew", func() bool {
		return w.All(func(h *nodetest.Host) bool {
			head, err := h.Journal.Head(context.Background())
			_, shown, by := h.Witness.Checkpoint()
			return err == nil && head == shown && len(by) == 2
		})
	})
	touched := map[string]time.Time{}
	second, err := publish(t, dir, w, nil)
	if err != nil || second[0].Size <= 256 || second[0].Grown != second[0].Size-first[0].Size {
		t.Fatalf("%+v, %v", second, err)
	}
	if r := check(t, dir, w.Now); r.Failed || r.Vaults[0].Signed != signatures {
		t.Fatalf("%+v", r.Claims)
	}
	parts := 0
	walk(t, dir, func(file string, at time.Time) {
		touched[file] = at
		if strings.Contains(file, ".p/") {
			parts++
		}
	})
	if parts != 3*4 { // entries, bodies, levels 0 and 1 of three logs
		t.Errorf("%d parts of tiles lie in the folder", parts)
	}
	// Once more: what is full is not written again.
	time.Sleep(20 * time.Millisecond)
	if _, err := publish(t, dir, w, nil); err != nil {
		t.Fatal(err)
	}
	walk(t, dir, func(file string, at time.Time) {
		if full := strings.Contains(file, "/tile/0/000") || strings.Contains(file, "/tile/entries/000"); full && !strings.Contains(file, ".p") && !at.Equal(touched[file]) {
			t.Errorf("%s was written again", file)
		}
	})
	// An old log takes nothing away.
	_, err = publish(t, dir, w, func(operator string, files map[string][]byte) {
		if operator == first[0].Operator {
			clear(files)
			old := w.Publish(w.Hosts[0])
			old.Leaves = old.Leaves[:first[0].Size]
			if err := old.Sign(); err != nil {
				t.Fatal(err)
			}
			f, err := old.Files()
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(files, f)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "an old one with") {
		t.Errorf("an old log was taken: %v", err)
	}
	if r := check(t, dir, w.Now); r.Failed {
		t.Errorf("%+v", r.Claims)
	}
}

func walk(t *testing.T, dir string, do func(string, time.Time)) {
	t.Helper()
	err := filepath.Walk(dir, func(file string, i os.FileInfo, err error) error {
		if err == nil && !i.IsDir() {
			do(filepath.ToSlash(file), i.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a log says of itself names no file outside the folder, and what it lacks leaves the folder as it was.
func TestLogsThatAreRefused(t *testing.T) {
	w := nodetest.New(t, 3)
	nodetest.Ready(w, 3)
	w.Run("published", func() bool {
		return w.All(func(h *nodetest.Host) bool { _, head, _ := h.Witness.Checkpoint(); return head.Size > 0 })
	})
	for name, change := range map[string]func(string, map[string][]byte){
		"no keys":            func(_ string, f map[string][]byte) { delete(f, "keys") },
		"no checkpoint":      func(_ string, f map[string][]byte) { delete(f, "checkpoint") },
		"another's":          func(_ string, f map[string][]byte) { f["checkpoint"][20] ^= 1 },
		"a tile is missing":  func(_ string, f map[string][]byte) { dropFirst(f, "tile/0/") },
		"bodies are missing": func(_ string, f map[string][]byte) { dropFirst(f, "body/") },
	} {
		dir := t.TempDir()
		if _, err := publish(t, dir, w, change); err == nil {
			t.Errorf("%s: published", name)
		}
		if _, err := os.Stat(filepath.Join(dir, "logs", w.Hosts[0].Own.Name, "checkpoint")); err == nil {
			t.Errorf("%s: a checkpoint lies in the folder", name)
		}
	}
}

func dropFirst(f map[string][]byte, prefix string) {
	for k := range f {
		if strings.HasPrefix(k, prefix) {
			delete(f, k)
			return
		}
	}
}

package disclose_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/disclose"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/tlog"
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
		pins := disclose.Pins{h.Own.Name: h.Own.Identity}
		c, err := disclose.Copy(context.Background(), dir, disclose.Log{Name: h.Own.Name, Fetch: nodetest.Source(h.Own.Name, files).Fetch}, disclose.Folder{AtOnce: 4}, pins)
		if err == nil {
			c, err = disclose.Place(dir, c, pins)
		}
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

// A folder holds the second sharing of each epoch in force, and whoever reads it checks that it would bring the key back; it goes when the node shows it no more.
func TestFolderHoldsSecondSharings(t *testing.T) {
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			d.Vaults[i].Rescue = nodetest.Plan(2, 2, "operator-9")
		}
	}
	nodetest.Ready(w, 3)
	w.Run("published", func() bool {
		return w.All(func(h *nodetest.Host) bool {
			_, head, by := h.Witness.Checkpoint()
			return head.Size > 0 && len(by) == 2
		})
	})
	dir := t.TempDir()
	all, err := publish(t, dir, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := check(t, dir, w.Now).Vaults[0].Coverage; len(c) != 1 || c[0].Class != verify.Proved || c[0].Guardians != 3 || c[0].Live != 2 {
		t.Errorf("%+v", c)
	}
	kept := func() int {
		files, err := filepath.Glob(filepath.Join(dir, all[0].Path, "guards", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	if kept() != 1 {
		t.Fatalf("%d files", kept())
	}
	if _, err := publish(t, dir, w, func(_ string, files map[string][]byte) {
		maps.DeleteFunc(files, func(p string, _ []byte) bool { return strings.HasPrefix(p, "guards/") })
	}); err != nil || kept() != 0 {
		t.Errorf("%v, %d files are left", err, kept())
	}
	if c := check(t, dir, w.Now).Vaults[0].Coverage; c[0].Class == verify.Proved {
		t.Errorf("%+v", c)
	}
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

// files are what a host publishes, and a log of them.
func files(t *testing.T, p *nodetest.Published) disclose.Log {
	t.Helper()
	f, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	return disclose.Log{Name: p.Name, Fetch: nodetest.Source(p.Name, f).Fetch}
}

// posing is an operator's log as that of another name, identity and generation.
func posing(t *testing.T, p *nodetest.Published, name string, identity ed25519.PrivateKey, generation uint64) disclose.Log {
	t.Helper()
	other, err := p.Pose(name, identity, generation)
	if err != nil {
		t.Fatal(err)
	}
	return files(t, other)
}

// An operator that calls itself another takes nobody's place, and fills no disk; a node that was restored takes its own.
func TestAnotherTakesNoPlace(t *testing.T) {
	w := nodetest.New(t, 3)
	nodetest.Ready(w, 3)
	all := w.PublishAll()
	dir := t.TempDir()
	if _, err := publish(t, dir, w, nil); err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(dir, "logs", all[1].Name)
	before := list(t, dir)
	pins := disclose.Pins{}
	for _, h := range w.Hosts {
		pins[h.Own.Name] = h.Own.Identity
	}
	copyIn := func(log disclose.Log, known disclose.Pins) error {
		c, err := disclose.Copy(t.Context(), dir, log, disclose.Folder{}, known)
		if err == nil {
			_, err = disclose.Place(dir, c, pins)
		}
		return errors.Join(err, disclose.Unstage(dir))
	}
	hostile := posing(t, all[2], all[1].Name, w.Hosts[2].Key, 0)
	for name, known := range map[string]disclose.Pins{"identities are known": pins, "the roster says it afterwards": nil} {
		if err := copyIn(hostile, known); err == nil {
			t.Errorf("%s: another's log took the place", name)
		}
		if after := list(t, dir); after != before {
			t.Errorf("%s: the folder changed:\n%s\n%s", name, before, after)
		}
	}
	// In an empty folder it takes none either, though nobody is there yet.
	empty := t.TempDir()
	c, err := disclose.Copy(t.Context(), empty, hostile, disclose.Folder{}, nil)
	if err == nil {
		_, err = disclose.Place(empty, c, pins)
	}
	var stranger *disclose.StrangerError
	if !errors.As(err, &stranger) || stranger.Of != all[2].Name {
		t.Errorf("an empty folder: %v", err)
	}
	if err := disclose.Unstage(empty); err != nil || list(t, empty) != "" {
		t.Errorf("%v: it left %s", err, list(t, empty))
	}

	// Restores: the later log goes into the place, an older one never, and there is an end to it.
	for g := uint64(1); g <= 4; g++ {
		err := copyIn(posing(t, all[1], all[1].Name, w.Hosts[1].Key, g), pins)
		if (err == nil) != (g <= 3) {
			t.Errorf("generation %d: %v", g, err)
		}
	}
	if err := copyIn(posing(t, all[1], all[1].Name, w.Hosts[1].Key, 2), pins); err == nil {
		t.Error("an older log took the place of a later")
	}
	raw, err := os.ReadFile(filepath.Join(place, tlog.PathKeys))
	if err != nil || !strings.Contains(string(raw), tlog.Origin(w.Hosts[1].Own.Identity, 3)) {
		t.Errorf("%v: %s", err, raw)
	}
	kept, err := os.ReadDir(filepath.Join(dir, "before"))
	if err != nil || len(kept) != 3 {
		t.Errorf("%v: %v", err, kept)
	}
}

func list(t *testing.T, dir string) (out string) {
	t.Helper()
	walk(t, dir, func(file string, at time.Time) { out += file + " " + at.String() + "\n" })
	return out
}

// A log that is too large is refused before anything of it is written, and garbage does not stay in the way of what is right.
func TestNothingFillsTheFolder(t *testing.T) {
	w := nodetest.New(t, 3)
	nodetest.Ready(w, 3)
	p := w.PublishAll()[0]
	log := files(t, p)
	pins := disclose.Pins{p.Name: w.Hosts[0].Own.Identity}
	signer, err := tlog.NewLogSigner(p.Origin, func() crypto.Signer { k, _ := tlog.Derive(w.Hosts[0].Key, 0); return k }())
	if err != nil {
		t.Fatal(err)
	}
	huge, err := tlog.Checkpoint{Origin: p.Origin, Head: tlog.Head{Size: tlog.MaxSize, Root: tlog.Hash{1}}}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	endless := disclose.Log{Name: "endless", Fetch: func(path string) ([]byte, error) {
		switch {
		case path == tlog.PathCheckpoint:
			return huge, nil
		case path == tlog.PathKeys:
			return log.Fetch(path)
		}
		return make([]byte, 1000), nil
	}}
	for name, c := range map[string]struct {
		log  disclose.Log
		b    published.Bounds
		want string
	}{
		"2^48 entries": {endless, published.Bounds{}, "281474976710656 entries, of which at most"},
		"bytes":        {endless, published.Bounds{Entries: tlog.MaxSize, Bytes: 100_000}, "--max-mb"},
	} {
		dir := t.TempDir()
		if _, err := disclose.Copy(t.Context(), dir, c.log, disclose.Folder{Bounds: &c.b, AtOnce: 4}, pins); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left := list(t, dir); left != "" {
			t.Errorf("%s: it left %s", name, left)
		}
	}

	dir := t.TempDir()
	to := disclose.Folder{At: dir, Mode: 0o600}
	bad := disclose.Log{Name: "bad", Fetch: func(path string) ([]byte, error) {
		b, err := log.Fetch(path)
		if strings.HasPrefix(path, "tile/0/") && err == nil {
			b = slices.Clone(b)
			b[0] ^= 1
		}
		return b, err
	}}
	if _, err := to.Copy(t.Context(), bad); err == nil {
		t.Fatal("garbage was taken")
	}
	if _, err := to.Copy(t.Context(), log); err != nil {
		t.Errorf("after garbage: %v", err)
	}
}

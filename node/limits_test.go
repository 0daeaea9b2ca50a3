package node_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/nodetest"
)

// TestLimits: what a node holds itself to makes others wait, and nobody is blamed for it.
func TestLimits(t *testing.T) {
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 3)
	h := w.Hosts[1]
	w.Crash(h)
	h.Limits = node.Limits{Vaults: 1, SignaturesPerMinute: 2, Sessions: 1}
	w.Start(h)
	w.Greet()
	signed := func() (n int) {
		for _, v := range w.Hosts[0].Desk.List() {
			if v.State == intent.Signed {
				n++
			}
		}
		return n
	}
	for nonce := range uint64(4) {
		w.Approve(w.Propose(vault, addr, nonce))
	}
	began := w.Now
	w.Run("the first ones are signed", func() bool { return signed() == 2 })
	if w.Try(20*time.Second, func() bool { return signed() > 2 }) {
		t.Errorf("a third one is signed after %s", w.Now.Sub(began))
	}
	w.Run("the others are signed in their time", func() bool { return signed() == 4 })
	if took := w.Now.Sub(began); took < 50*time.Second {
		t.Errorf("four were signed in %s, by a node that makes two a minute", took)
	}
	for _, o := range w.Hosts {
		if o.Desk.Shuns(w.Clock(o), h.Self()) || strings.Contains(w.Log.String(), "accused") {
			t.Errorf("%s holds it against the node", o.Own.Name)
		}
	}
	w.List(w.VaultFile("second", 3))
	if _, _, err := h.Circle.PrepareVault(w.Clock(h), "second"); err == nil || !strings.Contains(err.Error(), `it holds shares of 1 vaults, and may of no more ("limits" in node.json)`) {
		t.Errorf("a second vault: %v", err)
	}
	if _, _, err := w.Hosts[0].Circle.PrepareVault(w.Now, "second"); err != nil {
		t.Errorf("another's node: %v", err)
	}
}

func TestLimitsRefused(t *testing.T) {
	for field, l := range map[string]node.Limits{
		"vaults": {Vaults: -1}, "signatures_per_minute": {SignaturesPerMinute: -1}, "sessions": {Sessions: -1}, "store_bytes": {StoreBytes: 1 << 20},
	} {
		if err := l.Check(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := (node.Limits{}).Check(); err != nil {
		t.Error(err)
	}
}

// TestSetLimits: the other settings stay as they are, and so does who may read them.
func TestSetLimits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.json")
	was := node.Settings{Operator: "acme", Entity: "Acme Ltd", Link: "127.0.0.1:1", People: "127.0.0.1:2", Officers: []string{nodetest.NewPerson(t, "officer").Key.String()}, RPC: map[string]node.URLs{"eip155:1": {"https://x.example"}}}
	if err := os.WriteFile(path, []byte(`{"operator":"acme","entity":"Acme Ltd","link":"127.0.0.1:1","people":"127.0.0.1:2","officers":["`+was.Officers[0]+`"],"rpc":{"eip155:1":"https://x.example"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := node.Limits{Vaults: 3, StoreBytes: 1 << 30}
	if err := node.SetLimits(dir, l); err != nil {
		t.Fatal(err)
	}
	s, err := node.ReadSettings(dir)
	if err != nil || s.Limits != l || !slices.Equal(s.RPC["eip155:1"], node.URLs{"https://x.example"}) || s.Officers[0] != was.Officers[0] {
		t.Fatalf("%+v, %v", s, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := node.SetLimits(dir, node.Limits{Vaults: -1}); err == nil {
		t.Error("limits that cannot be are written")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

// TestSettingsOfOthers: a folder may be somebody else's than who reads and changes its settings. Neither is kept waiting, fed without end, or led out of the folder.
func TestSettingsOfOthers(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	path, theirs := filepath.Join(dir, "node.json"), filepath.Join(outside, "node.json")
	text := `{"operator":"acme","entity":"Acme Ltd","link":"127.0.0.1:1","people":"127.0.0.1:2","officers":["` + nodetest.NewPerson(t, "officer").Key.String() + `"]}`
	if err := os.WriteFile(theirs, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, put := range map[string]func() error{
		"a FIFO":          func() error { return syscall.Mkfifo(path, 0o600) },
		"a folder":        func() error { return os.Mkdir(path, 0o700) },
		"a device":        func() error { return os.Symlink("/dev/zero", path) },
		"too much":        func() error { return os.WriteFile(path, []byte(strings.Repeat(" ", 1<<20)+text), 0o600) },
		"another's":       func() error { return os.Symlink(theirs, path) },
		"another's, near": func() error { return os.Symlink("../"+filepath.Base(outside)+"/node.json", path) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if err := node.SetLimits(dir, node.Limits{Vaults: 1}); err == nil {
			t.Errorf("%s: limits are set in it", what)
		}
		if _, err := node.ReadSettings(dir); (err == nil) != strings.HasPrefix(what, "another's") { // whose folder it is may have it elsewhere
			t.Errorf("%s: read: %v", what, err)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("%s: %v, %v", what, files, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/components/swtpm"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/memory"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/tpm"
)

// lives runs a node's folder until it listens, and stops it. It says why the node was fenced, if it was; confirm is its operator's word.
func lives(t *testing.T, dir string, confirm bool) (fenced error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	serve := func(d *node.Daemon, _, _ net.Listener) (func(context.Context) error, error) {
		fenced = d.Fence.Fenced()
		if confirm {
			if _, err := d.ConfirmRestore(ctx, d.Started); err != nil {
				return nil, err
			}
		}
		return func(context.Context) error { return nil }, nil
	}
	ring := &keys.Ring{Rand: rand.Reader}
	err := node.Run(ctx, dir, ring, slog.New(slog.NewTextHandler(io.Discard, nil)), node.WithServe(serve), node.Ready(func(node.Addresses) { cancel() }))
	if err != nil {
		t.Fatal(err)
	}
	return fenced
}

// copyFolder copies with permissions.
func copyFolder(t *testing.T, to, from string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

// A real folder, sealed to a TPM and counted by it: set back to an older copy, it is fenced at its start, although no peer is there to tell; its
// operator's word frees it. On a machine that booted otherwise it does not open at all.
func TestFolderSetBack(t *testing.T) {
	e := swtpm.Start(t)
	dir := filepath.Join(t.TempDir(), "node")
	p, err := keys.Parse("tpm:sha256:16@" + e.Path())
	if err != nil {
		t.Fatal(err)
	}
	s := node.Settings{
		Operator: "acme", Entity: "Acme Ltd", Link: "127.0.0.1:0", Advertise: "acme.example:7700", People: "127.0.0.1:0",
		Officers: []string{nodetest.NewPerson(t, "olga").Key.String()}, TPM: &node.TPM{Device: e.Path(), Counter: true},
	}
	ring := &keys.Ring{Rand: rand.Reader}
	if _, err := node.Init(t.Context(), dir, s, ring.Open, rand.Reader, keys.Main(p)); err != nil {
		t.Fatal(err)
	}
	if err := lives(t, dir, false); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "old")
	copyFolder(t, old, dir)
	for range 2 {
		if err := lives(t, dir, false); err != nil {
			t.Fatalf("fenced without cause: %v", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, dir, old)
	if err := lives(t, dir, false); err == nil || !strings.Contains(err.Error(), "the store was set back") {
		t.Fatalf("not fenced: %v", err)
	}
	if err := lives(t, dir, true); err == nil {
		t.Fatal("not fenced after a restart")
	}
	if err := lives(t, dir, false); err != nil {
		t.Fatalf("fenced after its operator's word: %v", err)
	}
	e.Extend(t, 16, strings.Repeat("01", 32))
	if err := node.Run(t.Context(), dir, ring, slog.New(slog.NewTextHandler(io.Discard, nil))); err == nil || !strings.Contains(err.Error(), "PCR 16") {
		t.Errorf("after another boot: %v", err)
	}
}

func TestTPMSettings(t *testing.T) {
	base := `{"operator": "a", "entity": "A", "link": "127.0.0.1:0", "people": "127.0.0.1:0", "officers": [], "tpm": `
	for text, want := range map[string]string{
		`{"device": "tpm0"}`:                   "tpm.device",
		`{"pcrs": "sha256:99"}`:                "tpm.pcrs",
		`{"counters": true}`:                   "unknown field",
		`{"device": "/dev/tpm9", "pcrs": "7"}`: "tpm.pcrs",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "node.json"), []byte(base+text+"}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := node.ReadSettings(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// tally is a counter in memory.
type tally struct{ value uint64 }

func (c *tally) Read(context.Context) (tpm.Reading, error) {
	return tpm.Reading{Machine: [32]byte{1}, Made: c.value > 0, Value: c.value}, nil
}

func (c *tally) Raise(context.Context) (uint64, error) { c.value++; return c.value, nil }

// New shares raise the counter: a store from before them does not pass for this one, though no start lies between.
func TestCounterGoesWithNewShares(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 2, 2)
	h, c := s.Hosts[0], &tally{}
	h.Counter = c
	s.Crash(h)
	s.Run("it starts", func() bool { return h.Up && s.Greeted() })
	pass(s.World, 15*time.Minute)
	snap, was := s.Rows(h, ""), c.value
	s.wantNew(s.seats()...)
	s.Run("new shares are in force", func() bool { return s.in(1, s.Hosts...) })
	pass(s.World, time.Minute)
	if c.value != was+1 || h.Fence.Fenced() != nil {
		t.Fatalf("the counter stands at %d after %d: %v", c.value, was, h.Fence.Fenced())
	}
	s.Route = func(*nodetest.Host, ed25519.PublicKey) *nodetest.Host { return nil } // nobody is there to tell
	s.Restore(h, snap)
	if h.Fence.Fenced() == nil {
		t.Error("a store from before the new shares passes for this one")
	}
}

func TestMemoryState(t *testing.T) {
	for want, c := range map[string]struct {
		r     memory.Report
		whole bool
	}{
		"ok all memory of the process is locked":                   {memory.Report{Size: 4096}, true},
		"ok 1024 KiB are locked, for the data key and open rows; ": {memory.Report{Size: 1 << 20}, false},
		"warn 64 KiB are locked, of 1024":                          {memory.Report{Size: 64 << 10}, false},
		"warn 1024 KiB are locked, and too few: 3 times":           {memory.Report{Size: 1 << 20, Spilled: 3}, false},
		"warn not locked: why":                                     {memory.Report{Size: 1 << 20, Lock: errors.New("why")}, false},
	} {
		state, what, next := node.MemoryState(c.r, c.whole)
		if !strings.HasPrefix(state+" "+what, want) || (state == "ok") != (next == "") || next != "" && !strings.Contains(next, "LimitMEMLOCK") {
			t.Errorf("%s: %s %s, %s", want, state, what, next)
		}
	}
}

//go:build nightly

package test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ostraka/ostraka/node/provider"
)

// TestProviderEnds: a node that ends again and again, for want of memory or with a damaged store, stays down and says why; a supervisor that is killed leaves none behind.
func TestProviderEnds(t *testing.T) {
	x := founded(t)
	x.state("ill", provider.Running)
	well := x.pids()
	x.provider("limits", "ill", "--memory", "67108864")
	if s := x.state("ill", provider.Down); !strings.Contains(s.Why, "provider restart ill") {
		t.Errorf("without memory: %q", s.Why)
	} else {
		t.Log(s.Why)
	}
	x.signs("0")
	x.provider("limits", "ill", "--memory", "0", "--signatures-per-minute", "100")
	x.state("ill", provider.Running)

	// Damaged: it stays down, and says so.
	x.provider("remove", "ill")
	x.state("ill", provider.Retired)
	damage(t, filepath.Join(provider.Folder(x.dir, "ill"), "store", "store.db"))
	x.provider("add", "ill", "--again")
	if s := x.state("ill", provider.Down); !strings.Contains(s.Why, "keep the folder as it is") {
		t.Errorf("damaged: %q", s.Why)
	}
	if code, body := x.ask("/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "ill") {
		t.Errorf("health: %d %s", code, body)
	}
	x.signs("1")
	if now := x.pids(); now != well {
		t.Errorf("other customers' processes were %s, and are %s", well, now)
	}
	x.restarts()
	x.ends()
}

// restarts ends the supervisor without a word, and starts another at once.
func (x *rented) restarts() {
	x.t.Helper()
	was := x.status()
	if err := x.run_.Process.Kill(); err != nil {
		x.t.Fatal(err)
	}
	x.run_.Wait() //nolint:errcheck // it was killed
	x.start()
	for _, o := range x.Operators {
		now := x.state(o.Name, provider.Running)
		if err := syscall.Kill(was[o.Name].PID, 0); err == nil || now.PID == was[o.Name].PID {
			x.t.Errorf("%s: process %d of the supervisor that was killed is there beside %d", o.Name, was[o.Name].PID, now.PID)
		}
	}
	x.signs("2")
}

// damage flips a bit in every page of a file but the first two.
func damage(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2*4096 + 100; i < len(raw); i += 4096 {
		raw[i] ^= 4
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

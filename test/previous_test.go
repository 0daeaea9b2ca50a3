package test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/components/anvil"
)

// TestPrevious runs a circle in which nodes of the release before and nodes of this one work together, and each is upgraded in place: at first
// cora's alone is of this release, then two of three are, then all (spec/link 3.1, spec/node 2.1, spec/log 13).
func TestPrevious(t *testing.T) {
	previous, err := components.Previous.Find()
	if err != nil {
		t.Fatal(err)
	}
	chain := anvil.Start(t)
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c, err := local.Start(ctx, local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Binaries: map[string]string{"acme": previous, "bolt": previous},
		Dir: dir, Chain: "eip155:31337", RPC: map[string]string{"eip155:31337": chain.URL}, Initiator: "alice", Approvers: []string{"bob"}, Quorum: 1,
		// The release before does not know this line.
		Amend: func(file string) string { return strings.Replace(file, "    publish: true\n", "", 1) },
	})
	t.Cleanup(c.Stop)
	for _, step := range []func(context.Context) error{c.Found, c.CreateVault, c.AwaitVault} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &circle{t: t, local: c, chain: chain}
	commands := w.commands()
	commands["upgrade"] = func(ts *testscript.TestScript, neg bool, args []string) {
		w.local.Halt(w.operator(ts, args[0]))
		c.Binaries = maps.Clone(c.Binaries)
		delete(c.Binaries, args[0])
		c.Through = map[string][]string{args[0]: {"sh", "-c", `exec "$0" "$@" --tag-rows`}}
		w.restart(ts, neg, args)
		c.Through = nil
	}
	vars := map[string]string{
		client.FileVariable: c.ContextsFile(), "DIR": dir, "KEYS": filepath.Join(dir, "keys"), "CHARTER": c.CharterFolder(), "PREVIOUS": previous,
	}
	for _, o := range c.Operators {
		vars[strings.ToUpper(o.Name)] = o.People
	}
	testscript.Run(t, params("testdata/previous", commands, vars))
}

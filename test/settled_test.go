package test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
)

// settled is a circle of three operators, with alice who initiates, bob and carol who both must approve, and its vault, whose key is made. What the
// config does not say of folders, program and people is filled in here.
func settled(t *testing.T, config local.Config) *local.Circle {
	t.Helper()
	dir, err := os.MkdirTemp("", "o") // a Unix socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	config.Binary, config.Dir, config.Initiator, config.Approvers, config.Quorum = binary, dir, "alice", []string{"bob", "carol"}, 2
	c, err := local.Start(ctx, config)
	t.Cleanup(c.Stop)
	for _, step := range []func(context.Context) error{c.Found, c.CreateVault, c.AwaitVault} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tell tells stories one after another to the same circle, and after one that fails what its nodes wrote last. Beside vars each has $KEYS and $DIR.
func tell(t *testing.T, c *local.Circle, scripts []string, more map[string]func(*testscript.TestScript, bool, []string), vars map[string]string) {
	t.Helper()
	if len(scripts) == 0 {
		t.Fatal("no stories")
	}
	dir := filepath.Dir(c.ContextsFile())
	vars[client.FileVariable], vars["DIR"], vars["KEYS"] = c.ContextsFile(), dir, filepath.Join(dir, "keys")
	for _, script := range scripts {
		ok := t.Run(filepath.Base(script), func(t *testing.T) {
			p := params("", more, vars)
			p.Files = []string{script}
			testscript.Run(t, p)
		})
		if !ok {
			for _, o := range c.Operators {
				log, _ := os.ReadFile(o.Log)
				t.Logf("%s:\n%s", o.Name, log[max(0, len(log)-4000):])
			}
			t.FailNow()
		}
	}
}

// stories are those of a folder of testdata.
func stories(t *testing.T, folder string) []string {
	t.Helper()
	scripts, err := filepath.Glob("testdata/" + folder + "/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return scripts
}

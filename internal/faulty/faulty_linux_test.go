package faulty

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const childEnv = "OSTRAKA_FAULTY_CHILD"

// The child syncs a file from many threads, writes and renames it, and prints what fails.
func TestMain(m *testing.M) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	f, err := os.Create(filepath.Join(dir, "a"))
	if err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := f.Sync(); err != nil {
				println(err.Error())
			}
		})
	}
	all.Wait()
	if _, err := f.Write([]byte("x")); err != nil {
		println(err.Error())
	}
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		println(err.Error())
	}
	os.Exit(0)
}

func child(t *testing.T, names []string, judge Judge) (dir, said string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command(os.Args[0])
	var errs strings.Builder
	cmd.Stderr, cmd.Env = &errs, append(os.Environ(), childEnv+"="+dir)
	if err := Start(cmd, names, judge); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	return dir, errs.String()
}

// Whichever thread makes it, the fifth sync fails, and no other.
func TestOneSyncFails(t *testing.T) {
	o := &Once{At: 5, With: unix.EIO}
	dir, said := child(t, Syncs, o.Judge)
	if strings.Count(said, "input/output error") != 1 {
		t.Errorf("the program was told %q", said)
	}
	c, ok := o.Failed()
	if !ok || c.N != 5 || c.Path != filepath.Join(dir, "a") || len(o.Seen()) != 20 || o.Retried() == nil {
		t.Errorf("%+v failed of %d: %v", c, len(o.Seen()), o.Retried())
	}
}

func TestWritesAndRenames(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	dir, said := child(t, append([]string{"renameat"}, Writes...), func(c Call) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, c.Name+" "+filepath.Base(c.Path))
		switch {
		case c.Name == "write" && strings.HasSuffix(c.Path, "/a"):
			return unix.ENOSPC
		case c.Name == "renameat":
			return unix.EIO
		}
		return nil
	})
	if !strings.Contains(said, "no space left on device") || !strings.Contains(said, "input/output error") {
		t.Errorf("the program was told %q of %q", said, seen)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
		t.Error(err)
	}
	if all := strings.Join(seen, ", "); !strings.Contains(all, "write a") || !strings.Contains(all, "renameat b") {
		t.Errorf("seen: %s", all)
	}
}

func TestStartRefuses(t *testing.T) {
	if err := Start(exec.Command("true"), []string{"nonsense"}, nil); err == nil {
		t.Error("a call that nobody knows is judged")
	}
	if err := Start(exec.Command("/nonexistent"), Syncs, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
}

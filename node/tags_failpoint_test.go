//go:build failpoint

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const childEnv = "OSTRAKA_NODE_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := runOnce(context.Background(), dir, WithTagRows(true)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A node that puts tags on an older store is killed before and after each step: the next start does the rest, no row is lost, and the log tells of it once.
func TestTagKilled(t *testing.T) {
	for _, point := range []string{
		"tag-begun=1", "tag-before-batch=1", "tag-after-batch=1", "tag-before-batch=3", "tag-after-batch=3", "tag-before-leaf=1", "tag-after-leaf=1",
		"tag-written=1", "tag-renamed=1", "tag-marked=1",
	} {
		t.Run(point, func(t *testing.T) {
			f := newFolder(t)
			f.past()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"="+f.dir, "OSTRAKA_FAILPOINT="+point)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v: %s", err, out)
			}
			_, without, told := f.counts()
			if done := strings.HasPrefix(point, "tag-after-leaf") || strings.HasPrefix(point, "tag-written") || strings.HasPrefix(point, "tag-renamed") || strings.HasPrefix(point, "tag-marked"); done != (without == 0) || done != (told == 1) {
				t.Errorf("%d rows without a tag, %d leaves tell of them", without, told)
			}
			f.ok(f.runAtWord())
			f.whole("after " + point)
		})
	}
}

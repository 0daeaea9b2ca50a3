//go:build failpoint

package seal

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Killed at each step, the key file is absent (while it is created) or opens with the
// old or the new provider, never with neither; and the step can be done again.
func TestKillAtEveryPoint(t *testing.T) {
	run := func(path, point string) error {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path, "OSTRAKA_FAILPOINT="+point)
		return cmd.Run()
	}
	for _, point := range []string{"seal/file/before=1", "seal/file/written=1", "seal/file/renamed=1", "seal/file/done=1"} {
		path := filepath.Join(t.TempDir(), "key")
		renamed := point == "seal/file/renamed=1" || point == "seal/file/done=1"
		killed := func() {
			t.Helper()
			var exit *exec.ExitError
			if err := run(path, point); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%s: child ended with %v", point, err)
			}
		}
		opens := func(name string) error {
			_, _, err := OpenFile(ctx, path, label, having(name), rand.Reader)
			return err
		}
		killed()
		if err := opens("a"); renamed && err != nil || !renamed && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("create killed at %s: %v", point, err)
		}
		if !renamed {
			if err := run(path, ""); err != nil {
				t.Fatalf("create again: %v", err)
			}
		}
		killed()
		want, other := "a", "a'"
		if err := opens("b"); renamed == (err == nil) {
			t.Errorf("rekey killed at %s: the slot that it removes: %v", point, err)
		}
		if renamed {
			want, other = other, want
		}
		if err := opens(want); err != nil {
			t.Errorf("rekey killed at %s: %v", point, err)
		}
		if err := opens(other); !errors.Is(err, errWrongKEK) {
			t.Errorf("rekey killed at %s: the other provider: %v", point, err)
		}
	}
}

//go:build failpoint

package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_CHILD") != "" {
		for range 3 {
			Hit("a")
			Hit("b")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, point string) (string, error) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FAILPOINT_CHILD=1", "OSTRAKA_FAILPOINT="+point, "OSTRAKA_FAILPOINT_LOG="+log)
	err := cmd.Run()
	b, readErr := os.ReadFile(log)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(b), err
}

func TestKillAtNth(t *testing.T) {
	log, err := child(t, "b=2")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("child ended with %v, want SIGKILL", err)
	}
	if log != "a\nb\na\nb\n" {
		t.Fatalf("hits %q", log)
	}
}

func TestLogOnly(t *testing.T) {
	log, err := child(t, "")
	if err != nil || log != "a\nb\na\nb\na\nb\n" {
		t.Fatalf("err %v, hits %q", err, log)
	}
}

package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal makes a pseudo-terminal: the screen's side, and that of the program.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return screen, tty
}

// Whoever is asked for a passphrase can leave by Ctrl-C, and then sees again what is typed.
func TestPromptEnds(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, stop := range map[string]func(*os.File, *os.Process) error{
		"Ctrl-C":  func(screen *os.File, _ *os.Process) error { _, err := screen.Write([]byte{3}); return err },
		"SIGTERM": func(_ *os.File, p *os.Process) error { return p.Signal(syscall.SIGTERM) },
	} {
		screen, tty := terminal(t)
		cmd := exec.Command(binary, "node", "init", "--dir", filepath.Join(dir, "n"), "--operator", "acme", "--entity", "Acme", "--officer", key+".pub")
		var errs bytes.Buffer
		cmd.Stdin, cmd.Stderr = tty, &errs
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var shown []byte
		for b := make([]byte, 256); !strings.Contains(string(shown), "Passphrase of the node: "); {
			n, err := screen.Read(b)
			if err != nil {
				t.Fatalf("%s: %v after %q", name, err, shown)
			}
			shown = append(shown, b[:n]...)
		}
		for { // the program hides what is typed a moment after it asks
			state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			if state.Lflag&unix.ECHO == 0 {
				break
			}
		}
		if err := stop(screen, cmd.Process); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(errs.String(), "interrupted") {
			t.Errorf("%s: %v, stderr %q; want code 1 and the word interrupted", name, err, errs.String())
		}
		if state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS); err != nil || state.Lflag&unix.ECHO == 0 {
			t.Errorf("%s: the terminal goes on hiding what is typed: %v", name, err)
		}
	}
}

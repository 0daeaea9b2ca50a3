package test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

var processLine = regexp.MustCompile(`process (\d+)`)

// However a demonstration ends, its nodes end with it.
func TestNoOrphans(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		dir, err := os.MkdirTemp("", "o")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		cmd := exec.Command(binary, "demo")
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pids []int
		for lines := bufio.NewScanner(out); len(pids) < 3 && lines.Scan(); {
			if m := processLine.FindStringSubmatch(lines.Text()); m != nil {
				pid, _ := strconv.Atoi(m[1])
				pids = append(pids, pid)
			}
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		err = cmd.Wait()
		if len(pids) != 3 {
			t.Fatalf("%v: %d nodes were named: %v", sig, len(pids), err)
		}
		if sig == syscall.SIGINT && cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("interrupted, it ended with %v", cmd.ProcessState)
		}
		for _, pid := range pids {
			awaitEnd(t, pid)
		}
	}
}

// awaitEnd bears with the kernel, which ends a killed process in its own time.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	for range 600 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("node %d still runs", pid)
}

// zombie: it ended, and who should take note of it has ended too.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && regexp.MustCompile(`\) Z `).Match(stat)
}

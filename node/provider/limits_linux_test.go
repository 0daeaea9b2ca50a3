package provider

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHold: a process is held to its limits, and runs as nicely as it must; the thread that started it changes nobody else.
func TestHold(t *testing.T) {
	mine, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	l := Limits{Nice: 7, Memory: 1 << 28, OpenFiles: 100}
	if err := start(cmd, l, nil); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()         //nolint:errcheck
	defer cmd.Process.Kill() //nolint:errcheck
	if err := hold(cmd.Process.Pid, l); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[int]uint64{unix.RLIMIT_DATA: 1 << 28, unix.RLIMIT_NOFILE: 100} {
		var got unix.Rlimit
		if err := unix.Prlimit(cmd.Process.Pid, what, nil, &got); err != nil || got.Cur != want || got.Max != want {
			t.Errorf("limit %d: %+v, %v", what, got, err)
		}
	}
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, cmd.Process.Pid); err != nil || nice != 20-max(7, 20-mine) && nice != 20-7 {
		t.Errorf("nice: %d, %v", 20-nice, err)
	}
	if now, _ := unix.Getpriority(unix.PRIO_PROCESS, 0); now != mine {
		t.Errorf("this process is nicer: %d, was %d", 20-now, 20-mine)
	}
}

// TestGroups: where a part of the cgroup tree was delegated, each customer has a bounded group of its own, and the supervisor one too. The files stand for the
// kernel's.
func TestGroups(t *testing.T) {
	root := t.TempDir()
	write := func(name, value string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := divide(root); err == nil {
		t.Error("a folder that is no cgroup is divided")
	}
	write("cgroup.controllers", "cpuset io memory\n")
	if _, err := divide(root); err == nil || !strings.Contains(err.Error(), "the cpu controller was not delegated") {
		t.Errorf("without cpu: %v", err)
	}
	write("cgroup.controllers", "cpuset cpu io memory pids\n")
	g, err := divide(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		l           Limits
		cpu, memory string
	}{{Limits{CPUs: 1.5, Memory: 1 << 30}, "150000 100000", "1073741824"}, {Limits{}, "max 100000", "max"}} {
		f, err := g.of("acme", c.l)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		for file, want := range map[string]string{"cpu.max": c.cpu, "memory.max": c.memory} {
			if raw, err := os.ReadFile(filepath.Join(root, "customer-acme", file)); err != nil || string(raw) != want {
				t.Errorf("%s: %q, %v", file, raw, err)
			}
		}
	}
	if raw, _ := os.ReadFile(filepath.Join(root, "cgroup.subtree_control")); string(raw) != "+cpu +memory" {
		t.Errorf("subtree_control: %q", raw)
	}
}

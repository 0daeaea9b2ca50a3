package provider

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// start starts a command within limits that a process cannot lift itself. Niceness is inherited from the thread that starts it, which ends
// with it: so no other process gets it.
func start(cmd *exec.Cmd, l Limits, group *os.File) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		if l.Nice > 0 {
			if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), l.Nice); err != nil {
				done <- fmt.Errorf("nice: %w", err)
				return
			}
		}
		if group != nil {
			cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
		}
		done <- cmd.Start()
	}()
	return <-done
}

// hold sets the limits of a process; 0: of this one.
func hold(pid int, l Limits) error {
	var err error
	if l.Memory > 0 {
		err = limit(pid, unix.RLIMIT_DATA, uint64(l.Memory))
	}
	if l.OpenFiles > 0 {
		err = errors.Join(err, limit(pid, unix.RLIMIT_NOFILE, l.OpenFiles))
	}
	return err
}

// limit bounds a process for good: without CAP_SYS_RESOURCE it cannot lift that itself.
func limit(pid, what int, to uint64) error {
	var old unix.Rlimit
	if err := unix.Prlimit(pid, what, nil, &old); err != nil {
		return fmt.Errorf("read limit %d: %w", what, err)
	}
	if old.Cur == to && old.Max == to {
		return nil
	}
	if err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: to, Max: to}, nil); err != nil {
		return fmt.Errorf("set limit %d to %d: %w", what, to, err)
	}
	return nil
}

func credential(u *User) *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: u.UID, Gid: u.GID}
}

// groups is the part of the cgroup tree that the supervisor may divide among its customers.
type groups struct{ root string }

// openGroups makes such a part of the supervisor's own group of cgroup v2, if it was delegated (systemd: Delegate=cpu memory).
func openGroups() (*groups, error) {
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(raw)) {
		if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return divide(filepath.Join("/sys/fs/cgroup", own))
		}
	}
	return nil, errors.New("this system has no cgroup v2")
}

// divide moves the supervisor into a group of its own, since a group with processes cannot be divided, and has the others bounded.
func divide(root string) (*groups, error) {
	have, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	for _, c := range []string{"cpu", "memory"} {
		if !strings.Contains(" "+strings.TrimSpace(string(have))+" ", " "+c+" ") {
			return nil, fmt.Errorf("%s: the %s controller was not delegated", root, c)
		}
	}
	own := filepath.Join(root, "supervisor")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return nil, err
	}
	if err := set(own, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return nil, err
	}
	return &groups{root}, set(root, "cgroup.subtree_control", "+cpu +memory")
}

func set(dir, file, value string) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644)
}

// of gives a customer's group, bounded; the caller closes it.
func (g *groups) of(name string, l Limits) (*os.File, error) {
	if g == nil {
		return nil, nil
	}
	dir := filepath.Join(g.root, "customer-"+name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cpu, memory := "max 100000", "max"
	if l.CPUs > 0 {
		cpu = fmt.Sprintf("%d 100000", int64(l.CPUs*100_000))
	}
	if l.Memory > 0 {
		memory = strconv.FormatInt(l.Memory, 10)
	}
	if err := errors.Join(set(dir, "cpu.max", cpu), set(dir, "memory.max", memory)); err != nil {
		return nil, err
	}
	return os.Open(dir)
}

package kill

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A group is a cgroup with a bound on memory.
type group struct{ dir, limit string }

// newGroup makes one, of either version of cgroups.
func newGroup(t *testing.T) (*group, error) {
	for _, g := range []group{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.high"}} {
		name := filepath.Join(g.dir, fmt.Sprint("ostraka-test-", os.Getpid()))
		if err := os.Mkdir(name, 0o755); err != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(name) }) // its processes have ended
		if _, err := os.Stat(filepath.Join(name, g.limit)); err == nil {
			return &group{name, g.limit}, nil
		}
	}
	return nil, errors.New("no cgroup can be made that bounds memory, under /sys/fs/cgroup/memory or /sys/fs/cgroup")
}

func (g *group) squeeze(bytes string) error {
	err := os.WriteFile(filepath.Join(g.dir, g.limit), []byte(bytes), 0)
	if errors.Is(err, syscall.EBUSY) {
		return nil // as far as it could
	}
	return err
}

// swapFile has the machine swap into a file of its own, until the test ends, and returns it; an error says what the machine refused. One test at a time
// does so: the machine fills the file of the highest priority first, whosever memory it is.
func swapFile(t *testing.T, dir string) (string, error) {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "ostraka-test-swap.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { lock.Close() })
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "swap")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, 256<<20), f.Close())
	}
	if err != nil {
		return "", err
	}
	do := func(args ...string) (string, error) {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out)), err
	}
	device, err := do("losetup", "--find", "--show", file)
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { _, _ = do("losetup", "--detach", device) })
	if _, err := do("mkswap", device); err != nil {
		return "", err
	}
	if _, err := do("swapon", "--priority", "32000", device); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if _, err := do("swapoff", device); err != nil {
			t.Error(err)
		}
	})
	return file, nil
}

// A mapping is a piece of a process's memory.
type mapping struct {
	from, to     uint64
	flags        []string
	locked, swap int // KiB
}

func (m mapping) has(flag string) bool {
	for _, f := range m.flags {
		if f == flag {
			return true
		}
	}
	return false
}

// mappings reads smaps.
func mappings(t *testing.T, pid int) (all []mapping) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		name, rest, ok := strings.Cut(lines.Text(), ":")
		if !ok || strings.Contains(name, " ") {
			var m mapping
			if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &m.from, &m.to); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			all = append(all, m)
			continue
		}
		m, words := &all[len(all)-1], strings.Fields(rest)
		switch name {
		case "VmFlags":
			m.flags = words
		case "Locked":
			m.locked, _ = strconv.Atoi(words[0])
		case "Swap":
			m.swap, _ = strconv.Atoi(words[0])
		}
	}
	return all
}

// arena is where a node's data key and open rows lie: locked, left out of cores, empty in a child.
func arena(t *testing.T, pid int) (found mapping) {
	t.Helper()
	for _, m := range mappings(t, pid) {
		if m.has("lo") && m.has("dd") && m.has("wf") {
			found = m
		}
	}
	if found.to-found.from < 1<<20 || !found.has("lo") || found.locked == 0 || found.swap != 0 {
		t.Errorf("the node's memory for secrets is %+v", found)
	}
	return found
}

// abort ends a process with a core, which it returns.
func abort(t *testing.T, pid int, dir string) string {
	t.Helper()
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	why := ""
	all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if strings.HasPrefix(string(pattern), "|") || strings.Contains(string(pattern), "/") {
		why = "this machine's kernel hands cores to " + strings.TrimSpace(string(pattern))
	} else if err := unix.Prlimit(pid, unix.RLIMIT_CORE, &all, nil); err != nil { // the node has it at 0
		why = "this machine does not let the test raise the node's limit of cores: " + err.Error()
	}
	if why != "" {
		out, err := exec.Command("gcore", "-o", filepath.Join(dir, "core"), strconv.Itoa(pid)).CombinedOutput()
		if t.Logf("core: by gcore, since %s", why); err != nil {
			t.Fatalf("gcore (as root, `apt-get install gdb`): %v: %s", err, out)
		}
	} else {
		t.Log("core: by the kernel, on SIGABRT")
	}
	if err := syscall.Kill(pid, syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		all, _ := filepath.Glob(filepath.Join(dir, "core*"))
		if len(all) == 1 && syscall.Kill(pid, 0) != nil {
			return all[0]
		}
	}
	t.Fatalf("there is no core in %s", dir)
	return ""
}

// without wants no byte of a mapping in a core.
func without(t *testing.T, core string, m mapping) {
	t.Helper()
	f, err := elf.Open(core)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loads := 0
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Filesz == 0 {
			continue
		}
		if loads++; p.Vaddr < m.to && m.from < p.Vaddr+p.Filesz {
			t.Errorf("the core has %d bytes from %x: the memory for secrets lies from %x to %x", p.Filesz, p.Vaddr, m.from, m.to)
		}
	}
	if loads < 5 {
		t.Errorf("the core has %d pieces of memory", loads)
	}
}

// pieces gives a large file piece by piece, without those that are all zero; each begins with the end of the one before.
func pieces(t *testing.T, path string, look func([]byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size, tail = 1 << 20, 256
	buf, zero, kept := make([]byte, tail+size), make([]byte, size), 0
	for {
		n, err := io.ReadFull(f, buf[kept:kept+size])
		if n == 0 {
			return
		}
		if bytes.Equal(buf[kept:kept+n], zero[:n]) {
			kept = 0
		} else {
			look(buf[:kept+n])
			keep := min(tail, kept+n)
			copy(buf, buf[kept+n-keep:kept+n])
			kept = keep
		}
		if err != nil {
			return
		}
	}
}

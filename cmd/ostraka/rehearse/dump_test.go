package rehearse

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ostraka/ostraka/node/nodetest"
)

const (
	piece   = 1 << 20 // bytes of memory that are read at a time
	overlap = 256     // of one piece that are scanned again with the next: more than any form has
)

// dump scans the memory of a process as a debugger sees it: every mapping that can be read, while the process stands still. Who may is root, or, where
// kernel.yama.ptrace_scope is 1 at most, the parent under the same user. Found are the names of the secrets that stand there.
func dump(pid int, s *nodetest.Scanner) (found map[string]int, size int64, err error) {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return nil, 0, err
	}
	defer syscall.Kill(pid, syscall.SIGCONT) //nolint:errcheck // it ends with the test
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, 0, err
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: run this test as root, or with kernel.yama.ptrace_scope at 1 or less and, in a container, CAP_SYS_PTRACE", err)
	}
	if err != nil {
		return nil, 0, err
	}
	defer mem.Close()
	found = map[string]int{}
	buf, zero := make([]byte, overlap+piece), make([]byte, piece)
	end, kept := int64(0), 0 // where the mapping before ended, and how much of it stands at buf's front
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		from, to, ok, err := mapping(lines.Text())
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		if from != end {
			kept = 0
		}
		for at := from; at < to; {
			n, err := mem.ReadAt(buf[kept:kept+int(min(piece, to-at))], at)
			if n == 0 && errors.Is(err, syscall.EIO) && strings.Contains(lines.Text(), " /") {
				break // behind the end of a mapped file
			}
			if n == 0 {
				return nil, 0, fmt.Errorf("memory of process %d at %x, %s: %w", pid, at, lines.Text(), err)
			}
			at, size = at+int64(n), size+int64(n)
			if bytes.Equal(buf[kept:kept+n], zero[:n]) {
				kept = 0
				continue
			}
			for _, name := range s.Find(buf[:kept+n]) {
				found[name]++
			}
			tail := min(overlap, kept+n)
			copy(buf, buf[kept+n-tail:kept+n])
			kept = tail
		}
		end = to
	}
	return found, size, nil
}

// mapping reads a line of proc_pid_maps(5). The kernel's own pages in every process cannot be read so.
func mapping(line string) (from, to int64, readable bool, err error) {
	f := strings.Fields(line)
	if len(f) < 5 {
		return 0, 0, false, fmt.Errorf("%q is no mapping", line)
	}
	a, b, _ := strings.Cut(f[0], "-")
	x, err := strconv.ParseUint(a, 16, 64)
	y, err2 := strconv.ParseUint(b, 16, 64)
	if err := errors.Join(err, err2); err != nil {
		return 0, 0, false, err
	}
	kernels := len(f) > 5 && (strings.HasPrefix(f[5], "[vvar") || f[5] == "[vsyscall]")
	return int64(x), int64(y), strings.HasPrefix(f[1], "r") && !kernels && x < 1<<63, nil
}

// scanFiles scans every file below folders but those that kept says may hold what they hold.
func scanFiles(s *nodetest.Scanner, kept func(path string) bool, folders ...string) (found []string, files int, err error) {
	for _, dir := range folders {
		err = errors.Join(err, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a node tidied up
			}
			if err != nil || !d.Type().IsRegular() || kept(path) {
				return err
			}
			raw, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			files++
			for _, name := range s.Find(raw) {
				found = append(found, path+" holds "+name)
			}
			return err
		}))
	}
	slices.Sort(found)
	return slices.Compact(found), files, err
}

// The scan of memory finds what lies there, in whatever form, and nothing where nothing lies.
func TestDump(t *testing.T) {
	t.Parallel()
	canary := []byte("\xd7\x13a canary, of 32 bytes\xfe\x80\x01\x99\x02\xc3\x28\xff")
	back := slices.Clone(canary)
	slices.Reverse(back)
	s := nodetest.NewScanner()
	s.Add("canary", canary)
	sleeper := func(env ...string) int {
		cmd := exec.Command("sleep", "600")
		cmd.Env = env
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() }) //nolint:errcheck // that is how it ends
		return cmd.Process.Pid
	}
	for name, text := range map[string]string{
		"raw": string(canary), "raw, reversed": string(back), "hex": hex.EncodeToString(canary), "hex, reversed": hex.EncodeToString(back),
		"number": new(big.Int).SetBytes(canary).String(), "base64 at 1": base64.StdEncoding.EncodeToString(append([]byte("k"), canary...)),
	} {
		found, size, err := dump(sleeper("X="+text), s)
		if err != nil || found["canary as "+name] == 0 {
			t.Errorf("%s: %v in %d bytes, %v", name, found, size, err)
		}
	}
	if found, size, err := dump(sleeper("X=nothing of it"), s); err != nil || len(found) > 0 || size < 1<<17 {
		t.Errorf("a process without it: %v in %d bytes, %v", found, size, err)
	}
}

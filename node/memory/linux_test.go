//go:build linux

package memory

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tests run their own program again, as a process that may be limited, or may die.
const childEnv = "OSTRAKA_MEMORY_CHILD"

func TestMain(m *testing.M) {
	what, limit, _ := strings.Cut(os.Getenv(childEnv), " ")
	if what == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // rights are a thread's
	if limit != "" {
		bound(limit)
	}
	switch what {
	case "report":
		a, err := New(1 << 20)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		r := a.Report()
		fmt.Println(r.Size, r.Lock)
	case "process", "whole":
		whole, err := Process()
		if what == "whole" {
			whole, err = process(unix.RLIM_INFINITY)
		}
		dumpable, dumpErr := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		grown := make([]byte, 64<<20) // what comes later must still be given
		for i := 0; i < len(grown); i += 4096 {
			grown[i] = 1
		}
		fmt.Println(whole, err, dumpable, dumpErr)
	case "overrun":
		a, err := New(4096)
		if err != nil {
			os.Exit(1)
		}
		past := (*byte)(unsafe.Add(unsafe.Pointer(&a.room[0]), len(a.room)))
		*past = 1
	}
	os.Exit(0)
}

// bound makes this thread one that may lock so many bytes and no more, whoever started it.
func bound(text string) {
	limit, err := strconv.ParseUint(text, 10, 64)
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: limit, Max: limit})
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err == nil {
		err = unix.Capget(&head, &caps[0])
	}
	caps[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	if err == nil {
		err = unix.Capset(&head, &caps[0])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// child runs a part of TestMain.
func child(t *testing.T, what string) (out string, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	b, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(b)), err
}

// What may be locked is locked, and what may not is said.
func TestLimits(t *testing.T) {
	for limit, want := range map[int]string{8 << 20: "1048576 <nil>", 64 << 10: "65536 <nil>", 4096: "4096 <nil>", 0: "1048576 the limit on locked memory is 0 bytes"} {
		if out, err := child(t, fmt.Sprint("report ", limit)); err != nil || out != want {
			t.Errorf("limit %d: %q, %v", limit, out, err)
		}
	}
}

func TestProcess(t *testing.T) {
	dumpable := 0
	if traceable {
		dumpable = 1
	}
	if out, err := child(t, "process 65536"); err != nil || out != fmt.Sprintf("false <nil> %d <nil>", dumpable) {
		t.Errorf("limited: %q, %v", out, err)
	}
	// Where this user may lock everything, all is; where not, that is an error, and what comes later is given all the same.
	want := fmt.Sprintf("true <nil> %d <nil>", dumpable)
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		t.Fatal(err)
	}
	if caps[0].Effective&(1<<unix.CAP_IPC_LOCK) == 0 {
		want = "false lock all memory: "
	}
	if out, err := child(t, "whole"); err != nil || !strings.HasPrefix(out, want) {
		t.Errorf("all of it: %q, %v", out, err)
	}
}

// Who runs over the end of the arena dies there.
func TestGuards(t *testing.T) {
	if out, err := child(t, "overrun"); err == nil || !strings.Contains(out, "SIGSEGV") && !strings.Contains(out, "fault address") {
		t.Errorf("%q, %v", out, err)
	}
}

// swept computes with a secret on the stack, and says where it lay.
//
//go:noinline
func swept(at *uintptr) {
	var b [256]byte
	for i := range b {
		b[i] = 0xA7
	}
	*at = uintptr(unsafe.Pointer(&b[0]))
	runtime.KeepAlive(&b)
}

// What lay on the stack is overwritten, by Do and by Sweep; a control without either shows that it would lie there.
func TestSweep(t *testing.T) {
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var at [3]uintptr
	var left [3][256]byte
	read := func(i int) {
		if _, err := mem.ReadAt(left[i][:], int64(at[i])); err != nil {
			t.Error(err)
		}
	}
	run := func(i int, f func()) {
		done := make(chan bool)
		go func() { // with a stack of its own, which is small at first
			f()
			read(i)
			close(done)
		}()
		<-done
	}
	run(0, func() { Sweep(); swept(&at[0]) })
	run(1, func() { Do(func() { swept(&at[1]) }) })
	run(2, func() { Sweep(); swept(&at[2]); Sweep() })
	for i, want := range []bool{true, false, false} {
		if got := bytes.Contains(left[i][:], bytes.Repeat([]byte{0xA7}, 16)); got != want {
			t.Errorf("run %d: the secret lies there: %t, want %t", i, got, want)
		}
	}
}

// The kernel says of the arena's pages that they are locked, left out of core dumps and empty after a fork.
func TestFlags(t *testing.T) {
	a := arena(t, 16<<10)
	want := fmt.Sprintf("%x-", uintptr(unsafe.Pointer(&a.room[0])))
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if !strings.Contains(lines.Text(), ":  ") && strings.Contains(lines.Text(), "-") && !strings.HasPrefix(lines.Text(), "VmFlags") {
			inside = strings.HasPrefix(lines.Text(), want)
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags: "); ok && inside {
			for _, flag := range []string{"lo", "dd", "wf"} {
				if !slices.Contains(strings.Fields(flags), flag) {
					t.Errorf("flags %s lack %s", flags, flag)
				}
			}
			return
		}
	}
	t.Error("the arena's pages are not found")
}

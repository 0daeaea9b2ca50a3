package faulty

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Call is one of a program, which waits for its answer.
type Call struct {
	Name string // fsync, fdatasync, renameat, write, pwrite64, fallocate or ftruncate
	Path string // of the file; of renameat, its new name
	N    int    // of the program's calls of all chosen names, from 1
}

// A Judge answers a call: nil lets the kernel carry it out, an error is given to the program in its place. It is asked about one call at a time.
type Judge func(Call) error

var numbers = map[string]uint32{
	"fsync": unix.SYS_FSYNC, "fdatasync": unix.SYS_FDATASYNC, "renameat": unix.SYS_RENAMEAT, "write": unix.SYS_WRITE, "pwrite64": unix.SYS_PWRITE64,
	"fallocate": unix.SYS_FALLOCATE, "ftruncate": unix.SYS_FTRUNCATE,
}

// Syncs are the calls that say that something is on the disk.
var Syncs = []string{"fsync", "fdatasync"}

// Writes are the calls that take room on a disk.
var Writes = []string{"write", "pwrite64", "fallocate", "ftruncate"}

// Start starts a program and judges its calls of these names, until it ends. The caller waits for the program as after cmd.Start.
func Start(cmd *exec.Cmd, names []string, judge Judge) error {
	over, end, err := os.Pipe()
	if err != nil {
		return err
	}
	started := make(chan error)
	filtered := make(chan filtering, 1)
	go func() {
		defer over.Close()
		if f, ok := <-filtered; ok {
			f.serve(int(over.Fd()), names, judge)
		}
	}()
	go func() {
		// The filter is this thread's, and of what it starts; the thread is not given back. It lives as long as the program, which is told when its
		// parent dies if this thread does.
		runtime.LockOSThread()
		defer end.Close()
		listener, err := filter(names)
		if err == nil {
			filtered <- filtering{listener, uint32(unix.Gettid())}
			err = cmd.Start()
		}
		close(filtered)
		if err != nil {
			started <- err
			return
		}
		ended, err := unix.PidfdOpen(cmd.Process.Pid, 0)
		if err != nil {
			started <- errors.Join(err, cmd.Process.Kill(), cmd.Wait())
			return
		}
		started <- nil
		wait(ended)
	}()
	return <-started
}

// wait waits until a process has ended.
func wait(process int) {
	defer unix.Close(process) //nolint:errcheck // it was read alone
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, -1)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// filter has the kernel ask about calls of these names that this thread and its children make. It returns where it asks.
func filter(names []string) (listener int, err error) {
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the call's number
	for _, name := range names {
		n, ok := numbers[name]
		if !ok {
			return 0, fmt.Errorf("the system call %s is not known here", name)
		}
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: n, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	whole := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// Once a call was taken, no signal interrupts it: Go's runtime sends many, and it would be made, and counted, twice.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&whole)))
	if errno != 0 {
		return 0, fmt.Errorf("seccomp's user notification (Linux 5.19): %w", errno)
	}
	return int(fd), nil
}

// notice and answer are seccomp_notif and seccomp_notif_resp of <linux/seccomp.h>.
type notice struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

const (
	receive = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	send    = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	carryOn = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// A filtering is where the kernel asks, and the thread of this process that has the filter too.
type filtering struct {
	listener int
	thread   uint32
}

// serve answers until over is closed at its other end.
func (f filtering) serve(over int, names []string, judge Judge) {
	defer unix.Close(f.listener) //nolint:errcheck // nobody asks any more
	for count := 0; ; {
		fds := []unix.PollFd{{Fd: int32(f.listener), Events: unix.POLLIN}, {Fd: int32(over)}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			if fds[1].Revents != 0 {
				return
			}
			continue
		}
		var n notice
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f.listener), receive, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // whoever called is gone
		}
		a := answer{id: n.id, flags: carryOn}
		if n.pid != f.thread { // which Go's runtime uses as well
			count++
			var errno unix.Errno
			if err := judge(n.call(names, count)); errors.As(err, &errno) {
				a.err, a.flags = -int32(errno), 0
			}
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(f.listener), send, uintptr(unsafe.Pointer(&a))) // it may be gone
	}
}

// call says what a notice is about.
func (n notice) call(names []string, count int) Call {
	c := Call{N: count}
	for _, name := range names {
		if numbers[name] == uint32(n.nr) {
			c.Name = name
		}
	}
	if c.Name == "renameat" {
		c.Path = n.text(int64(n.args[3]))
		return c
	}
	c.Path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.pid, int32(n.args[0]))) // empty: the test may not look
	return c
}

// text is a string in the caller's memory.
func (n notice) text(at int64) string {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", n.pid))
	if err != nil {
		return ""
	}
	defer mem.Close()
	buf := make([]byte, unix.PathMax)
	k, _ := mem.ReadAt(buf, at) // up to where the mapping ends
	text, _, _ := bytes.Cut(buf[:k], []byte{0})
	return string(text)
}

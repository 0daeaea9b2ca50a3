package local

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// attributes: unless it is detached, a node dies with this program, however that ends.
func attributes(detach bool) *syscall.SysProcAttr {
	if detach {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

type job struct {
	cmd *exec.Cmd
	err chan error
}

// spawner is one thread that lives as long as the program: Linux sends the death signal when
// the thread ends that made the child, not the program.
var spawner = sync.OnceValue(func() chan job {
	jobs := make(chan job)
	go func() {
		runtime.LockOSThread()
		for j := range jobs {
			j.err <- j.cmd.Start()
		}
	}()
	return jobs
})

func spawn(cmd *exec.Cmd) error {
	j := job{cmd, make(chan error)}
	spawner() <- j
	return <-j.err
}

package etcdtest

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// dieWithTest: a test that is killed leaves no members.
func dieWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

type job struct {
	cmd *exec.Cmd
	err chan error
}

// spawner is one thread for all members: Linux sends the death signal when the thread ends that made the child, and a test may end threads.
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

func start(cmd *exec.Cmd) error {
	j := job{cmd, make(chan error)}
	spawner() <- j
	return <-j.err
}

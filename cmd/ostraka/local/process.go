package local

import (
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long a node may take to end gracefully.
const stopLimit = 15 * time.Second

// A process is a node's. It stands in a process group of its own, so that an interrupt at the
// terminal reaches this program alone, which then stops the nodes.
type process struct {
	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
}

func (p *process) start(cmd *exec.Cmd, detach bool) error {
	cmd.SysProcAttr = attributes(detach)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := spawn(cmd); err != nil {
		return err
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(done)
	}()
	return nil
}

func (p *process) running() (*exec.Cmd, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd, p.done
}

func (p *process) pid() int {
	if cmd, _ := p.running(); cmd != nil {
		return cmd.Process.Pid
	}
	return 0
}

func (p *process) ended() bool {
	cmd, done := p.running()
	if cmd == nil {
		return true
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func (p *process) kill() {
	if cmd, done := p.running(); cmd != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended by itself
		<-done
	}
}

func (p *process) stop() {
	cmd, done := p.running()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-done:
	case <-time.After(stopLimit):
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
	}
}

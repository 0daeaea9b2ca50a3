package kill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
)

// A lane is a circle on fixed ports: its folders as they are before there is any vault, and
// room for one case at a time, which works on a copy of them.
type lane struct {
	circle *local.Circle
	kept   string
}

// prepare founds a circle and stops its nodes.
func prepare(ctx context.Context, dir string) (*lane, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	c, err := local.Start(ctx, local.Config{
		Suite:  charter.SuiteECDSA,
		Binary: binary, Dir: dir, Chain: chain, Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2, Tier: *tier,
	})
	if err == nil {
		err = c.Found(ctx)
	}
	c.Stop()
	if err != nil {
		return nil, fmt.Errorf("found a circle: %w", err)
	}
	l := &lane{c, filepath.Join(dir, "kept")}
	if err := os.Mkdir(l.kept, 0o700); err != nil {
		return nil, err
	}
	for _, o := range c.Operators {
		if err := os.Rename(o.Dir, filepath.Join(l.kept, o.Name)); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// reset puts the kept folders in place of what the last case left.
func (l *lane) reset() error {
	for _, gone := range []string{"acme", "bolt", "cora", "tokens", "hits"} {
		if err := os.RemoveAll(filepath.Join(l.circle.Dir, gone)); err != nil {
			return err
		}
	}
	for _, o := range l.circle.Operators {
		if out, err := exec.Command("cp", "-a", filepath.Join(l.kept, o.Name), o.Dir).CombinedOutput(); err != nil {
			return fmt.Errorf("copy the folder of %s: %w: %s", o.Name, err, out)
		}
		if err := os.WriteFile(o.Log, nil, 0o600); err != nil {
			return err
		}
	}
	return os.Mkdir(filepath.Join(l.circle.Dir, "hits"), 0o700)
}

// nodes are the three processes of one case.
type nodes struct {
	*lane
	doomed *blow                   // nil: nobody is killed
	cancel context.CancelCauseFunc // a node ended that should not have

	mu       sync.Mutex
	running  map[string]*exec.Cmd // by operator
	died     bool                 // the doomed node was killed…
	reborn   bool                 // … and answers again
	stopping bool
	watches  sync.WaitGroup
}

// start runs all nodes and waits until each answers.
func (n *nodes) start(ctx context.Context) error {
	for i, o := range n.circle.Operators {
		env := []string{"OSTRAKA_FAILPOINT_LOG=" + n.hits(o)}
		if n.doomed != nil && n.doomed.node == i {
			env = append(env, fmt.Sprintf("OSTRAKA_FAILPOINT=%s=%d", n.doomed.point, n.doomed.nth))
		}
		if err := n.launch(ctx, o, env); err != nil {
			return err
		}
	}
	for _, o := range n.circle.Operators {
		if err := n.up(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func (n *nodes) hits(o *local.Operator) string { return filepath.Join(n.circle.Dir, "hits", o.Name) }

func (n *nodes) up(ctx context.Context, o *local.Operator) error {
	return poll(ctx, "node "+o.Name+" answers", func() error {
		_, err := o.Client().Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
		return err
	})
}

// launch starts a node and watches over it.
func (n *nodes) launch(ctx context.Context, o *local.Operator, env []string) error {
	log, err := os.OpenFile(o.Log, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(binary, "node", "run", "--dir", o.Dir, "--passphrase-file", o.Passphrase, "--log-level", "info")
	cmd.Stderr, cmd.Env = log, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopping {
		return errors.New("the case is over")
	}
	if err := spawn(cmd); err != nil {
		return fmt.Errorf("start the node of %s: %w", o.Name, err)
	}
	n.running[o.Name] = cmd
	n.watches.Go(func() { n.watch(ctx, o, cmd) })
	return nil
}

// watch waits for a node's end. The doomed one, killed, is started again; any other end is an
// error while the case runs.
func (n *nodes) watch(ctx context.Context, o *local.Operator, cmd *exec.Cmd) {
	_ = cmd.Wait() // the state tells more
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	n.mu.Lock()
	stopping, first := n.stopping, !n.died
	mine := n.doomed != nil && n.circle.Operators[n.doomed.node] == o
	n.died = n.died || mine && !stopping
	n.mu.Unlock()
	switch {
	case stopping:
	case mine && first && status.Signaled() && status.Signal() == syscall.SIGKILL:
		err := n.launch(ctx, o, []string{"OSTRAKA_FAILPOINT_LOG=" + n.hits(o) + ".again"})
		if err == nil {
			err = n.up(ctx, o)
		}
		if err != nil {
			n.cancel(err)
			return
		}
		n.mu.Lock()
		n.reborn = true
		n.mu.Unlock()
	default:
		n.cancel(fmt.Errorf("node %s ended by itself: %v", o.Name, cmd.ProcessState))
	}
}

// stop ends all nodes: gracefully, and by force those that do not end.
func (n *nodes) stop() {
	n.mu.Lock()
	n.stopping = true
	for _, cmd := range n.running {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	n.mu.Unlock()
	late := time.AfterFunc(stopLimit, func() {
		for _, cmd := range n.running {
			_ = cmd.Process.Kill()
		}
	})
	defer late.Stop()
	n.watches.Wait()
}

const stopLimit = 15 * time.Second

func (n *nodes) killed() (died, reborn bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.died, n.reborn
}

// tails are the ends of the nodes' logs.
func (n *nodes) tails() string {
	var out strings.Builder
	for _, o := range n.circle.Operators {
		raw, err := os.ReadFile(o.Log)
		lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
		fmt.Fprintf(&out, "\n%s: (%v)\n%s", o.Name, err, strings.Join(lines[max(0, len(lines)-25):], "\n"))
	}
	return out.String()
}

// sequences reads which points each node has come to so far.
func (n *nodes) sequences() (all [][]string, err error) {
	for _, o := range n.circle.Operators {
		raw, err := os.ReadFile(n.hits(o))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is made at the first hit
			return nil, err
		}
		all = append(all, strings.Fields(string(raw)))
	}
	return all, nil
}

type job struct {
	cmd *exec.Cmd
	err chan error
}

// spawner is one thread for all nodes: Linux sends the death signal when the thread ends that
// made the child.
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

// poll tries until do has no error. What ends ctx says so with the last error.
func poll(ctx context.Context, what string, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		if final := (*finalError)(nil); errors.As(err, &final) {
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; at last: %w", what, context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A finalError is not tried again.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
)

// A program is a process that the test can kill and start again.
type program struct {
	name string
	args []string
	log  string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

func (p *program) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	done := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.done = cmd, done
	p.mu.Unlock()
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(done)
	}()
}

func (p *program) end(s syscall.Signal) {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(s) // it may have ended by itself
		<-done
	}
}

func (p *program) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (p *program) kill() { p.end(syscall.SIGKILL) }

func (p *program) tail() string {
	raw, _ := os.ReadFile(p.log)
	return string(raw[max(0, len(raw)-6000):])
}

// members are a cluster of three on this machine.
type members struct {
	all       []*program
	endpoints []string
}

func startMembers(t *testing.T, dir string) *members {
	t.Helper()
	m := &members{}
	var names, peers, clusters []string
	for _, name := range []string{"x", "y", "z"} {
		names = append(names, name)
		m.endpoints = append(m.endpoints, "http://"+free(t))
		peers = append(peers, "http://"+free(t))
		clusters = append(clusters, name+"="+peers[len(peers)-1])
	}
	for i, name := range names {
		p := &program{name: "member " + name, log: filepath.Join(dir, "member-"+name+".log"), args: []string{
			storeBinary, "run", "--dir", filepath.Join(dir, "member-"+name), "--name", name, "--cluster", strings.Join(clusters, ","),
			"--listen-client", m.endpoints[i], "--listen-peer", peers[i],
		}}
		p.start(t)
		t.Cleanup(p.kill)
		m.all = append(m.all, p)
	}
	return m
}

func free(t *testing.T) string {
	t.Helper()
	a, err := local.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A replica is one process of acme's node.
type replica struct {
	program
	dir string
}

// show asks the replica at its socket.
func (r *replica) show(ctx context.Context) (*v1.ReplicasResponse, error) {
	res, err := client.Operator(r.dir).Replicas(ctx, connect.NewRequest(&v1.ReplicasRequest{}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// replicate moves an operator's node, which is stopped, into the cluster, and makes replicas of it.
func replicate(t *testing.T, m *members, o *local.Operator, names ...string) (all []*replica) {
	t.Helper()
	command(t, nil, "node", "migrate-store", "--json", "--dir", o.Dir, "--to", "etcd", "--endpoints", strings.Join(m.endpoints, ","), "--name", o.Name, "--replica", names[0])
	for i, name := range names {
		dir := o.Dir
		if i > 0 {
			dir = o.Dir + "-" + name
			command(t, nil, "node", "add-replica", dir, "--json", "--dir", o.Dir, "--name", name, "--link", free(t), "--people", free(t))
		}
		all = append(all, &replica{dir: dir, program: program{name: o.Name + " " + name, log: dir + ".log", args: []string{
			binary, "node", "run", "--dir", dir, "--passphrase-file", o.Passphrase,
		}}})
	}
	return all
}

// command runs the program, and reads its document.
func command(t *testing.T, doc any, args ...string) {
	t.Helper()
	var errs strings.Builder
	cmd := exec.Command(binary, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ostraka %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	if doc != nil {
		if err := json.Unmarshal(out, doc); err != nil {
			t.Fatalf("ostraka %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// owner waits until one of the replicas that run owns the node.
func owner(ctx context.Context, all []*replica) (own *replica, token uint64, err error) {
	err = poll(ctx, "a replica owns the node", func() error {
		for _, r := range all {
			if x, err := r.show(ctx); err == nil && x.Owner == x.Self && x.Owner != "" {
				own, token = r, x.Token
				return nil
			}
		}
		return errors.New("none does")
	})
	return own, token, err
}

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
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A finalError is not tried again.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

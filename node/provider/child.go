package provider

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node"
)

// A State is what a customer's process does.
type State string

// States.
const (
	Starting State = "starting" // it runs, and is not ready
	Running  State = "running"
	Waiting  State = "waiting" // for its next start
	Stopped  State = "stopped" // its own operator stopped it: it stays so until somebody restarts it
	Down     State = "down"    // it ended again and again, at once: it stays so until somebody has looked, and restarts it
	Retired  State = "retired"
)

// How a process that ended is started again.
const (
	backoffFirst = time.Second // doubled with each end
	backoffMost  = time.Minute
	lived        = time.Minute // a process that ran so long was a good one
	tries        = 4           // ends without one, and it stays down
	drain        = 30 * time.Second
	lastWords    = time.Second     // for what it wrote when it ended; what it started may hold its output open for ever
	startTimeout = 5 * time.Minute // a log of years is read through in it
	silence      = 3 * time.Minute // without an answer: it is stuck
	askEvery     = 10 * time.Second
)

// timing holds the waits that tests make short.
type timing struct{ first, lived, drain, silence, ask time.Duration }

func usualTiming() timing {
	return timing{backoffFirst, lived, drain, silence, askEvery}
}

// child is one customer's process, and its keeper.
type child struct {
	s     *Supervisor
	name  string
	log   *logFile
	again chan struct{} // somebody wants it started anew

	link, people *roomed

	mu      sync.Mutex
	c       Customer
	state   State
	why     string
	since   time.Time
	pid     int
	started int // in this life of the supervisor
	bounds  string
	stop    func() // asks the process that runs to end
	kept    bool   // keep runs
}

func (c *child) set(state State, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	c.mu.Lock()
	c.state, c.why, c.since = state, why, time.Now()
	c.mu.Unlock()
	c.s.cfg.Log.Info("customer", "customer", c.name, "state", string(state), "why", why)
}

func (c *child) customer() Customer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.c
}

// keep runs the process until ctx ends, one at a time, whatever becomes of it.
func (c *child) keep(ctx context.Context) {
	defer c.log.close()
	wait, quick := c.s.wait.first, 0
	for ctx.Err() == nil && !c.leaves() {
		began := time.Now()
		err := c.run(ctx)
		if ctx.Err() != nil {
			c.set(Stopped, "the supervisor stops")
			return
		}
		if time.Since(began) >= c.s.wait.lived {
			wait, quick = c.s.wait.first, 0
		}
		quick++
		switch {
		case errors.Is(err, errAgain):
			quick, wait = 0, c.s.wait.first
			continue
		case errors.Is(err, errElsewhere):
			quick--
			c.set(Waiting, "%v", err)
			wait = c.s.wait.first
		case err == nil:
			c.set(Stopped, "its own operator stopped it; `ostraka provider restart %s` starts it", c.name)
			wait, quick = -1, 0
		case quick >= tries:
			c.set(Down, "it ended %d times, each at once; the last time: %v%s; mend it, then run `ostraka provider restart %s`", quick, err, c.log.words(), c.name)
			wait, quick = -1, 0
		default:
			c.set(Waiting, "it ended: %v; it is started again in %s", err, wait)
		}
		if !c.pause(ctx, wait) {
			wait, quick = c.s.wait.first, 0
			continue
		}
		wait = min(2*wait, backoffMost)
	}
}

// leaves ends keep if the customer was removed.
func (c *child) leaves() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept = !c.c.Retired; !c.kept {
		c.state, c.why, c.since = Retired, removed, time.Now()
	}
	return !c.kept
}

const removed = "it was removed; its folder stays"

// begin runs keep, unless it runs.
func (c *child) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.kept {
		c.kept, c.state, c.since = true, Waiting, time.Now()
		c.s.tasks.Go(func() { c.keep(c.s.ctx) })
	}
}

// pause waits; below zero until somebody wants the process started. It says whether nobody did.
func (c *child) pause(ctx context.Context, d time.Duration) bool {
	var over <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-ctx.Done():
		return true
	case <-over:
		return true
	case <-c.again:
		return false
	}
}

var (
	errAgain     = errors.New("it is started anew")
	errElsewhere = errors.New("another process works in its folder: it is started when that has ended")
)

// run starts the process once and stays with it until it ends. Nil: it ended well, and nobody here asked it to.
func (c *child) run(ctx context.Context) error {
	x, dir := c.customer(), Folder(c.s.dir, c.name)
	if conn, err := net.Dial("unix", filepath.Join(dir, node.SocketName)); err == nil {
		conn.Close()
		return errElsewhere // of a supervisor that was killed: it ends by itself, and never are there two
	}
	leave, ok := c.s.slots.take(ctx)
	if !ok {
		return nil
	}
	defer leave()
	at, err := openPorts(c.s.dir, c.name)
	if err != nil {
		return err
	}
	defer at.close() // after ended: until then nobody else can have them
	cmd, handed, err := c.command(x, at)
	if err != nil {
		return err
	}
	defer handed.Close()
	defer closeAll(cmd.ExtraFiles) // the child's ends, if it does not start
	out, told := io.Pipe()
	lines, logged := io.Pipe()
	cmd.Stdout, cmd.Stderr = told, logged
	cmd.WaitDelay = lastWords
	if err := c.start(cmd, x); err != nil {
		return fmt.Errorf("start it: %w", err)
	}
	closeAll(cmd.ExtraFiles)
	var readers sync.WaitGroup
	readers.Go(func() { c.log.copy(c.name, lines) })
	ready := make(chan struct{})
	readers.Go(func() {
		b := bufio.NewReaderSize(out, maxLine) // a line without end is not kept
		if line, err := b.ReadSlice('\n'); err == nil && bytes.ContainsRune(line, '{') {
			leave()
			close(ready)
		}
		io.Copy(io.Discard, b) //nolint:errcheck // it says nothing more there
	})
	inner, end := context.WithCancelCause(ctx)
	defer end(nil)
	c.began(cmd.Process.Pid, at, func() { end(errAgain) })
	go c.watch(inner, end, ready)
	stopped := make(chan struct{})
	go c.ender(inner, cmd.Process, handed, stopped)
	if err := c.hand(x, handed); err != nil {
		end(err)
	}
	err = cmd.Wait()
	close(stopped)
	c.ended()
	told.Close()
	logged.Close()
	readers.Wait()
	if cause := context.Cause(inner); cause != nil && ctx.Err() == nil {
		return cause
	}
	return exit(err)
}

// exit puts how a process ended into words.
func exit(err error) error {
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	var e *exec.ExitError
	if !errors.As(err, &e) {
		return err
	}
	if s, ok := e.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return fmt.Errorf("signal %v ended it", s.Signal())
	}
	return fmt.Errorf("exit code %d", e.ExitCode())
}

func (c *child) began(pid int, at *ports, stop func()) {
	c.log.begin()
	c.set(Starting, "process %d", pid)
	for way, l := range map[*roomed]*net.TCPListener{c.link: at.link, c.people: at.people} {
		addr := l.Addr().String()
		way.addr.Store(&addr)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pid, c.stop = pid, stop
	c.started++
}

func (c *child) ended() {
	c.link.addr.Store(nil)
	c.people.addr.Store(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pid, c.stop = 0, nil
}

// command is the node's, with nothing secret in its arguments or environment: handed is the end of a pipe by which it gets that, and as long as that is open
// it goes on. Its ports follow that.
func (c *child) command(x Customer, at *ports) (cmd *exec.Cmd, handed *os.File, err error) {
	files, err := at.files()
	if err != nil {
		return nil, nil, err
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		closeAll(files)
		return nil, nil, err
	}
	cmd = exec.Command(c.s.cfg.Binary, append([]string{"node", "run", "--json", "--dir", Folder(c.s.dir, c.name), "--supervised-fd", "3"}, c.s.cfg.Args...)...)
	cmd.ExtraFiles = append([]*os.File{theirs}, files...)
	cmd.Env = slices.DeleteFunc(slices.Clone(c.s.cfg.Env), func(v string) bool {
		return strings.HasPrefix(v, "OSTRAKA_") || strings.HasPrefix(v, "GOMEMLIMIT=") || strings.HasPrefix(v, "GOMAXPROCS=")
	})
	if m := x.Limits.Memory; m > 0 {
		cmd.Env = append(cmd.Env, "GOMEMLIMIT="+strconv.FormatInt(m-m/8, 10)) // the collector works harder before the hard limit ends it
	}
	if n := x.Limits.CPUs; n > 0 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+strconv.Itoa(max(1, int(n+0.999))))
	}
	// A group of its own: what a terminal sends goes to the supervisor, which hands it on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential(x.User)}
	return cmd, ours, nil
}

// start starts the command within its limits, and notes which of them hold.
func (c *child) start(cmd *exec.Cmd, x Customer) error {
	group, err := c.s.groups.of(c.name, x.Limits)
	if err != nil {
		return fmt.Errorf("its cgroup: %w", err)
	}
	if group != nil {
		defer group.Close()
	}
	if err := start(cmd, x.Limits, group); err != nil {
		return err
	}
	bounds := "cgroup"
	if c.s.groups == nil {
		bounds = "no cgroup: the process's own limits, Go's memory limit, GOMAXPROCS and nice"
	}
	c.mu.Lock()
	c.bounds = bounds
	c.mu.Unlock()
	return nil
}

// handed is what a process is given.
type handed struct {
	Memory    int64             `json:"memory,omitempty"`
	OpenFiles uint64            `json:"open_files,omitempty"`
	Secrets   map[string][]byte `json:"secrets,omitempty"` // by their names in provider.json
}

func (h *handed) wipe() {
	for _, b := range h.Secrets {
		secret.Wipe(b)
	}
}

// hand gives the process its secrets, and the limits that it must set itself: a supervisor may lack the right to bound another user's process. The files are read anew each time: the
// supervisor keeps none in memory.
func (c *child) hand(x Customer, to *os.File) error {
	h := handed{x.Limits.Memory, x.Limits.OpenFiles, map[string][]byte{}}
	defer h.wipe()
	for name, file := range x.Secrets.Files() {
		b, err := c.s.cfg.Secret(name, file)
		if err != nil {
			return fmt.Errorf("its %s: %w", name, err)
		}
		h.Secrets[name] = bytes.Clone(b.Expose())
		b.Wipe()
	}
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	defer secret.Wipe(line)
	if len(line) >= maxHanded {
		return fmt.Errorf("its secrets have %d bytes, at most %d are handed over", len(line), maxHanded)
	}
	if _, err := to.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("hand over its secrets: %w", err)
	}
	return nil
}

// maxHanded bounds what is handed over, in bytes: what a pipe takes at once.
const maxHanded = 32 << 10

// Handed reads what a supervisor hands to a node: its secrets by their names in provider.json, and the limits that this process is held to from here on. When the supervisor is gone, or
// wants the node to stop, ended is called.
func Handed(f *os.File, ended func()) (map[string]secret.Bytes, error) {
	line, err := bufio.NewReaderSize(f, maxHanded+1).ReadSlice('\n')
	defer secret.Wipe(line)
	if err != nil {
		return nil, fmt.Errorf("read what the supervisor hands over: %w", err)
	}
	var h handed
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		h.wipe()
		return nil, errors.New("read what the supervisor hands over: it is not of that form") // the decoder's words could carry a secret
	}
	if err := hold(0, Limits{Memory: h.Memory, OpenFiles: h.OpenFiles}); err != nil {
		h.wipe()
		return nil, err
	}
	out := map[string]secret.Bytes{}
	for name, b := range h.Secrets {
		out[name] = secret.New(b)
	}
	go func() {
		io.Copy(io.Discard, f) //nolint:errcheck // whatever ends it
		ended()
	}()
	return out, nil
}

// ender asks the process to end once it must, and after a while makes it.
func (c *child) ender(ctx context.Context, p *os.Process, handed *os.File, stopped <-chan struct{}) {
	select {
	case <-stopped:
		return
	case <-ctx.Done():
	}
	handed.Close()
	p.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-stopped:
	case <-time.After(c.s.wait.drain):
		p.Kill() //nolint:errcheck // likewise
	}
}

// watch says when the process is ready, and ends one that is stuck.
func (c *child) watch(ctx context.Context, end func(error), ready <-chan struct{}) {
	select {
	case <-ctx.Done():
		return
	case <-ready:
		c.set(Running, "")
	case <-time.After(startTimeout):
		end(fmt.Errorf("it was not ready within %s", startTimeout))
		return
	}
	t := time.NewTicker(c.s.wait.ask)
	defer t.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if _, err := c.get(ctx, "/healthz"); err == nil {
			heard = time.Now()
		} else if quiet := time.Since(heard); quiet > c.s.wait.silence && ctx.Err() == nil {
			end(fmt.Errorf("it did not answer for %s (%w) and was ended", quiet.Round(time.Second), err))
			return
		}
	}
}

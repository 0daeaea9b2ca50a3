//go:build unix

// Package etcdtest starts real members for tests: processes of cmd/ostraka-store on loopback, in folders of their own, with certificates
// that it made; and proxies that cut, stall and mute the links to them.
package etcdtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ostraka/ostraka/node/store/etcd"
)

// Members are the processes of one cluster.
type Members struct {
	All     []*Member
	dir     string
	program string
	cluster string
	more    []string // arguments of run
}

// A Member is one of them.
type Member struct {
	Name     string
	Endpoint string                // for replicas
	Launch   func(*exec.Cmd) error // starts its process, from the next start on; nil: as any
	peer     string
	host     string // under which others reach it through their hubs
	hub      *hub   // nil: it reaches them straight
	m        *Members

	mu  sync.Mutex
	cmd *exec.Cmd
	log bytes.Buffer
}

// Start builds the program, makes certificates for replicas r1 to r4, and starts n members with more arguments. The caller calls Stop.
func Start(n int, more ...string) (*Members, error) { return begin(n, "", more, false) }

// StartSplit starts members whose links to one another can be cut by Split.
func StartSplit(n int, more ...string) (*Members, error) { return begin(n, "", more, true) }

// StartFrom starts one member from a copy that `ostraka-store snapshot save` wrote.
func StartFrom(copied string) (*Members, error) { return begin(1, copied, nil, false) }

func begin(n int, copied string, more []string, split bool) (_ *Members, err error) {
	c := &Members{more: more}
	if c.dir, err = os.MkdirTemp("", "ostraka-members-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if c.program, err = build(); err != nil {
		return nil, err
	}
	var certs, all []string
	for i := range n {
		m := &Member{Name: string(rune('a' + i)), m: c}
		if m.Endpoint, err = free(); err != nil {
			return nil, err
		}
		if m.peer, err = free(); err != nil {
			return nil, err
		}
		advertised := m.peer
		if split {
			if advertised, err = m.behind(); err != nil {
				return nil, err
			}
		}
		c.All = append(c.All, m)
		certs, all = append(certs, m.Name+"=127.0.0.1+"+m.Name+".member"), append(all, m.Name+"="+advertised)
	}
	for _, m := range c.All {
		for _, to := range c.All {
			if split {
				m.hub.targets[to.host] = strings.TrimPrefix(to.peer, "https://")
			}
		}
	}
	c.cluster = strings.Join(all, ",")
	if _, err := c.Run("certs", "--dir", c.dir+"/certs", "--members", strings.Join(certs, ","), "--replicas", "r1,r2,r3,r4"); err != nil {
		return nil, err
	}
	for _, m := range c.All {
		if copied != "" {
			if _, err := c.Run("snapshot", "restore", copied, "--dir", filepath.Join(c.dir, m.Name), "--name", m.Name, "--cluster", c.cluster); err != nil {
				return nil, err
			}
		}
		if err := m.Start(); err != nil {
			return nil, err
		}
	}
	for _, m := range c.All {
		if err := m.Await(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// behind gives the member a hub, and returns the URL under which the others know it.
func (m *Member) behind() (string, error) {
	u, err := url.Parse(m.peer)
	if err != nil {
		return "", err
	}
	m.host = m.Name + ".member:" + u.Port()
	m.hub, err = newHub()
	return "https://" + m.host, err
}

// build makes the program once for all runs: an up-to-date one is not linked again.
func build() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	program := filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), ".cache", "ostraka-store", "ostraka-store")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/ostraka/ostraka/cmd/ostraka-store").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ostraka-store: %w\n%s", err, out)
	}
	return program, nil
}

// free is a URL whose port nobody uses now.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return "https://" + l.Addr().String(), l.Close()
}

// Run runs the program and returns what it prints.
func (c *Members) Run(args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.Command(c.program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("ostraka-store %s: %w\n%s", args[0], err, errs.String())
	}
	return out.String(), nil
}

// File is a file of the certificates' folder.
func (c *Members) File(name string) string { return filepath.Join(c.dir, "certs", name) }

// Dir is the folder below which the members keep their data.
func (c *Members) Dir() string { return c.dir }

// Flags are those with which the program finds the members.
func (c *Members) Flags() []string {
	return []string{"--endpoints", strings.Join(c.Endpoints(), ","), "--ca", c.File("ca.crt"), "--cert", c.File("replica-r1.crt"), "--key", c.File("replica-r1.key")}
}

// Endpoints are those of all members.
func (c *Members) Endpoints() (all []string) {
	for _, m := range c.All {
		all = append(all, m.Endpoint)
	}
	return all
}

// Options are those of a replica, r1 to r4, of the node that keeps its store under name.
func (c *Members) Options(name, replica string) etcd.Options {
	return etcd.Options{Endpoints: c.Endpoints(), Name: name, CA: c.File("ca.crt"), Cert: c.File("replica-" + replica + ".crt"), Key: c.File("replica-" + replica + ".key")}
}

// Stop kills all members and removes their folders.
func (c *Members) Stop() {
	for _, m := range c.All {
		m.Kill()
		if m.hub != nil {
			_ = m.hub.listener.Close()
		}
	}
	_ = os.RemoveAll(c.dir)
}

// Start starts the member, for the first time or again.
func (m *Member) Start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.m
	m.cmd = exec.Command(c.program, append([]string{
		"run", "--dir", filepath.Join(c.dir, m.Name), "--name", m.Name, "--cluster", c.cluster, "--listen-client", m.Endpoint, "--listen-peer", m.peer,
		"--ca", c.File("ca.crt"), "--cert", c.File("member-" + m.Name + ".crt"), "--key", c.File("member-" + m.Name + ".key"), "--log-level", "error",
	}, c.more...)...)
	m.log.Reset()
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	if m.hub != nil {
		at := "http://" + m.hub.listener.Addr().String()
		m.cmd.Env = append(m.cmd.Environ(), "HTTPS_PROXY="+at, "https_proxy="+at, "NO_PROXY=", "no_proxy=")
	}
	m.cmd.SysProcAttr = dieWithTest()
	if m.Launch != nil {
		return m.Launch(m.cmd)
	}
	return start(m.cmd)
}

// Said is what the member said, once its process has ended.
func (m *Member) Said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil {
		return ""
	}
	return m.log.String()
}

// Dir is its data folder.
func (m *Member) Dir() string { return filepath.Join(m.m.dir, m.Name) }

// Ends waits until its process ends by itself, and returns what it said and how it ended. Who does not in this time is killed.
func (m *Member) Ends(within time.Duration) (said string, ended *os.ProcessState, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cmd, late := m.cmd, false
	timer := time.AfterFunc(within, func() {
		late = true
		_ = cmd.Process.Kill()
	})
	_ = cmd.Wait() // the state tells more
	m.cmd = nil
	if !timer.Stop() && late {
		err = fmt.Errorf("member %s still ran after %v", m.Name, within)
	}
	return m.log.String(), cmd.ProcessState, err
}

// Await waits until it takes connections.
func (m *Member) Await() error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", strings.TrimPrefix(m.Endpoint, "https://"))
		if err == nil {
			return c.Close()
		}
	}
	m.Kill()
	return errors.New("member " + m.Name + " does not start: " + m.log.String())
}

// Kill ends it as kill -9 does.
func (m *Member) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil && m.cmd.Process != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

// Peer is the URL at which other members reach it.
func (m *Member) Peer() string { return m.peer }

// Pause stops its process where it is: to all others it is cut off. Resume lets it go on.
func (m *Member) Pause()  { m.signal(syscall.SIGSTOP) }
func (m *Member) Resume() { m.signal(syscall.SIGCONT) }

func (m *Member) signal(s syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil {
		_ = m.cmd.Process.Signal(s)
	}
}

// Package local runs a circle of three operators on one machine: three nodes as three processes
// of this very binary, with separate data folders, identities, passphrases and officers. The
// demonstration, the benchmark and end-to-end tests stand on it.
//
// It does nothing that operators could not do themselves: nodes are made and run by the
// commands `node init` and `node run`, administered over their local sockets, and people reach
// them over pinned TLS.
package local

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/crypto/ssh"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
)

// Config says which circle to run.
type Config struct {
	Binary    string              // of ostraka
	Dir       string              // exists and is empty
	RPC       map[string]string   // chain → endpoint, for every node
	Endpoints map[string][]string // by operator: CHAIN=ENDPOINT of its own node, beside RPC
	Chain     string              // that the vault signs for
	Suite     string              // of its key
	Tier      string              // of the vault; warm if empty
	Initiator string
	Approvers []string
	Quorum    int
	Threshold int                      // of the vault; all of its committee if 0
	Standby   bool                     // a fourth operator is of the circle, and holds no share
	Others    []string                 // people of the charter that no group lists
	Assets    []charter.Asset          // that the charter counts in, beside the chain's own
	Amend     func(file string) string // changes charter.yaml before it is signed; nil: as it is
	Rules     string                   // of policy, beside Policy
	Detach    bool                     // nodes outlive this process
	Binaries  map[string]string        // by operator: what its node runs in place of Binary, from its next start on
	Env       map[string][]string      // by operator: what its node's environment has besides, from its next start on
	Hosts     map[string]string        // by operator: the address of its machine; else this one's loopback
	Through   map[string][]string      // by operator: the command that runs its node, before the node's own, such as one that enters a network

	// Host makes an operator's node and has it run, in place of a process of this one's: it says where its folder and its doors are, and who it is. It is
	// asked for one after the other.
	Host func(ctx context.Context, o *Operator) error
}

// committee is how many operators hold the vault: the first ones.
const committee = 3

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Committee are the operators that hold the vault at first.
func (c *Circle) Committee() []*Operator { return c.Operators[:committee] }

// VaultName is the name of the circle's one vault.
const VaultName = "treasury"

// An Operator is one of the three, or the one that stands by.
type Operator struct {
	Name, Entity string
	Dir          string // data folder
	Passphrase   string // file
	Officer      string // private key file
	Link, People string // host:port
	Log          string // file
	Identity     ed25519.PublicKey

	process *process
}

// PID is the node's process.
func (o *Operator) PID() int { return o.process.pid() }

// Client is the operator's own interface.
func (o *Operator) Client() ostrakav1connect.OperatorClient { return client.Operator(o.Dir) }

// A Circle is three running nodes and the keys of its people.
type Circle struct {
	Config
	Operators []*Operator
}

// ContextsFile names the nodes for whoever wants to talk to them.
func (c *Circle) ContextsFile() string { return filepath.Join(c.Dir, "contexts.json") }

// KeyFile is the private SSH key of a person.
func (c *Circle) KeyFile(person string) string { return filepath.Join(c.Dir, "keys", person) }

// maxSocket is the longest path of a Unix socket, in bytes.
const maxSocket = 100

// Start makes three data folders at once and runs the nodes. Stop must be called even when
// it fails.
func Start(ctx context.Context, cfg Config) (*Circle, error) {
	c := &Circle{Config: cfg}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return c, err
	}
	c.Dir = dir
	firms := []struct{ name, entity string }{{"acme", "Acme Custody Ltd"}, {"bolt", "Bolt Infrastructure GmbH"}, {"cora", "Cora Trust SA"}, {"dora", "Dora Standby AB"}}
	for _, o := range firms[:committee+btoi(cfg.Standby)] {
		c.Operators = append(c.Operators, &Operator{
			Name: o.name, Entity: o.entity, Dir: filepath.Join(dir, o.name), Passphrase: filepath.Join(dir, o.name+".passphrase"),
			Officer: c.KeyFile("officer-" + o.name), Log: filepath.Join(dir, o.name+".log"), process: &process{},
		})
	}
	if longest := filepath.Join(dir, "acme", "operator.sock"); len(longest) > maxSocket {
		return c, fmt.Errorf("%s is too long a path for a Unix socket: choose a shorter folder with --dir", longest)
	}
	if err := c.makeKeys(); err != nil {
		return c, err
	}
	if c.Host != nil {
		for _, o := range c.Operators {
			if err := c.Host(ctx, o); err != nil {
				return c, fmt.Errorf("host the node of %s: %w", o.Name, err)
			}
			if err := c.answers(ctx, o); err != nil {
				return c, fmt.Errorf("the hosted node of %s: %w", o.Name, err)
			}
		}
		return c, nil
	}
	return c, c.each(func(o *Operator) error {
		if err := c.init(ctx, o); err != nil {
			return fmt.Errorf("make the node of %s: %w", o.Name, err)
		}
		if err := c.run(ctx, o); err != nil {
			return fmt.Errorf("run the node of %s: %w", o.Name, err)
		}
		return nil
	})
}

// each does something for all operators at once.
func (c *Circle) each(do func(*Operator) error) error {
	errs := make([]error, len(c.Operators))
	var wg sync.WaitGroup
	for i, o := range c.Operators {
		wg.Go(func() { errs[i] = do(o) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// binary is what an operator's node runs.
func (c *Circle) binary(o *Operator) string { return cmp.Or(c.Binaries[o.Name], c.Binary) }

// makeKeys writes OpenSSH key files for officers and people, and a passphrase per node.
func (c *Circle) makeKeys() error {
	if err := os.MkdirAll(filepath.Join(c.Dir, "keys"), 0o700); err != nil {
		return err
	}
	files := map[string]string{}
	for _, person := range c.named() {
		files[c.KeyFile(person)] = person
	}
	for _, o := range c.Operators {
		files[o.Officer] = "officer@" + o.Name
		if err := os.WriteFile(o.Passphrase, []byte(rand.Text()+"\n"), 0o600); err != nil {
			return err
		}
	}
	for path, comment := range files {
		if err := writeKey(path, comment); err != nil {
			return err
		}
	}
	return nil
}

func writeKey(path, comment string) error {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(priv, comment)
	if err != nil {
		return err
	}
	public, err := ssh.NewPublicKey(pub)
	if err != nil {
		return err
	}
	line := public.Type() + " " + base64.StdEncoding.EncodeToString(public.Marshal()) + " " + comment + "\n"
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return os.WriteFile(path+".pub", []byte(line), 0o644)
}

// LightSeal is for folders whose passphrase is drawn, as makeKeys does: nobody guesses it, so no guess need cost more than the least.
var LightSeal = []string{"--passphrase-memory", "64"}

// init runs `node init`.
func (c *Circle) init(ctx context.Context, o *Operator) error {
	var err error
	if host := c.Hosts[o.Name]; host != "" {
		o.Link, o.People = net.JoinHostPort(host, "7700"), net.JoinHostPort(host, "7701")
	} else if o.Link, o.People, err = freePorts(); err != nil {
		return err
	}
	args := []string{
		"node", "init", "--json", "--dir", o.Dir, "--operator", o.Name, "--entity", o.Entity, "--officer", o.Officer + ".pub",
		"--link", o.Link, "--people", o.People, "--passphrase-file", o.Passphrase,
	}
	if c.binary(o) == c.Binary { // the release before takes no such flag
		args = append(args, LightSeal...)
	}
	for chain, url := range c.RPC {
		args = append(args, "--rpc", chain+"="+url)
	}
	for _, endpoint := range c.Endpoints[o.Name] {
		args = append(args, "--rpc", endpoint)
	}
	cmd := exec.CommandContext(ctx, c.binary(o), args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	var doc struct {
		Identity string `json:"identity"`
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return err
	}
	o.Identity, err = client.ParseIdentity(doc.Identity)
	return err
}

// Ports of nodes lie below those that systems give to connections on their own, and each process begins at others: what is found free stays so until
// the node listens there, which takes as long as its key file takes to open.
const (
	firstPort = 20_000
	ports     = 12_000
	apart     = 24 // between two processes
)

var taken atomic.Uint32 // how many this process has looked at

// freePorts finds two free ports of the loopback interface.
func freePorts() (a, b string, err error) {
	if a, err = FreeAddress(); err == nil {
		b, err = FreeAddress()
	}
	return a, b, err
}

// FreeAddress is a free port of the loopback interface, with its address.
func FreeAddress() (addr string, err error) {
	for range ports {
		n := uint32(os.Getpid())*apart + taken.Add(1)
		addr = fmt.Sprintf("127.0.0.1:%d", firstPort+n%ports)
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", err
}

// startLimit is generous: opening a key file of the default cost alone takes a second of a whole core.
const startLimit = 3 * time.Minute

// run runs `node run` and waits until the node answers.
func (c *Circle) run(ctx context.Context, o *Operator) error {
	log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	run := append(slices.Clone(c.Through[o.Name]), c.binary(o), "node", "run", "--dir", o.Dir, "--passphrase-file", o.Passphrase, "--log-level", "info")
	cmd := exec.Command(run[0], run[1:]...)
	cmd.Stderr = log
	cmd.Env = append(cmd.Environ(), c.Env[o.Name]...)
	if err := o.process.start(cmd, c.Detach); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return poll(ctx, 50*time.Millisecond, func() (bool, error) {
		if o.process.ended() {
			return false, fmt.Errorf("it ended: %s", tail(o.Log))
		}
		_, err := o.Client().Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
		return err == nil, nil
	})
}

// answers waits until a hosted node does.
func (c *Circle) answers(ctx context.Context, o *Operator) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return poll(ctx, 50*time.Millisecond, func() (bool, error) {
		_, err := o.Client().Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
		return err == nil, nil
	})
}

// Restart runs a node that was stopped.
func (c *Circle) Restart(ctx context.Context, o *Operator) error { return c.run(ctx, o) }

// Halt stops one node gracefully.
func (c *Circle) Halt(o *Operator) { o.process.stop() }

// Kill ends one node as a power cut does.
func (c *Circle) Kill(o *Operator) { o.process.kill() }

// Stop ends all nodes: gracefully, and by force those that do not end.
func (c *Circle) Stop() {
	_ = c.each(func(o *Operator) error { o.process.stop(); return nil })
}

// tail is the end of a node's log.
func tail(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const most = 600
	if len(raw) > most {
		raw = raw[len(raw)-most:]
	}
	return strings.TrimSpace(string(raw))
}

// poll asks until done, at most until ctx ends.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

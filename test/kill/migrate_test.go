package kill

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// A mover is a node without a circle, whose store is moved into a cluster of one member and back.
type mover struct {
	t       *testing.T
	members *etcdtest.Members
	name    string // of its store in the cluster
	dir     string
}

const records = 300 // more than two batches

func ring() *keys.Ring {
	return keys.ByPassphrase(secret.Copy([]byte("a passphrase for tests")), rand.Reader, passphrase.TestingOnlyCost(passphrase.Cost{Time: 1, MemoryKiB: 8, Threads: 1}))
}

func newMover(t *testing.T, members *etcdtest.Members, name string) *mover {
	t.Helper()
	m := &mover{t, members, name, filepath.Join(t.TempDir(), "n")}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	m.ok(err)
	key, err := ssh.NewPublicKey(public)
	m.ok(err)
	link, err := local.FreeAddress()
	m.ok(err)
	people, err := local.FreeAddress()
	m.ok(err)
	s := node.Settings{
		Operator: "acme", Entity: "Acme Ltd", Link: link, People: people, Officers: []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))},
	}
	_, err = node.Init(t.Context(), m.dir, s, ring().Open, rand.Reader, keys.Main(seal.Provider{Kind: keys.Passphrase}))
	m.ok(err)
	st, err := bolt.Open(filepath.Join(m.dir, "store"), bolt.Options{})
	m.ok(err)
	for i := 0; i < records; {
		var b store.Batch
		for ; i < records && len(b.Put) < 100; i++ {
			b.Put = append(b.Put, store.Entry{Key: fmt.Sprintf("planted/%03d", i), Value: fmt.Appendf(nil, "value %d", i)})
		}
		_, err := st.Commit(t.Context(), b)
		m.ok(err)
	}
	m.ok(st.Close())
	return m
}

func (m *mover) ok(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// runs starts the node, and stops it once it works over its store.
func (m *mover) runs() error {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	works := false
	err := node.Run(ctx, m.dir, ring(), slog.New(slog.DiscardHandler), node.WithServe(func(*node.Daemon, net.Listener, net.Listener) (func(context.Context) error, error) {
		works = true
		cancel()
		return func(context.Context) error { return nil }, nil
	}))
	if err == nil && !works {
		err = errors.New("it ended before it worked")
	}
	return err
}

func (m *mover) inCluster() bool {
	s, err := node.ReadSettings(m.dir)
	m.ok(err)
	return s.Store != nil
}

// holds wants all records in the store that the settings name, and that the other one opens for nobody.
func (m *mover) holds(what string, inCluster bool) {
	m.t.Helper()
	if m.inCluster() != inCluster {
		m.t.Errorf("%s: the settings name a cluster: %v", what, m.inCluster())
	}
	got := map[string]string{}
	if inCluster {
		r, err := m.raw().Get(m.t.Context(), "ostraka/"+m.name+"/r/planted/", clientv3.WithPrefix())
		m.ok(err)
		for _, kv := range r.Kvs {
			key := strings.TrimPrefix(string(kv.Key), "ostraka/"+m.name+"/r/")
			value, _, err := store.Unframe(key, kv.Value)
			m.ok(err)
			got[key] = string(value)
		}
		if st, err := bolt.Open(filepath.Join(m.dir, "store"), bolt.Options{ReadOnly: true}); err == nil {
			m.t.Errorf("%s: the store in the data folder opens too", what)
			m.ok(st.Close())
		}
	} else {
		st, err := bolt.Open(filepath.Join(m.dir, "store"), bolt.Options{ReadOnly: true})
		m.ok(err)
		page, err := st.Range(m.t.Context(), "planted/", "", store.MaxLimit)
		m.ok(errors.Join(err, st.Close()))
		for _, it := range page {
			got[it.Key] = string(it.Value)
		}
		r, err := m.raw().Get(m.t.Context(), "ostraka/"+m.name+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
		m.ok(err)
		marked := len(r.Kvs) == 0
		for _, kv := range r.Kvs {
			marked = marked || strings.HasSuffix(string(kv.Key), "/mark")
		}
		if !marked {
			m.t.Errorf("%s: the store in the cluster has %d rows, and no mark", what, len(r.Kvs))
		}
	}
	for i := range records {
		if key := fmt.Sprintf("planted/%03d", i); got[key] != fmt.Sprint("value ", i) {
			m.t.Fatalf("%s: %d of %d records are there; %s is %q", what, len(got), records, key, got[key])
		}
	}
}

// raw is a client past the driver.
func (m *mover) raw() *clientv3.Client {
	m.t.Helper()
	conf, err := m.members.Options("raw", "r4").TLS()
	m.ok(err)
	c, err := clientv3.New(clientv3.Config{Endpoints: m.members.Endpoints(), TLS: conf, Logger: zap.NewNop()})
	m.ok(err)
	m.t.Cleanup(func() { _ = c.Close() })
	return c
}

// move runs the command, which is killed at a point, if one is given.
func (m *mover) move(to, at string) (said string, killed bool, err error) {
	m.t.Helper()
	args := []string{"node", "migrate-store", "--dir", m.dir, "--to", to}
	if to == "etcd" {
		o := m.members.Options(m.name, "r1")
		args = append(args, "--endpoints", strings.Join(o.Endpoints, ","), "--name", m.name, "--replica", "one", "--ca", o.CA, "--cert", o.Cert, "--key", o.Key, "--ttl", "1s")
	}
	cmd := exec.CommandContext(m.t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "OSTRAKA_FAILPOINT="+at)
	out, err := cmd.CombinedOutput()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return string(out), status.Signaled() && status.Signal() == syscall.SIGKILL, err
}

// again runs the command to its end: the owner's lease of the one that was killed runs out first.
func (m *mover) again(to string) {
	m.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		said, _, err := m.move(to, "")
		if err == nil {
			return
		}
		if !strings.Contains(said, "is in use by another process") || time.Now().After(end) {
			m.t.Fatalf("move to %s again: %v: %s", to, err, said)
		}
	}
}

// A blow at a move: where it is killed, and what the node does then, before anybody runs the command again.
type moved struct {
	at        string
	inCluster bool   // the node's settings name the cluster
	refuses   string // the node does not run, and says so; empty: it runs
	aside     bool   // nothing is left to do: to run it again is refused
}

var intoCluster = []moved{
	{at: "migrate-begun=1"}, {at: "migrate-batch=1"}, {at: "migrate-batch=3"}, {at: "migrate-copied=1"}, {at: "migrate-filled=1"}, {at: "migrate-written=1"},
	{at: "migrate-settled=1", inCluster: true}, {at: "migrate-unmarked=1", inCluster: true}, {at: "migrate-left=1", inCluster: true}, {at: "migrate-aside=1", inCluster: true, aside: true},
}

var intoFolder = []moved{
	{at: "migrate-batch=1", inCluster: true}, {at: "migrate-batch=3", inCluster: true}, {at: "migrate-copied=1", inCluster: true},
	{at: "migrate-marked=1", inCluster: true, refuses: "run `ostraka node migrate-store --to bolt` there again"},
	{at: "migrate-renamed=1", inCluster: true, refuses: "run `ostraka node migrate-store --to bolt` there again"},
	{at: "migrate-written=1", inCluster: true, refuses: "run `ostraka node migrate-store --to bolt` there again"},
	{at: "migrate-settled=1", aside: true},
}

// killed kills the move at one point, looks at what the node does then, and has the command do the rest.
func (m *mover) killed(to string, c moved) {
	m.t.Helper()
	what := "to " + to + ", killed at " + c.at
	said, killed, err := m.move(to, c.at)
	if !killed {
		m.t.Fatalf("%s: it is not: %v: %s", what, err, said)
	}
	if m.inCluster() != c.inCluster {
		m.t.Fatalf("%s: the settings name a cluster: %v", what, m.inCluster())
	}
	first := strings.HasPrefix(m.name, "run") // the node is run before the command is
	if first {
		err := m.runs()
		if c.refuses == "" && err != nil || c.refuses != "" && (err == nil || !strings.Contains(err.Error(), c.refuses)) {
			m.t.Fatalf("%s: the node runs: %v; want %q", what, err, c.refuses)
		}
		if c.refuses == "" {
			m.holds(what+", then run", c.inCluster)
		}
	}
	if rest := to == "etcd" && c.inCluster && first; !rest && !c.aside { // else the node did the rest, or nothing was left
		m.again(to)
	}
	if err := m.runs(); err != nil {
		m.t.Fatalf("%s, and again: %v", what, err)
	}
	m.holds(what+", and again", to == "etcd")
}

// TestMoveKilled kills `ostraka node migrate-store` at each of its crash points, in both directions: the node runs over its old store, whole, or over its
// new one, whole, or over none until the command is run again; never over both, and never over half of one.
func TestMoveKilled(t *testing.T) {
	build(t)
	members, err := etcdtest.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(members.Stop)
	for i := range max(len(intoCluster), len(intoFolder)) {
		for _, order := range orders(i) {
			name := fmt.Sprintf("%s-%d", order, i)
			t.Run(name, func(t *testing.T) {
				t.Parallel() // each waits for leases of the killed
				m := newMover(t, members, name)
				m.killed("etcd", intoCluster[i%len(intoCluster)])
				m.killed("bolt", intoFolder[i%len(intoFolder)])
			})
		}
	}
	t.Run("damage", func(t *testing.T) {
		t.Parallel()
		m := newMover(t, members, "damage")
		m.again("etcd")
		m.damaged()
	})
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		m := newMover(t, members, "stale")
		m.stale()
	})
}

// stale: the copy was whole, the settings were not written, and the node went on over its old store. Who writes the settings by hand then is refused.
func (m *mover) stale() {
	m.t.Helper()
	if _, killed, err := m.move("etcd", "migrate-settled=1"); !killed {
		m.t.Fatal(err)
	}
	path := filepath.Join(m.dir, "node.json")
	settings, err := os.ReadFile(path)
	m.ok(err)
	st, err := bolt.Open(filepath.Join(m.dir, "store"), bolt.Options{})
	m.ok(err)
	_, err = st.Commit(m.t.Context(), store.Batch{Put: []store.Entry{{Key: "planted/later"}}})
	m.ok(errors.Join(err, st.Close()))
	if err := m.runs(); err == nil || !strings.Contains(err.Error(), "is an older copy of the one in "+m.dir) {
		m.t.Errorf("over an older copy: %v", err)
	}
	s, err := node.ReadSettings(m.dir)
	m.ok(err)
	if after, err := os.ReadFile(path); err != nil || string(after) != string(settings) || s.Store == nil {
		m.t.Errorf("the settings were changed: %v", err)
	}
}

// damaged: what lies in the cluster is not what was written. The node ends before it does anything, and names the record; nothing is put right.
func (m *mover) damaged() {
	m.t.Helper()
	m.ok(m.runs())
	c, at := m.raw(), "ostraka/"+m.name+"/r/"
	read := func(key string) string {
		r, err := c.Get(m.t.Context(), at+key)
		if err != nil || len(r.Kvs) != 1 {
			m.t.Fatalf("%s: %d rows, %v", key, len(r.Kvs), err)
		}
		return string(r.Kvs[0].Value)
	}
	write := func(key, value string) {
		_, err := c.Put(m.t.Context(), at+key, value)
		m.ok(err)
	}
	head := store.Key("log", store.Number(0))
	older := read("log-head")
	m.ok(m.runs())
	was := map[string]string{"instance": read("instance"), "log-head": read("log-head"), head: read(head)}
	if older == was["log-head"] {
		m.t.Fatal("a start writes nothing to the log")
	}
	flip := []byte(was["instance"])
	flip[len(flip)-1] ^= 1
	for _, c := range []struct {
		what   string
		change map[string]string
		says   []string
	}{
		{"a bit", map[string]string{"instance": string(flip)}, []string{`record "instance" is damaged`}},
		{"cut", map[string]string{"instance": was["instance"][:len(was["instance"])-1]}, []string{`record "instance" is damaged`}},
		{"empty", map[string]string{"log-head": ""}, []string{`record "log-head" is damaged`}},
		{"another's", map[string]string{head: was["log-head"]}, []string{fmt.Sprintf("record %q is damaged", head)}},
		{"two exchanged", map[string]string{"log-head": was["instance"], "instance": was["log-head"]}, []string{`record "instance" is damaged`, `record "log-head" is damaged`}},
		{"an older one", map[string]string{"log-head": older}, []string{"log"}},
	} {
		for key, value := range c.change {
			write(key, value)
		}
		err := m.runs()
		if !slices.ContainsFunc(c.says, func(s string) bool { return err != nil && strings.Contains(err.Error(), s) }) {
			m.t.Errorf("%s: the node runs: %v", c.what, err)
		}
		m.t.Logf("%s: %v", c.what, err)
		for key, value := range c.change {
			if read(key) != value {
				m.t.Errorf("%s: %s was changed", c.what, key)
			}
			write(key, was[key])
		}
	}
	m.ok(m.runs())
}

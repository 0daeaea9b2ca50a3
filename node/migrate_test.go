package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// A folder with a node, and a cluster of one member to move it to and from.
type moving struct {
	t       *testing.T
	dir     string
	members *etcdtest.Members
	records map[string]string
}

func (m *moving) to(name string) *StoreSettings {
	o := m.members.Options(name, "r1")
	return &StoreSettings{Etcd: &EtcdSettings{Endpoints: o.Endpoints, Name: name, Replica: "one", CA: o.CA, Cert: o.Cert, Key: o.Key, TTL: "2s"}}
}

func startMoving(t *testing.T) *moving {
	t.Helper()
	members, err := etcdtest.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(members.Stop)
	m := &moving{t: t, dir: filepath.Join(t.TempDir(), "node"), members: members, records: map[string]string{}}
	s := Settings{Operator: "acme", Entity: "Acme Ltd", Link: "127.0.0.1:7700", People: "127.0.0.1:7701", Officers: []string{officerLine(t)}}
	cheap := passphrase.TestingOnlyCost(passphrase.Cost{Time: 1, MemoryKiB: 8, Threads: 1})
	ring := keys.ByPassphrase(secret.Copy([]byte("a passphrase for tests")), rand.Reader, cheap)
	if _, err := Init(context.Background(), m.dir, s, ring.Open, rand.Reader, keys.Main(seal.Provider{Kind: keys.Passphrase})); err != nil {
		t.Fatal(err)
	}
	st := m.open()
	defer st.Close()
	big := strings.Repeat("v", store.MaxBytes/2)
	for i := range 9 { // more than a page, a batch and gRPC's 4 MiB
		var b store.Batch
		for j := range 60 {
			e := store.Entry{Key: fmt.Sprintf("k/%d", i*7919+j), Value: fmt.Appendf(nil, "value %d", j)}
			if j == 0 {
				e.Value = []byte(big)
			}
			b.Put, m.records[e.Key] = append(b.Put, e), string(e.Value)
		}
		if _, err := st.Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func officerLine(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// open opens the store that the settings name.
func (m *moving) open() store.Store {
	m.t.Helper()
	st, err := m.tryOpen()
	if err != nil {
		m.t.Fatal(err)
	}
	return st
}

func (m *moving) tryOpen() (store.Store, error) {
	s, err := ReadSettings(m.dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return openStore(ctx, m.dir, s, nil)
}

// openStore opens what the settings say, as a node does at its start.
func openStore(ctx context.Context, dir string, s Settings, log *slog.Logger) (store.Store, error) {
	if s.Store == nil {
		return bolt.Open(filepath.Join(dir, storeName), bolt.Options{})
	}
	c, err := openShared(ctx, dir, s, log)
	if err != nil {
		return nil, err
	}
	t, err := own(ctx, dir, s, c, s.me())
	if err != nil {
		c.Close()
		return nil, err
	}
	return &opened{Store: t.Store(), tenure: t, cluster: c}, nil
}

// metAnother: another node's replica owns a store of the name. It is not this node's own, which nobody need stop.
func (m *moving) metAnother() {
	m.t.Helper()
	s, err := ReadSettings(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	if name, err := StoreName(m.dir, s); err != nil || name != "acme-"+identityOf(m.dir)[:8] {
		m.t.Errorf("its store would be called %q: %v", name, err)
	}
	s.Store = m.to("taken")
	c, err := openShared(context.Background(), m.dir, s, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	other, err := c.AcquireNow(context.Background(), s.me())
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.move(m.to("taken")); !errors.Is(err, ErrOthersStore) {
		m.t.Errorf("into another node's store: %v", err)
	}
	if err := other.Resign(context.Background()); err != nil {
		m.t.Error(err)
	}
}

func (m *moving) move(to *StoreSettings) error {
	n, err := MigrateStore(context.Background(), m.dir, to, func(Migration) {})
	if err == nil && n != int64(len(m.records)) {
		return fmt.Errorf("%d records were moved, not %d", n, len(m.records))
	}
	return err
}

// holds says whether the store that the settings name holds all records, and is of this kind.
func (m *moving) holds(inCluster bool) {
	m.t.Helper()
	st := m.open()
	defer st.Close()
	if _, is := st.(*opened); is != inCluster {
		m.t.Errorf("the store is in a cluster: %v", is)
	}
	got := map[string]string{}
	if err := each(context.Background(), st, func(it store.Item) error { got[it.Key] = string(it.Value); return nil }); err != nil {
		m.t.Error(err)
	}
	if !reflect.DeepEqual(got, m.records) {
		m.t.Errorf("%d records are there, not the %d that were moved", len(got), len(m.records))
	}
}

func wantSaid(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want an error with %q", err, says)
	}
}

func left(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, storeName+".left-*"))
	if err != nil || len(all) != 1 {
		t.Fatalf("set aside: %q, %v", all, err)
	}
	return all[0]
}

func TestMigrateStore(t *testing.T) {
	m := startMoving(t)
	running := m.open()
	if err := m.move(m.to("acme")); !errors.Is(err, store.ErrLocked) {
		t.Errorf("the store of a running node: %v", err)
	}
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, m.move(nil), "in the data folder already")
	m.metAnother()
	m.byHand()
	m.interruptedToCluster()
	wantSaid(t, m.move(m.to("other")), "in a cluster already")

	m.interruptedToFolder()
	wantSaid(t, m.move(m.to("acme")), "not empty") // the store that was left keeps its mark
}

// byHand: somebody wrote the cluster into the settings, and moved nothing.
func (m *moving) byHand() {
	s, err := ReadSettings(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	s.Store = m.to("by-hand")
	_, err = openStore(context.Background(), m.dir, s, nil)
	wantSaid(m.t, err, "which is empty")
	m.holds(false)
}

// interruptedToCluster moves the node in three attempts.
func (m *moving) interruptedToCluster() {
	t, ctx := m.t, context.Background()
	next, err := ReadSettings(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	next.Store = m.to("acme")
	into, err := acquireNow(ctx, m.dir, next) // the first dies while it copies
	if err != nil {
		t.Fatal(err)
	}
	if err := into.begin(ctx, &etcd.Mark{State: etcd.Filling, Of: identityOf(m.dir), Where: place(m.dir)}); err != nil {
		t.Fatal(err)
	}
	if _, err := into.Commit(ctx, store.Batch{Put: []store.Entry{{Key: "half"}}}); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, m.move(next.Store), `replica "one" owns`)
	if err := into.Close(); err != nil {
		t.Fatal(err)
	}
	m.holds(false)
	if _, err := openStore(ctx, m.dir+"x", next, nil); err == nil || !strings.Contains(err.Error(), "is not whole") {
		t.Errorf("a store that is being filled: %v", err)
	}

	keep := filepath.Join(t.TempDir(), "kept") // the second dies after the settings, before the old store is set aside
	if err := os.CopyFS(keep, os.DirFS(filepath.Join(m.dir, storeName))); err != nil {
		t.Fatal(err)
	}
	if err := m.move(next.Store); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(left(t, m.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(keep, filepath.Join(m.dir, storeName)); err != nil {
		t.Fatal(err)
	}
	private(t, filepath.Join(m.dir, storeName))
	m.holds(true) // and opening does the rest
	if _, err := bolt.Open(left(t, m.dir), bolt.Options{}); !errors.Is(err, bolt.ErrLeft) {
		t.Errorf("the store that was left: %v", err)
	}
}

func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, os.Chmod(dir, 0o700))
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// interruptedToFolder moves it back in three attempts.
func (m *moving) interruptedToFolder() {
	t, ctx := m.t, context.Background()
	was, err := os.ReadFile(filepath.Join(m.dir, settingsName))
	if err != nil {
		t.Fatal(err)
	}
	from := m.open() // the first dies before the new store has its name
	if err := from.(*opened).tenure.Mark(ctx, &etcd.Mark{State: etcd.Left, Where: place(m.dir)}); err != nil {
		t.Fatal(err)
	}
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = m.tryOpen()
	wantSaid(t, err, "would be a clone")
	if err := m.move(nil); err != nil {
		t.Fatal(err)
	}
	m.holds(false)
	if err := os.WriteFile(filepath.Join(m.dir, settingsName), was, 0o600); err != nil { // the second, before the settings
		t.Fatal(err)
	}
	if err := m.move(nil); err != nil {
		t.Fatal(err)
	}
	m.holds(false)
}

// Settings that name a cluster in which there is nothing do not make a node begin anew; nor does a restored one look for its store there.
func TestSettingsByHand(t *testing.T) {
	s, err := restoredSettings([]byte(`{"operator": "acme", "store": {"etcd": {"endpoints": ["https://a.example:1"], "name": "acme"}}}`), "acme")
	if err != nil || s.Store != nil {
		t.Errorf("restored: %+v, %v", s.Store, err)
	}
	if _, err := restoredSettings([]byte(`{"operator": "acme"}`), "bolt"); err == nil {
		t.Error("settings of another operator")
	}
}

// A record that differs, is missing or is one too many stops the move.
func TestCompareStores(t *testing.T) {
	open := func(records ...string) store.Store {
		st, err := bolt.Open(filepath.Join(t.TempDir(), "s"), bolt.Options{Reserve: 1 << 12})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		for _, r := range records {
			k, v, _ := strings.Cut(r, "=")
			if _, err := st.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: k, Value: []byte(v)}}}); err != nil {
				t.Fatal(err)
			}
		}
		return st
	}
	for _, c := range []struct {
		other []string
		says  string
	}{
		{[]string{"a=1", "b=2"}, ""},
		{[]string{"a=1", "b=3"}, `record "b" has another value`},
		{[]string{"a=1"}, `lacks record "b"`},
		{[]string{"b=2"}, `lacks record "a"`},
		{[]string{"a=1", "b=2", "c=3"}, `has record "c"`},
		{[]string{"a=1", "aa=", "b=2"}, `has record "aa"`},
	} {
		err := compareStores(context.Background(), open("a=1", "b=2"), open(c.other...), func(Migration) {})
		if c.says == "" && err != nil {
			t.Error(err)
		} else if c.says != "" {
			wantSaid(t, err, c.says)
		}
	}
}

func TestStoreSettings(t *testing.T) {
	for name, c := range map[string]struct {
		e    *EtcdSettings
		says string
	}{
		"none":          {nil, "give etcd"},
		"no endpoints":  {&EtcdSettings{Name: "acme"}, "endpoints"},
		"no name":       {&EtcdSettings{Endpoints: []string{"http://127.0.0.1:1"}}, "name"},
		"bad ttl":       {&EtcdSettings{Endpoints: []string{"http://127.0.0.1:1"}, Name: "acme", TTL: "3"}, "ttl"},
		"plain http":    {&EtcdSettings{Endpoints: []string{"http://store.example:1"}, Name: "acme"}, "plain http"},
		"no files":      {&EtcdSettings{Endpoints: []string{"https://store.example:1"}, Name: "acme"}, "want a file"},
		"leads to none": {&EtcdSettings{Endpoints: []string{"http://127.0.0.1:1"}, Name: "acme", Link: "0.0.0.0:7700"}, "leads no other replica here"},
		"a lease short": {&EtcdSettings{Endpoints: []string{"http://127.0.0.1:1"}, Name: "acme", TTL: "1ms"}, "ttl"},
	} {
		wantSaid(t, Settings{Link: "h:1", People: "h:2", Store: &StoreSettings{c.e}}.checkStore(), c.says)
		_ = name
	}
	if err := (Settings{}).checkStore(); err != nil {
		t.Error(err)
	}
	o, err := EtcdSettings{Endpoints: []string{"https://store.example:1"}, Name: "acme", CA: "ca.crt", Cert: "/etc/r.crt", Key: "r.key", TTL: "4s"}.options("/d", nil)
	if err != nil || o.CA != "/d/ca.crt" || o.Cert != "/etc/r.crt" || o.Key != "/d/r.key" || o.TTL != 4*time.Second {
		t.Errorf("options: %+v, %v", o, err)
	}
}

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/internal/stamp"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// StoreSettings say where a node keeps its store. Without any it lies in the data folder.
type StoreSettings struct {
	Etcd *EtcdSettings `json:"etcd,omitempty"`
}

// EtcdSettings are those of a store in a cluster (spec/store.md 7).
type EtcdSettings struct {
	Endpoints []string `json:"endpoints"`         // URLs of the members
	Name      string   `json:"name"`              // of the node's store in the cluster
	Replica   string   `json:"replica,omitempty"` // this replica's name; the machine's if empty
	Link      string   `json:"link,omitempty"`    // host:port at which other replicas reach its link and its people's interface; where it
	People    string   `json:"people,omitempty"`  // listens, if empty
	CA        string   `json:"ca,omitempty"`      // files in PEM; relative ones lie in the data folder
	Cert      string   `json:"cert,omitempty"`
	Key       string   `json:"key,omitempty"`
	TTL       string   `json:"ttl,omitempty"` // of the owner's lease, such as 3s
}

// options are the driver's.
func (e EtcdSettings) options(dir string, log *slog.Logger) (etcd.Options, error) {
	o := etcd.Options{Endpoints: e.Endpoints, Name: e.Name, Log: log}
	for _, f := range []struct{ from, to *string }{{&e.CA, &o.CA}, {&e.Cert, &o.Cert}, {&e.Key, &o.Key}} {
		if *f.to = *f.from; *f.to != "" && !filepath.IsAbs(*f.to) {
			*f.to = filepath.Join(dir, *f.to)
		}
	}
	if e.TTL != "" {
		ttl, err := time.ParseDuration(e.TTL)
		if err != nil {
			return o, fmt.Errorf("store: ttl %q: give a time such as 3s", e.TTL)
		}
		o.TTL = ttl
	}
	return o, o.Check()
}

// check holds the settings against their form. What replicas tell one another must lead to this one: 0.0.0.0 leads to nobody.
func (s Settings) checkStore() error {
	if s.Store == nil {
		return nil
	}
	if s.Store.Etcd == nil {
		return errors.New("settings: store: give etcd, or leave store out")
	}
	if _, err := s.Store.Etcd.options("/", nil); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	me := s.me()
	for _, at := range []struct{ name, addr string }{{"link", me.Link}, {"people", me.People}} {
		host, _, err := net.SplitHostPort(at.addr)
		if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
			return fmt.Errorf("settings: store: %s: %q leads no other replica here: give the host:port at which others reach it, --reach-%[1]s (in node.json: store, etcd, %[1]s)", at.name, at.addr)
		}
	}
	return nil
}

// me is what this replica says of itself.
func (s Settings) me() etcd.Info {
	i := etcd.Info{Name: s.Store.Etcd.Replica, Link: cmp.Or(s.Store.Etcd.Link, s.Link), People: cmp.Or(s.Store.Etcd.People, s.People), Version: stamp.Version(), Since: time.Now().UTC()}
	if i.Name == "" {
		host, _ := os.Hostname()
		i.Name = strings.Trim(strings.ToLower(strings.Map(func(r rune) rune {
			if r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return '-'
		}, host)), ".-_")
		i.Name = cmp.Or(i.Name[:min(len(i.Name), 63)], "replica")
	}
	return i
}

// openShared reaches the store that replicas share.
func openShared(ctx context.Context, dir string, s Settings, log *slog.Logger) (*etcd.Cluster, error) {
	o, err := s.Store.Etcd.options(dir, log)
	if err != nil {
		return nil, err
	}
	return etcd.Connect(ctx, o)
}

// own waits until this replica owns the store, and refuses one that is not whole, or was left.
func own(ctx context.Context, dir string, s Settings, c *etcd.Cluster, me etcd.Info) (*etcd.Tenure, error) {
	t, err := c.Acquire(ctx, me)
	if err != nil {
		return nil, err
	}
	if err := sole(ctx, dir, s, c, t); err != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return nil, errors.Join(err, t.Resign(last))
	}
	return t, nil
}

// sole sees to it that the cluster's store is the only one of this node that can be opened.
func sole(ctx context.Context, dir string, s Settings, c *etcd.Cluster, t *etcd.Tenure) error {
	m, err := c.Marked(ctx)
	switch {
	case err != nil:
		return err
	case filledFrom(dir, m):
		err = trust(ctx, dir, t)
	default:
		err = unmarked(m)
	}
	if err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(dir, storeName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	page, err := t.Store().Range(ctx, "", "", 1)
	if err != nil {
		return err
	}
	if len(page) == 0 { // else a node whose settings somebody changed by hand would begin anew, over nothing
		return fmt.Errorf("node.json names store %q in a cluster, which is empty, and %s has the node's store: take \"store\" out of node.json, and run `ostraka node migrate-store --to etcd`", s.Store.Etcd.Name, dir)
	}
	return setAside(dir, s)
}

// An opened store in a cluster is the owner's; Close gives it up.
type opened struct {
	store.Store
	tenure  *etcd.Tenure
	cluster *etcd.Cluster
}

// Close implements store.Store. The next replica may take over at once.
func (o *opened) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	defer o.cluster.Close()
	return o.tenure.Resign(ctx)
}

// unmarked refuses a store that is being filled, or that the node has left.
func unmarked(m *etcd.Mark) error {
	switch {
	case m == nil:
		return nil
	case m.State == etcd.Filled:
		return fmt.Errorf("the store in the cluster was filled from %s on %s, and the move is not done: run `ostraka node migrate-store` again there", m.Where, m.At.Format(time.RFC3339))
	case m.State == etcd.Filling:
		return fmt.Errorf("the store in the cluster is not whole: `ostraka node migrate-store` was filling it from %s on %s: run that again there", m.Where, m.At.Format(time.RFC3339))
	}
	return fmt.Errorf("the node has left the store in the cluster: `ostraka node migrate-store` moved it to %s on %s; two stores of one node in use would be a clone: if that folder's node.json still names the cluster, run `ostraka node migrate-store --to bolt` there again", m.Where, m.At.Format(time.RFC3339))
}

// setAside renames a store of the data folder that the node has left for a cluster: the settings, which name the cluster, were written
// before. The mark in it keeps everybody from opening it where it lies then.
func setAside(dir string, s Settings) error {
	old := filepath.Join(dir, storeName)
	if _, err := os.Lstat(old); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	note := fmt.Sprintf("This store was copied into the cluster of %s as %q, and the node runs there now. A node that runs over this one as well is a clone: it signs nothing, and endangers its keys.\n",
		strings.Join(s.Store.Etcd.Endpoints, ", "), s.Store.Etcd.Name)
	if err := bolt.Leave(old, note); err != nil {
		return err
	}
	failpoint.Hit("migrate-left")
	for n := 0; ; n++ {
		aside := filepath.Join(dir, fmt.Sprintf("%s.left-%s", storeName, time.Now().UTC().Format("20060102T150405")))
		if n > 0 {
			aside += fmt.Sprintf("-%d", n)
		}
		if _, err := os.Lstat(aside); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(old, aside); err != nil {
			return fmt.Errorf("set the old store aside: %w", err)
		}
		failpoint.Hit("migrate-aside")
		return syncFolder(dir)
	}
}

// readStore opens the store of a node that does not run, for reading. Of one in a cluster it is what the owner commits, if another replica is.
func readStore(ctx context.Context, dir string, s Settings) (store.Store, error) {
	if s.Store == nil {
		return bolt.Open(filepath.Join(dir, storeName), bolt.Options{ReadOnly: true})
	}
	o, err := s.Store.Etcd.options(dir, nil)
	if err != nil {
		return nil, err
	}
	c, err := etcd.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	return reading{c.View(), c}, nil
}

// reading is a store that nobody here owns.
type reading struct {
	*etcd.View
	c *etcd.Cluster
}

func (r reading) Commit(context.Context, store.Batch) (uint64, error) {
	return 0, &store.InvalidError{Reason: "it was opened for reading"}
}

func (r reading) Close() error { r.c.Close(); return nil }

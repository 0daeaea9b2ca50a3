package node

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/ostraka/ostraka/node/store/etcd"
)

// A NewReplica says what another replica of a node has of its own.
type NewReplica struct {
	Name                   string
	Link, People, Metrics  string // where it listens
	ReachLink, ReachPeople string // where other replicas reach it; empty: where it listens
	Cert, Key              string // files it shows the store's members, and its own alone: one that is lost can be taken back. Empty: there are none
}

// Names of the files with which a replica shows itself to the store's members, in its folder.
const (
	storeCAName   = "store-ca.crt"
	storeCertName = "store.crt"
	storeKeyName  = "store.key"
)

// AddReplica makes a data folder for another replica of the node in dir. Its key file is a copy, so it opens with the same key providers; none is asked,
// and nothing secret lies open at any moment.
func AddReplica(dir, to string, n NewReplica) error {
	s, err := ReadSettings(dir)
	if err != nil {
		return err
	}
	if s.Store == nil {
		return fmt.Errorf("%s keeps its store in its own folder, where one process alone works: `ostraka node migrate-store` moves it to one that replicas share", dir)
	}
	if s.me().Name == n.Name {
		return fmt.Errorf("the replica in %s is named %s: give another name", dir, n.Name)
	}
	if err := Vacant(to); err != nil {
		return err
	}
	carried, err := s.becomes(dir, n)
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("make the replica's folder: %w", err)
	}
	for _, name := range []string{keyFileName, identityName} {
		carried[name] = filepath.Join(dir, name)
	}
	for name, from := range carried {
		if err := copyFile(from, filepath.Join(to, name)); err != nil {
			return err
		}
	}
	// The settings come last: a folder without them is no node.
	return errors.Join(writeJSON(filepath.Join(to, settingsName), s), syncFolder(to))
}

// becomes makes another replica's settings of these, and says which files its folder takes along, from where. Paths in them are as seen from that
// folder: it goes to another machine.
func (s *Settings) becomes(dir string, n NewReplica) (carried map[string]string, err error) {
	shared := *s.Store.Etcd
	carried = map[string]string{}
	switch {
	case shared.Cert == "" && n.Cert == "" && n.Key == "":
	case n.Cert == "" || n.Key == "":
		return nil, errors.New("give --store-cert and --store-key: the replica's own certificate, which `ostraka-store certs --replicas NAME` makes; with another's it could not be taken back when its machine is lost")
	default:
		carried[storeCertName], carried[storeKeyName] = n.Cert, n.Key
		shared.Cert, shared.Key = storeCertName, storeKeyName
	}
	if shared.CA != "" {
		carried[storeCAName] = within(dir, shared.CA)
		shared.CA = storeCAName
	}
	if s.Advertise == "" {
		s.Advertise = s.Link // what the roster has: another address of this replica's is no new address of the operator's
	}
	shared.Replica, shared.Link, shared.People = n.Name, n.ReachLink, n.ReachPeople
	s.Store = &StoreSettings{Etcd: &shared}
	s.Link, s.People, s.Metrics = n.Link, n.People, n.Metrics
	return carried, apart(shared, s.me())
}

// apart refuses a replica that only its own machine reaches, where the members are on others.
func apart(e EtcdSettings, me etcd.Info) error {
	away := slices.ContainsFunc(e.Endpoints, func(one string) bool {
		u, err := url.Parse(one)
		return err == nil && !loopback(u.Hostname())
	})
	if !away {
		return nil
	}
	for _, at := range []struct{ name, addr string }{{"link", me.Link}, {"people", me.People}} {
		if host, _, err := net.SplitHostPort(at.addr); err == nil && loopback(host) {
			return fmt.Errorf("%q is reached on its own machine alone: give --%s, where it listens, and --reach-%[2]s, where other replicas reach it", at.addr, at.name)
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy into the replica's folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("copy into the replica's folder: %w", err)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy into the replica's folder: %w", err)
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", to, err)
	}
	return nil
}

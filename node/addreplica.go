package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A NewReplica says what another replica of a node has of its own.
type NewReplica struct {
	Name                   string
	Link, People, Metrics  string // where it listens
	ReachLink, ReachPeople string // where other replicas reach it; empty: where it listens
	Cert, Key              string // files it shows the store's members; empty: those of the replica that it is made from
}

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
	shared := *s.Store.Etcd
	if n.Cert != "" || n.Key != "" {
		shared.Cert, shared.Key = n.Cert, n.Key
	}
	shared.Replica, shared.Link, shared.People = n.Name, n.ReachLink, n.ReachPeople
	s.Store = &StoreSettings{Etcd: &shared}
	s.Link, s.People, s.Metrics = n.Link, n.People, n.Metrics
	if err := s.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("make the replica's folder: %w", err)
	}
	for _, name := range []string{keyFileName, identityName, shared.CA, shared.Cert, shared.Key} {
		if name == "" || filepath.IsAbs(name) {
			continue
		}
		if err := copyFile(filepath.Join(dir, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	// The settings come last: a folder without them is no node.
	return errors.Join(writeJSON(filepath.Join(to, settingsName), s), syncFolder(to))
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
